//! The settings change while the output runs.
//!
//! What decides about messages that are not made yet counts at once: batching, the limits, keys, the creation of topics,
//! the logs. What a producer is made of, and the names of topics, count from the next producer on: the one that is there
//! gets nothing more, gives back what it holds, and a new one takes over.
//!
//! They are heard before anything of the spool is looked at, and again before records are set aside: what was set before
//! a record came counts for it, but for other names, which begin with the next producer.
//!
//! Whether there is one topic for all is the spool's doing, which files what is accepted from then on under another
//! topic; what was accepted before goes where it was to go. So it is told here first, and heard before a topic that is
//! new is given its name.
//!
//! A change of credentials leaves the old producer [`FLUSH_TIME`] to have acknowledged what is under way, as other brokers
//! do, and takes the rest back: that may come twice. With any other change nothing may, so that the old producer has
//! [`PATIENCE`], and as long as it takes while the brokers do not answer. What a topic alone has under way after that,
//! with brokers that answer all others, is taken back as well: the others must not stand still for it. A producer that no
//! broker has ever answered gives way like one whose credentials change, or what was set to mend that would not count
//! before the process is started again. It has as good as delivered nothing: topics are asked for before anything is sent.

use std::time::{Duration, Instant};

use super::naming::Route;
use super::queue::Queue;
use super::returns::FLUSH_TIME;
use super::settings::{Config, Naming};
use super::state::Link;
use super::task::{Replacing, Task};
use crate::record::Budget;
use crate::spool::AsideReason;

/// How long a producer has that gives way for the sake of the settings, while brokers answer.
const PATIENCE: Duration = Duration::from_secs(15);

impl Task {
    /// Takes what was set last.
    pub(super) fn take_settings(&mut self, now: Instant) {
        let new = self.settings.borrow_and_update().clone();
        let old = &mut self.config;
        old.batch = new.batch.clone();
        (old.key, old.agent_id) = (new.key, new.agent_id.clone());
        old.create_topics = new.create_topics;
        (old.record_log, old.hexdump) = (new.record_log, new.hexdump);
        if new.topics_max > old.topics_max {
            self.routes.retain(|_, route| !matches!(route, Route::Aside(AsideReason::TopicLimit)));
        }
        old.topics_max = new.topics_max;
        if old.limit != new.limit {
            old.limit = new.limit;
            self.budget = new.limit.map(|rate| Budget::new(rate, now));
            self.paused_until = None;
            self.look_at_starved();
        }
        let others = self.has_other_brokers(&new);
        let is_pressing = others || self.config.security != new.security || self.config.files != new.files;
        let is_renamed = self.is_renamed(&new.naming);
        let is_other = is_pressing || has_other_producer(&self.config, &new) || is_renamed;
        if !is_other {
            self.config.looked.clone_from(&new.looked);
        }
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

    /// Notes which brokers the next producer begins with by these settings, and says whether they are others than before.
    ///
    /// Brokers that are named come this way as well, and until those are found that are looked for now, those of before
    /// stay in use. But no old broker is to be shown credentials for the new ones: where it was not found by what is looked
    /// for now, there are none until somebody has answered.
    fn has_other_brokers(&mut self, new: &Config) -> bool {
        if !new.brokers.is_empty() {
            return self.are_others(&new.brokers);
        }
        let has_credentials = self.config.security != new.security;
        match self.brokers.now().filter(|known| !has_credentials || known.looked == new.looked) {
            Some(known) => self.are_others(&known.list),
            None => has_credentials && self.are_others(&[]),
        }
    }

    /// Takes what was set last, if that has not been heard of.
    pub(super) fn hear_settings(&mut self, now: Instant) {
        // Whoever could set anything may be gone.
        if std::mem::take(&mut self.is_set) || self.settings.has_changed().unwrap_or(false) {
            self.take_settings(now);
        }
    }

    /// Whether some topic has another name by `naming`. What no topic has taken yet counts at once.
    fn is_renamed(&mut self, naming: &Naming) -> bool {
        let is_all = |queue: &&Queue| queue.source.is_all;
        let all = self.queues.iter().find(is_all).map(|queue| &queue.name);
        let old = &mut self.config.naming;
        if all.is_none() {
            (old.single, old.former) = (naming.single.clone(), naming.former.clone());
        }
        let is_renamed = old.prefix != naming.prefix || all.is_some_and(|all| Some(all) != naming.of_all());
        if !is_renamed {
            old.clone_from(naming);
        }
        is_renamed
    }

    /// The producer is given up for one of other settings or brokers. `is_pressing`: for other brokers, or credentials.
    pub(super) fn give_way(&mut self, is_pressing: bool, now: Instant) {
        let is_pressing = is_pressing || !self.asking.answered && self.board.link() != Link::Up;
        let patience = match self.board.link() {
            _ if !is_pressing => PATIENCE,
            Link::Up | Link::Connecting => FLUSH_TIME,
            Link::Down => Duration::ZERO,
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
        if self.gives_time && self.asking.answered && self.board.link() != Link::Up {
            self.replacing = Replacing::Flushing(now + PATIENCE);
        } else {
            self.purge();
        }
    }

    /// Before a producer is made: takes the settings that wait for one.
    pub(super) fn settle_settings(&mut self, now: Instant) {
        if self.next.as_ref().is_some_and(|next| self.config.naming != next.naming) {
            // It may hear of newer settings.
            self.take_in(now);
        }
        let Some(next) = self.next.take() else { return };
        let is_renamed = self.config.naming != next.naming;
        self.board.set_in_flight_max(next.queue_bytes.get());
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
        || a.queue_bytes != b.queue_bytes
        || a.require_all_acks != b.require_all_acks
        || a.verbose != b.verbose
}
