//! The configuration, changed while the program runs: by whoever may write over HTTP, and by SIGHUP.
//!
//! # What it promises
//! * One change at a time, in the order in which they came; a version (`ETag`) tells them apart.
//! * A change is worked out and held against the rules before any stage hears of it; then all of them hear of it at once.
//!   It is made to its end also when whoever asked for it is gone.
//! * There is one log line for each key that was changed, of partners for each of them: by whom, from what, to what; and
//!   for each file that a key names and that has other contents than it had.
//! * What was set at runtime is in `runtime.json` of the data directory, readable by nobody else, before the answer goes
//!   out; or the answer says why it is not. It counts all the same then: whoever steers in need must not fail for a full
//!   disk.
//!
//! # When something is full, slow, gone or lying
//! Files that keys name and do not answer cost a change five seconds, and then the change. What the data directory may cost
//! it, and what else may be wrong with that, is on the page of `kept`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{Level, error, warn};

use super::descriptors::Descriptors;
use super::kept::{Keeper, Keeping, NotKept};
use super::looking::Wanted;
use super::news::{News, Told};
use crate::config::{self, Config, Live, Next, NotRemoved};
use crate::control::steering::{
    Change, Changing, ConfigView, Fault, NotChanged, Order, Outcome, Steering as Steers,
};
use crate::dcos::{Authority, agent};
use crate::enrich::Knowledge;
use crate::output::message::Envelope;
use crate::output::{kafka, partner};
use crate::spool::Spool;
use crate::telemetry::problems::Kind;
use crate::telemetry::{Log, Problems, StatsdConfig, chain};
use crate::{disk, http, input};

/// Where the stages hear of what they follow.
pub(super) struct Wires {
    pub(super) log: Log,
    pub(super) problems: Problems,
    pub(super) connections: Descriptors,
    pub(super) input: watch::Sender<input::Config>,
    pub(super) spool: Spool,
    pub(super) envelope: Envelope,
    pub(super) kafka: Option<watch::Sender<kafka::Config>>,
    pub(super) brokers: Option<watch::Sender<Wanted>>,
    pub(super) partners: partner::Handle,
    pub(super) partner_settings: watch::Sender<partner::Config>,
    pub(super) knowledge: Knowledge,
    pub(super) agent: watch::Sender<agent::Config>,
    pub(super) authority: Authority,
    pub(super) http: watch::Sender<http::Config>,
    pub(super) statsd: watch::Sender<Option<StatsdConfig>>,
    pub(super) grace: watch::Sender<Duration>,
}

/// Shows and changes the configuration. Cheap to clone.
#[derive(Clone)]
pub(super) struct Steering(Arc<Shared>);

struct Shared {
    wires: Wires,
    keeper: Option<Arc<Keeper>>,
    incarnation: String,
    /// Whoever has it makes a change.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    live: Live,
    warnings: Vec<String>,
    /// What was read again last was at fault.
    is_faulty: bool,
    /// Counts the versions.
    version: u64,
    view: Arc<ConfigView>,
}

impl Steering {
    pub(super) fn new(
        live: Live,
        config: &Config,
        keeping: Keeping,
        incarnation: String,
        wires: Wires,
    ) -> Steering {
        let Keeping { keeper, not_kept } = keeping;
        wires.note_kept(not_kept.as_ref());
        let view = ConfigView {
            version: 1,
            etag: etag(&incarnation, 0),
            kept: not_kept.is_none(),
            not_kept_because: not_kept.as_ref().map(ToString::to_string),
            keys: live.view(),
        };
        let state = State {
            live,
            warnings: config.warnings.clone(),
            version: 0,
            is_faulty: false,
            view: Arc::new(view),
        };
        Steering(Arc::new(Shared {
            wires,
            keeper,
            incarnation,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
        }))
    }
}

impl Steering {
    /// Files that keys name and whose contents count.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.0.state().live.files().iter().map(|file| file.path.clone()).collect()
    }
}

