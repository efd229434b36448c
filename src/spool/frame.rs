//! A frame: records of one topic that travel together, and the memory they are in.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::topics::Topic;
use crate::record::Seq;

/// What a frame costs beside its memory: itself, a place in the list and one in an output's queue, which may both have twice
/// the room that they need, and the allocator's share.
pub(super) const FRAME_OVERHEAD: usize = 448;

/// When a frame is full, and what room its memory has around the records, so that an output can make a message of it
/// where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Records at most.
    pub records_max: NonZeroU32,
    /// Bytes of records at most; a record that is larger has a frame of its own.
    pub bytes_max: usize,
    /// Bytes free before the first record of a large frame.
    pub room_before: usize,
    /// Bytes free behind the last one.
    pub room_behind: usize,
}

impl Default for Framing {
    /// Frames that no message is made of.
    fn default() -> Framing {
        let records_max = NonZeroU32::new(1024).expect("it is not 0");
        Framing { records_max, bytes_max: 512 << 10, room_before: 0, room_behind: 0 }
    }
}

/// Consecutive records of one topic, as accepted.
#[derive(Debug)]
pub struct Frame {
    /// Number of its first record.
    pub seq: Seq,
    /// Number of its first record among those of its topic.
    pub first: u64,
    /// What its records are filed under.
    pub topic: Arc<Topic>,
    /// Records in it.
    pub records: u32,
    /// Unix time of the acceptance of its first record, in milliseconds.
    pub accepted_ms: u64,
    /// Whether it was closed because another record would have been too much.
    pub is_full: bool,
    /// Whether outputs heard of it before it was closed.
    pub(super) was_opened: bool,
    pub(super) memory: Memory,
}

impl Frame {
    /// The records, one behind the other: our schema, no codec, no marker.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.memory.body()
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub(super) fn cost(&self) -> usize {
        self.memory.cost()
    }

    /// Its memory and where the records begin in it: what is before them is free.
    #[must_use]
    pub fn into_buffer(self) -> (Vec<u8>, usize) {
        (self.memory.buffer, self.memory.start)
    }
}

/// Names a frame that an output has been shown. The frame may be gone when it is asked for.
#[derive(Clone, Debug)]
pub struct FrameRef {
    pub(super) slot: usize,
    /// As in the frame.
    pub seq: Seq,
    /// As in the frame.
    pub topic: Arc<Topic>,
    /// As in the frame.
    pub records: u32,
    /// Bytes of its body.
    pub bytes: usize,
    /// As in the frame.
    pub accepted_ms: u64,
    /// As in the frame.
    pub is_full: bool,
    /// Whether the output has had [`Reader::opened`](super::Reader::opened) tell of it.
    pub was_opened: bool,
}

impl FrameRef {
    pub(super) fn new(slot: usize, frame: &Frame) -> FrameRef {
        FrameRef {
            slot,
            seq: frame.seq,
            topic: frame.topic.clone(),
            records: frame.records,
            bytes: frame.body().len(),
            accepted_ms: frame.accepted_ms,
            is_full: frame.is_full,
            was_opened: frame.was_opened,
        }
    }
}

/// Memory with records in it, and room before them.
#[derive(Debug, Default)]
pub(super) struct Memory {
    buffer: Vec<u8>,
    start: usize,
}

impl Memory {
    /// Empty, in `buffer`, with `room_before`.
    pub(super) fn new(mut buffer: Vec<u8>, room_before: usize) -> Memory {
        buffer.clear();
        buffer.resize(room_before, 0);
        Memory { buffer, start: room_before }
    }

    /// With the records that are in `buffer` from `start` on.
    pub(super) fn from_parts(buffer: Vec<u8>, start: usize) -> Memory {
        Memory { buffer, start }
    }

    /// The records.
    pub(super) fn body(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Bytes of records.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Whether it has been given any memory.
    #[inline]
    pub(super) fn is_there(&self) -> bool {
        self.buffer.capacity() > 0
    }

    /// What it counts for against the limit.
    pub(super) fn cost(&self) -> usize {
        if self.is_there() { self.buffer.capacity() + FRAME_OVERHEAD } else { 0 }
    }

    /// Forgets the records behind the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.buffer.truncate(self.start + len);
    }

    /// Makes room for `more` bytes: at least twice of what there was, but not beyond `full` bytes in all if those
    /// are enough.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize, full: usize) {
        if self.buffer.capacity() - self.buffer.len() < more {
            self.grow(more, full);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize, full: usize) {
        let least = self.buffer.len() + more;
        let twice = (2 * self.buffer.capacity()).min(full);
        self.buffer.reserve_exact(twice.max(least) - self.buffer.len());
    }

    /// Where records are appended.
    #[inline]
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Lets go of memory that is not needed, where that is much: what is kept for a while should not keep it.
    pub(super) fn fit(&mut self) {
        const ROOM: usize = 64;
        if self.buffer.capacity() > self.buffer.len() + self.buffer.len() / 2 + ROOM {
            self.buffer.shrink_to(self.buffer.len() + ROOM);
        }
    }
}

impl From<Memory> for Vec<u8> {
    fn from(memory: Memory) -> Vec<u8> {
        memory.buffer
    }
}
