//! What a real broker refuses: each kind has its own answer, and never holds up other topics.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::kafka::{Broker, USER, unique};
use crate::support::random::Random;
use crate::support::record::{Record, numbered};
use crate::support::{consumer, eventually, ocf, once};

/// A collector whose Kafka topics are named as the records' topics are.
fn start(kafka: &str, more: &[&str]) -> Collector {
    Collector::start(kafka, &[&["--kafka-topic-prefix", ""], more].concat())
}

/// A record of `bytes` bytes and a bit that compression makes little smaller.
fn bulky(topic: &str, number: u32, bytes: usize, random: &mut Random) -> Record {
    Record::numbered(topic, number).with_tag("bulk", &random.text(bytes))
}

fn numbers_at(kafka: &str, topic: &str, n_records: usize) -> BTreeSet<u32> {
    consumer::records(&consumer::read(kafka, topic, n_records)).iter().map(Record::number).collect()
}

/// Waits until `/v1/status` says of the topic that it is in this state.
fn wait_topic_state(collector: &Collector, topic: &str, state: &str) {
    eventually(&format!("topic {topic} is {state}"), || {
        let status = collector.status();
        let topics = status["kafka"]["topics"].as_array().cloned().unwrap_or_default();
        let found = topics.iter().find(|t| t["topic"] == topic).map_or(&Value::Null, |t| &t["state"]);
        once(found == state, || format!("{status}"))
    });
}

#[test]
fn messages_too_large_for_a_topic_are_split_and_all_arrive() {
    let broker = Broker::shared();
    let topic = unique("small");
    broker.create_topic(&topic, 1, &[("max.message.bytes", "20000")]);
    let collector = start(broker.bootstrap(), &[]);
    let mut random = Random::fixed();
    let records: Vec<Record> = (0..300).map(|n| bulky(&topic, n, 1000, &mut random)).collect();
    collector.send(&ocf::stream(&records));
    let ledger = collector.wait_delivered(300);
    assert_eq!(ledger.kafka("set_aside"), 0, "{ledger:?}");
    let messages = consumer::read(broker.bootstrap(), &topic, 300);
    assert!(messages.len() > 10, "{} messages can not all be under 20,000 bytes", messages.len());
    let arrived: BTreeSet<u32> = consumer::records(&messages).iter().map(Record::number).collect();
    assert_eq!(arrived, (0..300).collect());
}

#[test]
fn a_record_too_large_for_its_topic_is_set_aside_and_its_neighbours_arrive() {
    let broker = Broker::shared();
    let topic = unique("small");
    broker.create_topic(&topic, 1, &[("max.message.bytes", "20000")]);
    let collector = start(broker.bootstrap(), &[]);
    let mut random = Random::fixed();
    let size = |n| if n == 7 { 60_000 } else { 100 };
    let records: Vec<Record> = (0..20).map(|n| bulky(&topic, n, size(n), &mut random)).collect();
    collector.send(&ocf::stream(&records));
    let ledger = collector.wait_delivered(19);
    assert_eq!((ledger.set_aside("record_too_large"), ledger.kafka("waiting")), (1, 0), "{ledger:?}");
    let expected: BTreeSet<u32> = (0..20).filter(|n| *n != 7).collect();
    assert_eq!(numbers_at(broker.bootstrap(), &topic, 19), expected);
}

#[test]
fn a_topic_that_takes_no_record_at_all_stops_nothing_else() {
    let broker = Broker::shared();
    let [tiny, other] = [unique("tiny"), unique("other")];
    broker.create_topic(&tiny, 1, &[("max.message.bytes", "100")]);
    let collector = start(broker.bootstrap(), &["--kafka-produce-count", "20"]);
    // What comes later grows when it is known how little the topic takes.
    for round in 0..3 {
        let numbers = 10 * round..10 * round + 10;
        collector.send(&ocf::stream(&[numbered(&tiny, numbers.clone()), numbered(&other, numbers)].concat()));
        let all = u64::from(10 * round + 10);
        let ledger = collector.wait_delivered(all);
        collector.wait_books("kafka", "set_aside", all);
        assert_eq!(ledger.kafka("lost"), 0, "{ledger:?}");
    }
    assert_eq!(numbers_at(broker.bootstrap(), &other, 30), (0..30).collect());
    assert_eq!(collector.ledger().set_aside("record_too_large"), 30);
    assert_eq!(collector.terminate().status.code(), Some(0));
}

