//! Gathers the records of a read into chunks, one for each topic, and can take back those of a block that turns out
//! to be bad.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::spool::{Chunk, Topic};

/// A chunk is closed at about this size, so that Kafka messages can be filled with whole chunks.
const CHUNK_BYTES: usize = 64 << 10;

/// And at this many records.
const CHUNK_RECORDS: u32 = 256;

/// Topics remembered between reads.
const TOPICS_KEPT: usize = 4096;

/// Chunks in the making.
#[derive(Debug, Default)]
pub(super) struct Chunker {
    by_topic: HashMap<Box<[u8]>, usize>,
    open: Vec<Open>,
    /// Indices into `open` of those with records.
    filled: Vec<usize>,
    /// Indices into `open` of those that the current block has touched.
    touched: Vec<usize>,
    /// Closed chunks of accepted blocks, and of the current one.
    accepted: Vec<Chunk>,
    current: Vec<Chunk>,
    /// Number of the current block, and its bytes.
    block: u64,
    block_bytes: usize,
    /// Where the last record went: records of a topic often come together.
    last: usize,
}

#[derive(Debug)]
struct Open {
    topic: Arc<Topic>,
    name: Box<[u8]>,
    body: Vec<u8>,
    records: u32,
    datapoints: u64,
    /// What it was when the current block began: length, records, datapoints.
    mark: (usize, u32, u64),
    /// The block that `mark` belongs to.
    marked_in: u64,
    /// Whether `filled` has it.
    listed: bool,
    /// Bytes that it closed with last time: how much to reserve.
    usual: usize,
}

impl Chunker {
    /// Begins a block of about `bytes` bytes.
    pub(super) fn begin(&mut self, bytes: usize) {
        self.block += 1;
        self.block_bytes = bytes;
        self.touched.clear();
    }

    /// The body of the chunk for records of this topic, to append one record to. `new_topic` makes a topic of a name
    /// that is not known here.
    #[inline]
    pub(super) fn body(&mut self, name: &[u8], new_topic: impl FnOnce(&[u8]) -> Arc<Topic>) -> &mut Vec<u8> {
        let slot = match self.open.get(self.last) {
            Some(open) if *open.name == *name => self.last,
            _ => match self.by_topic.get(name) {
                Some(slot) => *slot,
                None => self.add(name, new_topic(name)),
            },
        };
        self.last = slot;
        let open = &mut self.open[slot];
        if open.marked_in != self.block {
            // What is there is of accepted blocks; close it before it grows too large with this one's.
            if open.records > 0 && open.body.len() + self.block_bytes > CHUNK_BYTES {
                self.accepted.push(open.close());
            }
            open.mark = (open.body.len(), open.records, open.datapoints);
            open.marked_in = self.block;
            self.touched.push(slot);
        } else if open.mark.1 == 0 && (open.body.len() >= CHUNK_BYTES || open.records >= CHUNK_RECORDS) {
            self.current.push(open.close());
        }
        if open.body.capacity() == 0 {
            open.body.reserve(open.usual);
        }
        if !open.listed {
            open.listed = true;
            self.filled.push(slot);
        }
        &mut open.body
    }

    /// Counts the record that was just appended to the last body.
    #[inline]
    pub(super) fn count(&mut self, datapoints: u32) {
        let open = &mut self.open[self.last];
        open.records += 1;
        open.datapoints += u64::from(datapoints);
    }

    /// The current block is good.
    pub(super) fn commit(&mut self) {
        self.accepted.append(&mut self.current);
    }

    /// The current block is bad: its records have never been here.
    pub(super) fn roll_back(&mut self) {
        self.current.clear();
        for slot in self.touched.drain(..) {
            let open = &mut self.open[slot];
            let (len, records, datapoints) = open.mark;
            open.body.truncate(len);
            (open.records, open.datapoints) = (records, datapoints);
        }
    }

    /// All chunks of accepted blocks.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Chunk> {
        debug_assert!(self.current.is_empty(), "the last block was committed or rolled back");
        for slot in self.filled.drain(..) {
            let open = &mut self.open[slot];
            open.listed = false;
            if open.records > 0 {
                self.accepted.push(open.close());
            }
        }
        if self.open.len() > TOPICS_KEPT {
            self.open = Vec::new();
            self.by_topic = HashMap::new();
        }
        self.accepted.drain(..)
    }

    fn add(&mut self, name: &[u8], topic: Arc<Topic>) -> usize {
        let slot = self.open.len();
        self.by_topic.insert(name.into(), slot);
        self.open.push(Open {
            topic,
            name: name.into(),
            body: Vec::new(),
            records: 0,
            datapoints: 0,
            mark: (0, 0, 0),
            marked_in: 0,
            listed: false,
            usual: 0,
        });
        slot
    }
}

