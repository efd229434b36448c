//! What a partner may say before it gets a stream: one line of JSON.

use std::time::Duration;

use serde::Deserialize;

use super::filter::{BadFilter, Filter};
use crate::control::{STREAM_RECORDS_MAX, STREAM_SECONDS_MAX, StreamQuery};
use crate::spool::From;

/// Longest line.
pub(super) const LINE_BYTES_MAX: usize = 32 << 10;

/// Longest name.
pub const NAME_BYTES_MAX: usize = 64;

/// The line as it is written. All of it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    name: Option<String>,
    topics: Vec<String>,
    frameworks: Vec<String>,
    tags: Vec<String>,
    from: Start,
    ack: bool,
    format: Format,
}

/// Where a partner begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the next record that is accepted.
    #[default]
    Now,
    /// With the oldest that is there.
    Oldest,
    /// Behind what it was done with last, or now if that is not known.
    Resume,
}

impl Start {
    /// Every one.
    pub const ALL: [Start; 3] = [Start::Now, Start::Oldest, Start::Resume];

    /// As it is asked for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Start::Now => "now",
            Start::Oldest => "oldest",
            Start::Resume => "resume",
        }
    }

    /// Where in the feed that is for somebody who has no place.
    pub(super) fn without_place(self) -> From {
        match self {
            Start::Oldest => From::Oldest,
            Start::Now | Start::Resume => From::Now,
        }
    }
}

/// What a partner gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Format {
    /// An Avro object container stream.
    #[default]
    #[serde(rename = "ocf")]
    Ocf,
    /// One JSON object a line.
    #[serde(rename = "ndjson")]
    Ndjson,
}

impl Format {
    /// Every one.
    pub const ALL: [Format; 2] = [Format::Ocf, Format::Ndjson];

    /// As it is asked for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Ocf => "ocf",
            Format::Ndjson => "ndjson",
        }
    }
}

/// What a partner asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Under which its place is kept.
    pub name: Option<String>,
    /// What it wants.
    pub filter: Filter,
    /// The globs of that as they were given: of topics, frameworks and tags.
    pub globs: [Vec<String>; 3],
    /// Where it begins.
    pub start: Start,
    /// Whether it says what it is done with.
    pub ack: bool,
    /// In which form.
    pub format: Format,
    /// How much of it; all, where nothing is said.
    pub bounds: Bounds,
}

/// Where a stream ends of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// After so many records.
    pub records: Option<u64>,
    /// After so long.
    pub time: Option<Duration>,
}

/// Why a line is no hello.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadHello {
    /// No JSON, or none of ours.
    #[error("the line is no hello: {0}")]
    Json(#[from] serde_json::Error),
    /// Its filter.
    #[error("the filter is none: {0}")]
    Filter(#[from] BadFilter),
    /// Its name.
    #[error("a name has 1 to {NAME_BYTES_MAX} of a-z A-Z 0-9 . _ -, and is neither . nor ..")]
    Name,
    /// A place is kept under a name.
    #[error("\"from\":\"resume\" needs a name")]
    Nameless,
}

impl Hello {
    /// Reads a line, its end taken off.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(line: &[u8]) -> Result<Hello, BadHello> {
        let Line { name, topics, frameworks, tags, from, ack, format } = serde_json::from_slice(line)?;
        if name.as_ref().is_some_and(|name| !is_name(name)) {
            return Err(BadHello::Name);
        }
        if from == Start::Resume && name.is_none() {
            return Err(BadHello::Nameless);
        }
        let filter = Filter::new(&topics, &frameworks, &tags)?;
        let (globs, bounds) = ([topics, frameworks, tags], Bounds::default());
        Ok(Hello { name, filter, globs, start: from, ack, format, bounds })
    }
}

