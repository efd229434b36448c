//! Records set apart for a moment, until it is known whose they are.
//!
//! # What it promises
//! * Records wait only while the agent may tell more of them: their container is one that it has not named, or its own id
//!   is not known yet. They wait `enrich-wait` at most, and no longer than until an answer that was asked for after
//!   they came; no container's records wait a second time. All other records pass by.
//! * They belong to whole, sound blocks, and are **not accepted yet**: the ledger does not know them, as it does not
//!   know what is in a socket. Their number and bytes are on the metrics page. They become accepted when they go on
//!   into the spool, with or without tags; nothing else ever happens to them. When the collector stops, they go on at once,
//!   before the spool is closed, also where the input ends by a failure.
//! * Records of one container keep their order: while some wait, later ones wait behind them, as far as there is room.
//!
//! # When it is full
//! All that is apart is bounded: bytes by a thirty-second of `memory-limit`, [records](RECORDS_MAX), and
//! [containers](KEYS_MAX). Over that, records go on without waiting, and are counted. So a sender that makes up container
//! ids costs itself tags, and others no more than the wait. Containers that have waited in vain are remembered, the
//! last few thousand of them.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hashbrown::{HashMap, HashSet};
use tokio::sync::{Notify, watch};

use super::APART_PART;
use super::entry::Rules;
use super::metrics::Metrics;
use super::settings::Config;
use crate::enrich::View;
use crate::pause;
use crate::telemetry::unix_ms;

/// Most records apart at once.
pub(super) const RECORDS_MAX: usize = 10_000;

/// Most containers whose records are apart at once.
pub(super) const KEYS_MAX: usize = 1024;

/// Containers that have waited in vain are remembered in two generations of this many.
const GENERATION: usize = 2048;

/// Where records wait.
#[derive(Debug)]
pub(super) struct Apart {
    settings: watch::Receiver<Config>,
    state: Mutex<State>,
    /// Something begins to wait.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// By container id; the empty one stands for records without a container.
    waiting: HashMap<Box<[u8]>, Waiting>,
    in_vain: HashSet<Box<[u8]>>,
    in_vain_before: HashSet<Box<[u8]>>,
    records: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    /// Records one behind the other.
    body: Vec<u8>,
    records: usize,
}

/// Records of a block that are to be set apart if it is sound.
#[derive(Debug, Default)]
pub(super) struct Aside {
    records: Vec<(Box<[u8]>, Vec<u8>)>,
    bytes: usize,
}

/// Whether a record can be set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// There is no room.
    None,
    /// Its container has waited already, or nobody waits any more.
    NotNeeded,
}

impl Aside {
    pub(super) fn push(&mut self, key: &[u8], record: &[u8]) {
        self.records.push((key.into(), record.into()));
        self.bytes += record.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn len(&self) -> u64 {
        self.records.len() as u64
    }
}

impl State {
    fn was_in_vain(&self, key: &[u8]) -> bool {
        self.in_vain.contains(key) || self.in_vain_before.contains(key)
    }

    fn give_up(&mut self, key: Box<[u8]>) {
        if self.in_vain.len() >= GENERATION {
            self.in_vain_before = std::mem::take(&mut self.in_vain);
        }
        self.in_vain.insert(key);
    }
}

impl Apart {
    /// With room for a part of the settings' memory, and their wait.
    pub(super) fn new(settings: watch::Receiver<Config>) -> Apart {
        Apart { settings, state: Mutex::default(), wake: Notify::new() }
    }

    /// How long records wait, and for how many bytes there is room.
    fn bounds(&self) -> (Duration, usize) {
        let settings = self.settings.borrow();
        (settings.apart_wait, settings.memory_limit / APART_PART)
    }

    /// Bytes of records apart.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Records apart.
    pub(super) fn records(&self) -> usize {
        self.lock().records
    }

