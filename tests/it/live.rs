//! The configuration changes under load: nothing that was accepted is lost, and nothing comes twice but what was not
//! acknowledged when brokers or credentials changed. Counted at Kafka.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::collector::Collector;
use crate::support::consumer;
use crate::support::kafka::{Broker, OwnBroker, USER, unique};
use crate::support::load::{Finally, load};
use crate::support::record::Record;
use crate::support::scheduler::{Generation, Scheduler};
use crate::support::{eventually, ocf, once, record};

/// Records that have to go through after each change.
const PART: u64 = 200;

/// Keys that the tests below change apart: brokers, credentials and the agent.
const APART: [&str; 12] = [
    "agent-poll-period",
    "kafka-brokers",
    "kafka-framework",
    "kafka-security-protocol",
    "kafka-ssl-ca",
    "kafka-ssl-certificate",
    "kafka-ssl-key",
    "kafka-ssl-key-password",
    "kafka-sasl-mechanism",
    "kafka-sasl-username",
    "kafka-sasl-password",
    "kafka-sasl-password-file",
];

/// Sends records of `topic` while `work` is done, which may wait for more of them to be delivered. Gives how many were
/// sent, all of which are delivered then.
fn under_load(collector: &Collector, topic: &str, work: impl FnOnce(&dyn Fn())) -> u32 {
    let (sent, enough) = (AtomicU32::new(0), AtomicBool::new(false));
    let wait_more = || {
        let before = collector.ledger().kafka("delivered");
        eventually("records go on being delivered", || {
            let now = collector.ledger().kafka("delivered");
            once(now >= before + PART, || format!("{now} after {before}; {}", collector.status()))
        });
    };
    thread::scope(|scope| {
        // Also when the test fails, or its load would go on for ever.
        let _stop = Finally(&enough);
        scope.spawn(|| {
            load(collector.sender(), topic, 0, &sent, |_| {
                thread::park_timeout(Duration::from_millis(1));
                !enough.load(Ordering::SeqCst)
            });
        });
        wait_more();
        work(&wait_more);
        wait_more();
    });
    let sent = sent.load(Ordering::SeqCst);
    collector.wait_accepted(u64::from(sent));
    let ledger = collector.wait_delivered(u64::from(sent));
    assert_eq!((ledger.kafka("lost"), ledger.kafka("set_aside")), (0, 0), "{ledger:?}");
    sent
}

/// Checks that records 0 to `sent` are in these topics, each of one broker. Gives how many are there more than once.
fn check_all_there(sent: u32, topics: &[(&str, String)]) -> usize {
    let of = |(broker, topic): &(&str, String)| {
        let messages = consumer::read(broker, topic, 1);
        consumer::records(&messages).iter().map(Record::number).collect::<Vec<_>>()
    };
    let all: Vec<u32> = topics.iter().flat_map(of).collect();
    let unique: BTreeSet<u32> = all.iter().copied().collect();
    let missing = (0..sent).filter(|number| !unique.contains(number)).count();
    assert_eq!((missing, unique.len()), (0, sent as usize), "of {sent}");
    println!("{sent} records, {} of them repeats", all.len() - unique.len());
    all.len() - unique.len()
}

/// Every key of `/v1/config` that is live.
fn live_keys(collector: &Collector) -> BTreeSet<String> {
    let config = collector.get("/v1/config").json();
    let keys = config["keys"].as_object().expect("an object of keys");
    keys.iter().filter(|(_, key)| key["change"] == "live").map(|(name, _)| name.clone()).collect()
}

