//! From bytes to records in the spool: the straight-line part of the input, without waiting and without IO.
//!
//! An [`Intake`] is a workbench: read buffer, decompressor, scratch space. All that is large is in it, and since a
//! read is worked off in one go, one workbench serves every connection of a thread. A connection keeps a [`Session`]:
//! the state of its stream, and the bytes of a block that has not come whole.

use std::sync::Arc;

use super::entry::{Rules, Terms};
use super::tally::Tally;
use crate::ocf::{Block, BlockFault, Codec, Decompressor, Event, Plan, Scratch, Step, Stream, StreamFault};
use crate::spool::Weight;

/// Bytes of one read. Large enough that a busy sender costs few calls, small enough to be worked off in cache.
pub(super) const READ_BYTES: usize = 256 << 10;

/// While a header is incomplete or a marker is searched for, this much is looked at in one go.
const OPEN_ENDED_STEP: usize = 16 << 10;

/// What a connection keeps between reads.
#[derive(Debug, Default)]
pub(super) struct Session {
    stream: Stream,
    /// Bytes that were received and not yet taken: the beginning of a header or block.
    carry: Vec<u8>,
    /// Bytes that the stream wants to see at once, `carry` included.
    need: usize,
    /// `carry` has more than the beginning of something: the last turn was long enough.
    has_more: bool,
    /// The last turn came to as much as one may.
    is_heavy: bool,
}

impl Session {
    /// Bytes held between reads.
    pub(super) fn carried(&self) -> usize {
        self.carry.capacity()
    }

    /// Whether there is work left from the last turn.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Whether the last turn came to as much as one may.
    pub(super) fn is_heavy(&self) -> bool {
        self.is_heavy
    }

    /// What its next turn may come to, as far as one can tell.
    pub(super) fn weight(&self) -> Weight {
        if self.is_heavy { Weight::Heavy } else { Weight::Light }
    }

    /// Whether something has come only in part. While a marker is searched for, nothing is waited for.
    pub(super) fn is_partial(&self) -> bool {
        !self.carry.is_empty() && !self.stream.is_lost()
    }

    /// Whether the header has come.
    pub(super) fn has_header(&self) -> bool {
        self.stream.has_header()
    }

    /// Whether what has come in part is only taken for a block, because a lost marker was found before it.
    pub(super) fn is_on_trial(&self) -> bool {
        self.stream.is_suspect()
    }

    /// Carries so much more. Room for it is made as the bytes come, and not for more than the stream wants to see.
    fn carry(&mut self, bytes: &[u8]) {
        let len = self.carry.len() + bytes.len();
        if len > self.carry.capacity() {
            let room = (2 * self.carry.len()).min(self.need).max(len);
            self.carry.reserve_exact(room - self.carry.len());
        }
        self.carry.extend_from_slice(bytes);
    }

    /// Carries what was carried before, but for what was taken, and no room besides.
    fn keep(&mut self, carry: Vec<u8>, taken: usize) {
        self.carry = if taken == 0 { carry } else { carry[taken..].to_vec() };
    }
}

/// The workbench.
pub(super) struct Intake {
    rules: Arc<Rules>,
    decompressor: Decompressor,
    decompressed: Vec<u8>,
    projected: Vec<u8>,
    scratch: Scratch,
    pub(super) buffer: Box<[u8]>,
}

