//! From the right: acknowledgements, failures and errors, and what is done about each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::{Producer, PurgeConfig};
use tracing::{error, info, warn};

use super::batch::{Batch, Size};
use super::brokers::are_same;
use super::errors::{Answer, Trouble, answer, trouble};
use super::flow::HoldReason;
use super::lend::Wired;
use super::notes::NOTES_PAUSE;
use super::producer::{Context, Delivery};
use super::settings::MESSAGE_BYTES_MAX;
use super::state::Link;
use super::task::{REPLACE_PAUSE, REPLACE_PAUSE_MAX, Replacing, Task};
use crate::record::TopicName;
use crate::spool::{AsideReason, LossReason, Outcome, Returned};
use crate::telemetry::problems::Kind;
use crate::telemetry::unix_ms;

/// How long topics are left alone: one that does not exist, one that may not be written, one whose message failed.
const UNKNOWN_TOPIC_PAUSE: Duration = Duration::from_secs(5);
const NOT_AUTHORIZED_PAUSE: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long a producer that gives way to another may take to have acknowledged what is under way.
pub(super) const FLUSH_TIME: Duration = Duration::from_secs(2);

/// How long a purged producer may take to give everything back, at the end of the process.
const PURGE_TIME: Duration = Duration::from_secs(2);

impl Task {
    /// Takes in what librdkafka has for us.
    pub(super) fn serve(&mut self, now: Instant) {
        let Some(link) = self.link.clone() else { return };
        link.serve();
        let context = link.producer().context().clone();
        // Errors first: they say why what comes back does.
        for (code, reason) in context.errors() {
            self.troubled(code, &reason);
        }
        let deliveries = context.deliveries();
        let came_back = !deliveries.is_empty();
        for delivery in deliveries {
            self.returned(delivery, now);
        }
        if came_back {
            self.count_in_flight();
            self.look_at_starved();
        }
        if matches!(self.replacing, Replacing::Flushing(_)) && self.in_flight_messages == 0 {
            self.purge();
        }
        if self.replacing == Replacing::Returning && self.in_flight_messages == 0 {
            let pause = if self.failed { self.replace_pause } else { Duration::ZERO };
            self.replacing = Replacing::At(now + pause);
            self.link = None;
            self.metrics.producers_ended.inc();
            // Its end blocks.
            tokio::task::spawn_blocking(move || drop(link));
        }
    }

    fn returned(&mut self, delivery: Delivery, now: Instant) {
        let batch = &delivery.batch;
        let bytes = batch.value.as_bytes().len();
        let queue = &mut self.queues[batch.topic];
        queue.returned(batch.records, bytes);
        self.in_flight_messages -= 1;
        self.in_flight_bytes -= bytes;
        match delivery.result {
            Ok(()) => {
                queue.acknowledged(now);
                let now_ms = unix_ms();
                #[expect(clippy::cast_precision_loss, reason = "a latency")]
                let seconds = now_ms.saturating_sub(batch.accepted_ms) as f64 / 1e3;
                self.metrics.acknowledged(queue.name.as_str(), batch.records, bytes, seconds, now_ms);
                self.board.acknowledged(bytes);
                (self.failed, self.replace_pause) = (false, REPLACE_PAUSE);
                self.set_up();
                let batch = *delivery.batch;
                self.note_topic(batch.topic, |news| news.delivered += u64::from(batch.records));
                batch.ticket.finish(Outcome::Delivered);
                self.reader.recycle(batch.value.into_parts().0);
            }
            Err(code) => self.failed(delivery, code, now),
        }
    }

