//! The sample producer as its users run it: what arrives at Kafka, and how it ends.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use serde_json::{Map, Value};

use crate::support::kafka::{Broker, unique};
use crate::support::producer::{Agent, Producer};
use crate::support::record::{Datapoint, Record, Tag};
use crate::support::{consumer, eventually};

const STATISTICS: &str = include_str!("../data/monitor_statistics.json");

/// Starts a producer that polls `agent`.
fn polling(agent: &Agent, more: &[&str], environment: &[(&str, &str)]) -> Producer {
    let of_agent = agent.args();
    let args: Vec<&str> = of_agent.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Producer::start(&args, environment)
}

/// The records of [`STATISTICS`], worked out the slow and plain way.
fn expected(topic: &str) -> Vec<Record> {
    let executors: Vec<Map<String, Value>> = serde_json::from_str(STATISTICS).unwrap();
    let record = |executor: &Map<String, Value>| {
        let statistics = executor["statistics"].as_object().unwrap();
        let time_ms = (statistics["timestamp"].as_f64().unwrap() * 1000.0).trunc() as i64;
        let tag = |(key, value): (&String, &Value)| Some(Tag::new(key, value.as_str()?));
        let datapoint = |(name, value): (&String, &Value)| {
            Some(Datapoint { name: name.clone(), time_ms, value: value.as_f64()? })
        };
        Record {
            topic: topic.to_owned(),
            tags: executor.iter().filter_map(tag).collect(),
            datapoints: statistics
                .iter()
                .filter(|(name, _)| *name != "timestamp")
                .filter_map(datapoint)
                .collect(),
        }
    };
    executors.iter().map(record).collect()
}

fn check_arrives(topic: &str, args: &[&str], environment: &[(&str, &str)]) {
    let agent = Agent::start(Some(STATISTICS));
    let producer = polling(&agent, &[&["-topic", topic, "-period", "1"], args].concat(), environment);
    let messages = consumer::read(Broker::shared().bootstrap(), topic, 3);
    assert_eq!(messages[0].key, None);
    assert_eq!(messages[0].records(), expected(topic));
    let ended = producer.terminate();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.screen.contains("Wait for 1s...\n"), "{ended:#?}");
    assert!(ended.screen.ends_with(" acknowledged, 0 failed, 0 without an answer\n"), "{ended:#?}");
}

#[test]
fn a_poll_arrives_at_the_brokers_of_the_flag() {
    let environment = [("KAFKA_PEERS", "127.0.0.1:1")];
    check_arrives(&unique("polls"), &["-brokers", Broker::shared().bootstrap()], &environment);
}

#[test]
fn a_poll_arrives_at_the_brokers_of_the_environment() {
    check_arrives(&unique("polls"), &[], &[("KAFKA_PEERS", Broker::shared().bootstrap())]);
}

#[test]
fn a_poll_without_records_says_why() {
    const NO_EXECUTORS: &str = "No containers returned in stats";
    const LEFT_OUT: &str = "left out 1 of 1 executors (x: no timestamp)";
    for (body, said, not_said) in
        [("[]", NO_EXECUTORS, "left out"), (r#"[{"executor_id":"x"}]"#, LEFT_OUT, NO_EXECUTORS)]
    {
        let agent = Agent::start(Some(body));
        let producer = polling(&agent, &["-kafka=false", "-period", "1"], &[]);
        // When it asks again it has worked off the first answer.
        agent.wait_asked(2);
        let ended = producer.terminate();
        assert!(ended.log.contains(said) && !ended.log.contains(not_said), "{body}: {ended:#?}");
    }
}

#[test]
fn a_stop_is_heard_while_the_agent_does_not_answer() {
    let agent = Agent::start(None);
    let producer = polling(&agent, &["-kafka=false"], &[]);
    agent.wait_asked(1);
    let ended = producer.terminate();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(!ended.log.contains("poll failed"), "it waited for the answer: {ended:#?}");
}

#[test]
fn a_stop_is_heard_while_the_address_is_looked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be started").success());
    let pipe = pipe.to_str().expect("temporary paths are text");
    let producer = Producer::start(&["-kafka=false", "-ipcmd", &format!("cat {pipe}")], &[]);
    // The pipe can be opened like this from when the command reads it, and then the command never ends.
    let _open = eventually("the command runs", || {
        OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(pipe).map_err(|e| e.to_string())
    });
    let ended = producer.terminate();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

#[test]
fn wrong_usage_is_told_and_exits_with_2() {
    for args in [&["-nonsense"][..], &["-period", "never", "-file"], &[]] {
        let ended = Producer::start(args, &[]).wait();
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:#?}");
        assert!(ended.log.contains("error:") && ended.screen.is_empty(), "{args:?}: {ended:#?}");
    }
}
