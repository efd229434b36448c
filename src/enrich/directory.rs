//! The task that asks the agent who its containers are.

use std::time::{Duration, Instant};

use super::knowledge::Knowledge;
use crate::dcos::agent::{Agent, Failure, NestedContainers, NestedSink, Skipped, StateSink, What};
use crate::telemetry::chain;

/// Between two times that the agent is asked, at least.
pub const REFRESH_PAUSE: Duration = Duration::from_secs(5);

/// An agent that answers and does not speak the operator API is asked for it again at every so-manieth refresh.
const NESTED_AGAIN: u32 = 20;

/// The task's state.
#[derive(Debug)]
pub struct Directory {
    knowledge: Knowledge,
    agent: Agent,
    /// Refreshes until nested containers are asked for.
    nested_in: u32,
}

impl Directory {
    /// A directory of `agent`, which adds to `knowledge`.
    #[must_use]
    pub fn new(knowledge: Knowledge, agent: Agent) -> Directory {
        Directory { knowledge, agent, nested_in: 0 }
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
                    () = self.knowledge.asked() => {
                        tokio::time::sleep_until(began + REFRESH_PAUSE).await;
                        break;
                    }
                    Ok(()) = settings.changed() => {}
                }
            }
        }
    }

    /// Asks once, and publishes what is said as it comes.
    pub(super) async fn refresh(&mut self) {
        let began = Instant::now();
        let state = self.state().await;
        let answered = state.is_ok();
        self.agent.note(What::State, state.map_err(|failure| (failure.outcome(), chain(&failure))));
        if answered {
            self.nested().await;
        }
        let containers = self.knowledge.learned(began, answered);
        self.agent.metrics().know(containers);
    }

    async fn state(&mut self) -> Result<(), Failure> {
        let mut sink = StateSink::default();
        let asked = self.agent.ask(What::State, &mut sink).await;
        let state = sink.finish();
        let nothing = state.is_none();
        if let Some(state) = state {
            self.agent.metrics().skip(Skipped::Odd, state.odd);
            self.agent.metrics().skip(Skipped::TooMany, state.too_many);
            self.knowledge.take(state, Instant::now());
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
        self.knowledge.take_nested(&nested, Instant::now());
        self.agent.leave_usages(usages);
        if let Err(failure) = &asked
            && !failure.outcome().is_silence()
        {
            self.nested_in = NESTED_AGAIN;
        }
        self.agent.note(What::Nested, asked.map_err(|failure| (failure.outcome(), chain(&failure))));
    }
}
