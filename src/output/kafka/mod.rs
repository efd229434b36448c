//! The Kafka output: from the spool to acknowledged messages.
//!
//! # What it promises
//! * Kafka's acknowledgement, from all in-sync replicas, is the only delivery. Until then a record counts as waiting, and
//!   its message is sent again for as long as it takes. No clock decides that a record is lost.
//! * At least once, in order: within a topic and key messages go out in the order of acceptance. What has to be sent again
//!   because the broker refused it, as too large for one, comes behind what was under way with it. A message says in its
//!   headers which records of its topic it has (`incarnation`, `first`, `records`), so that a consumer sees what came
//!   twice and what is missing.
//! * One topic's trouble is its own. A topic that does not exist, may not be written or takes only small messages is held,
//!   asked again, or served in smaller parts, while the others flow; it never has more than a quarter of what may be under
//!   way, and what is stuck of it does not count against the others.
//! * Whatever version the brokers have, from 0.9 on, needs no setting: they are asked what they can do before a producer
//!   is made ([`ask`]), and what they lack is switched off and said.
//! * Settings change while it runs ([`changes`](self)). No record is lost by that, and none comes twice but what was not
//!   acknowledged when brokers or credentials changed.
//! * It starts without Kafka and stays up without it. When a broker comes back it is found within a second; when the
//!   brokers are others than before, a new producer takes over what the old one still held.
//!
//! # How it works
//! One task ([`task`](self)) owns everything. Frames of the spool are put down under their Kafka topic, and stay in the
//! spool, where they grow: only when a message is due (by count, bytes or age) are they taken, as a rule one that becomes
//! a message where it lies, which librdkafka borrows until it reports back. `kafka-queue-max` bounds the bytes under way.
//! The producer is made for the brokers that are there (`abilities`, `probe`, `fit`).
//! librdkafka retries by itself what can be retried; what comes back all the same is sorted by the table in `errors`.
//! What cannot be sent for a while goes back into the spool.
//!
//! # When something is full, slow, gone or lying
//! * No permit: the topic waits in the spool, which decides what a full spool does.
//! * The cluster gone, or letting nobody in: messages under way stay with librdkafka, the rest in the spool; `/-/ready` names
//!   the cause.
//! * The producer fenced or failed for good: it is purged, and a new one sends what it held.
//! * The process asked to end: all that waits is closed and sent at once; what is not acknowledged within the grace is
//!   named and booked as lost.

mod abilities;
mod admin;
mod asking;
mod batch;
mod brokers;
mod changes;
mod errors;
mod fit;
mod flow;
mod lend;
mod metrics;
mod naming;
mod notes;
mod probe;
mod producer;
mod queue;
mod record_log;
mod returns;
mod sending;
mod settings;
mod state;
mod task;
mod tls;
mod topics;

use std::sync::Arc;

use tokio::sync::watch;

pub use abilities::{Abilities, PINS};
pub use brokers::{Brokers, Known, List};
pub use metrics::Metrics;
pub use probe::{Found, NoAnswer, Patience, ask};
pub use producer::check;
pub use settings::{
    BatchLimits, Compression, Config, Key, MESSAGE_BYTES_MAX, Naming, NewTopic, Sasl, SaslMechanism,
    Security, Tls,
};
pub use tls::TlsProperties;
pub use topics::TopicNews;

use crate::control::{KafkaStatus, Part};
use crate::output::message::Envelope;
use crate::record::TopicName;
use crate::spool::Reader;
use state::Board;

/// Value of the header `format`: what a message's value is, and a version for what it may become.
pub const FORMAT: &str = "avro-ocf/1";

/// The output, ready to run.
pub struct Kafka {
    task: task::Task,
    handle: Handle,
}

/// Asks the output.
#[derive(Clone)]
pub struct Handle {
    board: Arc<Board>,
}

impl Kafka {
    /// An output that reads from `reader` and delivers to `brokers`. `envelope` and `incarnation` are the process's. It
    /// follows `settings`, but for `properties`. Brokers that are named are in both, and the same.
    #[must_use]
    pub fn new(
        settings: watch::Receiver<Config>,
        mut brokers: Brokers,
        reader: Reader,
        envelope: Envelope,
        incarnation: String,
        metrics: Metrics,
    ) -> Kafka {
        let queue_bytes = settings.borrow().queue_bytes.get();
        let board = Arc::new(Board::new(brokers.list(), queue_bytes));
        let handle = Handle { board: board.clone() };
        Kafka {
            task: task::Task::new(settings, brokers, reader, envelope, incarnation, board, metrics),
            handle,
        }
    }

    /// The same, with the agent's id from `id` once it is known there, where the configuration has none.
    #[must_use]
    pub fn with_agent_id(mut self, id: watch::Receiver<Option<Arc<str>>>) -> Kafka {
        self.task.agent_id = Some(id);
        self
    }

    /// For those who ask.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Delivers until the spool is closed and empty, or `deadline` becomes true. Gives what was not delivered, by topic.
    pub async fn run(self, deadline: watch::Receiver<bool>) -> Vec<(TopicName, u64)> {
        self.task.run(deadline).await
    }
}

impl Handle {
    /// How it is, at most five seconds old; at most one while something is under way or held.
    #[must_use]
    pub fn status(&self) -> KafkaStatus {
        self.board.status()
    }

    /// What is known of each record topic, by its number; how it flows as old as the status.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicNews> {
        self.board.topics.all()
    }

    /// Ready or not.
    #[must_use]
    pub fn part(&self) -> Part {
        self.board.part()
    }
}

#[cfg(test)]
mod tests;
