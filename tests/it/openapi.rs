//! The HTTP interface is what it says of itself: schemathesis reads `/v1/openapi.json` and tries all of it, what is right
//! and what is wrong.

use std::process::Command;

use crate::support::collector::Collector;
use crate::support::kafka::{Broker, unique};
use crate::support::partner::Partner;
use crate::support::{ocf, python, record, repository};

/// As in `tests/data/schemathesis.toml`.
const TOKEN: &str = "a-token-of-some-length";

/// Has schemathesis try everything at the collector, the same each time; `but` takes something out.
fn check(collector: &Collector, but: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let document = format!("http://{}/v1/openapi.json", collector.http());
    let config = repository("tests/data/schemathesis.toml");
    // The command itself is a script that knows the folder in which it was made.
    let program = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())";
    let ran = Command::new(python::interpreter())
        .args(["-c", program, "--config-file"])
        .arg(config)
        .args([
            "run",
            &document,
            "--generation-deterministic",
            "--max-examples",
            "50",
            "--request-timeout",
            "20",
            "--no-color",
        ])
        .args(but)
        .current_dir(folder.path())
        // A proxy for the world outside has no business here.
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    let answers = collector.get("/metrics").body;
    let served = |code: &str| {
        answers.contains(&format!("http_requests_total{{code=\"{code}\",route=\"/v1/stream\"}}"))
    };
    assert!(served("200") && served("400"), "it has tried what is right and what is wrong: {said}");
    assert_eq!(collector.get("/-/healthy").status, 200);
}

#[test]
fn the_document_holds_beside_a_line_that_works() {
    let topic = unique("openapi");
    let more = ["--kafka-topic-prefix", "", "--http-token", TOKEN, "--http-writes", "token"];
    let collector = Collector::start(Broker::shared().bootstrap(), &more);
    let _partner = Partner::connect(collector.partner(), "{\"name\":\"p\"}\n").begun();
    let records = [record::numbered(&topic, 0..100), record::numbered("no/topic", 100..101)].concat();
    collector.send(&ocf::stream(&records));
    collector.wait_delivered(100);
    // With Kafka, whatever comes as a list of brokers would be looked up and connected to.
    check(&collector, &["--exclude-method", "PATCH"]);
}

/// Without Kafka, so that every change can be tried.
#[test]
fn the_document_holds_where_everything_is_changed() {
    let more = ["--kafka=false", "--http-token", TOKEN, "--http-writes", "token"];
    let collector = Collector::start("127.0.0.1:1", &more);
    check(&collector, &[]);
    let changed = "metrics_collector_http_requests_total{code=\"200\",route=\"/v1/config\"}";
    assert!(collector.metric(changed) > 0);
}
