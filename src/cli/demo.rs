//! The command `demo`: its flags, and the options that they make.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::config::{Fault, Origin, parse_brokers, parse_time};
use crate::demo::Options;

/// The one key that the demonstration takes, so that it may stand in front of the command too.
pub(super) const BROKERS: &str = "kafka-brokers";
const DURATION: &str = "duration";

/// The command with its flags.
pub fn command() -> Command {
    let flag = |name: &'static str, value: &'static str, help: &'static str| {
        let flag = Arg::new(name).long(name).value_name(value).help(help);
        flag.value_parser(value_parser!(OsString)).overrides_with(name)
    };
    Command::new("demo")
        .about("Show it at work: a Kafka, an agent, senders and a consumer, all in one process")
        .arg(flag(
            BROKERS,
            "HOST:PORT,...",
            "Use this Kafka, which must create topics by itself, instead of the one in the process",
        ))
        .arg(flag(DURATION, "TIME", "End after this time, such as 30s, instead of at Ctrl-C"))
}

/// The options that the flags of [`command`] make, and what of them was passed over, a line each. `before` is a
/// [`BROKERS`] in front of the command, which one behind it overrides.
///
/// # Errors
/// Every bad value.
pub(super) fn options(
    matches: Option<&ArgMatches>,
    before: Option<&OsString>,
) -> Result<(Options, Vec<String>), Vec<Fault>> {
    let given = |name| matches.and_then(|matches| matches.get_one::<OsString>(name));
    let mut faults = Vec::new();
    let brokers = |text: &str| match parse_brokers(text)? {
        brokers if brokers.list.is_empty() => Err("expected host:port between commas".to_owned()),
        brokers => Ok(brokers),
    };
    let brokers = value(BROKERS, given(BROKERS).or(before), brokers, &mut faults);
    let time = |text: &str| {
        let time = parse_time(text).filter(|time| !time.is_zero());
        time.ok_or_else(|| "expected a time of more than 0 with its unit: ms, s, m or h".to_owned())
    };
    let duration = value(DURATION, given(DURATION), time, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let (list, passed_over) = brokers.map(|brokers| (brokers.list, brokers.passed_over)).unzip();
    Ok((Options { kafka_brokers: list, duration }, passed_over.unwrap_or_default()))
}

/// The value of a flag, if it is given and `parse` takes it.
fn value<T>(
    name: &'static str,
    written: Option<&OsString>,
    parse: impl Fn(&str) -> Result<T, String>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let written = written?;
    let parsed = written.to_str().ok_or_else(|| "expected UTF-8 text".to_owned()).and_then(parse);
    let fault = |expected| Fault {
        origin: Origin::Flag(name),
        key: name.to_owned(),
        value: Some(written.display().to_string()),
        expected,
        nearest: None,
    };
    parsed.map_err(|expected| faults.push(fault(expected))).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Options, Vec<Fault>> {
        let matches = command().try_get_matches_from(std::iter::once(&"demo").chain(arguments)).unwrap();
        options(Some(&matches), None).map(|(options, _)| options)
    }

    #[test]
    fn nothing_need_be_given() {
        assert_eq!(parsed(&[]), Ok(Options::default()));
    }

    #[test]
    fn brokers_and_duration() {
        let expected =
            Options { kafka_brokers: Some(vec!["a:9092".into()]), duration: Some(Duration::from_secs(30)) };
        assert_eq!(parsed(&["--kafka-brokers=b", "--kafka-brokers=a", "--duration", "30s"]), Ok(expected));
    }

    #[test]
    fn bad_values_are_told_together() {
        let faults = parsed(&["--kafka-brokers=a:x", "--duration=0s"]).unwrap_err();
        let names: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(names, [BROKERS, DURATION]);
    }
}
