//! The Mesos agent of this host: where it is, what it is asked, and what it answered last.
//!
//! # What it promises
//! * It is found by `agent-ip`, else by the environment's `HOST`, else by `agent-ip-command`, which has ten seconds and
//!   is run again until it prints an address. Whatever fails there is told and never fatal.
//! * Each request has a deadline and a bound on bytes, see [`Limits`]; no answer is held whole but that on nested
//!   containers.
//! * An answer is read piece by piece: an odd executor, container, task or framework costs itself alone. Of an answer
//!   that breaks off, what came before counts.
//! * Containers beyond [`CONTAINERS_MAX`] are passed over and counted.
//!
//! # Slow, gone or lying
//! An agent that hangs costs the deadline of the one who asks, who asks again at the next period. 401, 403, 500 and what is
//! no JSON are failures with a name, told in `/-/ready` with what to do, and in the log when they begin and end.
//! What the agent says is believed: it is root on this host.

mod answer;
mod health;
mod metrics;
mod nested;
mod place;
mod state;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::watch;

use super::authority::Authority;
use super::client::{self, Body, Client, Limits, NoTls, Problem};
use super::cut::{Cutter, NotJson, Sink};
pub use answer::{List, Maybe, Text};
pub use health::{Health, Told};
pub use metrics::{Metrics, Skipped};
pub use nested::{Nested, NestedSink};
pub use place::{NoAddress, Place, is_host, printed};
pub use state::{CONTAINERS_MAX, Container, Executor, State, StateSink};

/// Settings of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How its address is found.
    pub place: Place,
    /// `agent-port`.
    pub port: u16,
    /// `http` or `https` (`agent-scheme`).
    pub scheme: &'static str,
    /// Between two polls (`agent-poll-period`).
    pub period: Duration,
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

    fn route(self) -> &'static str {
        match self {
            What::State => "/state",
            What::Nested => "/api/v1",
            What::Containers => "/containers",
            What::System => "/metrics/snapshot",
        }
    }
}

/// Why there is no answer, or none that can be read.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody knows where the agent is.
    #[error(transparent)]
    Address(#[from] NoAddress),
    /// No answer, or an error.
    #[error(transparent)]
    Http(#[from] client::Error),
    /// A file for tests.
    #[error("cannot read {0:?}, which stands for the agent's answer")]
    File(PathBuf, #[source] std::io::Error),
    /// Not the agent's answer.
    #[error("{route}: {1}", route = .0.route())]
    NotJson(What, NotJson),
    /// JSON of another shape.
    #[error("{route}: the answer is not what a Mesos agent says; check agent-ip and agent-port", route = .0.route())]
    Strange(What),
    /// The spool is full, and the deadline came first.
    #[error("the spool had no room for the records of this poll; see spool-memory and spool-full")]
    NoRoom,
}

/// What an attempt came to. The name is the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was read to its end.
    Ok,
    /// No address.
    NoAddress,
    /// No connection, or one that broke off.
    NoConnection,
    /// The deadline came first.
    TimedOut,
    /// 401 or 403.
    Denied,
    /// Another status.
    Status,
    /// Larger than the bound.
    TooLarge,
    /// No JSON, or strange JSON.
    Unreadable,
    /// No room in the spool.
    NoRoom,
}

impl Outcome {
    /// Every value, for series that start at 0.
    pub const ALL: [Outcome; 9] = [
        Outcome::Ok,
        Outcome::NoAddress,
        Outcome::NoConnection,
        Outcome::TimedOut,
        Outcome::Denied,
        Outcome::Status,
        Outcome::TooLarge,
        Outcome::Unreadable,
        Outcome::NoRoom,
    ];

    /// The metric label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::NoAddress => "no_address",
            Outcome::NoConnection => "no_connection",
            Outcome::TimedOut => "timed_out",
            Outcome::Denied => "denied",
            Outcome::Status => "status",
            Outcome::TooLarge => "too_large",
            Outcome::Unreadable => "unreadable",
            Outcome::NoRoom => "no_room",
        }
    }
}

impl Failure {
    /// The metric label.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Failure::Address(_) => Outcome::NoAddress,
            Failure::Http(error) => match &error.problem {
                Problem::Address => Outcome::NoAddress,
                Problem::Connection(_) | Problem::Broken(_) => Outcome::NoConnection,
                Problem::TimedOut(_) => Outcome::TimedOut,
                Problem::Status { status, .. } if matches!(status.as_u16(), 401 | 403) => Outcome::Denied,
                Problem::Status { .. } => Outcome::Status,
                Problem::TooLarge(_) => Outcome::TooLarge,
            },
            Failure::File(..) | Failure::NotJson(..) | Failure::Strange(_) => Outcome::Unreadable,
            Failure::NoRoom => Outcome::NoRoom,
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
    config: Config,
    /// The same, of which the period may change.
    settings: watch::Receiver<Config>,
    client: Client,
    /// Hears where the agent is, so that tokens may go there.
    authority: Authority,
    metrics: Metrics,
    /// Its address, once found.
    host: Mutex<Option<String>>,
    health: Mutex<Health>,
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

impl Agent {
    /// The agent that `settings` describe. Of these it follows the period.
    ///
    /// # Errors
    /// [`NoTls`] where OpenSSL cannot be set up.
    pub fn new(
        settings: watch::Receiver<Config>,
        authority: &Authority,
        metrics: Metrics,
    ) -> Result<Agent, NoTls> {
        let config = settings.borrow().clone();
        let client = Client::for_cluster(limits(config.period), authority)?;
        let (authority, host, health) = (authority.clone(), Mutex::default(), Mutex::default());
        let shared = Shared { config, settings, client, authority, metrics, host, health };
        Ok(Agent { shared: Arc::new(shared) })
    }

    /// Between two polls.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.shared.settings.borrow().period
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
        let files = &self.shared.config.files;
        let file = match what {
            What::State => &files.state,
            What::Nested => &None,
            What::Containers => &files.containers,
            What::System => &files.system,
        };
        if let Some(path) = file {
            let read = std::fs::read(path).map_err(|error| Failure::File(path.clone(), error))?;
            return Ok(Answer::Bytes(Some(read.into())));
        }
        let url = format!("{}{}", self.base().await?, what.route());
        let client = self.shared.client.within(self.patience());
        let asked = match what {
            What::Nested => client
                .post_json(&url, nested::REQUEST.into())
                .await
                .map(|body| Answer::Bytes(Some(body.into()))),
            _ => client.open(&url).await.map(Answer::Body),
        };
        Ok(asked.inspect_err(|error| {
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
        let news = self.noted().note(what, ended);
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

    /// Where the agent is, as far as is known.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        let host = self.host().clone()?;
        Some(self.url_of(&host))
    }

    async fn base(&self) -> Result<String, Failure> {
        let known = self.host().clone();
        if let Some(host) = known {
            return Ok(self.url_of(&host));
        }
        let host = self.shared.config.place.find().await?;
        self.shared.authority.name_agent(&host, self.shared.config.port);
        *self.host() = Some(host.clone());
        Ok(self.url_of(&host))
    }

    fn url_of(&self, host: &str) -> String {
        let Config { scheme, port, .. } = &self.shared.config;
        if host.contains(':') {
            format!("{scheme}://[{host}]:{port}")
        } else {
            format!("{scheme}://{host}:{port}")
        }
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Health> {
        self.shared.health.lock().expect("no code panics under this lock")
    }

    fn host(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.shared.host.lock().expect("no code panics under this lock")
    }
}

#[cfg(test)]
mod tests;
