//! One Kafka topic's records: those that wait, those under way, and when the next message is due. Decides, does nothing.

use std::collections::VecDeque;
use std::ffi::CString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::{Batch, Size};
use super::flow::{Flow, HoldReason};
use super::settings::BatchLimits;
use crate::record::TopicName;
use crate::spool::{FrameRef, Topic};

/// A topic's first message closes after this long: a new consumer should not wait for the first.
const FIRST_AGE: Duration = Duration::from_secs(1);

/// Due times are rounded down to a grid of this many steps in the age limit, so that many quiet topics wake us together.
const GRID: u32 = 8;

/// After this many messages of a reduced size in a row, twice the size is tried again.
const GROW_AFTER: u32 = 64;

/// A topic and its records.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Queue {
    pub(super) name: TopicName,
    pub(super) c_name: CString,
    /// What its records are filed under in the spool.
    pub(super) source: Arc<Topic>,
    /// Closed frames in the spool, in order.
    waiting: VecDeque<Waiting>,
    waiting_records: u64,
    waiting_bytes: usize,
    /// How many of them are as large as a message.
    waiting_full: usize,
    /// Frames that grow in the spool: those we heard of, less those that we were shown. Below 0 where a frame was shown
    /// first. Since when one does, and the records in it as of the last note.
    open: i64,
    open_since: Option<Instant>,
    pub(super) open_records: u64,
    /// To be sent again, in order, before anything else.
    pub(super) resend: VecDeque<Batch>,
    /// Under way.
    pub(super) in_flight_messages: usize,
    pub(super) in_flight_bytes: usize,
    pub(super) in_flight_records: u64,
    pub(super) flow: Flow,
    /// The reason for holding it that the log has had.
    told: Option<HoldReason>,
    pub(super) sent_before: bool,
    /// One message at a time, so that the broker sees none bigger than one of ours.
    pub(super) one_at_a_time: bool,
    /// What the broker has taught us, if it takes less than the configuration says.
    bytes_max: Option<usize>,
    in_a_row: u32,
    /// When something of it was last acknowledged, or given to librdkafka when nothing was.
    pub(super) last_ack: Instant,
    /// Whether the spool has been told that it is stalled.
    pub(super) stalled: bool,
    /// Whether it is in the task's list of topics to look at, and in that of topics that wait for permits.
    pub(super) listed: bool,
    pub(super) starved: bool,
    /// The time at which it is looked at next, if it is not listed.
    pub(super) timer: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    frame: FrameRef,
    shown: Instant,
}

/// When a message is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    At(Instant),
    /// Not before something happens.
    Never,
}

impl Queue {
    pub(super) fn new(name: TopicName, source: Arc<Topic>, now: Instant) -> Queue {
        let c_name = CString::new(name.as_str()).expect("a topic name has no NUL");
        Queue {
            name,
            c_name,
            source,
            waiting: VecDeque::new(),
            waiting_records: 0,
            waiting_bytes: 0,
            waiting_full: 0,
            open: 0,
            open_since: None,
            open_records: 0,
            resend: VecDeque::new(),
            in_flight_messages: 0,
            in_flight_bytes: 0,
            in_flight_records: 0,
            flow: Flow::Flowing,
            told: None,
            sent_before: false,
            one_at_a_time: false,
            bytes_max: None,
            in_a_row: 0,
            last_ack: now,
            stalled: false,
            listed: false,
            starved: false,
            timer: None,
        }
    }

    /// It goes to another Kafka topic, of which nothing is known. Nothing is under way.
    pub(super) fn rename(&mut self, name: TopicName) {
        self.c_name = CString::new(name.as_str()).expect("a topic name has no NUL");
        self.name = name;
        (self.flow, self.told) = (Flow::Flowing, None);
        (self.bytes_max, self.one_at_a_time, self.in_a_row) = (None, false, 0);
        // Its next message is a first one again, and due sooner than its timer says.
        (self.sent_before, self.timer) = (false, None);
    }

