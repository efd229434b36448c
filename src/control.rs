//! What an operator may ask: snapshots of every stage in one place, as plain values.
//!
//! The HTTP server knows this module and no stage. [`Control`] is cheap to clone and never waits: each call reads
//! counters or takes a short lock. What may be changed is in [`steering`], and only that may take a while.

#![expect(
    missing_docs,
    reason = "fields are the JSON keys and say what they are; those that do not have docs"
)]

mod status;
pub mod steering;
mod topics;
mod watched;

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use steering::{ConfigView, NotChanged, Order, Outcome, Steering};
use tokio::task::JoinHandle;

pub use crate::spool::{Ledger, OutputLedger};
pub use status::{
    AgentStatus, AskedStatus, BrokerStatus, DialStatus, DiscoveryStatus, EnrichmentStatus, InputStatus,
    KafkaStatus, MemoryStatus, PartnerStatus, SpoolStatus, Status, TopicStatus,
};
pub use topics::{KafkaTopic, TopicState, TopicView, Topics, TopicsQuery};
pub use watched::{Problem, SenderStatus, Watched};

/// What a stream gives, piece by piece, until it ends or the receiver is dropped.
pub type Pieces = tokio::sync::mpsc::Receiver<Piece>;

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub bytes: bytes::Bytes,
    /// The stream may end behind it: nothing is half there.
    pub is_whole: bool,
}

/// Asks the stages.
#[derive(Clone)]
pub struct Control {
    stages: Arc<dyn Stages>,
    steering: Arc<dyn Steering>,
}

/// What the stages answer. The program has one implementation, in `app`; tests of the HTTP server have another.
pub trait Stages: Send + Sync {
    /// Addresses and formats for local processes.
    fn endpoints(&self) -> Endpoints;
    /// Ends when the line has had a turn of its thread; never, where something holds that for ever.
    fn pulse(&self) -> JoinHandle<()>;
    /// Every part and whether it is ready.
    fn readiness(&self) -> Vec<Part>;
    /// Partners: connected, dialled, or with a place.
    fn partners(&self) -> Vec<PartnerStatus>;
    /// Ends the place of partners that connect by `name`, and the connection that has it, as `by` wants it. False: there is
    /// none.
    fn forget_partner(&self, name: &str, by: &str) -> bool;
    /// Records as they arrive.
    ///
    /// # Errors
    /// [`NoStream`]
    fn stream(&self, query: StreamQuery) -> Result<Pieces, NoStream>;
    /// What runs.
    fn status(&self) -> Status;
    /// The books.
    fn ledger(&self) -> Ledger;
    /// What whoever watches sees besides.
    fn watched(&self) -> Watched;
    /// Record topics, those that are asked for.
    fn topics(&self, query: &TopicsQuery) -> Topics;
    /// The page for Prometheus, text format 0.0.4.
    fn metrics(&self) -> String;
}

impl Control {
    /// A control over these stages, and their configuration.
    #[must_use]
    pub fn new(stages: Arc<dyn Stages>, steering: Arc<dyn Steering>) -> Control {
        Control { stages, steering }
    }

    /// See [`Steering::view`].
    #[must_use]
    pub fn config(&self) -> Arc<ConfigView> {
        self.steering.view()
    }

    /// See [`Steering::schema`].
    #[must_use]
    pub fn config_schema(&self) -> serde_json::Value {
        self.steering.schema()
    }

    /// See [`Steering::partner_schema`].
    #[must_use]
    pub fn partner_schema(&self) -> serde_json::Value {
        self.steering.partner_schema()
    }

    /// See [`Steering::change`].
    ///
    /// # Errors
    /// [`NotChanged`]; everything is as before then.
    pub async fn change(&self, order: Order) -> Result<Outcome, NotChanged> {
        self.steering.change(order).await
    }

