//! To the right: messages are made of what waits and given to librdkafka, as far as permits go.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use tracing::info;

use super::batch::Batch;
use super::flow::HoldReason;
use super::lend::{Header, lend};
use super::notes::NOTES_PAUSE;
use super::producer::{Delivery, connect};
use super::settings::Key;
use super::state::Link;
use super::task::{Replacing, Task};
use crate::telemetry::problems::Kind;

/// Pause before a producer that could not be made is tried again.
const CONNECT_PAUSE: Duration = Duration::from_secs(5);

/// How many topics at least share what may be under way: no topic has more than this part of it.
const SHARES: usize = 4;

/// This part of what may be under way may be stuck without counting.
pub(super) const STALLED_SHARE: usize = 2;

impl Task {
    /// Makes a producer.
    pub(super) fn make(&mut self, now: Instant) {
        match connect(&self.config, &self.fit.abilities, self.wake.clone()) {
            Ok(link) => {
                self.link = Some(link.into());
                self.replacing = Replacing::No;
                self.generation += 1;
                self.asking.answered = false;
                self.metrics.producers.inc();
                self.next_probe = Some(now);
                for topic in 0..self.queues.len() {
                    self.look_soon(topic);
                }
            }
            Err(error) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
                self.note_error(code, &format!("cannot make a producer: {error}"));
                self.replacing = Replacing::At(now + CONNECT_PAUSE);
            }
        }
    }

    /// Sends the topic's next message, if permits are left for it.
    pub(super) fn send_next(&mut self, topic: usize, now: Instant) {
        if self.link.is_none() || self.replacing != Replacing::No {
            // All topics are looked at when there is a producer again.
            return;
        }
        if self.is_over_limit(now) || !self.has_permit(topic) {
            let queue = &mut self.queues[topic];
            if !std::mem::replace(&mut queue.starved, true) {
                self.starved.push(topic);
            }
            return;
        }
        let overhead = self.press.envelope.overhead();
        let queue = &mut self.queues[topic];
        if let Some(batch) = queue.pop_resend() {
            self.give(batch, now);
        } else {
            if !queue.is_full(&self.config.batch, overhead) {
                // What grows goes with it.
                self.reader.close(queue.source.id);
                self.see(now);
            }
            let queue = &mut self.queues[topic];
            let frames = queue.pop_frames(&self.config.batch, overhead);
            if frames.is_empty() {
                // Looked at again when something comes. Now it would be the same look again, for ever.
                return;
            }
            let size = queue.size(&self.config.batch);
            let (frames, ticket) = self.reader.take(&frames);
            // One message, as a rule. Where frames are larger than messages may be, the others wait for their permits.
            let too_large = self.press.too_large;
            let mut batches = self.press.press(topic, frames, ticket, size).into_iter();
            let set_aside = self.press.too_large - too_large;
            if set_aside > 0 {
                self.note_topic(topic, |news| news.set_aside += set_aside);
                let name = self.queues[topic].name.clone();
                self.log_aside(&name, Kind::RecordTooLarge, "it is larger than any message may be");
            }
            if let Some(batch) = batches.next() {
                self.give(batch, now);
            }
            for batch in batches {
                self.queues[topic].put_back(batch);
            }
            self.note_topic(topic, |_| {});
        }
        self.look_soon(topic);
    }

    /// Whether nothing may be sent for a while. The end of the process does not wait for it: what is not sent then is
    /// lost.
    fn is_over_limit(&mut self, now: Instant) -> bool {
        let Some(until) = self.budget.as_ref().filter(|_| !self.draining).and_then(|b| b.wait_for(1, now))
        else {
            return false;
        };
        if self.paused_until.replace(until).is_none() {
            self.metrics.limit_pauses.inc();
            // It is we who wait, so that a full spool has to wait with us.
            self.reader.expect_pause(until);
            if let Some(suppressed) = self.log_budget.take("limit", now) {
                let pause = until.saturating_duration_since(now);
                info!(
                    suppressed,
                    "nothing is sent for {pause:.1?}: it would be over global-limit-amount-kbytes"
                );
            }
        }
        true
    }

    fn has_permit(&self, topic: usize) -> bool {
        let queue = &self.queues[topic];
        let bytes = queue.next_bytes(&self.config.batch);
        let max = self.config.queue_bytes.get();
        // What is stuck must not keep the others from flowing, within bounds.
        let counted = self.in_flight_bytes - self.stalled_bytes().min(max / STALLED_SHARE);
        let of_all = self.in_flight_messages == 0 || counted + bytes <= max;
        let of_topic = queue.in_flight_messages == 0
            || (!queue.one_at_a_time && !queue.stalled && queue.in_flight_bytes + bytes <= max / SHARES);
        of_all && of_topic
    }

    fn stalled_bytes(&self) -> usize {
        if self.stalled == 0 {
            return 0;
        }
        self.queues.iter().filter(|queue| queue.stalled).map(|queue| queue.in_flight_bytes).sum()
    }

    fn give(&mut self, mut batch: Batch, now: Instant) {
        let queue = &mut self.queues[batch.topic];
        let (topic, records, bytes) = (batch.topic, batch.records, batch.value.as_bytes().len());
        batch.alone = queue.in_flight_messages == 0;
        if self.config.record_log || self.config.hexdump {
            super::record_log::log(&self.config, &queue.name, &batch);
        }
        let told = self.agent_id.as_ref().and_then(|told| told.borrow().clone());
        let agent_id = self.config.agent_id.as_deref().or(told.as_deref());
        let key = match self.config.key {
            Key::Agent => agent_id.map(str::as_bytes),
            Key::None => None,
        };
        let (first, count) = (batch.first.to_string(), batch.records.to_string());
        let mut headers = Vec::new();
        if self.fit.abilities.headers {
            headers.extend([
                Header { name: c"format", value: super::FORMAT.as_bytes() },
                Header { name: c"incarnation", value: self.incarnation.as_bytes() },
                Header { name: c"first", value: first.as_bytes() },
                Header { name: c"records", value: count.as_bytes() },
            ]);
            headers.extend(agent_id.map(|agent| Header { name: c"agent", value: agent.as_bytes() }));
        }
        let link = self.link.as_ref().expect("looked at before");
        match lend(link.producer(), &queue.c_name, key, &headers, Box::new(batch)) {
            Ok(()) => {
                queue.sent(records, bytes, now);
                if let Some(budget) = &mut self.budget {
                    budget.take(bytes as u64, now);
                }
                self.in_flight_messages += 1;
                self.in_flight_bytes += bytes;
                self.count_in_flight();
                self.note_soon(now, NOTES_PAUSE);
            }
            Err((Code::QueueFull, batch)) => {
                // Permits should not let it come to this. What is under way will make room.
                queue.put_back(*batch);
                self.hold(topic, HoldReason::Retry);
            }
            Err((code, batch)) => self.failed(Delivery { batch, result: Err(code) }, code, now),
        }
    }

    pub(super) fn count_in_flight(&self) {
        self.metrics.in_flight_messages.set(i64::try_from(self.in_flight_messages).unwrap_or(i64::MAX));
        self.metrics.in_flight_bytes.set(i64::try_from(self.in_flight_bytes).unwrap_or(i64::MAX));
    }

    /// A broker answers. After a failure for good that says nothing; an acknowledgement does.
    pub(super) fn set_up(&mut self) {
        self.next_probe = None;
        self.asking.answered = true;
        if !self.failed && self.board.set_link(Link::Up) {
            self.metrics.up.set(1);
            self.metrics.problems.over(Kind::KafkaUnreachable);
            self.metrics.problems.over(Kind::KafkaAccess);
            if let Some(suppressed) = self.log_budget.take("answers", Instant::now()) {
                info!(brokers = self.config.brokers.join(","), suppressed, "Kafka answers");
            }
        }
    }
}
