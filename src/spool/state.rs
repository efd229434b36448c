//! What stands behind the spool's lock: the list, the numbers, and for each output where it is and its books.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashSet;
use tokio::sync::Notify;

use super::Chunk;
use super::ledger::{Ledger, LossReason, Outcome, OutputLedger};
use super::tail::{Evicted, Frame, FrameRef, OUTPUTS_MAX, OutputSet, Tail};
use super::topics::Topics;
use crate::record::Seq;

#[derive(Debug)]
pub(super) struct State {
    pub(super) tail: Tail,
    pub(super) topics: Topics,
    pub(super) next: Seq,
    /// Sources that wait for room now.
    pub(super) waiting_sources: usize,
    outputs: Vec<Option<Output>>,
    /// Who gets new frames.
    members: OutputSet,
    /// Nothing is appended any more.
    pub(super) closed: bool,
    /// When a frame had to go last, and when the log was told so last.
    pub(super) dropped_at: Option<Instant>,
    pub(super) drop_told: Option<Instant>,
}

#[derive(Debug)]
struct Output {
    name: String,
    /// Whether a full spool may wait for it.
    holds: bool,
    /// The first frame that it has not been shown, and the bytes from there on.
    unseen: Option<usize>,
    unseen_bytes: usize,
    /// Frames that it was shown, did not take, and that had to go since it asked last, by topic.
    gone: Vec<FrameRef>,
    /// It is woken when it has not been shown so many bytes.
    wake_at: usize,
    wake: Arc<Notify>,
    /// What it has finished with, and what it was there for. `waiting` is filled in when somebody asks.
    books: OutputLedger,
    /// In its hands: taken, not finished.
    taken_records: u64,
    taken_bytes: usize,
    /// When it confirmed something last; before that, when it came.
    progress: Instant,
    /// Ids of topics that it cannot deliver at present.
    stalled: HashSet<u32>,
}

impl State {
    pub(super) fn new(topics_max: usize) -> State {
        State {
            tail: Tail::default(),
            topics: Topics::new(topics_max),
            next: Seq::default(),
            waiting_sources: 0,
            outputs: Vec::new(),
            members: OutputSet::default(),
            closed: false,
            dropped_at: None,
            drop_told: None,
        }
    }

    pub(super) fn add_output(&mut self, name: &str, holds: bool, now: Instant) -> (usize, Arc<Notify>) {
        let wake = Arc::new(Notify::new());
        let free = self.outputs.iter().position(Option::is_none);
        let id = free.unwrap_or(self.outputs.len());
        assert!(id < OUTPUTS_MAX, "more than {OUTPUTS_MAX} outputs");
        if free.is_none() {
            self.outputs.push(None);
        }
        self.outputs[id] = Some(Output {
            name: name.to_owned(),
            holds,
            unseen: None,
            unseen_bytes: 0,
            gone: Vec::new(),
            wake_at: 0,
            wake: wake.clone(),
            books: OutputLedger::default(),
            taken_records: 0,
            taken_bytes: 0,
            progress: now,
            stalled: HashSet::new(),
        });
        self.members.insert(id);
        if holds {
            self.tail.add_holder(id);
        }
        (id, wake)
    }

