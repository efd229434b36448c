//! The settings change while the output runs.
//!
//! What decides about messages that are not made yet counts at once: batching, the limit, keys, the creation of topics,
//! the logs. What a producer is made of, and the names of topics, count from the next producer on: the one that is there
//! gets nothing more, gives back what it holds, and a new one takes over.
//!
//! A change of credentials leaves the old producer [`FLUSH_TIME`] to have acknowledged what is under way, as other brokers
//! do, and takes the rest back: that may come twice. With any other change nothing may, so that the old producer has
//! [`PATIENCE`], and as long as it takes while the brokers do not answer. What a topic alone has under way after that,
//! with brokers that answer all others, is taken back as well: the others must not stand still for it.

use std::time::{Duration, Instant};

use super::returns::FLUSH_TIME;
use super::settings::Config;
use super::state::Link;
use super::task::{Replacing, Task};
use crate::record::Budget;

/// How long a producer has that gives way for the sake of the settings, while brokers answer.
const PATIENCE: Duration = Duration::from_secs(15);

impl Task {
    /// Takes what was set last.
    pub(super) fn take_settings(&mut self, now: Instant) {
        let new = self.settings.borrow_and_update().clone();
        let old = &mut self.config;
        old.batch = new.batch.clone();
        old.key = new.key;
        old.create_topics = new.create_topics;
        (old.record_log, old.hexdump) = (new.record_log, new.hexdump);
        if old.limit != new.limit {
            old.limit = new.limit;
            self.budget = new.limit.map(|rate| Budget::new(rate, now));
            self.paused_until = None;
            self.look_at_starved();
        }
        // Brokers that are named come this way as well: no old broker is to be shown the credentials for the new ones.
        let others = !new.brokers.is_empty() && self.are_others(&new.brokers);
        let is_pressing = others || self.config.security != new.security;
        let is_other =
            is_pressing || has_other_producer(&self.config, &new) || self.config.naming != new.naming;
        self.next = is_other.then_some(new);
        for topic in 0..self.queues.len() {
            // It was set by another age, and may be later than what comes now is due.
            self.queues[topic].timer = None;
            self.look_soon(topic);
        }
        if is_other {
            self.give_way(is_pressing, now);
        }
    }

    /// The producer is given up for one of other settings or brokers. `is_pressing`: for other brokers, or credentials.
    pub(super) fn give_way(&mut self, is_pressing: bool, now: Instant) {
        let patience = match self.board.link() {
            _ if !is_pressing => PATIENCE,
            Link::Up => FLUSH_TIME,
            Link::Connecting | Link::Down => Duration::ZERO,
        };
        match self.replacing {
            Replacing::No => {
                self.replacing = Replacing::Flushing(now + patience);
                self.gives_time = !is_pressing;
                if is_pressing {
                    self.board.set_link(Link::Connecting);
                }
                // If nothing is under way, nothing will wake us.
                self.wake.notify_one();
            }
            Replacing::Flushing(_) if is_pressing && self.gives_time => {
                self.replacing = Replacing::Flushing(now + patience);
                self.gives_time = false;
            }
            // The next producer is made of them, at once.
            Replacing::At(_) | Replacing::Asking => self.replacing = Replacing::At(now),
            Replacing::Flushing(_) | Replacing::Returning => {}
        }
    }

    /// The time to have acknowledged what is under way is over.
    pub(super) fn end_flush(&mut self, now: Instant) {
        if self.gives_time && self.board.link() != Link::Up {
            self.replacing = Replacing::Flushing(now + PATIENCE);
        } else {
            self.purge();
        }
    }

    /// Before a producer is made: takes the settings that wait for one.
    pub(super) fn settle_settings(&mut self, now: Instant) {
        let Some(next) = self.next.take() else { return };
        let is_renamed = self.config.naming != next.naming;
        if is_renamed {
            self.take_in(now);
        }
        self.config = Config { brokers: std::mem::take(&mut self.config.brokers), ..next };
        if is_renamed {
            self.rename(now);
        }
    }
}

/// Whether a producer of the one is not one of the other, credentials and brokers aside.
fn has_other_producer(a: &Config, b: &Config) -> bool {
    a.broker_version != b.broker_version
        || a.compression != b.compression
        || a.require_all_acks != b.require_all_acks
        || a.verbose != b.verbose
}
