//! How many connections there may be, and for whom.

use std::num::NonZeroUsize;
use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The connections there may be.
///
/// A quarter of them is for this machine alone: the health check comes from here, and a crowd outside must not make
/// a sound collector look dead. When the seats are full a connection is refused at once, never queued
/// (`metrics_collector_http_refused_total{reason="connection_limit"}`).
pub(super) struct Seats {
    all: Arc<Semaphore>,
    elsewhere: Arc<Semaphore>,
    open: IntGauge,
}

/// One connection's right to be, given back when dropped.
pub(super) struct Seat {
    _all: OwnedSemaphorePermit,
    _elsewhere: Option<OwnedSemaphorePermit>,
    open: IntGauge,
}

impl Seats {
    /// Seats for `max` connections; `open` shows how many are taken.
    pub(super) fn new(max: NonZeroUsize, open: IntGauge) -> Seats {
        let all = max.get().min(Semaphore::MAX_PERMITS);
        let elsewhere = all - all / 4;
        Seats { all: Arc::new(Semaphore::new(all)), elsewhere: Arc::new(Semaphore::new(elsewhere)), open }
    }

    /// A seat for a peer on this machine or elsewhere, if there is one.
    pub(super) fn take(&self, is_local: bool) -> Option<Seat> {
        let elsewhere = if is_local { None } else { Some(free(&self.elsewhere)?) };
        let all = free(&self.all)?;
        self.open.inc();
        Some(Seat { _all: all, _elsewhere: elsewhere, open: self.open.clone() })
    }
}

/// A permit, if there is one now.
fn free(seats: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(seats).try_acquire_owned().ok()
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(max: usize) -> (Seats, IntGauge) {
        let open = IntGauge::new("open", "open").unwrap();
        (Seats::new(NonZeroUsize::new(max).unwrap(), open.clone()), open)
    }

    #[test]
    fn a_crowd_outside_leaves_seats_for_this_machine() {
        let (seats, open) = seats(8);
        let outside: Vec<_> = std::iter::from_fn(|| seats.take(false)).collect();
        assert_eq!(outside.len(), 6);
        let inside: Vec<_> = std::iter::from_fn(|| seats.take(true)).collect();
        assert_eq!(inside.len(), 2);
        assert_eq!(open.get(), 8);
    }

    #[test]
    fn a_seat_comes_back_when_its_connection_ends() {
        let (seats, open) = seats(1);
        let seat = seats.take(false);
        assert!(seat.is_some());
        assert!(seats.take(true).is_none());
        drop(seat);
        assert_eq!(open.get(), 0);
        assert!(seats.take(false).is_some());
    }

    #[test]
    fn this_machine_may_have_all_seats() {
        let (seats, _) = seats(8);
        let inside: Vec<_> = std::iter::from_fn(|| seats.take(true)).collect();
        assert_eq!(inside.len(), 8);
        assert!(seats.take(false).is_none());
    }
}
