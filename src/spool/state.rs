//! What stands behind the spool's lock: frames, numbers, and for each output where it is and its books.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashSet;
use tokio::sync::Notify;

use super::append::Appended;
use super::bounds::Bounds;
use super::feed;
use super::frame::{Frame, FrameRef, Framing};
use super::ledger::{LossReason, Outcome, OutputLedger};
use super::open::{Closed, OpenFrames};
use super::tail::{OUTPUTS_MAX, OutputSet, Tail};
use super::topics::Topics;
use super::{Config, OpenFrame};
use crate::record::Seq;
use crate::telemetry::Problems;

#[derive(Debug)]
pub(super) struct State {
    pub(super) bounds: Bounds,
    pub(super) tail: Tail,
    pub(super) open: OpenFrames,
    pub(super) topics: Topics,
    /// Records accepted so far.
    pub(super) accepted: u64,
    /// Number of the first record of the next frame that closes.
    next: Seq,
    /// Sources that wait for room now, and heavy ones that wait for more of it.
    pub(super) waiting_sources: usize,
    pub(super) waiting_heavy: usize,
    pub(super) outputs: Vec<Option<Output>>,
    /// Who gets new frames.
    members: OutputSet,
    /// What partners follow; none while nobody does.
    pub(super) feed: Option<Arc<feed::Shared>>,
    /// Books of followers that have gone, by row.
    pub(super) past: BTreeMap<String, OutputLedger>,
    /// Nothing is appended any more.
    pub(super) closed: bool,
    /// When a frame had to go last, and when the log was told so last.
    pub(super) dropped_at: Option<Instant>,
    pub(super) drop_told: Option<Instant>,
    pub(super) problems: Problems,
}

#[derive(Debug)]
pub(super) struct Output {
    pub(super) name: String,
    /// Whether a full spool may wait for it.
    holds: bool,
    /// Frames that began to grow since it asked last.
    opened: Vec<OpenFrame>,
    /// The first frame in the list that it has not been shown.
    pub(super) unseen: Option<usize>,
    /// Frames that it was shown or told of, did not take, and that had to go since it asked last.
    pub(super) gone: Vec<FrameRef>,
    wake: Arc<Notify>,
    /// What it has finished with, and what it was there for. `waiting` is filled in when somebody asks.
    pub(super) books: OutputLedger,
    /// In its hands: taken, not finished.
    pub(super) taken_records: u64,
    pub(super) taken_bytes: usize,
    /// When the oldest of what its tickets stand for was accepted, and how many tickets are as old.
    pub(super) in_hands: BTreeMap<u64, usize>,
    /// Records that it needed and that had to go, by number of their topic.
    pub(super) dropped: BTreeMap<u32, u64>,
    /// When it confirmed something last; before that, when it came.
    progress: Instant,
    /// Ids of topics that it cannot deliver at present.
    stalled: HashSet<u32>,
}

impl State {
    pub(super) fn new(config: Config, framing: Framing) -> State {
        State {
            tail: Tail::default(),
            open: OpenFrames::new(framing, config.memory_bytes),
            topics: Topics::new(config.topics_max),
            bounds: Bounds::new(config),
            accepted: 0,
            next: Seq::default(),
            waiting_sources: 0,
            waiting_heavy: 0,
            outputs: Vec::new(),
            members: OutputSet::default(),
            feed: None,
            past: BTreeMap::new(),
            closed: false,
            dropped_at: None,
            drop_told: None,
            problems: Problems::default(),
        }
    }

    pub(super) fn add_output(&mut self, name: &str, holds: bool, now: Instant) -> (usize, Arc<Notify>) {
        // What is open now was accepted before it came.
        self.close_all();
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
            opened: Vec::new(),
            unseen: None,
            gone: Vec::new(),
            wake: wake.clone(),
            books: OutputLedger::default(),
            taken_records: 0,
            taken_bytes: 0,
            in_hands: BTreeMap::new(),
            dropped: BTreeMap::new(),
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
        self.close_all();
        self.closed = true;
        if let Some(feed) = &self.feed {
            feed.close();
        }
        self.wake_readers();
    }

