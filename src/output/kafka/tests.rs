//! The output against librdkafka's mock cluster: what arrives is read back by a consumer and apache-avro.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use apache_avro::types::Value;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Err};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::settings::{Sasl, SaslMechanism};
use super::*;
use crate::dcos::discovery;
use crate::ocf::testing::{PLAIN, numbered, write_record};
use crate::record::{Fingerprint, Secret};
use crate::spool::{self, AsideReason, Framing, LossReason, OutputLedger, Spool, WhenFull};
use crate::telemetry::Problems;
use crate::telemetry::problems::{Kind, Seen};

mod forgetful;

/// How long anything may take before a test gives up and says what it waited for.
const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    cluster: MockCluster<'static, DefaultProducerContext>,
    spool: Spool,
    handle: Handle,
    task: JoinHandle<Vec<(TopicName, u64)>>,
    deadline: watch::Sender<bool>,
    settings: watch::Sender<Config>,
    producers: prometheus::IntCounter,
    in_flight: prometheus::IntGauge,
    problems: Problems,
    next: u32,
}

/// What a consumer read: values in the order of offsets, and each message's headers.
#[derive(Debug, Default)]
struct Read {
    values: Vec<u32>,
    messages: Vec<Received>,
}

/// Key, headers and size of a message.
type Received = (Option<Vec<u8>>, BTreeMap<String, String>, usize);

fn config(brokers: &str) -> Config {
    Config {
        brokers: brokers.split(',').map(str::to_owned).collect(),
        looked: None,
        broker_version: None,
        naming: Naming::prefix("metrics-"),
        batch: BatchLimits {
            records: NonZeroU32::new(10).unwrap(),
            bytes: 100_000,
            age: Duration::from_millis(20),
        },
        compression: Compression::None,
        require_all_acks: true,
        key: Key::Agent,
        agent_id: Some("agent-1".into()),
        queue_bytes: NonZeroUsize::new(1 << 20).unwrap(),
        limit: None,
        topics_max: NonZeroUsize::new(3).unwrap(),
        create_topics: None,
        security: Security::default(),
        files: None,
        properties: Vec::new(),
        verbose: false,
        record_log: false,
        hexdump: false,
    }
}

/// The brokers of a cluster, as they are found by what `looked` says.
fn found_by(
    looked: Option<&Arc<discovery::Config>>,
    cluster: &MockCluster<'_, DefaultProducerContext>,
) -> Known {
    Known { list: Arc::from([cluster.bootstrap_servers()]), looked: looked.cloned() }
}

fn list_of(cluster: &MockCluster<'_, DefaultProducerContext>) -> Known {
    found_by(None, cluster)
}

fn cluster_and_config(
    change: impl FnOnce(&mut Config),
) -> (MockCluster<'static, DefaultProducerContext>, Config) {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["metrics-a", "metrics-b"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let mut config = config(&cluster.bootstrap_servers());
    change(&mut config);
    (cluster, config)
}

fn rig(change: impl FnOnce(&mut Config)) -> Rig {
    let (cluster, config) = cluster_and_config(change);
    let framing = config.framing(&Envelope::new([7; 16]));
    rig_with(cluster, config, framing)
}

fn rig_with(cluster: MockCluster<'static, DefaultProducerContext>, config: Config, framing: Framing) -> Rig {
    let (_, known) = watch::channel(Some(Known { list: config.brokers.clone().into(), looked: None }));
    let brokers = Brokers::found(known, Arc::default());
    rig_of(cluster, config, brokers, framing)
}

fn rig_of(
    cluster: MockCluster<'static, DefaultProducerContext>,
    config: Config,
    brokers: Brokers,
    framing: Framing,
) -> Rig {
    let topics_max = if config.naming.single.is_some() { 0 } else { 100 };
    let spool = Spool::in_memory(
        spool::Config { memory_bytes: 8 << 20, when_full: WhenFull::Auto, topics_max },
        framing,
    );
    let problems = Problems::default();
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap().telling(&problems);
    let (producers, in_flight) = (metrics.producers.clone(), metrics.in_flight_messages.clone());
    let envelope = Envelope::new([7; 16]);
    let (settings, told) = watch::channel(config);
    let kafka =
        Kafka::new(told, brokers, spool.reader("kafka", true), envelope, "incarnation-1".into(), metrics);
    let (deadline, over) = watch::channel(false);
    let handle = kafka.handle();
    let task = tokio::spawn(kafka.run(over));
    Rig { cluster, spool, handle, task, deadline, settings, producers, in_flight, problems, next: 0 }
}

impl Rig {
    /// Accepts records with the next numbers, in one block.
    fn accept(&mut self, topic: &str, records: u32) {
        self.accept_sized(topic, records, 0);
    }

    /// The same, each about so many bytes larger.
    fn accept_sized(&mut self, topic: &str, records: u32, bytes: usize) {
        let numbers = self.next..self.next + records;
        self.next += records;
        let appended: Result<_, ()> = self.spool.append(0, |append| {
            for value in numbers {
                let mut record = numbered(topic, value);
                record.tags[0].value = vec![b'x'; bytes];
                let mut encoded = Vec::new();
                write_record(&record, PLAIN, &mut encoded);
                append.record(topic.as_bytes(), 1, encoded.len(), |out| out.extend_from_slice(&encoded));
            }
            Ok(())
        });
        assert_eq!(appended.unwrap().records, u64::from(records));
    }

    /// Whether there was such a problem, and if it lasts whether it is so now.
    fn problem(&self, kind: Kind) -> Option<bool> {
        self.problems.lately().iter().find(|seen| seen.kind == kind).map(Seen::is_now)
    }

    fn books(&self) -> OutputLedger {
        let books = self.spool.ledger().outputs.remove("kafka").unwrap();
        assert_eq!(books.imbalance(), 0, "{books:?}");
        books
    }

