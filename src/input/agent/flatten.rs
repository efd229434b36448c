//! A container's statistics as datapoints, those that are nested too.
//!
//! # The rule
//! * A number is a datapoint, named by the keys on the way to it with dots between: `perf.cycles`,
//!   `net_snmp_statistics.tcp_stats.InSegs`. `timestamp` at the top is the time of all and no datapoint.
//! * An item of an array has a label in place of a key: its `id`; else its `persistence.id`; else the root of its
//!   `source`'s `mount` or `path`; else its `device` as `8-0`; else its `op` in small letters; else, in
//!   `blkio_statistics`, `total`; else its place, from 0. What is no `a-z A-Z 0-9 _ -` in a label becomes `_`, and a label
//!   that comes twice has its place behind it. What a label may come from is no datapoint.
//! * An item that has nothing but an `op` and a `value` is a datapoint itself:
//!   `blkio_statistics.throttling.8-0.io_serviced.read`.
//! * What is neither number, object nor array is passed over and counted.

use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::dcos::agent::Skipped;
use crate::dcos::statistics::{TIMESTAMP, number};
use crate::record::{Datapoint, Members};

/// What stands before each name.
const PREFIX: &str = "dcos.metrics.container.";

/// Most datapoints of one container, items of an array that are looked at, and how deep they may lie.
const DATAPOINTS_MAX: usize = 4096;
const ITEMS_MAX: usize = 4096;
const DEPTH_MAX: usize = 8;

/// Longest label, in characters.
const LABEL_CHARS: usize = 64;

/// Keys of an array's item that a label may come from.
const LABELS: [&str; 5] = ["id", "persistence", "source", "device", "op"];

struct Flat {
    datapoints: Vec<Datapoint>,
    time_ms: i64,
    not_numbers: u64,
    too_many: u64,
}

/// The datapoints in `members`, and what was passed over.
pub(super) fn flatten(members: Members<'_>, time_ms: i64) -> (Vec<Datapoint>, Vec<(Skipped, u64)>) {
    let mut flat = Flat { datapoints: Vec::new(), time_ms, not_numbers: 0, too_many: 0 };
    let mut name = PREFIX.to_owned();
    for (key, value) in members.0 {
        if key != TIMESTAMP {
            flat.below(&mut name, &key, value, 1);
        }
    }
    let skipped = [(Skipped::NotANumber, flat.not_numbers), (Skipped::TooMany, flat.too_many)];
    (flat.datapoints, skipped.into_iter().filter(|(_, things)| *things > 0).collect())
}

impl Flat {
    /// The value of `key` below `name`, which is the same afterwards.
    fn below(&mut self, name: &mut String, key: &str, value: &RawValue, depth: usize) {
        let length = name.len();
        if depth > 1 {
            name.push('.');
        }
        name.push_str(key);
        self.value(name, value, depth);
        name.truncate(length);
    }

    fn value(&mut self, name: &mut String, value: &RawValue, depth: usize) {
        if depth > DEPTH_MAX {
            self.too_many += 1;
            return;
        }
        match value.get().as_bytes().first() {
            Some(b'{') => match serde_json::from_str::<Members<'_>>(value.get()) {
                Ok(members) => {
                    for (key, value) in members.0 {
                        self.below(name, &key, value, depth + 1);
                    }
                }
                Err(_) => self.not_numbers += 1,
            },
            Some(b'[') => self.array(name, value, depth),
            _ => match number(value) {
                Some(value) => self.push(name, value),
                None => self.not_numbers += 1,
            },
        }
    }

    fn array(&mut self, name: &mut String, value: &RawValue, depth: usize) {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
            self.not_numbers += 1;
            return;
        };
        let mut labels: HashSet<String> = HashSet::new();
        for (place, item) in items.into_iter().enumerate() {
            if place >= ITEMS_MAX || self.datapoints.len() >= DATAPOINTS_MAX {
                self.too_many += 1;
                return;
            }
            let members: Option<Members<'_>> = serde_json::from_str(item.get()).ok();
            let named = members.as_ref().and_then(|members| label(members, name)).map(|label| clean(&label));
            let label = match named {
                Some(label) if labels.contains(&label) => format!("{label}-{place}"),
                Some(label) => label,
                None => place.to_string(),
            };
            let Some(Members(members)) = members else {
                self.below(name, &label, item, depth + 1);
                continue;
            };
            let length = name.len();
            name.push('.');
            name.push_str(&label);
            labels.insert(label);
            let is_pair = members.len() == 2 && members.iter().any(|(key, _)| key == "op");
            for (key, value) in &members {
                match number(value) {
                    Some(value) if is_pair && key == "value" => self.push(name, value),
                    _ if LABELS.contains(&key.as_str()) => {}
                    _ => self.below(name, key, value, depth + 1),
                }
            }
            name.truncate(length);
        }
    }

    fn push(&mut self, name: &str, value: f64) {
        if self.datapoints.len() >= DATAPOINTS_MAX {
            self.too_many += 1;
            return;
        }
        self.datapoints.push(Datapoint { name: name.as_bytes().to_vec(), time_ms: self.time_ms, value });
    }
}

/// What an item of an array is called, if something in it says so.
fn label(item: &Members<'_>, name: &str) -> Option<String> {
    let source = |root| text(member(item, "source").as_ref(), &[root, "root"]);
    text(Some(item), &["id"])
        .or_else(|| text(Some(item), &["persistence", "id"]))
        .or_else(|| source("mount"))
        .or_else(|| source("path"))
        .or_else(|| device(&member(item, "device")?))
        .or_else(|| text(Some(item), &["op"]).map(|op| op.to_ascii_lowercase()))
        .or_else(|| name.contains("blkio_statistics").then(|| "total".to_owned()))
}

/// The numbers of a device, by the names of Mesos and those of its older tests.
fn device(device: &Members<'_>) -> Option<String> {
    let part = |names: [&str; 2]| names.iter().find_map(|name| number(raw(device, name)?));
    Some(format!("{}-{}", part(["major_number", "major"])?, part(["minor_number", "minor"])?))
}

fn raw<'a>(of: &Members<'a>, key: &str) -> Option<&'a RawValue> {
    of.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
}

fn member<'a>(of: &Members<'a>, key: &str) -> Option<Members<'a>> {
    serde_json::from_str(raw(of, key)?.get()).ok()
}

/// The text at the end of `path`, if there is one that is not empty.
fn text(of: Option<&Members<'_>>, path: &[&str]) -> Option<String> {
    match path {
        [key] => serde_json::from_str(raw(of?, key)?.get()).ok().filter(|text: &String| !text.is_empty()),
        [key, rest @ ..] => text(member(of?, key).as_ref(), rest),
        [] => None,
    }
}

fn clean(label: &str) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    label.chars().take(LABEL_CHARS).map(clean).collect()
}
