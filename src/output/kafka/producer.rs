//! The librdkafka producer: made of the settings, reports into lists that the output's task empties.

use std::sync::{Arc, Mutex};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, NoCustomPartitioner, ProducerContext};
use tokio::sync::Notify;
use tracing::{debug, error, info, warn};

use super::abilities::{Abilities, FOR_OLD};
use super::batch::Batch;
use super::lend::Wired;
use super::sending::STALLED_SHARE;
use super::settings::{Config, SaslMechanism, Security};

/// Errors kept until the task looks; more are the same again.
const ERRORS_KEPT: usize = 64;

/// Messages that librdkafka may hold besides the byte limit, which is what bounds them.
const MESSAGES_MAX: usize = 1_000_000;

/// What came back.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) batch: Box<Batch>,
    pub(super) result: Result<(), RDKafkaErrorCode>,
}

/// Takes librdkafka's events down.
#[derive(Default)]
pub(super) struct Context {
    /// Whatever librdkafka logs is told, and not only to those who look for mistakes of the collector itself.
    verbose: bool,
    deliveries: Mutex<Vec<Delivery>>,
    errors: Mutex<Vec<(RDKafkaErrorCode, String)>>,
}

impl Context {
    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries.lock().expect("no code panics under this lock"))
    }

    pub(super) fn errors(&self) -> Vec<(RDKafkaErrorCode, String)> {
        std::mem::take(&mut self.errors.lock().expect("no code panics under this lock"))
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // The error callback tells of what matters for connections; what librdkafka finds wrong in itself or in an
        // answer it tells in its log alone.
        if facility.contains("PROTOERR") || (level as i32) <= RDKafkaLogLevel::Critical as i32 {
            error!(facility, "librdkafka: {message}");
        } else if facility.contains("CONFWARN") && !FOR_OLD.iter().any(|(name, _)| message.contains(name)) {
            warn!(facility, "librdkafka: {message}");
        } else if self.verbose {
            info!(facility, "librdkafka: {message}");
        } else {
            debug!(facility, "librdkafka: {message}");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let mut errors = self.errors.lock().expect("no code panics under this lock");
        if errors.len() < ERRORS_KEPT {
            errors.push((code, reason.to_owned()));
        }
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = Box<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Box<Batch>) {
        let result = match result {
            Ok(message) => {
                debug!(topic = message.topic(), partition = message.partition(), "delivered");
                Ok(())
            }
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        };
        self.deliveries.lock().expect("no code panics under this lock").push(Delivery { batch, result });
    }
}

/// A producer of these settings, for brokers that can do this.
///
/// # Errors
/// What librdkafka says of the settings.
pub(super) fn connect(
    config: &Config,
    abilities: &Abilities,
    wake: Arc<Notify>,
) -> Result<Wired<Context>, KafkaError> {
    let client = client_config(config, abilities);
    let context = Context { verbose: config.verbose, ..Context::default() };
    let producer = BaseProducer::from_config_and_context(&client, context)?;
    Ok(Wired::new(producer, wake))
}

/// The settings as librdkafka's properties, for brokers that can do this. Those given by the operator come last and win.
pub(super) fn client_config(config: &Config, abilities: &Abilities) -> ClientConfig {
    let mut client = ClientConfig::new();
    let mut set = |name: &str, value: &str| {
        client.set(name, value);
    };
    set("bootstrap.servers", &config.brokers.join(","));
    set("client.id", "metrics-collector");
    set("compression.type", abilities.compression(config.compression).name());
    set("acks", if config.require_all_acks { "all" } else { "1" });
    if config.require_all_acks && abilities.idempotence {
        set("enable.idempotence", "true");
    } else {
        // Without idempotence a request that is sent again would come behind those that were under way with it.
        set("max.in.flight.requests.per.connection", "1");
    }
    // We decide on losses, and no clock.
    set("message.timeout.ms", "0");
    // As in Kafka's own client, so that an agent's messages meet in one partition whoever sends them.
    set("partitioner", "murmur2_random");
    // A message is never larger than MESSAGE_BYTES_MAX; this leaves room for its key and headers.
    set("message.max.bytes", "1048576");
    set("batch.size", "1000000");
    // Messages are batches already; and a linger makes librdkafka's thread spin through its last millisecond.
    set("linger.ms", "0");
    // Permits bound what is queued; librdkafka's own limit, counted a little differently, must never be met.
    let queue = config.queue_bytes.get();
    let kbytes = (queue + queue / STALLED_SHARE) / 1024;
    set("queue.buffering.max.kbytes", &(kbytes + kbytes / 4 + 1024).to_string());
    set("queue.buffering.max.messages", &MESSAGES_MAX.to_string());
    set("reconnect.backoff.ms", "100");
    set("reconnect.backoff.max.ms", "1000");
    set("topic.metadata.propagation.max.ms", "5000");
    set("socket.keepalive.enable", "true");
    // Only consumers fetch by rack. But with one librdkafka makes room for five times the size of an answer to a question
    // for metadata instead of four, and four are too little for many topics of short names (Metadata up to version 9):
    // each answer is dropped then, and nothing is ever sent.
    set("client.rack", "-");
    set("log.connection.close", "false");
    set_security(config, &mut set);
    for (name, value) in abilities.protocol() {
        set(name, value);
    }
    if config.verbose {
        set("debug", "broker,topic,msg");
        client.set_log_level(RDKafkaLogLevel::Debug);
    } else {
        client.set_log_level(RDKafkaLogLevel::Info);
    }
    for (name, value) in &config.properties {
        client.set(name, value);
    }
    client
}

