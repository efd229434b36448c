//! Partners that the collector connects to: down, killed, stuck, mad, changed and removed. Counted at the far end.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::http::{Answer, request, send};
use crate::support::kafka::{Broker, unique};
use crate::support::load::under_load;
use crate::support::partner::{Partner, alone, numbers, send_more_than_fits, tagged};
use crate::support::random::Random;
use crate::support::receiver::Receiver;
use crate::support::record::numbered;
use crate::support::sender::Sender;
use crate::support::{eventually, ocf, once};

/// A collector without Kafka that dials these partners.
fn dialling(partners: &Value) -> Collector {
    alone(&["--partners", &partners.to_string()])
}

fn put(collector: &Collector, name: &str, fields: &Value) -> Answer {
    send(collector.http(), "PUT", &format!("/v1/partners/{name}"), &[], fields)
}

fn delete(collector: &Collector, name: &str) -> Answer {
    request(collector.http(), "DELETE", &format!("/v1/partners/{name}"), &[])
}

/// Waits until dialling this partner stands so, and gives what is shown of it.
fn wait_state(collector: &Collector, name: &str, state: &str) -> Value {
    eventually(&format!("{name} is {state}"), || {
        let answer = collector.get(&format!("/v1/partners/{name}"));
        let shown = if answer.status == 200 { answer.json() } else { Value::Null };
        once(shown["dialled"]["state"] == state, || format!("{answer:?}"))?;
        Ok(shown)
    })
}

fn ended(reason: &str) -> String {
    format!("metrics_collector_partner_connections_ended_total{{reason=\"{reason}\"}}")
}

fn dials(result: &str) -> String {
    format!("metrics_collector_partner_dials_total{{result=\"{result}\"}}")
}

#[test]
fn one_that_is_down_at_the_start_gets_everything_when_it_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("partner.sock");
    let address = format!("unix:{}", path.display());
    let collector = dialling(&json!([{ "name": "late", "address": address, "topics": ["t"] }]));
    let sent = [numbered("t", 0..20), numbered("u", 20..25)].concat();
    collector.send(&ocf::stream(&sent));
    collector.wait_accepted(25);
    let shown = wait_state(&collector, "late", "waiting");
    assert_eq!((&shown["connected"], &shown["behind_records"]), (&json!(false), &json!(25)), "{shown}");
    assert_eq!((&shown["topics"], &shown["dialled"]["from"]), (&json!(["t"]), &json!("resume")), "{shown}");
    assert!(
        shown["dialled"]["last_error"][1].as_str().is_some_and(|why| why.contains("No such file")),
        "{shown}"
    );
    assert!(shown["dialled"]["next_ms"].is_u64(), "{shown}");
    let receiver = Receiver::unix(&path);
    let mut partner = receiver.next();
    assert_eq!(partner.records(20), tagged(&sent[..20]));
    assert_eq!(partner.metadata("metrics-collector.first"), "0");
    let shown = wait_state(&collector, "late", "connected");
    assert_eq!((&shown["connected"], &shown["protocol"]), (&json!(true), &json!("unix")), "{shown}");
    assert_eq!(shown["dialled"]["address"], address);
    let ledger = collector.wait_books("partner:late", "delivered", 20);
    assert_eq!((ledger.of("partner:late", "accepted"), ledger.of("partner:late", "lost")), (25, 0));
    collector.wait_books("partner:late", "not_wanted", 5);
    assert!(collector.metric(&dials("refused")) > 0);
    assert_eq!(collector.metric(&dials("connected")), 1);
    assert_eq!(collector.get("/v1/partners").json()["partners"].as_array().map(Vec::len), Some(1));
    let outputs = collector.get("/v1/endpoints").json()["outputs"].clone();
    assert_eq!(outputs.as_array().map(Vec::len), Some(1), "nobody can take records from it: {outputs}");
}

