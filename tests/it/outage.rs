//! Kafka goes and comes, the collector is told to stop: every record that was accepted is at Kafka in the end.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::collector::{Collector, LONG_GRACE};
use crate::support::consumer::{self, Message};
use crate::support::kafka::{Broker, OwnBroker, unique};
use crate::support::load::{load, under_load_with_pauses, while_sending};
use crate::support::{eventually, ocf, once, record};

/// The numbers that arrived; tells how many came more than once, and that the headers say the same.
fn numbers(messages: &[Message]) -> BTreeSet<u32> {
    let all: Vec<u32> = consumer::records(messages).iter().map(record::Record::number).collect();
    let unique: BTreeSet<u32> = all.iter().copied().collect();
    let repeats = (all.len() - unique.len()) as u64;
    println!("{} records, {repeats} of them repeats, in {} messages", all.len(), messages.len());
    assert_eq!(consumer::repeats_by_headers(messages), repeats, "headers tell a consumer what came again");
    unique
}

/// Runs a load that goes on while the broker goes and comes back.
fn check_outage(go: fn(&mut OwnBroker)) {
    /// Records that have to go through in each part of the test.
    const PART: u64 = 3_000;
    let mut broker = OwnBroker::started();
    let topic = unique("outage");
    // Messages are small and so many that some are always on their way. Where the broker needs long to come back, more is
    // sent than the spool has room for, and the sender is held.
    let args = ["--kafka-topic-prefix", "", "--kafka-produce-count", "50", "--spool-full", "hold"];
    let collector = Collector::start(broker.bootstrap(), &args);
    let wait_more = |term| collector.wait_more(PART, term);
    let sent = under_load_with_pauses(Duration::from_millis(1), &collector, &topic, 0, || {
        wait_more("delivered");
        go(&mut broker);
        wait_more("accepted");
        let ledger = collector.ledger();
        assert!(ledger.kafka("waiting") >= PART, "{ledger:?}");
        broker.start();
        wait_more("delivered");
    });
    collector.wait_accepted(u64::from(sent));
    let ledger = collector.wait_delivered(u64::from(sent));
    assert_eq!(ledger.kafka("lost"), 0, "{ledger:?}");
    let messages = consumer::read(broker.bootstrap(), &topic, sent as usize);
    assert_eq!(numbers(&messages), (0..sent).collect());
}

#[test]
fn nothing_accepted_is_lost_when_the_broker_is_stopped_and_started_under_load() {
    check_outage(OwnBroker::stop);
}

#[test]
fn nothing_accepted_is_lost_when_the_broker_is_killed_and_started_under_load() {
    check_outage(OwnBroker::kill);
}

#[test]
fn what_was_accepted_before_there_was_a_broker_is_delivered_when_it_comes() {
    let mut broker = OwnBroker::prepared();
    let topic = unique("late");
    let collector = Collector::start(broker.bootstrap(), &["--kafka-topic-prefix", ""]);
    collector.send(&ocf::stream(&record::numbered(&topic, 0..1000)));
    collector.wait_accepted(1000);
    assert_eq!(collector.get("/-/healthy").status, 200);
    let why = collector.why_not_ready("kafka");
    assert!(why.contains(broker.bootstrap()), "names the broker that is missing: {why}");
    broker.start();
    collector.wait_delivered(1000);
    eventually("it is ready", || {
        let ready = collector.get("/-/ready");
        once(ready.status == 200, || format!("{ready:?}"))
    });
    let messages = consumer::read(broker.bootstrap(), &topic, 1000);
    assert_eq!(numbers(&messages), (0..1000).collect());
}

#[test]
fn every_accepted_record_arrives_after_sigterm_under_load() {
    const SENDERS: usize = 4;
    let kafka = Broker::shared().bootstrap();
    let topics: Vec<String> = (0..SENDERS).map(|_| unique("sigterm")).collect();
    // Batches stay open for longer than the test: only the drain can close them.
    let args = ["--kafka-topic-prefix", "", "--kafka-produce-period-ms", "60000"];
    let collector = Collector::start(kafka, &[&args[..], &LONG_GRACE].concat());
    let sent: Vec<AtomicU32> = (0..SENDERS).map(|_| AtomicU32::new(0)).collect();
    let mut senders = [(); SENDERS].map(|()| collector.sender());
    let sends = |number: usize, sender: &mut _| {
        load(sender, &topics[number], 0, &sent[number], |next| next < 1_000_000);
    };
    let ended = while_sending(&mut senders, sends, || {
        eventually("all senders are busy", || {
            let least = sent.iter().map(|n| n.load(Ordering::SeqCst)).min().unwrap_or(0);
            once(least >= 1000, || format!("one has sent {least}"))
        });
        collector.terminate()
    });
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let accepted = ended.last_word("accepted");
    let mut arrived = 0;
    for (topic, sent) in topics.iter().zip(&sent) {
        let numbers = numbers(&consumer::read(kafka, topic, 1));
        // A sender's records were accepted up to some point, and all of these arrived.
        let n = u32::try_from(numbers.len()).expect("a test's load is small");
        assert_eq!(numbers, (0..n).collect(), "a gap in {topic}");
        println!("{topic}: {} sent, {n} arrived", sent.load(Ordering::SeqCst));
        arrived += u64::from(n);
    }
    assert_eq!(arrived, accepted);
}

#[test]
fn sigterm_without_a_broker_ends_within_the_grace_and_says_what_was_not_delivered() {
    let broker = OwnBroker::prepared();
    let topic = unique("grace");
    let args = ["--kafka-topic-prefix", "", "--shutdown-grace", "500ms"];
    let collector = Collector::start(broker.bootstrap(), &args);
    collector.send(&ocf::stream(&record::numbered(&topic, 0..120)));
    collector.wait_accepted(120);
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(ended.last_word("accepted"), 120);
    let told = ended.log.iter().any(|line| line.contains(&topic) && line.contains("120"));
    assert!(told, "no line tells of the topic and its 120 records: {:#?}", ended.log);
}

#[test]
fn a_second_run_numbers_its_records_anew_and_says_so() {
    let kafka = Broker::shared().bootstrap();
    let topic = unique("runs");
    for run in 0..2 {
        let collector = Collector::start(kafka, &["--kafka-topic-prefix", ""]);
        collector.send(&ocf::stream(&record::numbered(&topic, run * 10..run * 10 + 10)));
        collector.wait_delivered(10);
        // The first run gets no chance to say goodbye.
        if run == 0 {
            collector.kill()
        } else {
            collector.terminate()
        };
    }
    let messages = consumer::read(kafka, &topic, 20);
    assert_eq!(numbers(&messages), (0..20).collect());
    let incarnations: BTreeSet<&str> = messages.iter().map(|m| m.header("incarnation")).collect();
    assert_eq!(incarnations.len(), 2);
}
