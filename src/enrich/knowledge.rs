//! What is known and by which rules it counts, in one place: whoever learns something, or is told of other rules, has
//! a new view published at once.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::book::Book;
use super::snapshot::Snapshot;
use super::{Config, Enricher, View};
use crate::dcos::agent::{Nested, State};

/// What is known. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Knowledge {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<Known>,
    publish: watch::Sender<View>,
    agent_id: watch::Sender<Option<Arc<str>>>,
    ask: Arc<Notify>,
}

#[derive(Debug)]
struct Known {
    rules: Config,
    book: Book,
}

impl Knowledge {
    /// The fixed values alone. `hope`: whether somebody may tell more.
    #[must_use]
    pub fn new(rules: Config, hope: bool) -> Knowledge {
        let known = Known { rules, book: Book::default() };
        let snapshot = known.snapshot();
        let agent_id = watch::Sender::new(snapshot.agent_id().cloned());
        let publish = watch::Sender::new(View { snapshot, asked: None, hope });
        Knowledge {
            shared: Arc::new(Shared { state: Mutex::new(known), publish, agent_id, ask: Arc::default() }),
        }
    }

    /// For those who look things up.
    #[must_use]
    pub fn enricher(&self) -> Enricher {
        Enricher { views: self.shared.publish.subscribe(), ask: self.shared.ask.clone() }
    }

    /// The agent's id, once it is known.
    #[must_use]
    pub fn agent_id(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.shared.agent_id.subscribe()
    }

    /// Other rules count from now on, for what is known already as well.
    pub fn set(&self, rules: Config) {
        let mut known = self.known();
        if known.rules != rules {
            known.rules = rules;
            self.publish(&known, |_| {});
        }
    }

    /// There is an agent that may tell more.
    pub fn hope(&self) {
        self.publish(&self.known(), |view| view.hope = true);
    }

    /// There is no agent any more, and what it told counts no longer.
    pub fn forget(&self) {
        let mut known = self.known();
        known.book = Book::default();
        self.publish(&known, |view| (view.asked, view.hope) = (None, false));
    }

    /// Returns when somebody wishes that the agent be asked.
    pub(super) async fn asked(&self) {
        self.shared.ask.notified().await;
    }

    /// What the agent said of itself and its containers counts at once; of those inside of others it may say more.
    pub(super) fn take(&self, state: State, now: Instant) {
        let mut known = self.known();
        let remember = known.rules.remember;
        known.book.take(state, now, remember);
        self.publish(&known, |_| {});
    }

    pub(super) fn take_nested(&self, nested: &[Nested], now: Instant) {
        self.known().book.take_nested(nested, now);
    }

    /// The agent was asked at `asked`, and has answered or not; what it said has been taken. Gives how many containers
    /// are known.
    pub(super) fn learned(&self, asked: Instant, answered: bool) -> usize {
        let known = self.known();
        self.publish(&known, |view| (view.asked, view.hope) = (Some(asked), answered));
        known.book.containers.len()
    }

    /// Publishes what is known. The caller has the lock, so that no older view comes behind a newer one.
    fn publish(&self, known: &Known, change: impl FnOnce(&mut View)) {
        let snapshot = known.snapshot();
        self.shared.agent_id.send_if_modified(|id| {
            let is_new = *id != snapshot.agent_id().cloned();
            *id = snapshot.agent_id().cloned();
            is_new
        });
        self.shared.publish.send_modify(|view| {
            view.snapshot = snapshot;
            change(view);
        });
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.state.lock().expect("no code panics under this lock")
    }
}

impl Known {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot::new(&self.rules, &self.book))
    }
}
