//! What the consumer has read, counted: records by topic, and what the headers say is missing or came twice.

use std::collections::BTreeMap;
use std::ops::Range;

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
    next: u64,
    /// What is missing below `next`. A message that the broker refused comes late, in parts.
    gaps: Vec<Range<u64>>,
}

impl TopicTally {
    /// Records that the numbers say should have come.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.end - gap.start).sum()
    }

    /// Notes that the records with these numbers have come, and says how many of them are new.
    fn take(&mut self, numbers: Range<u64>) -> u64 {
        if numbers.start > self.next {
            self.gaps.push(self.next..numbers.start);
        }
        let mut new = numbers.end.saturating_sub(numbers.start.max(self.next));
        self.next = self.next.max(numbers.end);
        let mut left = Vec::new();
        for gap in self.gaps.drain(..) {
            let before = gap.start..gap.end.min(numbers.start);
            let behind = gap.start.max(numbers.end)..gap.end;
            let parts = [before, behind].into_iter().filter(|part| !part.is_empty());
            new += gap.end - gap.start;
            for part in parts {
                new -= part.end - part.start;
                left.push(part);
            }
        }
        self.gaps = left;
        new
    }
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
    /// Notes a message of `records` records.
    pub fn note(&mut self, topic: &str, span: Option<Span>, records: u64) {
        let tally = self.topics.entry(topic.to_owned()).or_default();
        if let Some(span) = span {
            if span.records != records {
                self.unreadable += 1;
                return;
            }
            let new = tally.take(span.first..span.first.saturating_add(span.records));
            if new == 0 {
                tally.repeats += 1;
                return;
            }
            tally.records += new;
        } else {
            tally.records += records;
        }
        tally.messages += 1;
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
        let a = tally.topic("m-a");
        assert_eq!((a.messages, a.records, a.repeats, a.missing()), (3, 6, 1, 2));
        assert_eq!((tally.records("m-"), tally.records(""), tally.unreadable), (10, 11, 0));
        assert_eq!(tally.topic("m-c"), TopicTally::default());
    }

    #[test]
    fn what_comes_late_fills_its_gap() {
        let mut tally = Tally::default();
        let mut missing_after = |first, records| {
            tally.note("t", Some(Span { first, records }), records);
            (tally.topic("t").missing(), tally.topic("t").records)
        };
        // The second of three was refused; its halves come behind the third, the first of them twice.
        let expected =
            [((0, 4), (0, 4)), ((12, 4), (8, 8)), ((4, 4), (4, 12)), ((4, 4), (4, 12)), ((8, 4), (0, 16))];
        for ((first, records), expected) in expected {
            assert_eq!(missing_after(first, records), expected, "{first}");
        }
        assert_eq!(missing_after(14, 4), (0, 18), "half of it had come");
    }

    #[test]
    fn a_message_that_holds_other_than_it_says_is_not_counted() {
        let mut tally = Tally::default();
        tally.note("t", Some(Span { first: 0, records: 3 }), 2);
        assert_eq!((tally.records(""), tally.unreadable), (0, 1));
    }
}
