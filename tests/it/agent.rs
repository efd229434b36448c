//! The Mesos agent: names for containers, metrics of its own, and all that can be wrong with it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::agent::{Agent, Fault, ID};
use crate::support::collector::Collector;
use crate::support::kafka::{Broker, unique};
use crate::support::record::{Record, Tag};
use crate::support::{consumer, eventually, ocf, once};

/// A collector that polls a stand-in and has no agent id of its own; record topics are Kafka topics.
fn start(agent: &Agent, more: &[&str]) -> Collector {
    let arguments = agent.arguments();
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.extend(["--kafka-topic-prefix", "", "--agent-id", ""]);
    arguments.extend(more);
    Collector::start(Broker::shared().bootstrap(), &arguments)
}

/// Where the agent's own metrics go, so that tests do not see each other's.
fn own_topic() -> String {
    unique("agent")
}

fn wait_ready(collector: &Collector) {
    eventually("the agent is ready", || {
        let ready = collector.get("/-/ready");
        once(ready.status == 200, || format!("{ready:?}"))
    });
}

/// A record as the module sends it.
fn record(topic: &str, container: &str, number: u32) -> Record {
    let mut record = Record::numbered(topic, number);
    record.tags = vec![
        Tag::new("framework_id", topic),
        Tag::new("executor_id", &format!("e-{container}")),
        Tag::new("container_id", container),
    ];
    record
}

fn tags(record: &Record) -> Vec<(&str, &str)> {
    record.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect()
}

/// The records of a topic that were sent, not polled.
fn sent(topic: &str, records: usize) -> Vec<Record> {
    let broker = Broker::shared().bootstrap();
    eventually(&format!("{records} sent records in {topic}"), || {
        let all = consumer::records(&consumer::read(broker, topic, 1));
        let sent: Vec<Record> =
            all.into_iter().filter(|record| record.datapoints[0].name == "number").collect();
        if sent.len() >= records { Ok(sent) } else { Err(format!("{sent:?}")) }
    })
}

#[test]
fn records_of_known_containers_get_names_and_forged_tags_are_replaced() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    agent.add("c-9", &framework, "shop/cart");
    agent.nest("inner", "c-9");
    let collector = start(&agent, &["--agent-metrics-topic", &own, "--enrich-wait", "60s"]);
    wait_ready(&collector);
    let forged = record(&framework, "c-9", 1)
        .with_tag("framework_name", "forged")
        .with_tag("agent_id", "forged")
        .with_tag("x", "y");
    let stranger = Record { tags: vec![Tag::new("framework_name", "mine")], ..record(&framework, "", 3) };
    collector.send(&ocf::stream(&[
        record(&framework, "c-9", 0),
        forged,
        record(&framework, "inner", 2),
        stranger,
    ]));
    let records = sent(&framework, 4);
    let ours = [("framework_name", "marathon"), ("application_name", "shop/cart"), ("agent_id", ID)];
    let own_tags = [("framework_id", framework.as_str()), ("executor_id", "e-c-9"), ("container_id", "c-9")];
    assert_eq!(tags(&records[0]), [&own_tags[..], &ours].concat());
    assert_eq!(tags(&records[1]), [&own_tags[..], &[("x", "y")], &ours].concat());
    assert_eq!(tags(&records[2])[3..], ours);
    assert_eq!(tags(&records[3]), [("framework_name", "mine"), ours[2]]);
    assert_eq!(collector.metric("metrics_collector_input_tag_clashes_total"), 1);
    let messages = consumer::read(Broker::shared().bootstrap(), &framework, 1);
    assert_eq!(messages[0].header("agent"), ID);
    assert_eq!(messages[0].key.as_deref(), Some(ID.as_bytes()));
}

#[test]
fn what_the_agent_measures_arrives() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    agent.add("c-1", &framework, "shop");
    let collector = start(&agent, &["--agent-metrics-topic", &own]);
    let of_agent = &consumer::records(&consumer::read(Broker::shared().bootstrap(), &own, 1))[0];
    assert_eq!(tags(of_agent), [("agent_id", ID)]);
    let names: Vec<&str> = of_agent.datapoints.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["dcos.metrics.agent.slave.cpus_total", "dcos.metrics.agent.system.load_1min"]);
    let of_container = &consumer::records(&consumer::read(Broker::shared().bootstrap(), &framework, 1))[0];
    assert_eq!(
        tags(of_container),
        [
            ("container_id", "c-1"),
            ("executor_id", "e-c-1"),
            ("framework_id", &framework),
            ("framework_name", "marathon"),
            ("application_name", "shop"),
            ("agent_id", ID),
        ]
    );
    let datapoints: Vec<_> =
        of_container.datapoints.iter().map(|d| (d.name.as_str(), d.time_ms, d.value)).collect();
    let time = 1_472_647_303_047;
    assert_eq!(
        datapoints,
        [
            ("dcos.metrics.container.cpus_limit", time, 1.5),
            ("dcos.metrics.container.mem_rss_bytes", time, 1024.0),
            ("dcos.metrics.container.net_traffic_control_statistics.bw_limit.drops", time, 3.0),
        ]
    );
    // Where the last answer came too late another one comes.
    collector.wait_metric("metrics_collector_agent_up", 1);
}