    /// A message was not delivered, or not even taken.
    pub(super) fn failed(&mut self, delivery: Delivery, code: Code, now: Instant) {
        let batch = *delivery.batch;
        let topic = batch.topic;
        let answer = answer(code);
        self.metrics.failures.with_label_values(&[answer.name()]).inc();
        let queue = &mut self.queues[topic];
        let name = queue.name.clone();
        match answer {
            Answer::Resend => {
                queue.put_back(batch);
                self.metrics.problems.note(Kind::KafkaRetry, format_args!("{name}: {code}"));
                if let Some(suppressed) = self.log_budget.take(&format!("resend {code:?}"), now) {
                    warn!(topic = %name, suppressed, "Kafka: {code}; the message is sent again");
                }
                self.hold(topic, HoldReason::Retry);
            }
            Answer::HoldTopic => {
                self.lay_back(batch, now);
                self.hold(topic, HoldReason::UnknownTopic);
            }
            Answer::BlockTopic => {
                self.lay_back(batch, now);
                self.hold(topic, HoldReason::NotAuthorized);
            }
            // Several messages travel together. Only one that was alone was itself what the broker did not take.
            Answer::Smaller | Answer::Refused if !batch.alone || !queue.one_at_a_time => {
                queue.one_at_a_time = true;
                queue.put_back(batch);
            }
            Answer::Smaller => {
                let bytes = batch.value.as_bytes().len();
                if batch.records == 1 {
                    self.log_aside(&name, Kind::RecordTooLarge, "Kafka takes no message as large");
                    self.note_topic(topic, |news| news.set_aside += 1);
                    batch.ticket.finish(Outcome::SetAside(AsideReason::RecordTooLarge));
                } else {
                    queue.halve(bytes);
                    if let Some(suppressed) = self.log_budget.take(&format!("split {name}"), now) {
                        info!(topic = %name, bytes, suppressed, "Kafka takes no message as large; it is split");
                    }
                    let half = Size { records: batch.records.div_ceil(2), bytes: MESSAGE_BYTES_MAX };
                    for part in self.press.split(batch, half) {
                        self.queues[topic].put_back(part);
                    }
                }
            }
            Answer::Refused if batch.records == 1 => {
                self.log_aside(&name, Kind::RecordRefused, &format!("Kafka refuses it: {code}"));
                self.note_topic(topic, |news| news.set_aside += 1);
                batch.ticket.finish(Outcome::SetAside(AsideReason::Refused));
            }
            Answer::Refused => {
                let single = Size { records: 1, bytes: MESSAGE_BYTES_MAX };
                for part in self.press.split(batch, single) {
                    self.queues[topic].put_back(part);
                }
            }
            Answer::NewProducer => {
                queue.put_back(batch);
                if self.replacing == Replacing::No {
                    self.note_error(code, &code.to_string());
                    self.replace(&code.to_string());
                }
            }
        }
        // What went back into the spool is counted there.
        self.note_topic(topic, |_| {});
        self.look_soon(topic);
    }

    /// Puts a message of a topic that takes none back into the spool, where it can make room for others.
    fn lay_back(&mut self, batch: Batch, now: Instant) {
        let Batch { value, ticket, topic, first, seq, records, accepted_ms, .. } = batch;
        let queue = &mut self.queues[topic];
        let (mut buffer, body) = value.into_parts();
        buffer.truncate(body.end);
        let returned = Returned {
            topic: queue.source.clone(),
            seq,
            first,
            records,
            accepted_ms,
            buffer,
            start: body.start,
        };
        queue.push_back(self.reader.give_back(ticket, returned), now);
    }

    /// Says that a record was set aside, within a budget for its topic.
    pub(super) fn log_aside(&mut self, topic: &TopicName, kind: Kind, reason: &str) {
        self.metrics.problems.note(kind, format_args!("{topic}: {reason}"));
        if let Some(suppressed) = self.log_budget.take(&format!("aside {topic}"), Instant::now()) {
            warn!(%topic, suppressed, "a record is set aside: {reason}");
        }
    }

    /// Leaves a topic alone for a while.
    pub(super) fn hold(&mut self, topic: usize, reason: HoldReason) {
        let pause = match reason {
            HoldReason::UnknownTopic | HoldReason::Creating => UNKNOWN_TOPIC_PAUSE,
            HoldReason::NotAuthorized => NOT_AUTHORIZED_PAUSE,
            HoldReason::Retry => RETRY_PAUSE,
        };
        let now = Instant::now();
        self.note_soon(now, NOTES_PAUSE);
        let queue = &mut self.queues[topic];
        if queue.hold(reason, now + pause) {
            let topic = &queue.name;
            match reason {
                HoldReason::UnknownTopic => warn!(
                    %topic,
                    "Kafka does not have the topic (yet); its records wait, others flow; if it stays away create it, \
                     or see kafka-create-topics; Kafka takes no two names that differ only in . and _"
                ),
                HoldReason::NotAuthorized => {
                    warn!(%topic, "we may not write to the topic; its records wait, others flow; asking each minute");
                }
                HoldReason::Creating | HoldReason::Retry => {}
            }
        }
    }

    fn troubled(&mut self, code: Code, reason: &str) {
        self.note_error(code, reason);
        let trouble = trouble(code);
        if !matches!(trouble, Trouble::Passing | Trouble::Fatal) {
            self.metrics.connection_failures.inc();
        }
        match trouble {
            Trouble::Passing => {}
            Trouble::Broker => {
                self.metrics.problems.note(Kind::KafkaBroker, reason);
                self.board.set_cause(reason, false);
            }
            Trouble::Credentials | Trouble::Unreachable => {
                let kind = match trouble {
                    Trouble::Credentials => Kind::KafkaAccess,
                    _ => Kind::KafkaUnreachable,
                };
                self.board.set_cause(reason, code == Code::AllBrokersDown);
                self.metrics.problems.note(kind, self.board.cause().as_deref().unwrap_or(reason));
                self.set_down();
                self.brokers.lost();
                if !self.asking.probing {
                    self.next_probe.get_or_insert(Instant::now() + RETRY_PAUSE);
                }
            }
            Trouble::Fatal => {
                self.board.set_cause(reason, false);
                if self.replacing == Replacing::No {
                    self.replace(reason);
                }
            }
        }
    }

