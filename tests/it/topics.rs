//! `/v1/topics` beside a line that works: what became of each topic's records.

use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::kafka::{Broker, unique};
use crate::support::{eventually, ocf, record};

/// The entry of a record topic, once it is as `so` wants it.
fn wait_topic(collector: &Collector, topic: &str, so: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("{topic} is as it should be"), || {
        let page = collector.get("/v1/topics").json();
        let found = page["topics"].as_array().and_then(|all| all.iter().find(|view| view["topic"] == topic));
        found.filter(|view| so(view)).cloned().ok_or_else(|| page.to_string())
    })
}

#[test]
fn each_topic_has_its_books_and_where_it_goes() {
    let (good, bad) = (unique("topics"), "not/legal");
    let collector = Collector::start(Broker::shared().bootstrap(), &["--kafka-topic-prefix", "metrics-"]);
    let records = [record::numbered(&good, 0..70), record::numbered(bad, 70..75)].concat();
    collector.send(&ocf::stream(&records));
    collector.wait_delivered(70);
    let view = wait_topic(&collector, &good, |view| view["kafka"]["delivered_records"] == 70);
    let kafka = &view["kafka"];
    assert_eq!((&view["accepted_records"], &kafka["topic"]), (&json!(70), &json!(format!("metrics-{good}"))));
    assert_eq!((&kafka["state"], kafka.get("reason")), (&json!("flowing"), None), "{view}");
    for term in ["waiting_records", "in_flight_records", "set_aside_records", "lost_records"] {
        assert_eq!(kafka[term], 0, "{term} of {view}");
    }
    let view = wait_topic(&collector, bad, |view| view["kafka"]["set_aside_records"] == 5);
    let kafka = &view["kafka"];
    assert_eq!(
        (&kafka["state"], &kafka["reason"], &kafka["topic"]),
        (&json!("set_aside"), &json!("illegal_topic"), &Value::Null),
        "{view}"
    );
    let page = collector.get("/v1/topics?state=set_aside").json();
    assert_eq!((&page["total"], page["topics"].as_array().map(Vec::len)), (&json!(2), Some(1)), "{page}");
}

#[test]
fn a_topic_that_kafka_does_not_have_is_held_and_its_records_wait() {
    let topic = unique("absent");
    let broker = Broker::strict();
    let collector = Collector::start(broker.bootstrap(), &["--kafka-topic-prefix", ""]);
    collector.send(&ocf::stream(&record::numbered(&topic, 0..7)));
    let view = wait_topic(&collector, &topic, |view| view["kafka"]["state"] == "held");
    let kafka = &view["kafka"];
    assert_eq!((&kafka["reason"], &kafka["waiting_records"]), (&json!("unknown_topic"), &json!(7)), "{view}");
    assert_eq!((&view["accepted_records"], &kafka["delivered_records"]), (&json!(7), &json!(0)), "{view}");
    // The output's oldest is that record, in the books and on the page for Prometheus.
    let oldest_ms = collector.ledger().0["outputs"]["kafka"]["oldest_ms"].as_u64();
    assert!(oldest_ms.is_some(), "{view}");
    let page = collector.get("/metrics").body;
    let series = "metrics_collector_output_oldest_timestamp_seconds{output=\"kafka\"} ";
    let seconds: f64 = page.lines().find_map(|line| line.strip_prefix(series)).unwrap().parse().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a time")]
    let expected = oldest_ms.unwrap() as f64 / 1e3;
    assert!((seconds - expected).abs() < 1e-3, "{seconds} {expected}");
}

#[test]
fn pages_follow_each_other_without_a_kafka_too() {
    let collector = Collector::start("127.0.0.1:1", &["--kafka=false"]);
    let records: Vec<_> = (0..5).flat_map(|n| record::numbered(&format!("t{n}"), n..n + 1)).collect();
    collector.send(&ocf::stream(&records));
    collector.wait_accepted(5);
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = collector.get(&format!("/v1/topics?limit=2{after}")).json();
        for view in page["topics"].as_array().unwrap() {
            assert_eq!((&view["accepted_records"], &view["kafka"]), (&json!(1), &Value::Null));
            names.push(view["topic"].as_str().unwrap().to_owned());
        }
        let Some(next) = page.get("next") else { break };
        after = format!("&after={next}");
    }
    assert_eq!(names, ["t0", "t1", "t2", "t3", "t4"]);
    assert_eq!(collector.get("/v1/topics?limit=0").status, 400);
}
