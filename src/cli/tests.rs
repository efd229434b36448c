//! Arguments and environment in, texts and what is next out.

use super::*;
use crate::config::Config;
use crate::telemetry::build_info;

fn evaluated(arguments: &[&str], environment: &[(&str, &str)]) -> Answer {
    let arguments = std::iter::once(&"metrics-collector").chain(arguments).map(OsString::from);
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    evaluate(arguments, environment, &|_| Vec::new())
}

fn ran(arguments: &[&str]) -> Config {
    let answer = evaluated(arguments, &[]);
    match answer.next {
        Next::Run(loaded) => loaded.config,
        next => panic!("{arguments:?}: {next:?}\n{}", answer.err),
    }
}

fn code(arguments: &[&str]) -> Option<u8> {
    match evaluated(arguments, &[]).next {
        Next::Exit(code) => Some(code),
        Next::Run(_) | Next::Demo(_) => None,
    }
}

#[test]
fn clap_finds_no_fault_with_the_command_line() {
    command::build().debug_assert();
}

#[test]
fn flags_work_as_gnu_and_as_go_write_them() {
    for arguments in [
        &["--kafka-brokers", "a:1", "--record-input-log"][..],
        &["--kafka-brokers=a:1", "--record-input-log=true"],
        &["-kafka-brokers", "a:1", "-record-input-log"],
        &["-kafka-brokers=a:1", "-record-input-log=T"],
        &["-kafka-brokers=b:1", "-record-input-log=0", "-record-input-log", "--kafka-brokers=a:1"],
    ] {
        let config = ran(arguments);
        assert_eq!(config.kafka.unwrap().brokers, ["a:1"], "{arguments:?}");
        assert!(config.input.record_log, "{arguments:?}");
    }
    assert!(ran(&["-kafka=false"]).kafka.is_none());
}

#[test]
fn a_value_may_begin_with_a_dash() {
    for arguments in [
        &["-kafka=false", "--agent-id", "-seven"][..],
        &["-kafka=false", "-agent-id", "-seven"],
        &["-kafka=false", "-agent-id=-seven"],
        &["-agent-id", "-seven", "-kafka=false"],
    ] {
        assert_eq!(ran(arguments).enrich.agent_id.as_deref(), Some("-seven"), "{arguments:?}");
    }
}

#[test]
fn brokers_stand_before_and_behind_demo() {
    let brokers = |arguments: &[&str]| match evaluated(arguments, &[]).next {
        Next::Demo(options) => options.kafka_brokers.unwrap_or_default(),
        next => panic!("{arguments:?}: {next:?}"),
    };
    assert_eq!(brokers(&["demo"]), [""; 0]);
    assert_eq!(brokers(&["-kafka-brokers", "a:1", "demo"]), ["a:1"]);
    assert_eq!(brokers(&["--kafka-brokers=a:1", "demo", "--kafka-brokers=b:1"]), ["b:1"]);
    let answer = evaluated(&["--log-level=debug", "demo"], &[]);
    assert!(answer.err.contains("the command demo takes no --log-level"), "{}", answer.err);
    let answer = evaluated(&["demo", "--kafka-brokers=a:1,"], &[]);
    assert_eq!(answer.err, "warning: kafka-brokers: an empty entry is passed over\n");
}

#[test]
fn the_misspelt_name_is_the_same_flag() {
    for name in ["--listen-endpont", "--listen-endpoint", "-listen-endpont"] {
        assert_eq!(ran(&["-kafka=false", name, ":7"]).input.listen.port(), 7, "{name}");
    }
    let both = ["-kafka=false", "--listen-endpoint=:1", "-listen-endpont=:2"];
    assert_eq!(ran(&both).input.listen.port(), 2);
}

#[test]
fn keys_stand_before_and_after_the_subcommand() {
    let arguments = [
        "--kafka-property=a=1",
        "--log-level=warn",
        "print-config",
        "-log-level=info",
        "-kafka-property=b=2",
    ];
    let out = evaluated(&arguments, &[("KAFKA_BROKERS", "a:1")]).out;
    assert!(out.contains("log-level = \"info\"  # flag --log-level\n"), "{out}");
    assert!(out.contains("kafka-property = [\"a=1\", \"b=2\"]"), "{out}");
    assert!(out.contains("kafka-brokers = \"a:1\"  # environment KAFKA_BROKERS\n"), "{out}");
}

