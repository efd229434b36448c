//! The frames that still grow, one for each topic that has records, and the block that is being accepted.
//!
//! Records are appended where they are going to stay, and belong to a *block* that is accepted or refused as a whole:
//! each frame remembers how long it was when the block began. A frame that a block fills is put aside until the block
//! is decided on.

use std::mem;

use super::buffers::{Buffers, LARGE};
use super::frame::{Framing, Memory};

/// The share of the spool's bytes that is kept in free buffers, and that frames may take at ease.
const KEPT_SHARE: usize = 16;
const EASE_SHARE: usize = 4;

/// What a frame that grew was at some time: bytes and records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    len: usize,
    records: u32,
}

/// A frame that grows.
#[derive(Debug, Default)]
struct Open {
    memory: Memory,
    records: u32,
    accepted_ms: u64,
    /// Outputs have heard of it.
    announced: bool,
    /// What it was when the current block began, and the block that this belongs to.
    mark: Mark,
    marked_in: u64,
    /// Bytes that the topic's last frame closed with: how much to ask for at once.
    usual: usize,
    /// What it counts for in `OpenFrames::cost`.
    counted: usize,
}

/// A frame that does not grow any more.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) topic: u32,
    pub(super) memory: Memory,
    pub(super) records: u32,
    /// None if it is younger than the block.
    pub(super) accepted_ms: Option<u64>,
    pub(super) is_full: bool,
    pub(super) was_opened: bool,
    mark: Mark,
}

/// What one topic's frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) topic: u32,
    pub(super) records: u32,
    pub(super) accepted_ms: u64,
}

/// All of them.
#[derive(Debug)]
pub(super) struct OpenFrames {
    /// Changed only while none is open.
    pub(super) framing: Framing,
    pub(super) buffers: Buffers,
    /// By topic id.
    frames: Vec<Open>,
    /// Bytes of memory they take.
    cost: usize,
    /// Memory is asked for in one piece as long as they take less than this.
    cost_at_ease: usize,
    /// Records in them, of accepted blocks.
    records: u64,
    /// Number of the current block, its datapoints, the topics that it touched, and the frames that it filled.
    block: u64,
    datapoints: u64,
    touched: Vec<u32>,
    filled: Vec<Closed>,
}

impl OpenFrames {
    /// None yet. `bytes` is what the spool may hold in all.
    pub(super) fn new(framing: Framing, bytes: usize) -> OpenFrames {
        OpenFrames {
            framing,
            buffers: Buffers::new(bytes / KEPT_SHARE),
            frames: Vec::new(),
            cost: 0,
            cost_at_ease: bytes / EASE_SHARE,
            records: 0,
            block: 0,
            datapoints: 0,
            touched: Vec::new(),
            filled: Vec::new(),
        }
    }

    /// The spool may hold so many bytes in all from now on.
    pub(super) fn set_bytes(&mut self, bytes: usize) {
        self.buffers.set_max(bytes / KEPT_SHARE);
        self.cost_at_ease = bytes / EASE_SHARE;
    }

    /// Bytes of memory that they take.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Records in them.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// What each holds.
    pub(super) fn held(&self) -> impl Iterator<Item = Held> {
        let held = self.frames.iter().zip(0..).filter(|(open, _)| open.records > 0);
        held.map(|(open, topic)| Held { topic, records: open.records, accepted_ms: open.accepted_ms })
    }

    /// Begins a block.
    pub(super) fn begin(&mut self) {
        self.block += 1;
        self.datapoints = 0;
        self.touched.clear();
    }

    /// Where one more record of this topic, of up to `bytes` bytes, goes.
    #[inline]
    pub(super) fn record(&mut self, topic: u32, bytes: usize, datapoints: u32) -> &mut Vec<u8> {
        let index = topic as usize;
        if index >= self.frames.len() {
            self.frames.resize_with(index + 1, Open::default);
        }
        let open = &mut self.frames[index];
        if open.marked_in != self.block {
            open.marked_in = self.block;
            open.mark = open.now();
            self.touched.push(topic);
        }
        let framing = &self.framing;
        if open.records > 0
            && (open.records >= framing.records_max.get() || open.memory.len() + bytes > framing.bytes_max)
        {
            self.filled.push(open.close(topic, true));
        }
        let whole = framing.room_before + framing.bytes_max + framing.room_behind;
        if !open.memory.is_there() {
            // A little more than it was last time.
            let usual = (open.usual + open.usual / 8).min(framing.bytes_max);
            open.memory = if usual >= LARGE && self.cost + usual <= self.cost_at_ease {
                let all = framing.room_before + usual + framing.room_behind;
                Memory::new(self.buffers.take(all), framing.room_before)
            } else {
                Memory::new(Vec::with_capacity(usual.min(LARGE)), 0)
            };
        }
        open.memory.reserve(bytes + framing.room_behind, whole);
        open.records += 1;
        self.datapoints += u64::from(datapoints);
        open.memory.end()
    }

