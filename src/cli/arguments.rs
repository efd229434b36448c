//! Go's single-dash flags as GNU's.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::config::{Key, Kind};

/// Writes `-kafka-brokers` as `--kafka-brokers`, with or without a value behind `=`. One-letter flags, what is the value
/// of the flag before it, and all that follows `--` stay as they are. The first of `arguments` is the program's name.
///
/// # Errors
/// A hint for the one thing that neither Go nor we understand and that people write: `-kafka false`.
pub(super) fn normalise(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, String> {
    let mut arguments = arguments.into_iter();
    let mut normal: Vec<OsString> = arguments.next().into_iter().collect();
    // The key whose flag stands last, without a value.
    let mut open: Option<&'static Key> = None;
    while let Some(argument) = arguments.next() {
        match open.take() {
            Some(key) if !matches!(key.kind, Kind::Bool) => {
                normal.push(argument);
                continue;
            }
            Some(Key { name, .. })
                if ["true", "false"].iter().any(|word| argument.eq_ignore_ascii_case(word)) =>
            {
                return Err(format!("the value of a switch follows \"=\": --{name}={}", argument.display()));
            }
            _ => {}
        }
        if argument == "--" {
            normal.push(argument);
            normal.extend(arguments);
            break;
        }
        let argument = if is_single_dash(&argument) { with_second_dash(&argument) } else { argument };
        open = open_key(&argument);
        normal.push(argument);
    }
    Ok(normal)
}

/// Whether it is a dash and a name of two letters or more.
fn is_single_dash(argument: &OsStr) -> bool {
    let Some(name) = argument.as_bytes().strip_prefix(b"-") else { return false };
    let name = name.split(|byte| *byte == b'=').next().unwrap_or_default();
    name.len() > 1 && name[0].is_ascii_alphabetic()
}

fn with_second_dash(argument: &OsStr) -> OsString {
    OsString::from_vec([b"-", argument.as_bytes()].concat())
}

/// The key whose flag `argument` is, without a value.
fn open_key(argument: &OsStr) -> Option<&'static Key> {
    Key::find(argument.to_str()?.strip_prefix("--")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &str, expected: Result<&str, &str>) {
        let given = std::iter::once("program").chain(arguments.split_whitespace()).map(OsString::from);
        let got = normalise(given)
            .map(|normal| normal[1..].iter().map(|a| a.to_str().unwrap()).collect::<Vec<_>>().join(" "));
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
            (got, expected) => panic!("{arguments}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn single_dashes_are_doubled() {
        for (arguments, expected) in [
            ("-kafka-brokers=a:1", "--kafka-brokers=a:1"),
            ("-kafka-brokers a:1", "--kafka-brokers a:1"),
            ("-kafka", "--kafka"),
            ("-kafka=false", "--kafka=false"),
            ("--kafka=false", "--kafka=false"),
            ("-h -V", "-h -V"),
            ("-x=1", "-x=1"),
            ("check-config -log-level=debug", "check-config --log-level=debug"),
            ("-- -kafka", "-- -kafka"),
            ("-1 -", "-1 -"),
            ("-agent-id -id -kafka", "--agent-id -id --kafka"),
            ("--agent-id -kafka false", "--agent-id -kafka false"),
            ("--agent-id=x -kafka", "--agent-id=x --kafka"),
            ("--agent-id -- -kafka", "--agent-id -- --kafka"),
        ] {
            check(arguments, Ok(expected));
        }
    }

    #[test]
    fn a_switch_with_its_value_apart_gets_a_hint() {
        check("-kafka false", Err("--kafka=false"));
        check("--record-input-log True", Err("--record-input-log=True"));
        check("--agent-id true", Ok("--agent-id true"));
        check("--kafka check-config", Ok("--kafka check-config"));
    }

    #[test]
    fn bytes_that_are_no_text_pass() {
        let argument = OsString::from_vec(b"-agent-id=\xff".to_vec());
        let normal = normalise(["program".into(), argument]).unwrap();
        assert_eq!(normal[1].as_bytes(), b"--agent-id=\xff");
    }
}