#[test]
fn exit_codes() {
    for (arguments, expected) in [
        (&["-kafka=false"][..], None),
        (&["-kafka=false", "check-config"], Some(exit::SUCCESS)),
        (&["--help"], Some(exit::SUCCESS)),
        (&["-h"], Some(exit::SUCCESS)),
        (&["-V"], Some(exit::SUCCESS)),
        (&["--no-such-flag"], Some(exit::USAGE)),
        (&["-kafka-brokrs=a:1"], Some(exit::USAGE)),
        (&["no-such-command"], Some(exit::USAGE)),
        (&["--kafka-brokers"], Some(exit::USAGE)),
        (&["-kafka", "false"], Some(exit::USAGE)),
        (&["completions", "csh"], Some(exit::USAGE)),
        (&["demo"], None),
        (&["--log-level=debug", "demo"], Some(exit::USAGE)),
        (&["--kafka-brokers=a:1", "-kafka=false", "demo"], Some(exit::USAGE)),
        (&["--kafka-brokers=a:x", "demo"], Some(exit::BAD_CONFIGURATION)),
        (&[], None),
        (&["-kafka=maybe"], Some(exit::BAD_CONFIGURATION)),
        (&["-kafka=false", "--memory-limit=x"], Some(exit::BAD_CONFIGURATION)),
        (&["check-config"], Some(exit::SUCCESS)),
        (&["print-config"], Some(exit::SUCCESS)),
    ] {
        assert_eq!(code(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn check_config_tells_faults_on_standard_error_and_warnings_with_success() {
    let bad = evaluated(&["check-config", "--kafka-compression=snapy"], &[]);
    let expected = "metrics-collector: the configuration has 1 fault\n  flag --kafka-compression: kafka-compression = \
                    \"snapy\": expected none, snappy, lz4, zstd or gzip; did you mean \"snappy\"?\n";
    assert_eq!((bad.out.as_str(), bad.err.as_str()), ("", expected));
    let good = evaluated(&["-kafka=false", "check-config"], &[]);
    assert_eq!(good.out, "the configuration is valid\n");
    let unwise = evaluated(&["-kafka=false", "check-config", "-http-token=sesame"], &[]);
    let expected = "warning: the HTTP token has fewer than 16 bytes and can be guessed; make a longer one, as with \
                    openssl rand -hex 16\nwarning: http-token was given as a flag, which shows in the process list; \
                    use a file\nthe configuration is valid\n";
    assert_eq!(unwise.out, expected);
}

#[test]
fn usage_faults_name_the_nearest_flag_and_no_value() {
    let answer = evaluated(&["-kafka-sasl-pasword=sesame"], &[]);
    assert!(answer.err.contains("'--kafka-sasl-password'"), "{}", answer.err);
    assert!(!answer.err.contains("sesame"), "{}", answer.err);
}

#[test]
fn print_config_writes_json_too() {
    let answer = evaluated(&["-kafka=false", "print-config", "--format", "json"], &[]);
    let json: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(json["kafka"]["value"], false);
}

#[test]
fn the_help_has_every_flag_its_environment_and_default() {
    let help = evaluated(&["--help"], &[]).out;
    // The width of the terminal breaks lines anywhere.
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for key in Key::all() {
        assert!(words.contains(&format!("--{}", key.name)), "{}", key.name);
        for name in key.environment() {
            assert!(words.contains(&name), "{name}");
        }
        if let Some(default) = key.default {
            assert!(words.contains(&format!("[default: {default}]")), "{}", key.name);
        }
    }
    assert!(words.contains("Examples:"));
}

#[test]
fn the_version_has_the_revision() {
    let expected =
        format!("metrics-collector {} (revision {}, rustc ", build_info::VERSION, build_info::REVISION);
    assert!(evaluated(&["--version"], &[]).out.starts_with(&expected));
}

#[test]
fn completions_know_the_keys() {
    for shell in ["bash", "zsh", "fish"] {
        let script = evaluated(&["completions", shell], &[]).out;
        assert!(script.contains("kafka-brokers") && script.contains("check-config"), "{shell}");
    }
}

#[test]
fn the_reference_is_printed_whole() {
    assert_eq!(evaluated(&["config-reference"], &[]).out, config::markdown());
}
