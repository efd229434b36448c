//! How the stages are, as plain values: what `/v1/status` and its kin answer.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::Problem;

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Status {
    pub version: &'static str,
    pub revision: &'static str,
    /// Identifies this run of the process, and is in every message's headers.
    pub incarnation: String,
    /// Unix time of the start, in seconds.
    pub started_seconds: u64,
    pub pid: u32,
    pub input: InputStatus,
    pub spool: SpoolStatus,
    /// Null with `--kafka=false`.
    pub kafka: Option<KafkaStatus>,
    /// Null where brokers are named.
    pub discovery: Option<DiscoveryStatus>,
    /// Null with `--agent-polling=false`.
    pub agent: Option<AgentStatus>,
    pub memory: MemoryStatus,
    /// What went wrong in the last hour: what is so now first, then what began last.
    pub problems: Vec<Problem>,
}

/// The input stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InputStatus {
    pub listen: Option<SocketAddr>,
    pub socket: Option<PathBuf>,
    pub connections: usize,
    pub connections_max: usize,
    pub accepted_records: u64,
    pub accepted_datapoints: u64,
    pub received_bytes: u64,
    /// Records and blocks refused and connections ended by us, since start; `/metrics` has the reasons.
    pub refused_records: u64,
    pub refused_blocks: u64,
    pub closed_connections: u64,
    /// Whether reading is held back because the spool is full.
    pub held: bool,
    /// Records that wait until it is known whose they are; not accepted yet.
    pub apart_records: usize,
    pub apart_bytes: usize,
    /// Accepted records, by how many of agent, framework and application they name.
    pub enrichment: EnrichmentStatus,
}

/// How many of agent, framework and application records name, in records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EnrichmentStatus {
    /// All three.
    pub full: u64,
    /// Some.
    pub partial: u64,
    pub none: u64,
}

/// The Mesos agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AgentStatus {
    /// Where it is asked; none until that was found.
    pub address: Option<String>,
    /// What says where it is: `agent-ip`, `HOST` or `agent-ip-command`.
    pub found_by: &'static str,
    /// The tag `agent_id` of records; none until it is known.
    pub agent_id: Option<String>,
    /// Containers that are known, ended ones that are remembered included.
    pub containers: usize,
    /// Frameworks whose names are known.
    pub frameworks: usize,
    /// What it is asked for.
    pub asked: Vec<AskedStatus>,
}

/// One thing that the Mesos agent is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AskedStatus {
    /// `state`, `nested`, `containers`, `system`.
    pub what: &'static str,
    /// Where: `/state`.
    pub route: &'static str,
    /// What the last attempt came to, as in `metrics_collector_agent_polls_total`; null before the first has ended.
    pub result: Option<&'static str>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// When it was last answered: Unix time in seconds; null: never.
    pub answered_seconds: Option<u64>,
    /// How many seconds ago that is.
    pub age_seconds: Option<u64>,
}

/// The spool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SpoolStatus {
    /// `memory`.
    pub kind: &'static str,
    /// Records accepted since start.
    pub accepted_records: u64,
    pub chunks: usize,
    pub bytes: usize,
    pub bytes_max: usize,
    /// Unix time at which the oldest waiting chunk arrived, in milliseconds.
    pub oldest_ms: Option<u64>,
}

/// The Kafka output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KafkaStatus {
    pub brokers: Vec<String>,
    /// `connecting`, `up`, `down`.
    pub state: &'static str,
    /// What the brokers are; null until one has said it.
    pub broker: Option<BrokerStatus>,
    /// The last thing that went wrong, and when (Unix seconds).
    pub last_error: Option<(u64, String)>,
    /// Unix time of the last acknowledgement, in milliseconds.
    pub last_ack_ms: Option<u64>,
    /// Bytes of messages that were acknowledged since start.
    pub acknowledged_bytes: u64,
    pub in_flight_messages: usize,
    pub in_flight_bytes: usize,
    pub in_flight_bytes_max: usize,
    /// Topics with something waiting or a problem, worst first, at most 50.
    pub topics: Vec<TopicStatus>,
    /// How many topics there are in all.
    pub topics_total: usize,
    /// How many of them take no messages at present, as far as is known.
    pub topics_held: usize,
    /// How many besides are stalled.
    pub topics_stalled: usize,
}

