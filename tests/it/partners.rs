//! Partners on real sockets, whose streams apache-avro reads.

use std::net::TcpListener;
use std::process::Stdio;
use std::thread;

use serde_json::json;

use crate::support::collector::{AGENT, Collector, program, run};
use crate::support::kafka::{Broker, unique};
use crate::support::lines::Lines;
use crate::support::partner::{Partner, alone, numbers, send_more_than_fits, tagged};
use crate::support::random::Random;
use crate::support::record::{Record, numbered};
use crate::support::{eventually, ocf, once};

#[test]
fn a_partner_that_says_nothing_gets_everything_from_now_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("partner.sock");
    let collector = alone(&["--partner-socket", path.to_str().unwrap()]);
    let before = numbered("t", 0..5);
    collector.send(&ocf::stream(&before));
    collector.wait_accepted(5);
    let mut over_tcp = Partner::connect(collector.partner(), "").begun();
    let mut over_unix = Partner::connect_unix(&path, "").begun();
    let sent = [numbered("t", 5..30), numbered("u", 30..40)].concat();
    collector.send(&ocf::stream(&sent));
    for partner in [&mut over_tcp, &mut over_unix] {
        assert_eq!(partner.records(35), tagged(&sent));
        assert_eq!(partner.metadata("metrics-collector.first"), "5");
        let status = collector.status();
        assert_eq!(
            partner.metadata("metrics-collector.incarnation"),
            status["incarnation"].as_str().unwrap()
        );
    }
    let ledger = collector.wait_books("partner", "delivered", 70);
    assert_eq!((ledger.of("partner", "accepted"), ledger.of("partner", "waiting")), (70, 0));

    let endpoints = collector.get("/v1/endpoints").json();
    let [tcp, unix] = [&endpoints["outputs"][0], &endpoints["outputs"][1]];
    assert_eq!((&tcp["protocol"], &tcp["address"]), (&json!("tcp"), &json!(collector.partner().to_string())));
    assert_eq!((&unix["protocol"], &unix["address"]), (&json!("unix"), &json!(path.to_str().unwrap())));
    let partners = collector.get("/v1/partners").json();
    assert_eq!(partners["partners"].as_array().map(Vec::len), Some(2));
    assert_eq!(partners["partners"][0]["sent_records"], 35);
}

