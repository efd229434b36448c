//! The tests' own tools: when one of these fails, look at the machine or at `tests/it/support`, not at the collector.

use std::sync::mpsc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext};

use crate::support::kafka::{Broker, OwnBroker, USER, unique};
use crate::support::{captured, consumer, ocf, record};

/// Hands on what became of each message.
struct Outcomes(mpsc::Sender<Result<(), KafkaError>>);

impl ClientContext for Outcomes {}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let outcome = result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        // A test that ended early does not want to know.
        let _ = self.0.send(outcome);
    }
}

/// Produces one message, whose time-out explains itself soon.
fn produce(settings: &[(&str, &str)], topic: &str, value: &[u8]) -> Result<(), KafkaError> {
    let mut config = ClientConfig::new();
    config.set("message.timeout.ms", "20000").set("topic.metadata.propagation.max.ms", "1000");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    let (tx, rx) = mpsc::channel();
    let producer: ThreadedProducer<Outcomes> = config.create_with_context(Outcomes(tx))?;
    let headers = OwnedHeaders::new().insert(Header { key: "first", value: Some("0") });
    let record = BaseRecord::to(topic).key("agent").payload(value).headers(headers);
    producer.send(record).map_err(|(error, _)| error)?;
    rx.recv_timeout(Duration::from_secs(30)).expect("librdkafka keeps its own time-out")
}

#[test]
fn a_captured_stream_has_the_records_its_readme_names() {
    for (name, n_records, n_datapoints) in
        [("module-mesos101.ocf", 1052, 1173), ("collector-emitter.ocf", 40, 440)]
    {
        let records = record::decode(&captured(name)).unwrap();
        let datapoints: usize = records.iter().map(|r| r.datapoints.len()).sum();
        assert_eq!((records.len(), datapoints), (n_records, n_datapoints), "{name}");
    }
}

#[test]
fn what_the_stream_writer_writes_apache_avro_reads() {
    let records = record::numbered("t", 0..250);
    assert_eq!(record::decode(&ocf::stream(&records)).unwrap(), records);
    for blocks in [ocf::Blocks::One, ocf::Blocks::NegativeCounts] {
        let mut stream = ocf::header_in(ocf::SCHEMA, Some("null"), blocks);
        stream.extend(ocf::raw_block(1, &ocf::body(&records[7], blocks)));
        assert_eq!(record::decode(&stream).unwrap(), records[7..8]);
    }
}

#[test]
fn a_message_is_read_back_with_key_headers_and_records() {
    let topic = unique("harness");
    let broker = Broker::shared();
    let records = record::numbered("t", 0..3);
    produce(&[("bootstrap.servers", broker.bootstrap())], &topic, &ocf::stream(&records)).unwrap();
    let messages = consumer::read(broker.bootstrap(), &topic, 3);
    assert_eq!(consumer::records(&messages), records);
    assert_eq!(messages[0].header("first"), "0");
    assert_eq!(messages[0].key.as_deref(), Some(&b"agent"[..]));
}

#[test]
fn a_broker_that_was_stopped_or_killed_comes_back_with_its_data() {
    let mut broker = OwnBroker::started();
    let topic = unique("harness");
    let address = broker.bootstrap().to_owned();
    let stream = ocf::stream(&record::numbered("t", 0..1));
    produce(&[("bootstrap.servers", &address)], &topic, &stream).unwrap();
    broker.stop();
    broker.start();
    produce(&[("bootstrap.servers", &address)], &topic, &stream).unwrap();
    broker.kill();
    broker.start();
    assert_eq!(consumer::read_messages(&address, &topic, 2).len(), 2);
}

/// Client settings for each way to log in at the strict broker.
fn ways_in(broker: &Broker) -> Vec<Vec<(&'static str, String)>> {
    let ca = ("ssl.ca.location", broker.certificate("ca.pem"));
    let tls = |listener| {
        vec![
            ("bootstrap.servers", broker.listener(listener).to_owned()),
            ("security.protocol", "ssl".to_owned()),
            ca.clone(),
        ]
    };
    let mut mutual = tls("MTLS");
    mutual.push(("ssl.certificate.location", broker.certificate("client.pem")));
    mutual.push(("ssl.key.location", broker.certificate("client.key")));
    let mut ways = vec![tls("SSL"), mutual];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        ways.push(vec![
            ("bootstrap.servers", broker.listener("SASL_SSL").to_owned()),
            ("security.protocol", "sasl_ssl".to_owned()),
            ("sasl.mechanism", mechanism.to_owned()),
            ("sasl.username", USER.0.to_owned()),
            ("sasl.password", USER.1.to_owned()),
            ca.clone(),
        ]);
    }
    ways
}

fn as_str<'a>(settings: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn the_strict_broker_lets_in_who_it_should() {
    let broker = Broker::strict();
    let topic = unique("harness");
    broker.create_topic(&topic, 1, &[]);
    let ways = ways_in(broker);
    for way in &ways {
        produce(&as_str(way), &topic, b"x").unwrap_or_else(|e| panic!("{way:?}: {e}"));
    }
    assert_eq!(consumer::read_messages(broker.bootstrap(), &topic, ways.len()).len(), ways.len());
}

#[test]
fn the_strict_broker_makes_no_topics_and_keeps_its_access_rules() {
    let broker = Broker::strict();
    let [missing, denied] = [unique("harness"), unique("harness")];
    let ways = ways_in(broker);
    let by_password = as_str(&ways[2]);
    let code = |topic| produce(&by_password, topic, b"x").unwrap_err().rdkafka_error_code();
    assert_eq!(code(&missing), Some(RDKafkaErrorCode::UnknownTopicOrPartition));
    broker.create_topic(&denied, 1, &[]);
    broker.deny_write(&denied);
    assert_eq!(code(&denied), Some(RDKafkaErrorCode::TopicAuthorizationFailed));
}
