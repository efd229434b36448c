//! Partners that the collector connects to: a task for each, which dials, serves and waits, until it is not wanted any more.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::connect::{Dialling, Failure, connect};
use super::end::End;
use super::greeting::Greeting;
use super::hub::Shared;
use super::names::Claimant;
use super::serve::serve_from;
use super::socket::Socket;
use super::target::Target;
use crate::control::{DialStatus, PartnerStatus};
use crate::pause::{dice, spread};
use crate::telemetry::{unix_ms, unix_seconds};

/// The pause after the first failure, which doubles with each, and the longest; give or take a fifth.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(50);

/// A connection that lasted so long, or whose partner was done with anything, was a good one: the next pause is the first.
const GOOD_TIME: Duration = Duration::from_secs(10);

/// The tasks, each with what its partner is to get.
pub(super) struct Lines {
    wanted: watch::Receiver<Vec<Target>>,
    /// Without its sender a task ends.
    running: HashMap<String, watch::Sender<Target>>,
}

impl Lines {
    pub(super) fn new(wanted: watch::Receiver<Vec<Target>>) -> Lines {
        Lines { wanted, running: HashMap::new() }
    }

    /// Returns when other partners are wanted. Cancel safe.
    pub(super) async fn changed(&mut self) {
        self.wanted.changed().await.expect("whoever has the tasks has the sender as well");
    }

    /// Has a task for each partner that is wanted, and none for others. Those that stay as they are notice nothing. The
    /// places are those of the partners that are wanted by now.
    pub(super) fn follow(&mut self, shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
        let wanted = self.wanted.borrow_and_update().clone();
        self.running.retain(|name, _| wanted.iter().any(|target| target.name == *name));
        for target in wanted {
            let name = target.name.clone();
            let Some(running) = self.running.get(&name) else {
                let (sender, receiver) = watch::channel(target);
                tasks.spawn(Line::new(shared.clone(), receiver).run());
                self.running.insert(name, sender);
                continue;
            };
            let is_other = *running.borrow() != target;
            if is_other {
                running.send_replace(target);
                shared.names.send_away(&name, End::Changed);
            }
        }
    }
}

/// One partner's task.
struct Line {
    shared: Arc<Shared>,
    wanted: watch::Receiver<Target>,
    pauses: Pauses,
    /// What was logged last; the same is not logged again.
    told: Option<String>,
}

impl Line {
    fn new(shared: Arc<Shared>, wanted: watch::Receiver<Target>) -> Line {
        Line { shared, wanted, pauses: Pauses::default(), told: None }
    }

    async fn run(mut self) {
        loop {
            let target = self.wanted.borrow_and_update().clone();
            self.note(&target, State::Connecting, None);
            let attempt = tokio::select! {
                attempt = connect(&target.address, self.shared.input) => attempt,
                changed = self.wanted.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            self.shared
                .metrics
                .dialled(attempt.as_ref().map_or_else(|failure| failure.result, |_| Dialling::Connected));
            let why = match attempt {
                Ok((socket, peer)) => self.serve(&target, socket, peer).await,
                Err(failure) => {
                    self.tell_failure(&target, &failure);
                    failure.to_string()
                }
            };
            let pause = self.pauses.next(dice());
            let until_ms = unix_ms().saturating_add(pause.as_millis() as u64);
            self.note(&target, State::Waiting { until_ms }, Some(why));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.pauses = Pauses::default(),
                    Err(_) => return,
                },
            }
        }
    }

    /// Serves the partner until its connection ends, and says why it did.
    async fn serve(&mut self, target: &Target, socket: Socket, peer: String) -> String {
        let (name, hello) = (&target.name, target.hello());
        let Ok(place) = self.shared.names.claim(name, hello.start, Claimant::Dialler).await else {
            return "it is not wanted any more".to_owned();
        };
        if self.wanted.has_changed().unwrap_or(true) {
            self.shared.names.give_back(name, place.id, place.follower, place.past);
            return "it is to get something else".to_owned();
        }
        self.note(target, State::Connected, None);
        self.told = None;
        self.tell(name, |suppressed| {
            info!(partner = name, address = %target.address, suppressed, "connected to a partner");
        });
        let begun = Instant::now();
        self.shared.metrics.connections.inc();
        let greeting = Greeting { hello, ..Greeting::default() };
        let (end, progress) = serve_from(&self.shared, socket, Some(peer), greeting, place).await;
        self.shared.metrics.connections.dec();
        self.shared.count_end(end, name);
        if progress.done() > 0 || begun.elapsed() >= GOOD_TIME {
            self.pauses = Pauses::default();
        }
        self.tell(name, |suppressed| {
            let (address, reason) = (&target.address, end.name());
            info!(partner = name, %address, reason, suppressed, "the connection to a partner has ended");
        });
        format!("the connection ended: {}", end.name())
    }

    fn tell_failure(&mut self, target: &Target, failure: &Failure) {
        let why = failure.to_string();
        if self.told.as_ref() == Some(&why) {
            return;
        }
        self.tell(&target.name, |suppressed| {
            let (partner, address) = (&target.name, &target.address);
            warn!(partner, %address, suppressed, "cannot connect to a partner: {failure}; trying again");
        });
        self.told = Some(why);
    }

    /// Logs something of a partner, within its budget.
    fn tell(&self, name: &str, log: impl FnOnce(u64)) {
        if let Some(suppressed) = self.shared.may_log(&format!("dialled {name}")) {
            log(suppressed);
        }
    }

    /// Shows how it stands, unless it is not wanted any more.
    fn note(&self, target: &Target, state: State, error: Option<String>) {
        if self.wanted.has_changed().is_ok() {
            self.shared.dials.note(&target.name, state, error);
        }
    }
}