    /// A frame of this topic began to grow.
    pub(super) fn opened(&mut self, now: Instant) {
        self.open += 1;
        if self.open > 0 {
            self.open_since.get_or_insert(now);
        }
    }

    /// A frame that began to grow does not any more. Gives when it began.
    fn closed(&mut self) -> Option<Instant> {
        self.open -= 1;
        let since = self.open_since;
        if self.open <= 0 {
            (self.open_since, self.open_records) = (None, 0);
        }
        since
    }

    /// All has been heard of: whoever heard that what was shown first was opened was another, before this topic was made.
    pub(super) fn settle(&mut self) {
        self.open = self.open.max(0);
    }

    /// Whether a frame was shown before it was heard that it was opened.
    pub(super) fn is_ahead(&self) -> bool {
        self.open < 0
    }

    /// A closed frame of this topic is in the spool.
    pub(super) fn push(&mut self, frame: FrameRef, now: Instant) {
        let since = if frame.was_opened { self.closed() } else { None };
        self.count(&frame);
        self.waiting.push_back(Waiting { frame, shown: since.unwrap_or(now) });
    }

    /// A frame is back in the spool because it could not be delivered.
    pub(super) fn push_back(&mut self, frame: FrameRef, now: Instant) {
        self.count(&frame);
        let at = self.waiting.partition_point(|other| other.frame.seq < frame.seq);
        self.waiting.insert(at, Waiting { frame, shown: now });
    }

    /// A frame that grew or waited had to leave the spool. The oldest go first, so it stands near the front.
    pub(super) fn forget(&mut self, gone: &FrameRef) {
        match self.waiting.iter().position(|waiting| waiting.frame.seq == gone.seq) {
            Some(at) => {
                self.waiting.remove(at);
                self.discount(gone);
            }
            None if gone.was_opened => _ = self.closed(),
            None => {}
        }
    }

    fn count(&mut self, frame: &FrameRef) {
        self.waiting_records += u64::from(frame.records);
        self.waiting_bytes += frame.bytes;
        self.waiting_full += usize::from(frame.is_full);
    }

    fn discount(&mut self, frame: &FrameRef) {
        self.waiting_records -= u64::from(frame.records);
        self.waiting_bytes -= frame.bytes;
        self.waiting_full -= usize::from(frame.is_full);
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.nothing_to_send() && self.in_flight_messages == 0
    }

    /// Records that wait, those to be sent again included.
    pub(super) fn waiting_records(&self) -> u64 {
        let resend = self.resend.iter().map(|batch| u64::from(batch.records)).sum::<u64>();
        self.open_records + self.waiting_records + resend
    }