/// A partner that is dialled again and again, takes a few records, says that it is done with some, and dies: with the place
/// that it listens at if that is a unix socket.
fn dies_at_random(random: &mut Random, at: Option<&Path>) {
    const N: usize = 500;
    let tcp = Receiver::tcp();
    let address = at.map_or_else(|| tcp.address(), |path| format!("unix:{}", path.display()));
    let collector = dialling(&json!([{ "name": "mortal", "address": address, "ack": true }]));
    let input = collector.input();
    let sender = thread::spawn(move || {
        let mut sender = Sender::connect(input);
        sender.send(&ocf::header(ocf::SCHEMA, None));
        for first in (0..N as u32).step_by(5) {
            sender.send(&ocf::block(&numbered("t", first..first + 5)));
        }
    });
    let (mut done, mut lives) = (0, 0);
    let mut partner;
    loop {
        let unix = at.map(Receiver::unix);
        partner = unix.as_ref().unwrap_or(&tcp).next();
        let take = random.up_to((N - done).min(150));
        let got = numbers(&partner.records(take));
        let expected: Vec<u32> = (done as u32..(done + got.len()) as u32).collect();
        assert_eq!(got, expected, "life {lives}: behind what it was done with, and no gap");
        let acknowledged = random.up_to(take);
        partner.say(&acknowledged.to_string());
        done += acknowledged;
        collector.wait_books("partner:mortal", "delivered", done as u64);
        lives += 1;
        // The last one lives on, and its place dies before any other: or there were a connection that nobody takes.
        drop(unix);
        if done == N {
            break;
        }
        drop(partner);
    }
    sender.join().unwrap();
    assert!(lives > 3, "{lives}");
    assert_eq!(collector.metric(&dials("connected")), lives);
    drop(partner);
}

#[test]
fn one_that_dies_at_random_loses_nothing_and_repeats_what_it_was_not_done_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new();
    dies_at_random(&mut random, None);
    dies_at_random(&mut random, Some(&folder.path().join("partner.sock")));
}

#[test]
fn a_change_of_one_under_load_costs_no_other_anything() {
    let (still, moved) = (Receiver::tcp(), Receiver::tcp());
    let collector = dialling(&json!([{ "name": "still", "address": still.address() }]));
    let mut still_here = still.next().begun();
    let mut connections = Vec::new();
    let sent = under_load(&collector, "t", 0, || {
        // Added, changed four times, and removed in the end.
        for topics in [json!([]), json!(["t"]), json!(["*"]), json!(["t", "u"]), json!(["t*"])] {
            let answer = put(&collector, "moved", &json!({ "address": moved.address(), "topics": topics }));
            let expected = if connections.is_empty() { 201 } else { 200 };
            assert_eq!(answer.status, expected, "{answer:?}");
            let mut partner = moved.next();
            partner.records(50);
            connections.push(partner);
        }
        assert_eq!(delete(&collector, "moved").status, 200);
    });
    assert_eq!(numbers(&still_here.records(sent as usize)), (0..sent).collect::<Vec<_>>());
    assert!(still.try_next().is_none(), "it is connected to once");
    // Of the one that was changed each connection goes on where the last one ended.
    let mut got = Vec::new();
    for mut partner in connections {
        partner.end();
        got.extend(numbers(&partner.whole_records()));
    }
    let first = got[0];
    assert_eq!(got, (first..first + got.len() as u32).collect::<Vec<_>>());
    collector.wait_metric(&ended("changed"), 4);
    collector.wait_metric(&ended("removed"), 1);
    let ledger = collector.wait_books("partner:still", "delivered", sent.into());
    assert_eq!((ledger.of("partner:still", "lost"), ledger.of("partner:moved", "accepted")), (0, 0));
}

#[test]
fn one_that_is_removed_goes_and_its_place_with_it() {
    let receiver = Receiver::tcp();
    let collector = alone(&[]);
    let fields = json!({ "address": receiver.address(), "ack": true });
    assert_eq!(put(&collector, "gone", &fields).status, 201);
    let mut partner = receiver.next().begun();
    collector.send(&ocf::stream(&numbered("t", 0..10)));
    partner.records(10);
    partner.say("4");
    collector.wait_books("partner:gone", "delivered", 4);
    let answer = delete(&collector, "gone");
    assert_eq!((answer.status, &answer.json()["changed"]), (200, &json!(["partners"])), "{answer:?}");
    partner.end();
    eventually("it is gone", || {
        let (shown, ledger) = (collector.get("/v1/partners/gone"), collector.ledger());
        let so = shown.status == 404 && ledger.of("partner:gone", "accepted") == 0;
        once(so, || format!("{shown:?} {ledger:?}"))
    });
    assert_eq!(delete(&collector, "gone").json()["code"], "unknown_partner");
    assert_eq!(collector.key("partners")["origin"], "default");
    // What it was not done with is not kept for whoever comes by the same name.
    assert_eq!(put(&collector, "gone", &fields).status, 201);
    collector.send(&ocf::stream(&numbered("t", 10..12)));
    assert_eq!(numbers(&receiver.next().records(2)), [10, 11]);
}

