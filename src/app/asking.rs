//! The Mesos agent, asked while it is to be (`agent-polling`).

use std::sync::OnceLock;

use tokio::sync::watch;
use tracing::error;

use super::StartError;
use super::parts::Notices;
use crate::dcos::Authority;
use crate::dcos::agent::{Agent, Config, Metrics};
use crate::dcos::client::NoTls;
use crate::enrich::{Directory, Knowledge};
use crate::input;
use crate::telemetry::chain;

/// The task that has the agent asked, for names and for metrics.
pub(super) struct Asking {
    settings: watch::Receiver<Config>,
    authority: Authority,
    notices: Notices,
    knowledge: Knowledge,
    /// Made when it is asked first: its client has all authorities of the system in memory.
    agent: OnceLock<Agent>,
    asked: watch::Sender<Option<Agent>>,
}

impl Asking {
    /// Asks the agent of `settings`, and adds to `knowledge` what it says.
    pub(super) fn new(
        settings: watch::Receiver<Config>,
        authority: &Authority,
        knowledge: &Knowledge,
        notices: &Notices,
    ) -> Result<Asking, StartError> {
        let is_polled = settings.borrow().is_polled;
        let asking = Asking {
            settings,
            authority: authority.clone(),
            notices: notices.clone(),
            knowledge: knowledge.clone(),
            agent: OnceLock::new(),
            asked: watch::Sender::new(None),
        };
        if is_polled {
            let agent = asking.agent()?.clone();
            asking.asked.send_replace(Some(agent));
        }
        Ok(asking)
    }

    /// For those who ask how it is: the agent, while it is asked.
    pub(super) fn asked(&self) -> watch::Receiver<Option<Agent>> {
        self.asked.subscribe()
    }

    fn agent(&self) -> Result<&Agent, NoTls> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent);
        }
        let Notices { registry, problems } = &self.notices;
        let metrics = Metrics::register(registry).expect("it is registered once").telling(problems);
        let agent = Agent::new(self.settings.clone(), &self.authority, metrics)?;
        Ok(self.agent.get_or_init(|| agent))
    }

    /// Asks, and has the agent's metrics entered at `input`, until `stop` becomes true.
    pub(super) async fn run(self, input: input::Handle, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.ask(&input) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Ends only with the poller, which ends with the input.
    async fn ask(&self, input: &input::Handle) {
        let mut settings = self.settings.clone();
        loop {
            until(&mut settings, true).await;
            let agent = match self.agent() {
                Ok(agent) => agent.clone(),
                Err(error) => {
                    error!("cannot ask the Mesos agent: {}", chain(&error));
                    return std::future::pending().await;
                }
            };
            self.asked.send_replace(Some(agent.clone()));
            self.knowledge.hope();
            tokio::select! {
                () = input.poller(agent.clone()).run() => return,
                () = Directory::new(self.knowledge.clone(), agent.clone()).run() => {}
                () = until(&mut settings, false) => {}
            }
            self.asked.send_replace(None);
            self.knowledge.forget();
            agent.metrics().left();
        }
    }
}

/// Returns when the agent is to be asked, or is not.
async fn until(settings: &mut watch::Receiver<Config>, is_polled: bool) {
    if settings.wait_for(|config| config.is_polled == is_polled).await.is_err() {
        // Whoever could set anything else is gone.
        std::future::pending::<()>().await;
    }
}