impl Hello {
    /// What is asked for over HTTP.
    ///
    /// # Errors
    /// In one sentence what is wrong with it.
    pub(super) fn of_query(query: StreamQuery) -> Result<Hello, String> {
        let StreamQuery { topics, frameworks, tags, from, format, limit, seconds } = query;
        let start = match from.as_deref() {
            None | Some("now") => Start::Now,
            Some("oldest") => Start::Oldest,
            Some(_) => return Err("from is now or oldest".to_owned()),
        };
        let format = match format.as_deref() {
            None | Some("ocf") => Format::Ocf,
            Some("ndjson") => Format::Ndjson,
            Some(_) => return Err("format is ocf or ndjson".to_owned()),
        };
        let bounds = Bounds {
            records: limit.as_deref().map(records).transpose()?,
            time: seconds.as_deref().map(time).transpose()?,
        };
        let filter = Filter::new(&topics, &frameworks, &tags).map_err(|error| error.to_string())?;
        Ok(Hello { filter, globs: [topics, frameworks, tags], start, format, bounds, ..Hello::default() })
    }
}

fn records(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..=STREAM_RECORDS_MAX).contains(number));
    number.ok_or_else(|| format!("limit is a number of records, 1 to {STREAM_RECORDS_MAX}"))
}

fn time(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok().filter(|number| (0.0..=f64::from(STREAM_SECONDS_MAX)).contains(number));
    number
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("seconds is a number, 0 to {STREAM_SECONDS_MAX}"))
}

/// Whether a partner may be called so: 1 to [`NAME_BYTES_MAX`] of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`, which a
/// client leaves out of a path before it asks (RFC 3986 §5.2.4).
#[must_use]
pub fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(legal) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_may_be_left_out() {
        assert_eq!(Hello::parse(b"{}").unwrap(), Hello::default());
        let full = br#"{"name":"a.B_1-","topics":["x*"],"frameworks":["f"],"tags":["k=v"],"from":"resume",
            "ack":true,"format":"ndjson"}"#;
        let hello = Hello::parse(full).unwrap();
        assert_eq!((hello.name.as_deref(), hello.start, hello.ack), (Some("a.B_1-"), Start::Resume, true));
        assert!(!hello.filter.wants_all() && hello.format == Format::Ndjson);
    }

    #[test]
    fn a_stream_may_say_where_it_ends() {
        let of = |limit: Option<&str>, seconds: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let query = StreamQuery { limit: text(limit), seconds: text(seconds), ..StreamQuery::default() };
            Hello::of_query(query).map(|hello| (hello.bounds.records, hello.bounds.time))
        };
        assert_eq!(of(None, None), Ok((None, None)));
        assert_eq!(of(Some("7"), Some("0.25")), Ok((Some(7), Some(Duration::from_millis(250)))));
        assert_eq!(of(None, Some("0")), Ok((None, Some(Duration::ZERO))));
        for bad in ["0", "-1", "1.5", "", "x", "1000000001", "99999999999999999999"] {
            assert!(of(Some(bad), None).is_err_and(|why| why.starts_with("limit is")), "{bad}");
        }
        for bad in ["-1", "601", "NaN", "inf", "", "x"] {
            assert!(of(None, Some(bad)).is_err_and(|why| why.starts_with("seconds is")), "{bad}");
        }
    }

    #[test]
    fn what_is_no_hello_is_told_why() {
        for (line, expected) in [
            ("", "EOF"),
            ("hello", "no hello"),
            (r#"{"topic":["x"]}"#, "unknown field `topic`, expected"),
            (r#"{"from":"yesterday"}"#, "expected one of `now`, `oldest`, `resume`"),
            (r#"{"from":"resume"}"#, "needs a name"),
            (r#"{"name":""}"#, "a name has"),
            (r#"{"name":"a b"}"#, "a name has"),
            (r#"{"name":".."}"#, "neither . nor .."),
            (r#"{"tags":["x"]}"#, "key=glob"),
            ("{} {}", "trailing"),
        ] {
            let error = Hello::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
