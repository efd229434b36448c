//! The programs of `docs/clients.md`, run as they stand there, but for the port.

use std::process::Command;

use crate::support::collector::Collector;
use crate::support::kafka::{Broker, unique};
use crate::support::{consumer, python, repository};

/// The first program below a heading of the page.
fn program_of(heading: &str) -> String {
    let page = std::fs::read_to_string(repository("docs/clients.md")).unwrap();
    let (_, below) =
        page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    let (_, program) = below.split_once("```python\n").expect("a program");
    program.split_once("\n```").expect("its end").0.to_owned()
}

/// Runs the sender below `heading`; what it says that it sends arrives.
fn check_sender(heading: &str) {
    const ADDRESS: &str = "(\"127.0.0.1\", 8124)";
    let program = program_of(heading);
    assert_eq!(program.matches(ADDRESS).count(), 1, "{program}");
    let prefix = unique("clients");
    let collector = Collector::start(Broker::shared().bootstrap(), &["--kafka-topic-prefix", &prefix]);
    let here = format!("(\"127.0.0.1\", {})", collector.input().port());
    let ran =
        Command::new(python::interpreter()).args(["-c", &program.replace(ADDRESS, &here)]).output().unwrap();
    assert!(ran.status.success(), "{ran:#?}");
    collector.wait_accepted(3);
    collector.wait_delivered(3);
    let records =
        consumer::records(&consumer::read(Broker::shared().bootstrap(), &format!("{prefix}example"), 3));
    let values: Vec<f64> = records.iter().map(|record| record.datapoints[0].value).collect();
    assert_eq!(values, [20.5, 21.5, 22.5]);
    let names: Vec<&str> = records.iter().map(|record| record.datapoints[0].name.as_str()).collect();
    assert_eq!(names, ["temperature"; 3]);
    assert_eq!(records[0].tags[0].key, "container_id");
}

#[test]
fn the_sender_without_libraries_sends_what_it_says() {
    check_sender("A sender without libraries");
}

#[test]
fn the_sender_with_fastavro_sends_what_it_says() {
    check_sender("A sender with fastavro");
}
