//! The brokers: named, or looked for, and by which of both may change; and what those who ask are told of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tracing::error;

use super::parts::Notices;
use crate::config::Config;
use crate::control::{DiscoveryStatus, Part};
use crate::dcos::client::NoTls;
use crate::dcos::discovery::{self, Discovery, Handle, Kept, LIMITS, Metrics, Timing, Watch};
use crate::dcos::{Authority, Client};
use crate::output::kafka::{Brokers, List};
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
/// Where others are wanted, those of before stay in use until the first of them are found.
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
    notices: Notices,
    /// Registered when somebody first looks.
    metrics: OnceLock<Metrics>,
}

impl Look {
    pub(super) fn new(
        wanted: watch::Receiver<Wanted>,
        data_dir: Option<&Path>,
        authority: &Authority,
        notices: &Notices,
    ) -> Result<Look, NoTls> {
        let known = match &*wanted.borrow() {
            Wanted::Named(list) => Some(list.clone()),
            Wanted::Looked(..) => None,
        };
        let look = Look {
            authority: authority.clone(),
            client: OnceLock::new(),
            data_dir: data_dir.map(Path::to_owned),
            known: watch::Sender::new(known),
            alarm: Arc::default(),
            asked: watch::Sender::new(None),
            notices: notices.clone(),
            metrics: OnceLock::new(),
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
            let mut other = self.wanted.clone();
            tokio::select! {
                () = self.provide(wanted) => {}
                Ok(()) = other.changed() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Has the brokers known; ends only by being dropped.
    async fn provide(&self, wanted: Wanted) {
        let (of, period) = match wanted {
            Wanted::Named(list) => {
                self.asked.send_replace(None);
                // Nobody looks any more.
                self.notices.problems.over(Kind::Discovery);
                self.publish(list);
                return std::future::pending().await;
            }
            Wanted::Looked(of, period) => (*of, period),
        };
        let register = || Metrics::register(&self.notices.registry).expect("it is registered once");
        let metrics = self.metrics.get_or_init(register).of(&of.framework).telling(&self.notices.problems);
        let client = match self.client() {
            Ok(client) => client.clone(),
            Err(error) => {
                error!("cannot look for brokers: {}", chain(&error));
                return std::future::pending().await;
            }
        };
        let discovery = Discovery::new(of, client);
        let watch = Watch::new(discovery, Timing::every(period), self.data_dir.as_deref(), metrics);
        let handle = watch.handle();
        self.asked.send_replace(Some(handle.clone()));
        let (_stays, never) = watch::channel(false);
        tokio::join!(watch.run(never), self.hand_on(&handle));
    }

    /// Hands brokers to the output, and its alarms back.
    async fn hand_on(&self, handle: &Handle) {
        let mut found = handle.brokers();
        loop {
            let list = found.borrow_and_update().clone();
            if let Some(list) = list {
                self.publish(list);
            }
            tokio::select! {
                Ok(()) = found.changed() => {}
                () = self.alarm.notified() => handle.alarm().notify_one(),
            }
        }
    }

    fn publish(&self, list: Arc<[String]>) {
        self.known.send_if_modified(|known| {
            let is_other = known.as_deref() != Some(&*list);
            if is_other {
                *known = Some(list);
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
