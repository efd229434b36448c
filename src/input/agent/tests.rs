//! Answers of agents, and what becomes of them.

use proptest::prelude::*;

use super::*;
use crate::dcos::agent::NestedSink;

const NOW_MS: i64 = 1_500_000_000_123;

/// Reads an answer in pieces of `step` bytes; gives the records, what was passed over, and whether it was sound.
fn read(mut answer: impl Records, body: &[u8], step: usize) -> (Vec<MetricList>, Vec<(Skipped, u64)>, bool) {
    let (mut cutter, mut records, mut skipped) = (Cutter::default(), Vec::new(), Vec::new());
    let mut is_json = true;
    for chunk in body.chunks(step) {
        is_json &= cutter.push(chunk, &mut answer).is_ok();
        records.extend(answer.records());
        skipped.extend(answer.skipped());
        if !is_json {
            return (records, skipped, false);
        }
    }
    is_json &= cutter.finish(&mut answer).is_ok();
    records.extend(answer.records());
    skipped.extend(answer.skipped());
    skipped.retain(|(_, things)| *things > 0);
    (records, skipped, is_json && answer.is_sound())
}

fn containers(body: &str) -> (Vec<String>, Vec<(Skipped, u64)>, bool) {
    let (records, skipped, sound) = read(Containers::new(NOW_MS), body.as_bytes(), 7);
    (records.iter().map(line).collect(), skipped, sound)
}

/// A record as `topic | key=value ... | name=value@time ...`.
fn line(record: &MetricList) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let tags = record.tags.iter().map(|tag| format!("{}={}", text(&tag.key), text(&tag.value)));
    let datapoints = record.datapoints.iter().map(|d| {
        let name = text(&d.name);
        let name = name.strip_prefix("dcos.metrics.container.").unwrap_or(&name).to_owned();
        format!("{name}={}@{}", d.value, d.time_ms)
    });
    let words: Vec<String> = [text(&record.topic), "|".to_owned()]
        .into_iter()
        .chain(tags)
        .chain(["|".to_owned()])
        .chain(datapoints)
        .collect();
    words.join(" ")
}

