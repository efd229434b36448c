//! What each key does that is changed while the collector runs: at once, and to what is there already.

use std::io::Read;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::slice;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::agent::{Agent, Fault, ID};
use crate::support::collector::{AGENT, Collector};
use crate::support::http::request;
use crate::support::kafka::{Broker, unique};
use crate::support::load::while_sending;
use crate::support::partner::Partner;
use crate::support::record::{Record, Tag};
use crate::support::{consumer, eventually, ocf, once, record};

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

/// A collector that names topics as its senders do.
fn start(more: &[&str]) -> Collector {
    Collector::start(Broker::shared().bootstrap(), &[&["--kafka-topic-prefix", ""], more].concat())
}

fn set(collector: &Collector, change: &Value) {
    let answer = collector.patch(change);
    assert_eq!(answer.status, 200, "{change}: {answer:?}");
}

/// So many records of a hundred kilobytes, each in a block of its own.
fn large(topic: &str, records: u32) -> Vec<u8> {
    let record = |number| Record::numbered(topic, number).with_tag("large", &"x".repeat(100_000));
    let blocks = (0..records).map(|number| ocf::block(&[record(number)]));
    [ocf::header(ocf::SCHEMA, Some("null"))].into_iter().chain(blocks).flatten().collect()
}

fn refused(collector: &Collector) -> u64 {
    collector.status()["input"]["closed_connections"].as_u64().unwrap()
}

#[test]
fn a_larger_spool_lets_senders_go_on_and_a_smaller_one_drops_nothing() {
    let collector = Collector::start(
        NOWHERE,
        &["--spool-memory", "4MiB", "--spool-full", "hold", "--shutdown-grace", "0s"],
    );
    let mut sender = collector.sender();
    let stream = large("t", 80);
    while_sending(
        slice::from_mut(&mut sender),
        |_, sender| sender.send(&stream),
        || {
            collector.wait_held(true);
            let held = collector.ledger().accepted();
            set(&collector, &json!({ "spool-memory": "16MiB" }));
            collector.wait_accepted(80);
            assert!(held < 80, "{held} were accepted before");
        },
    );
    set(&collector, &json!({ "spool-memory": "4MiB" }));
    let ledger = collector.ledger();
    assert_eq!((ledger.kafka("waiting"), ledger.kafka("lost")), (80, 0), "{ledger:?}");
    let status = collector.status();
    assert_eq!(status["spool"]["bytes_max"], 4 << 20);
    assert!(status["spool"]["bytes"].as_u64().unwrap() > 8_000_000, "{status}");
    sender.send(&ocf::block(&record::numbered("t", 80..90)));
    collector.wait_held(true);
    // It is as full as before, and who comes makes room for itself and no more.
    set(&collector, &json!({ "spool-full": "drop-oldest" }));
    collector.wait_accepted(90);
    let lost = collector.ledger().kafka("lost");
    assert!((1..30).contains(&lost), "{lost} lost");
}

#[test]
fn what_is_for_one_topic_and_what_was_for_several_go_where_they_are_to_go() {
    let (topic, single) = (unique("several"), unique("one"));
    let collector = start(&["--kafka-produce-period-ms", "1h", "--kafka-produce-count", "10"]);
    collector.send(&ocf::stream(&record::numbered(&topic, 0..25)));
    // The last five wait for others.
    collector.wait_delivered(20);
    set(&collector, &json!({ "kafka-single-topic": single }));
    assert_eq!(collector.get("/v1/endpoints").json()["outputs"][0]["topic"], single);
    collector.send(&ocf::stream(&record::numbered(&topic, 25..30)));
    collector.wait_accepted(30);
    set(&collector, &json!({ "kafka-produce-period-ms": 50 }));
    collector.wait_delivered(30);
    let numbers = |topic: &str, records| -> Vec<u32> {
        let messages = consumer::read(Broker::shared().bootstrap(), topic, records);
        consumer::records(&messages).iter().map(Record::number).collect()
    };
    assert_eq!(numbers(&topic, 25), (0..25).collect::<Vec<_>>());
    assert_eq!(numbers(&single, 5), (25..30).collect::<Vec<_>>());
}

#[test]
fn more_topics_are_told_apart_from_the_next_record_on() {
    let topics = [unique("told-apart"), unique("told-apart")];
    let collector = start(&["--kafka-topics-max", "1"]);
    for topic in &topics {
        collector.send(&ocf::stream(&record::numbered(topic, 0..5)));
    }
    eventually("the second is set aside", || {
        let ledger = collector.ledger();
        once(ledger.set_aside("topic_limit") == 5, || format!("{ledger:?}"))
    });
    set(&collector, &json!({ "kafka-topics-max": 2 }));
    collector.send(&ocf::stream(&record::numbered(&topics[1], 5..10)));
    collector.wait_delivered(10);
    assert_eq!(collector.ledger().set_aside("topic_limit"), 5);
}