    pub(super) fn set_framing(&mut self, framing: Framing) {
        self.close_all();
        self.open.framing = framing;
        self.wake_readers();
    }

    fn wake_readers(&self) {
        for output in self.outputs.iter().flatten() {
            output.wake.notify_one();
        }
    }

    /// Whether output `id` has not heard of something.
    pub(super) fn has_news(&mut self, id: usize) -> bool {
        let output = self.output(id);
        output.unseen.is_some() || !output.opened.is_empty()
    }

    /// Frames that began to grow since output `id` asked last.
    pub(super) fn opened(&mut self, id: usize) -> Vec<OpenFrame> {
        std::mem::take(&mut self.output(id).opened)
    }

    /// Frames that had to go after output `id` was shown or told of them, since it asked last.
    pub(super) fn gone(&mut self, id: usize) -> Vec<FrameRef> {
        std::mem::take(&mut self.output(id).gone)
    }

    /// Bytes that count against the limit: open, in the list, in the outputs' hands, and in the feed.
    pub(super) fn bytes(&self) -> usize {
        let taken = self.outputs.iter().flatten().map(|output| output.taken_bytes).sum::<usize>();
        self.open.cost() + self.tail.bytes() + taken + self.fed_bytes()
    }

    /// When the oldest record was accepted that some output has not taken, Unix time in milliseconds.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        let listed = self.tail.oldest().map(|frame| frame.accepted_ms);
        listed.into_iter().chain(self.open.oldest().map(|held| held.accepted_ms)).min()
    }

    /// The current block is good. Says also whether those who follow the feed are to be told.
    pub(super) fn commit(&mut self, now_ms: u64) -> (Appended, bool) {
        let (records, datapoints, filled) = self.open.commit(now_ms);
        self.accepted += records;
        let news = self.feed.as_ref().is_some_and(|feed| self.feed_on(feed, &filled, now_ms));
        for output in self.outputs.iter_mut().flatten() {
            output.books.accepted += records;
        }
        let has_filled = !filled.is_empty();
        for closed in filled {
            self.list(closed, now_ms);
        }
        if self.members.is_empty() {
            self.forget_open();
        } else if self.announce() || has_filled {
            self.wake_readers();
        }
        (Appended { records, datapoints }, news)
    }

    /// The current block is bad.
    pub(super) fn roll_back(&mut self) {
        let kept = self.open.roll_back();
        self.topics.roll_back();
        if kept.is_empty() {
            return;
        }
        for closed in kept {
            self.list(closed, 0);
        }
        self.wake_readers();
    }

    /// Tells the outputs of frames that began to grow. Says whether there were any.
    fn announce(&mut self) -> bool {
        let mut any = false;
        for held in self.open.announce() {
            any = true;
            for output in self.outputs.iter_mut().flatten() {
                output.opened.push(OpenFrame::new(held, self.topics.topic(held.topic)));
            }
        }
        any
    }

    /// Nobody needs the frames of the last block.
    fn forget_open(&mut self) {
        let topics: Vec<u32> = self.open.announce().map(|held| held.topic).collect();
        for topic in topics {
            if let Some(closed) = self.open.close(topic) {
                self.topics.number(topic, closed.records);
                self.open.buffers.give(closed.memory.into());
            }
        }
    }

    /// Closes the topic's frame: it can be shown and taken then.
    pub(super) fn close_topic(&mut self, topic: u32) {
        if let Some(closed) = self.open.close(topic) {
            self.list(closed, 0);
        }
    }

    pub(super) fn close_all(&mut self) {
        let topics: Vec<u32> = self.open.held().map(|held| held.topic).collect();
        for topic in topics {
            self.close_topic(topic);
        }
    }

    /// Numbers a closed frame and puts it in the list, for the outputs that are there.
    fn list(&mut self, closed: Closed, now_ms: u64) {
        let Closed { topic, memory, records, accepted_ms, is_full, was_opened, .. } = closed;
        let first = self.topics.number(topic, records);
        let seq = self.next;
        self.next = seq.after(records);
        if self.members.is_empty() {
            self.open.buffers.give(memory.into());
            return;
        }
        let topic = self.topics.topic(topic).clone();
        let accepted_ms = accepted_ms.unwrap_or(now_ms);
        let frame = Frame { seq, first, topic, records, accepted_ms, is_full, was_opened, memory };
        let slot = self.tail.push(frame, self.members);
        for output in self.outputs.iter_mut().flatten() {
            output.unseen.get_or_insert(slot);
        }
    }

    /// What each growing frame holds.
    pub(super) fn open_frames(&self) -> Vec<OpenFrame> {
        self.open.held().map(|held| OpenFrame::new(held, self.topics.topic(held.topic))).collect()
    }

    /// The next frame that output `id` has not been shown.
    pub(super) fn show(&mut self, id: usize) -> Option<FrameRef> {
        let unseen = self.output(id).unseen?;
        let (shown, behind) = self.tail.show(unseen, id);
        self.output(id).unseen = behind;
        Some(shown)
    }

    /// Takes a frame back that output `id` had in its hands.
    pub(super) fn give_back(&mut self, id: usize, frame: Frame) -> FrameRef {
        self.forget(id, u64::from(frame.records), frame.body().len());
        let mut needed_by = OutputSet::default();
        needed_by.insert(id);
        self.tail.put_back(frame, needed_by)
    }

    /// Puts a frame into the hands of output `id`; none if it had to go meanwhile.
    pub(super) fn take(&mut self, wanted: &FrameRef, id: usize) -> Option<Arc<Frame>> {
        let frame = self.tail.take(wanted, id)?;
        let output = self.output(id);
        output.taken_records += u64::from(frame.records);
        output.taken_bytes += frame.body().len();
        Some(frame)
    }

    /// Books what output `id` had in its hands.
    pub(super) fn finish(&mut self, id: usize, records: u64, bytes: usize, outcome: Outcome, now: Instant) {
        let output = self.output(id);
        output.taken_records -= records;
        output.taken_bytes -= bytes;
        output.books.add(records, outcome);
        // What is set aside makes room as well.
        if matches!(outcome, Outcome::Delivered | Outcome::SetAside(_)) {
            output.progress = now;
        }
    }

    /// Output `id` let go of something without saying what became of it: the books show it as an imbalance.
    pub(super) fn forget(&mut self, id: usize, records: u64, bytes: usize) {
        let output = self.output(id);
        output.taken_records -= records;
        output.taken_bytes -= bytes;
    }

    /// Notes a ticket of output `id` for what was accepted at `oldest_ms` and later.
    pub(super) fn hold(&mut self, id: usize, oldest_ms: u64) {
        *self.output(id).in_hands.entry(oldest_ms).or_default() += 1;
    }

    /// The ticket is no more.
    pub(super) fn release(&mut self, id: usize, oldest_ms: u64) {
        let in_hands = &mut self.output(id).in_hands;
        let tickets = in_hands.get_mut(&oldest_ms).expect("a ticket is noted while it is there");
        *tickets -= 1;
        if *tickets == 0 {
            in_hands.remove(&oldest_ms);
        }
    }

    pub(super) fn set_stalled(&mut self, id: usize, topic: u32, stalled: bool) {
        let topics = &mut self.output(id).stalled;
        if stalled {
            topics.insert(topic);
        } else {
            topics.remove(&topic);
        }
    }

    pub(super) fn expect_pause(&mut self, id: usize, until: Instant) {
        let output = self.output(id);
        output.progress = output.progress.max(until);
    }

    /// Drops the oldest frame, counted for each output that needed it: of those in the list, and if there are none of
    /// those that grow. Says whether there was one.
    pub(super) fn drop_oldest(&mut self, reason: LossReason) -> bool {
        if self.tail.len() == 0
            && let Some(held) = self.open.oldest()
        {
            self.close_topic(held.topic);
        }
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
        let listed = self.tail.oldest().map(|frame| frame.topic.id);
        let oldest = listed.or_else(|| self.open.oldest().map(|held| held.topic));
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

    fn output(&mut self, id: usize) -> &mut Output {
        self.outputs[id].as_mut().expect("a reader lives as long as its output")
    }
}