/// The golden file beside an answer has a line for each record.
fn check_golden(name: &str, lines: &[String]) {
    let path = format!("{}/tests/data/agent/{name}.records", env!("CARGO_MANIFEST_DIR"));
    let lines: String = lines.iter().map(|line| line.replace(' ', "\n  ") + "\n").collect();
    if std::env::var_os("GOLDEN").is_some() {
        std::fs::write(&path, &lines).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("GOLDEN=1 writes the file anew");
    assert_eq!(lines, golden, "{name}; GOLDEN=1 writes the file anew");
}

#[test]
fn containers_become_the_golden_records() {
    for name in ["containers-dcos", "containers-mesos101", "containers-blkio", "containers-no-statistics"] {
        let path = format!("{}/tests/data/agent/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(path).unwrap();
        for step in [1, 1000, 1 << 20] {
            let (records, _, sound) = read(Containers::new(NOW_MS), &body, step);
            assert!(sound, "{name}");
            check_golden(name, &records.iter().map(line).collect::<Vec<_>>());
        }
    }
}

#[test]
fn the_agents_own_metrics_become_the_golden_record() {
    let body = include_bytes!("../../../tests/data/agent/metrics-snapshot.json");
    for step in [1, 1 << 20] {
        let (records, skipped, sound) = read(System::new(b"agent".to_vec(), NOW_MS), body, step);
        assert_eq!((records.len(), skipped, sound), (1, vec![], true));
        check_golden("metrics-snapshot", &[line(&records[0])]);
    }
}

const GOOD: &str =
    r#"{"container_id":"c","executor_id":"e","framework_id":"f","statistics":{"a":1,"timestamp":2.0005}}"#;
const GOOD_LINE: &str = "f | container_id=c executor_id=e framework_id=f | a=1@2000";

#[test]
fn an_odd_container_costs_itself_alone() {
    for (odd, reason) in [
        ("7", Skipped::Odd),
        ("[]", Skipped::Odd),
        ("{}", Skipped::Odd),
        (r#"{"container_id":5,"framework_id":"f","statistics":{"a":1}}"#, Skipped::Odd),
        (r#"{"container_id":"","framework_id":"f","statistics":{"a":1}}"#, Skipped::Odd),
        (r#"{"container_id":"x","statistics":{"a":1}}"#, Skipped::Odd),
        (r#"{"container_id":"x","framework_id":"\ud800"}"#, Skipped::Odd),
        (r#"{"container_id":"x","framework_id":"f"}"#, Skipped::NoStatistics),
        (r#"{"container_id":"x","framework_id":"f","statistics":null}"#, Skipped::NoStatistics),
        (r#"{"container_id":"x","framework_id":"f","statistics":[1]}"#, Skipped::NoStatistics),
        (r#"{"container_id":"x","framework_id":"f","statistics":{"timestamp":1}}"#, Skipped::NoStatistics),
    ] {
        for body in [format!("[{odd},{GOOD}]"), format!("[{GOOD},{odd}]")] {
            assert_eq!(containers(&body), (vec![GOOD_LINE.to_owned()], vec![(reason, 1)], true), "{odd}");
        }
    }
    let large = "x".repeat(2 << 20);
    assert_eq!(containers(&format!("[\"{large}\",{GOOD}]")).0, [GOOD_LINE]);
}

#[test]
fn a_bad_field_costs_itself_alone() {
    for bad in ["\"1\"", "null", "true", "1e999"] {
        let body = GOOD.replace("\"a\":1", &format!("\"a\":1,\"b\":{bad}"));
        let expected = (vec![GOOD_LINE.to_owned()], vec![(Skipped::NotANumber, 1)], true);
        assert_eq!(containers(&format!("[{body}]")), expected, "{bad}");
    }
}

#[test]
fn a_container_without_a_time_has_that_of_the_answer() {
    for time in ["", r#","timestamp":"x""#, r#","timestamp":1e300"#] {
        let body = GOOD.replace(r#","timestamp":2.0005"#, time);
        assert_eq!(
            containers(&format!("[{body}]")).0,
            [GOOD_LINE.replace("@2000", "@1500000000123")],
            "{time}"
        );
    }
}

#[test]
fn an_answer_that_breaks_off_gives_the_containers_before() {
    let (lines, _, sound) = containers(&format!("[{GOOD},{{\"contai"));
    assert_eq!((lines, sound), (vec![GOOD_LINE.to_owned()], false));
    for strange in ["7", r#"{"message":[]}"#, "<html>"] {
        assert_eq!(containers(strange), (vec![], vec![], false), "{strange}");
    }
    assert_eq!(containers("[]"), (vec![], vec![], true));
}

fn check_flat(statistics: &str, expected: &[&str]) {
    let body =
        format!(r#"[{{"container_id":"c","framework_id":"f","statistics":{{"timestamp":1,{statistics}}}}}]"#);
    let (lines, ..) = containers(&body);
    let names: Vec<&str> = lines[0].rsplit("| ").next().unwrap().split(' ').collect();
    let expected: Vec<String> = expected.iter().map(|name| format!("{name}@1000")).collect();
    assert_eq!(names, expected, "{statistics}");
}

#[test]
fn what_is_nested_is_flattened_by_the_rule() {
    check_flat(r#""perf":{"timestamp":5.5,"cycles":2}"#, &["perf.timestamp=5.5", "perf.cycles=2"]);
    check_flat(
        r#""net_traffic_control_statistics":[{"id":"bw_limit","drops":1},{"id":"bw_limit","drops":2},{"drops":3}]"#,
        &[
            "net_traffic_control_statistics.bw_limit.drops=1",
            "net_traffic_control_statistics.bw_limit-1.drops=2",
            "net_traffic_control_statistics.2.drops=3",
        ],
    );
    check_flat(
        r#""disk_statistics":[{"persistence":{"id":"v 1","principal":"p"},"source":{"type":"PATH"},"used_bytes":1},
            {"source":{"type":"MOUNT","mount":{"root":"/mnt/a"}},"used_bytes":2},
            {"source":{"type":"PATH","path":{"root":"/x"}},"used_bytes":3},{"used_bytes":4}]"#,
        &[
            "disk_statistics.v_1.used_bytes=1",
            "disk_statistics._mnt_a.used_bytes=2",
            "disk_statistics._x.used_bytes=3",
            "disk_statistics.3.used_bytes=4",
        ],
    );
    check_flat(
        r#""blkio_statistics":{"cfq":[{"io_serviced":[{"op":"TOTAL","value":1}]},
            {"device":{"major_number":8,"minor_number":16},"sectors":2,"io_serviced":[{"op":"READ","value":3}]}]}"#,
        &[
            "blkio_statistics.cfq.total.io_serviced.total=1",
            "blkio_statistics.cfq.8-16.sectors=2",
            "blkio_statistics.cfq.8-16.io_serviced.read=3",
        ],
    );
    check_flat(
        r#""net_snmp_statistics":{"tcp_stats":{"InSegs":7}},"list":[1,[2]]"#,
        &["net_snmp_statistics.tcp_stats.InSegs=7", "list.0=1", "list.1.0=2"],
    );
}

#[test]
fn depth_and_number_of_datapoints_are_bounded() {
    let deep = format!(r#""a":1,"b":{}1{}"#, "{\"x\":".repeat(50), "}".repeat(50));
    check_flat(&deep, &["a=1"]);
    let wide: Vec<String> = (0..5000).map(|n| format!("\"n{n}\":1")).collect();
    let body = format!(r#"[{{"container_id":"c","framework_id":"f","statistics":{{{}}}}}]"#, wide.join(","));
    let (records, skipped, _) = read(Containers::new(NOW_MS), body.as_bytes(), 4096);
    assert_eq!((records[0].datapoints.len(), skipped), (4096, vec![(Skipped::TooMany, 904)]));
    let empty = vec![r#"{"id":"x"}"#; 50_000].join(",");
    let body = GOOD.replace("\"a\":1", &format!("\"a\":1,\"b\":[{empty}]"));
    assert_eq!(containers(&format!("[{body}]")).1, [(Skipped::TooMany, 1)]);
}

#[test]
fn what_nested_containers_use_becomes_the_golden_records() {
    let (mut cutter, mut sink) = (Cutter::default(), NestedSink::default());
    cutter.push(include_bytes!("../../../tests/data/agent/get-containers-nested.json"), &mut sink).unwrap();
    let (records, skipped) = containers::nested(&sink.finish().usages, NOW_MS);
    assert_eq!(skipped, []);
    check_golden("get-containers-nested", &records.iter().map(line).collect::<Vec<_>>());
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|n| n.to_string()),
        Just("1e999".to_owned()),
        prop::sample::select(vec!["\"c\"", "\"f\"", "\"READ\"", "\"\""]).prop_map(str::to_owned),
    ];
    let key = prop::sample::select(vec![
        "container_id",
        "framework_id",
        "executor_id",
        "statistics",
        "timestamp",
        "op",
        "value",
        "device",
        "id",
        "major_number",
        "minor_number",
        "source",
        "mount",
        "root",
        "persistence",
        "blkio_statistics",
        "a",
    ]);
    leaf.prop_recursive(6, 64, 5, move |inner| {
        let member = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("{key:?}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..7).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_borne_and_a_good_container_beside_it_counts(odd in json()) {
        let (lines, ..) = containers(&format!("[{odd},{GOOD}]"));
        prop_assert_eq!(lines.last().map(String::as_str), Some(GOOD_LINE));
        let _ = read(Containers::new(NOW_MS), odd.as_bytes(), 3);
        let _ = read(System::new(Vec::new(), NOW_MS), odd.as_bytes(), 3);
    }
}
