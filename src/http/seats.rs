//! How many connections there may be, for whom, and which one goes where a new one finds no seat.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long an answer must lie untaken before its connection may go for another. A reader that is only slow takes some
/// of it more often.
const UNTAKEN: Duration = Duration::from_secs(1);

/// The connections there may be.
///
/// When the seats are full a new connection takes the place of the one that has waited longest for its peer: connections
/// cost nothing, so that whoever holds many without a request must not keep the health check out. Where none waits
/// the new one is refused at once, never queued. Either is counted
/// (`metrics_collector_http_refused_total{reason="connection_limit"}`).
///
/// A quarter of the seats, and at least one, is for this machine alone: the health check comes from here, and a crowd
/// outside must not make a sound collector look dead.
pub(super) struct Seats {
    max: usize,
    elsewhere_max: usize,
    taken: Arc<Mutex<Taken>>,
    open: IntGauge,
}

#[derive(Default)]
struct Taken {
    next: u64,
    elsewhere: usize,
    by_number: BTreeMap<u64, Taker>,
}

/// A connection that has a seat.
struct Taker {
    is_local: bool,
    phase: Phase,
    /// Tells it to go.
    leave: oneshot::Sender<()>,
    /// Ends when it is gone.
    gone: oneshot::Receiver<()>,
}

/// Whom a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// For the peer's next request to be whole, since then.
    Idle(Instant),
    /// For us to answer.
    Asked,
    /// For the answer to be sent.
    Answering,
    /// For the peer to take any more of its answer, since then.
    Untaken(Instant),
}

/// What a new connection gets.
pub(super) struct Admission {
    pub(super) seat: Seat,
    /// Ends when the connection that had to go for it is gone; none had to go where there is none.
    pub(super) evicted: Option<oneshot::Receiver<()>>,
}

/// One connection's right to be.
pub(super) struct Seat {
    pub(super) place: Arc<Place>,
    /// Ends when the connection is to go at once.
    pub(super) leave: oneshot::Receiver<()>,
}

/// Where a connection says whom it waits for. The seat is given back when the last of it is dropped.
pub(super) struct Place {
    number: u64,
    taken: Arc<Mutex<Taken>>,
    open: IntGauge,
    _gone: oneshot::Sender<()>,
}

impl Seats {
    /// Seats for `max` connections; `open` shows how many there are.
    pub(super) fn new(max: NonZeroUsize, open: IntGauge) -> Seats {
        let mut seats = Seats { max: 0, elsewhere_max: 0, taken: Arc::default(), open };
        seats.set_max(max, Instant::now());
        seats
    }

    /// There are so many from now on. Where that is fewer, connections that wait for their peers go; those that have a
    /// request under way stay.
    pub(super) fn set_max(&mut self, max: NonZeroUsize, now: Instant) {
        self.max = max.get();
        self.elsewhere_max = self.max - self.max.div_ceil(4);
        let mut taken = lock(&self.taken);
        while taken.by_number.len() > self.max && taken.evict(now, |_| true).is_some() {}
    }

    /// A seat for a peer on this machine or elsewhere, if there is one or one can be had.
    pub(super) fn take(&self, is_local: bool, now: Instant) -> Option<Admission> {
        let mut taken = lock(&self.taken);
        let mut evicted = None;
        // More than once only where there are fewer seats than there were.
        loop {
            let is_crowd = !is_local && taken.elsewhere >= self.elsewhere_max;
            if !is_crowd && taken.by_number.len() < self.max {
                break;
            }
            // A crowd outside makes room for itself among its own.
            evicted = Some(taken.evict(now, |taker| !(is_crowd && taker.is_local))?);
        }
        let (leave, told) = oneshot::channel();
        let (here, gone) = oneshot::channel();
        let number = taken.add(Taker { is_local, phase: Phase::Idle(now), leave, gone });
        self.open.inc();
        let place = Place { number, taken: Arc::clone(&self.taken), open: self.open.clone(), _gone: here };
        Some(Admission { seat: Seat { place: Arc::new(place), leave: told }, evicted })
    }
}

impl Taken {
    fn add(&mut self, taker: Taker) -> u64 {
        self.next += 1;
        self.elsewhere += usize::from(!taker.is_local);
        self.by_number.insert(self.next, taker);
        self.next
    }

    fn remove(&mut self, number: u64) -> Option<Taker> {
        let taker = self.by_number.remove(&number)?;
        self.elsewhere -= usize::from(!taker.is_local);
        Some(taker)
    }

