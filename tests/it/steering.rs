//! The configuration seen and changed over HTTP, by SIGHUP, and from one run to the next.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::support::collector::Collector;
use crate::support::http::{request, send};
use crate::support::kafka::{Broker, unique};
use crate::support::{consumer, eventually, ocf, once, record};

const TOKEN: &str = "a-token-of-some-length";

/// A folder for a configuration file and what is kept.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("mc.toml")
    }

    /// A collector with this file, which keeps what is set in the folder.
    fn start(&self, more: &[&str]) -> Collector {
        let (file, data) =
            (self.file().display().to_string(), self.0.path().join("data").display().to_string());
        let arguments = [&["--config", &file, "--data-dir", &data], more].concat();
        Collector::start(Broker::shared().bootstrap(), &arguments)
    }
}

fn start(more: &[&str]) -> Collector {
    Collector::start(Broker::shared().bootstrap(), more)
}

/// Waits until the log has a line with all of these words.
fn wait_told(collector: &Collector, words: &[&str]) {
    eventually(&format!("a line with {words:?}"), || {
        let log = collector.log();
        let so = log.iter().any(|line| words.iter().all(|word| line.contains(word)));
        once(so, || format!("{log:#?}"))
    });
}

#[test]
fn the_configuration_says_of_each_key_what_it_is_and_whence() {
    let folder = Folder::new();
    folder.write("kafka-produce-count = 17\nhttp-token = \"sesame-sesame-sesame\"\n");
    let collector = folder.start(&["--kafka-topic-prefix", "x-"]);
    let answer = collector.get("/v1/config");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("etag: \""), "{answer:?}");
    assert!(!answer.body.contains("sesame"), "{answer:?}");
    let (count, prefix) = (collector.key("kafka-produce-count"), collector.key("kafka-topic-prefix"));
    assert_eq!(
        (&count["value"], &count["default"], &count["origin"]),
        (&json!(17), &json!(1024), &json!("file"))
    );
    assert!(count["place"].as_str().is_some_and(|place| place.ends_with("mc.toml:1")), "{count}");
    assert_eq!((&prefix["place"], &prefix["change"]), (&json!("flag --kafka-topic-prefix"), &json!("live")));
    assert_eq!(collector.key("http-token")["value"], "<hidden>");
    assert_eq!(collector.key("listen-endpoint")["change"], "restart");
    let schema = collector.get("/v1/config/schema").json();
    assert_eq!(schema["properties"]["kafka-produce-count"]["default"], 1024);
}

#[test]
fn a_change_is_made_as_a_whole_or_not_at_all() {
    let collector = start(&[]);
    let bad =
        json!({ "kafka-key": "none", "kafka-produce-count": 0, "no-such-key": 1, "listen-endpoint": ":1" });
    let answer = collector.patch(&bad);
    assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("invalid_config")), "{answer:?}");
    let faults = answer.json()["faults"].clone();
    let mut keys: Vec<_> =
        faults.as_array().unwrap().iter().filter_map(|fault| fault["key"].as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["kafka-produce-count", "listen-endpoint", "no-such-key"], "{faults}");
    assert_eq!(collector.key("kafka-key")["value"], "agent");
    // What the Kafka client refuses is refused here as at a start.
    let file = tempfile::NamedTempFile::new().unwrap();
    let answer = collector.patch(&json!({ "kafka-security-protocol": "ssl", "kafka-ssl-ca": file.path() }));
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.body.contains("librdkafka refuses the Kafka settings"), "{answer:?}");
    let answer = collector.patch(&json!({ "kafka-key": "none" }));
    assert_eq!((answer.status, &answer.json()["changed"]), (200, &json!(["kafka-key"])), "{answer:?}");
    assert_eq!(collector.key("kafka-key")["origin"], "runtime");
    let delete = |key: &str| request(collector.http(), "DELETE", &format!("/v1/config/{key}"), &[]);
    assert_eq!(delete("kafka-key").status, 200);
    assert_eq!(collector.key("kafka-key")["origin"], "default");
    assert_eq!((delete("kafka-key").status, delete("no-such-key").status), (404, 404));
}

