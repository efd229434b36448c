//! From the text of a value to the value, by the kind of its key.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::address::{parse_dns_server, parse_endpoint};
use super::fault::nearest;
use super::keys::{Key, Kind};
use super::partners;
use super::secret_file;
use super::units::{format_size, format_time, parse_bool, parse_size, parse_time};
use crate::dcos::BaseUrl;
use crate::dcos::discovery::FrameworkName;
use crate::output::partner::Target;
use crate::record::{Brokers, TOPIC_LENGTH_MAX, TopicName, parse_brokers};
use crate::telemetry::check_filter;

/// What is expected where that stands in place of a secret.
const NOT_HIDDEN: &str = "expected the secret itself, not what print-config shows in its place";

/// What is shown in place of a secret.
pub(super) const HIDDEN: &str = "<hidden>";

/// Longest token or service account; the largest of the latter have a key of some kilobytes.
const TOKEN_BYTES_MAX: usize = 8 << 10;
const ACCOUNT_BYTES_MAX: usize = 64 << 10;

/// Longest text, so that what ends up in tags and headers stays small.
const TEXT_BYTES_MAX: usize = 1024;

/// A value as a source has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    One(String),
    /// Several flags, or a list in the file.
    Many(Vec<String>),
}

/// A value that fits its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    Integer(u64),
    Size(u64),
    Time(Duration),
    Milliseconds(Duration),
    Text(String),
    Endpoint(SocketAddr),
    /// The list, and `@file` where it was read from one.
    Brokers(Brokers, Option<String>),
    Pairs(Vec<(String, String)>),
    Partners(Vec<Target>),
}

/// Why a value does not fit. Its texts never hold the value of a secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Misfit {
    /// What of a value with parts does not fit; none: the value.
    pub part: Option<Part>,
    pub expected: String,
    pub nearest: Option<String>,
}

/// A part of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// What follows the key's name to mean it.
    pub place: String,
    /// It, where it is a text.
    pub value: Option<String>,
}

impl Raw {
    /// The value as it was written, for a fault; hidden where it is or may be a secret.
    pub(super) fn shown(&self, key: &Key) -> String {
        let parts = match self {
            Raw::One(text) => std::slice::from_ref(text),
            Raw::Many(texts) => texts,
        };
        if key.secret {
            return HIDDEN.to_owned();
        }
        if matches!(key.kind, Kind::Properties) {
            return shown_properties(parts);
        }
        parts.join(",")
    }
}

impl Value {
    /// The default of a key, if it has one.
    pub(super) fn default_of(key: &Key) -> Option<Value> {
        let value = Value::parse(key, &Raw::One(key.default?.to_owned()));
        Some(value.ok().flatten().expect("every default of the table fits its key"))
    }

    /// The value as text, with every secret in it: for comparing, never for showing.
    pub(super) fn exact(&self) -> String {
        match self {
            Value::Pairs(pairs) => {
                pairs.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<Vec<_>>().concat()
            }
            other => other.json().to_string(),
        }
    }

    /// The value in JSON for who may see it: what is or may be a secret is hidden.
    pub(super) fn shown(&self, key: &Key) -> Json {
        if key.secret { json!(HIDDEN) } else { self.json() }
    }

    /// Reads `raw`. `Ok(None)`: an empty text, which makes a key without default not set.
    ///
    /// # Errors
    /// All that does not fit.
    pub(super) fn parse(key: &Key, raw: &Raw) -> Result<Option<Value>, Vec<Misfit>> {
        match (key.kind, raw) {
            (Kind::Partners, Raw::One(text)) if !text.is_empty() => {
                partners::parse(text).map(|targets| Some(Value::Partners(targets)))
            }
            _ => Value::parse_one(key, raw).map_err(|misfit| vec![misfit]),
        }
    }

    fn parse_one(key: &Key, raw: &Raw) -> Result<Option<Value>, Misfit> {
        let joined;
        let text = match raw {
            Raw::One(text) => text,
            Raw::Many(texts) if matches!(key.kind, Kind::Properties) => {
                let nothing = texts.iter().all(String::is_empty);
                return if nothing { Ok(None) } else { parse_properties(texts).map(Some) };
            }
            Raw::Many(texts) => {
                joined = texts.join(",");
                &joined
            }
        };
        if text.is_empty() && key.default.is_none() {
            return Ok(None);
        }
        if key.secret && text == HIDDEN {
            return misfit(NOT_HIDDEN);
        }
        parse_text(&key.kind, text).map(Some)
    }