/// Properties that say which authorities are trusted.
const AUTHORITIES: [&str; 3] = ["ssl.ca.location", "ssl.ca.pem", "ssl.ca.certificate.stores"];

fn set_security(config: &Config, set: &mut impl FnMut(&str, &str)) {
    let Security { tls, sasl } = &config.security;
    let protocol = match (tls, sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    set("security.protocol", protocol);
    if let Some(tls) = tls {
        let paths = [
            ("ssl.ca.location", &tls.ca),
            ("ssl.certificate.location", &tls.certificate),
            ("ssl.key.location", &tls.key),
        ];
        for (name, path) in paths {
            if let Some(path) = path {
                set(name, &path.to_string_lossy());
            }
        }
        let is_named = |(name, _): &(String, String)| AUTHORITIES.contains(&name.as_str());
        if tls.ca.is_none() && !config.properties.iter().any(is_named) {
            // The OpenSSL that is built in looks where it would have been installed, and there is nothing. This looks
            // where the distributions have theirs.
            set("ssl.ca.location", "probe");
        }
        if let Some(password) = &tls.key_password {
            set("ssl.key.password", password.expose());
        }
    }
    if let Some(sasl) = sasl {
        set("sasl.mechanism", SaslMechanism::name(sasl.mechanism));
        set("sasl.username", &sasl.username);
        set("sasl.password", sasl.password.expose());
    }
}

/// Properties that the collector's promises rest on, and why they may not be set.
const RESERVED: [(&str, &str); 15] = [
    ("bootstrap.servers", "use kafka-brokers"),
    ("metadata.broker.list", "use kafka-brokers"),
    ("transactional.id", "old consumers end at transactions' control records"),
    ("message.timeout.ms", "no clock may decide that a record is lost"),
    ("delivery.timeout.ms", "no clock may decide that a record is lost"),
    ("retries", "no count may decide that a record is lost"),
    ("message.send.max.retries", "no count may decide that a record is lost"),
    ("acks", "use kafka-require-all-acks"),
    ("request.required.acks", "use kafka-require-all-acks"),
    ("security.protocol", "use kafka-security-protocol"),
    ("compression.type", "use kafka-compression"),
    ("compression.codec", "use kafka-compression"),
    ("delivery.report.only.error", "every delivery is counted"),
    ("queue.buffering.max.kbytes", "use kafka-queue-max"),
    ("queue.buffering.max.messages", "use kafka-queue-max"),
];

/// Holds the settings against librdkafka, without connecting: every fault, in words for the operator.
#[must_use]
pub fn check(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    let refused = |(name, value): &(String, String)| {
        if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| reserved == name) {
            return Some(format!("kafka-property {name}: cannot be set; {why}"));
        }
        let mut one = ClientConfig::new();
        one.set(name, value);
        let error = one.create_native_config().err()?;
        Some(format!("kafka-property {name}: {}", without_prefix(&error)))
    };
    let mut rest = config.clone();
    rest.properties.retain(|property| match refused(property) {
        Some(fault) => {
            faults.push(fault);
            false
        }
        None => true,
    });
    // Some settings are only looked at together, and files only when a client is made. Without a broker's address it
    // has nobody to connect to.
    let mut trial = client_config(&rest, &rest.broker_version.unwrap_or(Abilities::CURRENT));
    trial.remove("bootstrap.servers");
    let made: Result<BaseProducer<Trial>, _> = BaseProducer::from_config_and_context(&trial, Trial);
    if let Err(error) = made {
        faults.push(format!("librdkafka refuses the Kafka settings: {}", without_prefix(&error)));
    }
    faults
}

/// Of a client that is made to see whether it can be. What it logs, such as that it has no brokers, is not of interest.
struct Trial;

