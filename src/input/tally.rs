//! The sums of one turn: what was accepted, what was refused and why, and whether it was enough.

use crate::ocf::{BlockFault, RecordFault};
use crate::spool::Appended;

/// A turn ends behind the block with which its blocks have become this much. A read of uncompressed blocks never does.
const TURN_BYTES: usize = 2 << 20;

/// What came of some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// When they came, Unix time in milliseconds.
    pub(super) now_ms: u64,
    pub(super) appended: Appended,
    pub(super) headers: u64,
    pub(super) blocks: u64,
    /// Blocks that were refused as a whole, by why.
    pub(super) refused_blocks: Vec<(BlockFault, u64)>,
    /// Records that were refused one by one, in blocks that were accepted, by why.
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
    pub(super) fn is_enough(&self) -> bool {
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

    pub(super) fn refuse_block(&mut self, fault: BlockFault) {
        add(&mut self.refused_blocks, fault, 1);
    }

    pub(super) fn refuse_records(&mut self, fault: RecordFault, more: u64) {
        add(&mut self.refused_records, fault, more);
    }
}

fn add<F: PartialEq>(sums: &mut Vec<(F, u64)>, fault: F, more: u64) {
    match sums.iter_mut().find(|(known, _)| *known == fault) {
        Some((_, sum)) => *sum += more,
        None => sums.push((fault, more)),
    }
}
