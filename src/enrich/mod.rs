//! Which tags a record gets, decided when it arrives.
//!
//! # What it promises
//! * A decision is a look-up in a [`Snapshot`] of what is known: it never waits and never asks. Tags are added where they
//!   are known, and no key is ever doubled.
//! * Whose word counts (`tag-clash`): a container can write any tag into what it sends, so for a record whose first
//!   `container_id` the agent knows, the collector's values replace the sender's (`auto`); every other sender's own
//!   values stay. `collector` replaces them all, `sender` none. A tag for which the collector has no value stays.
//! * What the agent says is known for as long as it says so, and `agent-remember` longer, for metrics that come late.
//!   An answer that fails or breaks off loses nothing of it.
//!
//! # How it works
//! The [`Directory`] is a task: it asks the agent for its state and nested containers every `agent-poll-period`, and
//! early when somebody [asks](Enricher::ask) for it, at most once in [five seconds](REFRESH_PAUSE). What it learns it adds to the
//! [`Knowledge`], which has the rules too, and publishes a [`View`] through a `watch`, which senders of records take once
//! for each block; other rules are a new view at once. In a snapshot each set of tags is encoded once, however many
//! containers share it.
//!
//! # Slow, gone or lying
//! An agent that does not answer costs nobody but the directory anything: views stay as they were. After a failure
//! nobody need wait for the next answer ([`View::hope`]).

mod book;
mod directory;
mod knowledge;
mod snapshot;
mod tags;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

pub use directory::{Directory, REFRESH_PAUSE};
pub use knowledge::Knowledge;
pub use snapshot::{Ruling, Snapshot};
pub use tags::Decision;

/// What is known without asking anybody, and the rules. All of it may change while the program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Value of `agent_id` (`agent-id`).
    pub agent_id: Option<String>,
    /// Value of `framework_name` where the agent knows none (`framework-name`).
    pub framework_name: Option<String>,
    /// Value of `application_name` where the agent knows none (`application-name`).
    pub application_name: Option<String>,
    /// Whose word counts (`tag-clash`).
    pub tag_clash: TagClash,
    /// What stands for what is not known (`unknown-tags`).
    pub unknown_tags: UnknownTags,
    /// How long records of an unknown container wait (`enrich-wait`).
    pub wait: Duration,
    /// How long ended containers are remembered (`agent-remember`).
    pub remember: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            agent_id: None,
            framework_name: None,
            application_name: None,
            tag_clash: TagClash::Auto,
            unknown_tags: UnknownTags::None,
            wait: Duration::from_secs(2),
            remember: Duration::from_secs(900),
        }
    }
}

/// Whose tags count where sender and collector differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagClash {
    /// The collector's for containers that the agent knows, else the sender's.
    Auto,
    /// The collector's.
    Collector,
    /// The sender's.
    Sender,
}

/// What stands for a name or id that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownTags {
    /// Nothing.
    None,
    /// `UNKNOWN_...`, as the Go collector of 2016 had it.
    Sentinel,
}

/// How many of agent, framework and application a record names in the end. The name is the metric label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enrichment {
    /// All three.
    Full,
    /// Some.
    Partial,
    /// None.
    #[default]
    None,
}

impl Enrichment {
    /// Every value, for series that start at 0.
    pub const ALL: [Enrichment; 3] = [Enrichment::Full, Enrichment::Partial, Enrichment::None];

    /// The metric label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Enrichment::Full => "full",
            Enrichment::Partial => "partial",
            Enrichment::None => "none",
        }
    }
}

/// What is known, at some time.
#[derive(Clone, Debug)]
pub struct View {
    /// The look-ups.
    pub snapshot: Arc<Snapshot>,
    /// When the agent was last asked, with or without an answer; none: it never has been.
    pub asked: Option<Instant>,
    /// Whether the agent may know more if it is asked again: there is one, and it has not failed.
    pub hope: bool,
}

/// Tells what is known. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Enricher {
    views: watch::Receiver<View>,
    ask: Arc<Notify>,
}

impl Enricher {
    /// An enricher that knows the fixed values only.
    #[must_use]
    pub fn fixed(config: &Config) -> Enricher {
        Knowledge::new(config.clone(), false).enricher()
    }

    /// What is known now. For a block of records once.
    #[must_use]
    pub fn view(&self) -> View {
        self.views.borrow().clone()
    }

    /// Returns when something is new. Never, where nothing can be.
    pub async fn changed(&mut self) {
        if self.views.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Wishes that the agent be asked soon.
    pub fn ask(&self) {
        self.ask.notify_one();
    }
}
