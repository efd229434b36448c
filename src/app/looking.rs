//! The brokers: named, or looked for, and by which of both may change; and what those who ask are told of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tracing::error;

use super::parts::Notices;
use crate::config::Config;
use crate::control::{DiscoveryStatus, Part};
use crate::dcos::client::NoTls;
use crate::dcos::discovery::{self, Discovery, Handle, Kept, LIMITS, Metrics, Timing, Watch};
use crate::dcos::{Authority, Client};
use crate::output::kafka::{Brokers, Known, List};
use crate::telemetry::problems::Kind;
use crate::telemetry::{chain, unix_seconds};

/// Where the brokers are known from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// The operator names them.
    Named(Arc<[String]>),
    /// They are those of a framework, asked for again and again.
    Looked(Box<discovery::Config>, Duration),
}

impl Wanted {
    /// None without Kafka.
    pub(super) fn of(config: &Config) -> Option<Wanted> {
        let kafka = config.kafka.as_ref()?;
        Some(match &config.discovery {
            Some(of) => Wanted::Looked(Box::new(of.clone()), config.discovery_period),
            None => Wanted::Named(kafka.brokers.clone().into()),
        })
    }
}

/// The task that knows the brokers.
///
/// Where others are wanted, those of before stay in use until the first of them are found. Where the same are looked for in
/// another way, they stay known.
pub(super) struct Look {
    wanted: watch::Receiver<Wanted>,
    authority: Authority,
    /// Made when somebody first looks: it has all authorities of the system in memory.
    client: OnceLock<Client>,
    data_dir: Option<PathBuf>,
    known: watch::Sender<List>,
    /// Rung when no broker can be reached.
    alarm: Arc<Notify>,
    asked: watch::Sender<Option<Handle>>,
    timing: watch::Sender<Timing>,
    notices: Notices,
    /// Registered while somebody looks.
    metrics: Mutex<Option<Metrics>>,
}

impl Look {
    pub(super) fn new(
        wanted: watch::Receiver<Wanted>,
        data_dir: Option<&Path>,
        authority: &Authority,
        notices: &Notices,
    ) -> Result<Look, NoTls> {
        let (known, period) = match &*wanted.borrow() {
            // No period counts before somebody looks.
            Wanted::Named(list) => (Some(Known { list: list.clone(), looked: None }), Duration::MAX),
            Wanted::Looked(_, period) => (None, *period),
        };
        let look = Look {
            authority: authority.clone(),
            client: OnceLock::new(),
            data_dir: data_dir.map(Path::to_owned),
            known: watch::Sender::new(known),
            alarm: Arc::default(),
            asked: watch::Sender::new(None),
            timing: watch::Sender::new(Timing::every(period)),
            notices: notices.clone(),
            metrics: Mutex::default(),
            wanted,
        };
        if let Wanted::Looked(..) = &*look.wanted.borrow() {
            look.client()?;
        }
        Ok(look)
    }

    fn client(&self) -> Result<&Client, NoTls> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::for_cluster(LIMITS, &self.authority)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// For the output.
    pub(super) fn brokers(&self) -> Brokers {
        Brokers::found(self.known.subscribe(), self.alarm.clone())
    }

    /// For those who ask: whoever looks for brokers; none while they are named.
    pub(super) fn asked(&self) -> watch::Receiver<Option<Handle>> {
        self.asked.subscribe()
    }

    /// Runs until `stop` becomes true.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            if let Wanted::Looked(_, period) = &wanted {
                self.timing.send_replace(Timing::every(*period));
            }
            tokio::select! {
                () = self.provide(&wanted) => {}
                () = self.other_wanted(&wanted) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Returns when something else is wanted. Another period alone is handed on to who looks.
    async fn other_wanted(&self, than: &Wanted) {
        let mut wanted = self.wanted.clone();
        loop {
            if wanted.changed().await.is_err() {
                // Whoever could want anything else is gone.
                return std::future::pending().await;
            }
            match (&*wanted.borrow_and_update(), than) {
                (Wanted::Looked(of, period), Wanted::Looked(before, _)) if of == before => {
                    self.timing.send_replace(Timing::every(*period));
                }
                _ => return,
            }
        }
    }

    /// Has the brokers known; ends only by being dropped.
    async fn provide(&self, wanted: &Wanted) {
        let of = match wanted {
            Wanted::Named(list) => {
                self.asked.send_replace(None);
                // Nobody looks any more.
                self.notices.problems.over(Kind::Discovery);
                self.forget_metrics();
                self.publish(&Known { list: list.clone(), looked: None });
                return std::future::pending().await;
            }
            Wanted::Looked(of, _) => of,
        };
        let client = match self.client() {
            Ok(client) => client.clone(),
            Err(error) => {
                error!("cannot look for brokers: {}", chain(&error));
                return std::future::pending().await;
            }
        };
        let discovery = Discovery::new((**of).clone(), client);
        let metrics = self.metrics().of(&of.framework).telling(&self.notices.problems);
        let mut watch = Watch::new(discovery, self.timing.subscribe(), self.data_dir.as_deref(), metrics);
        if let Some(before) = &*self.asked.borrow() {
            watch = watch.taking_over(before);
        }
        let handle = watch.handle();
        self.asked.send_replace(Some(handle.clone()));
        let (_stays, never) = watch::channel(false);
        tokio::join!(watch.run(never), self.hand_on(&handle));
    }

    fn metrics(&self) -> Metrics {
        let mut metrics = self.metrics.lock().expect("no code panics under this lock");
        let register = || Metrics::register(&self.notices.registry).expect("it is registered once");
        metrics.get_or_insert_with(register).clone()
    }

    fn forget_metrics(&self) {
        if let Some(metrics) = self.metrics.lock().expect("no code panics under this lock").take() {
            metrics.unregister(&self.notices.registry).expect("it is registered");
        }
    }

    /// Hands brokers to the output, and its alarms back.
    async fn hand_on(&self, handle: &Handle) {
        let (mut found, looked) = (handle.brokers(), handle.config());
        loop {
            tokio::select! {
                Ok(()) = found.changed() => {
                    if let Some(list) = found.borrow_and_update().clone() {
                        self.publish(&Known { list, looked: Some(looked.clone()) });
                    }
                }
                () = self.alarm.notified() => handle.alarm().notify_one(),
            }
        }
    }

    fn publish(&self, now: &Known) {
        self.known.send_if_modified(|known| {
            let is_other = known.as_ref() != Some(now);
            if is_other {
                *known = Some(now.clone());
            }
            is_other
        });
    }
}

/// Whether brokers are known.
pub(super) fn part(handle: &Handle) -> Part {
    let (ready, detail) = handle.status().sentence();
    Part { name: "discovery", ready, detail }
}

/// How it is.
pub(super) fn status(handle: &Handle) -> DiscoveryStatus {
    let status = handle.status();
    let (way, said) = match status.kept {
        Some(Kept::Answer { way, said }) => (Some(way.name()), Some(said)),
        Some(Kept::File) => (Some("file"), None),
        None => (None, None),
    };
    DiscoveryStatus {
        framework: status.framework.to_string(),
        brokers: handle.known().map_or_else(Vec::new, |brokers| brokers.to_vec()),
        way,
        said,
        since_seconds: status.since.map(unix_seconds),
        answered: status.answered,
        last_error: status.last_error.map(|(at, error)| (unix_seconds(at), error.to_string())),
        next_seconds: status.next.map(unix_seconds),
    }
}
