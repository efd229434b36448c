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

/// While a header is incomplete or a marker is searched for, this much is looked at in one go.
const OPEN_ENDED_STEP: usize = 16 << 10;

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
            let least = if session.stream.is_open_ended() { OPEN_ENDED_STEP } else { 1 };
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
        if self.would_blow_up(block.records) {
            tally.refused_blocks.push(BlockFault::DecompressedTooLarge);
            return;
        }
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

    /// Whether so many records would be too much by their added tags alone. A count that is over this has records of a few
    /// bytes each, made to cost us: it is refused before anything is decompressed.
    fn would_blow_up(&self, records: u64) -> bool {
        let added = self.rules.enricher.decide(&ocf::Origin::default()).add.byte_len() as u64;
        let bytes_max = (SPLICE_FACTOR_MAX * self.rules.limits.decompressed_bytes) as u64;
        records.saturating_mul(added) > bytes_max
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::enrich;
    use crate::ocf::testing::{PLAIN, numbered, records, write_block, write_header, write_record};
    use crate::spool::{self, WhenFull};

    const MARKER: [u8; 16] = *b"FEFEFEFEFEFEFEFE";

    fn rules(limits: Limits) -> Arc<Rules> {
        let known = enrich::Config { agent_id: Some("agent-1".into()), ..enrich::Config::default() };
        let config = spool::Config { memory_bytes: 1 << 30, when_full: WhenFull::Hold, topics_max: 1000 };
        Arc::new(Rules {
            limits,
            plans: PlanCache::new(),
            enricher: Enricher::fixed(&known),
            spool: Spool::in_memory(config),
            record_log: None,
        })
    }

    /// Records by topic.
    type Spooled = Vec<(Vec<u8>, Vec<u8>)>;

    /// Feeds `bytes` in pieces of these sizes, over and over, and gives all that was spooled, by topic, and the sums.
    fn feed(bytes: &[u8], pieces: &[usize], limits: Limits) -> (Spooled, Tally) {
        let rules = rules(limits);
        let mut reader = rules.spool.reader("test", false);
        let (mut intake, mut session) = (Intake::new(rules), Session::default());
        let (mut sum, mut rest, mut pieces) = (Tally::default(), bytes, pieces.iter().cycle());
        while !rest.is_empty() {
            let n = (*pieces.next().unwrap()).clamp(1, READ_BYTES).min(rest.len());
            intake.buffer[..n].copy_from_slice(&rest[..n]);
            rest = &rest[n..];
            let (tally, result) = intake.work(&mut session, n, 0);
            sum.appended.records += tally.appended.records;
            sum.blocks += tally.blocks;
            sum.refused_blocks.extend(tally.refused_blocks);
            sum.refused_records.extend(tally.refused_records);
            if result.is_err() {
                break;
            }
        }
        let mut topics: std::collections::BTreeMap<Vec<u8>, Vec<u8>> = std::collections::BTreeMap::new();
        while let Some(shown) = reader.show() {
            let (frames, ticket) = reader.take([&shown]);
            let name = shown.topic.name.as_ref().map_or_else(Vec::new, |name| name.as_bytes().to_vec());
            topics.entry(name).or_default().extend_from_slice(&frames[0].body);
            ticket.finish(spool::Outcome::Delivered);
        }
        (topics.into_iter().collect(), sum)
    }

    proptest! {
        #[test]
        fn any_cut_of_a_stream_spools_the_same_records(
            blocks in proptest::collection::vec(proptest::collection::vec(records(), 0..5), 1..5),
            pieces in proptest::collection::vec(1usize..300, 1..10),
        ) {
            let mut bytes = Vec::new();
            write_header(&MARKER, None, &mut bytes);
            for records in &blocks {
                write_block(records, PLAIN, &MARKER, &mut bytes);
            }
            let whole = feed(&bytes, &[READ_BYTES], Limits::default());
            prop_assert_eq!(whole.1.appended.records as usize, blocks.iter().map(Vec::len).sum::<usize>());
            prop_assert_eq!(&feed(&bytes, &pieces, Limits::default()), &whole);
            prop_assert_eq!(&feed(&bytes, &[1], Limits::default()), &whole);
        }

        #[test]
        fn any_bytes_behind_a_header_do_no_harm(noise in proptest::collection::vec(any::<u8>(), 0..2000), piece in 1usize..50) {
            let mut bytes = Vec::new();
            write_header(&MARKER, None, &mut bytes);
            bytes.extend(noise);
            feed(&bytes, &[piece], Limits::default());
        }
    }

    #[test]
    fn a_record_over_a_limit_costs_itself_alone() {
        let mut large = numbered("t", 1);
        large.tags = vec![crate::record::Tag::new("k", "v"); 10];
        let mut bytes = Vec::new();
        write_header(&MARKER, None, &mut bytes);
        write_block(&[numbered("t", 0), large, numbered("t", 2)], PLAIN, &MARKER, &mut bytes);
        let limits = Limits { record_tags: 5, ..Limits::default() };
        let (_, tally) = feed(&bytes, &[READ_BYTES], limits);
        assert_eq!(tally.appended.records, 2);
        assert_eq!(tally.refused_records, [(RecordFault::TooManyTags, 1)]);
        assert_eq!(tally.refused_blocks, []);
    }

    #[test]
    fn a_block_whose_count_lies_is_refused_whole() {
        for count in [1, 3] {
            let mut body = Vec::new();
            write_record(&numbered("t", 0), PLAIN, &mut body);
            write_record(&numbered("t", 1), PLAIN, &mut body);
            let mut bytes = Vec::new();
            write_header(&MARKER, None, &mut bytes);
            ocf::varint::write_long(count, &mut bytes);
            ocf::varint::write_bytes(&body, &mut bytes);
            bytes.extend(MARKER);
            write_block(&[numbered("t", 2)], PLAIN, &MARKER, &mut bytes);
            let (_, tally) = feed(&bytes, &[READ_BYTES], Limits::default());
            assert_eq!((tally.appended.records, tally.blocks), (1, 1), "count {count}");
            assert_eq!(tally.refused_blocks, [BlockFault::CountMismatch], "count {count}");
        }
    }

    #[test]
    fn a_block_that_tags_would_blow_up_is_refused() {
        let mut body = Vec::new();
        for _ in 0..3000 {
            body.extend([0, 0, 0]);
        }
        let mut bytes = Vec::new();
        write_header(&MARKER, None, &mut bytes);
        ocf::varint::write_long(3000, &mut bytes);
        ocf::varint::write_bytes(&body, &mut bytes);
        bytes.extend(MARKER);
        let limits = Limits { decompressed_bytes: 10_000, ..Limits::default() };
        let (topics, tally) = feed(&bytes, &[READ_BYTES], limits);
        assert_eq!(tally.refused_blocks, [BlockFault::DecompressedTooLarge]);
        assert_eq!(topics, []);
    }
}