impl Steers for Steering {
    fn view(&self) -> Arc<ConfigView> {
        self.0.state().view.clone()
    }

    fn schema(&self) -> serde_json::Value {
        config::schema()
    }

    fn partner_schema(&self) -> serde_json::Value {
        config::partner_schema()
    }

    fn change(&self, order: Order) -> Changing<'_> {
        let shared = self.0.clone();
        // A task of its own: it ends what it has begun.
        let making = tokio::spawn(async move { shared.make(order).await });
        Box::pin(
            async move { making.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) },
        )
    }
}

impl Shared {
    /// Notes that something was read again and is at `fault`, or is good again. A file that was renewed says nothing of the
    /// configuration's.
    fn tell_problem(&self, is_reload: bool, fault: Option<&NotChanged>) {
        let is_faulty = {
            let mut state = self.state();
            state.is_faulty = if is_reload { fault.is_some() } else { state.is_faulty };
            state.is_faulty
        };
        match fault {
            Some(why) => self.wires.problems.note(Kind::Configuration, Told(why)),
            None if !is_faulty => self.wires.problems.over(Kind::Configuration),
            None => {}
        }
    }

    async fn make(&self, order: Order) -> Result<Outcome, NotChanged> {
        let _turn = self.turn.lock().await;
        let live = {
            let state = self.state();
            // What is not there is not there in any version (RFC 9110 §13.2.1).
            if let Change::Remove(key) = &order.change {
                state.live.removable(key).map_err(not_removed)?;
            }
            if let Change::RemovePartner(name) = &order.change
                && !state.live.has_partner(name)
            {
                return Err(NotChanged::NoPartner);
            }
            if !order.expected.admits(&state.view.etag) {
                return Err(NotChanged::Stale);
            }
            state.live.clone()
        };
        let Order { change, by, .. } = order;
        let is_asked = change != Change::Renew;
        let is_reload = change == Change::Reload;
        let worked_out = disk::patiently(move || work_out(&live, &change)).await;
        let worked_out = worked_out.unwrap_or(Err(NotChanged::Slow));
        // Whoever sets a key has the answer; nobody may be there who reads a signal's, and nobody asks for a renewal.
        if is_reload || !is_asked {
            self.tell_problem(is_reload, worked_out.as_ref().err());
        }
        let (next, created) = worked_out?;
        let Next { mut config, live, changed, renewed, pending, dropped } = next;
        let news =
            News { changed: &changed, renewed: &renewed, pending: &pending, dropped: &dropped, is_asked };
        // Whichever filter lets more through is to let the lines through.
        let is_early = tracing::enabled!(Level::INFO);
        if is_early {
            news.tell(&by);
        }
        self.wires.apply(&mut config);
        if !is_early {
            news.tell(&by);
        }
        self.note(live, config.warnings);
        let is_other = !changed.is_empty() || !renewed.is_empty();
        let view = self.publish(is_other, self.keep().await.err().map(|why| why.to_string()));
        Ok(Outcome {
            changed: changed.into_iter().map(|changed| changed.key).collect(),
            renewed: renewed.into_iter().map(|file| file.key).collect(),
            pending,
            dropped,
            created,
            view,
        })
    }

    fn note(&self, live: Live, warnings: Vec<String>) {
        let mut state = self.state();
        for warning in warnings.iter().filter(|warning| !state.warnings.contains(warning)) {
            warn!("{warning}");
        }
        (state.live, state.warnings) = (live, warnings);
    }

    /// Writes down what was set at runtime.
    async fn keep(&self) -> Result<(), NotKept> {
        let keeper = self.keeper.as_ref().ok_or(NotKept::NoFolder)?;
        let live = self.state().live.clone();
        let kept = keeper.keep(live).await;
        if let Err(NotKept::Failed(error)) = &kept {
            warn!("cannot keep the runtime values for the next start in data-dir: {error}");
        }
        self.wires.note_kept(kept.as_ref().err());
        kept
    }

