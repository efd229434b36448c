//! The Mesos agent of this host: where it is, what it is asked, and what it answered last.
//!
//! # What it promises
//! * It is found by `agent-ip`, else by the environment's `HOST`, else by `agent-ip-command`, which has ten seconds and
//!   is run again until it prints an address. Whatever fails there is told and never fatal.
//! * Each request has a deadline and a bound on bytes, see [`Limits`]; no answer is held whole.
//! * An answer is read piece by piece: an odd executor, container, task or framework costs itself alone. Of an answer
//!   that breaks off, what came before counts.
//! * Containers, executors and frameworks beyond [`CONTAINERS_MAX`] of each, or [`TEXTS_BYTES_MAX`] of ids and names in
//!   all, are passed over and counted. An id or name of more than a kilobyte is none.
//!
//! # Slow, gone or lying
//! An agent that hangs costs the deadline of the one who asks, who asks again at the next period. 401, 403, 500 and what is
//! no JSON are failures with a name, told in `/-/ready` with what to do, and in the log when they begin and end.
//! What the agent says is believed: it is root on this host.

mod answer;
mod failure;
mod health;
mod metrics;
mod nested;
mod place;
mod state;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use tokio::sync::watch;

use super::authority::Authority;
use super::client::{Body, Client, Limits, NoTls, Problem};
use super::cut::{Cutter, Sink};
use crate::telemetry::problems::Kind;
pub use answer::{List, Maybe, Text, text_of};
pub use failure::{Failure, Outcome};
pub use health::{Attempts, Health, Told};
pub use metrics::{Metrics, Skipped};
pub use nested::{Nested, NestedContainers, NestedSink, Usage};
pub use place::{NoAddress, Place, Unprinted, is_host, printed};
pub use state::{CONTAINERS_MAX, Container, Executor, State, StateSink, TEXTS_BYTES_MAX};

/// Settings of the agent. All but the files may change while the program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether it is asked at all (`agent-polling`).
    pub is_polled: bool,
    /// How its address is found.
    pub place: Place,
    /// `agent-port`.
    pub port: u16,
    /// `http` or `https` (`agent-scheme`).
    pub scheme: &'static str,
    /// Between two polls (`agent-poll-period`).
    pub period: Duration,
    /// Record topic of its own metrics (`agent-metrics-topic`).
    pub topic: String,
    /// Read in place of answers (`agent-test-...-file`).
    pub files: Files,
}

/// Files that are read in place of asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// For `/state`.
    pub state: Option<PathBuf>,
    /// For `/metrics/snapshot`.
    pub system: Option<PathBuf>,
    /// For `/containers`.
    pub containers: Option<PathBuf>,
}

/// What the agent is asked for. The name is the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// `/state`: frameworks, executors, tasks.
    State,
    /// `GET_CONTAINERS` of the operator API: nested containers.
    Nested,
    /// `/containers`: statistics of each.
    Containers,
    /// `/metrics/snapshot`: of the agent itself.
    System,
}

impl What {
    /// Every value.
    pub const ALL: [What; 4] = [What::State, What::Nested, What::Containers, What::System];

    /// The metric label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            What::State => "state",
            What::Nested => "nested",
            What::Containers => "containers",
            What::System => "system",
        }
    }

    /// Where it is asked for.
    #[must_use]
    pub fn route(self) -> &'static str {
        match self {
            What::State => "/state",
            What::Nested => "/api/v1",
            What::Containers => "/containers",
            What::System => "/metrics/snapshot",
        }
    }
}

/// Asks the agent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Agent {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: watch::Receiver<Config>,
    client: Client,
    /// Hears where the agent is, so that tokens may go there.
    authority: Authority,
    metrics: Metrics,
    /// Its address, once found, and by what.
    host: Mutex<Option<(Place, String)>>,
    health: Mutex<Health>,
    /// What nested containers used when they were last asked for; nobody has polled it yet.
    usages: Mutex<Vec<Usage>>,
}

/// An answer, while it comes.
#[derive(Debug)]
pub enum Answer {
    /// From the agent.
    Body(Body),
    /// All of it.
    Bytes(Option<Bytes>),
}

