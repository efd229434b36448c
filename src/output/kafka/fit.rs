//! Before a producer is made: the brokers are asked what they can do, in the background, until one has answered, and the
//! producer is made to fit. A new producer is a new question, so that brokers that were upgraded or moved are noticed.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use tracing::{info, warn};

use super::abilities::{Abilities, Lack};
use super::asking::Told;
use super::probe::{self, Found, NoAnswer, Patience};
use super::task::{Replacing, Task};
use super::tls::TlsProperties;
use crate::control::BrokerStatus;
use crate::telemetry::problems::Kind;

/// Pause before brokers that did not answer are asked again; twice as long each time, up to the second.
pub(super) const ASK_PAUSE: Duration = Duration::from_millis(100);
const ASK_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Whence it is known what the brokers can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// One of them said so.
    Broker,
    /// The operator said so.
    Pinned,
    /// Nobody did.
    Assumed,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Source::Broker => "broker",
            Source::Pinned => "kafka-broker-version",
            Source::Assumed => "assumed",
        }
    }
}

/// What the producer is made for.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub(super) abilities: Abilities,
    /// What it does without.
    lacks: Vec<Lack>,
    /// Before brokers that did not answer are asked again.
    pause: Duration,
    /// Counts the questions: an answer to any but the last is about brokers that are not ours any more.
    questions: u64,
}

impl Default for Fit {
    fn default() -> Fit {
        Fit { abilities: Abilities::CURRENT, lacks: Vec::new(), pause: ASK_PAUSE, questions: 0 }
    }
}

impl Task {
    /// Makes a producer, at once where the operator has said what the brokers are, else when one has answered.
    pub(super) fn connect(&mut self, now: Instant) {
        self.settle_settings(now);
        if self.config.brokers.is_empty() {
            // They are those of before, and others are looked for with these settings.
            return;
        }
        if let Some(abilities) = self.config.broker_version {
            self.fit_to(abilities, Source::Pinned);
            self.make(now);
            return;
        }
        self.replacing = Replacing::Asking;
        self.fit.questions += 1;
        let question = self.fit.questions;
        let (brokers, tls) = (self.config.brokers.clone(), TlsProperties::of(&self.config));
        let tell = self.tell.clone();
        tokio::task::spawn_blocking(move || {
            let answer = probe::ask(&brokers, tls.as_ref(), Patience::default());
            // The task has ended: nobody wants to know.
            _ = tell.blocking_send(Told::Asked(question, answer));
        });
    }

    /// A broker has said what it can do, or none did.
    pub(super) fn hear_of_brokers(&mut self, question: u64, answer: Result<Found, NoAnswer>, now: Instant) {
        if self.replacing != Replacing::Asking || question != self.fit.questions {
            return;
        }
        match answer {
            Ok(Found { broker, abilities, doubt }) => {
                self.fit.pause = ASK_PAUSE;
                let source = if doubt.is_none() { Source::Broker } else { Source::Assumed };
                if let Some(doubt) = doubt
                    && let Some(suppressed) = self.log_budget.take("doubt", now)
                {
                    info!(
                        broker,
                        suppressed, "cannot ask what it can do, taken for a Kafka of today: {doubt}"
                    );
                }
                self.fit_to(abilities, source);
                self.make(now);
            }
            Err(no_answer) => {
                let cause = no_answer.to_string();
                self.metrics.problems.note(Kind::KafkaUnreachable, &cause);
                self.board.set_cause(&cause, false);
                self.set_down();
                self.brokers.lost();
                self.note_error(Code::AllBrokersDown, &cause);
                self.replacing = Replacing::At(now + self.fit.pause);
                self.fit.pause = (2 * self.fit.pause).min(ASK_PAUSE_MAX);
            }
        }
    }

    /// Notes what the next producer is made for, and says what is news of what it does without.
    fn fit_to(&mut self, abilities: Abilities, source: Source) {
        let lacks = abilities.lacks(&self.config);
        let version = abilities.version;
        for lack in lacks.iter().filter(|lack| !self.fit.lacks.contains(lack)) {
            warn!(version, known_by = source.name(), "Kafka {}", lack.meaning());
        }
        for lack in self.fit.lacks.iter().filter(|lack| !lacks.contains(lack)) {
            info!(version, known_by = source.name(), "Kafka is newer than it was: {} is on", lack.name());
        }
        let off = lacks.iter().map(|lack| lack.name()).collect();
        self.board.set_broker(BrokerStatus { version, known_by: source.name(), off });
        (self.fit.abilities, self.fit.lacks) = (abilities, lacks);
    }
}
