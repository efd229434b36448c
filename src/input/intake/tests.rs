//! The workbench, fed with bytes; what was accepted is read back from the spool.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::enrich::{self, Enricher};
use crate::input::apart::Apart;
use crate::input::entry::SPLICE_FACTOR_MAX;
use crate::ocf::testing::{PLAIN, numbered, pieces, records, write_block, write_header, write_record};
use crate::ocf::{self, Limits, PlanCache, RecordFault};
use crate::spool::{self, Reader, Spool, WhenFull};

const MARKER: [u8; 16] = *b"FEFEFEFEFEFEFEFE";

/// Tags that are added, in bytes: `agent_id` and its value, each with a length.
const ADDED: usize = 1 + 8 + 1 + 7;

fn rules(limits: Limits, memory_bytes: usize) -> Arc<Rules> {
    let known = enrich::Config { agent_id: Some("agent-1".into()), ..enrich::Config::default() };
    let config = spool::Config { memory_bytes, when_full: WhenFull::Hold, topics_max: 1000 };
    let settings =
        crate::input::Config { limits, apart_wait: known.wait, ..crate::input::Config::for_tests() };
    let settings = tokio::sync::watch::channel(settings).1;
    Arc::new(Rules {
        apart: Apart::new(settings.clone()),
        settings,
        plans: PlanCache::new(),
        enricher: Enricher::fixed(&known),
        spool: Spool::in_memory(config, spool::Framing::default()),
    })
}

/// A workbench, one connection's session on it, and all that came of it so far.
struct Bench {
    intake: Intake,
    session: Session,
    spool: Spool,
    reader: Reader,
    sum: Tally,
}

impl Bench {
    fn new(limits: Limits) -> Bench {
        Bench::with_memory(limits, 1 << 30)
    }

    fn with_memory(limits: Limits, memory_bytes: usize) -> Bench {
        let rules = rules(limits, memory_bytes);
        let spool = rules.spool.clone();
        let reader = spool.reader("test", true);
        let (intake, session) = (Intake::new(rules), Session::default());
        Bench { intake, session, spool, reader, sum: Tally::default() }
    }

    /// One turn; so many bytes are in the buffer.
    fn turn(&mut self, received: usize) -> Result<(), StreamFault> {
        let (tally, result) = self.intake.work(&mut self.session, received, 0);
        self.add(tally);
        result
    }

    /// One read, worked off in as many turns as it takes.
    fn read(&mut self, bytes: &[u8]) -> Result<(), StreamFault> {
        self.intake.buffer[..bytes.len()].copy_from_slice(bytes);
        self.turn(bytes.len())?;
        self.finish()
    }

    /// What the last turn left over.
    fn finish(&mut self) -> Result<(), StreamFault> {
        while self.session.has_more() {
            self.turn(0)?;
        }
        Ok(())
    }

    /// Reads all of `bytes`.
    fn send(&mut self, bytes: &[u8]) {
        for read in bytes.chunks(READ_BYTES) {
            self.read(read).unwrap();
        }
    }

    fn salvage(&mut self, is_over: bool) {
        let (tally, result) = self.intake.salvage(&mut self.session, 0, is_over);
        self.add(tally);
        result.unwrap();
    }

    fn add(&mut self, tally: Tally) {
        let sum = &mut self.sum;
        sum.appended.records += tally.appended.records;
        sum.appended.datapoints += tally.appended.datapoints;
        sum.headers += tally.headers;
        sum.blocks += tally.blocks;
        sum.skipped_bytes += tally.skipped_bytes;
        for (fault, blocks) in tally.refused_blocks {
            (0..blocks).for_each(|_| sum.refuse_block(fault));
        }
        for (fault, records) in tally.refused_records {
            sum.refuse_records(fault, records);
        }
    }

    /// Takes what is in the spool to be shown, by topic, and finishes with it.
    fn take(&mut self, topics: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        while let Some(shown) = self.reader.show() {
            let (frames, ticket) = self.reader.take([&shown]);
            let name = shown.topic.name.as_ref().map_or_else(Vec::new, |name| name.as_bytes().to_vec());
            topics.entry(name).or_default().extend_from_slice(frames[0].body());
            ticket.finish(spool::Outcome::Delivered);
        }
    }

