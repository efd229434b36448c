//! The agent's own metrics, polled: of the agent (`/metrics/snapshot`) and of each container (`/containers`).
//!
//! # What it promises
//! * Every `agent-poll-period` both are asked for, one after the other, each with a deadline of its own. What fails is
//!   named, counted and asked for again at the next period; nothing else waits for it.
//! * The agent's metrics are one record: topic `agent-metrics-topic`, names `dcos.metrics.agent.` and the key with `/` as
//!   `.`, the time that of the answer. A container's are one record: topic its framework's id, tags `container_id`,
//!   `executor_id`, `framework_id` in this order, names `dcos.metrics.container.` and the key, the time its
//!   `statistics.timestamp`, or that of the answer where it has none. What is nested is flattened, see `flatten`.
//! * A container inside of another is one record too, where the agent says what it uses: that comes with the names, when
//!   [`Directory`](crate::enrich::Directory) asks for them. It has its parent's id as `parent_container_id` besides.
//! * A bad field costs itself, a bad container itself. Records are accepted as the answer comes, so of one that breaks off
//!   the containers before count.
//! * They go the way of all records: limits, added tags, and a short wait for a container that nobody has named yet.
//!
//! # When the spool is full
//! A poll waits for room until its deadline, and then leaves the rest of the answer; the next one is as good.

mod containers;
mod flatten;
mod system;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::listener::{Shared, drained};
use crate::control::{AgentStatus, AskedStatus, Part};
use crate::dcos::agent::{Agent, Attempts, Failure, Outcome, Skipped, What};
use crate::dcos::cut::{Cutter, Sink};
use crate::enrich::Enricher;
use crate::ocf::encode::encode_record;
use crate::record::MetricList;
use crate::spool::Weight;
use crate::telemetry::{chain, unix_ms, unix_seconds};
use containers::Containers;
use system::System;

/// Nested containers whose records are made and accepted together: they may be large.
const USAGES_AT_ONCE: usize = 16;

/// What an answer is made of while it comes.
trait Records: Sink {
    /// Records since the last call.
    fn records(&mut self) -> Vec<MetricList>;
    /// What was passed over since the last call.
    fn skipped(&mut self) -> Vec<(Skipped, u64)>;
    /// Whether the answer was of the shape that it should have.
    fn is_sound(&self) -> bool;
}

/// Polls the agent.
pub struct Poller {
    agent: Agent,
    shared: Arc<Shared>,
}

impl Poller {
    pub(super) fn new(agent: Agent, shared: Arc<Shared>) -> Poller {
        Poller { agent, shared }
    }

    /// Polls until the drain signal.
    pub async fn run(self) {
        let mut drain = self.shared.drain.clone();
        let mut settings = self.agent.settings();
        let polls = async {
            loop {
                let began = Instant::now();
                self.poll().await;
                loop {
                    tokio::select! {
                        () = tokio::time::sleep_until(began + self.agent.period()) => break,
                        Ok(()) = settings.changed() => {}
                    }
                }
            }
        };
        tokio::select! {
            () = drained(&mut drain) => {}
            () = polls => {}
        }
    }

    async fn poll(&self) {
        let system = self.read(What::System, System::new(self.agent.topic().into(), now_ms())).await;
        self.note(What::System, system);
        let containers = self.read(What::Containers, Containers::new(now_ms())).await;
        self.note(What::Containers, containers);
        for usages in self.agent.take_usages().chunks(USAGES_AT_ONCE) {
            let (records, skipped) = containers::nested(usages, now_ms());
            if self.enter(&records, skipped).await.is_err() {
                // Without room in the spool the rest is left out, as that of any poll.
                return;
            }
        }
    }

    fn note(&self, what: What, ended: Result<(), Failure>) {
        self.agent.note(what, ended.map_err(|failure| (failure.outcome(), chain(&failure))));
    }

