//! The order of the end, whoever begins it.

use std::future::pending;

use rdkafka::mocking::MockCluster;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::config::{Live, Sources};
use crate::control::steering::{ConfigView, KeyView, NotChanged, Outcome};
use crate::control::{TopicView, TopicsQuery};
use crate::ocf::encode::file;
use crate::output::kafka;
use crate::record::{Datapoint, MetricList};
use crate::telemetry::statsd;

const GRACE: Duration = Duration::from_secs(30);

/// A collector on free ports that sends to `brokers` and leaves messages open for longer than a test lasts.
async fn started(brokers: &str) -> Running {
    started_with(&[("kafka-brokers", brokers)]).await
}

async fn started_with(more: &[(&'static str, &str)]) -> Running {
    started_and_looking(renewal::PERIOD, more).await
}

/// One that looks at its files so often.
async fn started_and_looking(period: Duration, more: &[(&'static str, &str)]) -> Running {
    let flags = [
        ("kafka-produce-period-ms", "1h"),
        ("listen-endpoint", "127.0.0.1:0"),
        ("http-endpoint", "127.0.0.1:0"),
        ("partner-endpoint", "127.0.0.1:0"),
        ("agent-polling", "false"),
        // Longer than any drain takes, on whatever machine.
        ("shutdown-grace", "2m"),
    ];
    let flags = flags.iter().chain(more).map(|(key, value)| (*key, (*value).into())).collect();
    let loaded = Live::load(Sources { flags, environment: Vec::new() }, &|_| Vec::new()).unwrap();
    start(kept::recall(loaded).await, Log::default(), period).await.unwrap()
}

/// Sends a record, and waits until it is accepted.
async fn send(running: &Running) {
    send_each(running, &["orders".to_owned()]).await;
}

/// Sends a record of each topic, and waits until all are accepted.
async fn send_each(running: &Running, topics: &[String]) {
    let record = |topic: &String| {
        let datapoint = Datapoint { name: b"answer".to_vec(), time_ms: 1, value: 42.0 };
        MetricList { topic: topic.as_str().into(), tags: Vec::new(), datapoints: vec![datapoint] }
    };
    let records: Vec<MetricList> = topics.iter().map(record).collect();
    let mut stream = TcpStream::connect(running.listening.input).await.unwrap();
    stream.write_all(&file(&records, b"0123456789abcdef")).await.unwrap();
    stream.shutdown().await.unwrap();
    // It closes its side when it has read all.
    _ = stream.read(&mut [0]).await;
    assert_eq!(running.spool.ledger().accepted, topics.len() as u64);
}

/// Lets `part` end before its time, and checks that all was drained before the end.
async fn check_drained_and_70(part: impl FnOnce(&Running)) {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    send(&running).await;
    let control = running.listening.control.clone();
    part(&running);
    let code = running.until(pending()).await;
    assert_eq!(code, ExitCode::from(exit::TASK_DIED));
    let kafka = &control.ledger().outputs["kafka"];
    assert_eq!((kafka.accepted, kafka.delivered, kafka.waiting), (1, 1, 0), "{kafka:?}");
}

#[tokio::test]
async fn the_input_that_ends_early_ends_the_process_after_the_drain() {
    check_drained_and_70(|running| running.input.abort()).await;
}

#[tokio::test]
async fn the_http_server_that_ends_early_ends_the_process_after_the_drain() {
    check_drained_and_70(|running| running.http.abort()).await;
}

#[tokio::test]
async fn pages_are_answered_while_the_line_has_no_time_and_it_is_not_called_healthy() {
    let running = started_with(&[("kafka", "false")]).await;
    let at = running.listening.http;
    let asked = std::thread::spawn(move || {
        ["/v1/status", "/-/healthy"].map(|path| {
            let mut stream = std::net::TcpStream::connect(at).unwrap();
            stream.set_read_timeout(Some(GRACE)).unwrap();
            write!(stream, "GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n").unwrap();
            io::read_to_string(stream).unwrap()
        })
    });
    // All of the line runs on this thread, which waits.
    let [status, healthy] = asked.join().unwrap();
    assert!(status.contains(" 200 "), "{status}");
    assert!(healthy.contains(" 503 ") && healthy.contains(r#""code": "stuck""#), "{healthy}");
    assert_eq!(running.until(std::future::ready("asked")).await, ExitCode::SUCCESS);
}

#[tokio::test]
async fn the_output_that_ends_early_ends_the_process() {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    running.kafka.as_ref().unwrap().abort();
    assert_eq!(running.until(pending()).await, ExitCode::from(exit::TASK_DIED));
}

#[tokio::test]
async fn the_look_for_brokers_that_ends_early_ends_the_process() {
    let nobody = "http://127.0.0.1:1";
    let running =
        started_with(&[("kafka-scheduler-url", nobody), ("kafka-discovery", "scheduler-vip")]).await;
    running.discovery.as_ref().unwrap().abort();
    assert_eq!(running.until(pending()).await, ExitCode::from(exit::TASK_DIED));
}

#[tokio::test]
async fn an_end_that_was_asked_for_is_a_success() {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    send(&running).await;
    let spool = running.spool.clone();
    assert_eq!(running.until(std::future::ready("asked")).await, ExitCode::SUCCESS);
    let kafka = &spool.ledger().outputs["kafka"];
    assert_eq!((kafka.delivered, kafka.waiting), (1, 0), "{kafka:?}");
}

/// What Prometheus may take of a page, in bytes.
const PAGE_BYTES_MAX: usize = 512 << 10;

#[tokio::test]
async fn a_thousand_topics_have_two_hundred_series_of_their_own() {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    let topics: Vec<String> = (0..1000).map(|n| format!("{n:0>200}")).collect();
    send_each(&running, &topics).await;
    let control = running.listening.control.clone();
    assert_eq!(running.until(std::future::ready("asked")).await, ExitCode::SUCCESS);
    let page = control.metrics();
    let series: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("metrics_collector_kafka_topic_records_total{topic=\""))
        .collect();
    assert_eq!(series.len(), 201);
    assert_eq!(series.iter().filter(|series| series.starts_with("other\"} 800")).count(), 1, "{series:#?}");
    assert!(page.len() < PAGE_BYTES_MAX, "{} bytes", page.len());
    // All of them can be looked at, page by page.
    let query = |after| TopicsQuery { after, limit: 600, state: None };
    let first = control.topics(&query(None));
    let rest = control.topics(&query(first.next));
    assert_eq!((first.total, first.topics.len(), rest.topics.len(), rest.next), (1000, 600, 400, None));
    let delivered = |topic: &TopicView| topic.kafka.as_ref().map(|kafka| kafka.delivered_records);
    assert!(first.topics.iter().chain(&rest.topics).all(|topic| delivered(topic) == Some(1)));
}

#[tokio::test]
async fn every_counter_that_goes_to_statsd_is_one_of_ours() {
    let registry = prometheus::Registry::new();
    _ = dcos::agent::Metrics::register(&registry).unwrap();
    let framework = dcos::discovery::FrameworkName::parse("kafka").unwrap();
    _ = dcos::discovery::Metrics::register(&registry).unwrap().of(&framework);
    _ = input::Metrics::register(&registry).unwrap();
    _ = kafka::Metrics::register(&registry).unwrap();
    let config = spool::Config { memory_bytes: 1 << 20, when_full: spool::WhenFull::Auto, topics_max: 1 };
    let spool = Spool::in_memory(config, Framing::default());
    let _reader = spool.reader("kafka", true);
    registry.register(Box::new(spool::Collected::new(spool))).unwrap();
    let families = registry.gather();
    for source in statsd::ROWS.iter().flat_map(|row| row.sources) {
        // It has no series before the first message.
        if source.family == "metrics_collector_kafka_topic_records_total" {
            continue;
        }
        let family = families.iter().find(|family| family.name() == source.family);
        let family = family.unwrap_or_else(|| panic!("{}", source.family));
        let Some((label, values)) = source.only else { continue };
        for value in values {
            let pairs = family.get_metric().iter().flat_map(prometheus::proto::Metric::get_label);
            let mut known = pairs.filter(|pair| pair.name() == label);
            assert!(known.any(|pair| pair.value() == *value), "{} {value}", source.family);
        }
    }
}

fn wish(values: serde_json::Value) -> Order {
    let serde_json::Value::Object(values) = values else { panic!("no object: {values}") };
    Order { change: Change::Set(values), expected: Expected::Any, by: "test".to_owned() }
}

/// Makes a change.
async fn set(running: &Running, values: serde_json::Value) -> Outcome {
    running.listening.control.change(wish(values)).await.unwrap()
}

fn shown(running: &Running, key: &str) -> (serde_json::Value, serde_json::Value) {
    let view = running.listening.control.config();
    (view.keys[key]["value"].clone(), view.keys[key]["origin"].clone())
}

#[tokio::test]
async fn keys_are_shown_as_they_are_described() {
    let running = started("127.0.0.1:1").await;
    let mut schema = schemars::schema_for!(KeyView).to_value();
    schema["additionalProperties"] = false.into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let keys = running.listening.control.config().keys.clone();
    assert!(keys.len() > 50, "{keys:?}");
    for (name, key) in &keys {
        let faults: Vec<String> = validator.iter_errors(key).map(|fault| fault.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new(), "{name}");
    }
    assert_eq!(running.until(std::future::ready("asked")).await, ExitCode::SUCCESS);
}

#[tokio::test]
async fn a_change_has_a_new_version_and_is_made_for_one() {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    let control = running.listening.control.clone();
    let first = control.config().etag.clone();
    let second = set(&running, json!({ "kafka-key": "none" })).await.view.etag;
    assert_ne!(first, second);
    let stale = |change| Order { change, expected: Expected::OneOf(vec![first.clone()]), by: "t".to_owned() };
    let set_again = wish(json!({ "kafka-key": "agent" })).change;
    assert_eq!(control.change(stale(set_again)).await, Err(NotChanged::Stale));
    let remove = |key: &str| stale(Change::Remove(key.to_owned()));
    assert_eq!(control.change(remove("kafka-key")).await, Err(NotChanged::Stale));
    // What is not there is not there in any version.
    assert_eq!(control.change(remove("no-such-key")).await, Err(NotChanged::NoKey));
    assert_eq!(control.change(remove("log-level")).await, Err(NotChanged::NotSet));
    assert_eq!(shown(&running, "kafka-key").0, "none");
    // What changes nothing is no other version.
    let same = set(&running, json!({ "kafka-key": "none" })).await;
    assert_eq!((same.changed.len(), same.view.etag), (0, second));
    assert_eq!(running.until(std::future::ready("asked")).await, ExitCode::SUCCESS);
}

#[tokio::test]
async fn a_change_that_is_not_shown_has_a_new_version_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a-token-of-some-length").unwrap();
    let running = started_with(&[
        ("kafka-brokers", "127.0.0.1:1"),
        ("kafka-security-protocol", "sasl_plaintext"),
        ("kafka-sasl-mechanism", "PLAIN"),
        ("kafka-sasl-username", "me"),
        ("kafka-sasl-password", "first"),
        ("http-token-file", file.path().to_str().unwrap()),
    ])
    .await;
    let password = |word: &str| json!({ "kafka-sasl-password": word });
    let second = set(&running, password("second")).await;
    let control = running.listening.control.clone();
    let order =
        Order { expected: Expected::OneOf(vec![second.view.etag.clone()]), ..wish(password("third")) };
    let third = control.change(order.clone()).await.unwrap();
    assert_eq!((&third.changed[..], &third.view.keys), (&["kafka-sasl-password"][..], &second.view.keys));
    assert_eq!(control.change(order).await, Err(NotChanged::Stale));
    // What a file says is hidden as well.
    std::fs::write(file.path(), "another-token-of-some-length").unwrap();
    let reload = Order { change: Change::Reload, expected: Expected::Any, by: "test".to_owned() };
    let fourth = control.change(reload).await.unwrap();
    assert_eq!((&fourth.renewed[..], &fourth.view.keys), (&["http-token-file"][..], &second.view.keys));
    assert_ne!(fourth.view.etag, third.view.etag);
}

#[tokio::test]
async fn of_two_who_change_the_same_version_one_hears_of_it() {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    let control = running.listening.control.clone();
    let etag = control.config().etag.clone();
    let order = |key: &str| Order {
        expected: Expected::OneOf(vec![etag.clone()]),
        ..wish(json!({ "kafka-topic-prefix": key }))
    };
    let (a, b) = tokio::join!(control.change(order("a-")), control.change(order("b-")));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}

#[tokio::test]
async fn endpoints_tell_the_prefix_that_counts() {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    set(&running, json!({ "kafka-topic-prefix": "other-" })).await;
    let endpoints = running.listening.control.endpoints();
    assert_eq!(endpoints.outputs[0].topic.as_deref(), Some("other-<topic>"));
}

#[tokio::test]
async fn values_are_kept_where_there_is_a_folder_and_nobody_else_reads_them() {
    use std::os::unix::fs::PermissionsExt;
    let cluster = MockCluster::new(1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runtime.json");
    let flags = |prefix| {
        [
            ("kafka-brokers", cluster.bootstrap_servers()),
            ("data-dir", folder.path().display().to_string()),
            ("kafka-topic-prefix", String::from(prefix)),
        ]
    };
    let load = |prefix| {
        let flags = flags(prefix).into_iter().chain([("agent-polling", "false".to_owned())]);
        let flags = flags.map(|(name, value)| (name, value.into())).collect();
        Live::load(Sources { flags, environment: Vec::new() }, &|_| Vec::new()).unwrap()
    };
    let begun = |prefix| {
        let all = flags(prefix);
        async move { started_with(&all.each_ref().map(|(name, value)| (*name, value.as_str()))).await }
    };
    let running = begun("f-").await;
    let outcome = set(&running, json!({ "kafka-topic-prefix": "r-", "kafka-key": "none" })).await;
    assert!(outcome.view.kept, "{outcome:?}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let recalled = kept::recall(load("f-")).await.loaded;
    assert_eq!(recalled.live.view()["kafka-topic-prefix"]["origin"], "runtime");
    assert_eq!(recalled.config.kafka.unwrap().naming, kafka::Naming::prefix("r-"));
    // With another flag that is dropped, and stays so.
    for _ in 0..2 {
        let recalled = kept::recall(load("g-")).await.loaded;
        assert_eq!(recalled.live.view()["kafka-topic-prefix"]["place"], "flag --kafka-topic-prefix");
        assert_eq!(recalled.live.view()["kafka-key"]["value"], "none");
    }
    let recalled = kept::recall(load("f-")).await.loaded;
    assert_eq!(recalled.live.view()["kafka-topic-prefix"]["origin"], "flag");

    std::fs::write(&path, "?").unwrap();
    let recalled = kept::recall(load("f-")).await.loaded;
    assert_eq!(recalled.live.view()["kafka-key"]["origin"], "default");
    assert!(folder.path().join("runtime.json.damaged").exists() && !path.exists());
}

#[tokio::test]
async fn a_folder_that_takes_nothing_is_told_and_the_change_counts() {
    let cluster = MockCluster::new(1).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let folder = file.path().join("below-a-file").display().to_string();
    let running =
        started_with(&[("kafka-brokers", &cluster.bootstrap_servers()), ("data-dir", &folder)]).await;
    let control = &running.listening.control;
    let told = || {
        let problems = control.status().problems;
        problems.iter().any(|problem| problem.kind == "data_directory")
    };
    let check = |view: &ConfigView| {
        let why = view.not_kept_because.clone().unwrap();
        assert!(!view.kept && why.starts_with("data-dir cannot be written to: "), "{why}");
    };
    // Also before anything is set.
    check(&control.config());
    assert!(told());
    check(&set(&running, json!({ "kafka-key": "none" })).await.view);
    assert_eq!(shown(&running, "kafka-key"), (json!("none"), json!("runtime")));
    // And it is kept as soon as it can be.
    std::fs::remove_file(file.path()).unwrap();
    let view = set(&running, json!({ "kafka-topic-prefix": "p-" })).await.view;
    assert!(view.kept && view.not_kept_because.is_none(), "{:?}", view.not_kept_because);
}

#[tokio::test]
async fn named_brokers_take_over_from_a_look_and_back() {
    let [first, second] = [(); 2].map(|()| MockCluster::new(1).unwrap());
    let nobody = "http://127.0.0.1:1";
    let running = started_with(&[
        ("kafka-scheduler-url", nobody),
        ("kafka-discovery", "scheduler-vip"),
        ("kafka-produce-period-ms", "20"),
    ])
    .await;
    let control = running.listening.control.clone();
    send(&running).await;
    assert_eq!(control.ledger().outputs["kafka"].waiting, 1);
    set(&running, json!({ "kafka-brokers": first.bootstrap_servers() })).await;
    delivered(&control, 1).await;
    assert!(control.status().discovery.is_none());
    let is_counted = || control.metrics().contains("metrics_collector_discovery_");
    assert!(!is_counted(), "nobody looks any more");
    set(&running, json!({ "kafka-brokers": second.bootstrap_servers() })).await;
    until("the others are in use", || control.endpoints().outputs[0].address == second.bootstrap_servers())
        .await;
    // Until somebody finds the framework's, those of before stay in use.
    set(&running, json!({ "kafka-brokers": null })).await;
    until("somebody looks for brokers", || control.status().discovery.is_some() && is_counted()).await;
    assert_eq!(control.endpoints().outputs[0].address, second.bootstrap_servers());
    assert_eq!(running.until(std::future::ready("asked")).await, ExitCode::SUCCESS);
}

#[tokio::test]
async fn brokers_that_are_known_stay_so_where_they_are_looked_for_in_another_way() {
    let cluster = MockCluster::new(1).unwrap();
    let body = format!(r#"{{"dns":["{}"]}}"#, cluster.bootstrap_servers());
    let router = axum::Router::new().route("/v1/endpoints/broker", axum::routing::get(|| async { body }));
    let scheduler = dcos::testing::serve(router).await;
    let running =
        started_with(&[("kafka-scheduler-url", &scheduler), ("kafka-discovery", "scheduler-vip")]).await;
    let control = running.listening.control.clone();
    let ready = || control.readiness().into_iter().find(|part| part.name == "discovery").unwrap();
    let brokers = || control.status().discovery.map_or_else(Vec::new, |discovery| discovery.brokers);
    until("they are found", || brokers() == [cluster.bootstrap_servers()]).await;
    let next = || control.status().discovery.unwrap().next_seconds;
    until("it is asked again some time", || next().is_some()).await;
    let (asked, before) = (counted(&control, "found"), next());
    set(&running, json!({ "kafka-discovery-period": "1h" })).await;
    until("the period counts", || next() > before).await;
    assert_eq!(counted(&control, "found"), asked, "another period is no question");
    assert_eq!(brokers(), [cluster.bootstrap_servers()]);
    // Nobody is there.
    set(&running, json!({ "kafka-scheduler-url": "http://127.0.0.1:1" })).await;
    until("somebody is asked in vain", || counted(&control, "failed") > 0).await;
    assert_eq!(brokers(), [cluster.bootstrap_servers()]);
    assert!(ready().ready, "{:?}", ready());
    set(&running, json!({ "kafka-broker-address": "vip" })).await;
    until("those are others", || !ready().ready && brokers().is_empty()).await;
    assert_eq!(running.until(std::future::ready("asked")).await, ExitCode::SUCCESS);
}

/// Questions for brokers that had this result.
fn counted(control: &Control, result: &str) -> u64 {
    let page = control.metrics();
    let series =
        format!("metrics_collector_discovery_lookups_total{{framework=\"kafka\",result=\"{result}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap()
}

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !so() {
        assert!(begun.elapsed() < GRACE, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn delivered(control: &Control, records: u64) {
    until("records are delivered", || control.ledger().outputs["kafka"].delivered == records).await;
}

#[tokio::test]
async fn an_agent_that_is_not_asked_any_more_is_no_problem() {
    let running =
        started_with(&[("kafka-brokers", "127.0.0.1:1"), ("agent-ip", "127.0.0.1"), ("agent-port", "1")])
            .await;
    let is_now = || {
        let problems = running.listening.control.status().problems;
        problems.iter().find(|problem| problem.kind == "agent").map(|problem| problem.now)
    };
    set(&running, json!({ "agent-polling": true })).await;
    until("it does not answer", || is_now() == Some(true)).await;
    set(&running, json!({ "agent-polling": false })).await;
    until("it need not answer", || is_now() == Some(false)).await;
}

#[tokio::test]
async fn while_it_stops_the_input_is_not_ready() {
    let running = started("127.0.0.1:1").await;
    send(&running).await;
    let control = running.listening.control.clone();
    let is_ready = || control.readiness().into_iter().find(|part| part.name == "input").unwrap().ready;
    assert!(is_ready());
    let end = running.until(std::future::ready("asked"));
    let not_ready = async {
        while is_ready() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = end => panic!("a record is left, so that the grace is not over"),
        () = not_ready => {}
    }
}

#[test]
fn advice_names_keys_that_there_are() {
    use crate::telemetry::problems::TABLE;

    // What looks like a key and is none: names of other things.
    const OTHERS: [&str; 3] = ["check-config", "log-in", "metrics-collector"];
    let keys = crate::config::markdown();
    let mut named = 0;
    for row in &TABLE {
        for word in row.advice.split(|c: char| !c.is_ascii_lowercase() && c != '-') {
            if word.contains('-') && !OTHERS.contains(&word) {
                assert!(keys.contains(&format!("`{word}`")), "{word} of {}", row.name);
                named += 1;
            }
        }
    }
    assert!(named > 20, "{named}");
}

/// A certificate that signs itself, in PEM.
fn certificate() -> Vec<u8> {
    use openssl::{asn1::Asn1Time, hash::MessageDigest, pkey::PKey, rsa::Rsa, x509::X509};
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    builder.build().to_pem().unwrap()
}

#[tokio::test]
async fn a_file_that_is_renewed_counts_without_anybody_saying_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, certificate()).unwrap();
    let flags = [
        ("kafka-brokers", "127.0.0.1:1"),
        ("kafka-broker-version", "2.1"),
        ("kafka-security-protocol", "ssl"),
        ("kafka-ssl-ca", file.to_str().unwrap()),
    ];
    let running = started_and_looking(Duration::from_millis(10), &flags).await;
    let control = running.listening.control.clone();
    let producers = || {
        let page = control.metrics();
        let series = "metrics_collector_kafka_producers_total ";
        page.lines().find_map(|line| line.strip_prefix(series)?.parse::<u64>().ok()).unwrap()
    };
    until("a producer is made", || producers() == 1).await;
    // By rename, as those do who renew them.
    for expected in [2, 3] {
        let new = folder.path().join("new");
        std::fs::write(&new, certificate()).unwrap();
        std::fs::rename(&new, &file).unwrap();
        until("it counts", || producers() == expected).await;
    }
    assert_eq!(shown(&running, "kafka-ssl-ca").0, file.to_str().unwrap());
    assert_eq!(running.until(std::future::ready("asked")).await, ExitCode::SUCCESS);
}