    /// Nothing is appended any more; every reader is to know.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for output in self.outputs.iter().flatten() {
            output.wake.notify_one();
        }
    }

    /// Wakes the readers that have not been shown as much as they wait for.
    pub(super) fn wake_readers(&self) {
        for output in self.outputs.iter().flatten() {
            if output.unseen_bytes > 0 && output.unseen_bytes >= output.wake_at {
                output.wake.notify_one();
            }
        }
    }

    /// From now on output `id` is woken when it has not been shown `bytes`. Says whether it has that to see already.
    pub(super) fn wake_at(&mut self, id: usize, bytes: usize) -> bool {
        let output = self.output(id);
        output.wake_at = bytes;
        output.unseen_bytes > 0 && output.unseen_bytes >= bytes
    }

    /// Frames that had to go after output `id` was shown them, since it asked last.
    pub(super) fn gone(&mut self, id: usize) -> Vec<FrameRef> {
        std::mem::take(&mut self.output(id).gone)
    }

    /// Bytes that count against the limit: in the list and in the outputs' hands.
    pub(super) fn bytes(&self) -> usize {
        self.tail.bytes() + self.outputs.iter().flatten().map(|output| output.taken_bytes).sum::<usize>()
    }

    pub(super) fn accept(&mut self, chunk: Chunk, now_ms: u64) {
        let Chunk { topic, records, datapoints, body } = chunk;
        let first = self.topics.number(&topic, records);
        let seq = self.next;
        self.next = seq.after(records);
        if self.members.is_empty() {
            return;
        }
        let frame = Frame { seq, first, topic, records, datapoints, accepted_ms: now_ms, body };
        let bytes = frame.body.len();
        let slot = self.tail.push(frame, self.members);
        for output in self.outputs.iter_mut().flatten() {
            output.books.accepted += u64::from(records);
            output.unseen_bytes += bytes;
            output.unseen.get_or_insert(slot);
        }
    }

    /// The next frame that output `id` has not been shown.
    pub(super) fn show(&mut self, id: usize) -> Option<FrameRef> {
        let unseen = self.output(id).unseen?;
        let (shown, behind) = self.tail.show(unseen);
        let output = self.output(id);
        output.unseen = behind;
        output.unseen_bytes -= shown.bytes;
        Some(shown)
    }

    /// Puts a frame into the hands of output `id`; none if it had to go meanwhile.
    pub(super) fn take(&mut self, wanted: &FrameRef, id: usize) -> Option<Arc<Frame>> {
        let frame = self.tail.take(wanted, id)?;
        let output = self.output(id);
        output.taken_records += u64::from(frame.records);
        output.taken_bytes += frame.body.len();
        Some(frame)
    }

    /// Books what output `id` had in its hands.
    pub(super) fn finish(&mut self, id: usize, records: u64, bytes: usize, outcome: Outcome, now: Instant) {
        let output = self.output(id);
        output.taken_records -= records;
        output.taken_bytes -= bytes;
        output.books.add(records, outcome);
        if outcome == Outcome::Delivered {
            output.progress = now;
        }
    }

    /// Output `id` let go of something without saying what became of it: the books show it as an imbalance.
    pub(super) fn forget(&mut self, id: usize, records: u64, bytes: usize) {
        let output = self.output(id);
        output.taken_records -= records;
        output.taken_bytes -= bytes;
    }

    pub(super) fn set_stalled(&mut self, id: usize, topic: u32, stalled: bool) {
        let topics = &mut self.output(id).stalled;
        if stalled {
            topics.insert(topic);
        } else {
            topics.remove(&topic);
        }
    }

    /// Drops the oldest frame, counted for each output that needed it. Says whether there was one.
    pub(super) fn drop_oldest(&mut self, reason: LossReason) -> bool {
        let evicted = self.tail.evict();
        self.book_eviction(evicted, reason)
    }

    /// Drops the oldest frame that no holder needs.
    pub(super) fn drop_optional(&mut self, reason: LossReason) -> bool {
        let evicted = self.tail.evict_optional();
        self.book_eviction(evicted, reason)
    }

    /// Whether something will come of waiting for room: until when a holder's last progress counts, if it does.
    pub(super) fn worth_waiting(&self, patience: Duration, now: Instant) -> Option<Instant> {
        let oldest = self.tail.oldest().map(|frame| frame.topic.id);
        self.outputs
            .iter()
            .flatten()
            .filter(|output| output.holds && oldest.is_none_or(|topic| !output.stalled.contains(&topic)))
            .map(|output| output.progress + patience)
            .filter(|until| *until > now)
            .max()
    }

    /// Whether any output may hold the input.
    pub(super) fn has_holder(&self) -> bool {
        self.outputs.iter().flatten().any(|output| output.holds)
    }

    pub(super) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger { accepted: self.next.0, ..Ledger::default() };
        for (id, output) in self.outputs.iter().enumerate() {
            let Some(output) = output else { continue };
            let listed = self.tail.iter().filter(|(_, needed_by)| needed_by.contains(id));
            let in_list = listed.map(|(frame, _)| u64::from(frame.records)).sum::<u64>();
            let books = OutputLedger { waiting: in_list + output.taken_records, ..output.books.clone() };
            ledger.outputs.insert(output.name.clone(), books);
        }
        ledger
    }

    fn book_eviction(&mut self, evicted: Option<Evicted>, reason: LossReason) -> bool {
        let Some(Evicted { shown, behind, needed_by }) = evicted else { return false };
        let first_unseen = |output: &Output, tail: &Tail| output.unseen.map(|slot| tail.seq(slot));
        for id in needed_by.iter() {
            let tail = &self.tail;
            let output = self.outputs[id].as_mut().expect("an output that needs a frame is there");
            output.books.add(u64::from(shown.records), Outcome::Lost(reason));
            if output.unseen == Some(shown.slot()) {
                output.unseen = behind;
                output.unseen_bytes -= shown.bytes;
            } else if first_unseen(output, tail).is_some_and(|seq| seq < shown.seq) {
                // A frame in the middle that it would have been shown later.
                output.unseen_bytes -= shown.bytes;
            } else {
                output.gone.push(shown.clone());
            }
        }
        true
    }

    fn output(&mut self, id: usize) -> &mut Output {
        self.outputs[id].as_mut().expect("a reader lives as long as its output")
    }
}
