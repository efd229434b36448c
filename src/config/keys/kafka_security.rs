//! Rows: TLS and SASL towards Kafka.

use super::{Key, Kind};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "kafka-security-protocol",
        Kind::Choice(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]),
        "How brokers are spoken to: with TLS (ssl), a user name (sasl), both or neither. The kafka-ssl keys are \
         faults without ssl in it and the kafka-sasl keys without sasl in it, so that nobody believes in a protection \
         that is not there.",
    )
    .or("plaintext")
    .live(),
    Key::new(
        "kafka-ssl-ca",
        Kind::File,
        "PEM file of the authorities that may have signed the brokers' certificates. Not set: those of the system. \
         Brokers' certificates and host names are always checked. Other contents of this file, and of those of \
         kafka-ssl-certificate and kafka-ssl-key, are noticed within a minute, and with each change of the configuration.",
    )
    .live(),
    Key::new(
        "kafka-ssl-certificate",
        Kind::File,
        "PEM file of our certificate and its chain, for brokers that ask for one (mutual TLS). Needs kafka-ssl-key. \
         Not set: no certificate is shown.",
    )
    .live(),
    Key::new(
        "kafka-ssl-key",
        Kind::File,
        "PEM file of the key to kafka-ssl-certificate. Set both or neither. The file should be readable by the \
         collector's user alone.",
    )
    .live(),
    Key::new(
        "kafka-ssl-key-password",
        Kind::Text,
        "Pass phrase of kafka-ssl-key. Not set: the key is not encrypted. Put it into the file of config, since \
         flags and environment show in the process list.",
    )
    .hidden()
    .live(),
    Key::new(
        "kafka-sasl-mechanism",
        Kind::Choice(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        "How the user name and password are proved. Must be set with a sasl protocol. PLAIN sends the password \
         itself, so use it with sasl_ssl only.",
    )
    .live(),
    Key::new(
        "kafka-sasl-username",
        Kind::Text,
        "User name towards Kafka. Must be set with a sasl protocol. The user needs the rights to write, describe and, \
         with kafka-create-topics, create the topics.",
    )
    .live(),
    Key::new(
        "kafka-sasl-password",
        Kind::Text,
        "Password towards Kafka. This or kafka-sasl-password-file must be set with a sasl protocol, not both. Prefer \
         the file, since flags and environment show in the process list. Unless it is set over HTTP itself, nothing is \
         that decides where it goes or how: the brokers, how they are looked for, protocol, mechanism and authorities.",
    )
    .hidden()
    .live(),
    Key::new(
        "kafka-sasl-password-file",
        Kind::File,
        "File with the password of kafka-sasl-password. White space at its end does not count. Other contents are \
         noticed within a minute, and with each change of the configuration. While it counts, nothing is set over HTTP \
         that decides where the password goes or how.",
    )
    .by_reload(),
];
