//! What an operator sets of the spool.

/// Settings of the spool. All of them may change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of waiting chunks kept in memory (`spool-memory`).
    pub memory_bytes: usize,
    /// What to do when that is full (`spool-full`).
    pub when_full: WhenFull,
    /// Topics that are told apart (`kafka-topics-max`); records of further ones are numbered and framed as one. With 0
    /// (`kafka-single-topic`) those of all topics are, those that were told apart before among them.
    pub topics_max: usize,
}

/// What a full spool does. In each case the ledger names what was dropped, by the output that still needed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Hold the input while Kafka makes progress, else drop the oldest.
    Auto,
    /// Never hold the input; drop the oldest.
    DropOldest,
    /// Hold the input until there is room, however long it takes.
    Hold,
}
