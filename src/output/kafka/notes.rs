//! Now and then the task writes down how things are: for those who ask, and for the spool.

use std::time::{Duration, Instant};

use super::queue::Flow;
use super::state::Link;
use super::task::{Route, Task};
use super::topics::{TopicNews, in_hands};

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
        self.metrics.up.set(i64::from(self.board.link() == Link::Up));
        let is_stuck = self.board.update(&self.queues, self.in_flight_messages, self.in_flight_bytes);
        if is_stuck {
            self.probe_stuck(now);
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
}
