//! What is remembered of the agent's answers: pure, the time is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::dcos::agent::{CONTAINERS_MAX, Nested, State, TEXTS_BYTES_MAX};

/// An id, as bytes: records have nothing else.
pub(super) type Id = Arc<[u8]>;

/// An executor: its framework's id and its own.
pub(super) type ExecutorKey = (Id, Id);

/// Everything that is known of the agent.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) agent_id: Option<Arc<str>>,
    pub(super) frameworks: HashMap<Id, Remembered<Option<Arc<str>>>>,
    pub(super) executors: HashMap<ExecutorKey, Remembered<Belongs>>,
    pub(super) containers: HashMap<Id, Remembered<Belongs>>,
}

/// Something, and when the agent last named it.
#[derive(Clone, Debug)]
pub(super) struct Remembered<T> {
    pub(super) value: T,
    seen: Instant,
}

/// What a container or executor belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Belongs {
    pub(super) framework_name: Option<Arc<str>>,
    pub(super) application: Option<Arc<str>>,
}

impl Book {
    /// Takes an answer in. What it does not name any more is forgotten after `remember`.
    pub(super) fn take(&mut self, state: State, now: Instant, remember: Duration) {
        if let Some(id) = state.agent_id {
            self.agent_id = Some(id.into());
        }
        let mut frameworks: Vec<(Id, Option<Arc<str>>)> = Vec::with_capacity(state.frameworks.len());
        for (id, name) in state.frameworks {
            let (id, name): (Id, Option<Arc<str>>) = (id.as_bytes().into(), name.map(|name| (*name).into()));
            let known = self.frameworks.entry(id.clone()).or_insert(Remembered { value: None, seen: now });
            known.seen = now;
            if name.is_some() {
                known.value = name;
            }
            let name = known.value.clone();
            frameworks.push((id, name));
        }
        for executor in &state.executors {
            let (framework, framework_name) = frameworks[executor.framework].clone();
            if !executor.id.is_empty() {
                let value = Belongs { framework_name, application: executor.application.clone() };
                let key = (framework, executor.id.as_bytes().into());
                self.executors.insert(key, Remembered { value, seen: now });
            }
        }
        for container in state.containers {
            let executor = &state.executors[container.executor];
            let application = container.application.or_else(|| executor.application.clone());
            let value = Belongs { framework_name: frameworks[executor.framework].1.clone(), application };
            self.containers.insert(container.id.as_bytes().into(), Remembered { value, seen: now });
        }
        self.forget(now, remember);
    }

    /// Containers inside of known ones belong to the same; those that tasks have named already stay as they are.
    pub(super) fn take_nested(&mut self, nested: &[Nested], now: Instant) {
        for one in nested {
            let of = |id: &str| self.containers.get(id.as_bytes()).map(|known| known.value.clone());
            let Some(value) = of(&one.id).or_else(|| one.parents.iter().rev().find_map(|id| of(id))) else {
                continue;
            };
            for id in [one.id.as_bytes(), one.dotted().as_bytes()] {
                if self.containers.len() < CONTAINERS_MAX {
                    self.containers.insert(id.into(), Remembered { value: value.clone(), seen: now });
                }
            }
        }
    }

    fn forget(&mut self, now: Instant, remember: Duration) {
        fn keep<T>(known: &Remembered<T>, now: Instant, remember: Duration) -> bool {
            now.saturating_duration_since(known.seen) <= remember
        }
        self.frameworks.retain(|_, known| keep(known, now, remember));
        self.executors.retain(|_, known| keep(known, now, remember));
        self.containers.retain(|_, known| keep(known, now, remember));
        // What comes and goes all the time must not add up to more than an agent can have.
        let most = self.containers.len().max(self.executors.len()).max(self.frameworks.len());
        if most > CONTAINERS_MAX || self.text_bytes() > TEXTS_BYTES_MAX {
            let none = Duration::ZERO;
            self.frameworks.retain(|_, known| keep(known, now, none));
            self.executors.retain(|_, known| keep(known, now, none));
            self.containers.retain(|_, known| keep(known, now, none));
        }
    }

    /// Of ids and names.
    fn text_bytes(&self) -> usize {
        let of = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let belongs = |known: &Belongs| of(&known.framework_name) + of(&known.application);
        let frameworks = self.frameworks.iter().map(|(id, known)| id.len() + of(&known.value));
        let executors = self.executors.iter().map(|((_, id), known)| id.len() + belongs(&known.value));
        let containers = self.containers.iter().map(|(id, known)| id.len() + belongs(&known.value));
        frameworks.chain(executors).chain(containers).sum()
    }
}
