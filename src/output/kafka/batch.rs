//! A message on its way: a value, what it stands for in the books, and where it is in its topic.

use std::sync::Arc;

use super::settings::MESSAGE_BYTES_MAX;
use crate::output::message::{Draft, Envelope, Value, fitting};
use crate::record::Seq;
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
    /// Number of its first record over all topics: where it stood in the spool.
    pub(super) seq: Seq,
    /// Records in it.
    pub(super) records: u32,
    /// When its oldest record was accepted, Unix time in milliseconds.
    pub(super) accepted_ms: u64,
    /// Whether it went out with no other message of its topic under way.
    pub(super) alone: bool,
}

/// How large messages of a topic may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) records: u32,
    /// Of the whole value.
    pub(super) bytes: usize,
}

/// Makes messages of frames and of other messages.
#[derive(Debug)]
pub(super) struct Press {
    pub(super) envelope: Envelope,
    /// Records that were larger than any message, so far.
    pub(super) too_large: u64,
}

impl Press {
    pub(super) fn new(envelope: Envelope) -> Press {
        Press { envelope, too_large: 0 }
    }

    /// The messages for `frames` of one topic, in order: one, unless the frames have gaps between them or do not fit. A
    /// message of a single frame that nobody else needs is made where the frame lies.
    pub(super) fn press(
        &mut self,
        topic: usize,
        frames: Vec<Arc<Frame>>,
        mut ticket: Ticket,
        size: Size,
    ) -> Vec<Batch> {
        let mut batches = Vec::with_capacity(1);
        let mut rest = frames.into_iter().peekable();
        while let Some(head) = rest.next() {
            let (first, seq, accepted_ms) = (head.first, head.seq, head.accepted_ms);
            let (mut records, mut bytes) = (head.records, head.body().len());
            if records > size.records || bytes + self.envelope.overhead() > size.bytes {
                let part = ticket.split(records.into(), bytes);
                let whole = Whole { first, seq, records, accepted_ms };
                self.cut(topic, head.body(), &whole, part, size, &mut batches);
                continue;
            }
            let mut others = Vec::new();
            while let Some(frame) = rest.next_if(|frame| {
                records + frame.records <= size.records
                    && bytes + frame.body().len() + self.envelope.overhead() <= size.bytes
                    && frame.first == first + u64::from(records)
            }) {
                (records, bytes) = (records + frame.records, bytes + frame.body().len());
                others.push(frame);
            }
            let draft = self.draft(head, &others, bytes);
            batches.push(Batch {
                value: self.envelope.finish(draft, records),
                ticket: ticket.split(records.into(), bytes),
                topic,
                first,
                seq,
                records,
                accepted_ms,
                alone: false,
            });
        }
        debug_assert_eq!(ticket.records(), 0, "the ticket stands for these frames");
        batches
    }

    fn draft(&self, mut head: Arc<Frame>, others: &[Arc<Frame>], bytes: usize) -> Draft {
        if others.is_empty() {
            match Arc::try_unwrap(head) {
                Ok(frame) => return self.envelope.draft_of(frame.into_buffer()),
                Err(shared) => head = shared,
            }
        }
        let mut draft = self.envelope.draft(bytes);
        draft.push(head.body());
        for frame in others {
            draft.push(frame.body());
        }
        draft
    }

    /// Cuts a message into smaller ones. What is too large alone is set aside, for `reason`.
    pub(super) fn split(&mut self, batch: Batch, size: Size) -> Vec<Batch> {
        let mut parts = Vec::new();
        let Batch { value, ticket, topic, first, seq, records, accepted_ms, .. } = batch;
        let whole = Whole { first, seq, records, accepted_ms };
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
                let mut draft = self.envelope.draft(bytes);
                draft.push(&rest[..bytes]);
                batches.push(Batch {
                    value: self.envelope.finish(draft, records),
                    ticket: part,
                    topic,
                    first: whole.first + u64::from(done),
                    seq: whole.seq.after(done),
                    records,
                    accepted_ms: whole.accepted_ms,
                    alone: false,
                });
            }
            (at, done) = (at + bytes, done + records);
        }
    }
}

/// What parts of a message take from the whole.
struct Whole {
    first: u64,
    seq: Seq,
    records: u32,
    accepted_ms: u64,
}
