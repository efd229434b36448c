//! A message on its way: a value, what it stands for in the books, and where it is in its topic.

use std::sync::Arc;

use super::lend::Lent;
use super::settings::MESSAGE_BYTES_MAX;
use crate::output::message::{Envelope, Value, fitting};
use crate::spool::{AsideReason, Frame, Outcome, Ticket};

/// One message of one Kafka topic.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) value: Value,
    pub(super) ticket: Ticket,
    /// Index of its topic.
    pub(super) topic: usize,
    /// Number of its first record within the topic; the others follow without a gap.
    pub(super) first: u64,
    /// Records in it.
    pub(super) records: u32,
    /// When its oldest record was accepted, Unix time in milliseconds.
    pub(super) accepted_ms: u64,
    /// Whether it went out with no other message of its topic under way.
    pub(super) alone: bool,
}

impl Lent for Batch {
    fn payload(&self) -> &[u8] {
        self.value.as_bytes()
    }
}

/// How large messages of a topic may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) records: u32,
    /// Of the whole value.
    pub(super) bytes: usize,
}

/// How records are numbered in a Kafka topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// Within their record topic, which is a Kafka topic of its own.
    Topic,
    /// Over all records, which go to one Kafka topic.
    All,
}

impl Numbering {
    pub(super) fn first(self, frame: &Frame) -> u64 {
        match self {
            Numbering::Topic => frame.first,
            Numbering::All => frame.seq.0,
        }
    }
}

/// Makes messages of frames and of other messages.
///
/// Large messages are made in buffers of one size that are used again: fresh memory costs a page fault every four
/// kilobytes, more than the copying.
#[derive(Debug)]
pub(super) struct Press {
    pub(super) envelope: Envelope,
    pub(super) numbering: Numbering,
    /// Records that were larger than any message, so far.
    pub(super) too_large: u64,
    /// Free buffers, each of `buffer_bytes`.
    buffers: Vec<Vec<u8>>,
    buffer_bytes: usize,
}

/// Messages smaller than this get memory of their own.
const LARGE: usize = 64 << 10;

impl Press {
    /// A press for messages of up to `message_bytes`.
    pub(super) fn new(envelope: Envelope, numbering: Numbering, message_bytes: usize) -> Press {
        let buffer_bytes = message_bytes + envelope.overhead();
        Press { envelope, numbering, too_large: 0, buffers: Vec::new(), buffer_bytes }
    }

    /// The messages for `frames` of one topic, in order: one, unless the frames have gaps between them or do not fit.
    pub(super) fn press(
        &mut self,
        topic: usize,
        frames: &[Arc<Frame>],
        mut ticket: Ticket,
        size: Size,
    ) -> Vec<Batch> {
        let mut batches = Vec::with_capacity(1);
        let mut rest = frames;
        while let Some(head) = rest.first() {
            let (mut n, mut records, mut bytes) = (0, 0u32, 0);
            let first = self.numbering.first(head);
            while let Some(frame) = rest.get(n) {
                let fits = records + frame.records <= size.records
                    && bytes + frame.body.len() + self.envelope.overhead() <= size.bytes;
                if !fits || self.numbering.first(frame) != first + u64::from(records) {
                    break;
                }
                (n, records, bytes) = (n + 1, records + frame.records, bytes + frame.body.len());
            }
            if n == 0 {
                let part = ticket.split(head.records.into(), head.body.len());
                let whole = Whole { first, records: head.records, accepted_ms: head.accepted_ms };
                self.cut(topic, &head.body, &whole, part, size, &mut batches);
                rest = &rest[1..];
                continue;
            }
            let buffer = self.buffer(bytes);
            let mut draft = self.envelope.draft(buffer, bytes);
            for frame in &rest[..n] {
                draft.push(&frame.body);
            }
            batches.push(Batch {
                value: self.envelope.finish(draft, records),
                ticket: ticket.split(records.into(), bytes),
                topic,
                first,
                records,
                accepted_ms: head.accepted_ms,
                alone: false,
            });
            rest = &rest[n..];
        }
        debug_assert_eq!(ticket.records(), 0, "the ticket stands for these frames");
        batches
    }

    /// Cuts a message into smaller ones. What is too large alone is set aside, for `reason`.
    pub(super) fn split(&mut self, batch: Batch, size: Size) -> Vec<Batch> {
        let mut parts = Vec::new();
        let Batch { value, ticket, topic, first, records, accepted_ms, .. } = batch;
        let whole = Whole { first, records, accepted_ms };
        self.cut(topic, value.body(), &whole, ticket, size, &mut parts);
        parts
    }

    fn cut(
        &mut self,
        topic: usize,
        body: &[u8],
        whole: &Whole,
        mut ticket: Ticket,
        size: Size,
        batches: &mut Vec<Batch>,
    ) {
        let bytes_max = size.bytes.saturating_sub(self.envelope.overhead());
        let (mut at, mut done) = (0, 0u32);
        while done < whole.records {
            let rest = &body[at..];
            let (mut records, mut bytes) = fitting(rest, size.records, bytes_max);
            if records == 0 {
                // Larger than messages are made of it goes alone, as long as any message may be as large.
                (records, bytes) = fitting(rest, 1, usize::MAX);
            }
            let too_large = bytes + self.envelope.overhead() > MESSAGE_BYTES_MAX;
            let part = ticket.split(records.into(), bytes);
            if too_large {
                self.too_large += 1;
                part.finish(Outcome::SetAside(AsideReason::RecordTooLarge));
            } else {
                let mut draft = self.envelope.draft(Vec::new(), bytes);
                draft.push(&rest[..bytes]);
                batches.push(Batch {
                    value: self.envelope.finish(draft, records),
                    ticket: part,
                    topic,
                    first: whole.first + u64::from(done),
                    records,
                    accepted_ms: whole.accepted_ms,
                    alone: false,
                });
            }
            (at, done) = (at + bytes, done + records);
        }
    }

    /// Takes a buffer back, to use it again, unless the free ones have `free_bytes_max` together already.
    pub(super) fn recycle(&mut self, value: Value, free_bytes_max: usize) {
        let buffer = value.into_buffer();
        let free_bytes = (self.buffers.len() + 1) * self.buffer_bytes;
        if buffer.capacity() >= self.buffer_bytes && free_bytes <= free_bytes_max {
            self.buffers.push(buffer);
        }
    }

    /// Lets go of the buffers that are kept: nothing has been sent for a while.
    pub(super) fn shrink(&mut self) {
        self.buffers = Vec::new();
    }

    /// Whether it keeps any.
    pub(super) fn holds_buffers(&self) -> bool {
        !self.buffers.is_empty()
    }

    fn buffer(&mut self, bytes: usize) -> Vec<u8> {
        if bytes < LARGE {
            return Vec::new();
        }
        self.buffers.pop().unwrap_or_else(|| Vec::with_capacity(self.buffer_bytes))
    }
}

/// What parts of a message take from the whole.
struct Whole {
    first: u64,
    records: u32,
    accepted_ms: u64,
}
