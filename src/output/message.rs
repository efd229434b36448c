//! Kafka message values: one object container file each, made of chunks without touching their records.
//!
//! The form is what consumers of 2016 read: header without `avro.codec`, exactly one block of at least one record, no
//! codec, and our schema's old text. The file's head is longer or shorter by the digits of its count and size, so it is
//! written right-aligned into a gap in front of the records: the value is one slice, and nothing is moved. Frames of the
//! spool that are large have the gap already.

use std::ops::Range;

use crate::ocf::varint::{LONG_BYTES_MAX, length, write_bytes, write_long};
use crate::ocf::{self, MAGIC, MARKER_BYTES, METRIC_LIST, Marker};

/// Bytes that a value needs behind its records.
pub const ROOM_BEHIND: usize = MARKER_BYTES;

/// What every value of one process has in common.
#[derive(Clone, Debug)]
pub struct Envelope {
    head: Vec<u8>,
    marker: Marker,
}

/// A finished value.
#[derive(Debug, Default)]
pub struct Value {
    buffer: Vec<u8>,
    start: usize,
    body: Range<usize>,
}

/// Records of a value in the making, in a buffer that has the gap.
#[derive(Debug)]
pub struct Draft {
    buffer: Vec<u8>,
    gap: usize,
}

impl Envelope {
    /// Values with this sync marker.
    #[must_use]
    pub fn new(marker: Marker) -> Envelope {
        let mut head = MAGIC.to_vec();
        write_long(1, &mut head);
        write_bytes(b"avro.schema", &mut head);
        write_bytes(METRIC_LIST.as_bytes(), &mut head);
        write_long(0, &mut head);
        head.extend_from_slice(&marker);
        Envelope { head, marker }
    }

    /// Bytes that a value has at most beside its records.
    #[must_use]
    pub fn overhead(&self) -> usize {
        self.room_before() + ROOM_BEHIND
    }

    /// Bytes that a value may need before its records.
    #[must_use]
    pub fn room_before(&self) -> usize {
        self.head.len() + 2 * LONG_BYTES_MAX
    }

    /// Begins a value for about `bytes` bytes of records.
    #[must_use]
    pub fn draft(&self, bytes: usize) -> Draft {
        let gap = self.room_before();
        let mut buffer = Vec::with_capacity(bytes + self.overhead());
        buffer.resize(gap, 0);
        Draft { buffer, gap }
    }

    /// Begins a value with the records that are in `buffer` from `start` on: where they lie, if there is room before them.
    #[must_use]
    pub fn draft_of(&self, (buffer, start): (Vec<u8>, usize)) -> Draft {
        if start >= self.room_before() {
            return Draft { buffer, gap: start };
        }
        let mut draft = self.draft(buffer.len() - start);
        draft.push(&buffer[start..]);
        draft
    }

    /// Ends a value of `records` records.
    #[must_use]
    pub fn finish(&self, draft: Draft, records: u32) -> Value {
        let Draft { mut buffer, gap } = draft;
        let body = gap..buffer.len();
        let mut numbers = Vec::with_capacity(2 * LONG_BYTES_MAX);
        write_long(i64::from(records), &mut numbers);
        write_long(length(body.len()), &mut numbers);
        let numbers_at = gap - numbers.len();
        let start = numbers_at - self.head.len();
        buffer[start..numbers_at].copy_from_slice(&self.head);
        buffer[numbers_at..gap].copy_from_slice(&numbers);
        buffer.extend_from_slice(&self.marker);
        Value { buffer, start, body }
    }
}

impl Draft {
    /// Appends whole records.
    pub fn push(&mut self, records: &[u8]) {
        self.buffer.extend_from_slice(records);
    }
}

impl Value {
    /// The bytes to send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The records in it.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }

    /// The buffer, to be used again, and the records in it.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Range<usize>) {
        (self.buffer, self.body)
    }
}

/// How many of the first records of `body` fit into `bytes_max` bytes, at most `records_max`, and their bytes. Both 0
/// if the first alone is larger.
///
/// # Panics
/// If `body` is not made of whole records; what is in the spool always is.
#[must_use]
pub fn fitting(body: &[u8], records_max: u32, bytes_max: usize) -> (u32, usize) {
    let (mut records, mut end) = (0, 0);
    while records < records_max && end < body.len() {
        let next = ocf::walk(body, end).expect("the spool holds whole records").span.end;
        if next > bytes_max {
            break;
        }
        (records, end) = (records + 1, next);
    }
    (records, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_as_long_as_the_old_one() {
        assert_eq!(Envelope::new([7; 16]).head.len(), 585);
    }

    #[test]
    fn a_value_is_head_count_size_records_marker() {
        let envelope = Envelope::new([7; 16]);
        let record = [2, b'a', 0, 0];
        for records in [1u32, 63, 64, 10_000] {
            let mut draft = envelope.draft(10);
            for _ in 0..records {
                draft.push(&record);
            }
            let value = envelope.finish(draft, records);
            let mut expected = envelope.head.clone();
            write_long(records.into(), &mut expected);
            write_bytes(&record.repeat(records as usize), &mut expected);
            expected.extend([7; 16]);
            assert_eq!(value.as_bytes(), expected, "{records}");
            assert_eq!(value.body().len(), 4 * records as usize);
            for room in [0, envelope.room_before(), envelope.room_before() + 7] {
                let buffer = [vec![0xee; room], record.repeat(records as usize)].concat();
                let value = envelope.finish(envelope.draft_of((buffer, room)), records);
                assert_eq!(value.as_bytes(), expected, "{records} behind {room}");
            }
            assert!(value.as_bytes().len() <= value.body().len() + envelope.overhead());
        }
    }

    #[test]
    fn fitting_counts_whole_records() {
        let body = [[2, b'a', 0, 0]; 5].concat();
        let cases =
            [((9, 100), (5, 20)), ((3, 100), (3, 12)), ((9, 11), (2, 8)), ((9, 3), (0, 0)), ((0, 9), (0, 0))];
        for ((records, bytes), expected) in cases {
            assert_eq!(fitting(&body, records, bytes), expected);
        }
    }
}
