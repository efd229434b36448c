//! `/state`: which container belongs to which framework, executor and application.

use std::sync::Arc;

use serde::Deserialize;

use super::answer::{List, Maybe, Text, text_of};
use crate::dcos::cut::{Sink, Step, Want};

/// Containers, executors and frameworks that are kept, of each; an agent has at most some thousands.
pub const CONTAINERS_MAX: usize = 16_384;

/// Bytes of ids and names that are kept of one answer.
pub const TEXTS_BYTES_MAX: usize = 16 << 20;

/// What `/state` says, as far as tags need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The agent's id.
    pub agent_id: Option<String>,
    /// Framework ids and names, running and completed.
    pub frameworks: Vec<(Box<str>, Option<Box<str>>)>,
    /// Every executor, running and completed.
    pub executors: Vec<Executor>,
    /// Every container that an executor or task names.
    pub containers: Vec<Container>,
    /// Frameworks, executors and containers that could not be kept.
    pub odd: u64,
    /// Those beyond [`CONTAINERS_MAX`] and [`TEXTS_BYTES_MAX`].
    pub too_many: u64,
}

/// One executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executor {
    /// Its framework, as a place in [`State::frameworks`].
    pub framework: usize,
    /// For a command task the task's id.
    pub id: Box<str>,
    /// The application that its labels, or those of its first task with one, name.
    pub application: Option<Arc<str>>,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its executor, as a place in [`State::executors`].
    pub executor: usize,
    /// Its id; of a nested one its own, without its parents'.
    pub id: Box<str>,
    /// The application of the task that it runs; none: its executor's.
    pub application: Option<Arc<str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ExecutorFields<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    container: Text<'a>,
    #[serde(borrow)]
    labels: List<Maybe<Label<'a>>>,
    #[serde(borrow)]
    tasks: List<Maybe<TaskFields<'a>>>,
    #[serde(borrow)]
    queued_tasks: List<Maybe<TaskFields<'a>>>,
    #[serde(borrow)]
    completed_tasks: List<Maybe<TaskFields<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TaskFields<'a> {
    #[serde(borrow)]
    labels: List<Maybe<Label<'a>>>,
    #[serde(borrow)]
    statuses: List<Maybe<Status<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Label<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow)]
    value: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status<'a> {
    #[serde(borrow)]
    container_status: Maybe<ContainerStatus<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerStatus<'a> {
    #[serde(borrow)]
    container_id: Maybe<ContainerId<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerId<'a> {
    #[serde(borrow)]
    value: Text<'a>,
}

/// How much there is of a state.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    executors: usize,
    containers: usize,
    bytes: usize,
}

/// Reads a [`State`].
#[derive(Debug, Default)]
pub struct StateSink {
    state: State,
    is_state: bool,
    /// Of the framework that is being read.
    id: Option<Box<str>>,
    name: Option<Box<str>>,
    /// What there was before it.
    before: Extent,
    /// Bytes of ids and names that were read.
    bytes: usize,
}

impl StateSink {
    /// What was read. None where the answer had nothing of a state.
    #[must_use]
    pub fn finish(mut self) -> Option<State> {
        // An answer that breaks off may leave a framework without its name.
        let (frameworks, state) = (self.state.frameworks.len(), &mut self.state);
        state.executors.retain(|executor| executor.framework < frameworks);
        let executors = state.executors.len();
        state.containers.retain(|container| container.executor < executors);
        self.is_state.then_some(self.state)
    }

    fn text(piece: Option<&[u8]>) -> Option<Box<str>> {
        let text = text_of(piece?);
        serde_json::from_str::<Text<'_>>(&text).ok()?.some().map(Box::from)
    }