#[test]
fn two_operators_do_not_undo_each_others_work_unseen() {
    let collector = start(&[]);
    let tag = || {
        let head = collector.get("/v1/config").head;
        let line = head.lines().find_map(|line| line.strip_prefix("etag: "));
        line.unwrap_or_else(|| panic!("no etag in {head}")).to_owned()
    };
    let seen_by_both = tag();
    let change = |value| {
        send(
            collector.http(),
            "PATCH",
            "/v1/config",
            &[("If-Match", &seen_by_both)],
            &json!({ "kafka-key": value }),
        )
    };
    assert_eq!(change("none").status, 200);
    assert_ne!(tag(), seen_by_both);
    let answer = change("agent");
    assert_eq!((answer.status, &answer.json()["code"]), (412, &json!("stale")), "{answer:?}");
    assert_eq!(collector.key("kafka-key")["value"], "none");
}

#[test]
fn the_file_is_read_again_as_a_whole_or_not_at_all() {
    let (folder, topic) = (Folder::new(), unique("reload"));
    folder.write("kafka-produce-count = 7\n");
    let collector = folder.start(&["--kafka-topic-prefix", ""]);
    folder.write("kafka-produce-count = 8\npartner-socket = \"/nowhere\"\nkafka-key = \"none\"\n");
    let answer = request(collector.http(), "POST", "/-/reload", &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = answer.json();
    assert_eq!(
        (&said["changed"], &said["pending"]),
        (&json!(["kafka-produce-count", "kafka-key"]), &json!(["partner-socket"]))
    );
    assert_eq!(collector.key("partner-socket")["pending"], "/nowhere");
    wait_told(&collector, &["partner-socket", "counts from the next start on"]);

    folder.write("kafka-produce-count = 9\nkafka-key = 7\n");
    let answer = request(collector.http(), "POST", "/-/reload", &[]);
    assert_eq!(answer.status, 422, "{answer:?}");
    collector.hang_up();
    wait_told(&collector, &["kafka-key", "nothing changed"]);
    let problem = |now: bool| {
        let problems = collector.status()["problems"].as_array().cloned().unwrap_or_default();
        let found = problems.iter().find(|problem| problem["kind"] == "configuration");
        found.is_some_and(|problem| {
            problem["now"] == now && problem["detail"].to_string().contains("kafka-key")
        })
    };
    assert!(problem(true), "{}", collector.status());
    assert_eq!(collector.key("kafka-produce-count")["value"], 8);

    folder.write("kafka-produce-count = 3\n");
    collector.hang_up();
    wait_told(&collector, &["configuration changed", "kafka-produce-count", "\"8\"", "\"3\"", "SIGHUP"]);
    assert!(problem(false), "{}", collector.status());
    collector.send(&ocf::stream(&record::numbered(&topic, 0..30)));
    collector.wait_delivered(30);
    let messages = consumer::read(Broker::shared().bootstrap(), &topic, 30);
    assert!(messages.iter().all(|message| message.records().len() <= 3), "{messages:?}");
}

#[test]
fn what_was_set_outlives_the_process_until_somebody_means_something_else() {
    let folder = Folder::new();
    folder.write("kafka-produce-count = 7\n");
    let collector = folder.start(&["--kafka-produce-kbytes", "100"]);
    let change = json!({ "kafka-produce-count": 8, "kafka-produce-kbytes": 200, "kafka-key": "none" });
    let answer = collector.patch(&change);
    assert_eq!((answer.status, &answer.json()["kept"]), (200, &json!(true)), "{answer:?}");
    assert_eq!(collector.kill().status.code(), None);

    let collector = folder.start(&["--kafka-produce-kbytes", "100"]);
    for (key, value) in [("kafka-produce-count", 8), ("kafka-produce-kbytes", 200)] {
        let entry = collector.key(key);
        assert_eq!((&entry["value"], &entry["origin"]), (&json!(value), &json!("runtime")), "{key}");
    }
    wait_told(&collector, &["kafka-key", "set at runtime in an earlier run"]);
    drop(collector);

    // Another flag, and another line in the file.
    folder.write("kafka-produce-count = 9\n");
    let collector = folder.start(&["--kafka-produce-kbytes", "300"]);
    for (key, value, origin) in [
        ("kafka-produce-count", json!(9), "file"),
        ("kafka-produce-kbytes", json!(300), "flag"),
        ("kafka-key", json!("none"), "runtime"),
    ] {
        let entry = collector.key(key);
        assert_eq!((&entry["value"], &entry["origin"]), (&value, &json!(origin)), "{key}");
        let lines = collector
            .log()
            .iter()
            .filter(|line| line.contains(&format!("runtime value of {key} is dropped")))
            .count();
        assert_eq!(lines, usize::from(origin != "runtime"), "{key}");
    }
}

#[test]
fn without_a_folder_nothing_is_kept_and_that_is_said() {
    let collector = start(&[]);
    let answer = collector.patch(&json!({ "kafka-key": "none" })).json();
    assert_eq!(
        (&answer["kept"], &answer["not_kept_because"]),
        (&json!(false), &json!("data-dir is not set"))
    );
}

#[test]
fn a_folder_that_keeps_nothing_is_told_at_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().join("data");
    let collector = start(&["--data-dir", folder.to_str().unwrap()]);
    let told = eventually("it is told", || {
        let log = collector.log();
        let told = log.iter().find(|line| line.contains("data-dir cannot be written to"));
        told.cloned().ok_or_else(|| format!("{log:#?}"))
    });
    assert!(told.contains("WARN") && told.contains(folder.to_str().unwrap()), "{told}");
    assert_eq!(collector.patch(&json!({ "kafka-key": "none" })).json()["kept"], false);
}