impl Answer {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Failure`] where it breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match self {
            Answer::Body(body) => Ok(body.chunk().await?),
            Answer::Bytes(bytes) => Ok(bytes.take()),
        }
    }
}

/// What a request may cost: of the period, and bytes as for more containers than any agent has.
fn limits(period: Duration) -> Limits {
    let total = period.clamp(Duration::from_secs(1), Duration::from_secs(10));
    Limits { connect: total.min(Duration::from_secs(3)), total, body_bytes: 256 << 20 }
}

impl Config {
    fn url_of(&self, host: &str) -> String {
        let Config { scheme, port, .. } = self;
        if host.contains(':') {
            format!("{scheme}://[{host}]:{port}")
        } else {
            format!("{scheme}://{host}:{port}")
        }
    }
}

impl Agent {
    /// The agent that `settings` describe. It follows them: another place is asked from the next question on.
    ///
    /// # Errors
    /// [`NoTls`] where OpenSSL cannot be set up.
    pub fn new(
        settings: watch::Receiver<Config>,
        authority: &Authority,
        metrics: Metrics,
    ) -> Result<Agent, NoTls> {
        let client = Client::for_cluster(limits(settings.borrow().period), authority)?;
        let shared = Shared {
            settings,
            client,
            authority: authority.clone(),
            metrics,
            host: Mutex::default(),
            health: Mutex::default(),
            usages: Mutex::default(),
        };
        Ok(Agent { shared: Arc::new(shared) })
    }

    /// Between two polls.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.shared.settings.borrow().period
    }

    /// Record topic of its own metrics.
    #[must_use]
    pub fn topic(&self) -> String {
        self.shared.settings.borrow().topic.clone()
    }

    /// For those who wait for the next poll: the settings, whose period may change.
    #[must_use]
    pub fn settings(&self) -> watch::Receiver<Config> {
        self.shared.settings.clone()
    }

    /// Counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// How long one answer may take, from the first byte to the last.
    #[must_use]
    pub fn patience(&self) -> Duration {
        limits(self.period()).total
    }

    /// Asks.
    ///
    /// # Errors
    /// [`Failure`] where there is no address, connection or good status.
    pub async fn open(&self, what: What) -> Result<Answer, Failure> {
        let Files { state, system, containers } = self.shared.settings.borrow().files.clone();
        let file = match what {
            What::State => state,
            What::Nested => None,
            What::Containers => containers,
            What::System => system,
        };
        if let Some(path) = file {
            let read = std::fs::read(&path).map_err(|error| Failure::File(path, error))?;
            return Ok(Answer::Bytes(Some(read.into())));
        }
        let url = format!("{}{}", self.base().await?, what.route());
        let client = self.shared.client.within(self.patience());
        let asked = match what {
            What::Nested => client.post_json(&url, nested::REQUEST.into()).await,
            _ => client.open(&url).await,
        };
        Ok(asked.map(Answer::Body).inspect_err(|error| {
            if matches!(error.problem, Problem::Connection(_) | Problem::TimedOut(_)) {
                // The host may have another address by now.
                *self.host() = None;
            }
        })?)
    }

    /// Asks, and gives `sink` the pieces that it wants.
    ///
    /// # Errors
    /// [`Failure`]; what `sink` has by then is good.
    pub async fn ask(&self, what: What, sink: &mut impl Sink) -> Result<(), Failure> {
        let mut answer = self.open(what).await?;
        let mut cutter = Cutter::default();
        while let Some(chunk) = answer.chunk().await? {
            cutter.push(&chunk, sink).map_err(|source| Failure::NotJson(what, source))?;
        }
        cutter.finish(sink).map_err(|source| Failure::NotJson(what, source))
    }

    /// Counts and keeps what an attempt came to; `Err`: why it failed, in one line. Says in the log what is new.
    pub fn note(&self, what: What, ended: Result<(), (Outcome, String)>) {
        let outcome = ended.as_ref().err().map_or(Outcome::Ok, |(outcome, _)| *outcome);
        self.shared.metrics.polled(what, outcome);
        let news = {
            let mut health = self.noted();
            let news = health.note(what, ended, SystemTime::now());
            let problems = &self.shared.metrics.problems;
            // The operator API is not always there, which is no trouble.
            match health.of(what).failed() {
                Some(why) if what != What::Nested => problems.note(Kind::Agent, why),
                _ if health.is_well() => problems.over(Kind::Agent),
                _ => {}
            }
            news
        };
        match news {
            Some(Told::Failed(why)) => {
                tracing::warn!(what = what.name(), "the Mesos agent gives no answer to use: {why}");
            }
            Some(Told::Answered) => tracing::info!(what = what.name(), "the Mesos agent answers"),
            None => {}
        }
    }

    /// What the last attempts came to.
    #[must_use]
    pub fn health(&self) -> Health {
        self.noted().clone()
    }

    /// Leaves what nested containers use for whoever polls; what is there already is out of date.
    pub fn leave_usages(&self, usages: Vec<Usage>) {
        *self.usages() = usages;
    }

    /// What nested containers used when they were last asked for; each only once.
    #[must_use]
    pub fn take_usages(&self) -> Vec<Usage> {
        std::mem::take(&mut self.usages())
    }

    /// What says where the agent is: `agent-ip`, `HOST` or `agent-ip-command`.
    #[must_use]
    pub fn found_by(&self) -> &'static str {
        self.shared.settings.borrow().place.name()
    }

    /// Where the agent is, as far as is known.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        let (by, host) = self.host().clone()?;
        let config = self.shared.settings.borrow();
        (by == config.place).then(|| config.url_of(&host))
    }

    async fn base(&self) -> Result<String, Failure> {
        let config = self.shared.settings.borrow().clone();
        let known = self.host().clone().filter(|(by, _)| *by == config.place);
        let host = if let Some((_, host)) = known {
            host
        } else {
            let found = config.place.find().await;
            if let Place::Command(_) = config.place {
                self.shared.metrics.looked_up(&found);
            }
            let host = found?;
            *self.host() = Some((config.place.clone(), host.clone()));
            host
        };
        // Its port may be another one than it was.
        self.shared.authority.name_agent(&host, config.port);
        Ok(config.url_of(&host))
    }

    fn usages(&self) -> std::sync::MutexGuard<'_, Vec<Usage>> {
        self.shared.usages.lock().expect("no code panics under this lock")
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Health> {
        self.shared.health.lock().expect("no code panics under this lock")
    }

    fn host(&self) -> std::sync::MutexGuard<'_, Option<(Place, String)>> {
        self.shared.host.lock().expect("no code panics under this lock")
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