    pub(super) fn set_down(&mut self) {
        self.board.set_link(Link::Down);
        self.metrics.up.set(0);
    }

    /// Notes an error, and logs it within a budget for its kind: librdkafka says the same many times a second.
    pub(super) fn note_error(&mut self, code: Code, text: &str) {
        self.board.set_error(text.to_owned());
        if let Some(suppressed) = self.log_budget.take(&format!("{code:?}"), Instant::now()) {
            warn!(suppressed, "Kafka: {text}");
        }
    }

    /// Gives the producer up because it is of no more use: what it holds comes back and goes out by a new one.
    fn replace(&mut self, reason: &str) {
        self.metrics.problems.note(Kind::KafkaProducer, reason);
        if let Some(suppressed) = self.log_budget.take("replace", Instant::now()) {
            error!(suppressed, "the Kafka producer failed for good; a new one sends what it held: {reason}");
        }
        if self.failed {
            self.replace_pause = (2 * self.replace_pause).min(REPLACE_PAUSE_MAX);
        }
        self.failed = true;
        self.set_down();
        self.purge();
    }

    /// Gives up a producer that reaches nobody while brokers answer. What it holds goes out by a new one at once: that one
    /// is no worse.
    pub(super) fn give_up_lost(&mut self) {
        if let Some(suppressed) = self.log_budget.take("lost", Instant::now()) {
            warn!(
                suppressed,
                "librdkafka reaches no broker although one answers; a new producer takes its place"
            );
        }
        self.set_down();
        self.purge();
    }

    /// Takes back what the producer holds.
    pub(super) fn purge(&mut self) {
        let Some(link) = &self.link else { return };
        purge(link);
        self.replacing = Replacing::Returning;
        // Its deliveries wake us, and if there are none this does.
        self.wake.notify_one();
    }

    /// Other brokers are known: the producer is given up for one that begins with them. Where it is reached, what is
    /// under way has a moment to be acknowledged, so that nothing is sent twice.
    pub(super) fn take_brokers(&mut self, now: Instant) {
        // What they were looked for by is set before they are found.
        self.hear_settings(now);
        let looked = &self.next.as_ref().unwrap_or(&self.config).looked;
        if let Some(known) = self.brokers.now()
            && known.looked == *looked
            && self.are_others(&known.list)
        {
            self.give_way(true, now);
        }
    }

    /// Notes which brokers the next producer begins with. Says whether they are others than before.
    pub(super) fn are_others(&mut self, list: &[String]) -> bool {
        if are_same(list, &self.config.brokers) {
            return false;
        }
        let before = self.config.brokers.join(",");
        if list.is_empty() {
            info!(
                before,
                "no Kafka broker gets the new credentials before those are found that are looked for"
            );
        } else {
            info!(brokers = list.join(","), before, "taking other Kafka brokers");
        }
        self.config.brokers = list.to_vec();
        self.board.set_brokers(self.config.brokers.clone());
        true
    }

    /// The end: what is left is given up and named.
    pub(super) async fn end(mut self) -> Vec<(TopicName, u64)> {
        // What came with the end is named like the rest. No topic is made for it.
        self.config.create_topics = None;
        self.see(Instant::now());
        if let Some(link) = self.link.take() {
            self.take_back(link).await;
        }
        let mut left = Vec::new();
        for queue in &mut self.queues {
            let (batches, frames) = queue.abandon();
            let mut records = self.reader.lose(&frames);
            for batch in batches {
                records += u64::from(batch.records);
                batch.ticket.finish(Outcome::Lost(LossReason::Shutdown));
            }
            // The purge took too long: librdkafka still has them, and takes them along.
            records += queue.in_flight_records;
            if records > 0 {
                left.push((queue.name.clone(), records));
            }
        }
        let unseen = self.reader.abandon();
        if unseen > 0 {
            warn!(records = unseen, "records that no topic had taken are lost with the process");
        }
        self.take_notes(Instant::now());
        left
    }

    /// Purges the producer and books what it gives back.
    async fn take_back(&mut self, link: Arc<Wired<Context>>) {
        purge(&link);
        let until = tokio::time::Instant::now() + PURGE_TIME;
        self.link = Some(link.clone());
        self.replacing = Replacing::Returning;
        let wake = self.wake.clone();
        loop {
            self.serve(Instant::now());
            if self.in_flight_messages == 0 || tokio::time::timeout_at(until, wake.notified()).await.is_err()
            {
                break;
            }
        }
        // If it has given everything back, it is counted by now.
        if self.link.take().is_some() {
            self.metrics.producers_ended.inc();
        }
        // Its end blocks for a moment, and for a long one where its threads look names up that nobody answers for.
        _ = tokio::time::timeout_at(until, tokio::task::spawn_blocking(move || drop(link))).await;
    }
}

/// Has the producer give everything back, without waiting for its threads: they may be busy looking names up.
fn purge(link: &Wired<Context>) {
    link.producer().purge(PurgeConfig::default().queue().inflight().non_blocking());
}