#[test]
fn as_many_senders_are_let_in_as_may_be_now() {
    let topic = unique("senders");
    let collector = start(&["--input-connections-max", "2"]);
    let mut good = [0, 10].map(|first| {
        let mut sender = collector.sender();
        sender.send(&ocf::stream(&record::numbered(&topic, first..first + 10)));
        sender
    });
    collector.wait_accepted(20);
    collector.sender().wait_ending();
    set(&collector, &json!({ "input-connections-max": 3 }));
    assert_eq!(collector.status()["input"]["connections_max"], 3);
    let mut third = collector.sender();
    third.send(&ocf::stream(&record::numbered(&topic, 20..30)));
    collector.wait_accepted(30);
    set(&collector, &json!({ "input-connections-max": 1 }));
    collector.sender().wait_ending();
    assert_eq!(refused(&collector), 2);
    assert!(good.iter_mut().all(|sender| !sender.is_closed()), "a good session was ended");
    good[0].send(&ocf::block(&record::numbered(&topic, 30..40)));
    collector.wait_delivered(40);
}

#[test]
fn the_door_for_partners_opens_and_closes() {
    // At an address of its own, whose ports nobody else has when they are free.
    let collector = start(&["--partners-max", "1", "--partner-endpoint", "127.0.0.4:0"]);
    let outputs = || collector.get("/v1/endpoints").json()["outputs"].as_array().unwrap().clone();
    let place = || {
        let outputs = outputs();
        let tcp = outputs.iter().find(|output| output["protocol"] == "tcp");
        tcp.and_then(|output| output["address"].as_str()?.parse::<SocketAddr>().ok())
    };
    let at = place().expect("it listens");
    let mut first = Partner::connect(at, "").begun();
    let mut second = Partner::connect(at, "");
    while second.take() {}
    set(&collector, &json!({ "partners-max": 2 }));
    let mut second = Partner::connect(at, "").begun();
    set(&collector, &json!({ "partners-max": 0 }));
    eventually("nothing listens", || once(place().is_none(), || format!("{:?}", outputs())));
    assert!(TcpStream::connect(at).is_err());
    // Who is there stays.
    collector.send(&ocf::stream(&record::numbered(&unique("door"), 0..3)));
    assert_eq!((first.records(3).len(), second.records(3).len()), (3, 3));
    set(&collector, &json!({ "partners-max": 3 }));
    let at = eventually("it listens again", || place().ok_or_else(|| format!("{:?}", outputs())));
    _ = Partner::connect(at, "").begun();
}

#[test]
fn fewer_http_connections_are_those_that_ask_something() {
    let collector = start(&[]);
    let mut idle: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(collector.http()).unwrap()).collect();
    collector.wait_metric("metrics_collector_http_connections", 9);
    set(&collector, &json!({ "http-connections-max": 4 }));
    let mut gone = 0;
    for socket in &mut idle[..5] {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        gone += usize::from(socket.read(&mut [0]).is_ok_and(|bytes| bytes == 0));
    }
    assert_eq!(gone, 5);
    assert_eq!(collector.key("http-connections-max")["value"], 4);
}

/// Key and tags of a record.
type Expected<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)]);

/// The tags and keys of the records of `topic`, by their numbers.
fn arrived(topic: &str, records: usize) -> Vec<(Option<String>, Vec<Tag>)> {
    let messages = consumer::read(Broker::shared().bootstrap(), topic, records);
    let of_message = |message: &consumer::Message| {
        let key = message.key.clone().map(|key| String::from_utf8(key).unwrap());
        message
            .records()
            .into_iter()
            .map(|record| (record.number(), key.clone(), record.tags))
            .collect::<Vec<_>>()
    };
    let mut all: Vec<_> = messages.iter().flat_map(of_message).collect();
    all.sort_by_key(|(number, ..)| *number);
    all.into_iter().map(|(_, key, tags)| (key, tags)).collect()
}