    /// The block is good. Gives its records and datapoints, and the frames that it filled.
    pub(super) fn commit(&mut self, now_ms: u64) -> (u64, u64, Vec<Closed>) {
        let filled = mem::take(&mut self.filled);
        let mut records = 0;
        for closed in &filled {
            records += u64::from(closed.records - closed.mark.records);
            self.records -= u64::from(closed.mark.records);
        }
        for &topic in &self.touched {
            let open = &mut self.frames[topic as usize];
            let more = u64::from(open.records - open.mark.records);
            records += more;
            self.records += more;
            if open.mark.records == 0 && open.records > 0 {
                open.accepted_ms = now_ms;
            }
            self.cost = self.cost - open.counted + open.count();
        }
        (records, self.datapoints, filled)
    }

    /// What the last block left in frames that still grow, once it is accepted: topic, records and their bytes.
    pub(super) fn fresh(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        self.touched.iter().map(|topic| {
            let Open { memory, records, mark, .. } = &self.frames[*topic as usize];
            (*topic, records - mark.records, memory.body().get(mark.len..).unwrap_or_default())
        })
    }

    /// The block is bad: its records have never been here. Gives what is left of the frames that it filled.
    pub(super) fn roll_back(&mut self) -> Vec<Closed> {
        let mut kept = Vec::new();
        for mut closed in mem::take(&mut self.filled) {
            let Mark { len, records } = closed.mark;
            if records == 0 {
                self.buffers.give(closed.memory.into());
                continue;
            }
            closed.memory.truncate(len);
            (closed.records, closed.is_full) = (records, false);
            self.records -= u64::from(records);
            kept.push(closed);
        }
        for topic in self.touched.drain(..) {
            let open = &mut self.frames[topic as usize];
            let Mark { len, records } = open.mark;
            open.records = records;
            if records == 0 {
                self.buffers.give(mem::take(&mut open.memory).into());
            } else {
                open.memory.truncate(len);
            }
            self.cost = self.cost - open.counted + open.count();
        }
        kept
    }

    /// Topics of the last block whose frames nobody has heard of. From now on they count as announced.
    pub(super) fn announce(&mut self) -> impl Iterator<Item = Held> {
        let frames = &mut self.frames;
        self.touched.drain(..).filter_map(|topic| {
            let open = &mut frames[topic as usize];
            let Open { records, accepted_ms, .. } = *open;
            (records > 0 && !mem::replace(&mut open.announced, true)).then_some(Held {
                topic,
                records,
                accepted_ms,
            })
        })
    }

    /// Closes the topic's frame, if there is one. Not within a block.
    pub(super) fn close(&mut self, topic: u32) -> Option<Closed> {
        let open = self.frames.get_mut(topic as usize).filter(|open| open.records > 0)?;
        self.records -= u64::from(open.records);
        let closed = open.close(topic, false);
        self.cost = self.cost - open.counted + open.count();
        Some(closed)
    }

    /// The topic whose frame has the oldest record.
    pub(super) fn oldest(&self) -> Option<Held> {
        self.held().min_by_key(|held| held.accepted_ms)
    }
}

impl Closed {
    /// What the block that filled it has in it: topic, records and their bytes.
    pub(super) fn fresh(&self) -> (u32, u32, &[u8]) {
        (self.topic, self.records - self.mark.records, &self.memory.body()[self.mark.len..])
    }
}

impl Open {
    fn now(&self) -> Mark {
        Mark { len: self.memory.len(), records: self.records }
    }

    fn close(&mut self, topic: u32, is_full: bool) -> Closed {
        let mark = mem::take(&mut self.mark);
        let mut memory = mem::take(&mut self.memory);
        self.usual = memory.len();
        memory.fit();
        Closed {
            topic,
            memory,
            records: mem::take(&mut self.records),
            accepted_ms: (!is_full || mark.records > 0).then_some(self.accepted_ms),
            is_full,
            was_opened: mem::take(&mut self.announced),
            mark,
        }
    }

    /// Notes what it counts for, and says it.
    fn count(&mut self) -> usize {
        self.counted = self.memory.cost();
        self.counted
    }
}
