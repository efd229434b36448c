//! What the consumer has read, counted: records by topic, and what the headers say is missing or came twice.

use std::collections::BTreeMap;

/// The numbers of a message's records within their topic, from its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of the first record.
    pub first: u64,
    /// How many records.
    pub records: u64,
}

/// What came in one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicTally {
    /// Messages, repeated ones left out.
    pub messages: u64,
    /// Records, repeated ones left out.
    pub records: u64,
    /// Messages that had come before.
    pub repeats: u64,
    /// Records that the numbers say should have come.
    pub missing: u64,
    next: u64,
}

/// What came in all topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By Kafka topic.
    pub topics: BTreeMap<String, TopicTally>,
    /// Messages that could not be read, or did not hold what their headers say.
    pub unreadable: u64,
}

impl Tally {
    /// Notes a message of `records` records. Messages of one topic come in order, as they have one key.
    pub fn note(&mut self, topic: &str, span: Option<Span>, records: u64) {
        let tally = self.topics.entry(topic.to_owned()).or_default();
        if let Some(span) = span {
            if span.records != records {
                self.unreadable += 1;
                return;
            }
            if span.first < tally.next {
                tally.repeats += 1;
                return;
            }
            tally.missing += span.first - tally.next;
            tally.next = span.first.saturating_add(span.records);
        }
        tally.messages += 1;
        tally.records += records;
    }

    /// Of one topic; nothing where nothing came.
    #[must_use]
    pub fn topic(&self, topic: &str) -> TopicTally {
        self.topics.get(topic).cloned().unwrap_or_default()
    }

    /// Records of all topics that begin with `prefix`.
    #[must_use]
    pub fn records(&self, prefix: &str) -> u64 {
        self.topics.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, tally)| tally.records).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_and_gaps_are_seen_by_the_numbers() {
        let mut tally = Tally::default();
        for (first, records) in [(0, 3), (3, 2), (3, 2), (7, 1)] {
            tally.note("m-a", Some(Span { first, records }), records);
        }
        tally.note("m-b", None, 4);
        tally.note("other", None, 1);
        let expected = TopicTally { messages: 3, records: 6, repeats: 1, missing: 2, next: 8 };
        assert_eq!(tally.topic("m-a"), expected);
        assert_eq!((tally.records("m-"), tally.records(""), tally.unreadable), (10, 11, 0));
        assert_eq!(tally.topic("m-c"), TopicTally::default());
    }

    #[test]
    fn a_message_that_holds_other_than_it_says_is_not_counted() {
        let mut tally = Tally::default();
        tally.note("t", Some(Span { first: 0, records: 3 }), 2);
        assert_eq!((tally.records(""), tally.unreadable), (0, 1));
    }
}