/// How dialling each partner stands, for those who ask.
#[derive(Debug, Default)]
pub(super) struct Dials(Mutex<BTreeMap<String, Dial>>);

#[derive(Debug)]
struct Dial {
    target: Target,
    state: State,
    /// Unix time in seconds.
    last_error: Option<(u64, String)>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Connecting,
    Connected,
    /// Until this Unix time in milliseconds.
    Waiting {
        until_ms: u64,
    },
}

impl Dials {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Dial>> {
        self.0.lock().expect("no code panics under this lock")
    }

    pub(super) fn new(wanted: &[Target]) -> Dials {
        let dials = Dials::default();
        dials.follow(wanted);
        dials
    }

    /// These are dialled from now on.
    pub(super) fn follow(&self, wanted: &[Target]) {
        let mut dials = self.lock();
        dials.retain(|name, _| wanted.iter().any(|target| target.name == *name));
        for target in wanted {
            let new = || Dial { target: target.clone(), state: State::Connecting, last_error: None };
            dials.entry(target.name.clone()).or_insert_with(new).target = target.clone();
        }
    }

    fn note(&self, name: &str, state: State, error: Option<String>) {
        if let Some(dial) = self.lock().get_mut(name) {
            dial.state = state;
            if let Some(error) = error {
                dial.last_error = Some((unix_seconds(SystemTime::now()), error));
            }
        }
    }

    /// Adds to each partner that is dialled how that stands, and those who are nowhere else.
    pub(super) fn note_on(&self, partners: &mut Vec<PartnerStatus>) {
        for (name, dial) in &*self.lock() {
            let at = partners.iter().position(|partner| partner.name.as_ref() == Some(name));
            let at = at.unwrap_or_else(|| {
                partners.push(PartnerStatus { name: Some(name.clone()), ..PartnerStatus::default() });
                partners.len() - 1
            });
            dial.note_on(&mut partners[at]);
        }
    }
}

impl Dial {
    fn note_on(&self, partner: &mut PartnerStatus) {
        let hello = &self.target.hello;
        if !partner.connected {
            (partner.format, partner.ack) = (Some(hello.format.name()), hello.ack);
            [partner.topics, partner.frameworks, partner.tags] = hello.globs.clone();
        }
        let (state, next_ms) = match self.state {
            _ if partner.connected => ("connected", None),
            State::Connecting | State::Connected => ("connecting", None),
            State::Waiting { until_ms } => ("waiting", Some(until_ms)),
        };
        partner.dialled = Some(DialStatus {
            address: self.target.address.to_string(),
            from: hello.start.name(),
            state,
            last_error: self.last_error.clone(),
            next_ms,
        });
    }
}

/// Decides on the pauses between attempts.
#[derive(Debug, Default)]
struct Pauses {
    failures: u32,
}

impl Pauses {
    /// The pause after another failure. `dice` is from 0 to 1 and keeps a cluster's collectors from coming all at once.
    fn next(&mut self, dice: f64) -> Duration {
        let whole = PAUSE_MIN.saturating_mul(2_u32.saturating_pow(self.failures)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        spread(whole, 0.2, dice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_are_not_the_same_for_all() {
        let seconds = |dice| {
            let mut pauses = Pauses::default();
            (0..9).map(|_| pauses.next(dice).as_millis() / 100).collect::<Vec<_>>()
        };
        assert_eq!(seconds(0.5), [10, 20, 40, 80, 160, 320, 500, 500, 500]);
        assert_eq!(seconds(0.0)[..2], [8, 16]);
        assert_eq!(seconds(1.0)[8], 600);
        let mut long = Pauses { failures: u32::MAX };
        assert_eq!(long.next(0.5), PAUSE_MAX);
    }
}
