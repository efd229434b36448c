//! Everything that is known, as look-ups.

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use super::book::{Belongs, Book, ExecutorKey, Id};
use super::tags::{Decision, TagSet, Values};
use super::{Config, TagClash, UnknownTags};
use crate::ocf::Origin;

/// What the Go collector of 2016 wrote where it did not know.
const UNKNOWN_FRAMEWORK_ID: &str = "UNKNOWN_FRAMEWORK_ID";
const UNKNOWN_AGENT_STATE: &str = "UNKNOWN_AGENT_STATE";

/// Which tags a record gets. Built anew with every answer of the agent; each set of tags is encoded once.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Records that say nothing of a framework.
    plain: Option<TagSet>,
    /// Records of a framework that nobody knows.
    strangers: Option<TagSet>,
    sets: Vec<TagSet>,
    containers: HashMap<Id, u32>,
    executors: HashMap<ExecutorKey, u32>,
    frameworks: HashMap<Id, u32>,
    agent_id: Option<Arc<str>>,
}

/// What is decided on a record.
#[derive(Clone, Copy, Debug)]
pub struct Ruling<'a> {
    /// What it gets.
    pub decision: Decision<'a>,
    /// Whether more would be known if the agent were asked again: its container, or the agent itself, is unknown.
    pub may_improve: bool,
}

/// An executor's framework and its own id.
#[derive(Hash)]
struct Pair<'a>(&'a [u8], &'a [u8]);

impl Equivalent<ExecutorKey> for Pair<'_> {
    fn equivalent(&self, key: &ExecutorKey) -> bool {
        *self.0 == *key.0 && *self.1 == *key.1
    }
}

impl Snapshot {
    pub(super) fn new(config: &Config, book: &Book) -> Snapshot {
        let (plain, strangers) =
            (Values::of_strangers(config, book, false), Values::of_strangers(config, book, true));
        let replaces_all = config.tag_clash == TagClash::Collector;
        let mut sets = Sets { config, agent_id: plain.agent_id, made: Vec::new(), places: HashMap::new() };
        let known = config.tag_clash != TagClash::Sender;
        let containers =
            book.containers.iter().map(|(id, known_as)| (id.clone(), sets.place(&known_as.value, known)));
        let containers = containers.collect();
        let executors = book.executors.iter();
        let executors =
            executors.map(|(ids, known)| (ids.clone(), sets.place(&known.value, replaces_all))).collect();
        let mut of_framework = |name: &Option<Arc<str>>| {
            sets.place(&Belongs { framework_name: name.clone(), application: None }, replaces_all)
        };
        let frameworks = book.frameworks.iter().filter(|(_, known)| known.value.is_some());
        let frameworks = frameworks.map(|(id, known)| (id.clone(), of_framework(&known.value))).collect();
        Snapshot {
            plain: Some(TagSet::new(plain, replaces_all)),
            strangers: Some(TagSet::new(strangers, replaces_all)),
            sets: sets.made,
            containers,
            executors,
            frameworks,
            agent_id: config.agent_id.as_deref().map(Arc::from).or_else(|| book.agent_id.clone()),
        }
    }

    /// What a record of this origin gets.
    #[inline]
    #[must_use]
    pub fn decide(&self, origin: &Origin<'_>) -> Ruling<'_> {
        let present = origin.present;
        if let Some(id) = origin.container_id
            && let Some(place) = self.containers.get(id)
        {
            return Ruling { decision: self.sets[*place as usize].decision(present), may_improve: false };
        }
        let has_agent = self.agent_id.is_some() || present.contains(crate::ocf::AddedTags::AGENT_ID);
        let may_improve = origin.container_id.is_some() || !has_agent;
        Ruling { decision: self.stranger(origin).decision(present), may_improve }
    }

    /// The tags of a record whose container is not known.
    fn stranger(&self, origin: &Origin<'_>) -> &TagSet {
        let Some(framework) = origin.framework_id else { return self.plain() };
        let executor = origin.executor_id.and_then(|id| self.executors.get(&Pair(framework, id)));
        match executor.or_else(|| self.frameworks.get(framework)) {
            Some(place) => &self.sets[*place as usize],
            None => self.strangers.as_ref().unwrap_or_else(|| self.plain()),
        }
    }

    fn plain(&self) -> &TagSet {
        self.plain.as_ref().expect("every snapshot is made by `new`")
    }

    /// Whether the container of this id is known.
    #[must_use]
    pub fn knows(&self, container_id: &[u8]) -> bool {
        self.containers.contains_key(container_id)
    }

    /// The agent's id, once known.
    #[must_use]
    pub fn agent_id(&self) -> Option<&Arc<str>> {
        self.agent_id.as_ref()
    }

    /// Frameworks whose names are known.
    #[must_use]
    pub fn frameworks(&self) -> usize {
        self.frameworks.len()
    }

    /// Containers that are known.
    #[must_use]
    pub fn containers(&self) -> usize {
        self.containers.len()
    }
}

/// Sets of tags, each made once.
struct Sets<'a> {
    config: &'a Config,
    agent_id: Option<&'a str>,
    made: Vec<TagSet>,
    places: HashMap<(Belongs, bool), u32>,
}

impl Sets<'_> {
    fn place(&mut self, of: &Belongs, replaces: bool) -> u32 {
        if let Some(place) = self.places.get(&(of.clone(), replaces)) {
            return *place;
        }
        let values = Values {
            framework_name: of.framework_name.as_deref().or(self.config.framework_name.as_deref()),
            application_name: of.application.as_deref().or(self.config.application_name.as_deref()),
            agent_id: self.agent_id,
        };
        let place = u32::try_from(self.made.len()).expect("as many as containers, at most");
        self.made.push(TagSet::new(values, replaces));
        self.places.insert((of.clone(), replaces), place);
        place
    }
}

impl<'a> Values<'a> {
    /// Of records of which nothing is known. `has_framework`: they name one.
    fn of_strangers(config: &'a Config, book: &'a Book, has_framework: bool) -> Values<'a> {
        let mut values = Values {
            framework_name: config.framework_name.as_deref(),
            application_name: config.application_name.as_deref(),
            agent_id: config.agent_id.as_deref().or(book.agent_id.as_deref()),
        };
        if config.unknown_tags == UnknownTags::Sentinel {
            let no_framework =
                if book.agent_id.is_some() { UNKNOWN_FRAMEWORK_ID } else { UNKNOWN_AGENT_STATE };
            if has_framework {
                values.framework_name = values.framework_name.or(Some(no_framework));
            }
            values.agent_id = values.agent_id.or(Some(UNKNOWN_AGENT_STATE));
        }
        values
    }
}