    async fn until(&self, what: &str, condition: impl Fn(&Rig) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: not within {PATIENCE:?}; {:?} {:?}",
                self.books(),
                self.handle.status()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn delivered(&self, records: u64) {
        self.until(&format!("{records} delivered"), |rig| rig.books().delivered == records).await;
    }

    /// Everything that is in a topic of one partition now.
    fn read(&self, topic: &str) -> Read {
        read(&self.cluster.bootstrap_servers(), topic)
    }

    /// Closes the spool and waits for the end.
    async fn close(self) -> (OutputLedger, Vec<(TopicName, u64)>) {
        self.spool.close();
        let undelivered = tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
        let books = self.spool.ledger().outputs.remove("kafka").unwrap();
        assert_eq!(books.imbalance(), 0, "{books:?}");
        (books, undelivered)
    }
}

fn read(brokers: &str, topic: &str) -> Read {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "test").create().unwrap();
    let (_, end) = consumer.fetch_watermarks(topic, 0, PATIENCE).unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut read = Read::default();
    while i64::try_from(read.messages.len()).unwrap() < end {
        let message = consumer.poll(PATIENCE).expect("a message before the end").unwrap();
        let payload = message.payload().unwrap();
        let values = values(payload);
        let header = |header: rdkafka::message::Header<'_, &[u8]>| {
            (header.key.to_owned(), String::from_utf8(header.value.unwrap().to_vec()).unwrap())
        };
        let headers = message.headers().unwrap().iter().map(header).collect();
        read.messages.push((message.key().map(<[u8]>::to_vec), headers, payload.len()));
        read.values.extend(values);
    }
    read
}

fn values(payload: &[u8]) -> Vec<u32> {
    let value = |record: Result<Value, _>| {
        let Value::Record(fields) = record.unwrap() else { panic!("no record") };
        let Value::Array(datapoints) = &fields[2].1 else { panic!("no datapoints") };
        let Value::Record(datapoint) = &datapoints[0] else { panic!("no datapoint") };
        let Value::Double(value) = datapoint[2].1 else { panic!("no value") };
        let number = format!("{value:.0}");
        number.parse().unwrap()
    };
    apache_avro::Reader::new(payload).unwrap().map(value).collect()
}

fn produce_fails(rig: &Rig, errors: &[Err]) {
    rig.cluster.request_errors(RDKafkaApiKey::Produce, errors);
}

#[tokio::test]
async fn records_arrive_in_order_with_key_and_headers() {
    let mut rig = rig(|_| {});
    rig.accept("a", 25);
    rig.delivered(25).await;
    rig.accept("a", 1);
    rig.delivered(26).await;
    let read = rig.read("metrics-a");
    assert_eq!(read.values, (0..26).collect::<Vec<_>>());
    let mut expected_first = 0;
    for (key, headers, _) in &read.messages {
        assert_eq!(key.as_deref(), Some(&b"agent-1"[..]));
        let header = |name: &str| headers[name].as_str();
        assert_eq!((header("agent"), header("incarnation")), ("agent-1", "incarnation-1"));
        assert_eq!(header("format"), FORMAT);
        assert_eq!(header("first"), expected_first.to_string());
        let records: u64 = header("records").parse().unwrap();
        assert!(records <= 10, "kafka-produce-count is 10");
        expected_first += records;
    }
    assert_eq!(expected_first, 26);
    let (books, undelivered) = rig.close().await;
    assert_eq!((books.delivered, undelivered), (26, vec![]));
}