    /// The one of them that has waited longest has to go. Gives what ends when it is gone.
    fn evict(&mut self, now: Instant, among: impl Fn(&Taker) -> bool) -> Option<oneshot::Receiver<()>> {
        let number = self.longest_waiting(now, among)?;
        let Taker { leave, gone, .. } = self.remove(number)?;
        // If it is about to end anyway it does not listen any more.
        _ = leave.send(());
        Some(gone)
    }

    /// The one that has waited longest for a request, or else for its peer to take an answer.
    fn longest_waiting(&self, now: Instant, among: impl Fn(&Taker) -> bool) -> Option<u64> {
        let waiting =
            self.by_number.iter().filter(|(_, taker)| among(taker)).filter_map(|(number, taker)| match taker
                .phase
            {
                Phase::Idle(since) => Some((false, since, *number)),
                Phase::Untaken(since) if now.duration_since(since) >= UNTAKEN => Some((true, since, *number)),
                _ => None,
            });
        waiting.min().map(|(_, _, number)| number)
    }
}

impl Place {
    /// A whole request has come.
    pub(super) fn asked(&self) {
        self.change(|_| Phase::Asked);
    }

    /// The answer is known.
    pub(super) fn answered(&self) {
        self.change(|_| Phase::Answering);
    }

    /// Some of the answer was taken.
    pub(super) fn wrote(&self) {
        self.change(|phase| if phase == Phase::Asked { phase } else { Phase::Answering });
    }

    /// Nothing more of the answer is taken.
    pub(super) fn stalled(&self, now: Instant) {
        self.change(|phase| if phase == Phase::Answering { Phase::Untaken(now) } else { phase });
    }

    /// All that was there to be sent is sent.
    pub(super) fn flushed(&self, now: Instant) {
        self.change(|phase| match phase {
            Phase::Answering | Phase::Untaken(_) => Phase::Idle(now),
            Phase::Idle(_) | Phase::Asked => phase,
        });
    }

    fn change(&self, to: impl FnOnce(Phase) -> Phase) {
        // One that had to go has no entry any more.
        if let Some(taker) = lock(&self.taken).by_number.get_mut(&self.number) {
            taker.phase = to(taker.phase);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.taken).remove(self.number);
        self.open.dec();
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().expect("no code panics under this lock")
}

#[cfg(test)]
mod tests {
    use Entry::{InPlaceOf, Refused, Seated};

    use super::*;

    /// What becomes of one who comes.
    #[derive(Debug, PartialEq, Eq)]
    enum Entry {
        Seated,
        /// By its place in line.
        InPlaceOf(usize),
        Refused,
    }

    /// Seats, and everybody who has one, in the order they came. Nobody but a test moves the time.
    struct Hall {
        seats: Seats,
        open: IntGauge,
        now: Instant,
        inside: Vec<Admission>,
    }

    fn hall(max: usize) -> Hall {
        let open = IntGauge::new("open", "open").unwrap();
        let seats = Seats::new(NonZeroUsize::new(max).unwrap(), open.clone());
        Hall { seats, open, now: Instant::now(), inside: Vec::new() }
    }

    impl Hall {
        /// Somebody comes, a second later.
        fn enter(&mut self, is_local: bool) -> Entry {
            self.now += Duration::from_secs(1);
            let Some(admission) = self.seats.take(is_local, self.now) else { return Refused };
            let evicted = admission.evicted.is_some();
            let told = |other: &mut Admission| other.seat.leave.try_recv().is_ok();
            let left = self.inside.iter_mut().position(told);
            assert_eq!(evicted, left.is_some());
            self.inside.push(admission);
            left.map_or(Seated, InPlaceOf)
        }

        /// As many as come in without another's having to go.
        fn fill(&mut self, is_local: bool) -> usize {
            let before = self.inside.len();
            while let Seated = self.enter(is_local) {
                self.ask(self.inside.len() - 1);
            }
            self.inside.len() - before
        }

        fn ask(&self, place: usize) {
            self.inside[place].seat.place.asked();
        }

        fn answer(&self, place: usize, seconds: u64) {
            self.inside[place].seat.place.answered();
            self.inside[place].seat.place.flushed(self.now + Duration::from_secs(seconds));
        }
    }

