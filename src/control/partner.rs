//! What an operator may ask of the partners, and of streams over HTTP.

use serde::Serialize;

/// What a stream gives, piece by piece, until it ends or the receiver is dropped.
pub type Pieces = tokio::sync::mpsc::Receiver<bytes::Bytes>;

/// A partner output. Numbers are those of its present connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartnerStatus {
    /// Absent for those that gave none.
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
    /// Records that it was too slow for.
    pub lost_records: u64,
    /// Accepted and not sent to it, those among them that it does not want.
    pub behind_records: u64,
    /// Absent for those that connect themselves.
    pub dialled: Option<DialStatus>,
}

/// How the connection to a partner stands that the collector connects to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DialStatus {
    /// `host:port`, or `unix:` and a path.
    pub address: String,
    /// Where each connection begins: `resume`, `now` or `oldest`.
    pub from: &'static str,
    /// `connecting`, `connected`, or `waiting` for the next attempt.
    pub state: &'static str,
    /// Why the last attempt failed or the last connection ended, and when (Unix seconds); absent: neither has happened.
    pub last_error: Option<(u64, String)>,
    /// Unix time of the next attempt, in milliseconds, while it is waited for.
    pub next_ms: Option<u64>,
}

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