#[tokio::test]
async fn what_is_over_the_limit_waits_for_its_time() {
    let mut rig = rig(|config| {
        let bytes = std::num::NonZeroU64::new(4000).unwrap();
        config.limit = Some(crate::record::Rate { bytes, period: Duration::from_secs(1) });
    });
    let begun = Instant::now();
    for _ in 0..6 {
        rig.accept_sized("a", 10, 300);
    }
    rig.delivered(60).await;
    // Six messages of about 4 kB: the first is in the budget, each of the others waits for the one before.
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(rig.read("metrics-a").values, (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_closes_at_its_bytes() {
    let mut rig = rig(|config| {
        config.batch.records = NonZeroU32::new(1000).unwrap();
        config.batch.bytes = 5_000;
    });
    for _ in 0..20 {
        rig.accept_sized("a", 5, 300);
    }
    rig.delivered(100).await;
    let read = rig.read("metrics-a");
    assert_eq!(read.values.len(), 100);
    for (_, _, bytes) in &read.messages {
        assert!(*bytes <= 5_000, "a message of {bytes}");
    }
}

#[tokio::test]
async fn a_frame_larger_than_a_message_becomes_several() {
    let (cluster, config) = cluster_and_config(|config| config.batch.bytes = 3_000);
    let mut rig = rig_with(cluster, config, Framing::default());
    rig.accept_sized("a", 40, 300);
    rig.delivered(40).await;
    assert_eq!(rig.read("metrics-a").values, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_record_larger_than_any_message_is_set_aside() {
    let mut rig = rig(|config| config.batch.bytes = 3_000);
    rig.accept("a", 2);
    rig.accept_sized("a", 1, 1_000_000);
    rig.accept("a", 2);
    rig.delivered(4).await;
    assert_eq!(rig.books().set_aside, BTreeMap::from([(AsideReason::RecordTooLarge, 1)]));
    assert_eq!(rig.problem(Kind::RecordTooLarge), Some(false));
    assert_eq!(rig.read("metrics-a").values, [0, 1, 3, 4]);
}

#[tokio::test]
async fn a_record_larger_than_messages_are_made_goes_alone() {
    let mut rig = rig(|config| config.batch.bytes = 3_000);
    rig.accept("a", 2);
    rig.accept_sized("a", 1, 900_000);
    rig.accept("a", 2);
    rig.delivered(5).await;
    assert_eq!(rig.read("metrics-a").values, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn illegal_topics_are_set_aside_and_others_flow() {
    let mut rig = rig(|_| {});
    rig.accept("no topic", 3);
    rig.accept("a", 1);
    rig.delivered(1).await;
    assert_eq!(rig.books().set_aside, BTreeMap::from([(AsideReason::IllegalTopic, 3)]));
    assert_eq!(rig.problem(Kind::TopicIllegal), Some(false));
}

#[tokio::test]
async fn topics_over_the_limit_are_set_aside_and_others_flow() {
    let mut rig = rig(|_| {});
    for topic in ["a", "b", "c", "d", "e"] {
        rig.accept(topic, 1);
    }
    rig.accept("a", 1);
    rig.delivered(4).await;
    assert_eq!(rig.books().set_aside, BTreeMap::from([(AsideReason::TopicLimit, 2)]));
    assert_eq!(rig.problem(Kind::TopicLimit), Some(false));
}

#[tokio::test]
async fn one_topic_takes_all_with_single_naming() {
    let mut rig = rig(|config| config.naming.single = Some(TopicName::parse(b"metrics-b").unwrap()));
    rig.accept("a", 2);
    rig.accept("no topic", 2);
    rig.accept("a", 2);
    rig.delivered(6).await;
    let read = rig.read("metrics-b");
    assert_eq!(read.values, [0, 1, 2, 3, 4, 5]);
    let firsts: Vec<_> = read.messages.iter().map(|(_, headers, _)| headers["first"].clone()).collect();
    assert_eq!(firsts[0], "0");
}

/// One topic for all, or none, as the program sets it: here, and then in the spool.
fn set_single(rig: &Rig, single: Option<&[u8]>) {
    set(rig, |config| {
        let single = single.map(|name| TopicName::parse(name).unwrap());
        let naming = Naming { single, ..Naming::prefix(config.naming.prefix.clone()) };
        config.naming = naming.after(&config.naming);
    });
    let topics_max = if single.is_some() { 0 } else { 100 };
    rig.spool.set(spool::Config { topics_max, ..rig.spool.config() });
}

#[tokio::test]
async fn one_topic_for_all_counts_for_what_comes_then_and_numbers_go_on() {
    let mut rig = rig(|config| config.batch.age = Duration::from_secs(3600));
    for topic in ["all", "other"] {
        rig.cluster.create_topic(topic, 1, 1).unwrap();
    }
    rig.accept("a", 3);
    rig.delivered(3).await;
    rig.accept("a", 4);
    set_single(&rig, Some(b"all"));
    rig.accept("a", 2);
    rig.accept("b", 2);
    set_single(&rig, None);
    rig.accept("b", 3);
    set_single(&rig, Some(b"all"));
    rig.accept("a", 1);
    set(&rig, |config| config.batch.age = Duration::from_millis(20));
    rig.delivered(15).await;
    assert_eq!(rig.producers.get(), 1, "no producer has to give way for it");
    // What waits goes to another one, as with another prefix.
    set_single(&rig, Some(b"other"));
    rig.until("a producer is made anew", |rig| rig.producers.get() == 2).await;
    rig.accept("b", 2);
    rig.delivered(17).await;
    let values = ["metrics-a", "metrics-b", "all", "other"].map(|topic| rig.read(topic).values);
    let expected: [Vec<u32>; 4] = [(0..7).collect(), (11..14).collect(), vec![7, 8, 9, 10, 14], vec![15, 16]];
    assert_eq!(values, expected);
    let firsts = |topic| -> Vec<u64> {
        let headers = rig.read(topic).messages.into_iter().map(|(_, headers, _)| headers);
        headers.map(|headers| headers["first"].parse().unwrap()).collect()
    };
    assert_eq!((firsts("other"), firsts("metrics-b")), (vec![5], vec![0]));
    let (books, undelivered) = rig.close().await;
    assert_eq!((books.delivered, books.imbalance(), undelivered), (17, 0, Vec::new()));
}

#[tokio::test]
async fn more_topics_may_be_told_apart_at_once_and_those_that_are_known_stay() {
    let mut rig = rig(|config| config.topics_max = NonZeroUsize::new(1).unwrap());
    rig.accept("a", 1);
    rig.accept("b", 1);
    rig.until("the second is set aside", |rig| rig.books().set_aside.values().sum::<u64>() == 1).await;
    set(&rig, |config| config.topics_max = NonZeroUsize::new(2).unwrap());
    rig.accept("b", 2);
    rig.delivered(3).await;
    set(&rig, |config| config.topics_max = NonZeroUsize::new(1).unwrap());
    rig.accept("b", 1);
    rig.accept("c", 1);
    rig.delivered(4).await;
    rig.until("a third is set aside", |rig| rig.books().set_aside.values().sum::<u64>() == 2).await;
    assert_eq!(rig.producers.get(), 1);
}

#[tokio::test]
async fn another_bound_on_what_is_under_way_counts_from_the_next_producer_on() {
    let mut rig = rig(|_| {});
    rig.accept("a", 5);
    rig.delivered(5).await;
    set(&rig, |config| config.queue_bytes = NonZeroUsize::new(2 << 20).unwrap());
    rig.until("a producer is made anew", |rig| rig.producers.get() == 2).await;
    assert_eq!(rig.handle.status().in_flight_bytes_max, 2 << 20);
    rig.accept("a", 5);
    rig.delivered(10).await;
    assert_eq!(rig.read("metrics-a").values, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_agent_is_the_next_messages_key() {
    let mut rig = rig(|_| {});
    rig.accept("a", 1);
    rig.delivered(1).await;
    set(&rig, |config| config.agent_id = Some("agent-2".into()));
    rig.accept("a", 1);
    rig.delivered(2).await;
    let keys: Vec<_> = rig.read("metrics-a").messages.into_iter().map(|(key, ..)| key.unwrap()).collect();
    assert_eq!(keys, [b"agent-1", b"agent-2"]);
    assert_eq!(rig.producers.get(), 1);
}

#[tokio::test]
async fn other_contents_of_a_certificate_are_another_credential() {
    let mut rig = rig(|config| config.files = Some(Fingerprint::of(b"old")));
    rig.accept("a", 5);
    rig.delivered(5).await;
    set(&rig, |config| config.files = Some(Fingerprint::of(b"new")));
    rig.until("a producer is made anew", |rig| rig.producers.get() == 2).await;
    rig.accept("a", 5);
    rig.delivered(10).await;
}

#[tokio::test]
async fn passing_errors_are_waited_out_in_order() {
    for error in [
        Err::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        Err::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Err::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        Err::RD_KAFKA_RESP_ERR__TRANSPORT,
    ] {
        let mut rig = rig(|_| {});
        produce_fails(&rig, &[error, error]);
        rig.accept("a", 30);
        rig.delivered(30).await;
        assert_eq!(rig.read("metrics-a").values, (0..30).collect::<Vec<_>>(), "{error:?}");
    }
}

#[tokio::test]
async fn a_message_too_large_for_the_broker_is_split_down_to_the_record() {
    let mut rig = rig(|config| config.properties = vec![("linger.ms".into(), "0".into())]);
    // The message of eight as one of many, then alone, halves of four and two, and two single records.
    produce_fails(&rig, &[Err::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 6]);
    rig.accept("a", 8);
    rig.until("all finished", |rig| rig.books().waiting == 0).await;
    let books = rig.books();
    assert_eq!(books.set_aside, BTreeMap::from([(AsideReason::RecordTooLarge, 2)]));
    assert_eq!(rig.problem(Kind::RecordTooLarge), Some(false));
    assert_eq!(rig.read("metrics-a").values, [2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn a_refused_message_costs_the_refused_records_alone() {
    let mut rig = rig(|_| {});
    // The message of ten as one of many, then alone, and of its ten records the first.
    produce_fails(&rig, &[Err::RD_KAFKA_RESP_ERR_INVALID_RECORD; 3]);
    rig.accept("a", 10);
    rig.until("all finished", |rig| rig.books().waiting == 0).await;
    assert_eq!(rig.books().set_aside, BTreeMap::from([(AsideReason::Refused, 1)]));
    assert_eq!(rig.problem(Kind::RecordRefused), Some(false));
    assert_eq!(rig.read("metrics-a").values, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_topic_that_may_not_be_written_waits_and_others_flow() {
    let mut rig = rig(|_| {});
    rig.cluster.topic_error("metrics-b", Err::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    rig.accept("b", 5);
    rig.accept("a", 5);
    rig.delivered(5).await;
    rig.until("b is held", |rig| {
        rig.handle.status().topics.iter().any(|topic| topic.state == "not_authorized")
    })
    .await;
    rig.accept("a", 5);
    rig.delivered(10).await;
    assert_eq!(rig.books().waiting, 5);
    assert_eq!(rig.problem(Kind::TopicNotAuthorized), Some(true));
    let (books, undelivered) = {
        rig.deadline.send(true).unwrap();
        rig.close().await
    };
    assert_eq!(undelivered, [(TopicName::parse(b"metrics-b").unwrap(), 5)]);
    assert_eq!(books.lost, BTreeMap::from([(LossReason::Shutdown, 5)]));
}

#[tokio::test]
async fn a_topic_that_is_unknown_is_asked_for_again() {
    let mut rig = rig(|_| {});
    rig.cluster.topic_error("metrics-b", Err::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    rig.accept("b", 5);
    rig.accept("a", 5);
    rig.delivered(5).await;
    rig.until("b is held", |rig| {
        rig.handle.status().topics.iter().any(|topic| topic.state == "unknown_topic")
    })
    .await;
    assert_eq!(rig.problem(Kind::TopicUnknown), Some(true));
    rig.cluster.topic_error("metrics-b", Err::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    rig.delivered(10).await;
    rig.until("the topic's problem is over", |rig| rig.problem(Kind::TopicUnknown) == Some(false)).await;
    assert_eq!(rig.read("metrics-b").values, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_fenced_producer_is_replaced_and_what_it_held_is_sent_again() {
    let mut rig = rig(|_| {});
    rig.accept("a", 5);
    rig.delivered(5).await;
    produce_fails(&rig, &[Err::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING; 2]);
    rig.accept("a", 20);
    rig.delivered(25).await;
    assert!(rig.producers.get() > 1);
    let mut values = rig.read("metrics-a").values;
    values.sort_unstable();
    values.dedup();
    assert_eq!(values, (0..25).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_producer_that_fails_for_good_is_told_until_something_is_acknowledged() {
    let mut rig = rig(|_| {});
    // What brokers say to those who may not be idempotent. It comes by the error callback alone.
    let denied = Err::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    rig.cluster.request_errors(RDKafkaApiKey::InitProducerId, &[denied; 2]);
    rig.accept("a", 20);
    rig.until("a producer has failed", |rig| rig.producers.get() == 2).await;
    assert!(!rig.handle.part().ready, "one that is new is no better until something is acknowledged");
    assert!(rig.handle.part().detail.contains("authorization"), "{:?}", rig.handle.part());
    assert_eq!(rig.problem(Kind::KafkaProducer), Some(false));
    rig.delivered(20).await;
    assert!(rig.handle.part().ready, "{:?}", rig.handle.part());
    assert_eq!((rig.producers.get(), rig.read("metrics-a").values.len()), (3, 20));
}

#[tokio::test]
async fn it_waits_for_brokers_to_be_found_and_moves_with_them() {
    let (first, config) = cluster_and_config(|_| {});
    let (found, known) = watch::channel(None);
    let lost = Arc::new(tokio::sync::Notify::new());
    let framing = config.framing(&Envelope::new([7; 16]));
    let brokers = Brokers::found(known, lost.clone());
    let mut rig = rig_of(first, config, brokers, framing);
    rig.accept("a", 20);
    rig.until("it says that it knows none", |rig| rig.handle.part().detail.contains("no brokers are known"))
        .await;
    found.send(Some(list_of(&rig.cluster))).unwrap();
    rig.delivered(20).await;

    // While the old ones answer nothing is sent twice.
    let (second, _) = cluster_and_config(|_| {});
    rig.accept("a", 20);
    found.send(Some(list_of(&second))).unwrap();
    rig.accept("a", 20);
    rig.delivered(60).await;
    let read = |cluster: &MockCluster<'_, DefaultProducerContext>| {
        read(&cluster.bootstrap_servers(), "metrics-a").values
    };
    let (before, after) = (read(&rig.cluster), read(&second));
    assert_eq!([&before[..], &after[..]].concat(), (0..60).collect::<Vec<_>>());
    assert_eq!(before.len(), 20, "the list was there before the records");
    assert_eq!(rig.handle.status().brokers, [second.bootstrap_servers()]);

    // When they are gone that is told, and what they did not acknowledge goes to the next ones.
    _ = tokio::time::timeout(Duration::ZERO, lost.notified()).await;
    second.broker_down(1).unwrap();
    rig.accept("a", 20);
    tokio::time::timeout(PATIENCE, lost.notified()).await.expect("it is told that they are gone");
    let (third, _) = cluster_and_config(|_| {});
    found.send(Some(list_of(&third))).unwrap();
    rig.delivered(80).await;
    assert_eq!(read(&third), (60..80).collect::<Vec<_>>());
    assert!(rig.handle.part().ready, "{:?}", rig.handle.part());
}

#[tokio::test]
async fn stuck_topics_leave_room_for_others() {
    let mut rig = rig(|config| {
        config.topics_max = NonZeroUsize::new(10).unwrap();
        config.queue_bytes = NonZeroUsize::new(40_000).unwrap();
        config.batch.bytes = 10_000;
    });
    let stuck = ["s1", "s2", "s3", "s4", "s5"];
    for topic in stuck {
        let name = format!("metrics-{topic}");
        rig.cluster.create_topic(&name, 1, 1).unwrap();
        rig.cluster.partition_leader(&name, 0, None).unwrap();
        rig.accept_sized(topic, 30, 1000);
    }
    rig.until("they fill what may be under way", |rig| rig.handle.status().in_flight_bytes > 30_000).await;
    rig.accept_sized("a", 30, 1000);
    rig.delivered(30).await;
    rig.accept_sized("a", 30, 1000);
    rig.delivered(60).await;
    assert_eq!(rig.books().waiting, 150);
    for topic in stuck {
        rig.cluster.partition_leader(&format!("metrics-{topic}"), 0, Some(1)).unwrap();
    }
    rig.delivered(210).await;
}

#[tokio::test]
async fn a_full_queue_of_the_client_is_waited_out() {
    let mut rig = rig(|config| config.properties = vec![("queue.buffering.max.messages".into(), "1".into())]);
    rig.accept("a", 50);
    rig.delivered(50).await;
    assert_eq!(rig.read("metrics-a").values, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn records_of_a_held_topic_make_room_in_a_full_spool() {
    let mut rig = rig(|_| {});
    rig.cluster.topic_error("metrics-b", Err::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    rig.accept_sized("b", 40, 20_000);
    rig.until("b is held and nothing of it is under way", |rig| {
        let status = rig.handle.status();
        status.topics.iter().any(|topic| topic.state == "not_authorized") && status.in_flight_messages == 0
    })
    .await;
    for _ in 0..9 {
        rig.accept_sized("b", 40, 25_000);
    }
    rig.until("what waits too long for b has to go", |rig| {
        rig.spool.has_room(spool::Weight::Light) && rig.books().lost.contains_key(&LossReason::SpoolFull)
    })
    .await;
    let lost = rig.books().lost[&LossReason::SpoolFull];
    rig.accept("a", 10);
    rig.delivered(10).await;
    assert_eq!(rig.books().waiting + lost, 400);
}

#[tokio::test]
async fn one_broker_of_several_that_is_gone_is_no_outage_for_the_others() {
    let cluster = MockCluster::new(3).unwrap();
    for (topic, leader) in [("metrics-a", 1), ("metrics-b", 3)] {
        cluster.create_topic(topic, 1, 1).unwrap();
        cluster.partition_leader(topic, 0, Some(leader)).unwrap();
    }
    let config = config(&cluster.bootstrap_servers());
    let framing = config.framing(&Envelope::new([7; 16]));
    let mut rig = rig_with(cluster, config, framing);
    rig.accept("a", 5);
    rig.accept("b", 5);
    rig.delivered(10).await;
    rig.cluster.broker_down(3).unwrap();
    rig.accept("b", 5);
    // Long enough for its topic to count as stuck.
    let deadline = Instant::now() + 2 * notes::STALLED_AFTER;
    while Instant::now() < deadline {
        rig.accept("a", 1);
        rig.delivered(u64::from(rig.next) - 5).await;
        assert!(rig.handle.part().ready, "{:?}", rig.handle.part());
    }
    rig.until("it is told", |rig| rig.problem(Kind::TopicStalled) == Some(true)).await;
    assert!(rig.problem(Kind::KafkaUnreachable).is_none_or(|is_now| !is_now));
    rig.cluster.broker_up(3).unwrap();
    rig.delivered(rig.next.into()).await;
    rig.until("the topic's problem is over", |rig| rig.problem(Kind::TopicStalled) == Some(false)).await;
}

#[tokio::test]
async fn it_starts_without_a_broker_and_delivers_when_one_comes() {
    let mut rig = rig(|_| {});
    rig.cluster.broker_down(1).unwrap();
    rig.accept("a", 15);
    rig.until("the outage is seen", |rig| !rig.handle.part().ready).await;
    rig.until("the outage is told", |rig| rig.problem(Kind::KafkaUnreachable) == Some(true)).await;
    assert_eq!(rig.books().waiting, 15);
    rig.cluster.broker_up(1).unwrap();
    rig.delivered(15).await;
    assert!(rig.handle.part().ready, "{:?}", rig.handle.part());
    assert_eq!(rig.problem(Kind::KafkaUnreachable), Some(false));
    assert_eq!(rig.read("metrics-a").values, (0..15).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_outage_under_way_loses_nothing() {
    let mut rig = rig(|_| {});
    for round in 0..5 {
        rig.accept("a", 50);
        rig.delivered(rig.next.into()).await;
        rig.cluster.broker_down(1).unwrap();
        for _ in 0..10 {
            rig.accept("a", 20);
        }
        rig.cluster.broker_up(1).unwrap();
        rig.delivered(rig.next.into()).await;
        assert!(rig.books().delivered == u64::from(rig.next), "round {round}");
    }
    let mut values = rig.read("metrics-a").values;
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), rig.next as usize);
}

#[tokio::test]
async fn closing_sends_what_waits_without_waiting_for_its_age() {
    let mut rig = rig(|config| {
        config.batch.age = Duration::from_secs(3600);
        config.batch.records = NonZeroU32::new(1000).unwrap();
    });
    rig.accept("a", 1);
    rig.delivered(1).await;
    rig.accept("a", 7);
    let brokers = rig.cluster.bootstrap_servers();
    rig.spool.close();
    let undelivered = tokio::time::timeout(PATIENCE, rig.task).await.unwrap().unwrap();
    assert_eq!(undelivered, []);
    assert_eq!(read(&brokers, "metrics-a").values, (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_end_of_the_grace_names_what_was_not_delivered() {
    let mut rig = rig(|_| {});
    rig.accept("a", 1);
    rig.delivered(1).await;
    rig.cluster.broker_down(1).unwrap();
    rig.accept("a", 30);
    rig.until("it is under way", |rig| rig.in_flight.get() > 0).await;
    rig.accept("b", 5);
    rig.deadline.send(true).unwrap();
    let (books, undelivered) = rig.close().await;
    let named = [(b"metrics-a", 30), (b"metrics-b", 5)];
    assert_eq!(undelivered, named.map(|(topic, records)| (TopicName::parse(topic).unwrap(), records)));
    assert_eq!((books.lost[&LossReason::Shutdown], books.waiting), (35, 0));
}

/// librdkafka makes room for an answer by its size, and too little where topics have short names and brokers are old.
#[tokio::test]
async fn many_short_topics_of_old_brokers_are_delivered_to() {
    const NAMES: [&std::ffi::CStr; 12] =
        [c"a", c"b", c"c", c"d", c"e", c"f", c"g", c"h", c"i", c"j", c"k", c"l"];
    for version in [1, 2, 4, 5, 7, 9] {
        let old = lend::OldMock::new(version, &NAMES);
        let mut config = config(&old.brokers());
        config.naming = Naming::prefix(String::new());
        config.topics_max = NonZeroUsize::new(100).unwrap();
        let framing = config.framing(&Envelope::new([7; 16]));
        let mut rig = rig_with(MockCluster::new(1).unwrap(), config, framing);
        for name in NAMES {
            rig.accept(name.to_str().unwrap(), 1);
        }
        rig.until(&format!("delivered by metadata version {version}"), |rig| rig.books().delivered == 12)
            .await;
    }
}

/// A mock of brokers that have neither idempotence nor zstd. Messages without headers it cannot store; that is left to
/// the real brokers.
fn poor_mock() -> lend::OldMock {
    lend::OldMock::with(&[(0, 0, 6), (22, -1, -1)], &[c"metrics-a"])
}

#[tokio::test]
async fn what_brokers_lack_is_switched_off_and_told() {
    let old = poor_mock();
    let mut config = config(&old.brokers());
    config.compression = Compression::Zstd;
    let framing = config.framing(&Envelope::new([7; 16]));
    let mut rig = rig_with(MockCluster::new(1).unwrap(), config, framing);
    rig.accept("a", 25);
    rig.delivered(25).await;
    assert_eq!(read(&old.brokers(), "metrics-a").values, (0..25).collect::<Vec<_>>());
    let broker = rig.handle.status().broker.unwrap();
    assert_eq!((broker.version, broker.known_by), ("2.0", "broker"));
    assert_eq!(broker.off, ["idempotence", "zstd"]);
}

#[tokio::test]
async fn a_version_that_brokers_are_not_is_named_where_nothing_goes() {
    let old = poor_mock();
    let mut config = config(&old.brokers());
    config.broker_version = Abilities::pinned("0.11");
    let framing = config.framing(&Envelope::new([7; 16]));
    let mut rig = rig_with(MockCluster::new(1).unwrap(), config, framing);
    rig.accept("a", 5);
    rig.until("the cause and the key are named", |rig| {
        let detail = rig.handle.part().detail;
        detail.contains("Idempotent producer not supported")
            && detail.contains("kafka-broker-version says 0.11")
    })
    .await;
    assert_eq!(rig.books().waiting, 5);
    assert_eq!(rig.handle.status().broker.unwrap().known_by, "kafka-broker-version");
}

#[tokio::test]
async fn brokers_that_do_not_answer_yet_are_named() {
    let mut rig = rig(|config| config.brokers = vec!["127.0.0.1:1".into()]);
    rig.accept("a", 5);
    rig.until("it says whom it asks", |rig| {
        let detail = rig.handle.part().detail;
        detail.contains("127.0.0.1:1: Connection refused") && detail.contains("records wait in the spool")
    })
    .await;
    assert_eq!((rig.books().waiting, rig.producers.get()), (5, 0));
}

/// Changes the settings while the output runs.
fn set(rig: &Rig, change: impl FnOnce(&mut Config)) {
    rig.settings.send_modify(change);
}

/// What of `topics` a consumer read, in their order; each in the order of offsets.
fn read_all(rig: &Rig, topics: &[&str]) -> Vec<u32> {
    topics.iter().flat_map(|topic| rig.read(topic).values).collect()
}

#[tokio::test]
async fn another_prefix_counts_for_what_is_not_taken_and_nothing_comes_twice() {
    let mut rig = rig(|config| config.batch.age = Duration::from_secs(3600));
    for topic in ["other-a", "other-b"] {
        rig.cluster.create_topic(topic, 1, 1).unwrap();
    }
    // The first message closes after a second; of the second nothing is sent before the prefix is another.
    rig.accept("a", 7);
    rig.delivered(7).await;
    rig.accept("a", 8);
    rig.accept("b", 5);
    set(&rig, |config| config.naming = Naming::prefix("other-"));
    rig.until("a producer is made anew", |rig| rig.producers.get() == 2).await;
    set(&rig, |config| config.batch.age = Duration::from_millis(20));
    rig.delivered(20).await;
    let (before, a, b) =
        (rig.read("metrics-a").values, rig.read("other-a").values, rig.read("other-b").values);
    assert_eq!((before, a, b), ((0..7).collect(), (7..15).collect(), (15..20).collect()));
    let headers: Vec<_> = rig.read("other-a").messages.into_iter().map(|(_, headers, _)| headers).collect();
    assert_eq!(headers[0]["first"], "7", "the records' numbers go on");
    let (books, undelivered) = rig.close().await;
    assert_eq!((books.delivered, books.waiting, undelivered), (20, 0, Vec::new()));
}

#[tokio::test]
async fn a_topic_that_cannot_be_called_so_keeps_its_name_for_what_waits() {
    let mut rig = rig(|config| config.batch.age = Duration::from_secs(3600));
    let long = "x".repeat(200);
    for prefix in ["metrics-", "z-"] {
        rig.cluster.create_topic(&format!("{prefix}{long}"), 1, 1).unwrap();
    }
    rig.accept(&long, 3);
    rig.delivered(3).await;
    rig.accept(&long, 4);
    set(&rig, |config| config.naming = Naming::prefix("y".repeat(100)));
    rig.until("a producer is made anew", |rig| rig.producers.get() == 2).await;
    set(&rig, |config| config.batch.age = Duration::from_millis(20));
    rig.delivered(7).await;
    rig.accept(&long, 2);
    rig.until("the rest is set aside", |rig| rig.books().set_aside.values().sum::<u64>() == 2).await;
    set(&rig, |config| config.naming = Naming::prefix("z-"));
    rig.accept(&long, 5);
    rig.until("it is told of the prefix", |rig| rig.producers.get() == 3).await;
    rig.accept(&long, 1);
    rig.until("nothing waits", |rig| rig.books().waiting == 0).await;
    assert_eq!(rig.read(&format!("metrics-{long}")).values, (0..7).collect::<Vec<_>>());
    let last = rig.read(&format!("z-{long}")).values;
    assert_eq!(last.last(), Some(&14), "{last:?}");
    let (books, undelivered) = rig.close().await;
    assert_eq!((books.imbalance(), undelivered), (0, Vec::new()));
}

#[tokio::test]
async fn batching_changes_at_once_and_without_another_producer() {
    let mut rig = rig(|config| config.batch.age = Duration::from_secs(3600));
    rig.accept("a", 5);
    rig.delivered(5).await;
    rig.accept("a", 5);
    rig.until("it waits", |rig| rig.books().waiting == 5).await;
    set(&rig, |config| config.batch.age = Duration::from_millis(20));
    rig.delivered(10).await;
    set(&rig, |config| {
        config.batch = BatchLimits { records: NonZeroU32::new(4).unwrap(), ..config.batch.clone() };
    });
    tokio::task::yield_now().await;
    rig.accept("a", 20);
    rig.delivered(30).await;
    let read = rig.read("metrics-a");
    assert_eq!(read.values, (0..30).collect::<Vec<_>>());
    let sizes: Vec<&str> = read.messages.iter().map(|(_, headers, _)| headers["records"].as_str()).collect();
    assert!(sizes[2..].iter().all(|records| records.parse::<u32>().unwrap() <= 4), "{sizes:?}");
    assert_eq!(rig.producers.get(), 1);
}

#[tokio::test]
async fn a_shorter_age_counts_for_what_comes_behind_a_longer_wait() {
    let mut rig = rig(|config| config.batch.age = Duration::from_secs(3600));
    rig.accept("a", 1);
    rig.delivered(1).await;
    // It waits for an hour, and is older than the next age when that comes.
    rig.accept("a", 1);
    let begun = Instant::now();
    let age = Duration::from_millis(1);
    rig.until("it has waited", |rig| rig.books().waiting == 1 && begun.elapsed() > 10 * age).await;
    set(&rig, |config| config.batch.age = age);
    rig.delivered(2).await;
    rig.accept("a", 3);
    rig.delivered(5).await;
}

#[tokio::test]
async fn what_a_producer_is_made_of_changes_while_records_flow_and_nothing_comes_twice() {
    let mut rig = rig(|_| {});
    rig.accept("a", 10);
    rig.delivered(10).await;
    let mut all = 10;
    // Long enough for something to be seen under way.
    rig.cluster.broker_round_trip_time(1, Duration::from_millis(200)).unwrap();
    let compressions = [Compression::Lz4, Compression::Gzip, Compression::Zstd, Compression::Snappy];
    for (n, compression) in compressions.into_iter().enumerate() {
        rig.accept("a", 40);
        rig.accept("b", 40);
        rig.until("some is under way", |rig| rig.in_flight.get() > 0).await;
        set(&rig, |config| config.compression = compression);
        rig.accept("a", 40);
        all += 120;
        rig.delivered(all).await;
        rig.until("it is made of them", |rig| rig.producers.get() == n as u64 + 2).await;
    }
    let mut values = read_all(&rig, &["metrics-a", "metrics-b"]);
    assert_eq!(values.len(), 490);
    values.sort_unstable();
    assert_eq!(values, (0..490).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_change_waits_for_brokers_that_do_not_answer_and_other_brokers_do_not() {
    // They are looked for: what is set names none.
    let (first, config) = cluster_and_config(|config| config.brokers.clear());
    let (found, known) = watch::channel(Some(list_of(&first)));
    let framing = config.framing(&Envelope::new([7; 16]));
    let mut rig = rig_of(first, config, Brokers::found(known, Arc::default()), framing);
    rig.accept("a", 10);
    rig.delivered(10).await;
    rig.cluster.broker_down(1).unwrap();
    rig.accept("a", 10);
    rig.until("it is down", |rig| rig.handle.status().state == "down").await;
    rig.until("something is under way", |rig| rig.handle.status().in_flight_messages > 0).await;
    set(&rig, |config| config.compression = Compression::Lz4);
    let (second, _) = cluster_and_config(|_| {});
    found.send(Some(list_of(&second))).unwrap();
    rig.delivered(20).await;
    assert_eq!(read(&second.bootstrap_servers(), "metrics-a").values, (10..20).collect::<Vec<_>>());
    assert_eq!(rig.producers.get(), 2);
}

/// The look for the brokers of a framework.
fn looked(framework: &str) -> discovery::Config {
    discovery::Config::of(discovery::FrameworkName::parse(framework).unwrap())
}

/// The same for the brokers of framework `a`, in another way.
fn elsewhere() -> discovery::Config {
    discovery::Config { pinned: Some(discovery::Way::Marathon), ..looked("a") }
}

fn with_password(password: &str) -> Security {
    let password = Secret::new(password.to_owned());
    let sasl = Sasl { mechanism: SaslMechanism::Plain, username: "me".to_owned(), password };
    Security { tls: None, sasl: Some(sasl) }
}

/// An output that delivers to brokers known by `before`, and where others are told to it.
async fn delivering(before: Option<discovery::Config>) -> (Rig, watch::Sender<List>) {
    let (cluster, mut config) = cluster_and_config(|_| {});
    if before.is_some() {
        config.brokers.clear();
    }
    config.looked = before.map(Arc::new);
    let (found, known) = watch::channel(Some(found_by(config.looked.as_ref(), &cluster)));
    let framing = config.framing(&Envelope::new([7; 16]));
    let mut rig = rig_of(cluster, config, Brokers::found(known, Arc::default()), framing);
    rig.accept("a", 10);
    rig.delivered(10).await;
    (rig, found)
}

#[tokio::test]
async fn no_old_broker_is_shown_the_credentials_for_those_that_are_looked_for() {
    for (before, after) in
        [(Some(looked("a")), looked("b")), (None, looked("b")), (Some(looked("a")), elsewhere())]
    {
        let (mut rig, found) = delivering(before.clone()).await;
        let [before, after] = [before, Some(after)].map(|looked| looked.map(Arc::new));
        set(&rig, |config| {
            (config.looked, config.security) = (after.clone(), with_password("other"));
            config.brokers.clear();
        });
        rig.until("there are none", |rig| rig.handle.part().detail.contains("no brokers are known")).await;
        // Neither a list that comes late, nor other settings make them those that are looked for.
        let (late, _) = cluster_and_config(|_| {});
        found.send(Some(found_by(before.as_ref(), &late))).unwrap();
        set(&rig, |config| (config.verbose, config.topics_max) = (true, NonZeroUsize::MIN));
        rig.accept("b", 1);
        rig.until("both are heard", |rig| rig.books().set_aside.values().sum::<u64>() == 1).await;
        assert_eq!((rig.producers.get(), rig.handle.status().brokers), (1, Vec::new()));
        let (second, _) = cluster_and_config(|_| {});
        found.send(Some(found_by(after.as_ref(), &second))).unwrap();
        rig.until("it is made of the others", |rig| rig.producers.get() == 2).await;
        assert_eq!(rig.handle.status().brokers, [second.bootstrap_servers()]);
    }
}

#[tokio::test]
async fn other_brokers_alone_and_credentials_alone_leave_the_known_ones_in_use() {
    for other in [looked("b"), elsewhere()] {
        let (mut rig, _found) = delivering(Some(looked("a"))).await;
        let first = [rig.cluster.bootstrap_servers()];
        set(&rig, |config| config.security = with_password("other"));
        rig.until("it is made of them", |rig| rig.producers.get() == 2).await;
        assert_eq!(rig.handle.status().brokers, first);
        set(&rig, |config| config.security = Security::default());
        rig.until("it is made of them again", |rig| rig.producers.get() == 3).await;
        set(&rig, |config| config.looked = Some(other.into()));
        rig.accept("a", 10);
        rig.delivered(20).await;
        assert_eq!(rig.handle.status().brokers, first);
        // What they have is taken with the credentials of before; other ones are not shown to them.
        set(&rig, |config| config.security = with_password("third"));
        rig.until("there are none", |rig| rig.handle.part().detail.contains("no brokers are known")).await;
        set(&rig, |config| config.security = Security::default());
        rig.accept("a", 10);
        rig.delivered(30).await;
    }
}

#[tokio::test]
async fn a_change_waits_for_nothing_where_no_broker_has_ever_answered() {
    let (cluster, config) = cluster_and_config(|config| config.broker_version = Abilities::pinned("0.11"));
    cluster.broker_down(1).unwrap();
    let framing = config.framing(&Envelope::new([7; 16]));
    let mut rig = rig_with(cluster, config, framing);
    rig.accept("a", 10);
    rig.until("something is under way", |rig| rig.handle.status().in_flight_messages > 0).await;
    set(&rig, |config| config.verbose = true);
    rig.until("a producer is made anew", |rig| rig.producers.get() == 2).await;
    rig.cluster.broker_up(1).unwrap();
    rig.delivered(10).await;
    assert_eq!(rig.read("metrics-a").values, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_limit_counts_for_those_who_wait() {
    let mut rig = rig(|config| {
        let bytes = std::num::NonZeroU64::new(1).unwrap();
        config.limit = Some(crate::record::Rate { bytes, period: Duration::from_secs(3600) });
    });
    rig.accept("a", 10);
    rig.delivered(10).await;
    rig.accept("a", 10);
    rig.until("it waits", |rig| rig.books().waiting == 10).await;
    set(&rig, |config| config.limit = None);
    rig.delivered(20).await;
}

#[test]
fn settings_are_held_against_librdkafka() {
    let faults = |name: &str, value: &str| {
        let mut config = config("127.0.0.1:1");
        config.properties = vec![(name.into(), value.into())];
        check(&config)
    };
    assert_eq!(faults("linger.ms", "7"), Vec::<String>::new());
    for (name, value) in [("linger.ms", "soon"), ("no.such.property", "1"), ("bootstrap.servers", "a:1")] {
        let faults = faults(name, value);
        assert_eq!(faults.len(), 1, "{name}");
        assert!(faults[0].contains(name), "{faults:?}");
    }
}