    async fn read(&self, what: What, mut records: impl Records) -> Result<(), Failure> {
        let mut answer = self.agent.open(what).await?;
        let mut cutter = Cutter::default();
        while let Some(chunk) = answer.chunk().await? {
            let cut = cutter.push(&chunk, &mut records);
            self.accept(&mut records).await?;
            cut.map_err(|source| Failure::NotJson(what, source))?;
        }
        let cut = cutter.finish(&mut records);
        self.accept(&mut records).await?;
        cut.map_err(|source| Failure::NotJson(what, source))?;
        if records.is_sound() { Ok(()) } else { Err(Failure::Strange(what)) }
    }

    /// Has accepted what there is by now.
    async fn accept(&self, records: &mut impl Records) -> Result<(), Failure> {
        let skipped = records.skipped();
        self.enter(&records.records(), skipped).await
    }

    /// Has accepted these, and counts what was passed over.
    async fn enter(&self, records: &[MetricList], skipped: Vec<(Skipped, u64)>) -> Result<(), Failure> {
        for (reason, things) in skipped {
            self.agent.metrics().skip(reason, things);
        }
        if records.is_empty() {
            return Ok(());
        }
        let rules = &self.shared.rules;
        let room = tokio::time::timeout(self.agent.patience(), rules.spool.admit(Weight::Light));
        room.await.map_err(|_| Failure::NoRoom)?;
        let mut body = Vec::new();
        for record in records {
            encode_record(record, &mut body);
        }
        let (tally, entered) =
            rules.accept(&rules.terms(), unix_ms(), |entry| entry.native(&body, records.len() as u64));
        if entered.is_ok() {
            let values = records.iter().map(|record| record.datapoints.len()).sum();
            self.agent.metrics().made(records.len(), values);
            self.shared.metrics.count(&tally, 0);
        } else {
            self.agent.metrics().skip(Skipped::TooMany, records.len() as u64);
        }
        Ok(())
    }
}

/// What readiness says of the agent. `enricher` is what it was asked for.
#[must_use]
pub fn part(agent: &Agent, enricher: &Enricher) -> Part {
    let health = agent.health();
    let needed = What::ALL.into_iter().filter(|what| *what != What::Nested);
    let failed = needed.into_iter().find_map(|what| health.of(what).failed());
    let ready = failed.is_none() && health.of(What::State).last.is_some();
    let address = agent.address().unwrap_or_else(|| "the files for tests".to_owned());
    let detail = match failed {
        Some(why) => format!("{why}; tags and metrics of this agent are missing until it answers"),
        None if !ready => "asking the Mesos agent for the first time".to_owned(),
        None => {
            let snapshot = enricher.view().snapshot;
            let id = snapshot.agent_id().map_or("none", |id| id);
            format!("{address} answers: agent id {id}, {} containers known", snapshot.containers())
        }
    };
    Part { name: "agent", ready, detail }
}

/// What the agent is asked, and what came of it. `enricher` is what it was asked for.
#[must_use]
pub fn status(agent: &Agent, enricher: &Enricher) -> AgentStatus {
    let (health, snapshot, now) = (agent.health(), enricher.view().snapshot, SystemTime::now());
    let asked = |what: What| {
        let Attempts { answered, last } = health.of(what);
        AskedStatus {
            what: what.name(),
            route: what.route(),
            result: last
                .as_ref()
                .map(|ended| ended.as_ref().err().map_or(Outcome::Ok, |(why, _)| *why).name()),
            error: health.of(what).failed().map(str::to_owned),
            answered_seconds: answered.map(unix_seconds),
            age_seconds: answered.map(|at| now.duration_since(at).unwrap_or_default().as_secs()),
        }
    };
    AgentStatus {
        address: agent.address(),
        found_by: agent.found_by(),
        agent_id: snapshot.agent_id().map(ToString::to_string),
        containers: snapshot.containers(),
        frameworks: snapshot.frameworks(),
        asked: What::ALL.map(asked).into(),
    }
}

fn now_ms() -> i64 {
    unix_ms().cast_signed()
}