/// A change of each key that no other test changes, in an order in which all of them hold together.
fn changes() -> Vec<Value> {
    vec![
        json!({ "kafka-compression": "lz4" }),
        json!({ "kafka-compression": "gzip", "kafka-produce-count": 50 }),
        json!({ "kafka-compression": "zstd", "kafka-produce-kbytes": 32 }),
        json!({ "kafka-compression": "none", "kafka-produce-period-ms": "100ms" }),
        json!({ "kafka-compression": null, "kafka-compress-snappy": true }),
        json!({ "kafka-topic-prefix": "second-" }),
        json!({ "kafka-require-all-acks": false }),
        json!({ "kafka-require-all-acks": null, "kafka-broker-version": "2.1" }),
        json!({ "kafka-broker-version": null, "kafka-key": "none" }),
        json!({
            "kafka-create-topics": true, "kafka-topic-partitions": 1, "kafka-topic-replication": 1,
            "kafka-topic-prefix": "third-",
        }),
        json!({ "global-limit-amount-kbytes": 100_000, "global-limit-period": "2s" }),
        json!({ "global-limit-amount-kbytes": null }),
        json!({ "input-limit-amount-kbytes": 100_000, "input-limit-period": "2s" }),
        json!({ "input-limit-amount-kbytes": null }),
        json!({
            "input-header-bytes-max": "16KiB", "input-header-entries-max": 8, "input-block-bytes-max": "256KiB",
            "input-decompressed-bytes-max": "512KiB", "input-record-bytes-max": "64KiB", "input-record-tags-max": 100,
            "input-record-datapoints-max": 1000, "input-block-timeout": "10s",
        }),
        json!({ "log-level": "debug", "kafka-verbose": true }),
        json!({ "log-level": "off", "kafka-verbose": null, "record-input-log": true, "record-output-log": true }),
        json!({ "record-input-log": null, "record-output-log": null }),
        json!({ "record-input-hexdump": true, "record-output-hexdump": true }),
        json!({ "record-input-hexdump": null, "record-output-hexdump": null, "log-level": null }),
        json!({
            "kafka-discovery": "marathon", "kafka-discovery-period": "1m", "kafka-broker-address": "address",
            "kafka-scheduler-url": "http://127.0.0.1:1", "dns-server": "127.0.0.1:1",
            "admin-router-url": "http://127.0.0.1:1", "marathon-url": "http://127.0.0.1:1",
            "mesos-dns-url": "http://127.0.0.1:1",
        }),
        json!({ "partners": [{ "name": "nobody", "address": "127.0.0.1:1" }] }),
        json!({ "partners": null }),
    ]
}

#[test]
fn each_live_key_changes_under_load_and_nothing_is_lost_or_comes_twice() {
    let kafka = Broker::shared().bootstrap();
    let topic = unique("live");
    let collector = Collector::start(kafka, &["--kafka-topic-prefix", "first-"]);
    let changed: BTreeSet<String> = changes()
        .iter()
        .flat_map(|change| change.as_object().expect("an object").keys().cloned().collect::<Vec<_>>())
        .chain(APART.map(str::to_owned))
        .collect();
    assert_eq!(changed, live_keys(&collector), "each live key is changed in some test here");
    let sent = under_load(&collector, &topic, |wait_more| {
        for change in changes() {
            let answer = collector.patch(&change);
            assert_eq!(answer.status, 200, "{change}: {answer:?}");
            wait_more();
        }
    });
    let topics = ["first-", "second-", "third-"].map(|prefix| (kafka, format!("{prefix}{topic}")));
    assert_eq!(check_all_there(sent, &topics), 0, "repeats");
}

#[test]
fn the_brokers_change_under_load_and_nothing_is_lost() {
    let (first, second) = (Broker::shared(), OwnBroker::started());
    let topic = unique("brokers");
    let collector = Collector::start(first.bootstrap(), &["--kafka-topic-prefix", ""]);
    let sent = under_load(&collector, &topic, |wait_more| {
        for brokers in [second.bootstrap(), first.bootstrap(), second.bootstrap()] {
            let answer = collector.patch(&json!({ "kafka-brokers": brokers }));
            assert_eq!(answer.status, 200, "{answer:?}");
            wait_more();
            let endpoints = collector.get("/v1/endpoints").json();
            assert_eq!(endpoints["outputs"][0]["address"], brokers);
        }
    });
    check_all_there(sent, &[(first.bootstrap(), topic.clone()), (second.bootstrap(), topic)]);
}

#[test]
fn the_framework_changes_under_load_and_nothing_is_lost() {
    let (first, second) = (Broker::shared(), OwnBroker::started());
    let [here, there] = [first.bootstrap(), second.bootstrap()]
        .map(|brokers| Scheduler::start(Generation::Endpoints, &[brokers]));
    let topic = unique("framework");
    let args = ["--kafka-topic-prefix", "", "--kafka-discovery", "scheduler-vip", "--kafka-scheduler-url"];
    let collector = Collector::start("", &[&args[..], &[&here.url()]].concat());
    let sent = under_load(&collector, &topic, |wait_more| {
        let other = json!({ "kafka-framework": "other", "kafka-scheduler-url": there.url() });
        for change in [other, json!({ "kafka-brokers": first.bootstrap() }), json!({ "kafka-brokers": null })]
        {
            let answer = collector.patch(&change);
            assert_eq!(answer.status, 200, "{change}: {answer:?}");
            wait_more();
        }
        eventually("the other framework's brokers are in use", || {
            let status = collector.status();
            let found = &status["discovery"];
            let so = found["framework"] == "other" && status["kafka"]["brokers"][0] == second.bootstrap();
            once(so, || status.to_string())
        });
    });
    check_all_there(sent, &[(first.bootstrap(), topic.clone()), (second.bootstrap(), topic)]);
}

