//! Which Kafka topic a record topic goes to, and what changes when the rule does.

use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};

use super::flow::HoldReason;
use super::queue::Queue;
use super::settings::Naming;
use super::task::Task;
use crate::record::TopicName;
use crate::spool::{AsideReason, Topic};
use crate::telemetry::problems::Kind;

/// Where a record topic's records go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route {
    To(usize),
    Aside(AsideReason),
}

impl Task {
    pub(super) fn topic_for(&mut self, source: &Topic, now: Instant) -> Result<TopicName, AsideReason> {
        let Naming { prefix, .. } = &self.config.naming;
        if source.is_all {
            let name = self.config.naming.of_all();
            return Ok(name.expect("it is set before the spool puts records there").clone());
        }
        let Some(topic) = &source.name else {
            // Once: all of them are one.
            warn!("records set aside: they have more topics than kafka-topics-max");
            self.metrics.problems.note(Kind::TopicLimit, "their names are not told apart any more");
            return Err(AsideReason::TopicLimit);
        };
        TopicName::with_prefix(prefix, topic).map_err(|error| {
            // Each is another topic, and a sender can make up as many as it likes.
            if let Some(suppressed) = self.log_budget.take("illegal topic", now) {
                let what = "records set aside: no Kafka topic can be called so";
                warn!(prefix, %topic, suppressed, "{what}: {error}");
            }
            self.metrics.problems.note(Kind::TopicIllegal, format_args!("{prefix}{topic}: {error}"));
            AsideReason::IllegalTopic
        })
    }

    pub(super) fn add_queue(&mut self, name: TopicName, source: &Arc<Topic>, now: Instant) -> usize {
        let topic = self.queues.len();
        self.board.topics.flows(source.id, &name);
        self.queues.push(Queue::new(name, source.clone(), now));
        self.metrics.topics.inc();
        if self.config.create_topics.is_some() {
            self.ask(topic, HoldReason::Creating);
        }
        topic
    }

    /// How many record topics have a Kafka topic of their own.
    pub(super) fn told_apart(&self) -> usize {
        self.queues.iter().filter(|queue| !queue.source.is_all).count()
    }

    /// Takes in what grows, so that a queue has been shown every frame that it has heard of.
    pub(super) fn take_in(&mut self, now: Instant) {
        for queue in &self.queues {
            self.reader.close(queue.source.id);
        }
        self.see(now);
    }

    /// Record topics go to other Kafka topics from now on, what waits included. Nothing is under way, and nothing grows.
    ///
    /// A topic that cannot be called so by the new rule sends what it has under its old name; what comes after is set
    /// aside.
    pub(super) fn rename(&mut self, now: Instant) {
        info!(naming = ?self.config.naming, "records go to other Kafka topics");
        self.routes.clear();
        for topic in 0..self.queues.len() {
            let source = self.queues[topic].source.clone();
            let route = match self.topic_for(&source, now) {
                Ok(name) => {
                    self.board.topics.flows(source.id, &name);
                    self.queues[topic].rename(name);
                    if self.config.create_topics.is_some() {
                        self.ask(topic, HoldReason::Creating);
                    }
                    Route::To(topic)
                }
                Err(reason) => Route::Aside(reason),
            };
            self.routes.insert(source.id, route);
            self.look_soon(topic);
        }
    }
}
