//! The Kafka output's settings, and the rules between its keys.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::fault::{Fault, Origin};
use super::keys::Key;
use super::settings::{Setting, Settings};
use super::stages::Builder;
use super::value::{HIDDEN, Value, is_secret};
use super::{CheckKafka, discovery, kafka_security};
use crate::output::kafka::{
    self, Abilities, BatchLimits, Compression, Config, MESSAGE_BYTES_MAX, Naming, NewTopic,
};
use crate::record::{Secret, TopicName};

/// Lets the Go collector's switch decide on the compression where nothing else does.
pub(super) fn settle_compression(settings: &mut Settings) {
    let compression = Key::find("kafka-compression").expect("the key is in the table");
    if settings.is_explicit(compression.name) || settings.is_faulty(compression.name) {
        return;
    }
    if let Some(snappy) = settings.optional_switch("kafka-compress-snappy") {
        let word = if snappy { Compression::Snappy } else { Compression::None }.name();
        let origin = settings.origin("kafka-compress-snappy").clone();
        settings.insert(compression, Setting { value: Some(Value::Text(word.to_owned())), origin });
    }
}

/// Makes the output's settings; none where `kafka` is false. Its own faults are looked for all the same, since the
/// keys are there.
pub(super) fn build(builder: &mut Builder<'_>, check: CheckKafka<'_>) -> Option<Config> {
    let settings = builder.settings;
    let security = kafka_security::build(builder);
    let config = Config {
        brokers: builder.brokers(),
        looked: discovery::build(settings).map(Arc::new),
        broker_version: Abilities::pinned(settings.word("kafka-broker-version")),
        naming: naming(builder),
        batch: batch(builder),
        compression: builder.compression(),
        require_all_acks: builder.require_all_acks(),
        key: if settings.word("kafka-key") == "none" { kafka::Key::None } else { kafka::Key::Agent },
        agent_id: settings.owned("agent-id"),
        queue_bytes: settings.nonzero("kafka-queue-max"),
        limit: builder.rate(
            "global-limit-amount-kbytes",
            "global-limit-period",
            "what is over it waits in the spool; the Go collector dropped it",
        ),
        topics_max: settings.nonzero("kafka-topics-max"),
        create_topics: builder.create_topics(),
        files: security.tls.is_some().then(|| builder.tls_files()),
        security,
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
    let single = builder.settings.text("kafka-single-topic");
    let single = single.map(|topic| TopicName::parse(topic.as_bytes()).expect("the key holds a legal name"));
    Naming { single, ..Naming::prefix(builder.settings.word("kafka-topic-prefix")) }
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
    /// None where they are to be found.
    fn brokers(&mut self) -> Vec<String> {
        let Some(brokers) = self.settings.brokers("kafka-brokers") else { return Vec::new() };
        self.warnings.extend(brokers.passed_over.iter().map(|line| format!("kafka-brokers: {line}")));
        brokers.list.clone()
    }

    /// [`settle_compression`] has brought the Go collector's switch into it, or they contradict each other.
    fn compression(&mut self) -> Compression {
        let settings = self.settings;
        let word = settings.word("kafka-compression");
        let compression = Compression::ALL.into_iter().find(|compression| compression.name() == word);
        let compression = compression.expect("the key's words are the compressions' names");
        let snappy = settings.optional_switch("kafka-compress-snappy");
        // Whoever sets a compression at runtime need not touch the old switch as well.
        let is_overruled = *settings.origin("kafka-compression") == Origin::Runtime
            && *settings.origin("kafka-compress-snappy") != Origin::Runtime;
        if !is_overruled && snappy.is_some_and(|snappy| snappy != (compression == Compression::Snappy)) {
            let expected = format!("contradicts kafka-compression, which is {word}; remove this key");
            self.fault("kafka-compress-snappy", &["kafka-compression"], expected);
        }
        compression
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

    /// Asks the Kafka client about all of it, also where something else is missing, so that its faults come with the
    /// others. Its words may quote values, so secrets are struck out of them.
    fn ask_the_client(&mut self, config: &Config, check: CheckKafka<'_>) {
        let properties = config.properties.iter().filter(|(name, value)| is_secret(name, value));
        let tls = config.security.tls.iter().filter_map(|tls| tls.key_password.as_ref());
        let sasl = config.security.sasl.iter().map(|sasl| &sasl.password);
        let secrets = properties.map(|(_, value)| value.as_str()).chain(tls.chain(sasl).map(Secret::expose));
        let secrets: Vec<&str> = secrets.filter(|secret| !secret.is_empty()).collect();
        for mut line in check(config) {
            for secret in &secrets {
                line = line.replace(secret, HIDDEN);
            }
            let named = line.starts_with("kafka-property");
            let origin = if named { self.settings.origin("kafka-property").clone() } else { Origin::Default };
            self.faults.push(Fault {
                origin,
                key: String::new(),
                value: None,
                expected: line,
                nearest: None,
            });
        }
    }
}
