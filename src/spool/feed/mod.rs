//! The feed: what was accepted lately, in the order of acceptance, for outputs that want records as they arrive.
//!
//! # What it promises
//! * A block's records are in the feed as soon as they are accepted, also those whose frames still grow: nobody waits for
//!   a message to fill.
//! * Records have a [`Seq`] here without gaps, by acceptance: the number of records that were accepted before. Frames
//!   count otherwise, by the order in which they close.
//! * However many follow, the bytes are there once. They are copied out of the frames when a block is accepted, once for
//!   all followers, while they are in cache; the frames stay Kafka's alone, which makes messages of them where they lie.
//! * While nobody follows there is no feed, and it costs the line one look at whether there is one.
//! * A follower never makes the input, Kafka or another follower wait. It costs its own records when it is too slow, and
//!   the books and [`Follower::lost`] say how many.
//!
//! # How it works
//! Accepted records are appended to a [`Piece`] that grows until somebody reads it or it is large enough; then it is closed
//! for good and shared by all who read it. Every [`Follower`] has a cursor in the list of pieces, and so it costs some
//! numbers, not bytes. What it has read is *in its hands* until it finishes it with an outcome, so that it can be read
//! again, see [`Follower::rewind`], if a connection ends before the other side has said that it is done.
//!
//! One task at a time waits for news, see [`News`], and tells the others: waking one costs the line as much as waking two
//! hundred would.
//!
//! # When it is full
//! It has a quarter of `spool-memory` where an output holds the input (Kafka), else all of it. Its bytes count against
//! that limit, and of a full spool they go before anything that Kafka needs, down to a small rest. The oldest pieces go
//! first; whoever has not read them by then has lost them. What everybody has finished with goes as well, but for the same
//! small rest, which is what a follower gets that asks for the oldest there is.

mod attached;
mod follower;
mod piece;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::BytesMut;
use slab::Slab;

use super::ledger::OutputLedger;
use super::topics::Topic;
use crate::record::Seq;

pub use follower::{Follower, From, News};
pub use piece::{Part, Piece};

use follower::Cursor;

/// A piece that has so many bytes is closed, so that it can go as soon as nobody needs it.
const PIECE_BYTES: usize = 64 << 10;

/// Memory for pieces is asked for in this size; pieces share it.
const SEGMENT_BYTES: usize = 128 << 10;

/// The share of `spool-memory` that it keeps in any case.
const REST_SHARE: usize = 32;

/// The share of `spool-memory` that it has beside an output that holds the input.
const HELD_SHARE: usize = 4;

/// The feed behind its lock. Whoever has the spool's lock may take this one too, never the other way round.
#[derive(Debug)]
pub(super) struct Shared {
    log: Mutex<Log>,
    /// Bytes of the pieces, for those who have no lock.
    bytes: AtomicUsize,
}

/// The pieces, and who follows.
#[derive(Debug)]
struct Log {
    pieces: VecDeque<Arc<Piece>>,
    /// Of the first record that is there.
    first: Seq,
    /// Of the next one that is accepted.
    next: Seq,
    /// What grows.
    growing: Growing,
    /// Bytes of the records of all closed pieces that there have been.
    offset: u64,
    /// What the closed pieces count for, and what they may.
    bytes: usize,
    bytes_max: usize,
    rest: usize,
    /// Bytes that were there when a limit was set, less what was let go since. What had to go for what came is still among
    /// them.
    kept: usize,
    has_holder: bool,
    cursors: Slab<Cursor>,
    closed: bool,
    /// The one who waits for news has been woken and has not asked since.
    told: bool,
}

/// A piece that grows.
#[derive(Debug, Default)]
struct Growing {
    buffer: BytesMut,
    parts: Vec<Part>,
    records: u32,
    accepted_ms: u64,
}

impl Shared {
    /// An empty feed behind `next` records, of a spool of so many bytes.
    pub(super) fn new(next: Seq, memory_bytes: usize, has_holder: bool) -> Shared {
        let mut log = Log {
            pieces: VecDeque::new(),
            first: next,
            next,
            growing: Growing::default(),
            offset: 0,
            bytes: 0,
            bytes_max: 0,
            rest: 0,
            kept: 0,
            has_holder,
            cursors: Slab::new(),
            closed: false,
            told: false,
        };
        log.set_bytes(memory_bytes);
        Shared { log: Mutex::new(log), bytes: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no code panics under this lock")
    }

    /// Bytes that its pieces take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The spool has so many bytes from now on.
    pub(super) fn set_bytes(&self, memory_bytes: usize) {
        self.lock().set_bytes(memory_bytes);
    }

    /// Has `write` push records that were accepted just now. Says whether somebody is to be told.
    pub(super) fn append(&self, write: impl FnOnce(&mut Pushing<'_>)) -> bool {
        let mut log = self.lock();
        let before = log.next;
        write(&mut Pushing(&mut log));
        if log.next == before {
            return false;
        }
        self.bytes.store(log.bytes(), Ordering::Relaxed);
        !std::mem::replace(&mut log.told, true)
    }

    /// Lets go of the oldest piece, unless there is only the rest. Says whether it did.
    pub(super) fn shrink(&self) -> bool {
        let mut log = self.lock();
        let goes = log.bytes() > log.rest && log.let_go();
        self.bytes.store(log.bytes(), Ordering::Relaxed);
        goes
    }

    /// Nothing is appended any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// Adds what waits for each follower, in bytes, to what waits for its row.
    pub(super) fn add_waiting_bytes(&self, rows: &mut BTreeMap<String, usize>) {
        let log = self.lock();
        for (_, cursor) in &log.cursors {
            *rows.entry(cursor.row.clone()).or_default() += log.bytes_from(cursor.needs());
        }
    }

    /// Adds each follower's books to those of its row. `accepted`: records that the spool has accepted.
    pub(super) fn add_books(&self, accepted: u64, rows: &mut BTreeMap<String, OutputLedger>) {
        let log = self.lock();
        for (_, cursor) in &log.cursors {
            let mut books = cursor.books(accepted, log.first, log.next);
            books.oldest_ms = (books.waiting > 0).then(|| log.accepted_at(cursor.needs())).flatten();
            rows.entry(cursor.row.clone()).or_default().merge(&books);
        }
    }
}

/// Appends accepted records.
pub(super) struct Pushing<'a>(&'a mut Log);

impl Pushing<'_> {
    /// Appends consecutive records of one topic.
    pub(super) fn push(&mut self, topic: &Arc<Topic>, records: u32, body: &[u8], now_ms: u64) {
        if records > 0 {
            self.0.push(topic, records, body, now_ms);
        }
    }
}

