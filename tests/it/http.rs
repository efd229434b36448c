//! The HTTP server through its socket, beside a line that works.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use crate::support::agent::{Agent, Fault};
use crate::support::collector::Collector;
use crate::support::http::{self, Answer};
use crate::support::kafka::{Broker, unique};
use crate::support::prometheus::Prometheus;
use crate::support::scheduler::{Generation, Scheduler};
use crate::support::{eventually, ocf, once, record, repository};

/// A collector that has delivered 100 records of a topic, and that topic.
fn delivered() -> (Collector, String) {
    delivered_with(&[])
}

fn delivered_with(more: &[&str]) -> (Collector, String) {
    let topic = unique("http");
    let arguments = [&["--kafka-topic-prefix", ""], more].concat();
    let collector = Collector::start(Broker::shared().bootstrap(), &arguments);
    collector.send(&ocf::stream(&record::numbered(&topic, 0..100)));
    collector.wait_delivered(100);
    (collector, topic)
}

#[test]
fn the_life_cycle_routes_say_that_all_is_well() {
    let (collector, _) = delivered();
    assert_eq!(collector.get("/-/healthy").status, 200);
    eventually("it is ready", || {
        let ready = collector.get("/-/ready");
        once(ready.status == 200 && ready.json()["ready"] == true, || format!("{ready:?}"))
    });
}

#[test]
fn the_ledger_balances_and_names_every_term() {
    let (collector, _) = delivered();
    let ledger = collector.ledger();
    assert_eq!(ledger.accepted(), 100);
    for (term, expected) in [
        ("accepted", 100),
        ("delivered", 100),
        ("waiting", 0),
        ("lost", 0),
        ("set_aside", 0),
        ("not_wanted", 0),
        ("imbalance", 0),
    ] {
        assert_eq!(ledger.kafka(term), expected, "{term} of {ledger:?}");
    }
}

#[test]
fn the_endpoints_name_the_ports_that_were_really_taken() {
    let (collector, _) = delivered();
    let endpoints = collector.get("/v1/endpoints").json();
    let named = |list: &str, protocol: &str| {
        let found = endpoints[list].as_array().and_then(|all| all.iter().find(|e| e["protocol"] == protocol));
        found.unwrap_or_else(|| panic!("no {protocol} among {list}: {endpoints}"))["address"].clone()
    };
    assert_eq!(named("inputs", "tcp"), collector.input().to_string());
    assert_eq!(named("outputs", "kafka"), Broker::shared().bootstrap());
}

#[test]
fn the_status_has_version_incarnation_and_counters() {
    let (collector, _) = delivered();
    let status = collector.status();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_ne!(status["incarnation"], "");
    assert_eq!(status["input"]["accepted_records"], 100);
    assert_eq!(status["kafka"]["state"], "up");
}

#[test]
fn promtool_finds_no_fault_with_the_metrics_page() {
    let (collector, topic) = delivered();
    let page = collector.get("/metrics");
    assert_eq!(page.status, 200);
    assert!(page.body.contains(&topic), "a topic that was delivered has series of its own");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed for this test; ci/test installs it or says how");
    promtool.stdin.take().expect("piped").write_all(page.body.as_bytes()).expect("promtool reads the page");
    let found = promtool.wait_with_output().expect("promtool ends");
    assert!(found.status.success(), "{found:#?}\n{}", page.body);
    assert_eq!(String::from_utf8_lossy(&found.stderr), "", "promtool has advice");
}

#[test]
fn a_real_prometheus_takes_every_series_of_the_page() {
    let (collector, topic) = delivered();
    let folder = tempfile::tempdir().unwrap();
    let job = format!("- {{job_name: c, static_configs: [{{targets: [\"{}\"]}}]}}\n", collector.http());
    let prometheus = Prometheus::start(folder.path(), Ipv4Addr::LOCALHOST.into(), &job);
    let value =
        |query: &str| -> Option<f64> { prometheus.query(query).first()?["value"][1].as_str()?.parse().ok() };
    let delivered = format!("metrics_collector_kafka_topic_records_total{{topic=\"{topic}\"}}");
    eventually("Prometheus has the topic's records", || {
        once(value(&delivered) == Some(100.0), || prometheus.said())
    });
    // Each of its scrapes asks for the page, which is the last series that comes.
    let series = || collector.get("/metrics").body.lines().filter(|line| !line.starts_with('#')).count();
    eventually("Prometheus has all of the page", || {
        let (taken, there) = (value("scrape_samples_scraped"), series());
        #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in doubles")]
        once(taken == Some(there as f64), || format!("{taken:?} of {there}"))
    });
}

#[test]
fn every_metric_has_the_programs_name_in_front() {
    let (collector, _) = delivered();
    let page = collector.get("/metrics").body;
    let named = |line: &&str| {
        line.starts_with("metrics_collector_") || line.starts_with("process_") || line.starts_with('#')
    };
    let strange: Vec<&str> = page.lines().filter(|line| !named(line)).collect();
    assert_eq!(strange, Vec::<&str>::new());
}

