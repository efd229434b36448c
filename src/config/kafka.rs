//! The Kafka output's settings, and the rules between its keys.

use std::num::NonZeroU32;

use super::CheckKafka;
use super::stages::Builder;
use super::value::{HIDDEN, is_secret_property, one_of};
use crate::output::kafka::{
    BatchLimits, Compression, Config, Key, MESSAGE_BYTES_MAX, Naming, NewTopic, Sasl, SaslMechanism,
    Security, Tls,
};
use crate::record::TopicName;

const SSL_KEYS: [&str; 4] =
    ["kafka-ssl-ca", "kafka-ssl-certificate", "kafka-ssl-key", "kafka-ssl-key-password"];
const SASL_KEYS: [&str; 4] =
    ["kafka-sasl-mechanism", "kafka-sasl-username", "kafka-sasl-password", "kafka-sasl-password-file"];

/// Makes the output's settings; none where `kafka` is false. Its own faults are looked for all the same, since the
/// keys are there.
pub(super) fn build(builder: &mut Builder<'_>, check: CheckKafka<'_>) -> Option<Config> {
    let settings = builder.settings;
    let config = Config {
        brokers: builder.brokers(),
        naming: naming(builder),
        batch: batch(builder),
        compression: builder.compression(),
        require_all_acks: builder.require_all_acks(),
        key: if settings.word("kafka-key") == "none" { Key::None } else { Key::Agent },
        agent_id: settings.owned("agent-id"),
        queue_bytes: settings.nonzero("kafka-queue-max"),
        topics_max: settings.nonzero("kafka-topics-max"),
        create_topics: builder.create_topics(),
        security: builder.security(),
        properties: settings.pairs("kafka-property").to_vec(),
        verbose: settings.switch("kafka-verbose"),
        record_log: settings.switch("record-output-log"),
        hexdump: settings.switch("record-output-hexdump"),
    };
    if settings.is_explicit("kafka-flush-ms") {
        let line = "kafka-flush-ms is retired and has no effect: messages are sent as soon as they are closed, see \
                    kafka-produce-period-ms";
        builder.warnings.push(line.to_owned());
    }
    if !settings.switch("kafka") {
        return None;
    }
    builder.ask_the_client(&config, check);
    Some(config)
}

fn naming(builder: &Builder<'_>) -> Naming {
    let prefix = builder.settings.word("kafka-topic-prefix");
    match builder.settings.text("kafka-single-topic") {
        Some(topic) => {
            Naming::Single(TopicName::parse(topic.as_bytes()).expect("the key holds a legal name"))
        }
        None => Naming::Prefix(prefix.to_owned()),
    }
}

fn batch(builder: &mut Builder<'_>) -> BatchLimits {
    let settings = builder.settings;
    let asked = settings.size("kafka-produce-kbytes").saturating_mul(1024);
    if asked > MESSAGE_BYTES_MAX {
        builder.warnings.push(format!(
            "kafka-produce-kbytes = {} is cut: a message has at most {MESSAGE_BYTES_MAX} bytes",
            asked / 1024
        ));
    }
    BatchLimits {
        records: NonZeroU32::new(settings.small("kafka-produce-count")).expect("the table excludes 0"),
        bytes: asked.min(MESSAGE_BYTES_MAX),
        age: settings.time("kafka-produce-period-ms"),
    }
}