#[test]
fn missing_topics_are_created_as_told() {
    let broker = Broker::strict();
    let topic = unique("created");
    let args = ["--kafka-create-topics", "--kafka-topic-partitions", "3", "--kafka-topic-replication", "1"];
    let collector = start(broker.bootstrap(), &args);
    collector.send(&ocf::stream(&numbered(&topic, 0..10)));
    collector.wait_delivered(10);
    assert_eq!(consumer::partitions(broker.bootstrap(), &topic), 3);
    assert_eq!(numbers_at(broker.bootstrap(), &topic, 10), (0..10).collect());
}

#[test]
fn a_missing_topic_is_held_until_somebody_makes_it_while_others_flow() {
    let broker = Broker::strict();
    let [missing, there] = [unique("held"), unique("flows")];
    broker.create_topic(&there, 1, &[]);
    let collector = start(broker.bootstrap(), &[]);
    collector.send(&ocf::stream(&[numbered(&missing, 0..10), numbered(&there, 0..10)].concat()));
    collector.wait_delivered(10);
    wait_topic_state(&collector, &missing, "unknown_topic");
    assert_eq!(numbers_at(broker.bootstrap(), &there, 10), (0..10).collect());

    broker.create_topic(&missing, 1, &[]);
    let ledger = collector.wait_delivered(20);
    assert_eq!((ledger.kafka("lost"), ledger.kafka("set_aside")), (0, 0), "{ledger:?}");
    assert_eq!(numbers_at(broker.bootstrap(), &missing, 10), (0..10).collect());
}

#[test]
fn an_illegal_topic_is_set_aside_and_counted_while_others_flow() {
    let broker = Broker::shared();
    let topic = unique("legal");
    let collector = start(broker.bootstrap(), &[]);
    let mut records = numbered(&topic, 0..10);
    for illegal in ["a/b", "a b", "", "..", "\u{e9}", &"x".repeat(250)] {
        records.extend(numbered(illegal, 0..2));
    }
    collector.send(&ocf::stream(&records));
    let ledger = collector.wait_delivered(10);
    assert_eq!((ledger.set_aside("illegal_topic"), ledger.kafka("waiting")), (12, 0), "{ledger:?}");
    assert_eq!(numbers_at(broker.bootstrap(), &topic, 10), (0..10).collect());
}

#[test]
fn a_forbidden_topic_is_blocked_while_others_flow() {
    let broker = Broker::strict();
    let [denied, allowed] = [unique("denied"), unique("allowed")];
    for topic in [&denied, &allowed] {
        broker.create_topic(topic, 1, &[]);
    }
    broker.deny_write(&denied);
    let ca = broker.certificate("ca.pem");
    let login =
        ["--kafka-sasl-mechanism", "PLAIN", "--kafka-sasl-username", USER.0, "--kafka-sasl-password", USER.1];
    let tls = ["--kafka-security-protocol", "sasl_ssl", "--kafka-ssl-ca", &ca];
    let collector = start(broker.listener("SASL_SSL"), &[&login[..], &tls].concat());
    for round in 0..3 {
        let range = round * 10..round * 10 + 10;
        collector.send(&ocf::stream(&[numbered(&denied, range.clone()), numbered(&allowed, range)].concat()));
        collector.wait_delivered(u64::from(round + 1) * 10);
    }
    wait_topic_state(&collector, &denied, "not_authorized");
    let ledger = collector.ledger();
    assert_eq!((ledger.kafka("waiting"), ledger.kafka("set_aside")), (30, 0), "{ledger:?}");
    assert_eq!(numbers_at(broker.bootstrap(), &allowed, 30), (0..30).collect());
}

#[test]
fn topics_over_the_limit_are_set_aside_and_counted() {
    let broker = Broker::shared();
    let topics: Vec<String> = (0..3).map(|_| unique("limit")).collect();
    let collector = start(broker.bootstrap(), &["--kafka-topics-max", "2"]);
    collector.send(&ocf::stream(&topics.iter().flat_map(|topic| numbered(topic, 0..5)).collect::<Vec<_>>()));
    let ledger = collector.wait_delivered(10);
    assert_eq!((ledger.set_aside("topic_limit"), ledger.kafka("waiting")), (5, 0), "{ledger:?}");
}
