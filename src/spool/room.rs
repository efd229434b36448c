//! Room for more: whether a source may read on, must wait, or somebody's oldest must go.

use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::warn;

use super::ledger::LossReason;
use super::settings::WhenFull;
use super::state::State;
use super::{Shared, Spool};
use crate::telemetry::problems::Kind;

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

/// What a source's next turn may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// About as many bytes as it reads.
    Light,
    /// Many more, as its last turn did: it has blocks that are large when they are unpacked. It gives way to the light
    /// ones, which would get one turn in a thousand of its otherwise.
    Heavy,
}

impl Spool {
    /// Whether there is room for one turn more, or is now because the oldest had to go. A source asks before each turn; what
    /// comes of one may go over the limit, so that nothing that was read is ever without a place.
    #[must_use]
    pub fn has_room(&self, weight: Weight) -> bool {
        self.shared.admission(weight, Instant::now()) == Admission::Go
    }

    /// Returns when there is room for one turn more, see [`Spool::has_room`]. Cancel safe.
    pub async fn admit(&self, weight: Weight) {
        if self.has_room(weight) {
            return;
        }
        let _waiting = Waiting::new(&self.shared, weight);
        let room = self.shared.room(weight);
        loop {
            let mut room = std::pin::pin!(room.notified());
            room.as_mut().enable();
            match self.shared.admission(weight, Instant::now()) {
                Admission::Go => break,
                Admission::Wait(None) => room.await,
                Admission::Wait(Some(until)) => {
                    // Either is a reason to ask again.
                    _ = tokio::time::timeout_at(until.into(), room).await;
                }
            }
        }
        if weight == Weight::Heavy {
            // Heavy ones are woken one after the other.
            room.notify_one();
        }
    }
}

impl Shared {
    pub(super) fn admission(&self, weight: Weight, now: Instant) -> Admission {
        admission(&mut self.lock(), weight, now)
    }

    fn room(&self, weight: Weight) -> &Notify {
        match weight {
            Weight::Light => &self.room,
            Weight::Heavy => &self.room_for_heavy,
        }
    }

    /// Wakes waiting sources if there is room again.
    pub(super) fn wake_sources(&self, state: &mut State) {
        state.forget_gone();
        if state.waiting_sources > 0 && state.bytes() < limit(state, Weight::Light) {
            self.room.notify_waiters();
        }
        if state.waiting_heavy > 0 && state.bytes() < limit(state, Weight::Heavy) {
            self.room_for_heavy.notify_one();
        }
    }
}

/// Bytes at which a source is not let in.
///
/// While any waits it takes a little more room than none, for all of them, so that they do not take turns for every frame
/// that leaves. What a heavy one brings leaves room for light ones. Neither counts while more may stay than a lower limit
/// allows: then as much may come as had to go.
fn limit(state: &State, weight: Weight) -> usize {
    let bytes = state.bounds.config.memory_bytes;
    match (state.bounds.kept(), weight) {
        (Some(kept), _) => kept,
        (None, Weight::Heavy) => bytes / 4 * 3,
        (None, Weight::Light) if state.waiting_sources > 0 => bytes / 16 * 15,
        (None, Weight::Light) => bytes,
    }
}

fn admission(state: &mut State, weight: Weight, now: Instant) -> Admission {
    let when_full = state.bounds.config.when_full;
    let wait = |state: &State| match when_full {
        WhenFull::DropOldest => None,
        WhenFull::Hold => state.has_holder().then_some(Admission::Wait(None)),
        WhenFull::Auto => state.worth_waiting(PATIENCE, now).map(|until| Admission::Wait(Some(until))),
    };
    // Whoever follows the feed hears of it, and is not the input's concern.
    while state.bytes() >= limit(state, weight) && state.shrink_feed() {}
    if weight == Weight::Heavy
        && state.bytes() >= limit(state, weight)
        && let Some(wait) = wait(state)
    {
        return wait;
    }
    while state.bytes() >= limit(state, Weight::Light) {
        if state.drop_optional(LossReason::SpoolFull) {
            note_drop(state, now);
            continue;
        }
        if let Some(wait) = wait(state) {
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
    state
        .problems
        .note(Kind::SpoolFull, "an output is behind; /v1/ledger says which, and how many it has lost");
    if state.drop_told.is_none_or(|told| now.duration_since(told) >= DROP_NEWS) {
        state.drop_told = Some(now);
        warn!(
            "the spool is full and an output is behind: the oldest records are dropped; see /v1/ledger, spool-full"
        );
    }
}

impl State {
    fn waiting(&mut self, weight: Weight) -> &mut usize {
        match weight {
            Weight::Light => &mut self.waiting_sources,
            Weight::Heavy => &mut self.waiting_heavy,
        }
    }

    /// Whether records were dropped lately.
    pub(super) fn drops(&self, now: Instant) -> bool {
        self.dropped_at.is_some_and(|at| now.duration_since(at) < DROP_NEWS)
    }
}

/// Counts a source that waits, for as long as it does.
struct Waiting<'a>(&'a Shared, Weight);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared, weight: Weight) -> Waiting<'a> {
        *shared.lock().waiting(weight) += 1;
        Waiting(shared, weight)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.0.lock().waiting(self.1) -= 1;
    }
}