#[test]
fn credentials_change_under_load_and_nothing_is_lost() {
    let broker = Broker::strict();
    let topic = unique("credentials");
    broker.create_topic(&topic, 1, &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, USER.1).unwrap();
    let collector = Collector::start(broker.bootstrap(), &["--kafka-topic-prefix", ""]);
    let ca = broker.certificate("ca.pem");
    let changes = [
        json!({ "kafka-security-protocol": "ssl", "kafka-ssl-ca": ca, "kafka-brokers": broker.listener("SSL") }),
        json!({
            "kafka-brokers": broker.listener("MTLS"), "kafka-ssl-certificate": broker.certificate("client.pem"),
            "kafka-ssl-key": broker.certificate("client.key"), "kafka-ssl-key-password": "of no use",
        }),
        json!({
            "kafka-brokers": broker.listener("SASL_SSL"), "kafka-security-protocol": "sasl_ssl",
            "kafka-sasl-mechanism": "PLAIN", "kafka-sasl-username": USER.0, "kafka-sasl-password": USER.1,
            "kafka-ssl-certificate": null, "kafka-ssl-key": null, "kafka-ssl-key-password": null,
        }),
        json!({ "kafka-sasl-mechanism": "SCRAM-SHA-256" }),
        json!({ "kafka-sasl-password": null, "kafka-sasl-password-file": file }),
    ];
    let sent = under_load(&collector, &topic, |wait_more| {
        for change in changes {
            let answer = collector.patch(&change);
            assert_eq!(answer.status, 200, "{change}: {answer:?}");
            wait_more();
        }
        // With a wrong one records wait, and the right one lets them go.
        let wrong = json!({ "kafka-sasl-password": "wrong", "kafka-sasl-password-file": null });
        assert_eq!(collector.patch(&wrong).status, 200);
        let why = collector.why_not_ready("kafka");
        assert!(!why.contains("wrong"), "{why}");
        assert_eq!(collector.patch(&json!({ "kafka-sasl-password": USER.1 })).status, 200);
    });
    check_all_there(sent, &[(broker.bootstrap(), topic)]);
    let shown = collector.get("/v1/config").body;
    assert!(!shown.contains(USER.1), "a password in {shown}");
    let log = collector.log().join("\n");
    assert!(!log.contains(USER.1) && log.contains("kafka-sasl-password"), "{log}");
}

#[test]
fn another_period_counts_for_the_wait_that_is_going_on() {
    let agent = Agent::start();
    let mut arguments = agent.arguments();
    arguments.push("--agent-poll-period=1h".to_owned());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let collector = Collector::start(Broker::shared().bootstrap(), &arguments);
    eventually("it is polled", || once(agent.asked("/containers") == 1, || String::from("not yet")));
    assert_eq!(collector.patch(&json!({ "agent-poll-period": 1 })).status, 200);
    eventually("it is polled again", || {
        let asked = agent.asked("/containers");
        once(asked >= 3, || format!("{asked} times"))
    });
}

#[test]
fn bounds_on_streams_count_for_connections_that_are_there() {
    let topic = unique("bounds");
    let collector = Collector::start(Broker::shared().bootstrap(), &["--kafka-topic-prefix", ""]);
    let mut sender = collector.sender();
    sender.send(&ocf::stream(&record::numbered(&topic, 0..10)));
    collector.wait_accepted(10);
    assert_eq!(collector.patch(&json!({ "input-record-tags-max": 0 })).status, 200);
    sender.send(&ocf::block(&record::numbered(&topic, 10..20)));
    collector.wait_metric("metrics_collector_input_refused_records_total{reason=\"too_many_tags\"}", 10);
    assert_eq!(collector.patch(&json!({ "input-record-tags-max": null })).status, 200);
    sender.send(&ocf::block(&record::numbered(&topic, 20..30)));
    collector.wait_delivered(20);
}

#[test]
fn the_log_changes_with_its_level() {
    let collector = Collector::start(Broker::shared().bootstrap(), &["--log-level", "warn"]);
    let opened = || collector.log().iter().filter(|line| line.contains("connection opened")).count();
    drop(collector.sender());
    assert_eq!(collector.patch(&json!({ "log-level": "debug" })).status, 200);
    eventually("a connection is logged", || {
        drop(collector.sender());
        once(opened() > 0, || format!("{:?}", collector.log()))
    });
    let told = collector.log().into_iter().find(|line| line.contains("configuration changed"));
    let told = told.expect("the change itself is logged, though it was not before");
    for word in ["log-level", "warn", "debug", "HTTP from 127.0.0.1"] {
        assert!(told.contains(word), "{word} in {told}");
    }
}
