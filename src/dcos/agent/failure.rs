//! What can come of asking the agent.

use std::path::PathBuf;

use super::{NoAddress, What};
use crate::dcos::client::{self, Problem};
use crate::dcos::cut::NotJson;

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

    /// Whether nothing was heard, or not all: the next attempt may fare better, with nothing changed at the agent.
    #[must_use]
    pub fn is_silence(self) -> bool {
        matches!(self, Outcome::NoAddress | Outcome::NoConnection | Outcome::TimedOut)
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