#[test]
fn writes_are_for_whom_the_operator_says() {
    let bearer = format!("Bearer {TOKEN}");
    for (writes, without, with) in [("loopback", 200, 200), ("token", 401, 200), ("off", 403, 403)] {
        let collector = start(&["--http-writes", writes, "--http-token", TOKEN]);
        let change = json!({ "kafka-key": "none" });
        let patch =
            |headers: &[(&str, &str)]| send(collector.http(), "PATCH", "/v1/config", headers, &change).status;
        assert_eq!(patch(&[]), without, "{writes}");
        assert_eq!(patch(&[("Authorization", &bearer)]), with, "{writes}");
        assert_eq!(request(collector.http(), "POST", "/-/reload", &[]).status, without, "{writes}");
        assert_eq!(collector.get("/v1/config").status, 200, "{writes}");
        let expected = if with == 200 { "none" } else { "agent" };
        assert_eq!(collector.key("kafka-key")["value"], expected, "{writes}");
    }
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let collector = start(&[]);
    let change = json!({ "kafka-key": "none" });
    for field in
        [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site")]
    {
        let answer = send(collector.http(), "PATCH", "/v1/config", &[field], &change);
        assert_eq!(answer.status, 403, "{field:?} {answer:?}");
        assert_eq!(request(collector.http(), "POST", "/-/reload", &[field]).status, 403, "{field:?}");
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "0")];
    assert_eq!(request(collector.http(), "PATCH", "/v1/config", &form).status, 400);
    assert_eq!(collector.key("kafka-key")["value"], "agent");
}

#[test]
fn those_who_send_a_byte_now_and_then_keep_nobody_out() {
    const HEAD: &str = "PATCH /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n";
    let collector = start(&["--http-connections-max", "4"]);
    let crowd: Vec<TcpStream> = (0..40)
        .map(|n| {
            let mut socket = TcpStream::connect(collector.http()).unwrap();
            // Half of them stay within the header, which others may take the place of.
            let said = if n % 2 == 0 { &HEAD[..HEAD.len() - 1] } else { HEAD };
            // The server may have sent the one before away.
            _ = socket.write_all(said.as_bytes());
            assert_eq!(collector.get("/-/healthy").status, 200, "{n}");
            socket
        })
        .collect();
    drop(crowd);
    // A body that does not come is given up, and its connection ends.
    let mut socket = TcpStream::connect(collector.http()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket.write_all(format!("{HEAD}\r\n{{").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_timeout"), "{answer}");
    assert_eq!(collector.metric("metrics_collector_http_refused_total{reason=\"body_timeout\"}"), 1);
}
