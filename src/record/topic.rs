//! Topics as senders name them, and topics as Kafka allows them.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Longest legal Kafka topic name, in bytes (`org.apache.kafka.common.internals.Topic.MAX_NAME_LENGTH`).
pub const TOPIC_LENGTH_MAX: usize = 249;

/// The `topic` field of a record, as its sender wrote it: any bytes, also none. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordTopic(Arc<[u8]>);

impl RecordTopic {
    /// A topic of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> RecordTopic {
        RecordTopic(bytes.into())
    }

    /// The bytes as sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for RecordTopic {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for RecordTopic {
    /// Text for people: bytes that are no printable ASCII are escaped, and a long name is cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let shown = &self.0[..self.0.len().min(SHOWN)];
        write!(f, "{}", shown.escape_ascii())?;
        if self.0.len() > SHOWN { write!(f, "... ({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

impl fmt::Debug for RecordTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordTopic({self})")
    }
}

/// A legal Kafka topic name: 1 to 249 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`
/// (`org.apache.kafka.common.internals.Topic.validate`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why a name cannot be a Kafka topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTopic {
    #[error("the name is empty, \".\" or \"..\"")]
    /// It is empty, `.` or `..`.
    Reserved,
    #[error("the name is longer than {TOPIC_LENGTH_MAX} bytes")]
    /// It is longer than 249 bytes.
    TooLong,
    #[error("the name has a character that is none of a-z A-Z 0-9 . _ -")]
    /// It has a character that is not allowed.
    Character,
}

impl TopicName {
    /// Checks `name`.
    ///
    /// # Errors
    /// [`IllegalTopic`] names the rule that the name breaks.
    pub fn parse(name: &[u8]) -> Result<TopicName, IllegalTopic> {
        if name.is_empty() || name == b"." || name == b".." {
            return Err(IllegalTopic::Reserved);
        }
        if name.len() > TOPIC_LENGTH_MAX {
            return Err(IllegalTopic::TooLong);
        }
        let legal = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        match std::str::from_utf8(name) {
            Ok(text) if name.iter().all(legal) => Ok(TopicName(text.into())),
            _ => Err(IllegalTopic::Character),
        }
    }

    /// The Kafka topic of a record: `prefix` and the record's own topic.
    ///
    /// # Errors
    /// [`IllegalTopic`] where the whole is no legal name.
    pub fn with_prefix(prefix: &str, topic: &RecordTopic) -> Result<TopicName, IllegalTopic> {
        let whole = [prefix.as_bytes(), topic.as_bytes()].concat();
        TopicName::parse(&whole)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_by_kafkas_rules() {
        use IllegalTopic::{Character, Reserved, TooLong};
        let long = "x".repeat(249);
        let cases: &[(&[u8], Option<IllegalTopic>)] = &[
            (b"metrics-agent", None),
            (b"a.b_C-9", None),
            (b"...", None),
            (long.as_bytes(), None),
            (b"", Some(Reserved)),
            (b".", Some(Reserved)),
            (b"..", Some(Reserved)),
            (b"a/b", Some(Character)),
            (b"a b", Some(Character)),
            (b"a\0", Some(Character)),
            ("\u{e9}".as_bytes(), Some(Character)),
            (b"\xff\xfe", Some(Character)),
        ];
        for (name, expected) in cases {
            assert_eq!(TopicName::parse(name).err(), *expected, "{}", name.escape_ascii());
        }
        assert_eq!(TopicName::parse("x".repeat(250).as_bytes()), Err(TooLong));
    }

    #[test]
    fn the_prefix_counts_for_the_length() {
        let topic = RecordTopic::new("x".repeat(242).as_bytes());
        assert_eq!(TopicName::with_prefix("metrics-", &topic), Err(IllegalTopic::TooLong));
        let topic = RecordTopic::new("x".repeat(241).as_bytes());
        assert_eq!(TopicName::with_prefix("metrics-", &topic).map(|name| name.as_str().len()), Ok(249));
    }

    #[test]
    fn hostile_topics_are_shown_escaped_and_cut() {
        assert_eq!(RecordTopic::new(b"a\n\xffb").to_string(), r"a\n\xffb");
        assert_eq!(RecordTopic::new(&[b'x'; 70]).to_string(), format!("{}... (70 bytes)", "x".repeat(64)));
    }
}
