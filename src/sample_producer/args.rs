//! The command line, as its users have known it since 2016: Go's flags, with one dash or two.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{Brokers, parse_brokers, parse_dns_server};
use crate::dcos::discovery::{self, FrameworkName};
use crate::ocf::encode::Dialect;
use crate::record::TopicName;

/// What the program is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where messages go; empty: nowhere, or to where [`Settings::discovery`] leads.
    pub brokers: Brokers,
    /// Where the brokers are looked for (`-framework`); overrides those that are named.
    pub discovery: Option<discovery::Config>,
    /// Kafka topic, and topic of every record.
    pub topic: TopicName,
    /// Where files go (`-file`), if they are to be written.
    pub directory: Option<PathBuf>,
    /// Log every record and every acknowledgement.
    pub verbose: bool,
    /// Time between polls.
    pub period: Duration,
    /// Program and arguments that print the agent's address.
    pub ip_command: Vec<String>,
    /// The agent's HTTP port.
    pub agent_port: u16,
    /// Schema of what is sent.
    pub dialect: Dialect,
}

/// Environment name whose value stands for `-brokers`.
pub const BROKERS_ENV: &str = "KAFKA_PEERS";

const PERIOD_SECONDS_MAX: u64 = 86_400;

/// Reads the command line. `args` begins with the program's name; `peers` is the value of [`BROKERS_ENV`].
///
/// # Errors
/// A message for the user, with clap's exit code: 0 for `-h` and `--version`, 2 for bad usage.
pub fn parse(args: impl IntoIterator<Item = OsString>, peers: Option<&str>) -> Result<Settings, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(args.into_iter().map(two_dashes))?;
    settings(&matches, peers).map_err(|problem| command.error(ErrorKind::ValueValidation, problem))
}

fn settings(matches: &ArgMatches, peers: Option<&str>) -> Result<Settings, String> {
    let framework = matches.get_one::<Option<FrameworkName>>("framework").cloned().flatten();
    let dns_server = matches.get_one::<SocketAddr>("dns-server").copied();
    let discovery = framework.map(|name| discovery::Config { dns_server, ..discovery::Config::of(name) });
    let (origin, list) = match (matches.get_one::<String>("brokers"), peers) {
        (Some(list), _) => ("-brokers", list.as_str()),
        (None, peers) => (BROKERS_ENV, peers.unwrap_or_default()),
    };
    let brokers = parse_brokers(list).map_err(|problem| format!("{origin} \"{list}\": {problem}"))?;
    let kafka = flag(matches, "kafka");
    let file = flag(matches, "file");
    if kafka && brokers.list.is_empty() && discovery.is_none() && !file {
        return Err(format!(
            "nowhere to send to: give -brokers host:port,... (or {BROKERS_ENV} in the environment), -framework NAME, \
             or -file to write files, or -kafka=false to poll only"
        ));
    }
    let ip_command: Vec<String> = text(matches, "ipcmd").split_whitespace().map(str::to_owned).collect();
    if ip_command.is_empty() {
        return Err("-ipcmd is empty: give a command that prints the agent's IP address".into());
    }
    Ok(Settings {
        brokers: if kafka && discovery.is_none() { brokers } else { Brokers::default() },
        discovery: discovery.filter(|_| kafka),
        topic: one(matches, "topic"),
        directory: file.then(|| PathBuf::from(".")),
        verbose: flag(matches, "verbose"),
        period: one(matches, "period"),
        ip_command,
        agent_port: one(matches, "agent-port"),
        dialect: one(matches, "dialect"),
    })
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> T {
    matches.get_one::<T>(name).expect("the flag has a default").clone()
}

fn text(matches: &ArgMatches, name: &str) -> String {
    one(matches, name)
}

fn flag(matches: &ArgMatches, name: &str) -> bool {
    one(matches, name)
}

/// Go's form of a flag to clap's: `-topic` is `--topic`. `-h` and all that is no word stay as they are.
fn two_dashes(arg: OsString) -> OsString {
    match arg.to_str().and_then(|text| text.strip_prefix('-')) {
        Some(name) if name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            OsString::from(format!("--{name}"))
        }
        _ => arg,
    }
}