#[test]
fn a_partner_gets_what_its_filter_wants() {
    let collector = alone(&[]);
    let record = |topic: &str, n, tags: &[(&str, &str)]| {
        tags.iter().fold(Record::numbered(topic, n), |record, (key, value)| record.with_tag(key, value))
    };
    let sent = [
        record("a.x", 0, &[]),
        record("a.y", 1, &[("framework_name", "web"), ("host", "n1")]),
        record("b", 2, &[("framework_id", "web-7"), ("host", "n2")]),
        record("a.x", 3, &[("host", "n2"), ("rack", "r")]),
    ];
    let cases: [(&str, &[u32]); 6] = [
        (r#"{"topics":["a.*"]}"#, &[0, 3, 1]),
        (r#"{"topics":["b","?.y"]}"#, &[1, 2]),
        (r#"{"frameworks":["web*"]}"#, &[1, 2]),
        (r#"{"tags":["host=*"]}"#, &[3, 1, 2]),
        (r#"{"tags":["host=n2","rack=r"]}"#, &[3]),
        (r#"{"topics":["a.*"],"tags":["host=n1"]}"#, &[1]),
    ];
    let mut partners: Vec<Partner> =
        cases.iter().map(|(hello, _)| Partner::connect(collector.partner(), hello).begun()).collect();
    let mut as_json =
        Partner::connect(collector.partner(), r#"{"topics":["b"],"format":"ndjson","from":"oldest"}"#);
    wait_connected(&collector, 7);
    collector.send(&ocf::stream(&sent));
    for (partner, (hello, expected)) in partners.iter_mut().zip(cases) {
        assert_eq!(numbers(&partner.records(expected.len())), expected, "{hello}");
    }
    let line = as_json.lines(1).remove(0);
    assert_eq!((&line["topic"], &line["datapoints"][0]["value"]), (&json!("b"), &json!(2.0)));
    let wanted = cases.iter().map(|(_, expected)| expected.len() as u64).sum::<u64>() + 1;
    let ledger = collector.wait_books("partner", "not_wanted", 7 * 4 - wanted);
    assert_eq!((ledger.of("partner", "delivered"), ledger.of("partner", "waiting")), (wanted, 0));
}

#[test]
fn what_is_no_hello_is_told_why_and_too_many_are_refused() {
    let collector = alone(&["--partners-max", "1"]);
    for (hello, expected) in [
        ("GET / HTTP/1.1", r#"does not begin with \"{\""#),
        (r#"{"topic":[]}"#, "unknown field `topic`"),
        (r#"{"from":"resume"}"#, "needs a name"),
    ] {
        let said = String::from_utf8(Partner::connect(collector.partner(), hello).end()).unwrap();
        assert!(said.contains(r#""code":"bad_hello""#) && said.contains(expected), "{hello}: {said}");
        collector.wait_metric("metrics_collector_partner_connections", 0);
    }
    let _first = Partner::connect(collector.partner(), "").begun();
    let said = String::from_utf8(Partner::connect(collector.partner(), "{}").end()).unwrap();
    assert!(said.contains(r#""code":"partner_limit""#), "{said}");
    let ended = r#"metrics_collector_partner_connections_ended_total{reason="bad_hello"}"#;
    collector.wait_metric(ended, 3);
}

#[test]
fn a_hello_that_is_late_ends_the_connection_and_other_words_do_not() {
    let collector = alone(&[]);
    let ended = r#"metrics_collector_partner_connections_ended_total{reason="bad_hello"}"#;
    let mut talker = Partner::connect(collector.partner(), "").begun();
    talker.say("is anybody there?");
    let mut late = Partner::connect(collector.partner(), "").begun();
    late.say(r#"{"name": "late", "from": "resume"}"#);
    while late.take() {}
    collector.wait_metric(ended, 1);
    eventually("the log says it", || {
        let log = collector.log();
        once(log.iter().any(|line| line.contains("its hello came when the stream had begun")), || {
            format!("{log:#?}")
        })
    });
    // Whoever has spoken already had no hello to say.
    talker.say(r#"{"name": "late"}"#);
    let sent = numbered("t", 0..3);
    collector.send(&ocf::stream(&sent));
    assert_eq!(talker.records(3), tagged(&sent));
    assert_eq!(collector.metric(ended), 1);
}

#[test]
fn with_room_for_no_partner_nothing_listens() {
    let collector = alone(&["--partners-max=0"]);
    assert_eq!(collector.get("/v1/endpoints").json()["outputs"], json!([]));
}

#[test]
fn a_stuck_partner_costs_its_own_records_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("partner.sock");
    let prefix = unique("stuck") + "-";
    let arguments = [
        "--kafka-topic-prefix",
        &prefix,
        "--spool-memory",
        "8MiB",
        "--partner-socket",
        path.to_str().unwrap(),
    ];
    let collector = Collector::start(Broker::shared().bootstrap(), &arguments);
    // A unix socket holds little that is not read.
    let mut stuck = Partner::connect_unix(&path, r#"{"name":"stuck"}"#).begun();
    let mut fast = Partner::connect(collector.partner(), r#"{"name":"fast"}"#).begun();
    send_more_than_fits(&collector, &mut fast);
    collector.wait_delivered(4000);
    collector.wait_books("partner:fast", "delivered", 4000);
    eventually("what is left of the stuck one's fits into the feed", || {
        let ledger = collector.ledger();
        once(ledger.of("partner:stuck", "lost") > 0, || format!("{ledger:?}"))
    });

    let mut got = Vec::new();
    while got.last().is_none_or(|last: &Record| last.topic == "collector" || last.number() < 3999) {
        assert!(stuck.take());
        got = stuck.whole_records();
    }
    let told: Vec<&Record> = got.iter().filter(|record| record.topic == "collector").collect();
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a count")]
    let lost: usize = told.iter().map(|record| record.datapoints[0].value as usize).sum();
    assert!(lost > 0 && got.len() - told.len() + lost == 4000, "{lost} lost, {} came", got.len());
    assert_eq!(told[0].datapoints[0].name, "lost_records");
    let ledger = collector.wait_books("partner:stuck", "waiting", 0);
    assert_eq!(ledger.of("partner:stuck", "lost"), lost as u64);
    assert_eq!(ledger.kafka("lost"), 0);
}

/// A partner that comes again and again, takes a few records, says that it is done with some, and dies.
fn dies_at_random(collector: &Collector, random: &mut Random, topics: &str, expected: &[u32]) {
    let hello = format!(r#"{{"name":"mortal","from":"resume","ack":true{topics}}}"#);
    let mut done = 0;
    let mut lives = 0;
    while done < expected.len() {
        let mut partner = Partner::connect(collector.partner(), &hello).begun();
        let left = expected.len() - done;
        let take = random.up_to(left.min(60));
        let got = numbers(&partner.records(take));
        let come = got.len().min(left);
        assert_eq!(
            got,
            expected[done..done + come],
            "life {lives}: behind what it was done with, and no gap"
        );
        let acknowledged = random.up_to(take);
        if acknowledged > 0 {
            partner.say(&acknowledged.to_string());
        }
        done += acknowledged;
        collector.wait_books("partner:mortal", "delivered", done as u64);
        lives += 1;
    }
    assert!(lives > 3, "{lives}");
}

#[test]
fn a_partner_that_dies_at_random_loses_nothing_and_repeats_what_it_was_not_done_with() {
    let mut random = Random::fixed();
    for (topics, wanted) in [("", 1), (r#","topics":["even"]"#, 2)] {
        let collector = alone(&[]);
        drop(Partner::connect(collector.partner(), r#"{"name":"mortal","ack":true}"#).begun());
        let input = collector.input();
        let sender = thread::spawn(move || {
            let mut sender = crate::support::sender::Sender::connect(input);
            sender.send(&ocf::header(ocf::SCHEMA, None));
            for first in (0..500).step_by(5) {
                let topic = |n: u32| if n.is_multiple_of(2) { "even" } else { "odd" };
                for n in first..first + 5 {
                    sender.send(&ocf::block(&[Record::numbered(topic(n), n)]));
                }
            }
        });
        let expected: Vec<u32> = (0..500).filter(|n| n % wanted == 0).collect();
        dies_at_random(&collector, &mut random, topics, &expected);
        sender.join().unwrap();
    }
}

#[test]
fn a_second_connection_takes_the_first_ones_name() {
    let collector = alone(&[]);
    let hello = r#"{"name":"one","from":"resume","ack":true}"#;
    let mut first = Partner::connect(collector.partner(), hello).begun();
    collector.send(&ocf::stream(&numbered("t", 0..4)));
    first.records(4);
    first.say("3");
    collector.wait_books("partner:one", "delivered", 3);
    let mut second = Partner::connect(collector.partner(), hello).begun();
    assert_eq!(numbers(&second.records(1)), [3]);
    first.end();
    assert_eq!(numbers(&first.whole_records()), [0, 1, 2, 3]);
    let ended = r#"metrics_collector_partner_connections_ended_total{reason="replaced"}"#;
    collector.wait_metric(ended, 1);
}

#[test]
fn a_partner_that_closes_its_side_is_gone_also_if_it_wants_nothing() {
    let collector = alone(&[]);
    for hello in ["", r#"{"topics":["never"]}"#] {
        let partner = Partner::connect(collector.partner(), hello).begun();
        wait_connected(&collector, 1);
        partner.half_close();
        wait_connected(&collector, 0);
    }
}

#[test]
fn who_acknowledges_what_it_was_not_sent_is_ended() {
    let collector = alone(&[]);
    for ack in ["1", "-1", "x", "99999999999999999999999"] {
        let mut partner = Partner::connect(collector.partner(), r#"{"ack":true}"#).begun();
        partner.say(ack);
        partner.end();
    }
    let ended = r#"metrics_collector_partner_connections_ended_total{reason="bad_ack"}"#;
    collector.wait_metric(ended, 4);
}

#[test]
fn a_place_outlives_the_process_and_is_told_what_was_lost_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let hello = r#"{"name":"keeper","from":"resume","ack":true}"#;
    let first = alone(&["--data-dir", data_dir]);
    let mut partner = Partner::connect(first.partner(), hello).begun();
    first.send(&ocf::stream(&numbered("t", 0..10)));
    partner.records(10);
    partner.say("6");
    first.wait_books("partner:keeper", "delivered", 6);
    drop(partner);
    let incarnation = first.status()["incarnation"].as_str().unwrap().to_owned();
    assert_eq!(first.terminate().status.code(), Some(0));

    let second = alone(&["--data-dir", data_dir]);
    second.send(&ocf::stream(&numbered("t", 10..15)));
    second.wait_accepted(5);
    let mut partner = Partner::connect(second.partner(), hello).begun();
    let got = partner.records(6);
    assert_eq!((got[0].topic.as_str(), got[0].datapoints[0].value), ("collector", 4.0));
    assert!(got[0].tags.iter().any(|tag| tag.key == "incarnation" && tag.value == incarnation), "{got:?}");
    assert_eq!(numbers(&got[1..]), [10, 11, 12, 13, 14], "what came before it was back");
    second.kill();

    let third = alone(&["--data-dir", data_dir]);
    let mut partner = Partner::connect(third.partner(), hello).begun();
    let got = partner.records(1);
    assert!(got[0].datapoints.is_empty(), "nobody knows how many: {got:?}");
    assert!(got[0].tags.iter().any(|tag| tag.key == "reason" && tag.value == "crash"), "{got:?}");
}

#[test]
fn at_the_end_partners_get_what_was_accepted() {
    let collector = alone(&[]);
    let mut partner = Partner::connect(collector.partner(), "").begun();
    let sent = numbered("t", 0..1000);
    collector.send(&ocf::stream(&sent));
    collector.wait_accepted(1000);
    let ended = thread::spawn(move || collector.terminate());
    partner.end();
    assert_eq!(partner.whole_records(), tagged(&sent));
    assert_eq!(ended.join().unwrap().status.code(), Some(0));
}

/// Waits until so many partners are connected, streams among them.
fn wait_connected(collector: &Collector, n: usize) {
    eventually("partners are connected", || {
        let partners = collector.get("/v1/partners").json();
        let connected = partners["partners"].as_array().map_or(0, Vec::len);
        once(connected == n, || partners.to_string())
    });
}

#[test]
fn a_stream_over_http_is_the_same_stream() {
    let collector = alone(&[]);
    let mut ocf = Partner::over_http(collector.http(), "?topic=t&tag=agent_id%3Dagent*").begun();
    let mut json = Partner::over_http(collector.http(), "?format=ndjson&topic=u");
    wait_connected(&collector, 2);
    let sent = [numbered("t", 0..100), numbered("u", 100..103)].concat();
    collector.send(&ocf::stream(&sent));
    assert_eq!(ocf.records(100), tagged(&sent[..100]));
    assert_eq!(ocf.metadata("metrics-collector.first"), "0");
    let expected = json!({
        "topic": "u",
        "tags": [{ "key": "container_id", "value": "c-1" }, { "key": "agent_id", "value": AGENT }],
        "datapoints": [{ "name": "number", "time_ms": 1_470_000_000_100_i64, "value": 100.0 }],
    });
    assert_eq!(json.lines(3)[0], expected);
    drop((ocf, json));
    wait_connected(&collector, 0);
    let ledger = collector.wait_books("stream", "delivered", 103);
    assert_eq!((ledger.of("stream", "accepted"), ledger.of("stream", "waiting")), (206, 0));
}

#[test]
fn a_stream_over_http_ends_where_it_was_asked_to() {
    let collector = alone(&[]);
    // While somebody follows, the oldest is kept for those who ask for it.
    let _here = Partner::connect(collector.partner(), "").begun();
    let sent = [numbered("t", 0..100), numbered("u", 100..120)].concat();
    collector.send(&ocf::stream(&sent));
    collector.wait_accepted(120);
    for (query, expected) in [
        ("?from=oldest&limit=30", &sent[..30]),
        ("?from=oldest&limit=110", &sent[..110]),
        ("?from=oldest&limit=7&topic=u", &sent[100..107]),
        ("?from=oldest&limit=120", &sent[..]),
        // These are fewer than may come.
        ("?from=oldest&limit=1000&seconds=1", &sent[..]),
        ("?from=now&seconds=0", &[]),
    ] {
        let mut stream = Partner::over_http(collector.http(), query);
        stream.end();
        assert_eq!(stream.whole_records(), tagged(expected), "{query}");
    }
    let mut json = Partner::over_http(collector.http(), "?from=oldest&format=ndjson&limit=3");
    let text = String::from_utf8(json.end()).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    // What was sent counts as delivered, and of the rest nothing waits.
    let delivered = 30 + 110 + 7 + 120 + 120 + 3;
    let ledger = collector.wait_books("stream", "delivered", delivered);
    assert_eq!((ledger.of("stream", "waiting"), ledger.of("stream", "lost")), (0, 0), "{ledger:?}");
    collector.wait_metric("metrics_collector_partner_connections_ended_total{reason=\"enough\"}", 7);
}

#[test]
fn the_time_from_arrival_to_a_partner_is_measured() {
    let collector = alone(&[]);
    let mut partner = Partner::connect(collector.partner(), "").begun();
    let count = "metrics_collector_partner_delivery_latency_seconds_count";
    assert_eq!(collector.metric(count), 0);
    collector.send(&ocf::stream(&numbered("t", 0..10)));
    assert_eq!(partner.records(10).len(), 10);
    eventually("it is on the page", || once(collector.metric(count) > 0, || "not yet".to_owned()));
    // One who looks over HTTP is no partner.
    let before = collector.metric(count);
    let mut stream = Partner::over_http(collector.http(), "?from=oldest&limit=5");
    stream.end();
    assert_eq!((stream.whole_records().len(), collector.metric(count)), (5, before));
}

#[test]
fn tail_shows_records_as_they_arrive() {
    // At an address of its own, whose ports nobody else has when they are free.
    let collector = alone(&["--http-endpoint", "127.0.0.5:0"]);
    let http = format!("--http-endpoint={}", collector.http());
    let tail = |more: &[&str]| {
        let mut child = program()
            .args([&http, "--kafka=false", "tail", "--topic", "shown*"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::of(child.stdout.take().unwrap());
        (child, lines)
    };
    let both = [tail(&[]), tail(&["--json"])];
    wait_connected(&collector, 2);
    collector.send(&ocf::stream(&[numbered("hidden", 0..1), numbered("shown", 1..2)].concat()));
    let [text, json] = both.each_ref().map(|(_, lines)| lines.next().unwrap());
    assert_eq!(text, format!("shown {{container_id=c-1, agent_id={AGENT}}} number=1@1470000000001"));
    let record: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(record["topic"], "shown");
    assert_eq!(collector.terminate().status.code(), Some(0));
    for (mut child, _) in both {
        let status =
            eventually("tail ends", || child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned()));
        assert_eq!(status.code(), Some(0), "the stream's end is no failure");
    }
    // Connections are taken by the system, and nobody is there.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("--http-endpoint={}", silent.local_addr().unwrap());
    let unanswered = run(&[&at, "--kafka=false", "tail"], &[]);
    assert_eq!(unanswered.code, Some(1), "{unanswered:?}");
    assert!(unanswered.stderr.contains("no answer from"), "{unanswered:?}");
    let nobody = run(&[&http, "--kafka=false", "tail"], &[]);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("cannot reach") && nobody.stderr.contains("refused"), "{nobody:?}");
}