impl Intake {
    pub(super) fn new(rules: Arc<Rules>) -> Intake {
        Intake {
            rules,
            decompressor: Decompressor::default(),
            decompressed: Vec::new(),
            projected: Vec::new(),
            scratch: Scratch::default(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        }
    }

    /// Works off the first `received` bytes of the buffer, or what the last turn left over: the blocks that are whole
    /// are in the spool then.
    pub(super) fn work(
        &mut self,
        session: &mut Session,
        received: usize,
        now_ms: u64,
    ) -> (Tally, Result<(), StreamFault>) {
        let terms = self.rules.terms();
        let buffer = std::mem::take(&mut self.buffer);
        let mut tally = Tally { now_ms, ..Tally::default() };
        let result = self.feed(session, &terms, &buffer[..received], &mut tally);
        self.buffer = buffer;
        session.is_heavy = tally.is_enough();
        (tally, result)
    }

    /// The rest of a half-sent block is not going to come: it is refused, and good blocks behind a torn one's wrong size
    /// are taken in, as many as one turn may have. The beginning of a block behind those is kept, unless the connection
    /// is over.
    pub(super) fn salvage(
        &mut self,
        session: &mut Session,
        now_ms: u64,
        is_over: bool,
    ) -> (Tally, Result<(), StreamFault>) {
        let terms = self.rules.terms();
        let mut tally = Tally { now_ms, ..Tally::default() };
        let carry = std::mem::take(&mut session.carry);
        // What the last turn left over may be whole.
        let mut is_left_over = std::mem::take(&mut session.has_more);
        let mut at = 0;
        while at < carry.len() && !tally.is_enough() {
            if !std::mem::take(&mut is_left_over) {
                let is_half_sent = session.stream.in_block();
                if !is_half_sent && !session.stream.is_suspect()
                    || is_half_sent && tally.blocks > 0 && !is_over
                {
                    break;
                }
                if is_half_sent {
                    tally.refuse_block(BlockFault::Truncated);
                }
                session.stream.give_up_block();
            }
            match self.run(session, &terms, &carry[at..], &mut tally) {
                Ok(taken) => at += taken,
                Err(fault) => return (tally, Err(fault)),
            }
        }
        session.is_heavy = tally.is_enough();
        session.has_more = tally.is_enough() && at < carry.len();
        session.keep(carry, at);
        (tally, Ok(()))
    }

    fn feed(
        &mut self,
        session: &mut Session,
        terms: &Terms,
        mut bytes: &[u8],
        tally: &mut Tally,
    ) -> Result<(), StreamFault> {
        // What was carried over is completed with as few bytes as it needs; the rest is worked off where it lies.
        while !session.carry.is_empty() && (!bytes.is_empty() || session.has_more) && !tally.is_enough() {
            session.has_more = false;
            let least = if session.stream.is_open_ended() { OPEN_ENDED_STEP } else { 1 };
            let wanted = session.need.saturating_sub(session.carry.len()).max(least).min(bytes.len());
            session.carry(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if session.carry.len() < session.need {
                return Ok(());
            }
            let carry = std::mem::take(&mut session.carry);
            let taken = self.run(session, terms, &carry, tally)?;
            session.keep(carry, taken);
        }
        let mut taken = 0;
        if session.carry.is_empty() && !bytes.is_empty() {
            taken = self.run(session, terms, bytes, tally)?;
        }
        session.carry(&bytes[taken..]);
        session.has_more = tally.is_enough() && !session.carry.is_empty();
        Ok(())
    }

    /// Takes as many whole pieces of the stream as there are and one turn may have, and gives their length.
    fn run(
        &mut self,
        session: &mut Session,
        terms: &Terms,
        bytes: &[u8],
        tally: &mut Tally,
    ) -> Result<usize, StreamFault> {
        let rules = self.rules.clone();
        let mut at = 0;
        loop {
            match session.stream.step(&bytes[at..], &terms.limits, &rules.plans)? {
                Step::Need(need) => {
                    session.need = need;
                    return Ok(at);
                }
                Step::Take(taken, event) => {
                    at += taken;
                    match event {
                        Event::Header => tally.headers += 1,
                        Event::Block(block) => self.block(&block, terms, &rules, tally),
                        Event::Refused(fault) => tally.refuse_block(fault),
                        Event::Skipped => tally.skipped_bytes += taken as u64,
                    }
                    if tally.is_enough() {
                        session.need = 0;
                        return Ok(at);
                    }
                }
            }
        }
    }

    fn block(&mut self, block: &Block<'_>, terms: &Terms, rules: &Rules, tally: &mut Tally) {
        if rules.would_blow_up(terms, block.records) {
            tally.refuse_block(BlockFault::DecompressedTooLarge);
            return;
        }
        // Moved out for the time of the call, so that it can be read while the rest is written.
        let mut decompressed = std::mem::take(&mut self.decompressed);
        let body = match block.codec {
            Codec::Null => Ok(block.bytes),
            codec => self
                .decompressor
                .decompress(codec, block.bytes, terms.limits.decompressed_bytes, &mut decompressed)
                .map(|()| &decompressed[..])
                .map_err(BlockFault::from),
        };
        let (of_block, result) = match body {
            Ok(body) => rules.accept(terms, tally.now_ms, |entry| match &block.plan {
                Plan::Native => entry.native(body, block.records),
                Plan::Project(plan) => {
                    entry.project(plan, body, block.records, &mut self.scratch, &mut self.projected)
                }
            }),
            Err(fault) => (Tally::default(), Err(fault)),
        };
        // A block that decompresses to too much has cost as much all the same.
        let unpacked = if block.codec == Codec::Null { 0 } else { decompressed.len() };
        tally.worked_bytes += unpacked.max(of_block.worked_bytes);
        self.decompressed = decompressed;
        match result {
            Ok(()) => {
                tally.blocks += 1;
                tally.add(of_block);
            }
            Err(fault) => tally.refuse_block(fault),
        }
    }
}

#[cfg(test)]
mod tests;