    /// Whether a record of the container `key` is to be set apart, behind those in `aside`.
    pub(super) fn place(&self, key: &[u8], bytes: usize, aside: &Aside) -> Place {
        let (wait, bytes_max) = self.bounds();
        let state = self.lock();
        let waits = state.waiting.contains_key(key);
        if state.closed || wait.is_zero() || !waits && state.was_in_vain(key) {
            return Place::NotNeeded;
        }
        let has_room = state.bytes + aside.bytes + bytes <= bytes_max
            && state.records + aside.records.len() < RECORDS_MAX
            && (waits || state.waiting.len() < KEYS_MAX);
        if has_room { Place::Free } else { Place::None }
    }

    /// Sets records apart. Gives back those that cannot wait any more, one behind the other.
    #[must_use]
    pub(super) fn add(&self, aside: Aside, now: Instant) -> Vec<u8> {
        let mut state = self.lock();
        let mut late = Vec::new();
        let begins = state.waiting.is_empty();
        for (key, record) in aside.records {
            let new = !state.waiting.contains_key(&key);
            if state.closed || new && (state.was_in_vain(&key) || state.waiting.len() >= KEYS_MAX) {
                late.extend(record);
                continue;
            }
            state.bytes += record.len();
            state.records += 1;
            let waiting = state.waiting.entry(key).or_insert_with(|| Waiting {
                since: now,
                body: Vec::new(),
                records: 0,
            });
            waiting.body.extend(record);
            waiting.records += 1;
        }
        if begins {
            self.wake.notify_one();
        }
        late
    }

    /// Those whose wait is over at `now`, and when the next one's is. They stay as waiting without records, so that what
    /// comes meanwhile queues behind them, until [`Apart::done`].
    fn due(&self, view: &View, now: Instant) -> (Vec<Due>, Option<Instant>) {
        let (wait, _) = self.bounds();
        let mut state = self.lock();
        let (mut due, mut next, closed) = (Vec::new(), None, state.closed);
        let (mut records, mut bytes) = (0, 0);
        for (key, waiting) in &mut state.waiting {
            let known =
                if key.is_empty() { view.snapshot.agent_id().is_some() } else { view.snapshot.knows(key) };
            let until = waiting.since + wait;
            let answered = view.asked.is_some_and(|asked| asked > waiting.since);
            if closed || known || answered || !view.hope || now >= until {
                records += std::mem::take(&mut waiting.records);
                bytes += waiting.body.len();
                due.push(Due { key: key.clone(), body: std::mem::take(&mut waiting.body), known });
            } else {
                next = Some(next.map_or(until, |next: Instant| next.min(until)));
            }
        }
        state.records -= records;
        state.bytes -= bytes;
        (due, next)
    }

    /// Those are in the spool. Whether more has come behind them meanwhile.
    fn done(&self, due: Vec<Due>) -> bool {
        let mut state = self.lock();
        let mut more = false;
        for Due { key, known, .. } in due {
            if state.waiting.get(&key).is_some_and(|waiting| waiting.records > 0) {
                more = true;
                continue;
            }
            state.waiting.remove(&key);
            if !known {
                state.give_up(key);
            }
        }
        more
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }
}

/// One container's records, whose wait is over.
struct Due {
    key: Box<[u8]>,
    body: Vec<u8>,
    known: bool,
}

/// Lets go on whose wait is over. Says when the next one's is.
fn release(rules: &Rules, metrics: &Metrics) -> Option<Instant> {
    loop {
        let view = rules.enricher.view();
        let (mut due, next) = rules.apart.due(&view, Instant::now());
        if due.is_empty() {
            metrics.count_apart(&rules.apart);
            return next;
        }
        let now_ms = unix_ms();
        for known in [true, false] {
            let bodies: Vec<Vec<u8>> = due
                .iter_mut()
                .filter(|due| due.known == known)
                .map(|due| std::mem::take(&mut due.body))
                .collect();
            let tally = rules.go_on(now_ms, &view, &bodies);
            metrics.count(&tally, 0);
            metrics.waited(known, tally.appended.records);
        }
        rules.apart.done(due);
    }
}

/// Lets all go on when it is dropped, however the input ends.
struct InTheEnd<'a>(&'a Rules, &'a Metrics);

impl Drop for InTheEnd<'_> {
    fn drop(&mut self) {
        self.0.apart.lock().closed = true;
        release(self.0, self.1);
    }
}

