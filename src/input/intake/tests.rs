//! The workbench, fed with bytes; what was accepted is read back from the spool.

use proptest::prelude::*;

use super::*;
use crate::enrich;
use crate::ocf::RecordFault;
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
        spool: Spool::in_memory(config, spool::Framing::default()),
        record_log: None,
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
        for (fault, blocks) in tally.refused_blocks {
            (0..blocks).for_each(|_| sum.refuse_block(fault));
        }
        for (fault, records) in tally.refused_records {
            sum.refuse_records(fault, records);
        }
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
        assert_eq!(tally.refused_blocks, [(BlockFault::CountMismatch, 1)], "count {count}");
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
    assert_eq!(tally.refused_blocks, [(BlockFault::DecompressedTooLarge, 1)]);
    assert_eq!(topics, []);
}