/// The page with its values taken out, but for those of the line's own counters, which are known here.
fn shape_of(page: &str, topic: &str) -> String {
    let line = |line: &str| {
        let line = line.replace(topic, "<topic>");
        if line.starts_with('#') {
            return line;
        }
        let (series, _) = line.rsplit_once(' ').expect("a series and its value");
        let known = series.starts_with("metrics_collector_output_")
            || series.starts_with("metrics_collector_input_re")
            || series.starts_with("metrics_collector_ledger_")
            || series.starts_with("metrics_collector_spool_accepted_");
        if series.starts_with("metrics_collector_build_info") {
            return "metrics_collector_build_info{revision=\"<revision>\",version=\"<version>\"} 1"
                .to_owned();
        }
        if known { line } else { format!("{series} <value>") }
    };
    // Which routes have been asked depends on how long the records took.
    let asked = |line: &&str| line.starts_with("metrics_collector_http_requests_total{");
    page.lines().filter(|line| !asked(line)).map(|text| line(text) + "\n").collect()
}

#[test]
fn the_metrics_page_is_the_golden_one() {
    // An agent that is asked, and whose own metrics would come beside those that are counted here.
    let agent = Agent::start();
    agent.fault("/containers", Fault::Status(500));
    agent.fault("/metrics/snapshot", Fault::Status(500));
    let scheduler = Scheduler::start(Generation::Endpoints, &[Broker::shared().bootstrap()]);
    let looked_for = ["--kafka-brokers=", "--kafka-discovery=scheduler-vip", "--kafka-scheduler-url"];
    let mut arguments = agent.arguments();
    arguments.extend(looked_for.map(str::to_owned));
    arguments.push(scheduler.url());
    let (collector, topic) = delivered_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let page = shape_of(&collector.get("/metrics").body, &topic);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/metrics.txt");
    if std::env::var_os("GOLDEN").is_some() {
        std::fs::write(path, &page).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).expect("tests/data/metrics.txt; GOLDEN=1 writes it anew");
    let differs = page.lines().zip(golden.lines()).find(|(now, then)| now != then);
    assert!(
        page == golden,
        "first difference (now, golden): {differs:?}; GOLDEN=1 writes the file anew\n{page}"
    );
}

/// What is told of a metric: its type, and the labels of its series where it has any.
type Told = BTreeMap<String, (String, BTreeSet<String>)>;

/// The metrics of the golden page.
fn metrics_of_the_page() -> Told {
    let page = std::fs::read_to_string(repository("tests/data/metrics.txt")).unwrap();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut metrics: Told =
        types.map(|(name, kind)| (name.to_owned(), (kind.to_owned(), BTreeSet::new()))).collect();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, labels)) = line.split_once('{') else { continue };
        let (labels, _) = labels.rsplit_once('}').unwrap();
        let name = name.strip_suffix("_bucket").filter(|name| metrics.contains_key(*name)).unwrap_or(name);
        let labels =
            labels.split("\",").filter_map(|label| label.split_once('=')).map(|(label, _)| label.to_owned());
        metrics.get_mut(name).unwrap_or_else(|| panic!("{line} has no type")).1.extend(labels);
    }
    metrics
}

/// The metrics of the README's tables.
fn metrics_of_the_readme() -> Told {
    let page = std::fs::read_to_string(repository("README.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| row.split('|'));
    let named = rows.filter_map(|mut cells| {
        let name = cells.next()?.trim().strip_suffix('`')?;
        let kind = cells.next()?.trim();
        let labels = cells.next()?.split(", ").map(|label| label.trim_matches(['`', ' ']).to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        ["counter", "gauge", "histogram"]
            .contains(&kind)
            .then(|| (name.to_owned(), (kind.to_owned(), labels)))
    });
    named.collect()
}

#[test]
fn the_readme_has_a_row_for_each_metric() {
    let (page, readme) = (metrics_of_the_page(), metrics_of_the_readme());
    let names = |told: &Told| told.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&readme), names(&page));
    for (name, (kind, labels)) in page {
        let told = &readme[&name];
        assert_eq!(told.0, kind, "{name}");
        // Requests by route are taken out of the golden page: which there are depends on how long it took.
        assert!(
            told.1 == labels || name == "metrics_collector_http_requests_total",
            "{name}: {told:?}, {labels:?}"
        );
    }
}

fn check_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
    assert!(answer.json()["code"].is_string(), "{answer:?}");
}

#[test]
fn errors_are_problems_with_a_code() {
    let (collector, _) = delivered();
    check_problem(&collector.get("/nothing/here"), 404);
    check_problem(&http::request(collector.http(), "DELETE", "/v1/ledger", &[]), 405);
}

#[test]
fn the_token_of_a_file_opens_what_is_closed_to_others() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "open-sesame-open-sesame\n").unwrap();
    let path = file.path().to_str().unwrap();
    let collector = Collector::start("127.0.0.1:1", &["--kafka=false", "--http-token-file", path]);
    // Whoever is asked for by a proxy is not on this host.
    let ask = |path: &str, token: &str| {
        let headers = [("X-Forwarded-For", "192.0.2.1"), ("Authorization", &*format!("Bearer {token}"))];
        http::request(collector.http(), "GET", path, &headers).status
    };
    for (token, status) in [("open-sesame-open-sesame", 200), ("open-sesame-open-sesam", 401), ("", 401)] {
        assert_eq!(ask("/v1/status", token), status, "{token}");
        assert_eq!(ask("/-/healthy", token), 200, "{token}");
    }
}

#[test]
fn a_request_for_another_host_is_refused() {
    let (collector, _) = delivered();
    for (path, secret) in
        [("/v1/status", "incarnation"), ("/metrics", "metrics_collector_"), ("/-/ready", "parts")]
    {
        let answer = http::request(collector.http(), "GET", path, &[("Host", "rebound.example")]);
        check_problem(&answer, 403);
        assert!(!answer.body.contains(secret), "{answer:?}");
    }
}
