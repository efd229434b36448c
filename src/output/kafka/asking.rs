//! What is asked of the cluster beside messages, by helpers in the background: whether it is there, what is the matter
//! with topics, and to create them. There is one question and one order at a time, however many topics there are; the
//! answers come through a channel, and nothing waits for them.
//!
//! # A producer that has lost its way
//! A broker that has just started may answer a question for topics with a list of no brokers. librdkafka (2.10 to 2.13 at
//! least) forgets all brokers over that, the bootstrap brokers included, and never connects again. So where the cluster
//! does not answer the producer, a broker is asked directly; if that answers, and the cluster still does not answer the
//! producer, a new producer takes the place of one that had been answered before. The question is put while the cluster
//! is not reached, and when nothing of what is under way has been acknowledged for a while.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use tracing::{info, warn};

use super::admin::{self, Created};
use super::flow::{Flow, HoldReason};
use super::lend::Wired;
use super::probe::{self, Found, NoAnswer, Patience};
use super::producer::Context;
use super::state::Link;
use super::task::{Replacing, Task};
use super::tls::TlsProperties;

/// While the cluster is not reached, how often it is asked for, and how long an answer may take.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
const PROBE_TIME_OUT: Duration = Duration::from_secs(5);

/// How long a broker may take that is asked directly, because the producer gets no answer.
const DIRECTLY: Patience = Patience { connect: Duration::from_secs(1), answer: Duration::from_secs(1) };

/// How long the answer to the producer may take then: some times the pause after which librdkafka connects again.
const AGAIN_TIME_OUT: Duration = Duration::from_secs(4);

/// What is asked at present.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// Whether the cluster is being asked.
    pub(super) probing: bool,
    /// Whether it has ever answered the producer there is.
    pub(super) answered: bool,
    /// Whether topics are being created, and which are next.
    creating: bool,
    to_create: Vec<usize>,
}

/// What helpers in the background tell the task.
#[derive(Debug)]
pub(super) enum Told {
    /// A broker said what it can do, or none did. Answers the question of this number.
    Asked(u64, Result<Found, NoAnswer>),
    /// Whether the cluster answered this producer.
    Probed(u64, Probed),
    /// Topics were created, or could not be.
    Created(Vec<Created>),
}

/// What came of asking the cluster through a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probed {
    Answered,
    Silent,
    /// It was silent, before and after a broker answered that was asked directly.
    Lost,
}

impl Probed {
    /// Asks. Blocks.
    fn ask(
        link: &Wired<Context>,
        of_topics: bool,
        brokers: &[String],
        tls: Option<&TlsProperties>,
    ) -> Probed {
        if link.probe(of_topics, PROBE_TIME_OUT).is_ok() {
            return Probed::Answered;
        }
        let directly = probe::ask(brokers, tls, DIRECTLY);
        if !directly.is_ok_and(|found| found.doubt.is_none()) {
            return Probed::Silent;
        }
        // The broker may be there only since a moment ago.
        match link.probe(of_topics, AGAIN_TIME_OUT) {
            Ok(()) => Probed::Answered,
            Err(_) => Probed::Lost,
        }
    }
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
        let Some(shape) = self.config.create_topics else {
            // They were to be, and are not any more: the next message of each will tell what there is.
            for topic in std::mem::take(&mut self.asking.to_create) {
                self.go_on(topic);
            }
            return;
        };
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
        let (brokers, tls) = (self.config.brokers.clone(), TlsProperties::of(&self.config));
        let tell = self.tell.clone();
        tokio::task::spawn_blocking(move || {
            let probed = Probed::ask(&link, of_topics, &brokers, tls.as_ref());
            drop(link);
            // The task has ended: nobody wants to know.
            _ = tell.blocking_send(Told::Probed(generation, probed));
        });
    }

    /// Has the cluster asked because nothing of what is under way is acknowledged.
    pub(super) fn probe_stuck(&mut self, now: Instant) {
        if !self.asking.probing {
            self.next_probe.get_or_insert(now + PROBE_PAUSE);
        }
    }

    pub(super) fn hear(&mut self, told: Told) {
        match told {
            Told::Asked(question, answer) => self.hear_of_brokers(question, answer, Instant::now()),
            Told::Probed(generation, result) => {
                self.asking.probing = false;
                match result {
                    // What another producer was told says nothing about this one.
                    _ if generation != self.generation => self.next_probe = Some(Instant::now()),
                    Probed::Answered => self.set_up(),
                    Probed::Lost if self.asking.answered && self.replacing == Replacing::No => {
                        self.give_up_lost();
                    }
                    _ if self.board.link() != Link::Up => {
                        self.next_probe = Some(Instant::now() + PROBE_PAUSE);
                    }
                    Probed::Silent | Probed::Lost => {}
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