#[test]
fn other_tags_are_added_to_the_next_record_and_whose_word_counts_changes() {
    let topic = unique("tags");
    let collector = start(&[]);
    let mut sender = collector.sender();
    sender.send(&ocf::header(ocf::SCHEMA, Some("null")));
    let mut number = 0;
    let mut send = |tags: &[(&str, &str)]| {
        let mut record = Record::numbered(&topic, number);
        record.tags = tags.iter().map(|(key, value)| Tag::new(key, value)).collect();
        sender.send(&ocf::block(&[record]));
        number += 1;
        collector.wait_delivered(u64::from(number));
    };
    send(&[]);
    set(&collector, &json!({ "agent-id": "other", "framework-name": "f", "application-name": "a" }));
    send(&[]);
    send(&[("agent_id", "forged")]);
    set(&collector, &json!({ "tag-clash": "collector", "framework-name": null, "application-name": null }));
    send(&[("agent_id", "forged")]);
    set(&collector, &json!({ "tag-clash": null, "agent-id": "", "unknown-tags": "sentinel" }));
    send(&[("framework_id", "x")]);
    let expected: [Expected<'_>; 5] = [
        (Some(AGENT), &[("agent_id", AGENT)]),
        (Some("other"), &[("framework_name", "f"), ("application_name", "a"), ("agent_id", "other")]),
        (Some("other"), &[("agent_id", "forged"), ("framework_name", "f"), ("application_name", "a")]),
        (Some("other"), &[("agent_id", "other")]),
        (
            None,
            &[
                ("framework_id", "x"),
                ("framework_name", "UNKNOWN_AGENT_STATE"),
                ("agent_id", "UNKNOWN_AGENT_STATE"),
            ],
        ),
    ];
    for ((key, tags), (expected_key, expected_tags)) in arrived(&topic, 5).into_iter().zip(expected) {
        let expected: Vec<Tag> = expected_tags.iter().map(|(key, value)| Tag::new(key, value)).collect();
        assert_eq!((key.as_deref(), tags), (expected_key, expected));
    }
}