/// The look for the brokers of a framework.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DiscoveryStatus {
    pub framework: String,
    /// What was found last; empty until something was.
    pub brokers: Vec<String>,
    /// The way that led to them, such as `dns-srv`; `file` for those of the last run.
    pub way: Option<&'static str>,
    /// Who said what.
    pub said: Option<String>,
    /// Unix time at which the list became what it is, in seconds.
    pub since_seconds: Option<u64>,
    /// Whether the last question was answered.
    pub answered: bool,
    /// The last time somebody was asked in vain: Unix time in seconds, and what each way said.
    pub last_error: Option<(u64, String)>,
    /// Unix time at which somebody is asked next, in seconds; none while somebody is.
    pub next_seconds: Option<u64>,
}

/// What the Kafka brokers are, and what is not used because of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BrokerStatus {
    /// The oldest Kafka that can do as much as the broker that was asked; `unknown` where it was only assumed.
    pub version: &'static str,
    /// `broker`, `kafka-broker-version`, or `assumed` where a broker could not be asked.
    pub known_by: &'static str,
    /// `version_negotiation`, `idempotence`, `headers`, `zstd`: switched off, because the brokers lack it.
    pub off: Vec<&'static str>,
}

/// One Kafka topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TopicStatus {
    pub topic: String,
    /// `flowing`, or why not: `unknown_topic`, `not_authorized`, `creating`, `retrying`, `message_too_large`; `stalled`:
    /// nothing of what is under way was acknowledged for a while.
    pub state: &'static str,
    pub waiting_records: u64,
    pub in_flight_records: u64,
    /// Unix time at which its oldest waiting record arrived, in milliseconds.
    pub oldest_ms: Option<u64>,
}

/// A partner output. Numbers are those of its present connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PartnerStatus {
    /// Null for those that gave none.
    pub name: Option<String>,
    /// Whether it is there; if not, its name has a place all the same.
    pub connected: bool,
    /// `tcp`, `unix` or `http`.
    pub protocol: Option<&'static str>,
    pub peer: Option<String>,
    /// `ocf` or `ndjson`.
    pub format: Option<&'static str>,
    /// Whether it says what it is done with.
    pub ack: bool,
    /// Globs of what it wants; an empty list wants all.
    pub topics: Vec<String>,
    pub frameworks: Vec<String>,
    /// `key=glob` each.
    pub tags: Vec<String>,
    /// Unix time in milliseconds since when it is connected, or since when it is not.
    pub since_ms: u64,
    pub sent_records: u64,
    /// Acknowledged, or taken by its socket.
    pub done_records: u64,
    /// Records that it was too slow for, as it was told on this connection: again where it did not acknowledge that before.
    pub lost_records: u64,
    /// Accepted and not sent to it, those among them that it does not want.
    pub behind_records: u64,
    /// Null for those that connect themselves.
    pub dialled: Option<DialStatus>,
}

/// How the connection to a partner stands that the collector connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DialStatus {
    /// `host:port`, or `unix:` and a path.
    pub address: String,
    /// Where each connection begins: `resume`, `now` or `oldest`.
    pub from: &'static str,
    /// `connecting`, `connected`, or `waiting` for the next attempt.
    pub state: &'static str,
    /// Why the last attempt failed or the last connection ended, and when (Unix seconds); null: neither has happened.
    pub last_error: Option<(u64, String)>,
    /// Unix time of the next attempt, in milliseconds, while it is waited for.
    pub next_ms: Option<u64>,
}

/// The one byte budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MemoryStatus {
    pub limit_bytes: usize,
    pub buffers_bytes: usize,
    pub resident_bytes: Option<u64>,
}