    /// Values of the records that were accepted, which [`numbered`] made.
    fn accepted(mut self) -> Vec<f64> {
        self.spool.close();
        let mut topics = BTreeMap::new();
        self.take(&mut topics);
        let mut values = Vec::new();
        for body in topics.values() {
            let mut at = 0;
            while let Some(record) = ocf::decode::decode_record(body, &mut at) {
                values.push(record.datapoints[0].value);
            }
        }
        values
    }
}

/// Records by topic.
type Spooled = Vec<(Vec<u8>, Vec<u8>)>;

/// Feeds `bytes` in pieces of these sizes, over and over, and gives all that was spooled, by topic, and the sums.
fn feed(bytes: &[u8], pieces: &[usize], limits: Limits) -> (Spooled, Tally) {
    let mut bench = Bench::new(limits);
    let (mut rest, mut pieces) = (bytes, pieces.iter().cycle());
    while !rest.is_empty() {
        let n = (*pieces.next().unwrap()).clamp(1, READ_BYTES).min(rest.len());
        let (read, behind) = rest.split_at(n);
        rest = behind;
        if bench.read(read).is_err() {
            break;
        }
    }
    bench.spool.close();
    let mut topics = BTreeMap::new();
    bench.take(&mut topics);
    (topics.into_iter().collect(), bench.sum)
}

fn header(codec: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_header(&MARKER, codec, &mut bytes);
    bytes
}

/// A block of records with these values.
fn block(values: std::ops::Range<u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let records: Vec<_> = values.map(|value| numbered("t", value)).collect();
    write_block(&records, PLAIN, &MARKER, &mut bytes);
    bytes
}

/// A block as its bytes say.
fn raw_block(records: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    ocf::varint::write_long(ocf::varint::length(records), &mut bytes);
    ocf::varint::write_bytes(body, &mut bytes);
    bytes.extend(MARKER);
    bytes
}

/// A block whose size says that so much more comes, but whose marker is behind its records.
fn torn_block(more: usize) -> Vec<u8> {
    let whole = block(900..902);
    let body = &whole[2..];
    let mut bytes = Vec::new();
    ocf::varint::write_long(2, &mut bytes);
    ocf::varint::write_long(ocf::varint::length(body.len() + more), &mut bytes);
    bytes.extend(body);
    bytes
}

/// Almost 4 MiB in a few hundred bytes of zstandard: four records with this value.
fn large_block(value: u32) -> Vec<u8> {
    let mut record = numbered("t", value);
    record.tags[0].value = vec![b'v'; 1_000_000];
    let mut body = Vec::new();
    (0..4).for_each(|_| write_record(&record, PLAIN, &mut body));
    raw_block(4, &zstd::bulk::compress(&body, 3).unwrap())
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
    fn any_bytes_behind_a_header_do_no_harm(
        pieces in proptest::collection::vec(pieces(MARKER), 0..40),
        reads in proptest::collection::vec(1usize..300, 1..10),
        silent in proptest::collection::vec(any::<bool>(), 1..5),
    ) {
        // A header fits just so, a block of two records does, and one of three does not.
        let limits = Limits { header_bytes: 601, block_bytes: 60, ..Limits::default() };
        let mut bench = Bench::new(limits.clone());
        let bytes = [header(None), pieces.concat()].concat();
        let (mut rest, mut reads, mut silent) = (&bytes[..], reads.iter().cycle(), silent.iter().cycle());
        while !rest.is_empty() {
            let (read, behind) = rest.split_at((*reads.next().unwrap()).min(rest.len()));
            rest = behind;
            if bench.read(read).is_err() {
                break;
            }
            if bench.session.has_header() && *silent.next().unwrap() {
                bench.salvage(false);
            }
            let most = if bench.session.has_header() {
                2 * ocf::varint::LONG_BYTES_MAX + limits.block_bytes + MARKER.len()
            } else {
                limits.header_bytes + 1
            };
            let carried = bench.session.carried();
            prop_assert!(carried <= most + read.len(), "{carried} bytes are kept, {most} are enough");
        }
        let (accepted, refused) = (bench.sum.blocks, bench.sum.refused_blocks.len());
        prop_assert!(accepted as usize <= pieces.len() && refused <= BlockFault::ALL.len());
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
        assert_eq!(tally.refused_blocks, [(BlockFault::CountMismatch, 1)], "count {count}");
    }
}

