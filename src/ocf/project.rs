//! Records of a foreign writer, written anew as ours.
//!
//! One pass over the writer's bytes: what is not ours is passed over, what is ours is noted or copied. Nothing is
//! believed: each length is held against the bytes that are left, nesting has a limit, and since every step but a
//! fixed few takes at least one byte, the work is bounded by the input's length.

mod program;
mod skip;
mod walk;

pub(in crate::ocf) use program::{
    Branch, DatapointField, Items, ListField, MetricField, Number, OneOf, Program, Record, Skip, SkipId,
    Step, TagField, Text, Time,
};

use super::fault::{NoRecord, RecordFault};
use super::limits::Limits;
use super::varint;
use walk::Walk;

/// Types within types of a value that is passed over. A schema may refer to itself, so its own depth is no bound.
pub const VALUE_DEPTH_MAX: usize = 64;

/// Scratch memory kept from one record to the next, in bytes; more is given back.
const SCRATCH_BYTES_KEPT: usize = 64 << 10;

/// A program that reads the records of one writer's schema.
#[derive(Debug)]
pub struct Projection {
    program: Program,
    n_nodes: usize,
}

/// What was made of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Projected {
    /// Bytes of the writer's record: the next one begins behind them.
    pub consumed: usize,
    /// Whether the record was appended, or why nothing was.
    pub outcome: Result<(), RecordFault>,
}

/// Memory that projections use while they read a record. One a thread or task is enough.
#[derive(Debug, Default)]
pub struct Scratch {
    tags: Vec<u8>,
    datapoints: Vec<u8>,
}

impl Projection {
    pub(in crate::ocf) fn new(program: Program, n_nodes: usize) -> Projection {
        Projection { program, n_nodes }
    }

    /// Memory of the program, in bytes, about.
    pub(in crate::ocf) fn bytes(&self) -> usize {
        self.n_nodes * 2 * size_of::<Skip>()
    }

    /// Reads the record at the beginning of `input`, and appends it to `out` as ours: each array as one block with a
    /// positive count, or none where it is empty. Without a record, `out` stays as it was. A record takes at most
    /// `limits.record_bytes` of `out`, though a writer's may need far less: names of metrics of May 2016 are written
    /// once for each of their datapoints.
    ///
    /// Strings are not looked into, and an int of more than 32 bits is taken as a long.
    ///
    /// # Errors
    /// [`NoRecord`]: no further record can be read from this block.
    pub fn project(
        &self,
        input: &[u8],
        limits: &Limits,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Projected, NoRecord> {
        scratch.clear();
        let mut walk = Walk::new(&self.program.skips, input, limits, scratch);
        walk.list(&self.program.top)?;
        let (consumed, outcome) = walk.finish();
        let outcome = outcome.and_then(|(topic, counts)| {
            let begin = out.len();
            varint::write_bytes(topic, out);
            write_array(counts.tags, &scratch.tags, out);
            write_array(counts.datapoints, &scratch.datapoints, out);
            if out.len() - begin > limits.record_bytes {
                out.truncate(begin);
                return Err(RecordFault::TooLarge);
            }
            Ok(())
        });
        Ok(Projected { consumed, outcome })
    }
}

impl Scratch {
    fn clear(&mut self) {
        for bytes in [&mut self.tags, &mut self.datapoints] {
            bytes.clear();
            bytes.shrink_to(SCRATCH_BYTES_KEPT);
        }
    }
}

fn write_array(count: u32, items: &[u8], out: &mut Vec<u8>) {
    if count > 0 {
        varint::write_long(i64::from(count), out);
        out.extend_from_slice(items);
    }
    out.push(0);
}

#[cfg(test)]
mod tests;