    /// The value in JSON. TOML's strings, numbers and lists of strings look the same.
    pub(super) fn json(&self) -> Json {
        match self {
            Value::Bool(value) => json!(value),
            Value::Integer(value) => json!(value),
            Value::Size(bytes) => json!(format_size(*bytes)),
            Value::Time(time) => json!(format_time(*time)),
            Value::Milliseconds(time) => json!(time.as_millis() as u64),
            Value::Text(text) => json!(text),
            Value::Endpoint(address) => json!(address.to_string()),
            Value::Brokers(_, Some(file)) => json!(file),
            Value::Brokers(brokers, None) => json!(brokers.list.join(",")),
            Value::Pairs(pairs) => pairs
                .iter()
                .map(|(name, value)| json!(format!("{name}={}", shown_value(name, value))))
                .collect(),
            Value::Partners(targets) => partners::to_json(targets),
        }
    }
}

/// The value of a librdkafka property, hidden where it may be secret.
pub(super) fn shown_value<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name, value) { HIDDEN } else { value }
}

/// Whether the value of a librdkafka property may be secret: by its name, or because whoever wrote it took the value
/// for a list with further properties in it.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    is_secret_property(name) || value.contains('=') && is_secret_property(value)
}

/// Whether a librdkafka property may hold a secret: passwords, client secrets, keys in PEM, SASL OAUTHBEARER's
/// free text, and what Java's clients call such. In any case of letters, since a misspelt name has a secret behind it
/// all the same.
pub(super) fn is_secret_property(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "token", "pem", "oauthbearer.config", "assertion", "credential", "jaas"]
        .iter()
        .any(|part| name.contains(part))
}

/// The properties, hidden from the first secret on: what stands behind it may be the rest of it. Of a text without
/// `=` nobody knows what it is.
fn shown_properties(texts: &[String]) -> String {
    let mut after_secret = false;
    let mut shown = |text: &String| match text.split_once('=') {
        Some((name, value)) if !after_secret => {
            after_secret = is_secret(name, value);
            format!("{name}={}", shown_value(name, value))
        }
        _ => HIDDEN.to_owned(),
    };
    texts.iter().map(&mut shown).collect::<Vec<_>>().join(",")
}

fn misfit<T>(expected: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { expected: expected.into(), ..Misfit::default() })
}