#[test]
fn records_of_a_container_that_is_not_named_yet_wait_for_its_name() {
    let (agent, own) = (Agent::start(), own_topic());
    let (framework, other) = (unique("framework"), unique("other"));
    let more = ["--agent-metrics-topic", &own, "--enrich-wait", "60s", "--agent-poll-period", "1h"];
    let collector = start(&agent, &more);
    wait_ready(&collector);
    let plain = Record { tags: Vec::new(), ..record(&other, "", 0) };
    let stream = ocf::stream(&[record(&framework, "late", 0), plain, record(&framework, "late", 1)]);
    // Before the agent is asked because of the records, and after it was asked last.
    agent.add("late", &framework, "shop");
    collector.send(&stream);
    // Nobody else waits for it.
    assert_eq!(sent(&other, 1).len(), 1);
    let records = sent(&framework, 2);
    for (number, record) in (0..).zip(&records) {
        assert_eq!(record.number(), number);
        assert_eq!(tags(record)[3..5], [("framework_name", "marathon"), ("application_name", "shop")]);
    }
    // The agent's own record may have been there before its id was known.
    assert!(collector.metric("metrics_collector_input_waited_records_total{outcome=\"known\"}") >= 2);
    assert_eq!(collector.metric("metrics_collector_input_apart_records"), 0);
}

#[test]
fn records_of_a_container_that_stays_unknown_go_on_without_its_name() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    let more = ["--agent-metrics-topic", &own, "--enrich-wait", "60s", "--agent-poll-period", "1h"];
    let collector = start(&agent, &more);
    wait_ready(&collector);
    // The agent's own records wait for its id at first.
    consumer::read(Broker::shared().bootstrap(), &own, 1);
    let changed = collector.patch(&json!({ "enrich-wait": "100ms" }));
    assert_eq!(changed.status, 200, "{changed:?}");
    let mut sender = collector.sender();
    sender.send(&ocf::stream(&[record(&framework, "nobody", 0)]));
    assert_eq!(tags(&sent(&framework, 1)[0])[3..], [("agent_id", ID)]);
    sender.send(&ocf::block(&[record(&framework, "nobody", 1)]));
    sent(&framework, 2);
    // The second did not wait again.
    assert_eq!(collector.metric("metrics_collector_input_waited_records_total{outcome=\"unknown\"}"), 1);
}

