//! Room for more: whether a source may read on, must wait, or somebody's oldest must go.

use std::time::{Duration, Instant};

use tracing::warn;

use super::ledger::LossReason;
use super::settings::WhenFull;
use super::state::State;
use super::{Config, Shared, Spool};

/// How long after its last confirmation an output counts as making progress.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the log says that records are dropped, and how long that counts as news for readiness.
const DROP_NEWS: Duration = Duration::from_secs(60);

/// What a source is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Read on.
    Go,
    /// Ask again when there is room, or then at the latest.
    Wait(Option<Instant>),
}

impl Spool {
    /// Whether there is room for one read more, or is now because the oldest had to go. A source asks before each read; what
    /// comes of one read may go over the limit, so that nothing that was read is ever without a place.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.shared.admission(Instant::now()) == Admission::Go
    }

    /// Returns when there is room for one read more, see [`Spool::has_room`]. Cancel safe.
    pub async fn admit(&self) {
        if self.has_room() {
            return;
        }
        let _waiting = Waiting::new(&self.shared);
        loop {
            let mut room = std::pin::pin!(self.shared.room.notified());
            room.as_mut().enable();
            match self.shared.admission(Instant::now()) {
                Admission::Go => return,
                Admission::Wait(None) => room.await,
                Admission::Wait(Some(until)) => {
                    // Either is a reason to ask again.
                    _ = tokio::time::timeout_at(until.into(), room).await;
                }
            }
        }
    }
}

impl Shared {
    pub(super) fn admission(&self, now: Instant) -> Admission {
        admission(&mut self.lock(), &self.config, now)
    }

    /// Wakes waiting sources if there is room again.
    pub(super) fn wake_sources(&self, state: &State) {
        if state.waiting_sources > 0 && state.bytes() < limit(state, &self.config) {
            self.room.notify_waiters();
        }
    }
}

/// Bytes at which a source is not let in. While any waits it takes a little more room than none, for all of them, so that
/// they do not take turns for every frame that leaves.
fn limit(state: &State, config: &Config) -> usize {
    if state.waiting_sources > 0 { config.memory_bytes / 16 * 15 } else { config.memory_bytes }
}

fn admission(state: &mut State, config: &Config, now: Instant) -> Admission {
    while state.bytes() >= limit(state, config) {
        if state.drop_optional(LossReason::SpoolFull) {
            note_drop(state, now);
            continue;
        }
        let wait = match config.when_full {
            WhenFull::DropOldest => None,
            WhenFull::Hold => state.has_holder().then_some(Admission::Wait(None)),
            WhenFull::Auto => state.worth_waiting(PATIENCE, now).map(|until| Admission::Wait(Some(until))),
        };
        if let Some(wait) = wait {
            return wait;
        }
        // With an empty list all is in the outputs' hands, which bound themselves; more must not be held back then.
        if !state.drop_oldest(LossReason::SpoolFull) {
            break;
        }
        note_drop(state, now);
    }
    Admission::Go
}

/// Says in the log, once in a while, that records are lost for want of room.
fn note_drop(state: &mut State, now: Instant) {
    state.dropped_at = Some(now);
    if state.drop_told.is_none_or(|told| now.duration_since(told) >= DROP_NEWS) {
        state.drop_told = Some(now);
        warn!(
            "the spool is full and an output is behind: the oldest records are dropped; see /v1/ledger, spool-full"
        );
    }
}

impl State {
    /// Whether records were dropped lately.
    pub(super) fn drops(&self, now: Instant) -> bool {
        self.dropped_at.is_some_and(|at| now.duration_since(at) < DROP_NEWS)
    }
}

/// Counts a source that waits, for as long as it does.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Waiting<'a> {
        shared.lock().waiting_sources += 1;
        Waiting(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting_sources -= 1;
    }
}