    /// See [`Stages::endpoints`].
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.stages.endpoints()
    }

    /// See [`Stages::pulse`].
    #[must_use]
    pub fn pulse(&self) -> JoinHandle<()> {
        self.stages.pulse()
    }

    /// See [`Stages::readiness`].
    #[must_use]
    pub fn readiness(&self) -> Vec<Part> {
        self.stages.readiness()
    }

    /// See [`Stages::partners`].
    #[must_use]
    pub fn partners(&self) -> Vec<PartnerStatus> {
        self.stages.partners()
    }

    /// The partner called `name`: connected, dialled, or with a place.
    #[must_use]
    pub fn partner(&self, name: &str) -> Option<PartnerStatus> {
        self.stages.partners().into_iter().find(|partner| partner.name.as_deref() == Some(name))
    }

    /// See [`Stages::forget_partner`].
    #[must_use]
    pub fn forget_partner(&self, name: &str, by: &str) -> bool {
        self.stages.forget_partner(name, by)
    }

    /// See [`Stages::stream`].
    ///
    /// # Errors
    /// [`NoStream`]
    pub fn stream(&self, query: StreamQuery) -> Result<Pieces, NoStream> {
        self.stages.stream(query)
    }

    /// See [`Stages::status`].
    #[must_use]
    pub fn status(&self) -> Status {
        self.stages.status()
    }

    /// See [`Stages::ledger`].
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.stages.ledger()
    }

    /// See [`Stages::watched`].
    #[must_use]
    pub fn watched(&self) -> Watched {
        self.stages.watched()
    }

    /// See [`Stages::topics`].
    #[must_use]
    pub fn topics(&self, query: &TopicsQuery) -> Topics {
        self.stages.topics(query)
    }

    /// See [`Stages::metrics`].
    #[must_use]
    pub fn metrics(&self) -> String {
        self.stages.metrics()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

/// `GET /v1/endpoints`: where local processes send to and take from. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Endpoints {
    /// Version of this answer's shape: 1.
    pub version: u32,
    /// Where metrics go in.
    pub inputs: Vec<Endpoint>,
    /// Where metrics come out.
    pub outputs: Vec<Endpoint>,
    /// Where this was asked: `host:port` of the HTTP server.
    pub http: String,
}

/// One place to connect to, or one that the collector connects to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Endpoint {
    /// `tcp`, `unix` or `kafka`.
    pub protocol: &'static str,
    /// `host:port`, a path, or for Kafka the bootstrap list. A port 0 of the configuration shows as the real one.
    pub address: String,
    /// `avro-ocf`: an Avro object container stream; for Kafka a whole one in each message.
    pub format: &'static str,
    /// Full name of the records' Avro schema.
    pub schema: &'static str,
    /// For Kafka: the rule from record topic to Kafka topic, `metrics-<topic>` or a single name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

/// One part of the collector, ready or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Part {
    /// `input`, `spool`, `kafka`, ...
    pub name: &'static str,
    /// Whether it does its work.
    pub ready: bool,
    /// In one sentence what is so, or what is missing and what to do.
    pub detail: String,
}

/// Longest glob of a filter, and most of them in a list: what each record may have to be compared with.
pub const GLOB_BYTES_MAX: usize = 256;
/// As above.
pub const GLOBS_MAX: usize = 16;

/// Most records, and most seconds, that a stream over HTTP may be bounded by.
pub const STREAM_RECORDS_MAX: u64 = 1_000_000_000;
/// As above.
pub const STREAM_SECONDS_MAX: u32 = 600;

/// What is asked of `GET /v1/stream`, as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamQuery {
    /// Globs, of which one must match.
    pub topics: Vec<String>,
    pub frameworks: Vec<String>,
    /// `key=glob` each, all of which must match.
    pub tags: Vec<String>,
    /// `now` or `oldest`.
    pub from: Option<String>,
    /// `ocf` or `ndjson`.
    pub format: Option<String>,
    /// Records after which it ends.
    pub limit: Option<String>,
    /// Seconds after which it ends, fractions of one too.
    pub seconds: Option<String>,
}

/// Why there is no stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoStream {
    /// What was asked is nothing that can be asked; in one sentence why.
    Bad(String),
    /// There are as many as may be.
    Limit,
    /// The collector is ending.
    Ending,
}