fn parse_text(kind: &Kind, text: &str) -> Result<Value, Misfit> {
    match kind {
        Kind::Bool => match parse_bool(text) {
            Some(value) => Ok(Value::Bool(value)),
            None => misfit("expected true or false"),
        },
        Kind::Integer { min, max } => match whole_number(text) {
            Some(value) if (*min..=*max).contains(&value) => Ok(Value::Integer(value)),
            _ => misfit(format!("expected a whole number from {min} to {max}")),
        },
        Kind::Size { min, max } => match parse_size(text) {
            Some(bytes) if (*min..=*max).contains(&bytes) => Ok(Value::Size(bytes)),
            _ => misfit(format!(
                "expected a size from {} to {}, in bytes or with KiB, MiB or GiB",
                format_size(*min),
                format_size(*max)
            )),
        },
        Kind::Time { min, max } => match parse_time(text) {
            Some(time) if (*min..=*max).contains(&time) => Ok(Value::Time(time)),
            _ => misfit(format!(
                "expected a time from {} to {}, with its unit: ms, s, m or h",
                format_time(*min),
                format_time(*max)
            )),
        },
        Kind::Milliseconds { min, max } => {
            let bare = whole_number(text.trim()).map(Duration::from_millis);
            match bare.or_else(|| parse_time(text)) {
                Some(time) if (*min..=*max).contains(&time) => Ok(Value::Milliseconds(time)),
                _ => misfit(format!(
                    "expected milliseconds from {} to {}, or a time with its unit: ms, s, m or h",
                    min.as_millis(),
                    max.as_millis()
                )),
            }
        }
        Kind::Seconds { min, max } => {
            let bare = whole_number(text.trim()).map(Duration::from_secs);
            match bare.or_else(|| parse_time(text)) {
                Some(time) if (*min..=*max).contains(&time) => Ok(Value::Time(time)),
                _ => misfit(format!(
                    "expected seconds from {} to {}, or a time with its unit: ms, s, m or h",
                    min.as_secs_f64(),
                    max.as_secs()
                )),
            }
        }
        Kind::Choice(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
            Some(word) => Ok(Value::Text((*word).to_owned())),
            None => {
                Err(Misfit { expected: one_of(words), nearest: nearest(text, *words), ..Misfit::default() })
            }
        },
        Kind::Text => match text {
            _ if text.len() > TEXT_BYTES_MAX => misfit(format!("expected at most {TEXT_BYTES_MAX} bytes")),
            _ if text.chars().any(char::is_control) => misfit("expected no control characters"),
            _ => Ok(Value::Text(text.to_owned())),
        },
        Kind::Token if text.len() <= TOKEN_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Value::Text(text.to_owned()))
        }
        Kind::Token => {
            misfit(format!("expected at most {TOKEN_BYTES_MAX} visible ASCII characters, no blanks"))
        }
        Kind::Account if text.len() > ACCOUNT_BYTES_MAX || text.contains('\0') => {
            misfit(format!("expected JSON or a path, at most {ACCOUNT_BYTES_MAX} bytes"))
        }
        Kind::LogFilter => match check_filter(text) {
            Ok(()) => Ok(Value::Text(text.to_owned())),
            Err(expected) => misfit(expected),
        },
        Kind::Path | Kind::File if text.contains('\0') => misfit("expected a path"),
        Kind::Path | Kind::File | Kind::Account => Ok(Value::Text(text.to_owned())),
        Kind::Endpoint => match parse_endpoint(text) {
            Some(address) => Ok(Value::Endpoint(address)),
            None => {
                misfit("expected address:port with an IP address or localhost, or :port for all addresses")
            }
        },
        Kind::DnsServer => match parse_dns_server(text) {
            Some(address) => Ok(Value::Endpoint(address)),
            None => misfit("expected the IP address of a DNS server, with :port where that is not 53"),
        },
        Kind::Url => match BaseUrl::parse(text) {
            Ok(url) => Ok(Value::Text(url.to_string())),
            Err(why) => misfit(format!("expected an address as http://host:port, but {why}")),
        },
        Kind::Framework => match FrameworkName::parse(text) {
            Ok(name) => Ok(Value::Text(name.to_string())),
            Err(why) => misfit(format!("expected the name of a framework as kafka or prod/kafka, but {why}")),
        },
        Kind::Brokers => parse_broker_list(text),
        Kind::TopicName => match TopicName::parse(text.as_bytes()) {
            Ok(_) => Ok(Value::Text(text.to_owned())),
            Err(reason) => misfit(format!("expected a legal Kafka topic name, but {reason}")),
        },
        Kind::TopicPrefix => parse_prefix(text),
        Kind::Properties => parse_properties(&[text.to_owned()]),
        Kind::Partners => misfit("expected a list of partners"),
    }
}

/// Digits only: parsing would take a plus sign as well.
fn whole_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// The file that a text of brokers names instead.
pub(super) fn file_of_brokers(text: &str) -> Option<&str> {
    text.trim().strip_prefix('@')
}

/// A list, or `@` and the file with one: between commas, or on lines of their own.
fn parse_broker_list(text: &str) -> Result<Value, Misfit> {
    let file = file_of_brokers(text);
    let (list, place) = match file.map(|path| secret_file::read_lines(Path::new(path))) {
        None => (text.to_owned(), ""),
        Some(Ok(lines)) => (lines.join(","), " in the file"),
        Some(Err(why)) => {
            return misfit(format!("expected a readable file with brokers after \"@\", but {why}"));
        }
    };
    match parse_brokers(&list) {
        Ok(brokers) if brokers.list.is_empty() => misfit(format!("expected host:port between commas{place}")),
        Ok(brokers) => Ok(Value::Brokers(brokers, file.map(|path| format!("@{path}")))),
        Err(expected) => misfit(format!("{expected}{place}")),
    }
}

