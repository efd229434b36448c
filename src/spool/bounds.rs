//! The spool's settings while it runs.
//!
//! A limit that becomes lower drops nothing by itself: what is there by then stays, and the spool is full until enough of
//! it has gone the usual way.

use super::Spool;
use super::settings::Config;
use super::state::State;

/// The settings, and what is there beyond them.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) config: Config,
    /// Bytes that were there when a limit below them was set, less what has gone since; else 0.
    kept: usize,
}

impl Bounds {
    pub(super) fn new(config: Config) -> Bounds {
        Bounds { config, kept: 0 }
    }

    /// Bytes at which the spool is full.
    pub(super) fn memory_bytes(&self) -> usize {
        self.config.memory_bytes.max(self.kept)
    }
}

impl Spool {
    /// Other settings count from now on. Sources that wait are told.
    pub fn set(&self, config: Config) {
        self.shared.lock().set(config);
        self.shared.room.notify_waiters();
        self.shared.room_for_heavy.notify_waiters();
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> Config {
        self.shared.lock().bounds.config.clone()
    }
}

impl State {
    fn set(&mut self, config: Config) {
        self.topics.set_limit(config.topics_max);
        self.open.set_bytes(config.memory_bytes);
        if let Some(feed) = &self.feed {
            feed.set_bytes(config.memory_bytes);
        }
        self.bounds = Bounds { kept: self.bytes(), config };
    }

    /// What has gone of what was there beyond the limit does not come back.
    pub(super) fn forget_kept(&mut self) {
        self.bounds.kept = self.bounds.kept.min(self.bytes());
    }
}
