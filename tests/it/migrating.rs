//! The Go collector's flags: the page on migrating names all of them, and each that is here already works.

use metrics_collector::config::Key;

use crate::support::collector::{program, run};
use crate::support::repository;

/// The 34, and a value that each takes.
const FLAGS: [(&str, &str); 34] = [
    ("agent-polling", "false"),
    ("http-profile", "true"),
    ("kafka", "true"),
    ("listen-endpont", "127.0.0.1:4711"),
    ("record-input-log", "true"),
    ("record-input-hexdump", "true"),
    ("input-limit-amount-kbytes", "20480"),
    ("input-limit-period", "61"),
    ("kafka-produce-count", "7"),
    ("kafka-produce-kbytes", "8"),
    ("kafka-produce-period-ms", "9"),
    ("kafka-topic-prefix", "m-"),
    ("kafka-single-topic", "all"),
    ("global-limit-amount-kbytes", "40960"),
    ("global-limit-period", "62"),
    ("record-output-log", "true"),
    ("record-output-hexdump", "true"),
    ("kafka-brokers", "a:1,b:2"),
    ("kafka-framework", "kafka"),
    ("kafka-flush-ms", "5000"),
    ("kafka-compress-snappy", "false"),
    ("kafka-require-all-acks", "false"),
    ("kafka-verbose", "true"),
    ("agent-ip-command", "/opt/mesosphere/bin/detect_ip"),
    ("agent-port", "5051"),
    ("agent-poll-period", "15"),
    ("agent-metrics-topic", "agent"),
    ("agent-test-state-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agent/state-dcos.json")),
    (
        "agent-test-system-file",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agent/metrics-snapshot.json"),
    ),
    (
        "agent-test-containers-file",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agent/containers-dcos.json"),
    ),
    ("auth-credential", "token"),
    ("statsd-udp-host", "localhost"),
    ("statsd-udp-port", "8125"),
    ("statsd-period", "16"),
];

fn variable(flag: &str) -> String {
    flag.to_uppercase().replace('-', "_")
}

#[test]
fn the_page_names_the_34_flags() {
    let page = std::fs::read_to_string(repository("docs/migrating.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `-"))
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").collect())
        .collect();
    assert_eq!(rows.len(), FLAGS.len());
    for (row, (flag, _)) in rows.iter().zip(FLAGS) {
        assert_eq!((row[0], row[1]), (&*format!("`-{flag}`"), &*format!("`{}`", variable(flag))));
        let [_, _, then, now] = row[..] else { panic!("{row:?} has not four cells") };
        assert!(!then.is_empty() && !now.is_empty(), "{row:?}");
    }
}

/// The origins that `print-config` names, as a set of lines.
fn check_printed(printed: &str, origin: impl Fn(&str) -> String) {
    for (flag, _) in FLAGS {
        let key = Key::find(flag).unwrap_or_else(|| panic!("no key {flag}"));
        let begin = format!("{} = ", key.name);
        let line =
            printed.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("{printed}"));
        assert!(line.ends_with(&format!("  # {}", origin(key.name))), "{line}");
    }
}

#[test]
fn each_flag_is_accepted_as_go_programs_write_it() {
    let flags: Vec<String> = FLAGS.into_iter().map(|(flag, value)| format!("-{flag}={value}")).collect();
    let args: Vec<&str> = ["print-config"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    let output = run(&args, &[]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    check_printed(&output.stdout, |name| format!("flag --{name}"));
    // Value and flag apart, where it is no switch.
    let apart = ["-kafka-brokers", "a:1", "-statsd-period", "5", "-listen-endpont", ":0"];
    let output = run(&[&["check-config"], &apart[..]].concat(), &[]);
    assert_eq!(output.code, Some(0), "{output:#?}");
}

#[test]
fn each_flag_is_accepted_by_its_bare_environment_name() {
    let variables: Vec<(String, &str)> =
        FLAGS.into_iter().map(|(flag, value)| (variable(flag), value)).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, *value)).collect();
    let output = run(&["print-config"], &variables);
    assert_eq!(output.code, Some(0), "{output:#?}");
    for (flag, _) in FLAGS {
        let key = Key::find(flag).unwrap();
        assert!(key.environment().any(|name| name == variable(flag)), "{flag}");
        assert!(
            output.stdout.contains(&format!("# environment {}\n", variable(flag))),
            "{flag}: {output:#?}"
        );
    }
    for line in [
        "http-profile is retired",
        "kafka-flush-ms is retired",
        "input-limit-amount-kbytes is 20480",
        "global-limit-amount-kbytes is 40960",
        "kafka-require-all-acks is false",
    ] {
        assert!(output.stderr.contains(line), "{line} is not said: {output:#?}");
    }
}

#[test]
fn a_bad_value_in_the_environment_is_a_fault_where_it_was_the_default() {
    let output = program()
        .args(["check-config", "-kafka-brokers=a:1"])
        .envs([("KAFKA_PRODUCE_COUNT", "abc"), ("STATSD_PERIOD", "soon")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("KAFKA_PRODUCE_COUNT") && said.contains("STATSD_PERIOD"), "{said}");
}
