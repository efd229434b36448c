//! Streams of records as they arrive: what is asked, and what comes.

/// What a stream gives, piece by piece, until it ends or the receiver is dropped.
pub type Pieces = tokio::sync::mpsc::Receiver<bytes::Bytes>;

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