    /// Shows the configuration as it is now. What is hidden may be another, though what is shown is not.
    fn publish(&self, is_other: bool, not_kept_because: Option<String>) -> ConfigView {
        let mut state = self.state();
        let keys = state.live.view();
        let before = &state.view;
        if is_other || keys != before.keys || not_kept_because != before.not_kept_because {
            state.version += 1;
            let etag = etag(&self.incarnation, state.version);
            let kept = not_kept_because.is_none();
            state.view = Arc::new(ConfigView { version: 1, etag, kept, not_kept_because, keys });
        }
        ConfigView::clone(&state.view)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }
}

impl Wires {
    /// Notes where nothing can be kept in the data directory that is set.
    fn note_kept(&self, not_kept: Option<&NotKept>) {
        if let Some(NotKept::Failed(error)) = not_kept {
            self.problems.note(Kind::DataDirectory, format_args!("the runtime values: {error}"));
        }
    }

    /// Has every stage follow `config`.
    fn apply(&self, config: &mut Config) {
        self.log.set(&config.telemetry);
        self.connections.fit(config);
        if let Err(error) = self.authority.set(&config.dcos) {
            error!("the way into the cluster stays as it was: {}", chain(&error));
        }
        self.knowledge.set(config.enrich.clone());
        set(&self.agent, config.agent.clone());
        set(&self.input, config.input.clone());
        if let (Some(wire), Some(kafka)) = (&self.kafka, &config.kafka) {
            let (is_reframed, naming) = {
                let before = wire.borrow();
                (before.batch != kafka.batch, kafka.naming.clone().after(&before.naming))
            };
            if is_reframed {
                self.spool.set_framing(kafka.framing(&self.envelope));
            }
            // Before the spool: what is filed otherwise needs its name.
            set(wire, kafka::Config { naming, ..kafka.clone() });
        }
        if self.spool.config() != config.spool {
            self.spool.set(config.spool.clone());
        }
        if let (Some(wire), Some(wanted)) = (&self.brokers, Wanted::of(config)) {
            set(wire, wanted);
        }
        set(&self.partner_settings, config.partner.clone());
        set(&self.http, config.http.clone());
        set(&self.statsd, config.statsd.clone());
        set(&self.grace, config.shutdown_grace);
        self.partners.dial(&config.partner.dialled);
    }
}

fn set<T: PartialEq>(wire: &watch::Sender<T>, value: T) {
    wire.send_if_modified(|now| {
        let is_other = *now != value;
        if is_other {
            *now = value;
        }
        is_other
    });
}

fn etag(incarnation: &str, version: u64) -> String {
    format!("\"{incarnation}-{version}\"")
}

/// What a change comes to, and whether it adds a partner.
fn work_out(live: &Live, change: &Change) -> Result<(Next, bool), NotChanged> {
    let mut created = false;
    let next = match change {
        Change::PutPartner { name, fields } => {
            live.put_partner(name, fields, &kafka::check).map(|(next, is_new)| {
                created = is_new;
                next
            })
        }
        Change::RemovePartner(name) => {
            live.remove_partner(name, &kafka::check).ok_or(NotChanged::NoPartner)?
        }
        Change::Set(values) => live.change(values, &kafka::check),
        Change::Reload => live.reload(&kafka::check),
        Change::Renew => live.renew(&kafka::check),
        Change::Remove(key) => live.remove(key, &kafka::check).map_err(not_removed)?,
    };
    let next = next.map_err(|faults| NotChanged::Faults(faults.0.into_iter().map(fault).collect()))?;
    Ok((next, created))
}

fn not_removed(why: NotRemoved) -> NotChanged {
    match why {
        NotRemoved::NoKey => NotChanged::NoKey,
        NotRemoved::NotSet => NotChanged::NotSet,
    }
}

fn fault(fault: config::Fault) -> Fault {
    let config::Fault { origin, key, value, expected, nearest } = fault;
    Fault { key, value, place: origin.to_string(), expected, nearest }
}