#[test]
fn what_is_set_apart_is_delivered_when_the_collector_stops() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    let more = ["--agent-metrics-topic", &own, "--enrich-wait", "60s", "--agent-poll-period", "1h"];
    let collector = start(&agent, &more);
    wait_ready(&collector);
    // The early refresh must not come to their rescue.
    agent.fault("/state", Fault::Hang);
    collector.send(&ocf::stream(&[record(&framework, "nobody", 0), record(&framework, "nobody", 1)]));
    eventually("two records are apart", || {
        let apart = collector.metric("metrics_collector_input_apart_records");
        once(apart >= 2, || apart.to_string())
    });
    let ended = collector.terminate();
    assert!(ended.status.success(), "{ended:?}");
    let numbers: Vec<u32> = sent(&framework, 2).iter().map(Record::number).collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn an_agent_that_hangs_refuses_or_lies_stops_nothing_and_is_named() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    agent.add("c-1", &framework, "shop");
    let collector = start(&agent, &["--agent-metrics-topic", &own]);
    wait_ready(&collector);
    let topic = unique("agent-faults");
    let mut sender = collector.sender();
    sender.send(&ocf::header(ocf::SCHEMA, Some("null")));
    for (number, (fault, words)) in (0..).zip([
        (Fault::Status(401), "it answered 401"),
        (Fault::Status(403), "it answered 403"),
        (Fault::Status(500), "it answered 500"),
        (Fault::Body("<html>".into()), "no JSON"),
        (Fault::Body("[7]".into()), "not what a Mesos agent says"),
        (Fault::Hang, "no whole answer within 1s"),
        (Fault::Drip, "no whole answer within 1s"),
        (Fault::Break(r#"{"id":"stand-in-S0","frameworks":["#.into()), "the answer broke off"),
    ]) {
        agent.fault("", fault.clone());
        eventually(&format!("readiness says {words}"), || {
            let why = collector.why_not_ready("agent");
            once(why.contains(words), || why.clone())
        });
        sender.send(&ocf::block(&[Record::numbered(&topic, number)]));
        // Names are not forgotten.
        sender.send(&ocf::block(&[record(&topic, "c-1", 100 + number)]));
        let records = 2 * number as usize + 2;
        assert_eq!(sent(&topic, records).len(), records);
        agent.heal();
        wait_ready(&collector);
    }
    let named = |record: &Record| tags(record).contains(&("application_name", "shop"));
    assert!(sent(&topic, 16).iter().all(named));
    agent.remove("c-1");
    let before = agent.asked("/state");
    eventually("the agent is asked again", || once(agent.asked("/state") > before + 1, String::new));
    sender.send(&ocf::block(&[record(&topic, "c-1", 200)]));
    assert!(named(sent(&topic, 17).last().unwrap()), "an ended container is remembered");
}

#[test]
fn what_nested_containers_use_arrives_with_the_id_of_their_parent() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    agent.add("pod", &framework, "shop");
    agent.nest("web", "pod");
    for n in 0..99 {
        agent.nest(&format!("sidecar-{n}"), "pod");
    }
    let collector = start(&agent, &["--agent-metrics-topic", &own]);
    let broker = Broker::shared().bootstrap();
    let nested = eventually("a record of each nested container", || {
        let mut all = consumer::records(&consumer::read(broker, &framework, 1));
        all.retain(|record| tags(record).contains(&("parent_container_id", "pod")));
        let ids: BTreeSet<_> = all.iter().map(|record| tags(record)[0].1).collect();
        if ids.len() < 100 { Err(format!("{ids:?}")) } else { Ok(all) }
    });
    let nested = nested.iter().find(|record| tags(record)[0] == ("container_id", "web")).unwrap();
    assert_eq!(
        tags(nested),
        [
            ("container_id", "web"),
            ("executor_id", "e-pod"),
            ("framework_id", &framework),
            ("parent_container_id", "pod"),
            ("framework_name", "marathon"),
            ("application_name", "shop"),
            ("agent_id", ID),
        ]
    );
    let datapoints: Vec<_> =
        nested.datapoints.iter().map(|d| (d.name.as_str(), d.time_ms, d.value)).collect();
    assert_eq!(datapoints, [("dcos.metrics.container.mem_rss_bytes", 1_472_647_303_048, 512.0)]);
    assert!(collector.metric("metrics_collector_agent_polls_total{result=\"ok\",what=\"nested\"}") > 0);
}

#[test]
fn names_of_containers_do_not_wait_for_what_is_nested_in_them() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    agent.add("c-1", &framework, "shop");
    agent.fault("/api/v1", Fault::Hang);
    let more = ["--agent-metrics-topic", &own, "--enrich-wait", "0ms", "--agent-poll-period", "1h"];
    let collector = start(&agent, &more);
    wait_ready(&collector);
    let sent_topic = unique("agent-nested");
    collector.send(&ocf::stream(&[record(&sent_topic, "c-1", 0)]));
    let ours = [("framework_name", "marathon"), ("application_name", "shop"), ("agent_id", ID)];
    assert_eq!(tags(&sent(&sent_topic, 1)[0])[3..], ours);
}

#[test]
fn an_agent_that_was_not_heard_is_asked_again_soon_for_what_is_nested() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    agent.add("pod", &framework, "shop");
    agent.nest("web", "pod");
    agent.fault("/api/v1", Fault::Break(String::new()));
    let collector = start(&agent, &["--agent-metrics-topic", &own]);
    eventually("its answer breaks off", || once(agent.asked("/api/v1") > 0, String::new));
    agent.heal();
    eventually("it has answered", || {
        let ok = collector.metric("metrics_collector_agent_polls_total{result=\"ok\",what=\"nested\"}");
        once(ok > 0, || ok.to_string())
    });
}

#[test]
fn an_agent_with_another_id_is_believed_and_forgets_nobody() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    agent.add("c-1", &framework, "shop");
    let collector = start(&agent, &["--agent-metrics-topic", &own]);
    wait_ready(&collector);
    agent.rename("stand-in-S1");
    agent.remove("c-1");
    eventually("the new id is known", || {
        let id = collector.status()["agent"]["agent_id"].clone();
        once(id == "stand-in-S1", || id.to_string())
    });
    let topic = unique("agent-renamed");
    collector.send(&ocf::stream(&[record(&topic, "c-1", 0)]));
    let ours = [("framework_name", "marathon"), ("application_name", "shop"), ("agent_id", "stand-in-S1")];
    assert_eq!(tags(&sent(&topic, 1)[0])[3..], ours);
}

