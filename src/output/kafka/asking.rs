//! What is asked of the cluster beside messages, by helpers in the background: whether it is there, what is the matter
//! with topics, and to create them. There is one question and one order at a time, however many topics there are; the
//! answers come through a channel, and nothing waits for them.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tracing::{info, warn};

use super::admin::{self, Created};
use super::probe::{Found, NoAnswer};
use super::queue::{Flow, HoldReason};
use super::state::Link;
use super::task::Task;

/// While the cluster is not reached, how often it is asked for, and how long an answer may take.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
const PROBE_TIME_OUT: Duration = Duration::from_secs(5);

/// What is asked at present.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// Whether the cluster is being asked.
    pub(super) probing: bool,
    /// Whether topics are being created, and which are next.
    creating: bool,
    to_create: Vec<usize>,
}

/// What helpers in the background tell the task.
#[derive(Debug)]
pub(super) enum Told {
    /// A broker said what it can do, or none did. Answers the question of this number.
    Asked(u64, Result<Found, NoAnswer>),
    /// The cluster answered this producer, or did not.
    Probed(u64, Result<(), RDKafkaErrorCode>),
    /// Topics were created, or could not be.
    Created(Vec<Created>),
}

impl Task {
    /// Asks for a topic that does not take messages, or creates it.
    pub(super) fn ask(&mut self, topic: usize, reason: HoldReason) {
        self.queues[topic].flow = Flow::Asking(reason);
        if self.config.create_topics.is_some() && reason != HoldReason::NotAuthorized {
            self.asking.to_create.push(topic);
            self.create();
        } else {
            self.probe();
        }
    }

    /// Creates the topics that are next, unless others are being created.
    fn create(&mut self) {
        let Some(shape) = self.config.create_topics else { return };
        if self.asking.creating || self.asking.to_create.is_empty() {
            return;
        }
        self.asking.creating = true;
        let topics = std::mem::take(&mut self.asking.to_create);
        let topics = topics.into_iter().map(|topic| (topic, self.queues[topic].name.clone())).collect();
        let tell = self.tell.clone();
        admin::create(&self.config, &self.fit.abilities, topics, shape, move |created| {
            // The task has ended: nobody needs the topics any more.
            _ = tell.blocking_send(Told::Created(created));
        });
    }

    /// Asks the cluster for the topics in use, unless that is being done.
    pub(super) fn probe(&mut self) {
        self.next_probe = None;
        let Some(link) = self.link.clone() else { return };
        if std::mem::replace(&mut self.asking.probing, true) {
            return;
        }
        let generation = self.generation;
        let of_topics = !self.fit.abilities.cluster_id || self.queues.iter().any(|queue| queue.sent_before);
        let tell = self.tell.clone();
        tokio::task::spawn_blocking(move || {
            let result = link.probe(of_topics, PROBE_TIME_OUT);
            drop(link);
            // The task has ended: nobody wants to know.
            _ = tell.blocking_send(Told::Probed(generation, result));
        });
    }

    pub(super) fn hear(&mut self, told: Told) {
        match told {
            Told::Asked(question, answer) => self.hear_of_brokers(question, answer, Instant::now()),
            Told::Probed(generation, result) => {
                self.asking.probing = false;
                match result {
                    // What another producer was told says nothing about this one.
                    _ if generation != self.generation => self.next_probe = Some(Instant::now()),
                    Ok(()) => self.set_up(),
                    Err(_) if self.board.link() != Link::Up => {
                        self.next_probe = Some(Instant::now() + PROBE_PAUSE);
                    }
                    Err(_) => {}
                }
                // Whatever the answer is, librdkafka knows it now, and the next message will tell.
                for topic in 0..self.queues.len() {
                    if !self.is_created(topic) {
                        self.go_on(topic);
                    }
                }
            }
            Told::Created(created) => {
                self.asking.creating = false;
                for Created { topic, result } in created {
                    let name = &self.queues[topic].name;
                    match result {
                        Ok(()) => info!(topic = %name, "created the Kafka topic"),
                        Err(Some(RDKafkaErrorCode::TopicAlreadyExists)) => {}
                        // It may be there all the same, made by somebody else: the next message will tell.
                        Err(code) => {
                            if let Some(suppressed) = self.log_budget.take("create", Instant::now()) {
                                let error =
                                    code.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
                                warn!(topic = %name, suppressed, "cannot create the Kafka topic: {error}");
                            }
                        }
                    }
                    self.go_on(topic);
                }
                self.create();
            }
        }
    }

    /// Whether asking for this topic means creating it.
    fn is_created(&self, topic: usize) -> bool {
        self.config.create_topics.is_some()
            && self.queues[topic].flow != Flow::Asking(HoldReason::NotAuthorized)
    }

    fn go_on(&mut self, topic: usize) {
        let queue = &mut self.queues[topic];
        if let Flow::Asking(_) = queue.flow {
            queue.flow = Flow::Flowing;
            self.look_soon(topic);
        }
    }
}