#[test]
fn a_bad_partner_is_refused_with_all_that_is_wrong() {
    let collector = alone(&["--partners", r#"[{"name":"good","address":"127.0.0.1:1"}]"#]);
    let bad =
        json!({ "address": "nowhere", "topics": "t", "tags": ["x"], "from": "yesterday", "acks": true });
    let answer = put(&collector, "bad", &bad);
    assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("invalid_config")), "{answer:?}");
    let faults = answer.json()["faults"].clone();
    let keys: Vec<_> = faults.as_array().unwrap().iter().filter_map(|fault| fault["key"].as_str()).collect();
    let expected = ["acks", "address", "topics", "tags", "from"].map(|field| format!("partners.bad.{field}"));
    assert_eq!(keys, expected, "{faults}");
    assert_eq!(faults[0]["nearest"], "ack");
    assert_eq!(send(collector.http(), "PUT", "/v1/partners/bad", &[], &json!([])).status, 400);
    assert_eq!(put(&collector, "no%20name", &json!({ "address": "a:1" })).status, 422);
    assert_eq!(put(&collector, "..", &json!({ "address": "a:1" })).status, 422);
    assert_eq!(put(&collector, "%ff", &json!({ "address": "a:1" })).status, 422);
    let names: Vec<Value> = collector.key("partners")["value"].as_array().unwrap().clone();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn the_collectors_own_input_gets_nothing_by_whatever_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.sock");
    let collector = alone(&["--listen-socket", path.to_str().unwrap()]);
    collector.send(&ocf::stream(&numbered("t", 0..10)));
    collector.wait_accepted(10);
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    // No rule of the configuration knows the port, which is chosen at the start, or what a link leads to.
    let addresses = [format!("localhost:{}", collector.input().port()), format!("unix:{}", link.display())];
    for (name, address) in ["name", "link"].into_iter().zip(addresses) {
        let answer = put(&collector, name, &json!({ "address": address, "from": "oldest" }));
        assert_eq!(answer.status, 201, "{answer:?}");
        let shown = wait_state(&collector, name, "waiting");
        let why = shown["dialled"]["last_error"][1].as_str().unwrap();
        assert!(why.contains("the collector itself listens there"), "{shown}");
    }
    assert!(collector.metric(&dials("failed")) >= 2);
    assert_eq!(collector.metric(&dials("connected")), 0);
    assert_eq!(collector.ledger().accepted(), 10);
}