#[test]
fn a_count_that_added_tags_would_blow_up_is_refused_unseen() {
    // There is no record in it: whoever looks finds that.
    let limits = Limits { decompressed_bytes: 10_000, ..Limits::default() };
    let records_max = SPLICE_FACTOR_MAX * limits.decompressed_bytes / ADDED;
    for (records, fault) in
        [(records_max + 1, BlockFault::DecompressedTooLarge), (records_max, BlockFault::CountMismatch)]
    {
        let bytes = [header(None), raw_block(records, &[])].concat();
        let (topics, tally) = feed(&bytes, &[READ_BYTES], limits.clone());
        assert_eq!((topics, tally.refused_blocks), (vec![], vec![(fault, 1)]), "{records} records");
    }
}

#[test]
fn a_block_that_added_tags_blow_up_is_refused() {
    // Few enough by their count, and still too much with their own bytes.
    let limits = Limits { decompressed_bytes: 10_000, ..Limits::default() };
    let record = [&[20][..], b"aaaaaaaaaa", &[0, 0]].concat();
    let bytes = [header(None), raw_block(1000, &record.repeat(1000)), block(0..1)].concat();
    assert!(1000 * ADDED <= SPLICE_FACTOR_MAX * limits.decompressed_bytes);
    let (topics, tally) = feed(&bytes, &[READ_BYTES], limits);
    assert_eq!(tally.refused_blocks, [(BlockFault::DecompressedTooLarge, 1)]);
    assert_eq!((topics.len(), tally.appended.records), (1, 1), "only the block behind it is accepted");
}

#[test]
fn one_turn_is_bounded_however_few_bytes_a_read_has() {
    const MEMORY: usize = 8 << 20;
    let mut bench = Bench::with_memory(Limits::default(), MEMORY);
    let bytes = [header(Some("zstandard")), (0..20).flat_map(large_block).collect()].concat();
    assert!(bytes.len() < READ_BYTES);
    bench.intake.buffer[..bytes.len()].copy_from_slice(&bytes);
    let (mut received, mut turns) = (bytes.len(), 0);
    loop {
        if !bench.spool.has_room(Weight::Light) {
            bench.take(&mut BTreeMap::new());
            assert!(bench.spool.has_room(Weight::Light));
        }
        bench.turn(std::mem::take(&mut received)).unwrap();
        turns += 1;
        assert_eq!(bench.sum.blocks, turns, "a block of 4 MiB is a turn");
        let waiting = bench.spool.snapshot().bytes;
        assert!(waiting <= MEMORY + (5 << 20), "{waiting} bytes wait, more than one block over {MEMORY}");
        if !bench.session.has_more() {
            break;
        }
    }
    assert_eq!((turns, bench.sum.appended.records), (20, 80));
    assert_eq!(bench.session.carried(), 0);
}

