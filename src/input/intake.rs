//! From bytes to records in the spool: the straight-line part of the input, without waiting and without IO.
//!
//! An [`Intake`] is a workbench: read buffer, decompressor, scratch space. All that is large is in it, and since a
//! read is worked off in one go, one workbench serves every connection of a thread. A connection keeps a [`Session`]:
//! the state of its stream, and the bytes of a block that has not come whole.

use std::sync::Arc;

use super::entry::Rules;
use crate::ocf::{
    Block, BlockFault, Codec, Decompressor, Event, Plan, RecordFault, Scratch, Step, Stream, StreamFault,
};
use crate::spool::Appended;

/// Bytes of one read. Large enough that a busy sender costs few calls, small enough to be worked off in cache.
pub(super) const READ_BYTES: usize = 256 << 10;

/// While a header is incomplete or a marker is searched for, this much is looked at in one go.
const OPEN_ENDED_STEP: usize = 16 << 10;

/// A turn ends behind the block with which its blocks have become this much. A read of uncompressed blocks never does.
const TURN_BYTES: usize = 2 << 20;

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

    /// Whether something has come only in part. While a marker is searched for, nothing is waited for.
    pub(super) fn is_partial(&self) -> bool {
        !self.carry.is_empty() && !self.stream.is_lost()
    }

    /// Whether the header has come.
    pub(super) fn has_header(&self) -> bool {
        self.stream.has_header()
    }
}

/// What came of some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// When they came, Unix time in milliseconds.
    pub(super) now_ms: u64,
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
    /// Records whose own tags were replaced by others.
    pub(super) tag_clashes: u64,
    /// Records that are set apart, and not accepted yet.
    pub(super) set_apart: u64,
    /// Records that should have been, and for which there was no room: they went on.
    pub(super) no_room: u64,
    /// Bytes that were worked on: of records, or of what was made of compressed blocks.
    pub(super) worked_bytes: usize,
}

impl Tally {
    /// Whether this was enough for one turn.
    fn is_enough(&self) -> bool {
        self.worked_bytes >= TURN_BYTES
    }

    /// Adds what came of a block that was accepted, but for the work.
    pub(super) fn add(&mut self, block: Tally) {
        self.appended.records += block.appended.records;
        self.appended.datapoints += block.appended.datapoints;
        self.tag_clashes += block.tag_clashes;
        self.set_apart += block.set_apart;
        self.no_room += block.no_room;
        for (sum, records) in self.enrichment.iter_mut().zip(block.enrichment) {
            *sum += records;
        }
        for (fault, records) in block.refused_records {
            self.refuse_records(fault, records);
        }
    }

    pub(super) fn refuse_records(&mut self, fault: RecordFault, more: u64) {
        match self.refused_records.iter_mut().find(|(known, _)| *known == fault) {
            Some((_, records)) => *records += more,
            None => self.refused_records.push((fault, more)),
        }
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
        let buffer = std::mem::take(&mut self.buffer);
        let mut tally = Tally { now_ms, ..Tally::default() };
        let result = self.feed(session, &buffer[..received], &mut tally);
        self.buffer = buffer;
        (tally, result)
    }

    /// The rest of a half-sent block is not going to come: it is refused, and good blocks behind a torn one's wrong size
    /// are taken in. The beginning of a block behind those is kept, unless the connection is over.
    pub(super) fn salvage(&mut self, session: &mut Session, now_ms: u64, is_over: bool) -> Tally {
        let mut tally = Tally { now_ms, ..Tally::default() };
        let mut carry = std::mem::take(&mut session.carry);
        let mut at = 0;
        while at < carry.len() {
            let is_half_sent = session.stream.in_block();
            if !is_half_sent && !session.stream.is_suspect() || is_half_sent && tally.blocks > 0 && !is_over {
                break;
            }
            if is_half_sent {
                tally.refused_blocks.push(BlockFault::Truncated);
            }
            session.stream.give_up_block();
            // A fault means that the stream is over, which it is.
            let Ok(taken) = self.run(session, &carry[at..], &mut tally) else { break };
            at += taken;
        }
        carry.drain(..at);
        session.has_more = false;
        session.carry = carry;
        tally
    }

    fn feed(
        &mut self,
        session: &mut Session,
        mut bytes: &[u8],
        tally: &mut Tally,
    ) -> Result<(), StreamFault> {
        // What was carried over is completed with as few bytes as it needs; the rest is worked off where it lies.
        while !session.carry.is_empty() && (!bytes.is_empty() || session.has_more) && !tally.is_enough() {
            session.has_more = false;
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
        let mut taken = 0;
        if session.carry.is_empty() && !bytes.is_empty() {
            taken = self.run(session, bytes, tally)?;
        }
        session.carry.extend_from_slice(&bytes[taken..]);
        session.has_more = tally.is_enough() && !session.carry.is_empty();
        Ok(())
    }

    /// Takes as many whole pieces of the stream as there are and one turn may have, and gives their length.
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
                    if tally.is_enough() {
                        session.need = 0;
                        return Ok(at);
                    }
                }
            }
        }
    }

    fn block(&mut self, block: &Block<'_>, tally: &mut Tally) {
        let rules = self.rules.clone();
        if rules.would_blow_up(block.records) {
            tally.refused_blocks.push(BlockFault::DecompressedTooLarge);
            return;
        }
        // Moved out for the time of the call, so that it can be read while the rest is written.
        let mut decompressed = std::mem::take(&mut self.decompressed);
        let body = match block.codec {
            Codec::Null => Ok(block.bytes),
            codec => self
                .decompressor
                .decompress(codec, block.bytes, rules.limits.decompressed_bytes, &mut decompressed)
                .map(|()| &decompressed[..])
                .map_err(BlockFault::from),
        };
        let (of_block, result) = match body {
            Ok(body) => rules.accept(tally.now_ms, |entry| match &block.plan {
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
            Err(fault) => tally.refused_blocks.push(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::enrich::{self, Enricher};
    use crate::input::apart::Apart;
    use crate::ocf::testing::{PLAIN, numbered, records, write_block, write_header, write_record};
    use crate::ocf::{self, Limits, PlanCache};
    use crate::spool::{self, Spool, WhenFull};

    const MARKER: [u8; 16] = *b"FEFEFEFEFEFEFEFE";

    fn rules(limits: Limits) -> Arc<Rules> {
        let known = enrich::Config { agent_id: Some("agent-1".into()), ..enrich::Config::default() };
        let config = spool::Config { memory_bytes: 1 << 30, when_full: WhenFull::Hold, topics_max: 1000 };
        Arc::new(Rules {
            limits,
            plans: PlanCache::new(),
            enricher: Enricher::fixed(&known),
            spool: Spool::in_memory(config, spool::Framing::default()),
            record_log: None,
            apart: Apart::new(known.wait, 1 << 20),
        })
    }

    /// Records by topic.
    type Spooled = Vec<(Vec<u8>, Vec<u8>)>;

    /// Feeds `bytes` in pieces of these sizes, over and over, and gives all that was spooled, by topic, and the sums.
    fn feed(bytes: &[u8], pieces: &[usize], limits: Limits) -> (Spooled, Tally) {
        let rules = rules(limits);
        let spool = rules.spool.clone();
        let mut reader = spool.reader("test", false);
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
        spool.close();
        while let Some(shown) = reader.show() {
            let (frames, ticket) = reader.take([&shown]);
            let name = shown.topic.name.as_ref().map_or_else(Vec::new, |name| name.as_bytes().to_vec());
            topics.entry(name).or_default().extend_from_slice(frames[0].body());
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