    #[test]
    fn a_crowd_outside_leaves_seats_for_this_machine() {
        for (max, elsewhere) in [(1, 0), (2, 1), (3, 2), (4, 3), (8, 6), (256, 192)] {
            let mut hall = hall(max);
            assert_eq!(hall.fill(false), elsewhere, "of {max}");
            assert_eq!(hall.fill(true), max - elsewhere, "of {max}");
            assert_eq!(hall.open.get(), i64::try_from(max).unwrap());
        }
    }

    #[test]
    fn this_machine_may_have_all_seats() {
        let mut hall = hall(8);
        assert_eq!(hall.fill(true), 8);
        assert_eq!(hall.enter(false), Refused);
        assert_eq!(hall.enter(true), Refused);
    }

    #[test]
    fn a_seat_comes_back_when_its_connection_ends() {
        let mut hall = hall(1);
        assert_eq!(hall.fill(true), 1);
        hall.inside.clear();
        assert_eq!(hall.open.get(), 0);
        assert_eq!(hall.enter(true), Seated);
    }

    #[test]
    fn the_one_that_has_waited_longest_for_a_request_goes() {
        let mut hall = hall(3);
        for _ in 0..3 {
            assert_eq!(hall.enter(true), Seated);
        }
        // The first has asked, and waits again since later than the others; the second is at work.
        hall.ask(0);
        hall.answer(0, 1);
        hall.ask(1);
        assert_eq!(hall.enter(true), InPlaceOf(2));
        assert_eq!(hall.enter(true), InPlaceOf(0));
        assert_eq!(hall.enter(true), InPlaceOf(3));
        // What it says after it was told to go changes nobody else's place.
        hall.answer(2, 1);
        assert_eq!(hall.open.get(), 6, "those that were told are not gone yet");
        hall.inside.drain(2..4);
        assert_eq!(hall.open.get(), 4);
    }

    #[test]
    fn whom_we_owe_an_answer_stays() {
        let mut hall = hall(2);
        assert_eq!(hall.fill(true), 2);
        assert_eq!(hall.enter(true), Refused);
        hall.inside[1].seat.place.answered();
        assert_eq!(hall.enter(true), Refused, "it is not sent yet");
        hall.inside[1].seat.place.flushed(hall.now);
        assert_eq!(hall.enter(true), InPlaceOf(1));
    }

    #[test]
    fn one_that_does_not_take_its_answer_goes_when_none_is_idle() {
        let mut hall = hall(2);
        assert_eq!(hall.fill(true), 2);
        hall.inside[0].seat.place.answered();
        hall.inside[0].seat.place.stalled(hall.now + Duration::from_millis(500));
        assert_eq!(hall.enter(true), Refused, "it may only be slow");
        hall.inside[0].seat.place.wrote();
        assert_eq!(hall.enter(true), Refused, "it takes some");
        hall.inside[0].seat.place.stalled(hall.now);
        hall.answer(1, 0);
        assert_eq!(hall.enter(true), InPlaceOf(1), "an idle one goes first");
        hall.ask(2);
        assert_eq!(hall.enter(true), InPlaceOf(0));
    }

    #[test]
    fn a_crowd_outside_makes_room_among_its_own() {
        let mut hall = hall(4);
        assert_eq!(hall.enter(true), Seated);
        for _ in 0..3 {
            assert_eq!(hall.enter(false), Seated);
        }
        for place in 1..4 {
            assert_eq!(hall.enter(false), InPlaceOf(place), "the oldest of all is from here");
        }
        assert_eq!(hall.enter(true), InPlaceOf(0));
    }

    #[test]
    fn where_there_are_fewer_seats_those_that_wait_go_and_those_at_work_stay() {
        let mut hall = hall(6);
        assert_eq!(hall.fill(true), 6);
        hall.answer(1, 1);
        hall.answer(4, 2);
        hall.seats.set_max(NonZeroUsize::new(5).unwrap(), hall.now);
        let left: Vec<usize> =
            (0..6).filter(|place| hall.inside[*place].seat.leave.try_recv().is_ok()).collect();
        assert_eq!(left, [1]);
        hall.seats.set_max(NonZeroUsize::new(3).unwrap(), hall.now);
        assert!(hall.inside[4].seat.leave.try_recv().is_ok());
        assert_eq!(hall.enter(true), Refused, "four are at work");
        hall.seats.set_max(NonZeroUsize::new(5).unwrap(), hall.now);
        assert_eq!(hall.enter(true), Seated);
    }
}