fn command() -> Command {
    let value = |name: &'static str, shown: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_name(shown).default_value(default).action(ArgAction::Set)
    };
    let switch = |name: &'static str, default: &'static str| {
        value(name, "true|false", default)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(ValueParser::new(boolean))
    };
    Command::new("sample-producer")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Polls a Mesos agent's statistics of its executors and sends them to Kafka, one message a poll")
        .after_help(
            "Flags may be written with one dash or two, values after a blank or \"=\".\n\n\
             Examples:\n  \
             sample-producer -brokers broker-0.kafka.mesos:9092\n  \
             sample-producer -framework kafka\n  \
             sample-producer -file -ipcmd 'echo 10.0.3.17' -period 5\n\n\
             Exit codes: 0 stopped by SIGTERM or SIGINT, 1 cannot start, 2 wrong usage.",
        )
        .args_override_self(true)
        .arg(
            Arg::new("brokers").long("brokers").value_name("HOST:PORT,...").action(ArgAction::Set).help(
                "Kafka brokers to begin with [default: the environment's KAFKA_PEERS]",
            ),
        )
        .arg(
            Arg::new("framework")
                .long("framework")
                .value_name("NAME")
                .action(ArgAction::Set)
                .value_parser(ValueParser::new(framework))
                .help("Kafka framework of this DC/OS cluster, whose brokers are found; overrides -brokers"),
        )
        .arg(
            Arg::new("dns-server")
                .long("dns-server")
                .value_name("IP[:PORT]")
                .action(ArgAction::Set)
                .value_parser(ValueParser::new(dns_server))
                .help("DNS server that is asked for the framework [default: the system's]"),
        )
        .arg(switch("kafka", "true").help("Send to Kafka"))
        .arg(switch("file", "false").help(
            "Write each poll to chunk-N.avro in the working directory: N from 0, or behind the highest that is \
             there; no file is ever overwritten",
        ))
        .arg(
            value("topic", "TOPIC", "sample_metrics")
                .value_parser(ValueParser::new(topic))
                .help("Kafka topic, as it is, without a prefix"),
        )
        .arg(switch("verbose", "false").help("Log every record and every acknowledgement"))
        .arg(
            value("period", "SECONDS", "15")
                .value_parser(ValueParser::new(period))
                .help("Time between polls: 15 or 15s"),
        )
        .arg(
            value("ipcmd", "COMMAND", "/opt/mesosphere/bin/detect_ip")
                .help("Command that prints the agent's address; split on blanks, no shell"),
        )
        .arg(
            value("agent-port", "PORT", "5051")
                .value_parser(clap::value_parser!(u16).range(1..))
                .help("The agent's HTTP port"),
        )
        .arg(
            value("dialect", "DIALECT", "native")
                .value_parser(ValueParser::new(dialect))
                .help("Schema of what is sent: native, or 2016-05 as the first sample producer sent it"),
        )
}

/// An empty name is none, as it was.
fn framework(text: &str) -> Result<Option<FrameworkName>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    FrameworkName::parse(text)
        .map(Some)
        .map_err(|why| format!("expected a name as kafka or prod/kafka, but {why}"))
}

fn dns_server(text: &str) -> Result<SocketAddr, String> {
    parse_dns_server(text).ok_or_else(|| "expected an IP address, with :port where that is not 53".to_owned())
}

/// Go's words for true and false (package `strconv`, function `ParseBool`).
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

fn topic(text: &str) -> Result<TopicName, String> {
    TopicName::parse(text.as_bytes()).map_err(|illegal| illegal.to_string())
}

fn period(text: &str) -> Result<Duration, String> {
    match text.strip_suffix('s').unwrap_or(text).parse() {
        Ok(seconds @ 1..=PERIOD_SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("expected whole seconds from 1 to {PERIOD_SECONDS_MAX}, as in 15 or 15s")),
    }
}