#[test]
fn the_agent_is_asked_while_it_is_to_be_and_at_another_place_after_a_reload() {
    let [first, second] = [(); 2].map(|()| Agent::start());
    second.rename("second-S0");
    let (own, other) = (unique("own"), unique("other"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mc.toml");
    let write = |agent: &Agent| {
        let port = agent.url().rsplit_once(':').unwrap().1.to_owned();
        let lines = format!("agent-ip = \"127.0.0.1\"\nagent-port = {port}\nagent-poll-period = 1\n");
        std::fs::write(&file, lines).unwrap();
    };
    write(&first);
    let config = file.to_str().unwrap();
    let collector = start(&["--config", config, "--agent-id", "", "--agent-metrics-topic", &own]);
    let agent = || collector.status()["agent"].clone();
    assert!(agent().is_null() && !collector.get("/metrics").body.contains("metrics_collector_agent_"));
    set(&collector, &json!({ "agent-polling": true }));
    let wait_id = |id: &str| {
        eventually(&format!("the agent is {id}"), || once(agent()["agent_id"] == id, || agent().to_string()));
    };
    wait_id(ID);
    let arrived = |topic: &str| consumer::records(&consumer::read(Broker::shared().bootstrap(), topic, 1));
    assert_eq!(arrived(&own)[0].topic, own);
    set(&collector, &json!({ "agent-metrics-topic": other }));
    assert_eq!(arrived(&other)[0].topic, other);

    write(&second);
    collector.hang_up();
    wait_id("second-S0");
    assert_eq!(agent()["address"], second.url());
    let wait_asked = |times: usize| {
        let before = second.asked("/containers");
        eventually("the second is asked again", || {
            once(second.asked("/containers") >= before + times, || agent().to_string())
        });
    };
    let first_asked = || ["/state", "/containers", "/metrics/snapshot"].map(|route| first.asked(route));
    // What was on its way to the first may be read late.
    wait_asked(2);
    let before = first_asked();
    wait_asked(2);
    assert_eq!(first_asked(), before, "the first is left alone");

    set(&collector, &json!({ "agent-polling": false }));
    eventually("it is left alone", || once(agent().is_null(), || agent().to_string()));
    let topic = unique("without-agent");
    collector.send(&ocf::stream(&record::numbered(&topic, 0..1)));
    assert_eq!(arrived(&topic)[0].tags, Record::numbered(&topic, 0).tags, "what it told counts no more");
    set(&collector, &json!({ "agent-polling": true }));
    wait_id("second-S0");
}

#[test]
fn records_that_wait_for_their_names_wait_no_longer_than_is_set_now() {
    let agent = Agent::start();
    agent.fault("", Fault::Hang);
    let topic = unique("apart");
    let arguments = agent.arguments();
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.extend(["--enrich-wait", "60s", "--agent-poll-period", "1h"]);
    let collector = start(&arguments);
    collector.send(&ocf::stream(&record::numbered(&topic, 0..5)));
    eventually("they are set apart", || {
        let status = collector.status();
        once(status["input"]["apart_records"] == 5, || status.to_string())
    });
    assert_eq!(collector.ledger().accepted(), 0);
    set(&collector, &json!({ "enrich-wait": "0s" }));
    collector.wait_delivered(5);
}

#[test]
fn statsd_is_told_from_when_it_is_named() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let collector = start(&[]);
    let port = socket.local_addr().unwrap().port();
    set(&collector, &json!({ "statsd-udp-host": "127.0.0.1", "statsd-udp-port": port, "statsd-period": 1 }));
    let mut buffer = [0; 2000];
    let bytes = socket.recv(&mut buffer).unwrap();
    assert!(buffer[..bytes].starts_with(b"dcos.metrics.collector."), "{:?}", &buffer[..bytes]);
}

#[test]
fn the_end_waits_as_long_as_is_set_by_then() {
    let collector = Collector::start(NOWHERE, &["--shutdown-grace", "1h"]);
    collector.send(&ocf::stream(&record::numbered("t", 0..5)));
    collector.wait_accepted(5);
    set(&collector, &json!({ "shutdown-grace": "0s" }));
    let ended = collector.terminate();
    assert!(
        ended.log.iter().any(|line| line.contains("not delivered within the shutdown grace")),
        "{ended:?}"
    );
}

#[test]
fn lines_of_the_log_look_as_is_set_now() {
    let collector = start(&[]);
    set(&collector, &json!({ "log-format": "text" }));
    set(&collector, &json!({ "kafka-key": "none" }));
    set(&collector, &json!({ "log-format": null }));
    let told = |key: &str| {
        let lines = collector.log();
        lines.into_iter().find(|line| line.contains("configuration changed") && line.contains(key))
    };
    let line = eventually("the change is told", || told("kafka-key").ok_or_else(|| "not yet".to_owned()));
    assert!(serde_json::from_str::<Value>(&line).is_err() && line.contains(" INFO "), "{line}");
    assert!(told("log-format").is_some_and(|line| serde_json::from_str::<Value>(&line).is_ok()));
}

#[test]
fn more_memory_makes_room_for_a_larger_spool() {
    let collector = start(&[]);
    let larger = json!({ "spool-memory": "100MiB" });
    assert_eq!(collector.patch(&larger).status, 422);
    set(
        &collector,
        &json!({ "spool-memory": "100MiB", "memory-limit": "256MiB", "kafka-queue-max": "32MiB" }),
    );
    eventually("all of it counts", || {
        let status = collector.status();
        let so = status["memory"]["limit_bytes"] == 256 << 20
            && status["spool"]["bytes_max"] == 100 << 20
            && status["kafka"]["in_flight_bytes_max"] == 32 << 20;
        once(so, || status.to_string())
    });
}

#[test]
fn a_token_is_rotated_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, token) = (folder.path().join("mc.toml"), folder.path().join("token"));
    std::fs::write(&token, "the-first-token-of-all\n").unwrap();
    std::fs::write(&file, format!("http-writes = \"token\"\nhttp-token-file = {token:?}\n")).unwrap();
    let collector = start(&["--config", file.to_str().unwrap()]);
    let reload = |token: &str| {
        let bearer = format!("Bearer {token}");
        request(collector.http(), "POST", "/-/reload", &[("Authorization", &bearer)]).status
    };
    assert_eq!((reload("the-first-token-of-all"), reload("the-second-token-of-all")), (200, 401));
    std::fs::write(&token, "the-second-token-of-all\n").unwrap();
    collector.hang_up();
    eventually("the second counts", || {
        let status = reload("the-second-token-of-all");
        once(status == 200, || status.to_string())
    });
    assert_eq!(reload("the-first-token-of-all"), 401);
    // It counts before it is told.
    let log = eventually("it is told", || {
        let log = collector.log().join("\n");
        once(log.contains("the file has other contents"), || log.clone())?;
        Ok(log)
    });
    assert!(log.contains("http-token-file"), "{log}");
    assert!(!log.contains("-token-of-all"), "{log}");
    // Who may write is not for those who may write.
    let change = json!({ "http-writes": "loopback" });
    let bearer = [("Authorization", "Bearer the-second-token-of-all")];
    let answer = crate::support::http::send(collector.http(), "PATCH", "/v1/config", &bearer, &change);
    assert!(answer.status == 422 && answer.body.contains("is not changed over HTTP"), "{answer:?}");
}