    /// When its oldest waiting record was accepted.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        let resend = self.resend.front().map(|batch| batch.accepted_ms);
        resend.or_else(|| self.waiting.front().map(|waiting| waiting.frame.accepted_ms))
    }

    /// How large its messages may be.
    pub(super) fn size(&self, limits: &BatchLimits) -> Size {
        let bytes = self.bytes_max.map_or(limits.bytes, |max| max.min(limits.bytes));
        Size { records: limits.records.get(), bytes }
    }

    /// When the next message is due. `at_once`: as soon as there is anything.
    pub(super) fn due(&self, limits: &BatchLimits, overhead: usize, at_once: bool, epoch: Instant) -> Due {
        match self.flow {
            Flow::Flowing => {}
            Flow::Asking(_) => return Due::Never,
            Flow::Held(_, until) => return if self.nothing_to_send() { Due::Never } else { Due::At(until) },
        }
        if !self.resend.is_empty() {
            return Due::Now;
        }
        let waiting = self.waiting.front().map(|waiting| waiting.shown);
        let Some(oldest) = waiting.into_iter().chain(self.open_since).min() else { return Due::Never };
        if at_once || self.is_full(limits, overhead) {
            return Due::Now;
        }
        let age = if self.sent_before { limits.age } else { limits.age.min(FIRST_AGE) };
        Due::At(on_grid(oldest + age, age / GRID, epoch))
    }

    /// Whether what waits fills a message. What grows does not wait yet, however small a message may be.
    pub(super) fn is_full(&self, limits: &BatchLimits, overhead: usize) -> bool {
        let size = self.size(limits);
        self.waiting_full > 0
            || self.waiting_records >= size.records.into()
            || (!self.waiting.is_empty() && self.waiting_bytes + overhead >= size.bytes)
    }

    fn nothing_to_send(&self) -> bool {
        self.resend.is_empty() && self.waiting.is_empty() && self.open <= 0
    }

    /// Bytes that the next message will have, about.
    pub(super) fn next_bytes(&self, limits: &BatchLimits) -> usize {
        match self.resend.front() {
            Some(batch) => batch.value.as_bytes().len(),
            // What grows may have become that large.
            None if self.open > 0 => self.size(limits).bytes,
            None => self.waiting_bytes.min(self.size(limits).bytes),
        }
    }

    /// The next message to be sent again.
    pub(super) fn pop_resend(&mut self) -> Option<Batch> {
        self.resend.pop_front()
    }

    /// The frames of the next message, at least one where any wait; they wait no more. Some may have left the spool.
    pub(super) fn pop_frames(&mut self, limits: &BatchLimits, overhead: usize) -> Vec<FrameRef> {
        let size = self.size(limits);
        let mut frames = Vec::new();
        let (mut records, mut bytes) = (0u64, overhead);
        while let Some(Waiting { frame, .. }) = self.waiting.front() {
            let fits = records + u64::from(frame.records) <= size.records.into()
                && bytes + frame.bytes <= size.bytes;
            if !fits && !frames.is_empty() {
                break;
            }
            records += u64::from(frame.records);
            bytes += frame.bytes;
            let Waiting { frame, .. } = self.waiting.pop_front().expect("was just looked at");
            self.discount(&frame);
            frames.push(frame);
        }
        frames
    }

    /// Everything that waits in the spool, given up.
    pub(super) fn abandon(&mut self) -> (Vec<Batch>, Vec<FrameRef>) {
        (self.waiting_records, self.waiting_bytes, self.waiting_full) = (0, 0, 0);
        let frames = self.waiting.drain(..).map(|waiting| waiting.frame).collect();
        (self.resend.drain(..).collect(), frames)
    }

    /// A message has been given to librdkafka.
    pub(super) fn sent(&mut self, records: u32, bytes: usize, now: Instant) {
        self.sent_before = true;
        if self.in_flight_messages == 0 {
            // Before this there was nothing to acknowledge.
            self.last_ack = now;
        }
        self.in_flight_messages += 1;
        self.in_flight_bytes += bytes;
        self.in_flight_records += u64::from(records);
    }

    /// A message has come back, delivered or not.
    pub(super) fn returned(&mut self, records: u32, bytes: usize) {
        self.in_flight_messages -= 1;
        self.in_flight_bytes -= bytes;
        self.in_flight_records -= u64::from(records);
    }

    /// A message was acknowledged.
    pub(super) fn acknowledged(&mut self, now: Instant) {
        self.last_ack = now;
        self.flow = Flow::Flowing;
        self.told = None;
        let Some(bytes_max) = self.bytes_max else {
            self.one_at_a_time = false;
            return;
        };
        self.in_a_row += 1;
        if self.in_a_row >= GROW_AFTER {
            self.in_a_row = 0;
            self.bytes_max = Some(bytes_max * 2).filter(|bytes| *bytes < super::settings::MESSAGE_BYTES_MAX);
        }
    }

    /// A message that was alone was too large: the next ones are at most half of it.
    pub(super) fn halve(&mut self, bytes: usize) {
        let known = self.bytes_max.unwrap_or(usize::MAX);
        self.bytes_max = Some(known.min(bytes / 2));
        self.in_a_row = 0;
    }

    /// Puts a message back, to be sent again in order.
    pub(super) fn put_back(&mut self, batch: Batch) {
        let at = self.resend.partition_point(|other| other.first < batch.first);
        self.resend.insert(at, batch);
    }

    /// Holds the topic until then. Says whether that is news.
    pub(super) fn hold(&mut self, reason: HoldReason, until: Instant) -> bool {
        self.flow = Flow::Held(reason, until);
        self.told != Some(reason) && {
            self.told = Some(reason);
            true
        }
    }

    /// What the status says.
    pub(super) fn state(&self) -> &'static str {
        match (self.flow, self.tried()) {
            (Flow::Asking(reason) | Flow::Held(reason, _), _) | (Flow::Flowing, Some(reason)) => {
                reason.name()
            }
            (Flow::Flowing, None) if self.stalled => "stalled",
            (Flow::Flowing, None) if self.bytes_max.is_some() => "message_too_large",
            (Flow::Flowing, None) => "flowing",
        }
    }

    /// Whether it takes no messages, as far as is known.
    pub(super) fn is_held(&self) -> bool {
        self.flow != Flow::Flowing || self.tried().is_some()
    }

    /// Why it was held, where it has something, is tried again, and nothing has been acknowledged since.
    pub(super) fn tried(&self) -> Option<HoldReason> {
        self.told.filter(|_| !self.is_empty())
    }
}

