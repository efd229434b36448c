//! `GET_CONTAINERS` of the operator API: containers inside of containers, as those of pods, and what they use.
//!
//! A container's `container_id` is its own id alone; which containers it is in stands in its `container_status`. Whose
//! it is stands at the outermost one. Agents before Mesos 1.5 show no nested containers; those before 1.10 do not know
//! what a nested one uses, as it shares its parent's cgroups.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Maybe, Text, text_of};
use super::state::{CONTAINERS_MAX, TEXTS_BYTES_MAX};
use crate::dcos::cut::{Sink, Step, Want};

/// What is posted.
pub(super) const REQUEST: &str =
    r#"{"type":"GET_CONTAINERS","get_containers":{"show_nested":true,"show_standalone":false}}"#;

/// Most containers that one can be inside of; Mesos allows two.
const PARENTS_MAX: usize = 16;

/// Bytes of statistics that are kept until they are polled.
const USAGES_BYTES_MAX: usize = 8 << 20;

/// One container inside of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// Its own id.
    pub id: Box<str>,
    /// Ids of those that it is in, from the outermost on; never empty.
    pub parents: Vec<Box<str>>,
}

/// What a nested container uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its own id.
    pub container_id: Box<str>,
    /// That of the container that it is in.
    pub parent_id: Box<str>,
    /// Of the outermost container.
    pub executor_id: Option<Box<str>>,
    /// Of the outermost container.
    pub framework_id: Box<str>,
    /// An object, as the agent wrote it.
    pub statistics: Box<str>,
}

impl Nested {
    /// All its ids with dots between, as some write it.
    #[must_use]
    pub fn dotted(&self) -> String {
        let mut text = self.parents.join(".");
        text.push('.');
        text.push_str(&self.id);
        text
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    container_id: Maybe<Id<'a>>,
    #[serde(borrow)]
    container_status: Maybe<Status<'a>>,
    #[serde(borrow)]
    executor_id: Maybe<Id<'a>>,
    #[serde(borrow)]
    framework_id: Maybe<Id<'a>>,
    #[serde(borrow)]
    resource_statistics: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status<'a> {
    #[serde(borrow)]
    container_id: Maybe<Id<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Id<'a> {
    #[serde(borrow)]
    value: Text<'a>,
    #[serde(borrow)]
    parent: Maybe<Box<Id<'a>>>,
}

impl Id<'_> {
    fn text(self) -> Option<Box<str>> {
        self.value.some().map(Box::from)
    }

    /// Its own id, and those of the containers that it is in, from the outermost on.
    fn path(self) -> Option<Nested> {
        let mut parents = Vec::new();
        let mut above = self.parent.0;
        while let Some(parent) = above {
            if parents.len() == PARENTS_MAX {
                return None;
            }
            parents.push(parent.value.some()?.into());
            above = parent.parent.0;
        }
        parents.reverse();
        Some(Nested { id: self.value.some()?.into(), parents })
    }
}

/// Whose a container is: its executor and its framework.
type Owner = (Option<Box<str>>, Box<str>);

/// Reads the nested ones among the containers.
#[derive(Debug, Default)]
pub struct NestedSink {
    nested: Vec<Nested>,
    /// What some of them use, by their place.
    usages: Vec<(usize, Box<str>)>,
    owners: HashMap<Box<str>, Owner>,
    /// Of ids, and of statistics.
    bytes: (usize, usize),
    too_many: u64,
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NestedContainers {
    /// The containers inside of others.
    pub nested: Vec<Nested>,
    /// What some of them use.
    pub usages: Vec<Usage>,
    /// Containers that were passed over, because there is a bound.
    pub too_many: u64,
}

impl NestedSink {
    /// What was read so far.
    #[must_use]
    pub fn finish(self) -> NestedContainers {
        let NestedSink { nested, usages, owners, too_many, .. } = self;
        let of_owner = |(place, statistics): (usize, Box<str>)| {
            let Nested { id, parents } = &nested[place];
            let (executor_id, framework_id) = owners.get(parents.first()?)?.clone();
            let (container_id, parent_id) = (id.clone(), parents.last()?.clone());
            Some(Usage { container_id, parent_id, executor_id, framework_id, statistics })
        };
        let usages = usages.into_iter().filter_map(of_owner).collect();
        NestedContainers { nested, usages, too_many }
    }

    fn container(&mut self, fields: Fields<'_>) {
        let own = fields.container_id.0.and_then(Id::path);
        let in_status = fields.container_status.0.and_then(|status| status.container_id.0?.path());
        let Some(path) = own.into_iter().chain(in_status).max_by_key(|path| path.parents.len()) else {
            return;
        };
        let bytes = path.id.len() + path.parents.iter().map(|id| id.len()).sum::<usize>();
        if self.nested.len().max(self.owners.len()) >= CONTAINERS_MAX
            || self.bytes.0 + bytes > TEXTS_BYTES_MAX
        {
            self.too_many += 1;
            return;
        }
        self.bytes.0 += bytes;
        if path.parents.is_empty() {
            if let Some(framework_id) = fields.framework_id.0.and_then(Id::text) {
                self.owners.insert(path.id, (fields.executor_id.0.and_then(Id::text), framework_id));
            }
            return;
        }
        if let Some(statistics) = fields.resource_statistics {
            let statistics = statistics.get();
            if self.bytes.1 + statistics.len() > USAGES_BYTES_MAX {
                self.too_many += 1;
            } else {
                self.bytes.1 += statistics.len();
                self.usages.push((self.nested.len(), statistics.into()));
            }
        }
        self.nested.push(path);
    }
}

impl Sink for NestedSink {
    fn want(&mut self, path: &[Step]) -> Want {
        let names: [&[u8]; 2] = [b"get_containers", b"containers"];
        match path {
            [] => Want::Enter,
            [Step::Member(name)] if name == names[0] => Want::Enter,
            [Step::Member(_), Step::Member(name)] if name == names[1] => Want::Enter,
            [_, _, Step::Item] => Want::Take,
            _ => Want::Skip,
        }
    }

    fn take(&mut self, _: &[Step], piece: Option<&[u8]>) {
        let text = text_of(piece.unwrap_or_default());
        if let Ok(Maybe(Some(fields))) = serde_json::from_str(&text) {
            self.container(fields);
        }
    }
}
