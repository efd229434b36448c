//! What an operator sets of the spool.

/// Settings of the spool.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of waiting chunks kept in memory (`spool-memory`).
    pub memory_bytes: usize,
    /// What to do when that is full (`spool-full`).
    pub when_full: WhenFull,
    /// Topics that are told apart (`kafka-topics-max`; none with `kafka-single-topic`); records of further ones are
    /// numbered and framed as one.
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