impl Builder<'_> {
    fn brokers(&mut self) -> Vec<String> {
        let brokers = self.settings.list("kafka-brokers");
        if brokers.is_empty() && self.settings.switch("kafka") {
            let expected =
                "not set; give --kafka-brokers host:port,... or, to run without Kafka, --kafka=false";
            self.fault("kafka-brokers", &["kafka"], expected);
        }
        brokers.to_vec()
    }

    /// `kafka-compression`, and the Go collector's switch where it says something.
    fn compression(&mut self) -> Compression {
        let settings = self.settings;
        let word = settings.word("kafka-compression");
        let named = Compression::ALL.into_iter().find(|compression| compression.name() == word);
        let named = named.expect("the key's words are the compressions' names");
        let Some(snappy) = settings.optional_switch("kafka-compress-snappy") else { return named };
        if !settings.is_explicit("kafka-compression") {
            return if snappy { Compression::Snappy } else { Compression::None };
        }
        if snappy != (named == Compression::Snappy) {
            let expected = format!("contradicts kafka-compression, which is {word}; remove this key");
            self.fault("kafka-compress-snappy", &["kafka-compression"], expected);
        }
        named
    }

    fn require_all_acks(&mut self) -> bool {
        let all = self.settings.switch("kafka-require-all-acks");
        if !all {
            let line = "kafka-require-all-acks is false: a broker that fails loses records that count as delivered, \
                        and repeats are not removed";
            self.warnings.push(line.to_owned());
        }
        all
    }

    fn create_topics(&mut self) -> Option<NewTopic> {
        let names = ["kafka-topic-partitions", "kafka-topic-replication"];
        let [partitions, replication] = names.map(|name| {
            self.settings
                .optional_number(name)
                .and_then(|number| NonZeroU32::new(u32::try_from(number).ok()?))
        });
        if self.settings.switch("kafka-create-topics") {
            return Some(NewTopic { partitions, replication });
        }
        for name in names {
            if self.settings.is_set(name) {
                self.fault(name, &["kafka-create-topics"], "has no effect without kafka-create-topics");
            }
        }
        None
    }

    fn security(&mut self) -> Security {
        let protocol = self.settings.word("kafka-security-protocol");
        let (ssl, sasl) = (protocol.ends_with("ssl"), protocol.starts_with("sasl_"));
        for (used, names, word) in
            [(ssl, SSL_KEYS, "ssl or sasl_ssl"), (sasl, SASL_KEYS, "sasl_ssl or sasl_plaintext")]
        {
            for name in names {
                if !used && self.settings.is_set(name) {
                    let expected = format!(
                        "has no effect while kafka-security-protocol is {protocol}; set that to {word}"
                    );
                    self.fault(name, &["kafka-security-protocol"], expected);
                }
            }
        }
        let security = Security { tls: self.tls(), sasl: self.sasl(sasl) };
        if sasl && !ssl && security.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == SaslMechanism::Plain) {
            let line = "kafka-sasl-mechanism PLAIN without TLS sends the password in the clear; use sasl_ssl";
            self.warnings.push(line.to_owned());
        }
        Security { tls: security.tls.filter(|_| ssl), sasl: security.sasl.filter(|_| sasl) }
    }

    fn tls(&mut self) -> Option<Tls> {
        let tls = Tls {
            ca: self.file("kafka-ssl-ca"),
            certificate: self.file("kafka-ssl-certificate"),
            key: self.file("kafka-ssl-key"),
            key_password: self.settings.owned("kafka-ssl-key-password").map(crate::record::Secret::new),
        };
        for (there, name, missing, other) in [
            (tls.certificate.is_some(), "kafka-ssl-certificate", tls.key.is_none(), "kafka-ssl-key"),
            (tls.key.is_some(), "kafka-ssl-key", tls.certificate.is_none(), "kafka-ssl-certificate"),
            (tls.key_password.is_some(), "kafka-ssl-key-password", tls.key.is_none(), "kafka-ssl-key"),
        ] {
            if there && missing {
                self.fault(name, &[other], format!("needs {other} as well"));
            }
        }
        Some(tls)
    }

    /// What SASL needs; whatever is missing is a fault where the protocol has SASL in it.
    fn sasl(&mut self, used: bool) -> Option<Sasl> {
        let word = self.settings.text("kafka-sasl-mechanism");
        let mechanism = SaslMechanism::ALL.into_iter().find(|mechanism| Some(mechanism.name()) == word);
        let username = self.settings.owned("kafka-sasl-username");
        let password = self.secret("kafka-sasl-password", "kafka-sasl-password-file");
        if used {
            let names = SaslMechanism::ALL.map(SaslMechanism::name);
            let for_what = "kafka-security-protocol has sasl in it";
            if mechanism.is_none() {
                let expected = format!("not set, but {for_what}; {}", one_of(&names));
                self.fault("kafka-sasl-mechanism", &["kafka-security-protocol"], expected);
            }
            if username.is_none() {
                let expected = format!("not set, but {for_what}");
                self.fault("kafka-sasl-username", &["kafka-security-protocol"], expected);
            }
            if password.is_none() && !self.settings.is_set("kafka-sasl-password-file") {
                let expected = format!("not set, nor is kafka-sasl-password-file, but {for_what}");
                let others = ["kafka-security-protocol", "kafka-sasl-password-file"];
                self.fault("kafka-sasl-password", &others, expected);
            }
        }
        Some(Sasl { mechanism: mechanism?, username: username?, password: password? })
    }

    /// The client's own words may quote values, so secrets are struck out of them.
    fn ask_the_client(&mut self, config: &Config, check: CheckKafka<'_>) {
        let secret_properties = config
            .properties
            .iter()
            .filter(|(name, _)| is_secret_property(name))
            .map(|(_, value)| value.as_str());
        let tls = config.security.tls.iter().filter_map(|tls| tls.key_password.as_ref());
        let sasl = config.security.sasl.iter().map(|sasl| &sasl.password);
        let secrets: Vec<&str> = secret_properties
            .chain(tls.chain(sasl).map(|secret| secret.expose()))
            .filter(|s| !s.is_empty())
            .collect();
        for mut why in check(config) {
            for secret in &secrets {
                why = why.replace(secret, HIDDEN);
            }
            self.fault("kafka-property", &[], format!("the Kafka client refuses the settings: {why}"));
        }
    }
}