/// A prefix is good if some topic can follow it.
fn parse_prefix(text: &str) -> Result<Value, Misfit> {
    match TopicName::parse(format!("{text}x").as_bytes()) {
        Ok(_) => Ok(Value::Text(text.to_owned())),
        Err(_) => misfit(format!(
            "expected at most {} of a-z A-Z 0-9 . _ -, as a Kafka topic name begins",
            TOPIC_LENGTH_MAX - 1
        )),
    }
}

/// All of the list, or all that is wrong with it.
fn parse_properties(texts: &[String]) -> Result<Value, Misfit> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    for text in texts {
        match parse_property(text) {
            Ok((name, _)) if pairs.iter().any(|(known, _)| *known == name) => {
                reasons.push(format!("expected each property once, but \"{name}\" stands there twice"));
            }
            Ok(pair) => pairs.push(pair),
            Err(reason) => reasons.push(reason),
        }
    }
    reasons.dedup();
    if reasons.is_empty() { Ok(Value::Pairs(pairs)) } else { misfit(reasons.join("; ")) }
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
    let (name, value) = text
        .split_once('=')
        .ok_or("expected name=value; a value with a comma in it needs the flag or a list in the file")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || !name.chars().all(legal) {
        return Err("expected the name of a librdkafka property before \"=\": a-z 0-9 . _".to_owned());
    }
    if value.chars().any(char::is_control) {
        return Err(format!("expected no control characters in the value of \"{name}\""));
    }
    if value == HIDDEN {
        return Err(format!("{NOT_HIDDEN}, for \"{name}\""));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// `expected a, b or c`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("expected {} or {last}", first.join(", ")),
        _ => format!("expected {}", words.join("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value, or the first thing that is wrong with it.
    fn parse(name: &str, text: &str) -> Result<Option<Value>, Misfit> {
        let parsed = Value::parse(Key::find(name).expect(name), &Raw::One(text.to_owned()));
        parsed.map_err(|misfits| misfits.into_iter().next().unwrap())
    }

    #[test]
    fn every_default_fits_its_key() {
        for key in Key::all() {
            if let Some(default) = key.default {
                let value = Value::parse(key, &Raw::One(default.to_owned()));
                assert!(matches!(value, Ok(Some(_))), "{}: {value:?}", key.name);
            }
        }
    }

    #[test]
    fn values_that_fit() {
        for (name, text, expected) in [
            ("kafka", "T", Value::Bool(true)),
            ("kafka-produce-count", "1", Value::Integer(1)),
            ("memory-limit", "64M", Value::Size(64 << 20)),
            ("shutdown-grace", "0s", Value::Time(Duration::ZERO)),
            ("kafka-produce-period-ms", "250", Value::Milliseconds(Duration::from_millis(250))),
            ("kafka-produce-period-ms", "15s", Value::Milliseconds(Duration::from_secs(15))),
            ("agent-poll-period", "15", Value::Time(Duration::from_secs(15))),
            ("agent-poll-period", "1m", Value::Time(Duration::from_secs(60))),
            ("kafka-security-protocol", "SASL_SSL", Value::Text("sasl_ssl".into())),
            ("kafka-topic-prefix", "", Value::Text(String::new())),
            ("kafka-framework", "/prod/kafka", Value::Text("prod/kafka".into())),
            ("dns-server", "10.0.0.1", Value::Endpoint(([10, 0, 0, 1], 53).into())),
            ("marathon-url", "http://m:1/", Value::Text("http://m:1".into())),
            ("kafka-property", "a.b=c=d,e", Value::Pairs(vec![("a.b".into(), "c=d,e".into())])),
        ] {
            assert_eq!(parse(name, text), Ok(Some(expected)), "{name} {text}");
        }
    }

    #[test]
    fn brokers_are_read_from_a_file_of_lines_or_a_list() {
        for (content, expected) in [
            ("a:1,b:2", Ok("a:1 b:2")),
            ("a:1\n  b\r\n\nc:3,\n", Ok("a:1 b:9092 c:3")),
            ("", Err("expected host:port between commas in the file")),
            (
                "a:1\nb:x\n",
                Err("expected host:port between commas, but \"b:x\" has no port from 1 to 65535 in the file"),
            ),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), content).unwrap();
            let written = format!("@{}", file.path().display());
            match (parse("kafka-brokers", &written), expected) {
                (Ok(Some(value)), Ok(expected)) => {
                    assert_eq!(value.json(), json!(written), "it is shown as it was written");
                    let Value::Brokers(brokers, _) = value else { panic!("{value:?}") };
                    assert_eq!(
                        (brokers.list.join(" ").as_str(), brokers.passed_over),
                        (expected, Vec::new())
                    );
                }
                (Err(misfit), Err(expected)) => assert_eq!(misfit.expected, expected),
                (got, _) => panic!("{content:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn an_empty_text_unsets_a_key_without_default() {
        for name in
            ["agent-id", "kafka-single-topic", "kafka-brokers", "http-token", "kafka-ssl-ca", "partners"]
        {
            assert_eq!(parse(name, ""), Ok(None), "{name}");
        }
    }

    #[test]
    fn values_that_do_not_fit_are_told_what_was_expected() {
        for (name, text, expected) in [
            ("kafka", "yes", "true or false"),
            ("kafka", "", "true or false"),
            ("kafka-produce-count", "0", "from 1 to"),
            ("kafka-produce-count", "-1", "whole number"),
            ("kafka-produce-count", "+1", "whole number"),
            ("kafka-produce-count", "99999999999999999999", "whole number"),
            ("memory-limit", "1k", "from 16MiB"),
            ("shutdown-grace", "10", "with its unit"),
            ("kafka-produce-period-ms", "0", "milliseconds from 1"),
            ("kafka-produce-period-ms", "+5", "milliseconds from 1"),
            ("agent-poll-period", "0", "seconds from 1"),
            ("log-format", "xml", "text or json"),
            ("log-level", "inof", "level"),
            ("agent-id", "a\nb", "control"),
            ("http-token", "a b", "no blanks"),
            ("listen-endpoint", "8124", "address:port"),
            ("kafka-brokers", "a:0", "port from 1"),
            ("kafka-brokers", "@/nowhere/brokers", "but No such file"),
            ("kafka-brokers", "@/", "no regular file"),
            ("kafka-framework", "a//b", "as kafka or prod/kafka, but it has an empty folder"),
            ("kafka-discovery", "dns", "auto, dns-srv"),
            ("kafka-discovery-period", "0s", "from 1s"),
            ("dns-server", "dns.example:53", "IP address of a DNS server"),
            ("marathon-url", "marathon.mesos:8080", "as http://host:port, but it has another protocol"),
            ("kafka-single-topic", "a/b", "legal Kafka topic"),
            ("kafka-topic-prefix", "a b", "as a Kafka topic name begins"),
            ("kafka-property", "linger.ms", "name=value"),
            ("kafka-property", "=x", "name of a librdkafka property"),
        ] {
            let got = parse(name, text);
            let told = got.as_ref().is_err_and(|misfit| misfit.expected.contains(expected));
            assert!(told, "{name} {text}: {got:?}");
        }
    }

    #[test]
    fn the_nearest_word_is_named() {
        let got = parse("kafka-compression", "snapy").unwrap_err();
        assert_eq!(got.nearest.as_deref(), Some("snappy"));
    }

    #[test]
    fn a_property_twice_is_a_fault() {
        let raw = Raw::Many(vec!["a=1".into(), "a=2".into()]);
        let got = Value::parse(Key::find("kafka-property").unwrap(), &raw);
        assert!(got.is_err_and(|misfits| misfits[0].expected.contains("\"a\" stands there twice")));
    }

    #[test]
    fn secret_properties_are_not_shown() {
        let key = Key::find("kafka-property").unwrap();
        let shown = |texts: &[&str]| Raw::Many(texts.iter().map(|text| (*text).into()).collect()).shown(key);
        assert_eq!(shown(&["linger.ms=5", "sasl.password sesame", "a=b"]), "linger.ms=5,<hidden>,a=b");
        assert_eq!(shown(&["a=b,sasl.password=sesame"]), "a=<hidden>");
        // What follows may be the rest of the secret.
        assert_eq!(shown(&["a=b", "Ssl.Key.Password=x", "a=b"]), "a=b,Ssl.Key.Password=<hidden>,<hidden>");
    }
}
