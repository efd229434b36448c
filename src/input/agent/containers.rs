//! `/containers`: each item becomes a record. So does what `GET_CONTAINERS` says of a nested container.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Records;
use super::flatten::flatten;
use crate::dcos::agent::{CONTAINERS_MAX, Maybe, Skipped, Text, Usage, text_of};
use crate::dcos::cut::{Sink, Step, Want};
use crate::record::{Members, MetricList, Tag, tag_key};

/// Tag of what is nested: consumers that sum up containers leave those with it out, as it counts for its parent too.
const PARENT_CONTAINER_ID: &str = "parent_container_id";

/// Reads the answer.
pub(super) struct Containers {
    /// For containers whose statistics have no time.
    now_ms: i64,
    records: Vec<MetricList>,
    skipped: Vec<(Skipped, u64)>,
    met: usize,
    is_object: bool,
    ended: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    container_id: Text<'a>,
    #[serde(borrow)]
    executor_id: Text<'a>,
    #[serde(borrow)]
    framework_id: Text<'a>,
    #[serde(borrow)]
    statistics: Option<&'a RawValue>,
}

impl Containers {
    pub(super) fn new(now_ms: i64) -> Containers {
        Containers {
            now_ms,
            records: Vec::new(),
            skipped: Vec::new(),
            met: 0,
            is_object: false,
            ended: false,
        }
    }

    fn container(&mut self, piece: &[u8]) -> Result<MetricList, Skipped> {
        if self.met >= CONTAINERS_MAX {
            return Err(Skipped::TooMany);
        }
        self.met += 1;
        let text = text_of(piece);
        let Ok(Maybe(Some(fields))) = serde_json::from_str::<Maybe<Fields<'_>>>(&text) else {
            return Err(Skipped::Odd);
        };
        let (Some(container), Some(framework)) = (fields.container_id.some(), fields.framework_id.some())
        else {
            return Err(Skipped::Odd);
        };
        let statistics = fields.statistics.ok_or(Skipped::NoStatistics)?;
        let executor = fields.executor_id.some();
        let whose = Whose { container: &container, executor: executor.as_deref(), framework: &framework };
        let (record, skipped) = record(whose, statistics.get(), self.now_ms);
        self.skipped.extend(skipped);
        record.ok_or(Skipped::NoStatistics)
    }
}

/// The ids of a container.
#[derive(Clone, Copy)]
struct Whose<'a> {
    container: &'a str,
    executor: Option<&'a str>,
    framework: &'a str,
}

/// What nested containers use, as records, and what was passed over. `now_ms` is for statistics without a time.
pub(super) fn nested(usages: &[Usage], now_ms: i64) -> (Vec<MetricList>, Vec<(Skipped, u64)>) {
    let (mut records, mut passed_over) = (Vec::new(), Vec::new());
    for usage in usages {
        let whose = Whose {
            container: &usage.container_id,
            executor: usage.executor_id.as_deref(),
            framework: &usage.framework_id,
        };
        let (record, skipped) = record(whose, &usage.statistics, now_ms);
        passed_over.extend(skipped);
        records.extend(record.map(|mut record| {
            record.tags.push(Tag::new(PARENT_CONTAINER_ID, usage.parent_id.as_bytes()));
            record
        }));
    }
    (records, passed_over)
}

/// A container's record, where there is something in its statistics, and what was passed over.
fn record(whose: Whose<'_>, statistics: &str, now_ms: i64) -> (Option<MetricList>, Vec<(Skipped, u64)>) {
    let Ok(members) = serde_json::from_str::<Members<'_>>(statistics) else { return (None, Vec::new()) };
    let time_ms = members.time_ms().unwrap_or(now_ms);
    let (datapoints, skipped) = flatten(members, time_ms);
    if datapoints.is_empty() {
        return (None, skipped);
    }
    let mut tags = vec![Tag::new(tag_key::CONTAINER_ID, whose.container.as_bytes())];
    tags.extend(whose.executor.map(|id| Tag::new(tag_key::EXECUTOR_ID, id.as_bytes())));
    tags.push(Tag::new(tag_key::FRAMEWORK_ID, whose.framework.as_bytes()));
    (Some(MetricList { topic: whose.framework.into(), tags, datapoints }), skipped)
}

impl Sink for Containers {
    fn want(&mut self, path: &[Step]) -> Want {
        self.is_object |= matches!(path, [Step::Member(_)]);
        match path {
            [] => Want::Enter,
            [Step::Item] => Want::Take,
            _ => Want::Skip,
        }
    }

    fn take(&mut self, _: &[Step], piece: Option<&[u8]>) {
        match piece.ok_or(Skipped::TooMany).and_then(|piece| self.container(piece)) {
            Ok(record) => self.records.push(record),
            Err(reason) => self.skipped.push((reason, 1)),
        }
    }

    fn left(&mut self, _: &[Step]) {
        self.ended = true;
    }
}

impl Records for Containers {
    fn records(&mut self) -> Vec<MetricList> {
        std::mem::take(&mut self.records)
    }

    fn skipped(&mut self) -> Vec<(Skipped, u64)> {
        std::mem::take(&mut self.skipped)
    }

    fn is_sound(&self) -> bool {
        self.ended && !self.is_object
    }
}
