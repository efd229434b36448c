//! A piece of the feed: records that were accepted one after the other.

use std::sync::Arc;

use bytes::Bytes;

use crate::record::Seq;
use crate::spool::topics::Topic;

/// What a piece costs beside its bytes: its counters, its parts, and the allocator's share.
const PIECE_OVERHEAD: usize = 160;
const PART_OVERHEAD: usize = size_of::<Part>();

/// Records that were accepted one after the other, of any topics.
#[derive(Debug)]
pub struct Piece {
    /// Number of its first record.
    pub first: Seq,
    /// Records in it.
    pub records: u32,
    /// Unix time of the acceptance of its first record, in milliseconds.
    pub accepted_ms: u64,
    /// Of what it is made, in order.
    pub parts: Vec<Part>,
    /// The records, one behind the other: our schema, no codec, no marker.
    pub body: Bytes,
    /// Bytes of the records of all pieces before it.
    pub(super) offset: u64,
}

/// Consecutive records of one topic.
#[derive(Debug)]
pub struct Part {
    /// What they are filed under.
    pub topic: Arc<Topic>,
    /// How many they are.
    pub records: u32,
    /// Their bytes.
    pub bytes: usize,
}

impl Piece {
    /// Number of the first record behind it.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.first.after(self.records)
    }

    /// Bytes that it counts for.
    pub(super) fn cost(&self) -> usize {
        self.body.len() + PIECE_OVERHEAD + self.parts.len() * PART_OVERHEAD
    }
}
