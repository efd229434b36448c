//! What real senders wrote arrives at Kafka record for record, however TCP cuts it.

use std::collections::BTreeMap;

use crate::support::collector::{AGENT, Collector};
use crate::support::consumer;
use crate::support::kafka::{Broker, unique};
use crate::support::random::Random;
use crate::support::record::{Record, Tag};
use crate::support::{captured, ocf, oracle};

/// The tags that the collectors of this file are told to add, in the order in which they do.
const ADDED: [(&str, &str); 3] =
    [("framework_name", "a framework"), ("application_name", "an app"), ("agent_id", AGENT)];

/// Sends `stream`, as `pieces` cuts it, and compares what arrives with what the oracle makes of the stream.
fn check(stream: &[u8], mut pieces: impl FnMut() -> usize) -> BTreeMap<String, Vec<Record>> {
    let prefix = unique("s") + "-";
    let kafka = Broker::shared().bootstrap();
    let tags = ["--framework-name", ADDED[0].1, "--application-name", ADDED[1].1];
    let collector = Collector::start(kafka, &[&tags[..], &["--kafka-topic-prefix", &prefix]].concat());
    collector.sender().send_in_pieces(stream, &mut pieces);

    let expected = oracle::expected(stream, &ADDED);
    let n_records: usize = expected.values().map(Vec::len).sum();
    collector.wait_accepted(n_records as u64);
    let ledger = collector.wait_delivered(n_records as u64);
    assert_eq!((ledger.kafka("lost"), ledger.kafka("set_aside")), (0, 0), "{ledger:?}");
    for (topic, records) in &expected {
        let messages = consumer::read(kafka, &(prefix.clone() + topic), records.len());
        assert_eq!(&consumer::records(&messages), records, "topic {topic}");
        assert_eq!(consumer::repeats_by_headers(&messages), 0, "topic {topic}");
        for message in &messages {
            assert_eq!(message.key.as_deref(), Some(AGENT.as_bytes()));
            assert_eq!(message.header("agent"), AGENT);
            assert!(!message.header("format").is_empty());
        }
    }
    expected
}

fn check_captured(name: &str, n_records: usize, n_datapoints: usize, pieces: impl FnMut() -> usize) {
    let by_topic = check(&captured(name), pieces);
    let records = || by_topic.values().flatten();
    let datapoints: usize = records().map(|r| r.datapoints.len()).sum();
    assert_eq!((records().count(), datapoints), (n_records, n_datapoints), "{name}");
    let has = |r: &Record| ADDED.iter().all(|(key, value)| r.tags.contains(&Tag::new(key, value)));
    assert!(records().all(has), "{name}: a tag is missing");
}

#[test]
fn the_mesos_modules_stream_arrives_when_sent_whole() {
    check_captured("module-mesos101.ocf", 1052, 1173, || usize::MAX);
}

#[test]
fn the_mesos_modules_stream_arrives_when_sent_byte_by_byte() {
    check_captured("module-mesos101.ocf", 1052, 1173, || 1);
}

#[test]
fn the_mesos_modules_stream_arrives_in_any_cuts() {
    let mut random = Random::new();
    check_captured("module-mesos101.ocf", 1052, 1173, move || random.up_to(5000));
}

#[test]
fn the_emitters_stream_arrives_when_sent_whole() {
    check_captured("collector-emitter.ocf", 40, 440, || usize::MAX);
}

#[test]
fn the_emitters_stream_arrives_when_sent_byte_by_byte() {
    check_captured("collector-emitter.ocf", 40, 440, || 1);
}

#[test]
fn the_emitters_stream_arrives_in_any_cuts() {
    let mut random = Random::new();
    check_captured("collector-emitter.ocf", 40, 440, move || random.up_to(300));
}

#[test]
fn tags_that_a_record_has_already_are_not_doubled() {
    let bare = Record::numbered("tags", 0);
    let records = [
        bare.clone(),
        bare.clone().with_tag("agent_id", "its own"),
        bare.clone().with_tag("framework_name", "its own").with_tag("application_name", ""),
        Record { tags: Vec::new(), ..bare },
    ];
    check(&ocf::stream(&records), || usize::MAX);
}
