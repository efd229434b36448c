//! From bytes to chunks: the straight-line part of the input, without waiting and without IO.
//!
//! An [`Intake`] is a workbench: read buffer, decompressor, chunks in the making. All that is large is in it, and since a
//! read is worked off in one go, one workbench serves every connection of a thread. A connection keeps a [`Session`]:
//! the state of its stream, and the bytes of a block that has not come whole.

use std::sync::Arc;

use super::chunker::Chunker;
use super::record_log::RecordLog;
use crate::enrich::Enricher;
use crate::ocf::{
    self, Block, BlockFault, Codec, Decompressor, Event, Limits, Plan, PlanCache, RecordFault, Scratch, Step,
    Stream, StreamFault,
};
use crate::spool::{Appended, Spool, Topic};

/// Bytes of one read. Large enough that a busy sender costs few calls, small enough to be worked off in cache.
pub(super) const READ_BYTES: usize = 256 << 10;

/// While a header is incomplete, this much is looked at in one go.
const HEADER_STEP: usize = 1024;

/// A block's records, tags added, may have this many times `input-decompressed-bytes-max`.
const SPLICE_FACTOR_MAX: usize = 2;

/// What a connection keeps between reads.
#[derive(Debug, Default)]
pub(super) struct Session {
    stream: Stream,
    /// Bytes that were received and not yet taken: the beginning of a header or block.
    carry: Vec<u8>,
    /// Bytes that the stream wants to see at once, `carry` included.
    need: usize,
}

impl Session {
    /// Bytes held between reads.
    pub(super) fn carried(&self) -> usize {
        self.carry.capacity()
    }

    /// Whether something has come only in part.
    pub(super) fn is_partial(&self) -> bool {
        !self.carry.is_empty()
    }

    /// Whether the header has come.
    pub(super) fn has_header(&self) -> bool {
        self.stream.has_header()
    }

    /// Whether the stream may end here without a loss.
    pub(super) fn at_boundary(&self) -> bool {
        self.stream.at_boundary(self.carry.len())
    }
}

/// What came of some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) appended: Appended,
    pub(super) headers: u64,
    pub(super) blocks: u64,
    pub(super) refused_blocks: Vec<BlockFault>,
    /// Records in them, as far as they said so and it made sense.
    pub(super) refused_records: Vec<(RecordFault, u64)>,
    /// Bytes passed over on the search for a marker.
    pub(super) skipped_bytes: u64,
    /// Accepted records by enrichment: full, partial, none.
    pub(super) enrichment: [u64; 3],
}

impl Tally {
    fn refuse_record(&mut self, fault: RecordFault) {
        match self.refused_records.iter_mut().find(|(known, _)| *known == fault) {
            Some((_, records)) => *records += 1,
            None => self.refused_records.push((fault, 1)),
        }
    }
}

/// What all connections share, and every workbench uses.
pub(super) struct Rules {
    pub(super) limits: Limits,
    pub(super) plans: PlanCache,
    pub(super) enricher: Enricher,
    pub(super) spool: Spool,
    pub(super) record_log: Option<RecordLog>,
}

/// The workbench.
pub(super) struct Intake {
    rules: Arc<Rules>,
    chunker: Chunker,
    decompressor: Decompressor,
    decompressed: Vec<u8>,
    projected: Vec<u8>,
    scratch: Scratch,
    /// Bytes that the current block's records have become.
    spliced_bytes: usize,
    pub(super) buffer: Box<[u8]>,
}

impl Intake {
    pub(super) fn new(rules: Arc<Rules>) -> Intake {
        Intake {
            rules,
            chunker: Chunker::default(),
            decompressor: Decompressor::default(),
            decompressed: Vec::new(),
            projected: Vec::new(),
            scratch: Scratch::default(),
            spliced_bytes: 0,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        }
    }