impl Open {
    fn close(&mut self) -> Chunk {
        let mut body = std::mem::take(&mut self.body);
        self.usual = body.len() + body.len() / 8;
        // What is kept for a while should not keep memory that it does not need.
        if body.capacity() > body.len() + body.len() / 2 + 64 {
            body.shrink_to_fit();
        }
        self.mark = (0, 0, 0);
        let records = std::mem::take(&mut self.records);
        let datapoints = std::mem::take(&mut self.datapoints);
        Chunk { topic: self.topic.clone(), records, datapoints, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &[u8]) -> Arc<Topic> {
        Arc::new(Topic { id: 0, name: Some(crate::record::RecordTopic::new(name)) })
    }

    fn add(chunker: &mut Chunker, name: &str, record: &[u8]) {
        chunker.body(name.as_bytes(), topic).extend_from_slice(record);
        chunker.count(2);
    }

    fn drained(chunker: &mut Chunker) -> Vec<(String, u32, u64, Vec<u8>)> {
        let name = |chunk: &Chunk| chunk.topic.name.as_ref().map_or_else(String::new, ToString::to_string);
        let mut all: Vec<_> = chunker
            .drain()
            .map(|chunk| (name(&chunk), chunk.records, chunk.datapoints, chunk.body))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn records_gather_by_topic_over_blocks() {
        let mut chunker = Chunker::default();
        for block in [[("a", b"1"), ("b", b"2")], [("a", b"3"), ("a", b"4")]] {
            chunker.begin(10);
            for (name, record) in block {
                add(&mut chunker, name, record);
            }
            chunker.commit();
        }
        let expected = [("a".to_owned(), 3, 6, b"134".to_vec()), ("b".to_owned(), 1, 2, b"2".to_vec())];
        assert_eq!(drained(&mut chunker), expected);
        assert_eq!(drained(&mut chunker), []);
    }

    #[test]
    fn a_bad_block_takes_back_its_own_records_alone() {
        let mut chunker = Chunker::default();
        chunker.begin(10);
        add(&mut chunker, "a", b"1");
        chunker.commit();
        chunker.begin(10);
        add(&mut chunker, "a", b"2");
        add(&mut chunker, "b", b"3");
        chunker.roll_back();
        chunker.begin(10);
        add(&mut chunker, "b", b"4");
        chunker.commit();
        let expected = [("a".to_owned(), 1, 2, b"1".to_vec()), ("b".to_owned(), 1, 2, b"4".to_vec())];
        assert_eq!(drained(&mut chunker), expected);
    }

    #[test]
    fn a_bad_block_that_filled_chunks_takes_those_back_and_keeps_what_was_there() {
        let mut chunker = Chunker::default();
        chunker.begin(1);
        add(&mut chunker, "a", b"kept");
        chunker.commit();
        let large = vec![0; CHUNK_BYTES];
        chunker.begin(3 * CHUNK_BYTES);
        for _ in 0..3 {
            add(&mut chunker, "a", &large);
        }
        chunker.roll_back();
        assert_eq!(drained(&mut chunker), [("a".to_owned(), 1, 2, b"kept".to_vec())]);
    }

    #[test]
    fn chunks_close_by_size_and_by_count() {
        let mut chunker = Chunker::default();
        let half = vec![0; CHUNK_BYTES / 2];
        chunker.begin(5 * half.len());
        for _ in 0..5 {
            add(&mut chunker, "bytes", &half);
        }
        for _ in 0..=CHUNK_RECORDS {
            add(&mut chunker, "count", b"x");
        }
        chunker.commit();
        let records: Vec<_> = drained(&mut chunker).into_iter().map(|chunk| (chunk.0, chunk.1)).collect();
        let expected = [("bytes", 1), ("bytes", 2), ("bytes", 2), ("count", 1), ("count", CHUNK_RECORDS)];
        assert_eq!(records, expected.map(|(name, records)| (name.to_owned(), records)));
    }
}