impl Log {
    /// The spool has so many bytes. What is there stays, also where that is more than it may have.
    fn set_bytes(&mut self, memory_bytes: usize) {
        self.bytes_max = if self.has_holder { memory_bytes / HELD_SHARE } else { memory_bytes };
        self.rest = memory_bytes / REST_SHARE;
        self.kept = self.bytes();
    }

    /// Bytes that the pieces count for.
    fn bytes(&self) -> usize {
        self.bytes + self.growing.buffer.len()
    }

    /// Bytes from the record of this number on, and those before it in the same piece.
    fn bytes_from(&self, at: Seq) -> usize {
        let index = self.pieces.partition_point(|piece| piece.end() <= at);
        let closed = self.pieces.get(index).map_or(0, |piece| self.offset - piece.offset);
        let closed = usize::try_from(closed).expect("it is in memory");
        closed + if at < self.next { self.growing.buffer.len() } else { 0 }
    }

    /// When the record of this number was accepted, or where that is gone the oldest that is there: Unix time in
    /// milliseconds.
    fn accepted_at(&self, at: Seq) -> Option<u64> {
        let index = self.pieces.partition_point(|piece| piece.end() <= at);
        let growing = (self.growing.records > 0).then_some(self.growing.accepted_ms);
        self.pieces.get(index).map(|piece| piece.accepted_ms).or(growing)
    }

    fn push(&mut self, topic: &Arc<Topic>, records: u32, body: &[u8], now_ms: u64) {
        let free = self.growing.buffer.capacity() - self.growing.buffer.len();
        if free < body.len() || self.growing.buffer.len() >= PIECE_BYTES {
            self.cut();
            if self.growing.buffer.capacity() < body.len() {
                self.growing.buffer = BytesMut::with_capacity(body.len().max(SEGMENT_BYTES));
            }
        }
        let growing = &mut self.growing;
        if growing.records == 0 {
            growing.accepted_ms = now_ms;
        }
        match growing.parts.last_mut().filter(|part| part.topic.id == topic.id) {
            Some(part) => {
                part.records += records;
                part.bytes += body.len();
            }
            None => growing.parts.push(Part { topic: topic.clone(), records, bytes: body.len() }),
        }
        growing.buffer.extend_from_slice(body);
        growing.records += records;
        self.next = self.next.after(records);
    }

    /// Closes what grows, and lets go of what need not or cannot be kept.
    fn cut(&mut self) {
        let growing = &mut self.growing;
        if growing.records == 0 {
            return;
        }
        let records = std::mem::take(&mut growing.records);
        let piece = Piece {
            first: Seq(self.next.0 - u64::from(records)),
            records,
            accepted_ms: growing.accepted_ms,
            parts: std::mem::take(&mut growing.parts),
            body: growing.buffer.split().freeze(),
            offset: self.offset,
        };
        self.offset += piece.body.len() as u64;
        self.bytes += piece.cost();
        self.pieces.push_back(Arc::new(piece));
        while self.bytes() > self.bytes_max.max(self.kept) && self.evict() {}
        // Asked once: many may go at a time, when the last one moves on that needed them.
        let needed = self.needed();
        while self.bytes() > self.rest && self.pieces.front().is_some_and(|piece| piece.end() <= needed) {
            self.let_go();
        }
    }

    /// Number of the first record that somebody may have to read.
    fn needed(&self) -> Seq {
        self.cursors.iter().map(|(_, cursor)| cursor.needs()).min().unwrap_or(self.next)
    }

    /// Lets go of the oldest piece for good: beyond a lower limit nothing comes in its place.
    fn let_go(&mut self) -> bool {
        let before = self.bytes();
        let goes = self.evict();
        self.kept = self.kept.saturating_sub(before - self.bytes());
        goes
    }

    /// Lets go of the oldest piece.
    fn evict(&mut self) -> bool {
        let Some(piece) = self.pieces.pop_front() else { return false };
        self.bytes -= piece.cost();
        self.first = piece.end();
        true
    }

    /// The piece in which the record of this number is, and its place in there. None: it has not been accepted yet.
    fn piece_at(&mut self, at: Seq) -> Option<(Arc<Piece>, u32)> {
        if at >= Seq(self.next.0 - u64::from(self.growing.records)) {
            self.cut();
        }
        let index = self.pieces.partition_point(|piece| piece.end() <= at);
        let piece = self.pieces.get(index)?;
        let skip = u32::try_from(at.0 - piece.first.0).expect("it is in the piece");
        Some((piece.clone(), skip))
    }
}
