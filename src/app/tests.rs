//! The order of the end, whoever begins it.

use std::future::pending;

use rdkafka::mocking::MockCluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::config::{Sources, load};
use crate::ocf::encode::file;
use crate::record::{Datapoint, MetricList};
use crate::telemetry::statsd;

const GRACE: Duration = Duration::from_secs(30);

/// A collector on free ports that sends to `brokers` and leaves messages open for longer than a test lasts.
async fn started(brokers: &str) -> Running {
    started_with(&[("kafka-brokers", brokers)]).await
}

async fn started_with(more: &[(&'static str, &str)]) -> Running {
    let flags = [
        ("kafka-produce-period-ms", "1h"),
        ("listen-endpoint", "127.0.0.1:0"),
        ("http-endpoint", "127.0.0.1:0"),
        ("agent-polling", "false"),
    ];
    let flags = flags.iter().chain(more).map(|(key, value)| (*key, (*value).into())).collect();
    let (config, _) = load(&Sources { flags, environment: Vec::new() }, &|_| Vec::new()).unwrap();
    start(config).await.unwrap()
}

/// Sends a record, and waits until it is accepted.
async fn send(running: &Running) {
    let datapoint = Datapoint { name: b"answer".to_vec(), time_ms: 1, value: 42.0 };
    let record = MetricList { topic: "orders".into(), tags: Vec::new(), datapoints: vec![datapoint] };
    let mut stream = TcpStream::connect(running.listening.input).await.unwrap();
    stream.write_all(&file(&[record], b"0123456789abcdef")).await.unwrap();
    stream.shutdown().await.unwrap();
    // It closes its side when it has read all.
    _ = stream.read(&mut [0]).await;
    assert_eq!(running.spool.ledger().accepted, 1);
}

/// Lets `part` end before its time, and checks that all was drained before the end.
async fn check_drained_and_70(part: impl FnOnce(&Running)) {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    send(&running).await;
    let control = running.listening.control.clone();
    part(&running);
    let code = running.until(pending(), GRACE).await;
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
async fn the_output_that_ends_early_ends_the_process() {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    running.kafka.as_ref().unwrap().abort();
    assert_eq!(running.until(pending(), GRACE).await, ExitCode::from(exit::TASK_DIED));
}

#[tokio::test]
async fn the_look_for_brokers_that_ends_early_ends_the_process() {
    let nobody = "http://127.0.0.1:1";
    let running =
        started_with(&[("kafka-scheduler-url", nobody), ("kafka-discovery", "scheduler-vip")]).await;
    running.discovery.as_ref().unwrap().abort();
    assert_eq!(running.until(pending(), GRACE).await, ExitCode::from(exit::TASK_DIED));
}

#[tokio::test]
async fn an_end_that_was_asked_for_is_a_success() {
    let cluster = MockCluster::new(1).unwrap();
    let running = started(&cluster.bootstrap_servers()).await;
    send(&running).await;
    let spool = running.spool.clone();
    assert_eq!(running.until(std::future::ready("asked"), GRACE).await, ExitCode::SUCCESS);
    let kafka = &spool.ledger().outputs["kafka"];
    assert_eq!((kafka.delivered, kafka.waiting), (1, 0), "{kafka:?}");
}

#[tokio::test]
async fn every_counter_that_goes_to_statsd_is_one_of_ours() {
    let registry = Registry::new();
    _ = dcos::agent::Metrics::register(&registry).unwrap();
    let framework = dcos::discovery::FrameworkName::parse("kafka").unwrap();
    _ = dcos::discovery::Metrics::register(&registry, &framework).unwrap();
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
