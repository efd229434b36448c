//! The feed as the spool has it: there while somebody follows, and filled with what is accepted.

use std::sync::Arc;

use super::Shared;
use crate::record::Seq;
use crate::spool::open::Closed;
use crate::spool::state::State;

impl State {
    /// Copies the records of the current block into the feed.
    pub(in crate::spool) fn feed_on(&self, feed: &Shared, filled: &[Closed], now_ms: u64) -> bool {
        feed.append(|pushing| {
            let fresh = filled.iter().map(Closed::fresh).chain(self.open.fresh());
            for (topic, records, body) in fresh {
                pushing.push(self.topics.topic(topic), records, body, now_ms);
            }
        })
    }

    /// The feed, which is there from now on.
    pub(in crate::spool) fn feed(&mut self) -> Arc<Shared> {
        let (memory_bytes, has_holder) = (self.bounds.config.memory_bytes, self.has_holder());
        let (next, closed) = (Seq(self.accepted), self.closed);
        let feed = self.feed.get_or_insert_with(|| Shared::new(next, memory_bytes, has_holder).into());
        if closed {
            feed.close();
        }
        feed.clone()
    }

    /// Bytes in the feed.
    pub(in crate::spool) fn fed_bytes(&self) -> usize {
        self.feed.as_ref().map_or(0, |feed| feed.bytes())
    }

    /// Drops the oldest that only followers of the feed need, but for a small rest.
    pub(in crate::spool) fn shrink_feed(&mut self) -> bool {
        let goes = self.feed.as_ref().is_some_and(|feed| feed.shrink());
        if goes {
            self.note_room_made();
        }
        goes
    }
}