/// Lets records go on when their time has come, until the drain signal; then all.
pub(super) async fn run(rules: Arc<Rules>, metrics: Metrics, mut drain: watch::Receiver<bool>) {
    let _in_the_end = InTheEnd(&rules, &metrics);
    let mut enricher = rules.enricher.clone();
    let mut settings = rules.settings.clone();
    loop {
        let next = release(&rules, &metrics);
        tokio::select! {
            () = super::listener::drained(&mut drain) => return,
            () = enricher.changed() => {}
            () = rules.apart.wake.notified() => {}
            // The wait may be shorter now.
            Ok(()) = settings.changed() => {}
            () = pause::until(next) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::{self, Enricher};

    fn aside(records: &[(&[u8], &[u8])]) -> Aside {
        let mut aside = Aside::default();
        for (key, record) in records {
            aside.push(key, record);
        }
        aside
    }

    /// A view in which nothing is known, and an answer may come.
    fn view(asked: Option<Instant>, hope: bool) -> View {
        View { asked, hope, ..Enricher::fixed(&enrich::Config::default()).view() }
    }

    const WAIT: Duration = Duration::from_secs(2);

    fn apart(bytes_max: usize) -> Apart {
        let memory_limit = bytes_max * APART_PART;
        Apart::new(watch::channel(Config { apart_wait: WAIT, memory_limit, ..Config::for_tests() }).1)
    }

    #[test]
    fn the_wait_ends_with_a_later_answer_a_failure_or_its_time_and_is_not_repeated() {
        let now = Instant::now();
        let (before, after) = (now.checked_sub(WAIT), now + WAIT / 2);
        for (asked, hope, at, ends) in [
            (before, true, after, false),
            (Some(after), true, after, true),
            (before, false, after, true),
            (before, true, now + WAIT, true),
        ] {
            let apart = apart(100);
            assert_eq!(apart.add(aside(&[(b"c", b"1"), (b"c", b"2")]), now), b"");
            let (due, next) = apart.due(&view(asked, hope), at);
            assert_eq!((due.len(), next.is_none()), (usize::from(ends), ends), "{asked:?} {hope}");
            if ends {
                assert_eq!(due[0].body, b"12");
                // What comes meanwhile queues behind, and then nobody waits again.
                assert_eq!(apart.add(aside(&[(b"c", b"3")]), at), b"");
                assert!(apart.done(due), "there is more");
                let (more, _) = apart.due(&view(Some(at + WAIT), true), at + WAIT);
                assert!(!apart.done(more));
                assert_eq!(apart.place(b"c", 1, &Aside::default()), Place::NotNeeded);
                assert_eq!((apart.records(), apart.bytes()), (0, 0));
            }
        }
    }

    #[test]
    fn what_may_be_apart_is_bounded() {
        let now = Instant::now();
        let apart_keys = apart(1 << 20);
        let apart = apart(10);
        let some = aside(&[(b"c", b"12345")]);
        assert_eq!(apart.place(b"c", 5, &some), Place::Free);
        assert_eq!(apart.place(b"c", 6, &some), Place::None);
        for n in 0..KEYS_MAX {
            assert_eq!(apart_keys.add(aside(&[(n.to_string().as_bytes(), b"x")]), now), b"");
        }
        assert_eq!(apart_keys.place(b"one more", 1, &Aside::default()), Place::None);
        assert_eq!(apart_keys.place(b"7", 1, &Aside::default()), Place::Free);
        assert_eq!(apart_keys.add(aside(&[(b"one more", b"late")]), now), b"late");
    }

    #[test]
    fn containers_that_waited_in_vain_are_remembered_within_bounds() {
        let mut state = State::default();
        for n in 0..10 * GENERATION {
            state.give_up(n.to_string().as_bytes().into());
        }
        assert!(state.was_in_vain((10 * GENERATION - 1).to_string().as_bytes()));
        assert!(state.in_vain.len() + state.in_vain_before.len() <= 2 * GENERATION);
    }
}
