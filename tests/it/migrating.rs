//! The Go collector's flags: the page on migrating names all of them, and each does what the page says.

use std::collections::BTreeSet;
use std::sync::mpsc;

use axum::http::HeaderMap;
use metrics_collector::config::Key;

use crate::support::collector::{Collector, program, run};
use crate::support::consumer::{self, Message};
use crate::support::kafka::{Broker, unique};
use crate::support::serve::Server;
use crate::support::{ocf, record, repository, segment};

/// The 34, a value that each takes, and a test that fails where the flag does not do what the page says.
const FLAGS: [(&str, &str, &str); 34] = [
    ("agent-polling", "false", "agent::files_stand_for_the_agents_answers"),
    ("http-profile", "true", "migrating::each_flag_is_accepted_by_its_bare_environment_name"),
    ("kafka", "true", "limits::statsd_hears_the_old_names"),
    ("listen-endpont", "127.0.0.1:4711", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    ("record-input-log", "true", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    ("record-input-hexdump", "true", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    (
        "input-limit-amount-kbytes",
        "20480",
        "limits::a_connection_over_its_limit_is_held_alone_and_read_out_at_the_end",
    ),
    ("input-limit-period", "61", "limits::a_held_connection_goes_on_when_its_time_has_come"),
    ("kafka-produce-count", "7", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    ("kafka-produce-kbytes", "8", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    ("kafka-produce-period-ms", "9", "outage::every_accepted_record_arrives_after_sigterm_under_load"),
    ("kafka-topic-prefix", "m-", "migrating::the_leaders_word_is_enough_where_the_flag_says_so"),
    ("kafka-single-topic", "all", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    ("global-limit-amount-kbytes", "40960", "limits::the_global_limit_holds_what_is_over_it_until_the_end"),
    ("global-limit-period", "62", "limits::the_global_limit_holds_what_is_over_it_until_the_end"),
    ("record-output-log", "true", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    ("record-output-hexdump", "true", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    ("kafka-brokers", "a:1,b:2", "migrating::the_leaders_word_is_enough_where_the_flag_says_so"),
    ("kafka-framework", "kafka", "discovery::the_real_mesos_dns_leads_to_the_brokers"),
    ("kafka-flush-ms", "5000", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    ("kafka-compress-snappy", "false", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    ("kafka-require-all-acks", "false", "migrating::the_leaders_word_is_enough_where_the_flag_says_so"),
    ("kafka-verbose", "true", "migrating::the_flags_of_messages_and_logs_do_what_they_say"),
    (
        "agent-ip-command",
        "/opt/mesosphere/bin/detect_ip",
        "agent::without_an_address_it_starts_and_says_what_to_do",
    ),
    ("agent-port", "5051", "agent::files_stand_for_the_agents_answers"),
    ("agent-poll-period", "15", "agent::files_stand_for_the_agents_answers"),
    ("agent-metrics-topic", "agent", "agent::files_stand_for_the_agents_answers"),
    (
        "agent-test-state-file",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agent/state-dcos.json"),
        "agent::files_stand_for_the_agents_answers",
    ),
    (
        "agent-test-system-file",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agent/metrics-snapshot.json"),
        "agent::files_stand_for_the_agents_answers",
    ),
    (
        "agent-test-containers-file",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agent/containers-dcos.json"),
        "agent::files_stand_for_the_agents_answers",
    ),
    ("auth-credential", "token", "migrating::the_agent_gets_its_credential"),
    ("statsd-udp-host", "localhost", "limits::statsd_hears_the_old_names"),
    ("statsd-udp-port", "8125", "limits::statsd_hears_the_old_names"),
    ("statsd-period", "16", "limits::statsd_hears_the_old_names"),
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
    for (row, (flag, ..)) in rows.iter().zip(FLAGS) {
        assert_eq!((row[0], row[1]), (&*format!("`-{flag}`"), &*format!("`{}`", variable(flag))));
        let [_, _, then, now] = row[..] else { panic!("{row:?} has not four cells") };
        assert!(!then.is_empty() && !now.is_empty(), "{row:?}");
    }
}

/// The origins that `print-config` names, as a set of lines.
fn check_printed(printed: &str, origin: impl Fn(&str) -> String) {
    for (flag, ..) in FLAGS {
        let key = Key::find(flag).unwrap_or_else(|| panic!("no key {flag}"));
        let begin = format!("{} = ", key.name);
        let line =
            printed.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("{printed}"));
        assert!(line.ends_with(&format!("  # {}", origin(key.name))), "{line}");
    }
}

#[test]
fn each_flag_is_accepted_as_go_programs_write_it() {
    let flags: Vec<String> = FLAGS.into_iter().map(|(flag, value, _)| format!("-{flag}={value}")).collect();
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
        FLAGS.into_iter().map(|(flag, value, _)| (variable(flag), value)).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, *value)).collect();
    let output = run(&["print-config"], &variables);
    assert_eq!(output.code, Some(0), "{output:#?}");
    for (flag, ..) in FLAGS {
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

#[test]
fn each_flag_has_a_test_that_uses_it() {
    for (flag, _, test) in FLAGS {
        let (file, name) = test.split_once("::").unwrap();
        let text = std::fs::read_to_string(repository(&format!("tests/it/{file}.rs"))).unwrap();
        assert!(text.contains(&format!("#[test]\nfn {name}()")), "there is no {test}");
        let uses = |before: &str| text.contains(&format!("{before}{flag}"));
        assert!(uses("-") || uses("\""), "{test} does not use {flag}");
    }
}

/// How many lines of the log have these words.
fn logged(collector: &Collector, words: &str) -> usize {
    collector.log().iter().filter(|line| line.contains(words)).count()
}

#[test]
fn the_flags_of_messages_and_logs_do_what_they_say() {
    let broker = Broker::shared();
    let topic = unique("single");
    let args = [
        "-listen-endpont=127.0.0.2:0",
        &format!("-kafka-single-topic={topic}"),
        "-kafka-produce-count=7",
        "-kafka-produce-kbytes=2",
        "-kafka-compress-snappy=false",
        // Retired: nothing waits for that.
        "-kafka-flush-ms=3600000",
        "-kafka-verbose=true",
        "-record-input-log=true",
        "-record-input-hexdump=true",
        "-record-output-log=true",
        "-record-output-hexdump=true",
    ];
    let collector = Collector::start(broker.bootstrap(), &args);
    assert_eq!(collector.input().ip().to_string(), "127.0.0.2");
    let bulky = |number| record::Record::numbered("bulky", number).with_tag("bulk", &"x".repeat(200));
    let bulky: Vec<_> = (70..90).map(bulky).collect();
    collector.send(&ocf::stream(&record::numbered("small", 0..70)));
    collector.send(&ocf::stream(&bulky));
    collector.wait_delivered(90);

    let messages = consumer::read(broker.bootstrap(), &topic, 90);
    let numbers: BTreeSet<u32> = consumer::records(&messages).iter().map(record::Record::number).collect();
    assert_eq!(numbers, (0..90).collect(), "the records of both topics are in the single one");
    let of = |name: &str| {
        let is_of = |message: &&Message| message.records()[0].topic == name;
        messages.iter().filter(is_of).collect::<Vec<_>>()
    };
    assert!(of("small").iter().all(|message| message.records().len() <= 7));
    assert!(of("small").len() >= 10, "the count closes them");
    assert!(of("bulky").iter().all(|message| message.value.len() <= 2048));
    assert!(
        of("bulky").iter().any(|message| (2..7).contains(&message.records().len())),
        "the bytes close them"
    );
    let compressions = segment::compressions(&broker.data(&format!("{topic}-0")));
    assert_eq!(compressions, BTreeSet::from(["none"]));

    let dropped = collector.metric("metrics_collector_log_lines_dropped_total");
    assert_eq!(dropped, 0, "this machine was too slow to read the log");
    assert_eq!((logged(&collector, "RECORD IN: "), logged(&collector, "RECORD OUT: ")), (90, 90));
    for words in ["received\\n00000000  4f 62 6a 01 ", "sending\\n00000000  4f 62 6a 01 "] {
        assert!(logged(&collector, words) > 0, "{words}");
    }
    assert!(logged(&collector, "librdkafka: ") > 0, "the client tells what it does");
    assert_eq!(logged(&collector, "kafka-flush-ms is retired"), 1);
}

#[test]
fn the_leaders_word_is_enough_where_the_flag_says_so() {
    let broker = Broker::shared();
    for (acks, idempotent) in [("false", false), ("true", true)] {
        let prefix = format!("{}-", unique("acks"));
        let args = [
            &*format!("-kafka-brokers= , {} ,", broker.bootstrap()),
            &*format!("-kafka-topic-prefix={prefix}"),
            &*format!("-kafka-require-all-acks={acks}"),
        ];
        let collector = Collector::start("", &args);
        collector.send(&ocf::stream(&record::numbered("of-senders", 0..10)));
        collector.wait_delivered(10);
        let topic = format!("{prefix}of-senders");
        assert_eq!(consumer::records(&consumer::read(broker.bootstrap(), &topic, 10)).len(), 10);
        // Who asks for all acknowledgements sends so that repeats are removed, and the others do not.
        assert_eq!(segment::idempotence(&broker.data(&format!("{topic}-0"))), BTreeSet::from([idempotent]));
        assert_eq!(logged(&collector, "kafka-require-all-acks is false"), usize::from(!idempotent));
    }
}

#[test]
fn the_agent_gets_its_credential() {
    let (tell, told) = mpsc::channel();
    let agent = Server::start(axum::Router::new().fallback(move |headers: HeaderMap| {
        // Whoever listened has heard enough.
        _ = tell.send(headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()));
        std::future::ready("{}")
    }));
    let port = format!("-agent-port={}", agent.address().port());
    let args =
        ["-kafka=false", "-agent-polling=true", "--agent-ip=127.0.0.1", &port, "-auth-credential=hush"];
    let collector = Collector::start("127.0.0.1:1", &args);
    let heard = told.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(heard.as_deref(), Some("token=hush"));
    assert_eq!(logged(&collector, "hush"), 0);
}