impl ClientContext for Trial {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext<NoCustomPartitioner> for Trial {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

fn without_prefix(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, description, _, _) | KafkaError::ClientCreation(description) => {
            description.clone()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::settings::Tls;
    use super::*;

    fn with(properties: &[(&str, &str)]) -> Config {
        let flags = vec![("kafka-brokers", "127.0.0.1:1".into())];
        let sources = crate::config::Sources { flags, environment: Vec::new() };
        let (loaded, _) = crate::config::load(&sources, &|_| Vec::new()).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Config { properties: properties.iter().map(own).collect(), ..loaded.kafka.unwrap() }
    }

    #[test]
    fn without_an_authority_of_the_operators_the_systems_are_looked_for() {
        let authority = |ca: Option<&str>, properties: &[(&str, &str)]| {
            let tls = Some(Tls { ca: ca.map(PathBuf::from), ..Tls::default() });
            let config = Config { security: Security { tls, sasl: None }, ..with(properties) };
            client_config(&config, &Abilities::CURRENT).get("ssl.ca.location").map(str::to_owned)
        };
        assert_eq!(authority(None, &[]).as_deref(), Some("probe"));
        assert_eq!(authority(None, &[("ssl.keystore.location", "x")]).as_deref(), Some("probe"));
        assert_eq!(authority(Some("ca.pem"), &[]).as_deref(), Some("ca.pem"));
        assert_eq!(authority(None, &[("ssl.ca.location", "x.pem")]).as_deref(), Some("x.pem"));
        assert_eq!(authority(None, &[("ssl.ca.pem", "x")]), None);
        assert_eq!(authority(None, &[("ssl.ca.certificate.stores", "Root")]), None);
        assert_eq!(client_config(&with(&[]), &Abilities::CURRENT).get("ssl.ca.location"), None);
    }

    #[test]
    fn the_producer_is_made_for_the_brokers() {
        let names = [
            "enable.idempotence",
            "max.in.flight.requests.per.connection",
            "compression.type",
            "api.version.request",
            "broker.version.fallback",
        ];
        let zstd = Config { compression: super::super::Compression::Zstd, ..with(&[]) };
        for (pin, expected) in [
            ("0.9", [None, Some("1"), Some("snappy"), Some("false"), Some("0.9.0.1")]),
            ("0.10", [None, Some("1"), Some("snappy"), None, None]),
            ("0.11", [Some("true"), None, Some("snappy"), None, None]),
            ("2.1", [Some("true"), None, Some("zstd"), None, None]),
        ] {
            let client = client_config(&zstd, &Abilities::pinned(pin).unwrap());
            assert_eq!(names.map(|name| client.get(name)), expected, "{pin}");
            assert_eq!(client.get("acks"), Some("all"), "{pin}");
            let config = Config { broker_version: Abilities::pinned(pin), ..zstd.clone() };
            assert_eq!(check(&config), [""; 0], "{pin}");
        }
        let old = client_config(&with(&[("enable.idempotence", "true")]), &Abilities::old());
        assert_eq!(old.get("enable.idempotence"), Some("true"), "the operator wins");
    }

    #[test]
    fn one_acknowledgement_is_no_idempotence_and_one_request_at_a_time() {
        let config = Config { require_all_acks: false, ..with(&[]) };
        let client = client_config(&config, &Abilities::CURRENT);
        let names = ["acks", "enable.idempotence", "max.in.flight.requests.per.connection"];
        assert_eq!(names.map(|name| client.get(name)), [Some("1"), None, Some("1")]);
    }

    #[test]
    fn a_refused_property_hides_no_other_fault() {
        let faults = check(&with(&[("acks", "1"), ("no.such", "1"), ("reconnect.backoff.ms", "5000")]));
        let told = |part: &str| faults.iter().any(|fault| fault.contains(part));
        assert!(told("kafka-property acks: cannot be set"), "{faults:?}");
        assert!(told("kafka-property no.such: No such configuration property"), "{faults:?}");
        assert!(told("librdkafka refuses the Kafka settings"), "{faults:?}");
        assert_eq!(faults.len(), 3, "{faults:?}");
    }

    #[test]
    fn good_settings_pass_without_brokers() {
        assert_eq!(check(&with(&[("linger.ms", "5")])), [""; 0]);
        assert_eq!(check(&Config { brokers: Vec::new(), ..with(&[]) }), [""; 0]);
    }

    #[test]
    fn a_check_asks_no_broker() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let brokers = vec![listener.local_addr().unwrap().to_string()];
        assert_eq!(check(&Config { brokers, ..with(&[("debug", "broker")]) }), [""; 0]);
        // The producer of the check is gone, and its threads with it: what they did is done.
        let error = listener.accept().map(|(_, peer)| peer).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}
