//! The command line as clap knows it, made from the table of keys.

use std::ffi::OsString;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use crate::config::{Group, Key, Kind};
use crate::telemetry::build_info::{REVISION, RUSTC, VERSION};

const NAME: &str = "metrics-collector";

const ABOUT: &str = "Takes metrics from local processes and delivers them to Kafka, losing nothing silently";

const LONG_ABOUT: &str = "\
Takes metrics from local processes over TCP (Avro object container streams of dcos.metrics.MetricList) and delivers them \
to Kafka, losing nothing silently. Without a command it runs until SIGTERM or SIGINT.

Every flag below is also a key of the configuration file and an environment variable, and can be written with one dash \
or two. A flag wins over the environment, the environment over the file.";

const EXAMPLES: &str = "\
Examples:
  metrics-collector demo
      see it at work, with a Kafka of its own and nothing to set up
  metrics-collector --kafka-brokers kafka-1:9092,kafka-2:9092
      listen on 127.0.0.1:8124 and send to Kafka
  metrics-collector --kafka=false --record-input-log
      without Kafka, to see what local processes send
  metrics-collector tail --topic 'agent*'
      show records as they arrive at the collector that runs
  metrics-collector --config /etc/metrics-collector.toml check-config
      name every fault of a configuration
  metrics-collector --kafka-brokers kafka-1:9092 print-config > metrics-collector.toml
      begin a configuration file
  metrics-collector completions bash > /etc/bash_completion.d/metrics-collector

Exit codes: 0 success, 1 cannot start or write, 2 wrong usage, 70 a part ended before its time, 78 bad configuration.";

/// The whole command line.
pub(super) fn build() -> Command {
    Command::new(NAME)
        .version(format!("{VERSION} (revision {REVISION}, rustc {RUSTC})"))
        .about(ABOUT)
        .long_about(LONG_ABOUT)
        .after_help(EXAMPLES)
        .override_usage(format!("{NAME} [FLAGS] [COMMAND]"))
        .subcommand_help_heading("Commands")
        .args(keys(false))
        .subcommand(super::demo::command())
        .subcommand(with_keys(super::tail::command()))
        .subcommand(check_config())
        .subcommand(print_config())
        .subcommand(config_reference())
        .subcommand(completions_command())
}

/// The completion script for the shell that is asked for.
pub(super) fn completions(matches: Option<&ArgMatches>) -> String {
    let shell = matches.and_then(|matches| matches.get_one::<String>("shell"));
    let shell = match shell.map(String::as_str) {
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut build(), NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn check_config() -> Command {
    let about = "Check the configuration: name every fault, or say that it is valid";
    with_keys(Command::new("check-config").about(about))
}

fn print_config() -> Command {
    let format = Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .value_parser(PossibleValuesParser::new(["toml", "json"]))
        .default_value("toml")
        .help("How it is printed; toml can be given back as a file");
    let about = "Print every key, its value and where that comes from; secrets are hidden";
    with_keys(Command::new("print-config").about(about).arg(format))
}

fn config_reference() -> Command {
    Command::new("config-reference").about("Print the documentation of every key as Markdown")
}

fn completions_command() -> Command {
    let shell = Arg::new("shell")
        .required(true)
        .value_name("SHELL")
        .value_parser(PossibleValuesParser::new(["bash", "zsh", "fish"]))
        .help("The shell");
    Command::new("completions").about("Print a completion script").arg(shell)
}

/// A command that takes the keys too, which its help does not repeat.
fn with_keys(command: Command) -> Command {
    let note = format!("All flags of `{NAME} --help` are accepted as well.");
    command.args(keys(true)).after_help(note)
}

/// A flag for each key. Values stay as they are: what is wrong with them is said with the faults of the other sources.
fn keys(hidden: bool) -> impl Iterator<Item = Arg> {
    let flags = |group: Group| group.keys.iter().map(move |key| flag(key).help_heading(group.title));
    Group::ALL
        .into_iter()
        .flat_map(flags)
        .map(move |flag| flag.hide_short_help(hidden).hide_long_help(hidden))
}

fn flag(key: &'static Key) -> Arg {
    let default = key.default.filter(|text| !text.is_empty());
    let default = default.map(|text| format!(" [default: {text}]")).unwrap_or_default();
    let environment = key.environment().collect::<Vec<_>>().join(", ");
    let flag = Arg::new(key.name)
        .long(key.name)
        .aliases(key.aliases)
        .value_name(key.kind.placeholder().into_owned())
        .value_parser(value_parser!(OsString))
        // Of keys that are not repeatable the last one counts, which reading the sources sees to.
        .action(ArgAction::Append)
        .help(format!("{}{default}", key.summary()))
        .long_help(format!("{}{default} [environment: {environment}]", key.doc));
    match key.kind {
        Kind::Bool => flag.num_args(0..=1).require_equals(true).default_missing_value("true"),
        // A value may begin with a dash, as a path or a password may.
        _ => flag.allow_hyphen_values(true),
    }
}