    fn executor(&mut self, piece: Option<&[u8]>) {
        let text = text_of(piece.unwrap_or_default());
        let Ok(Maybe(Some(fields))) = serde_json::from_str::<Maybe<ExecutorFields<'_>>>(&text) else {
            self.state.odd += 1;
            return;
        };
        if self.state.containers.len().max(self.state.executors.len()) >= CONTAINERS_MAX
            || self.bytes > TEXTS_BYTES_MAX
        {
            self.state.too_many += 1;
            return;
        }
        let executor = self.state.executors.len();
        let tasks = [fields.tasks, fields.queued_tasks, fields.completed_tasks];
        let mut tasks: Vec<_> = tasks.into_iter().flat_map(|list| list.0).filter_map(|task| task.0).collect();
        let mut of_tasks = tasks.iter_mut().map(|task| application(std::mem::take(&mut task.labels)));
        let of_tasks: Vec<Option<Arc<str>>> = of_tasks.by_ref().collect();
        let own = application(fields.labels).or_else(|| of_tasks.iter().flatten().next().cloned());
        if let Some(id) = fields.container.some() {
            self.container(executor, &id, None);
        }
        for (task, application) in tasks.into_iter().zip(of_tasks) {
            // The last status is the newest; all of a task are of one container.
            let mut ids =
                task.statuses.0.into_iter().filter_map(|status| status.0?.container_status.0?.container_id.0);
            let Some(id) = ids.next_back().and_then(|id| id.value.some()) else { continue };
            self.container(executor, &id, application);
        }
        let id: Box<str> = fields.id.some().map_or_else(|| "".into(), Box::from);
        self.bytes += id.len() + own.as_ref().map_or(0, |own| own.len());
        self.state.executors.push(Executor { framework: self.state.frameworks.len(), id, application: own });
    }

    fn container(&mut self, executor: usize, id: &str, application: Option<Arc<str>>) {
        if self.state.containers.len() >= CONTAINERS_MAX || self.bytes > TEXTS_BYTES_MAX {
            self.state.too_many += 1;
            return;
        }
        self.bytes += id.len() + application.as_ref().map_or(0, |application| application.len());
        self.state.containers.push(Container { executor, id: id.into(), application });
    }

    /// What was read of a framework is all that there is.
    fn framework(&mut self) {
        let Extent { executors, containers, bytes } = self.before;
        let has_room = self.state.frameworks.len() < CONTAINERS_MAX && bytes <= TEXTS_BYTES_MAX;
        match self.id.take() {
            Some(id) if has_room => {
                let name = self.name.take();
                self.bytes += id.len() + name.as_ref().map_or(0, |name| name.len());
                self.state.frameworks.push((id, name));
                return;
            }
            Some(_) => self.state.too_many += 1,
            None => self.state.odd += 1,
        }
        self.state.executors.truncate(executors);
        self.state.containers.truncate(containers);
        self.bytes = bytes;
    }
}

/// What the labels say: `MARATHON_APP_ID`, else `DCOS_SPACE`, without the slash in front.
fn application(labels: List<Maybe<Label<'_>>>) -> Option<Arc<str>> {
    let mut space = None;
    for Label { key, value } in labels.0.into_iter().filter_map(|label| label.0) {
        let value = value.some();
        match key.0.as_deref() {
            Some("MARATHON_APP_ID") if value.is_some() => return name_of(value.as_deref()),
            Some("DCOS_SPACE") => space = space.or(value),
            _ => {}
        }
    }
    name_of(space.as_deref())
}

fn name_of(path: Option<&str>) -> Option<Arc<str>> {
    let path = path?;
    let name = path.strip_prefix('/').unwrap_or(path);
    (!name.is_empty()).then(|| name.into())
}

/// Whether a path is that of a list of frameworks.
fn is_frameworks(name: &[u8]) -> bool {
    matches!(name, b"frameworks" | b"completed_frameworks")
}

impl Sink for StateSink {
    fn want(&mut self, path: &[Step]) -> Want {
        match path {
            [] => Want::Enter,
            [Step::Member(name)] if name == b"id" => Want::Take,
            [Step::Member(name)] if is_frameworks(name) => Want::Enter,
            [Step::Member(name), Step::Item] if is_frameworks(name) => {
                let (executors, containers) = (self.state.executors.len(), self.state.containers.len());
                self.before = Extent { executors, containers, bytes: self.bytes };
                (self.id, self.name) = (None, None);
                Want::Enter
            }
            [_, Step::Item, Step::Member(name)] => match &name[..] {
                b"id" | b"name" => Want::Take,
                b"executors" | b"completed_executors" => Want::Enter,
                _ => Want::Skip,
            },
            [_, Step::Item, Step::Member(_), Step::Item] => Want::Take,
            _ => Want::Skip,
        }
    }

    fn take(&mut self, path: &[Step], piece: Option<&[u8]>) {
        match path {
            [Step::Member(_)] => {
                self.state.agent_id = StateSink::text(piece).map(String::from);
                self.is_state |= self.state.agent_id.is_some();
            }
            [_, Step::Item, Step::Member(name)] if name == b"id" => self.id = StateSink::text(piece),
            [_, Step::Item, Step::Member(_)] => self.name = StateSink::text(piece),
            _ => self.executor(piece),
        }
    }

    fn left(&mut self, path: &[Step]) {
        match path {
            [Step::Member(_)] => self.is_state = true,
            [_, Step::Item] => self.framework(),
            _ => {}
        }
    }
}
