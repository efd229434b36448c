//! What an operator sets of the Kafka output.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::abilities::Abilities;
use crate::dcos::discovery;
use crate::output::message::{Envelope, ROOM_BEHIND};
use crate::record::{Fingerprint, Rate, Secret, TopicName};
use crate::spool::Framing;

/// Settings of the Kafka output.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
pub struct Config {
    /// Bootstrap brokers, `host:port` each (`kafka-brokers`); where they are not fixed, the last that were found.
    pub brokers: Vec<String>,
    /// How they are looked for; none where they are fixed.
    pub looked: Option<Arc<discovery::Config>>,
    /// What the brokers are, where the operator says it; none: they are asked (`kafka-broker-version`).
    pub broker_version: Option<Abilities>,
    /// From record topics to Kafka topics.
    pub naming: Naming,
    /// When a message is closed.
    pub batch: BatchLimits,
    /// Kafka's compression (`kafka-compression`).
    pub compression: Compression,
    /// acks=all with idempotence; else acks=1 (`kafka-require-all-acks`).
    pub require_all_acks: bool,
    /// What the message key is (`kafka-key`).
    pub key: Key,
    /// The agent id, once known: key and header of each message (`agent-id`).
    pub agent_id: Option<String>,
    /// Payload bytes given to librdkafka and not yet acknowledged (`kafka-queue-max`).
    pub queue_bytes: NonZeroUsize,
    /// Bytes of messages, over all topics, that may be sent in a period (`global-limit-...`); none: all there are.
    pub limit: Option<Rate>,
    /// Kafka topics of record topics at most; records of further ones are set aside (`kafka-topics-max`).
    pub topics_max: NonZeroUsize,
    /// Create missing topics through the admin API (`kafka-create-topics`).
    pub create_topics: Option<NewTopic>,
    /// TLS and SASL.
    pub security: Security,
    /// What is in the files that TLS is told of, so that other contents are another setting; none where there are none.
    pub files: Option<Fingerprint>,
    /// librdkafka properties as given, name and value; they win over what is derived from the rest
    /// (`kafka-property`).
    pub properties: Vec<(String, String)>,
    /// Log librdkafka's own debug contexts `broker,topic,msg` (`kafka-verbose`).
    pub verbose: bool,
    /// Log every record that is sent, decoded (`record-output-log`).
    pub record_log: bool,
    /// Log the bytes of every message (`record-output-hexdump`).
    pub hexdump: bool,
}

impl Config {
    /// How the spool's frames have to be for messages to be made of them.
    #[must_use]
    pub fn framing(&self, envelope: &Envelope) -> Framing {
        Framing {
            records_max: self.batch.records,
            bytes_max: self.batch.bytes.saturating_sub(envelope.overhead()),
            room_before: envelope.room_before(),
            room_behind: ROOM_BEHIND,
        }
    }
}

/// How a record topic becomes a Kafka topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// What stands before a record topic (`kafka-topic-prefix`).
    pub prefix: String,
    /// The one topic for all, in place of that (`kafka-single-topic`).
    pub single: Option<TopicName>,
    /// The one that there was last, where there is none any more: records of that time may still be on their way.
    pub former: Option<TopicName>,
}

impl Naming {
    /// Prefix and record topic.
    #[must_use]
    pub fn prefix(prefix: impl Into<String>) -> Naming {
        Naming { prefix: prefix.into(), single: None, former: None }
    }

    /// The same, which takes the place of `before`.
    #[must_use]
    pub fn after(mut self, before: &Naming) -> Naming {
        if self.single.is_none() {
            self.former = before.of_all().cloned();
        }
        self
    }

    /// Where records go, or went, that go to one topic whatever their own.
    pub(super) fn of_all(&self) -> Option<&TopicName> {
        self.single.as_ref().or(self.former.as_ref())
    }
}

/// When a batch becomes a message: whichever comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records in it (`kafka-produce-count`).
    pub records: NonZeroU32,
    /// Bytes of the whole message, header included (`kafka-produce-kbytes`); at most [`MESSAGE_BYTES_MAX`].
    pub bytes: usize,
    /// Age of its oldest record (`kafka-produce-period-ms`).
    pub age: Duration,
}

/// Largest message before compression, header included: old consumers stand still for ever at one that is near
/// the broker's and their own default limit of 1,048,576 bytes.
pub const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// Kafka's `compression.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `none`.
    None,
    /// `snappy`, as in 2016.
    Snappy,
    /// `lz4`.
    Lz4,
    /// `zstd`, for brokers and consumers since Kafka 2.1.
    Zstd,
    /// `gzip`.
    Gzip,
}

impl Compression {
    /// Every value, in the order they are offered.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Snappy, Compression::Lz4, Compression::Zstd, Compression::Gzip];

    /// Kafka's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
            Compression::Gzip => "gzip",
        }
    }
}

/// What a message's key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The agent id, so that an agent's messages of a topic keep their order; none until it is known.
    Agent,
    /// No key: messages spread over all partitions.
    None,
}

/// Shape of a topic that the collector creates. `None`: the broker's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Partitions (`kafka-topic-partitions`).
    pub partitions: Option<NonZeroU32>,
    /// Replicas (`kafka-topic-replication`).
    pub replication: Option<NonZeroU32>,
}

/// How brokers are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// TLS, where it is used.
    pub tls: Option<Tls>,
    /// SASL, where it is used.
    pub sasl: Option<Sasl>,
}

/// TLS, and mutual TLS with a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of trusted authorities (`kafka-ssl-ca`); none: the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of our certificate chain (`kafka-ssl-certificate`).
    pub certificate: Option<PathBuf>,
    /// PEM file of its key (`kafka-ssl-key`).
    pub key: Option<PathBuf>,
    /// Pass phrase of that key (`kafka-ssl-key-password`).
    pub key_password: Option<Secret>,
}

/// SASL with a name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// `kafka-sasl-mechanism`.
    pub mechanism: SaslMechanism,
    /// `kafka-sasl-username`.
    pub username: String,
    /// `kafka-sasl-password`, or the content of `kafka-sasl-password-file`.
    pub password: Secret,
}

/// SASL mechanisms that need no more than a name and a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// `PLAIN`.
    Plain,
    /// `SCRAM-SHA-256`.
    ScramSha256,
    /// `SCRAM-SHA-512`.
    ScramSha512,
}

impl SaslMechanism {
    /// Every value, in the order they are offered.
    pub const ALL: [SaslMechanism; 3] =
        [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];

    /// The registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}