    /// Works off the first `received` bytes of the buffer and appends what they complete to the spool.
    pub(super) fn work(
        &mut self,
        session: &mut Session,
        received: usize,
        now_ms: u64,
    ) -> (Tally, Result<(), StreamFault>) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut tally = Tally::default();
        let result = self.feed(session, &buffer[..received], &mut tally);
        self.buffer = buffer;
        tally.appended = self.rules.spool.append(self.chunker.drain(), now_ms);
        (tally, result)
    }

    /// The rest of a half-sent block is not going to come: it is refused, and good blocks behind a torn one's wrong size
    /// are taken in.
    pub(super) fn salvage(&mut self, session: &mut Session, now_ms: u64) -> Tally {
        let mut tally = Tally::default();
        tally.refused_blocks.push(BlockFault::Truncated);
        let mut carry = std::mem::take(&mut session.carry);
        while !carry.is_empty() && session.stream.give_up_block() {
            // A fault means that the stream is over, which it is.
            let Ok(taken) = self.run(session, &carry, &mut tally) else { break };
            if taken == 0 {
                break;
            }
            carry.drain(..taken);
        }
        session.carry = carry;
        tally.appended = self.rules.spool.append(self.chunker.drain(), now_ms);
        tally
    }

    fn feed(
        &mut self,
        session: &mut Session,
        mut bytes: &[u8],
        tally: &mut Tally,
    ) -> Result<(), StreamFault> {
        // What was carried over is completed with as few bytes as it needs; the rest is worked off where it lies.
        while !session.carry.is_empty() && !bytes.is_empty() {
            let least = if session.has_header() { 1 } else { HEADER_STEP };
            let wanted = session.need.saturating_sub(session.carry.len()).max(least).min(bytes.len());
            session.carry.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if session.carry.len() < session.need {
                return Ok(());
            }
            let mut carry = std::mem::take(&mut session.carry);
            let taken = self.run(session, &carry, tally)?;
            if taken < carry.len() {
                carry.drain(..taken);
                session.carry = carry;
            }
        }
        if !bytes.is_empty() {
            let taken = self.run(session, bytes, tally)?;
            session.carry.extend_from_slice(&bytes[taken..]);
        }
        Ok(())
    }

    /// Takes as many whole pieces of the stream as there are, and gives their length.
    fn run(&mut self, session: &mut Session, bytes: &[u8], tally: &mut Tally) -> Result<usize, StreamFault> {
        let rules = self.rules.clone();
        let mut at = 0;
        loop {
            match session.stream.step(&bytes[at..], &rules.limits, &rules.plans)? {
                Step::Need(need) => {
                    session.need = need;
                    return Ok(at);
                }
                Step::Take(taken, event) => {
                    at += taken;
                    match event {
                        Event::Header => tally.headers += 1,
                        Event::Block(block) => self.block(&block, tally),
                        Event::Refused(fault) => tally.refused_blocks.push(fault),
                        Event::Skipped => tally.skipped_bytes += taken as u64,
                    }
                }
            }
        }
    }

    fn block(&mut self, block: &Block<'_>, tally: &mut Tally) {
        // Moved out for the time of the call, so that it can be read while the rest is written.
        let mut decompressed = std::mem::take(&mut self.decompressed);
        let body = match block.codec {
            Codec::Null => Ok(block.bytes),
            codec => self
                .decompressor
                .decompress(codec, block.bytes, self.rules.limits.decompressed_bytes, &mut decompressed)
                .map(|()| &decompressed[..])
                .map_err(BlockFault::from),
        };
        let mut of_block = Tally::default();
        let result = body.and_then(|body| {
            self.chunker.begin(body.len());
            self.spliced_bytes = 0;
            match &block.plan {
                Plan::Native => self.native(body, block.records, &mut of_block),
                Plan::Project(plan) => self.project(plan, body, block.records, &mut of_block),
            }
        });
        self.decompressed = decompressed;
        match result {
            Ok(()) => {
                self.chunker.commit();
                tally.blocks += 1;
                for (sum, records) in tally.enrichment.iter_mut().zip(of_block.enrichment) {
                    *sum += records;
                }
                for (fault, records) in of_block.refused_records {
                    for _ in 0..records {
                        tally.refuse_record(fault);
                    }
                }
            }
            Err(fault) => {
                self.chunker.roll_back();
                tally.refused_blocks.push(fault);
            }
        }
    }

    fn native(&mut self, body: &[u8], records: u64, tally: &mut Tally) -> Result<(), BlockFault> {
        let mut at = 0;
        for _ in 0..records {
            if at == body.len() {
                return Err(BlockFault::CountMismatch);
            }
            let shape = ocf::walk(body, at).map_err(|_| BlockFault::BadRecord)?;
            at = shape.span.end;
            match shape.check(&self.rules.limits) {
                Ok(()) => self.add(body, &shape, tally)?,
                Err(fault) => tally.refuse_record(fault),
            }
        }
        if at == body.len() { Ok(()) } else { Err(BlockFault::CountMismatch) }
    }

    fn project(
        &mut self,
        plan: &ocf::Projection,
        body: &[u8],
        records: u64,
        tally: &mut Tally,
    ) -> Result<(), BlockFault> {
        let mut record = std::mem::take(&mut self.projected);
        let mut at = 0;
        for _ in 0..records {
            if at == body.len() {
                return Err(BlockFault::CountMismatch);
            }
            record.clear();
            let projected = plan
                .project(&body[at..], &self.rules.limits, &mut self.scratch, &mut record)
                .map_err(|_| BlockFault::BadRecord)?;
            at += projected.consumed;
            match projected.outcome {
                Ok(_) => {
                    let shape = ocf::walk(&record, 0).expect("a projection writes whole records");
                    self.add(&record, &shape, tally)?;
                }
                Err(fault) => tally.refuse_record(fault),
            }
        }
        self.projected = record;
        if at == body.len() { Ok(()) } else { Err(BlockFault::CountMismatch) }
    }

    /// Puts a record into its topic's chunk. Added tags may make a block of tiny records many times larger, which is
    /// bounded like its codec's output is.
    #[inline]
    fn add(&mut self, bytes: &[u8], shape: &ocf::Shape<'_>, tally: &mut Tally) -> Result<(), BlockFault> {
        let decision = self.rules.enricher.decide(&shape.origin);
        let new_topic = |name: &[u8]| -> Arc<Topic> { self.rules.spool.topic(name) };
        let body = self.chunker.body(shape.topic, new_topic);
        let before = body.len();
        ocf::splice(bytes, shape, &decision.add, body);
        if let Some(log) = &self.rules.record_log {
            log.record(&body[before..]);
        }
        self.spliced_bytes += body.len() - before;
        self.chunker.count(shape.datapoints);
        tally.enrichment[decision.enrichment as usize] += 1;
        if self.spliced_bytes > SPLICE_FACTOR_MAX * self.rules.limits.decompressed_bytes {
            return Err(BlockFault::DecompressedTooLarge);
        }
        Ok(())
    }
}
