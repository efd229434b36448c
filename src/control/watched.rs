//! What whoever watches the collector sees besides status, books and partners.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// One look, besides status, books and partners.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Senders that are connected, at most ten: those that have sent most.
    pub senders: Vec<SenderStatus>,
    /// Bytes that wait for each output, by its name in the books.
    pub waiting_bytes: BTreeMap<String, usize>,
    /// Bytes that partners and streams took since start.
    pub partner_bytes: u64,
}

/// A sender. Numbers are those of its present connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SenderStatus {
    /// Its address, or `unix socket`.
    pub peer: String,
    /// Tells connections apart, also two of the same peer.
    pub connection: u64,
    /// Unix time in milliseconds since when it is connected.
    pub since_ms: u64,
    /// Accepted records.
    pub records: u64,
    /// Received bytes.
    pub bytes: u64,
}

/// Something that went wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// The part that it concerns, as `/-/ready` has it; `partners` and `collector` besides.
    pub part: &'static str,
    /// For programs: `kafka_unreachable`, `input_torn`, ...
    pub kind: &'static str,
    /// What is wrong.
    pub what: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// The newest words on it.
    pub detail: String,
    /// Whether it is so at present; else it was so until `over_ms`, or happened.
    pub now: bool,
    /// How often it was noted since it began.
    pub times: u64,
    /// When it was noted first, and last; Unix time in milliseconds.
    pub first_ms: u64,
    pub last_ms: u64,
    /// Since when it is over, where it lasts; Unix time in milliseconds.
    pub over_ms: Option<u64>,
}