/// The last point of the grid that is not after `at`, but no more than one step before it.
fn on_grid(at: Instant, step: Duration, epoch: Instant) -> Instant {
    let (Some(since), step) = (at.checked_duration_since(epoch), step.as_nanos()) else { return at };
    if step == 0 {
        return at;
    }
    let late = u64::try_from(since.as_nanos() % step).unwrap_or(0);
    at.checked_sub(Duration::from_nanos(late)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::record::RecordTopic;
    use crate::spool::{self, Appended, Framing, Reader, Spool, WhenFull};

    const OVERHEAD: usize = 100;

    fn limits() -> BatchLimits {
        BatchLimits { records: NonZeroU32::new(10).unwrap(), bytes: 1000, age: Duration::from_secs(8) }
    }

    fn queue(now: Instant) -> Queue {
        let source = Topic { id: 0, name: Some(RecordTopic::new(b"t")), is_all: false };
        Queue::new(TopicName::parse(b"t").unwrap(), source.into(), now)
    }

    fn spool() -> (Spool, Reader) {
        let config = spool::Config { memory_bytes: 1 << 20, when_full: WhenFull::Hold, topics_max: 1 };
        let framing =
            Framing { records_max: NonZeroU32::new(10).unwrap(), bytes_max: 900, ..Framing::default() };
        let spool = Spool::in_memory(config, framing);
        let reader = spool.reader("kafka", true);
        (spool, reader)
    }

    fn append(spool: &Spool, records: u32, bytes: usize) {
        let written: Result<Appended, ()> = spool.append(0, |append| {
            for i in 0..records {
                let bytes = if i == 0 { bytes } else { 0 };
                append.record(b"t", 1, bytes, |out| out.resize(out.len() + bytes, 0));
            }
            Ok(())
        });
        _ = written.unwrap();
    }

    /// Frames of so many records and bytes each.
    fn frames(sizes: &[(u32, usize)]) -> Vec<FrameRef> {
        let (spool, mut reader) = spool();
        let mut frames = Vec::new();
        for &(records, bytes) in sizes {
            append(&spool, records, bytes);
            reader.close(0);
            frames.extend(std::iter::from_fn(|| reader.show()));
        }
        // No opening was heard of.
        for frame in &mut frames {
            frame.was_opened = false;
        }
        frames
    }

    fn filled(sizes: &[(u32, usize)], now: Instant) -> Queue {
        let mut queue = queue(now);
        for frame in frames(sizes) {
            queue.push(frame, now);
        }
        queue
    }

    #[test]
    fn a_message_is_due_by_count_by_bytes_or_by_age() {
        let now = Instant::now();
        let due = |queue: &Queue, at_once| queue.due(&limits(), OVERHEAD, at_once, now);
        assert_eq!(due(&queue(now), true), Due::Never);
        assert_eq!(due(&filled(&[(9, 10), (1, 10)], now), false), Due::Now, "ten records");
        assert_eq!(due(&filled(&[(1, 450), (1, 450)], now), false), Due::Now, "1000 bytes");
        let mut small = filled(&[(1, 10)], now);
        assert_eq!(due(&small, true), Due::Now);
        assert_eq!(due(&small, false), Due::At(now + FIRST_AGE), "the first message closes early");
        small.sent(1, 10, now);
        assert_eq!(due(&small, false), Due::At(now + Duration::from_secs(8)));
    }

    #[test]
    fn a_frame_that_grows_is_due_by_age_and_when_it_is_full() {
        let (spool, mut reader) = spool();
        let mut queue = queue(Instant::now());
        let began = Instant::now();
        let later = began + Duration::from_millis(500);
        let due = |queue: &Queue| queue.due(&limits(), OVERHEAD, false, began);
        let hear = |queue: &mut Queue, reader: &mut Reader, now| {
            while let Some(frame) = reader.show() {
                queue.push(frame, now);
            }
            reader.opened().iter().for_each(|_| queue.opened(now));
        };
        append(&spool, 9, 500);
        hear(&mut queue, &mut reader, began);
        assert_eq!(due(&queue), Due::At(began + FIRST_AGE));
        assert!(!queue.is_empty());
        append(&spool, 3, 500);
        hear(&mut queue, &mut reader, later);
        assert_eq!(due(&queue), Due::Now, "it is full, and the next one grows");
        assert_eq!(queue.pop_frames(&limits(), OVERHEAD).len(), 1);
        assert_eq!(
            due(&queue),
            Due::At(later + FIRST_AGE),
            "the next one's age counts from its own beginning"
        );
        // Opened, filled, and the one after it opened, between two looks.
        append(&spool, 6, 500);
        append(&spool, 6, 500);
        hear(&mut queue, &mut reader, later);
        while !queue.pop_frames(&limits(), OVERHEAD).is_empty() {}
        assert_eq!(due(&queue), Due::At(later + FIRST_AGE));
        let open = u64::from(reader.open_frames()[0].records);
        spool.close();
        hear(&mut queue, &mut reader, later);
        assert_eq!(queue.waiting_records(), open);
        while !queue.pop_frames(&limits(), OVERHEAD).is_empty() {}
        assert!(queue.is_empty());
    }

    #[test]
    fn what_grows_is_due_by_age_also_where_no_message_may_be_as_large_as_its_head() {
        let now = Instant::now();
        let mut queue = filled(&[(1, 10)], now);
        queue.halve(2 * OVERHEAD - 2);
        let due = |queue: &Queue| queue.due(&limits(), OVERHEAD, false, now);
        assert_eq!(due(&queue), Due::Now, "a record alone has more than a message may");
        assert_eq!(queue.pop_frames(&limits(), OVERHEAD).len(), 1);
        assert_eq!(due(&queue), Due::Never);
        queue.opened(now);
        assert_eq!(due(&queue), Due::At(now + FIRST_AGE));
    }

    #[test]
    fn what_grows_is_due_also_where_another_heard_of_the_first_frame() {
        let now = Instant::now();
        let mut queue = queue(now);
        for mut frame in frames(&[(1, 10)]) {
            frame.was_opened = true;
            queue.push(frame, now);
        }
        assert!(queue.is_ahead());
        queue.settle();
        assert_eq!(queue.pop_frames(&limits(), OVERHEAD).len(), 1);
        queue.opened(now);
        assert_eq!(queue.due(&limits(), OVERHEAD, false, now), Due::At(now + FIRST_AGE));
    }

    #[test]
    fn due_times_fall_together_and_never_later() {
        let epoch = Instant::now();
        let step = Duration::from_secs(1);
        for late in [0, 1, 499, 999] {
            let at = epoch + Duration::from_secs(5) + Duration::from_millis(late);
            assert_eq!(on_grid(at, step, epoch), epoch + Duration::from_secs(5));
        }
        assert_eq!(on_grid(epoch, Duration::ZERO, epoch), epoch);
    }

    #[test]
    fn a_message_takes_whole_frames_that_fit_and_at_least_one() {
        let now = Instant::now();
        let mut queue = filled(&[(4, 300), (4, 300), (4, 200), (1, 5000), (1, 10)], now);
        let mut taken = || {
            let frames = queue.pop_frames(&limits(), OVERHEAD);
            frames.iter().map(|frame| frame.bytes).collect::<Vec<_>>()
        };
        assert_eq!(taken(), [300, 300], "the third would make twelve records");
        assert_eq!(taken(), [200]);
        assert_eq!(taken(), [5000], "one that is too large goes alone");
        assert_eq!(taken(), [10]);
        assert_eq!(queue.waiting_records(), 0);
    }

    #[test]
    fn an_acknowledgement_is_due_from_when_something_is_under_way() {
        let now = Instant::now();
        let mut queue = filled(&[(1, 10)], now);
        let sent = now + Duration::from_secs(14);
        queue.sent(1, 10, sent);
        assert_eq!(queue.last_ack, sent);
        queue.sent(1, 10, sent + Duration::from_secs(1));
        assert_eq!(queue.last_ack, sent, "the first has been waited for longer");
    }

    #[test]
    fn what_had_to_leave_the_spool_waits_no_more() {
        let now = Instant::now();
        let all = frames(&[(4, 300), (3, 200)]);
        let mut queue = queue(now);
        for frame in &all {
            queue.push(frame.clone(), now);
        }
        queue.forget(&all[0]);
        queue.forget(&all[0]);
        assert_eq!(queue.waiting_records(), 3);
        assert_eq!(queue.pop_frames(&limits(), OVERHEAD).len(), 1);
    }

    #[test]
    fn a_held_topic_is_due_when_its_pause_is_over() {
        let now = Instant::now();
        let until = now + Duration::from_secs(5);
        let mut queue = filled(&[(10, 10)], now);
        assert!(queue.hold(HoldReason::UnknownTopic, until));
        assert!(!queue.hold(HoldReason::UnknownTopic, until), "is no news");
        assert_eq!(queue.due(&limits(), OVERHEAD, true, now), Due::At(until));
        queue.acknowledged(now);
        assert_eq!(queue.due(&limits(), OVERHEAD, false, now), Due::Now);
    }

    #[test]
    fn a_topic_that_is_tried_again_is_held_until_something_is_acknowledged() {
        let now = Instant::now();
        let mut queue = filled(&[(1, 10)], now);
        assert_eq!((queue.state(), queue.is_held()), ("flowing", false));
        assert!(queue.hold(HoldReason::UnknownTopic, now));
        queue.flow = Flow::Flowing;
        assert_eq!((queue.state(), queue.is_held()), ("unknown_topic", true));
        queue.acknowledged(now);
        assert_eq!((queue.state(), queue.is_held()), ("flowing", false));
    }

    #[test]
    fn a_smaller_size_is_learned_and_grows_again() {
        let now = Instant::now();
        let mut queue = filled(&[(1, 10)], now);
        queue.halve(800);
        assert_eq!(queue.size(&limits()).bytes, 400);
        for _ in 0..GROW_AFTER {
            queue.acknowledged(now);
        }
        assert_eq!(queue.size(&limits()).bytes, 800);
    }
}
