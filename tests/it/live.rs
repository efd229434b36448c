//! The configuration changes under load: nothing that was accepted is lost, and nothing comes twice but what was not
//! acknowledged when brokers or credentials changed. Counted at Kafka.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::collector::Collector;
use crate::support::consumer;
use crate::support::iam::Iam;
use crate::support::kafka::{Broker, OwnBroker, USER, unique};
use crate::support::load::under_load_with_pauses;
use crate::support::record::Record;
use crate::support::scheduler::{Generation, Scheduler};
use crate::support::tls::TlsServer;
use crate::support::{eventually, ocf, once, record};

/// Records that have to go through after each change.
const PART: u64 = 200;

/// Keys that tests below change apart, since a change of them may have records come twice: brokers and credentials.
const APART: [&str; 10] = [
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
];

/// The same, of those that the file alone changes.
const APART_BY_RELOAD: [&str; 1] = ["kafka-sasl-password-file"];

/// Sends records of `topic` while `work` is done, which may wait for more of them to be delivered. Gives how many were
/// sent, all of which are delivered then.
fn under_load(collector: &Collector, topic: &str, work: impl FnOnce(&dyn Fn())) -> u32 {
    let wait_more = || collector.wait_more(PART, "delivered");
    let sent = under_load_with_pauses(Duration::from_millis(1), collector, topic, 0, || {
        wait_more();
        work(&wait_more);
        wait_more();
    });
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

/// Keys of `/v1/config` by when another value counts: `live`, `reload` or `restart`.
fn keys(collector: &Collector, change: &str) -> BTreeSet<String> {
    let config = collector.get("/v1/config").json();
    let keys = config["keys"].as_object().expect("an object of keys");
    keys.iter().filter(|(_, key)| key["change"] == change).map(|(name, _)| name.clone()).collect()
}

/// For each key that changes over HTTP a valid value that is not its own, with those that it needs beside it. All keys of
/// a row are changed, and then changed back.
fn rows(single: &str) -> Vec<Value> {
    vec![
        json!({ "kafka-compression": "lz4" }),
        json!({ "kafka-compression": "zstd", "kafka-produce-count": 50 }),
        json!({ "kafka-compression": "none", "kafka-produce-kbytes": 32, "kafka-produce-period-ms": "100ms" }),
        json!({ "kafka-compress-snappy": false }),
        json!({ "kafka-topic-prefix": "second-" }),
        json!({ "kafka-single-topic": single }),
        json!({ "kafka-single-topic": single, "kafka-topic-prefix": "second-" }),
        json!({ "kafka-topics-max": 1 }),
        json!({ "kafka-queue-max": "1MiB" }),
        json!({ "kafka-require-all-acks": false }),
        json!({ "kafka-broker-version": "2.1" }),
        json!({ "kafka-key": "none" }),
        json!({
            "kafka-create-topics": true, "kafka-topic-partitions": 1, "kafka-topic-replication": 1,
            "kafka-topic-prefix": "third-",
        }),
        json!({ "global-limit-amount-kbytes": 100_000, "global-limit-period": "2s" }),
        json!({ "spool-memory": "4MiB", "spool-full": "hold" }),
        json!({ "spool-memory": "64MiB", "spool-full": "drop-oldest", "memory-limit": "128MiB" }),
        json!({ "input-limit-amount-kbytes": 100_000, "input-limit-period": "2s" }),
        json!({ "input-connections-max": 1 }),
        json!({ "input-linger": "0ms" }),
        json!({
            "input-header-bytes-max": "16KiB", "input-header-entries-max": 8, "input-block-bytes-max": "256KiB",
            "input-decompressed-bytes-max": "512KiB", "input-record-bytes-max": "64KiB", "input-record-tags-max": 100,
            "input-record-datapoints-max": 1000, "input-block-timeout": "10s",
        }),
        json!({ "agent-id": "another", "framework-name": "f", "application-name": "a" }),
        json!({ "tag-clash": "sender", "unknown-tags": "sentinel" }),
        json!({ "enrich-wait": "0s", "agent-remember": "1m" }),
        // Nobody knows where it is, so that its own metrics do not come in between.
        json!({ "agent-polling": true, "agent-poll-period": 1, "agent-metrics-topic": "other" }),
        json!({ "partners-max": 0 }),
        json!({ "http-connections-max": 2 }),
        json!({ "statsd-udp-host": "127.0.0.1", "statsd-udp-port": 9, "statsd-period": 1 }),
        json!({ "shutdown-grace": "1s" }),
        json!({ "log-level": "debug", "log-format": "text", "kafka-verbose": true }),
        json!({ "log-level": "off", "record-input-log": true, "record-output-log": true }),
        json!({ "log-level": "off", "record-input-hexdump": true, "record-output-hexdump": true }),
        json!({
            "kafka-discovery": "marathon", "kafka-discovery-period": "1m", "kafka-broker-address": "address",
            "kafka-scheduler-url": "http://127.0.0.1:1", "dns-server": "127.0.0.1:1",
            "admin-router-url": "http://127.0.0.1:1", "marathon-url": "http://127.0.0.1:1",
            "mesos-dns-url": "http://127.0.0.1:1",
        }),
        json!({ "partners": [{ "name": "nobody", "address": "127.0.0.1:1" }] }),
    ]
}

/// The same for keys that change with the file alone. `folder` is for the files that they name.
fn reloads(folder: &Path) -> Vec<Value> {
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (ca, account) = (TlsServer::start().ca, Iam::start().secret());
    vec![
        json!({ "agent-ip": "127.0.0.1", "agent-port": 1, "agent-scheme": "https" }),
        json!({ "agent-ip-command": "/bin/false" }),
        json!({ "http-token": "a-token-of-some-length", "http-writes": "token" }),
        json!({ "http-token-file": file("token", b"another-token-of-some-length") }),
        json!({ "dcos-ca": file("ca.pem", &ca) }),
        json!({ "dcos-service-account": account, "dcos-auth-hosts": "*.example.com" }),
        json!({ "iam-config-path": file("account.json", account.as_bytes()) }),
        json!({ "auth-credential": "a-token" }),
    ]
}

/// All keys of these rows.
fn named(rows: &[Value]) -> BTreeSet<String> {
    let of = |row: &Value| row.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    rows.iter().flat_map(of).collect()
}

fn set(collector: &Collector, change: &Value) {
    let answer = collector.patch(change);
    assert_eq!(answer.status, 200, "{change}: {answer:?}");
}

#[test]
fn each_live_key_changes_under_load_and_back_and_nothing_is_lost_or_comes_twice() {
    let kafka = Broker::shared().bootstrap();
    let (topic, single) = (unique("live"), unique("single"));
    let collector = Collector::start(kafka, &["--kafka-topic-prefix", "first-"]);
    let rows = rows(&single);
    let apart = APART.map(str::to_owned).into();
    assert_eq!(
        &named(&rows) | &apart,
        keys(&collector, "live"),
        "each live key is changed in some test here"
    );
    let sent = under_load(&collector, &topic, |wait_more| {
        for row in &rows {
            set(&collector, row);
            wait_more();
            let back: Value =
                named(std::slice::from_ref(row)).into_iter().map(|key| (key, Value::Null)).collect();
            set(&collector, &back);
            wait_more();
        }
    });
    let mut topics =
        ["first-", "second-", "third-"].map(|prefix| (kafka, format!("{prefix}{topic}"))).to_vec();
    topics.push((kafka, single));
    assert_eq!(check_all_there(sent, &topics), 0, "repeats");
}

#[test]
fn each_key_of_the_file_alone_changes_under_load_and_back_and_nothing_is_lost_or_comes_twice() {
    let kafka = Broker::shared().bootstrap();
    let topic = unique("reload");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mc.toml");
    std::fs::write(&file, "").unwrap();
    let collector =
        Collector::start(kafka, &["--kafka-topic-prefix", "", "--config", file.to_str().unwrap()]);
    let rows = reloads(folder.path());
    let apart = APART_BY_RELOAD.map(str::to_owned).into();
    assert_eq!(&named(&rows) | &apart, keys(&collector, "reload"), "each key is changed in some test here");
    let origin = |key: &str| collector.key(key)["origin"].clone();
    let reload = |row: &Value, text: &str, expected: &str| {
        std::fs::write(&file, text).unwrap();
        collector.hang_up();
        for key in named(std::slice::from_ref(row)) {
            eventually(&format!("{key} is what the {expected} says"), || {
                once(origin(&key) == expected, || collector.log().join("\n"))
            });
        }
    };
    let sent = under_load(&collector, &topic, |wait_more| {
        for row in &rows {
            // As texts, numbers and lists look in JSON, so they do in TOML.
            let line = |(key, value): (&String, &Value)| format!("{key} = {value}\n");
            let text: String = row.as_object().unwrap().iter().map(line).collect();
            reload(row, &text, "file");
            wait_more();
            reload(row, "", "default");
            wait_more();
        }
    });
    assert_eq!(check_all_there(sent, &[(kafka, topic)]), 0, "repeats");
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
    let [file, password, brokers] = ["mc.toml", "password", "brokers"].map(|name| folder.path().join(name));
    std::fs::write(&file, "").unwrap();
    std::fs::write(&password, USER.1).unwrap();
    std::fs::write(&brokers, broker.bootstrap()).unwrap();
    let arguments = ["--kafka-topic-prefix", "", "--config", file.to_str().unwrap()];
    let collector = Collector::start(&format!("@{}", brokers.display()), &arguments);
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
    ];
    let sent = under_load(&collector, &topic, |wait_more| {
        for change in changes {
            let answer = collector.patch(&change);
            assert_eq!(answer.status, 200, "{change}: {answer:?}");
            wait_more();
        }
        // With a wrong one records wait, and the right one lets them go.
        let wrong = json!({ "kafka-sasl-password": "wrong" });
        assert_eq!(collector.patch(&wrong).status, 200);
        let why = collector.why_not_ready("kafka");
        assert!(!why.contains("wrong"), "{why}");
        assert_eq!(collector.patch(&json!({ "kafka-sasl-password": USER.1 })).status, 200);
        wait_more();
        // From a file that the file of the configuration names, in place of what was set at runtime.
        set(
            &collector,
            &json!({
                "kafka-brokers": null, "kafka-security-protocol": null, "kafka-ssl-ca": null,
                "kafka-sasl-mechanism": null, "kafka-sasl-username": null, "kafka-sasl-password": null,
            }),
        );
        wait_more();
        let text = format!(
            "kafka-security-protocol = 'sasl_ssl'\nkafka-ssl-ca = '{}'\nkafka-sasl-mechanism = 'SCRAM-SHA-256'\n\
             kafka-sasl-username = '{}'\nkafka-sasl-password-file = '{}'\n",
            broker.certificate("ca.pem"),
            USER.0,
            password.display()
        );
        std::fs::write(&file, text).unwrap();
        // Brokers that get the password of a file are named by a file.
        std::fs::write(&brokers, broker.listener("SASL_SSL")).unwrap();
        collector.hang_up();
        eventually("the file counts", || {
            let origin = collector.key("kafka-sasl-password-file")["origin"].clone();
            once(origin == "file", || collector.log().join("\n"))
        });
        wait_more();
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