#[test]
fn a_name_is_one_that_is_dialled_or_one_that_connects() {
    let receiver = Receiver::tcp();
    let collector = alone(&[]);
    let hello = r#"{"name":"one","from":"resume","ack":true}"#;
    let mut caller = Partner::connect(collector.partner(), hello).begun();
    collector.send(&ocf::stream(&numbered("t", 0..4)));
    caller.records(4);
    caller.say("3");
    collector.wait_books("partner:one", "delivered", 3);
    assert_eq!(put(&collector, "one", &json!({ "address": receiver.address(), "ack": true })).status, 201);
    caller.end();
    let mut dialled = receiver.next();
    assert_eq!(numbers(&dialled.records(1)), [3], "the place goes on");
    let said = String::from_utf8(Partner::connect(collector.partner(), hello).end()).unwrap();
    assert!(said.contains(r#""code":"name_dialled""#), "{said}");
    collector.wait_metric(&ended("replaced"), 1);
    collector.wait_metric(&ended("name_dialled"), 1);
    // It is not disturbed.
    collector.send(&ocf::stream(&numbered("t", 4..5)));
    assert_eq!(numbers(&dialled.records(2)), [3, 4]);
}

#[test]
fn the_place_of_one_that_connects_ends_when_it_is_deleted() {
    let collector = alone(&[]);
    let hello = r#"{"name":"caller","from":"resume"}"#;
    let mut caller = Partner::connect(collector.partner(), hello).begun();
    let shown = collector.get("/v1/partners/caller").json();
    assert_eq!((&shown["connected"], &shown["dialled"]), (&json!(true), &Value::Null), "{shown}");
    let stale = request(collector.http(), "DELETE", "/v1/partners/caller", &[("If-Match", "\"another\"")]);
    assert_eq!(stale.status, 412, "{stale:?}");
    let answer = delete(&collector, "caller");
    assert_eq!((answer.status, &answer.json()["changed"]), (200, &json!([])), "{answer:?}");
    caller.end();
    eventually("it is gone", || {
        let shown = collector.get("/v1/partners/caller");
        once(shown.status == 404, || format!("{shown:?}"))
    });
    assert_eq!(delete(&collector, "caller").status, 404);
    // It may come back, as one that was never there.
    collector.send(&ocf::stream(&numbered("t", 0..4)));
    collector.wait_accepted(4);
    let mut caller = Partner::connect(collector.partner(), hello).begun();
    collector.send(&ocf::stream(&numbered("t", 4..6)));
    assert_eq!(numbers(&caller.records(2)), [4, 5]);
}

#[test]
fn one_that_never_reads_costs_its_own_records_alone() {
    let folder = tempfile::tempdir().unwrap();
    // A unix socket holds little that is not read.
    let (stuck, fast) = (Receiver::unix(&folder.path().join("stuck")), Receiver::tcp());
    let prefix = unique("dialled") + "-";
    let partners = json!([
        { "name": "stuck", "address": stuck.address() }, { "name": "fast", "address": fast.address() },
    ]);
    let arguments =
        ["--kafka-topic-prefix", &prefix, "--spool-memory", "8MiB", "--partners", &partners.to_string()];
    let collector = Collector::start(Broker::shared().bootstrap(), &arguments);
    let (never_reads, mut fast) = (stuck.next().begun(), fast.next().begun());
    send_more_than_fits(&collector, &mut fast);
    let ledger = collector.wait_delivered(4000);
    assert_eq!(ledger.kafka("lost"), 0);
    let ledger = collector.wait_books("partner:fast", "delivered", 4000);
    assert_eq!(ledger.of("partner:fast", "lost"), 0);
    eventually("what is left of the stuck one's fits into the feed", || {
        let ledger = collector.ledger();
        assert_eq!(ledger.of("partner:stuck", "imbalance"), 0, "{ledger:?}");
        once(ledger.of("partner:stuck", "lost") > 0, || format!("{ledger:?}"))
    });
    drop(never_reads);
}

#[test]
fn one_that_answers_garbage_is_ended_where_it_should_acknowledge_and_heard_out_elsewhere() {
    let (mad, harmless) = (Receiver::tcp(), Receiver::tcp());
    let collector = dialling(&json!([
        { "name": "mad", "address": mad.address(), "ack": true },
        { "name": "harmless", "address": harmless.address() },
    ]));
    let mut harmless_here = harmless.next().begun();
    harmless_here.say("GET / HTTP/1.1");
    for life in 1..=2 {
        let mut partner = mad.next().begun();
        partner.say("GET / HTTP/1.1");
        partner.end();
        collector.wait_metric(&ended("bad_ack"), life);
    }
    let shown = wait_state(&collector, "mad", "waiting");
    assert_eq!(shown["dialled"]["last_error"][1], "the connection ended: bad_ack", "{shown}");
    collector.send(&ocf::stream(&numbered("t", 0..10)));
    assert_eq!(numbers(&harmless_here.records(10)), (0..10).collect::<Vec<_>>());
    assert!(harmless.try_next().is_none(), "it is connected to once");
}

#[test]
fn one_whose_name_does_not_resolve_waits_until_it_is_set_right() {
    let (receiver, other) = (Receiver::tcp(), Receiver::tcp());
    // No resolver can be asked for a name with such a part.
    let unknown = format!("{}.example:1", "x".repeat(64));
    let collector = dialling(&json!([
        { "name": "lost", "address": unknown }, { "name": "other", "address": other.address() },
    ]));
    let mut other = other.next().begun();
    collector.send(&ocf::stream(&numbered("t", 0..10)));
    assert_eq!(numbers(&other.records(10)), (0..10).collect::<Vec<_>>());
    wait_state(&collector, "lost", "waiting");
    assert!(collector.metric(&dials("unresolved")) > 0);
    eventually("it is told", || {
        let log = collector.log().join("\n");
        once(log.contains("cannot connect to a partner") && log.contains(&unknown), || log)
    });
    assert_eq!(put(&collector, "lost", &json!({ "address": receiver.address() })).status, 200);
    assert_eq!(numbers(&receiver.next().records(10)), (0..10).collect::<Vec<_>>(), "nothing is lost");
}

#[test]
fn what_is_put_outlives_the_process_and_so_does_its_place() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::tcp());
    let data_dir = ["--data-dir", folder.path().to_str().unwrap()];
    let first = alone(&data_dir);
    let answer = put(&first, "keeper", &json!({ "address": receiver.address(), "ack": true }));
    assert_eq!((answer.status, &answer.json()["kept"]), (201, &json!(true)), "{answer:?}");
    let mut partner = receiver.next().begun();
    first.send(&ocf::stream(&numbered("t", 0..10)));
    partner.records(10);
    partner.say("6");
    first.wait_books("partner:keeper", "delivered", 6);
    drop(partner);
    let incarnation = first.status()["incarnation"].as_str().unwrap().to_owned();
    // It is connected to again, and what it was not done with goes out again and is lost with the process.
    let mut partner = receiver.next();
    assert_eq!(numbers(&partner.records(4)), [6, 7, 8, 9]);
    drop(partner);
    assert_eq!(first.terminate().status.code(), Some(0));

    let second = alone(&data_dir);
    assert_eq!(second.key("partners")["origin"], "runtime");
    second.send(&ocf::stream(&numbered("t", 10..15)));
    let mut partner = receiver.next();
    while partner.whole_records().is_empty() && partner.take() {}
    // A connection of the first that nobody had accepted may come before.
    if partner.metadata("metrics-collector.incarnation") == incarnation {
        partner = receiver.next();
    }
    for life in 0..2 {
        let got = partner.records(6);
        assert_eq!((got[0].topic.as_str(), got[0].datapoints[0].value), ("collector", 4.0), "{life} {got:?}");
        assert!(
            got[0].tags.iter().any(|tag| tag.key == "incarnation" && tag.value == incarnation),
            "{got:?}"
        );
        assert_eq!(numbers(&got[1..]), [10, 11, 12, 13, 14]);
        drop(partner);
        // What it was not done with is told again, too.
        partner = receiver.next();
    }
}

