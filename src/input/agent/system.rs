//! `/metrics/snapshot`: a flat object of numbers becomes one record.

use super::Records;
use crate::dcos::agent::Skipped;
use crate::dcos::cut::{Sink, Step, Want};
use crate::record::{Datapoint, MetricList};

/// What stands before each name.
const PREFIX: &str = "dcos.metrics.agent.";

/// Most numbers that are kept; an agent has some hundreds.
const DATAPOINTS_MAX: usize = 10_000;

/// Reads the answer.
pub(super) struct System {
    record: MetricList,
    time_ms: i64,
    not_numbers: u64,
    too_many: u64,
    is_array: bool,
    ended: bool,
}

impl System {
    pub(super) fn new(topic: Vec<u8>, time_ms: i64) -> System {
        let record = MetricList { topic, ..MetricList::default() };
        System { record, time_ms, not_numbers: 0, too_many: 0, is_array: false, ended: false }
    }
}

impl Sink for System {
    fn want(&mut self, path: &[Step]) -> Want {
        self.is_array |= path == [Step::Item];
        match path {
            [] => Want::Enter,
            [Step::Member(_)] => Want::Take,
            _ => Want::Skip,
        }
    }

    fn take(&mut self, path: &[Step], piece: Option<&[u8]>) {
        let [Step::Member(key)] = path else { return };
        // As it is written, with slashes escaped.
        let key = format!("\"{}\"", String::from_utf8_lossy(key));
        let name = serde_json::from_str::<String>(&key);
        let value = piece.and_then(|piece| serde_json::from_slice::<f64>(piece).ok());
        let (Ok(name), Some(value)) = (name, value) else {
            self.not_numbers += 1;
            return;
        };
        if self.record.datapoints.len() >= DATAPOINTS_MAX {
            self.too_many += 1;
            return;
        }
        let name = format!("{PREFIX}{}", name.replace('/', ".")).into_bytes();
        self.record.datapoints.push(Datapoint { name, time_ms: self.time_ms, value });
    }

    fn left(&mut self, _: &[Step]) {
        self.ended = true;
    }
}

impl Records for System {
    /// The record, once it is whole.
    fn records(&mut self) -> Vec<MetricList> {
        if !self.ended || self.record.datapoints.is_empty() {
            return Vec::new();
        }
        vec![std::mem::take(&mut self.record)]
    }

    fn skipped(&mut self) -> Vec<(Skipped, u64)> {
        let skipped = [(Skipped::NotANumber, &mut self.not_numbers), (Skipped::TooMany, &mut self.too_many)];
        skipped.into_iter().map(|(reason, things)| (reason, std::mem::take(things))).collect()
    }

    fn is_sound(&self) -> bool {
        self.ended && !self.is_array
    }
}
