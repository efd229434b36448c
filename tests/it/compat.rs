//! Brokers of every age: delivery, a stop and a kill of the broker, and a restart of the collector, without a setting for
//! any of them.
//!
//! Two releases are part of the tests. `ci/compat` names more of them in `COMPAT_VERSIONS` and prints what comes of it
//! as a table.

use std::collections::BTreeSet;

use crate::support::collector::{Collector, LONG_GRACE};
use crate::support::consumer;
use crate::support::kafka::OwnBroker;
use crate::support::load::under_load;
use crate::support::producer::{Agent, Producer};
use crate::support::{eventually, ocf, once, record, segment};

/// Releases that are tried where `COMPAT_VERSIONS` names none: the oldest, which needs most, and one that keeps no headers.
const VERSIONS: &str = "0.9.0.1 0.10.2.2";

/// Records that have to go through in each part.
const PART: u64 = 2_000;

/// What a release is expected to get.
struct Expected {
    off: &'static [&'static str],
    headers: bool,
    compression: &'static str,
}

fn expected(version: &str) -> Expected {
    let number = |at: usize| version.split('.').nth(at).and_then(|part| part.parse().ok()).unwrap_or(0);
    let (off, headers, compression): (&[_], _, _) = match (number(0), number(1)) {
        (0, ..=9) => (&["version_negotiation", "idempotence", "headers", "zstd"], false, "snappy"),
        (0, 10) => (&["idempotence", "headers", "zstd"], false, "snappy"),
        (0 | 1, _) | (2, 0) => (&["zstd"], true, "snappy"),
        _ => (&[], true, "zstd"),
    };
    Expected { off, headers, compression }
}

fn start(broker: &OwnBroker) -> Collector {
    // Messages are small and so many that some are always on their way.
    let args = ["--kafka-topic-prefix", "", "--kafka-produce-count", "50", "--kafka-compression", "zstd"];
    Collector::start(broker.bootstrap(), &[&args[..], &LONG_GRACE].concat())
}

/// Runs all three parts against one release and gives its row of the table.
fn check(version: &str) -> String {
    let expected = expected(version);
    let mut broker = OwnBroker::prepared_of(Some(version));
    broker.start();
    let topic = "compat";
    let collector = start(&broker);

    eventually("it is ready before anything is sent", || {
        let ready = collector.get("/-/ready");
        once(ready.status == 200, || format!("{ready:?}"))
    });

    // A cluster whose only topic has a short name has the smallest metadata there are, which librdkafka is bad at.
    collector.send(&ocf::stream(&record::numbered("a", 0..20)));
    collector.wait_delivered(20);

    check_sample_producer(version, &broker);

    let sent = under_load(&collector, topic, 0, || {
        collector.wait_more(PART, "delivered");
        for end in [OwnBroker::stop, OwnBroker::kill] {
            end(&mut broker);
            collector.wait_more(PART, "accepted");
            broker.start();
            collector.wait_more(PART, "delivered");
        }
    });
    collector.wait_accepted(u64::from(sent) + 20);
    let status = collector.status()["kafka"]["broker"].clone();
    assert_eq!(status["off"], serde_json::json!(expected.off), "{version}: {status}");
    let warned = collector.log().iter().filter(|line| line.contains("known_by")).count();
    assert_eq!(warned, expected.off.len(), "each is said once: {:#?}", collector.log());

    // The collector is stopped in the middle, and the next one goes on where it ended.
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(ended.last_word("accepted"), u64::from(sent) + 20);
    let collector = start(&broker);
    let total = under_load(&collector, topic, sent, || collector.wait_more(PART, "delivered"));
    collector.wait_accepted(u64::from(total - sent));
    collector.wait_delivered(u64::from(total - sent));

    let messages = consumer::read_of(version, broker.bootstrap(), topic, total as usize);
    let numbers: Vec<u32> = consumer::records(&messages).iter().map(record::Record::number).collect();
    let unique: BTreeSet<u32> = numbers.iter().copied().collect();
    let repeats = numbers.len() - unique.len();
    let lost = total as usize - unique.len();
    assert_eq!(lost, 0, "{version}: records are missing");
    let with_headers = messages.iter().filter(|message| !message.headers.is_empty()).count();
    assert_eq!(with_headers, if expected.headers { messages.len() } else { 0 }, "{version}: headers");
    if expected.headers {
        assert_eq!(consumer::repeats_by_headers(&messages), repeats as u64, "{version}");
    }
    let compression = segment::compressions(&broker.data(&format!("{topic}-0")));
    assert_eq!(compression, BTreeSet::from([expected.compression]), "{version}: on the broker's disk");
    format!(
        "{version:<9} {:<7} {total:>9} {repeats:>8} {lost:>4} {:<7} {:<11} {}",
        status["version"].as_str().unwrap_or("?"),
        if expected.headers { "yes" } else { "no" },
        expected.compression,
        if expected.off.is_empty() { "nothing".to_owned() } else { expected.off.join(", ") }
    )
}

/// The other program of this repository has the same brokers before it.
fn check_sample_producer(version: &str, broker: &OwnBroker) {
    let agent = Agent::start(Some(include_str!("../data/monitor_statistics.json")));
    let agent_args = agent.args();
    let mut args: Vec<&str> = agent_args.iter().map(String::as_str).collect();
    // It polls once.
    args.extend(["-brokers", broker.bootstrap(), "-period", "3600"]);
    let producer = Producer::start(&args, &[]);
    consumer::read_of(version, broker.bootstrap(), "sample_metrics", 3);
    let ended = producer.terminate();
    assert!(
        ended.screen.ends_with("1 messages: 1 acknowledged, 0 failed, 0 without an answer\n"),
        "{ended:#?}"
    );
}

#[test]
fn brokers_of_every_age_get_all_records_through_an_outage_and_a_restart() {
    let versions = std::env::var("COMPAT_VERSIONS").unwrap_or_else(|_| VERSIONS.to_owned());
    println!("release   like    delivered repeated lost headers compression off");
    for version in versions.split_whitespace() {
        println!("{}", check(version));
    }
}