#[test]
fn what_a_wrong_size_has_swallowed_is_salvaged_and_the_next_block_kept() {
    let mut bench = Bench::new(Limits::default());
    let (torn, last) = (torn_block(10_000), block(4..6));
    let (half, rest) = last.split_at(last.len() / 2);
    bench.send(&[header(None), torn.clone(), block(0..2), block(2..4), half.to_vec()].concat());
    assert_eq!((bench.sum.blocks, bench.session.is_partial()), (0, true), "the size is waited for");
    bench.salvage(false);
    assert_eq!((bench.sum.blocks, bench.sum.appended.records), (2, 4));
    assert_eq!(bench.sum.refused_blocks, [(BlockFault::Truncated, 1)]);
    assert_eq!(bench.sum.skipped_bytes, torn.len() as u64);
    assert_eq!(bench.session.carried(), half.len(), "of memory as well");
    bench.send(rest);
    assert_eq!((bench.sum.blocks, bench.session.carried()), (3, 0));
    assert_eq!(bench.sum.refused_blocks, [(BlockFault::Truncated, 1)]);
    assert_eq!(bench.accepted(), (0..6).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn when_all_is_over_the_half_of_a_block_is_refused_too() {
    let mut bench = Bench::new(Limits::default());
    let half = &block(2..4)[..10];
    bench.send(&[&header(None), &torn_block(10_000), &block(0..2), half].concat());
    bench.salvage(true);
    assert_eq!((bench.sum.blocks, bench.session.is_partial()), (1, false));
    assert_eq!(bench.sum.refused_blocks, [(BlockFault::Truncated, 2)]);
    assert_eq!(bench.accepted(), [0.0, 1.0]);
}

#[test]
fn a_salvage_of_many_large_blocks_takes_turns_and_loses_none() {
    let last = large_block(5);
    let (half, rest) = last.split_at(last.len() / 2);
    let blocks: Vec<u8> = (0..5).flat_map(large_block).collect();
    let bytes = [header(Some("zstandard")), torn_block(100_000), blocks, half.to_vec()].concat();

    let mut bench = Bench::new(Limits::default());
    bench.send(&bytes);
    bench.salvage(false);
    assert_eq!((bench.sum.blocks, bench.session.has_more()), (1, true));
    bench.finish().unwrap();
    assert_eq!(bench.sum.blocks, 5);
    bench.send(rest);
    assert_eq!((bench.sum.blocks, bench.sum.appended.records), (6, 24));
    assert_eq!(bench.sum.refused_blocks, [(BlockFault::Truncated, 1)]);

    let mut bench = Bench::new(Limits::default());
    bench.send(&bytes);
    bench.salvage(true);
    while bench.session.has_more() {
        bench.salvage(true);
    }
    assert_eq!((bench.sum.blocks, bench.session.is_partial()), (5, false));
    assert_eq!(bench.sum.refused_blocks, [(BlockFault::Truncated, 2)]);
}

#[test]
fn what_a_turn_left_over_is_taken_when_all_is_over() {
    let mut bench = Bench::new(Limits::default());
    let bytes = [header(Some("zstandard")), large_block(0), large_block(1)].concat();
    bench.intake.buffer[..bytes.len()].copy_from_slice(&bytes);
    bench.turn(bytes.len()).unwrap();
    assert_eq!((bench.sum.blocks, bench.session.has_more()), (1, true));
    bench.salvage(true);
    assert_eq!((bench.sum.blocks, bench.session.is_partial()), (2, false));
    assert_eq!(bench.sum.refused_blocks, []);
}

#[test]
fn a_half_sent_block_that_is_given_up_is_truncated_once() {
    let mut bench = Bench::new(Limits::default());
    bench.send(&[&header(None)[..], &block(0..100)[..500]].concat());
    assert!(bench.session.is_partial());
    for is_over in [false, true, true] {
        bench.salvage(is_over);
        assert_eq!((bench.sum.blocks, bench.session.is_partial()), (0, false));
        assert_eq!(bench.sum.refused_blocks, [(BlockFault::Truncated, 1)]);
    }
}

#[test]
fn a_lost_marker_and_silence_are_one_refused_block_and_nothing_is_waited_for() {
    let mut bench = Bench::new(Limits::default());
    let mut bad = block(2..4);
    let end = bad.len() - 1;
    bad[end] = b'?';
    bench.send(&[header(None), block(0..2), bad].concat());
    for _ in 0..2 {
        assert_eq!((bench.sum.blocks, bench.session.is_partial()), (1, false));
        assert_eq!(bench.sum.refused_blocks, [(BlockFault::MarkerLost, 1)]);
        bench.salvage(false);
    }
    // It costs its neighbour, behind whose marker the stream is whole again.
    bench.send(&[block(4..6), block(6..8)].concat());
    assert_eq!(bench.sum.refused_blocks, [(BlockFault::MarkerLost, 1)]);
    assert_eq!(bench.accepted(), [0.0, 1.0, 6.0, 7.0]);
}

#[test]
fn a_block_on_trial_is_given_up_without_a_word() {
    // As the module tears its stream: one block within another, whose rest looks like the beginning of a third.
    let mut bench = Bench::new(Limits::default());
    bench.send(&[&header(None)[..], &torn_block(3), &torn_block(10_000)[..20]].concat());
    let refused = [(BlockFault::MarkerLost, 1)];
    assert_eq!((bench.session.is_partial(), bench.session.is_on_trial()), (true, true));
    assert_eq!(bench.sum.refused_blocks, refused);
    bench.salvage(false);
    assert_eq!((bench.session.is_partial(), bench.session.is_on_trial()), (false, false));
    bench.send(&[block(0..2), block(2..4)].concat());
    assert_eq!(bench.sum.refused_blocks, refused);
    assert_eq!(bench.accepted(), [2.0, 3.0]);
}
