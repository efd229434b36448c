//! The task that asks the agent who its containers are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::book::Book;
use super::snapshot::Snapshot;
use super::{Config, Enricher, View};
use crate::dcos::agent::{Agent, Failure, NestedContainers, NestedSink, Skipped, StateSink, What};
use crate::telemetry::chain;

/// Between two times that the agent is asked, at least.
pub const REFRESH_PAUSE: Duration = Duration::from_secs(5);

/// An agent that does not speak the operator API is asked for it again at every so-manieth refresh.
const NESTED_AGAIN: u32 = 20;

/// The task's state.
#[derive(Debug)]
pub struct Directory {
    config: Config,
    agent: Agent,
    book: Book,
    publish: watch::Sender<View>,
    agent_id: watch::Sender<Option<Arc<str>>>,
    ask: Arc<Notify>,
    /// Refreshes until nested containers are asked for.
    nested_in: u32,
}

impl Directory {
    /// A directory of `agent`; what reads from it; and the agent's id, once known.
    #[must_use]
    pub fn new(config: Config, agent: Agent) -> (Directory, Enricher, watch::Receiver<Option<Arc<str>>>) {
        let (publish, enricher) = Enricher::published(&config, true);
        let (agent_id, id) = watch::channel(config.agent_id.as_deref().map(Arc::from));
        let ask = enricher.ask.clone();
        let directory =
            Directory { config, agent, book: Book::default(), publish, agent_id, ask, nested_in: 0 };
        (directory, enricher, id)
    }

    /// Asks again and again; never ends.
    pub async fn run(mut self) {
        let mut settings = self.agent.settings();
        loop {
            let began = tokio::time::Instant::now();
            self.refresh().await;
            loop {
                let period = self.agent.period().max(REFRESH_PAUSE);
                tokio::select! {
                    () = tokio::time::sleep_until(began + period) => break,
                    () = self.ask.notified() => {
                        tokio::time::sleep_until(began + REFRESH_PAUSE).await;
                        break;
                    }
                    Ok(()) = settings.changed() => {}
                }
            }
        }
    }

    /// Asks once, and publishes.
    pub(super) async fn refresh(&mut self) {
        let began = Instant::now();
        let state = self.state().await;
        let answered = state.is_ok();
        self.agent.note(What::State, state.map_err(|failure| (failure.outcome(), chain(&failure))));
        if answered {
            self.nested().await;
        }
        self.agent.metrics().know(self.book.containers.len());
        let snapshot = Arc::new(Snapshot::new(&self.config, &self.book));
        self.agent_id.send_if_modified(|known| {
            let is_new = *known != snapshot.agent_id().cloned();
            *known = snapshot.agent_id().cloned();
            is_new
        });
        // With nobody listening there is nobody to tell.
        _ = self.publish.send(View { snapshot, asked: Some(began), hope: answered });
    }

    async fn state(&mut self) -> Result<(), Failure> {
        let mut sink = StateSink::default();
        let asked = self.agent.ask(What::State, &mut sink).await;
        let state = sink.finish();
        let nothing = state.is_none();
        if let Some(state) = state {
            self.agent.metrics().skip(Skipped::Odd, state.odd);
            self.agent.metrics().skip(Skipped::TooMany, state.too_many);
            self.book.take(state, Instant::now(), self.config.remember);
        }
        asked?;
        if nothing { Err(Failure::Strange(What::State)) } else { Ok(()) }
    }

    async fn nested(&mut self) {
        if self.nested_in > 0 {
            self.nested_in -= 1;
            return;
        }
        let mut sink = NestedSink::default();
        let asked = self.agent.ask(What::Nested, &mut sink).await;
        let NestedContainers { nested, usages, too_many } = sink.finish();
        self.agent.metrics().skip(Skipped::TooMany, too_many);
        self.book.take_nested(&nested, Instant::now());
        self.agent.leave_usages(usages);
        if asked.is_err() {
            self.nested_in = NESTED_AGAIN;
        }
        self.agent.note(What::Nested, asked.map_err(|failure| (failure.outcome(), chain(&failure))));
    }
}
