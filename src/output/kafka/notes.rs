//! Now and then the task writes down how things are: for those who ask, and for the spool.

use std::time::{Duration, Instant};

use super::flow::{Flow, HoldReason};
use super::naming::Route;
use super::queue::Queue;
use super::state::Link;
use super::task::Task;
use super::topics::{TopicNews, in_hands};
use crate::telemetry::problems::Kind;

/// How often that is while something is under way or held, and while records only wait for their message to fill: on a
/// quiet node each wake-up counts.
pub(super) const NOTES_PAUSE: Duration = Duration::from_secs(1);
pub(super) const NOTES_PAUSE_QUIET: Duration = Duration::from_secs(5);

/// A topic that has something and no acknowledgement for so long is stalled: a full spool does not wait for it.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(5);

/// How long after the last message the buffers are let go.
const SHRINK_AFTER: Duration = Duration::from_secs(20);

impl Task {
    /// Has notes taken after `pause` at the latest.
    pub(super) fn note_soon(&mut self, now: Instant, pause: Duration) {
        let at = now + pause;
        if self.next_notes.is_none_or(|known| at < known) {
            self.next_notes = Some(at);
        }
    }

    /// Writes down something of a topic, and how much of it is under way.
    pub(super) fn note_topic(&self, topic: usize, change: impl FnOnce(&mut TopicNews)) {
        let queue = &self.queues[topic];
        self.board.topics.note(queue.source.id, |news| {
            news.in_hands = in_hands(queue);
            change(news);
        });
    }

    /// Writes down how things are, and tells the spool which topics it must not wait for.
    pub(super) fn take_notes(&mut self, now: Instant) {
        for open in self.reader.open_frames() {
            if let Some(Route::To(topic)) = self.routes.get(&open.topic.id) {
                self.queues[*topic].open_records = open.records.into();
            }
        }
        let (mut held, mut waits) = (0, false);
        let stalled_before = std::mem::take(&mut self.stalled);
        for queue in &mut self.queues {
            let stuck = !queue.is_empty() && now.duration_since(queue.last_ack) > STALLED_AFTER;
            let stalled = stuck && (queue.flow != Flow::Flowing || queue.in_flight_messages > 0);
            held += i64::from(queue.is_held());
            waits |= !queue.is_empty();
            self.stalled += usize::from(stalled);
            if stalled != queue.stalled {
                queue.stalled = stalled;
                self.reader.set_stalled(queue.source.id, stalled);
            }
        }
        if self.stalled > stalled_before {
            // What is stuck counts no more.
            self.look_at_starved();
        }
        self.metrics.topics_held.set(held);
        self.tell_of_topics(now);
        self.metrics.up.set(i64::from(self.board.link() == Link::Up));
        let is_stuck = self.board.update(&self.queues, self.in_flight_messages, self.in_flight_bytes);
        if is_stuck {
            self.probe_stuck(now);
        }
        if is_stuck && self.board.link() == Link::Up {
            let waits = format_args!("{} messages are under way", self.in_flight_messages);
            self.metrics.problems.note(Kind::KafkaStuck, waits);
        } else {
            self.metrics.problems.over(Kind::KafkaStuck);
        }
        // Stalling and its end come with time, not with an event.
        if held > 0 || self.in_flight_messages > 0 {
            self.note_soon(now, NOTES_PAUSE);
        } else if waits {
            self.note_soon(now, NOTES_PAUSE_QUIET);
        }
        if self.in_flight_messages == 0 && self.reader.keeps_buffers() {
            self.next_shrink.get_or_insert(now + SHRINK_AFTER);
        }
    }

    /// Tells which topics do not flow, and why.
    fn tell_of_topics(&self, now: Instant) {
        let is_stalled = |queue: &Queue| queue.state() == "stalled";
        // The client takes as long to find that there is no such topic. Without Kafka it is no news of topics.
        let is_up = self.board.link() == Link::Up;
        let for_long =
            |queue: &Queue| is_stalled(queue) && now.duration_since(queue.last_ack) > 2 * STALLED_AFTER;
        self.tell(Kind::TopicUnknown, |queue| queue.tried() == Some(HoldReason::UnknownTopic));
        self.tell(Kind::TopicNotAuthorized, |queue| queue.tried() == Some(HoldReason::NotAuthorized));
        if !is_up || !self.queues.iter().any(is_stalled) || self.queues.iter().any(for_long) {
            self.tell(Kind::TopicStalled, |queue| is_up && for_long(queue));
        }
    }

    /// Tells of the topics that are so, by the name of the first, or that there are none any more.
    fn tell(&self, kind: Kind, is_so: impl Fn(&Queue) -> bool) {
        let mut topics = self.queues.iter().filter(|queue| is_so(queue)).map(|queue| &queue.name);
        match (topics.next(), topics.count()) {
            (None, _) => self.metrics.problems.over(kind),
            (Some(name), 0) => self.metrics.problems.note(kind, name),
            (Some(name), more) => self.metrics.problems.note(kind, format_args!("{name} and {more} more")),
        }
    }
}