fn dialect(text: &str) -> Result<Dialect, String> {
    match text {
        "native" => Ok(Dialect::Native),
        "2016-05" => Ok(Dialect::May2016),
        _ => Err("expected native or 2016-05".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Settings, clap::Error> {
        parse(std::iter::once("sample-producer").chain(args.iter().copied()).map(OsString::from), None)
    }

    fn good(args: &[&str]) -> Settings {
        parsed(args).unwrap_or_else(|error| panic!("{args:?}: {error}"))
    }

    #[test]
    fn defaults_are_those_of_2016() {
        let expected = Settings {
            brokers: Brokers { list: vec!["a:1".into()], ..Brokers::default() },
            discovery: None,
            topic: TopicName::parse(b"sample_metrics").expect("a topic"),
            directory: None,
            verbose: false,
            period: Duration::from_secs(15),
            ip_command: vec!["/opt/mesosphere/bin/detect_ip".into()],
            agent_port: 5051,
            dialect: Dialect::Native,
        };
        assert_eq!(good(&["-brokers", "a:1"]), expected);
    }

    #[test]
    fn every_flag_is_read_in_every_form() {
        let forms: [&[&str]; 3] = [
            &[
                "-brokers",
                "a:1,b:2",
                "-topic",
                "t",
                "-verbose",
                "-period",
                "5",
                "-ipcmd",
                "echo  ::1",
                "-agent-port",
                "80",
                "-dialect",
                "2016-05",
                "-file",
                "-kafka",
            ],
            &[
                "-brokers=a:1, b:2,",
                "-topic=t",
                "-verbose=true",
                "-period=5s",
                "-ipcmd=echo ::1",
                "-agent-port=80",
                "-dialect=2016-05",
                "-file=1",
                "-kafka=T",
            ],
            &[
                "--brokers=a:1,b:2",
                "--topic=t",
                "--verbose",
                "--period=5s",
                "--ipcmd",
                "echo ::1",
                "--agent-port=80",
                "--dialect=2016-05",
                "--file",
                "--kafka",
            ],
        ];
        for form in forms {
            let settings = good(form);
            assert_eq!(settings.brokers.list, ["a:1", "b:2"]);
            assert_eq!(settings.topic.as_str(), "t");
            assert_eq!(settings.directory, Some(PathBuf::from(".")));
            assert!(settings.verbose);
            assert_eq!(settings.period, Duration::from_secs(5));
            assert_eq!(settings.ip_command, ["echo", "::1"]);
            assert_eq!((settings.agent_port, settings.dialect), (80, Dialect::May2016));
        }
    }

    #[test]
    fn the_environment_names_brokers_unless_the_flag_does() {
        let with = |args: &[&str]| {
            parse(args.iter().copied().map(OsString::from), Some("env:1")).expect("settings").brokers.list
        };
        assert_eq!(with(&["p"]), ["env:1"]);
        assert_eq!(with(&["p", "-brokers", "flag:1"]), ["flag:1"]);
        assert_eq!(with(&["p", "-kafka=false"]), [""; 0]);
    }

    #[test]
    fn something_must_be_asked_for() {
        assert_eq!(good(&["-file"]).brokers.list, [""; 0]);
        assert_eq!(good(&["-kafka=false"]).directory, None);
        for args in [&[][..], &["-brokers="], &["-brokers", " ,"], &["-verbose"]] {
            let error = parsed(args).expect_err("nowhere to send to");
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("nowhere to send to: give -brokers"), "{error}");
        }
    }

    #[test]
    fn wrong_usage_is_named_and_exits_with_2() {
        for (args, expected) in [
            (
                &["-framework", "a//b"][..],
                "expected a name as kafka or prod/kafka, but it has an empty folder",
            ),
            (&["-framework=kafka", "-dns-server=x"], "expected an IP address"),
            (
                &["-brokers=a:x"],
                "-brokers \"a:x\": expected host:port between commas, but \"a:x\" has no port",
            ),
            (&["-brokers=http://a"], "has a protocol"),
            (&["-brokers=:9092"], "has no host name"),
            (&["-brokers=a:0"], "has no port"),
            (&["-file", "-period", "0"], "expected whole seconds from 1 to 86400"),
            (&["-file", "-period", "1.5"], "expected whole seconds"),
            (&["-file", "-period=-1"], "expected whole seconds"),
            (&["-file", "-topic", "a/b"], "none of a-z"),
            (&["-file", "-ipcmd", " "], "-ipcmd is empty"),
            (&["-file=maybe"], "expected true or false"),
            (&["-file", "-agent-port", "0"], "0 is not in 1..=65535"),
            (&["-file", "-dialect", "2017"], "expected native or 2016-05"),
            (&["-file", "-nonsense"], "unexpected argument '--nonsense'"),
            (&["-file", "extra"], "unexpected argument 'extra'"),
        ] {
            let error = parsed(args).expect_err(expected);
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_framework_overrides_brokers_wherever_they_are_named() {
        let args = ["p", "-framework", "/prod/kafka", "-brokers=flag:1", "-dns-server", "10.0.0.1"];
        let settings = parse(args.map(OsString::from), Some("env:1")).expect("settings");
        assert_eq!(settings.brokers.list, [""; 0]);
        let expected = discovery::Config {
            dns_server: Some(([10, 0, 0, 1], 53).into()),
            ..discovery::Config::of(FrameworkName::parse("prod/kafka").expect("a name"))
        };
        assert_eq!(settings.discovery, Some(expected));
        assert_eq!(good(&["-framework=kafka", "-kafka=false"]).discovery, None);
        assert_eq!(good(&["-brokers=a:1", "-framework="]).brokers.list, ["a:1"]);
    }

    #[test]
    fn help_shows_every_flag() {
        for args in [["-h"], ["-help"], ["--help"]] {
            let help = parsed(&args).expect_err("help");
            assert_eq!(help.exit_code(), 0);
            let text = help.to_string();
            assert!(
                text.contains("--brokers <HOST:PORT,...>") && text.contains("--framework <NAME>"),
                "{text}"
            );
        }
        assert_eq!(parsed(&["--version"]).expect_err("version").exit_code(), 0);
    }

    #[test]
    fn brokers_are_read_as_the_collector_reads_them() {
        let brokers = good(&["-brokers", "a, b:1,[::1],,A:9092"]).brokers;
        assert_eq!(brokers.list, ["a:9092", "b:1", "[::1]:9092"]);
        assert_eq!(brokers.passed_over.len(), 2, "{brokers:?}");
    }
}