/// What the status says of one kind of asking.
fn asked<'a>(status: &'a Value, what: &str) -> &'a Value {
    let all = status["agent"]["asked"].as_array().expect("a list");
    all.iter().find(|asked| asked["what"] == what).unwrap_or_else(|| panic!("no {what} in {status}"))
}

#[test]
fn the_status_says_where_the_agent_is_and_what_came_of_asking() {
    let (agent, own) = (Agent::start(), own_topic());
    let framework = unique("framework");
    agent.add("c-1", &framework, "shop");
    agent.fault("/api/v1", Fault::Status(501));
    let collector = start(&agent, &["--agent-metrics-topic", &own]);
    wait_ready(&collector);
    agent.fault("/metrics/snapshot", Fault::Status(500));
    let expected = [
        ("state", "/state", "ok", None),
        ("nested", "/api/v1", "status", Some("it answered 501")),
        ("containers", "/containers", "ok", None),
        ("system", "/metrics/snapshot", "status", Some("it answered 500")),
    ];
    // Where an answer came too late another one comes.
    let status = eventually("what came of asking", || {
        let status = collector.status();
        let so = expected.iter().all(|(what, _, result, _)| asked(&status, what)["result"] == *result);
        once(so, || status["agent"].to_string())?;
        Ok(status)
    });
    let found = &status["agent"];
    let (known, id) =
        ((found["containers"].as_u64(), found["frameworks"].as_u64()), found["agent_id"].as_str());
    assert_eq!((found["address"].as_str(), &found["found_by"]), (Some(&*agent.url()), &json!("agent-ip")));
    assert_eq!((known, id), ((Some(1), Some(1)), Some(ID)));
    for (what, route, _, words) in expected {
        let asked = asked(&status, what);
        assert_eq!(asked["route"], route, "{asked}");
        let error = asked["error"].as_str();
        assert_eq!(
            error.is_some_and(|error| error.contains(words.unwrap_or(""))),
            words.is_some(),
            "{asked}"
        );
        assert_eq!(asked["answered_seconds"].is_null(), what == "nested", "{asked}");
        assert_eq!(asked["age_seconds"].is_null(), what == "nested", "{asked}");
    }
    assert!(status["input"]["enrichment"]["full"].as_u64().unwrap() >= 1, "{status}");
    assert_eq!(status["input"]["apart_records"], 0);
    let words =
        [&*agent.url(), ", by agent-ip", "Frameworks by name</th>", "nested (/api/v1)", "status: POST"];
    eventually("the page says it", || {
        let page = collector.get("/").body;
        let missing = words.iter().find(|words| !page.contains(**words));
        missing.map_or(Ok(()), |words| Err(format!("no {words} in {page}")))
    });
}

#[test]
fn without_an_address_it_starts_and_says_what_to_do() {
    let collector = Collector::start(
        Broker::shared().bootstrap(),
        &["--agent-polling=true", "--agent-ip-command", "/no/such/detect_ip"],
    );
    eventually("it is asked in vain", || {
        let why = collector.why_not_ready("agent");
        once(why.contains("cannot be run") && why.contains("set agent-ip"), || why.clone())
    });
    collector.send(&ocf::stream(&[Record::numbered(&unique("agent-none"), 0)]));
    collector.wait_delivered(1);
}

#[test]
fn files_stand_for_the_agents_answers() {
    let data = |name: &str| format!("{}/tests/data/agent/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let own = own_topic();
    let collector = Collector::start(
        Broker::shared().bootstrap(),
        &[
            "--agent-polling=true",
            "--agent-id=",
            "--agent-ip=127.0.0.1",
            "--agent-port=1",
            "--agent-poll-period=1h",
            "--kafka-topic-prefix=",
            &format!("--agent-metrics-topic={own}"),
            &format!("--agent-test-state-file={}", data("state-dcos")),
            &format!("--agent-test-system-file={}", data("metrics-snapshot")),
            &format!("--agent-test-containers-file={}", data("containers-dcos")),
        ],
    );
    collector.wait_delivered(4);
    wait_ready(&collector);
    let messages = consumer::read(Broker::shared().bootstrap(), &own, 1);
    assert_eq!(
        tags(&consumer::records(&messages)[0]),
        [("agent_id", "8b4e6d80-0271-4be0-9f08-0aeff7f0d751-S5")]
    );
}