#[test]
fn at_the_end_a_dialled_partner_gets_what_was_accepted() {
    let receiver = Receiver::tcp();
    let collector = dialling(&json!([
        { "name": "last", "address": receiver.address() }, { "name": "away", "address": "127.0.0.1:1" },
    ]));
    let mut partner = receiver.next().begun();
    let sent = numbered("t", 0..1000);
    collector.send(&ocf::stream(&sent));
    collector.wait_accepted(1000);
    let ended = thread::spawn(move || collector.terminate());
    partner.end();
    assert_eq!(partner.whole_records(), tagged(&sent));
    let ended = ended.join().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let told = ended.log.iter().any(|line| line.contains("had not taken") && line.contains("1000"));
    assert!(told, "what the other one did not get is named: {:#?}", ended.log);
}

#[test]
fn changes_of_partners_are_tied_to_a_version_and_told_one_by_one() {
    let collector = alone(&["--partners", r#"[{"name":"a","address":"127.0.0.1:1"}]"#]);
    let head = collector.get("/v1/config").head;
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let put = |name: &str, tag: &str| {
        let path = format!("/v1/partners/{name}");
        send(collector.http(), "PUT", &path, &[("If-Match", tag)], &json!({ "address": "127.0.0.1:2" }))
    };
    let answer = put("b", &tag);
    assert_eq!(answer.status, 201);
    assert!(answer.head.contains("etag: \"") && !answer.head.contains(&tag), "{answer:?}");
    let stale = put("a", &tag);
    assert_eq!((stale.status, &stale.json()["code"]), (412, &json!("stale")), "{stale:?}");
    let gone = request(collector.http(), "DELETE", "/v1/partners/b", &[("If-Match", &tag)]);
    assert_eq!(gone.status, 412, "{gone:?}");
    // The same again is no change.
    assert_eq!(put("b", "*").json()["changed"], json!([]));
    let value = collector.key("partners")["value"].clone();
    assert_eq!((value[0]["address"].as_str(), value[1]["name"].as_str()), (Some("127.0.0.1:1"), Some("b")));
    let told = |words: &str| {
        collector.log().into_iter().filter(|line| line.contains(words)).collect::<Vec<String>>()
    };
    eventually("the second is told, too", || {
        once(!told("nothing is changed").is_empty(), || format!("{:#?}", collector.log()))
    });
    let told = told("configuration changed");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("\"name\":\"b\"") && told[0].contains("HTTP from 127.0.0.1"), "{told:?}");
}

#[test]
fn ndjson_goes_to_a_dialled_partner_too() {
    let receiver = Receiver::tcp();
    let collector = dialling(&json!([{ "name": "j", "address": receiver.address(), "format": "ndjson" }]));
    collector.send(&ocf::stream(&numbered("t", 0..2)));
    let lines = receiver.next().lines(2);
    assert_eq!((&lines[1]["topic"], &lines[1]["datapoints"][0]["value"]), (&json!("t"), &json!(1.0)));
    let shown = wait_state(&collector, "j", "connected");
    let peer: SocketAddr = shown["peer"].as_str().unwrap().parse().unwrap();
    assert_eq!(peer.to_string(), receiver.address());
}
