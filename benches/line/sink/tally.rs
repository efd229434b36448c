//! What arrived: counted, each numbered datapoint once, and when.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::numbers::Numbers;
use super::{batch, walk};

/// Messages of this topic are bytes, cut anywhere: the pump's.
pub(crate) const RAW_TOPIC: &str = "pump";

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing: counting only.
    #[default]
    Nothing,
    /// This many datapoints, numbered from 0.
    Datapoints(u64),
    /// This many bytes of values.
    Bytes(u64),
}

/// The counts.
#[derive(Default)]
pub(crate) struct Tally {
    target: Target,
    messages: u64,
    bytes: u64,
    records: u64,
    numbers: Numbers,
    /// Messages or batches that could not be read.
    unreadable: u64,
    topics: BTreeMap<Vec<u8>, [u64; 2]>,
    /// When a tenth and when nine tenths had come, and how much exactly: the rate between is free of start and end.
    tenth: Option<(Instant, u64)>,
    nine_tenths: Option<(Instant, u64)>,
    /// Where the compressed is unpacked to; kept for its memory.
    plain: Vec<u8>,
}

impl Tally {
    /// Starts from zero, waiting for `target`.
    pub(crate) fn expect(target: Target) -> Tally {
        let numbers = if let Target::Datapoints(n) = target { n } else { 0 };
        Tally { target, numbers: Numbers::expect(numbers), ..Tally::default() }
    }

    /// Counts what was produced to a topic.
    pub(crate) fn produced(&mut self, topic: &[u8], batches: &[u8]) {
        let mut plain = std::mem::take(&mut self.plain);
        let before = [self.messages, self.numbers.datapoints];
        let raw = topic == RAW_TOPIC.as_bytes();
        let readable = batch::values(batches, &mut plain, |value| {
            self.messages += 1;
            self.bytes += value.len() as u64;
            if !raw {
                let mut run = self.numbers.run();
                let records = walk::ocf(value, &mut |_, datapoint| run.count(datapoint));
                run.end();
                match records {
                    Some(records) => self.records += records,
                    None => self.unreadable += 1,
                }
            }
        });
        self.unreadable += u64::from(readable.is_none());
        self.plain = plain;
        let after = [self.messages, self.numbers.datapoints];
        // Looked up by the bytes, so that a known topic costs no allocation.
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_vec(), [0; 2]);
        }
        if let Some(counts) = self.topics.get_mut(topic) {
            for i in 0..2 {
                counts[i] += after[i] - before[i];
            }
        }
        self.note_progress();
    }

    /// How far it is, and to where.
    pub(crate) fn progress(&self) -> (u64, u64) {
        match self.target {
            Target::Nothing => (self.bytes, u64::MAX),
            Target::Datapoints(n) => (self.numbers.distinct, n),
            Target::Bytes(n) => (self.bytes, n),
        }
    }

    /// All that was waited for is here.
    pub(crate) fn complete(&self) -> bool {
        let (done, all) = self.progress();
        done >= all
    }

    fn note_progress(&mut self) {
        let (done, all) = self.progress();
        if self.tenth.is_none() && done >= all / 10 {
            self.tenth = Some((Instant::now(), done));
        }
        if self.nine_tenths.is_none() && done >= all / 10 * 9 {
            self.nine_tenths = Some((Instant::now(), done));
        }
    }

    /// Share of the target that arrived per second, between the first and the last tenth.
    fn share_per_second(&self) -> f64 {
        let (Some((from, few)), Some((to, many))) = (self.tenth, self.nine_tenths) else { return 0.0 };
        let share = (many - few) as f64 / self.progress().1 as f64;
        share / (to - from).as_secs_f64()
    }

    /// Everything, as one JSON object.
    pub(crate) fn json(&self) -> Value {
        let topics: serde_json::Map<String, Value> = self
            .topics
            .iter()
            .take(100)
            .map(|(topic, [messages, datapoints])| {
                let name = String::from_utf8_lossy(topic).into_owned();
                (name, json!({ "messages": messages, "datapoints": datapoints }))
            })
            .collect();
        json!({
            "complete": self.complete(),
            "messages": self.messages,
            "bytes": self.bytes,
            "records": self.records,
            "datapoints": self.numbers.datapoints,
            "distinct": self.numbers.distinct,
            "repeated": self.numbers.repeated,
            "unnumbered": self.numbers.unnumbered,
            "unreadable": self.unreadable,
            "share_per_second": self.share_per_second(),
            "n_topics": self.topics.len(),
            "topics": topics,
        })
    }
}
