//! The command line as its users meet it: exit codes and words.

use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::collector::{Output, program, run};

/// What the program needs to run, on free ports.
const RUN: [&str; 8] = [
    "--kafka-brokers",
    "127.0.0.1:1",
    "--listen-endpoint",
    "127.0.0.1:0",
    "--http-endpoint",
    "127.0.0.1:0",
    "--partner-endpoint",
    "127.0.0.1:0",
];

#[test]
fn an_unknown_flag_is_a_usage_error_that_names_the_nearest() {
    let output = run(&["--kafka-broker", "a:1"], &[]);
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(output.stderr.contains("--kafka-broker"), "{output:#?}");
    assert!(output.stderr.contains("--kafka-brokers"), "the nearest right flag: {output:#?}");
}

fn check_all_faults(output: &Output) {
    assert_eq!(output.code, Some(78), "{output:#?}");
    let said = output.stdout.clone() + &output.stderr;
    for word in ["listen-endpoint", "nonsense", "kafka-produce-count", "many", "kafka-compression", "zip"] {
        assert!(said.contains(word), "{word:?} is not named in {output:#?}");
    }
    assert!(said.contains("METRICS_COLLECTOR_HTTP_ENDPIONT"), "an unknown name of ours: {output:#?}");
    assert!(said.contains("METRICS_COLLECTOR_HTTP_ENDPOINT"), "and the nearest right one: {output:#?}");
}

const FAULTY: [&str; 8] = [
    "--kafka-brokers",
    "127.0.0.1:1",
    "--listen-endpoint",
    "nonsense",
    "--kafka-produce-count",
    "many",
    "--kafka-compression",
    "zip",
];
const FAULTY_ENVIRONMENT: [(&str, &str); 1] = [("METRICS_COLLECTOR_HTTP_ENDPIONT", "127.0.0.1:0")];

#[test]
fn a_bad_configuration_is_told_with_all_its_faults_at_start() {
    check_all_faults(&run(&FAULTY, &FAULTY_ENVIRONMENT));
}

#[test]
fn a_bad_configuration_is_told_with_all_its_faults_by_check_config() {
    check_all_faults(&run(&[&["check-config"], &FAULTY[..]].concat(), &FAULTY_ENVIRONMENT));
}

#[test]
fn a_good_configuration_passes_check_config() {
    let output = run(&[&["check-config"], &RUN[..]].concat(), &[]);
    assert_eq!(output.code, Some(0), "{output:#?}");
}

/// A client that is made to see whether it can be must not use the brokers on the way.
#[test]
fn looking_at_a_configuration_asks_no_broker() {
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    broker.set_nonblocking(true).unwrap();
    let address = broker.local_addr().unwrap().to_string();
    for command in ["check-config", "print-config"] {
        let output = run(&[command, "--kafka-brokers", &address, "--kafka-property", "debug=broker"], &[]);
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert_eq!(output.stderr, "", "{command}");
        let error = broker.accept().map(|(_, peer)| peer).expect_err(command);
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = program().args(["check-config", "--kafka=false"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot write: No space left on device"), "{said}");
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let mut child =
        program().args(["config-reference"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

fn check_taken(key: &str) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let flag = format!("--{key}={address}");
    let mut args: Vec<&str> =
        RUN.chunks(2).filter(|pair| !pair[0].ends_with(key)).flatten().copied().collect();
    args.push(&flag);
    let output = run(&args, &[]);
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert!(output.stdout.is_empty(), "it does not say that it listens: {output:#?}");
    let sentence = |line: &str| line.contains(&address) && line.contains(key);
    assert!(output.stderr.lines().any(sentence), "no line has {address} and {key}: {output:#?}");
}

#[test]
fn a_taken_input_port_is_told_in_one_sentence() {
    check_taken("listen-endpoint");
}

#[test]
fn a_taken_http_port_is_told_in_one_sentence() {
    check_taken("http-endpoint");
}

#[test]
fn a_taken_partner_port_is_told_in_one_sentence() {
    check_taken("partner-endpoint");
}

#[test]
fn a_file_where_the_socket_should_be_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("precious");
    std::fs::write(&path, "precious").expect("a file");
    let path = path.to_str().expect("a plain path");
    let output = run(
        &[
            "--kafka=false",
            "--listen-endpoint",
            "127.0.0.1:0",
            "--http-endpoint",
            "127.0.0.1:0",
            "--listen-socket",
            path,
        ],
        &[],
    );
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert!(output.stderr.contains("listen-socket"), "{output:#?}");
    assert_eq!(std::fs::read_to_string(path).expect("the file is there"), "precious");
}

#[test]
fn the_version_has_name_and_number() {
    let output = run(&["--version"], &[]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    let start = concat!("metrics-collector ", env!("CARGO_PKG_VERSION"));
    assert!(output.stdout.starts_with(start), "{output:#?}");
}

#[test]
fn print_config_shows_values_and_origins_and_hides_secrets() {
    let secure = [
        "--kafka-security-protocol",
        "sasl_ssl",
        "--kafka-sasl-mechanism",
        "PLAIN",
        "--kafka-sasl-username",
        "reader-of-nothing",
    ];
    let args = [&["print-config"], &RUN[..], &secure].concat();
    let secret = [("METRICS_COLLECTOR_KAFKA_SASL_PASSWORD", "hush-hush-hush")];
    let output = run(&args, &secret);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert!(output.stdout.contains("reader-of-nothing"), "{output:#?}");
    assert!(
        output.stdout.contains("METRICS_COLLECTOR_KAFKA_SASL_PASSWORD"),
        "its origin is told: {output:#?}"
    );
    assert!(!(output.stdout + &output.stderr).contains("hush-hush-hush"), "the secret is told");
}

#[test]
fn the_predecessors_flags_and_names_still_work() {
    let args = [
        "print-config",
        "-kafka-produce-count=7",
        "-listen-endpont=127.0.0.1:4711",
        "-kafka-compress-snappy=false",
    ];
    let output = run(&args, &[("KAFKA_BROKERS", "from.environment:9092")]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    for word in ["127.0.0.1:4711", "from.environment:9092"] {
        assert!(output.stdout.contains(word), "{word} is not in {output:#?}");
    }
    let line =
        |key: &str| output.stdout.lines().find(|line| line.contains(key)).unwrap_or_default().to_owned();
    assert!(line("kafka-produce-count").contains('7'), "{output:#?}");
    assert!(line("kafka-compression =").contains("\"none\""), "{output:#?}");
}

#[test]
fn help_names_every_command() {
    let output = run(&["--help"], &[]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    for word in ["check-config", "print-config", "demo", "--kafka-brokers", "--listen-endpoint"] {
        assert!(output.stdout.contains(word), "{word} is not in {output:#?}");
    }
}
