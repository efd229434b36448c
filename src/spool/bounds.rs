//! The spool's settings while it runs.
//!
//! A limit that becomes lower drops nothing by itself: what is there by then stays, and the spool is full until enough of
//! it has gone the usual way. Sources wait so long; where waiting is no answer, what they bring takes the place of as much
//! of the oldest.

use super::Spool;
use super::settings::Config;
use super::state::State;

/// The settings, and what is there beyond them.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) config: Config,
    /// While more may stay than a lower limit allows.
    kept: Option<Kept>,
}

/// What may stay beyond a limit.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// Bytes that were there when the limit was set, less what has gone the usual way since. What had to go to make room is
    /// still among them: as much may come.
    bytes: usize,
    /// Bytes that were there at the last look.
    seen: usize,
}

impl Bounds {
    pub(super) fn new(config: Config) -> Bounds {
        Bounds { config, kept: None }
    }

    /// Bytes that may be there, while they are more than the limit.
    pub(super) fn kept(&self) -> Option<usize> {
        self.kept.map(|kept| kept.bytes)
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
        let bytes = self.bytes();
        let kept = (bytes > config.memory_bytes).then_some(Kept { bytes, seen: bytes });
        self.bounds = Bounds { config, kept };
    }

    /// Looks at what has gone the usual way since the last look, of what was there beyond the limit: it does not come back.
    /// Between a change and the next one there has to be a look, so that what comes does not hide what goes.
    pub(super) fn forget_gone(&mut self) {
        let Some(Kept { bytes, seen }) = self.bounds.kept else { return };
        let there = self.bytes();
        let bytes = bytes.saturating_sub(seen.saturating_sub(there));
        self.bounds.kept = (bytes > self.bounds.config.memory_bytes).then_some(Kept { bytes, seen: there });
    }

    /// Something had to go since the last look, so that as much may come.
    pub(super) fn note_room_made(&mut self) {
        let there = self.bytes();
        if let Some(kept) = &mut self.bounds.kept {
            kept.seen = there;
        }
    }
}
