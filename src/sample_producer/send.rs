//! The Kafka end: a message for each file, and what became of it.

use std::fmt;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::output::kafka::Abilities;
use crate::record::TopicName;

/// How the producer behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bootstrap brokers.
    pub brokers: Vec<String>,
    /// Where every message goes.
    pub topic: TopicName,
    /// Log every acknowledgement.
    pub verbose: bool,
    /// Time after which a message that nobody acknowledged has failed.
    pub delivery: Duration,
}

/// Payload bytes that wait for acknowledgement; with more waiting, a message fails at once. Room for the largest
/// message 16 times: at the usual period they time out long before.
const QUEUE_KBYTES: &str = "16384";

/// What became of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages made.
    pub messages: usize,
    /// Acknowledged by all of Kafka's replicas in sync.
    pub acknowledged: usize,
    /// Refused, or not acknowledged in time.
    pub failed: usize,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.messages += other.messages;
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { messages, acknowledged, failed } = self;
        let open = messages - acknowledged - failed;
        write!(
            f,
            "{messages} messages: {acknowledged} acknowledged, {failed} failed, {open} without an answer"
        )
    }
}

/// Sends to Kafka from threads of librdkafka's.
pub struct Sender {
    producer: ThreadedProducer<Outcomes>,
    topic: TopicName,
    state: Arc<Mutex<State>>,
}

impl Sender {
    /// A sender to brokers that can do this.
    ///
    /// # Errors
    /// librdkafka refuses a property.
    pub fn new(config: Config, abilities: &Abilities) -> Result<Sender, KafkaError> {
        let state = Arc::new(Mutex::new(State::default()));
        let outcomes = Outcomes { state: Arc::clone(&state), verbose: config.verbose };
        let mut properties = ClientConfig::new();
        properties
            .set("bootstrap.servers", config.brokers.join(","))
            .set("client.id", "sample-producer")
            .set("compression.codec", "snappy")
            .set("acks", "all")
            .set("message.timeout.ms", config.delivery.as_millis().to_string())
            // The limit is for the payload and what librdkafka puts around it.
            .set("message.max.bytes", "1100000")
            .set("queue.buffering.max.kbytes", QUEUE_KBYTES)
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            // Makes librdkafka reserve enough for the small answers of old brokers, as in the collector.
            .set("client.rack", "-");
        for (name, value) in abilities.protocol() {
            properties.set(*name, *value);
        }
        let producer = ThreadedProducer::from_config_and_context(&properties, outcomes)?;
        Ok(Sender { producer, topic: config.topic, state })
    }

    /// Hands `file` to librdkafka. It never waits; what became of the message is logged and counted.
    pub fn send(&self, file: &[u8]) {
        let number = {
            let mut state = lock(&self.state);
            state.totals.messages += 1;
            state.totals.messages
        };
        let record = BaseRecord::<(), [u8], usize>::with_opaque_to(self.topic.as_str(), number).payload(file);
        if let Err((error, _)) = self.producer.send(record) {
            let code = error.rdkafka_error_code();
            lock(&self.state).failed(number, &error, code);
        }
    }

    /// What became of the messages until now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        lock(&self.state).totals
    }

    /// Whether it has nothing under way and its last message was not acknowledged in time. librdkafka may have lost all
    /// brokers for good then, so that another sender has better chances.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let state = lock(&self.state);
        let Totals { messages, acknowledged, failed } = state.totals;
        state.timed_out && messages == acknowledged + failed
    }

    /// Waits up to `grace` for acknowledgements, gives up the rest and says what became of all. Blocks.
    #[must_use]
    pub fn finish(self, grace: Duration) -> Totals {
        // A failure to flush is a message without an answer, and that is in the totals.
        let _ = self.producer.flush(grace);
        let mut state = lock(&self.state);
        state.closed = true;
        state.totals
    }
}

/// Shared with librdkafka's threads. No lock is held across a call into librdkafka.
#[derive(Debug, Default)]
struct State {
    totals: Totals,
    /// The last message with an outcome was not acknowledged in time.
    timed_out: bool,
    /// Errors of the connection that were logged since the last acknowledgement: librdkafka repeats them.
    told: Vec<RDKafkaErrorCode>,
    /// After [`Sender::finish`] what librdkafka gives up is no news.
    closed: bool,
}

impl State {
    fn acknowledged(&mut self) {
        self.totals.acknowledged += 1;
        self.timed_out = false;
        self.told.clear();
    }

    fn failed(&mut self, number: usize, error: &KafkaError, code: Option<RDKafkaErrorCode>) {
        if self.closed {
            return;
        }
        self.totals.failed += 1;
        self.timed_out = code == Some(RDKafkaErrorCode::MessageTimedOut);
        tracing::warn!("message {number} failed: {error}; {}", advice(code));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Counters stay true whatever panicked beside them.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn advice(code: Option<RDKafkaErrorCode>) -> &'static str {
    use RDKafkaErrorCode as Code;
    match code {
        Some(Code::MessageTimedOut) => {
            "no broker acknowledged it in time, check -brokers and that they are up"
        }
        Some(Code::QueueFull) => "too many wait for acknowledgement, check -brokers and that they are up",
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => {
            "create the topic, or let the brokers create topics"
        }
        Some(Code::TopicAuthorizationFailed) => "allow writing to the topic",
        Some(Code::MessageSizeTooLarge) => "raise the brokers' message.max.bytes",
        _ => "the next poll is sent all the same",
    }
}

/// What librdkafka reports.
struct Outcomes {
    state: Arc<Mutex<State>>,
    verbose: bool,
}

impl ClientContext for Outcomes {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!("librdkafka {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let mut state = lock(&self.state);
        if !state.closed && !state.told.contains(&code) {
            state.told.push(code);
            tracing::warn!("Kafka: {reason}; it is tried again");
        }
    }
}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let mut state = lock(&self.state);
        match result {
            Ok(message) => {
                state.acknowledged();
                if self.verbose {
                    let (partition, offset) = (message.partition(), message.offset());
                    tracing::info!("message {number} acknowledged: partition {partition}, offset {offset}");
                }
            }
            Err((error, _)) => state.failed(number, error, error.rdkafka_error_code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::bindings::rd_kafka_resp_err_t as RespErr;
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::dcos::testing::closed_port;
    use crate::sample_producer::testing::consume;

    const GRACE: Duration = Duration::from_secs(20);

    fn config(brokers: String, delivery: Duration) -> Config {
        let topic = TopicName::parse(b"t").expect("a topic");
        Config { brokers: vec![brokers], topic, verbose: true, delivery }
    }

    #[test]
    fn messages_arrive_as_they_are_without_a_key() {
        let kafka = MockCluster::new(1).expect("a mock cluster");
        kafka.create_topic("t", 1, 1).expect("a topic");
        let sender =
            Sender::new(config(kafka.bootstrap_servers(), GRACE), &Abilities::default()).expect("a sender");
        sender.send(b"one");
        sender.send(b"two");
        assert_eq!(sender.finish(GRACE), Totals { messages: 2, acknowledged: 2, failed: 0 });
        assert_eq!(consume(&kafka, "t", 2), [(None, b"one".to_vec()), (None, b"two".to_vec())]);
    }

    #[tokio::test]
    async fn a_message_that_nobody_acknowledges_has_failed() {
        let (_socket, address) = closed_port();
        let nowhere = address.trim_start_matches("http://").to_owned();
        let sender = Sender::new(config(nowhere, Duration::from_millis(100)), &Abilities::default())
            .expect("a sender");
        sender.send(b"one");
        assert_eq!(sender.finish(GRACE), Totals { messages: 1, acknowledged: 0, failed: 1 });
    }

    #[test]
    fn a_refused_message_and_one_that_is_too_large_have_failed() {
        let kafka = MockCluster::new(1).expect("a mock cluster");
        kafka.create_topic("t", 1, 1).expect("a topic");
        kafka.topic_error("t", RespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).expect("an error");
        let sender =
            Sender::new(config(kafka.bootstrap_servers(), GRACE), &Abilities::default()).expect("a sender");
        sender.send(b"one");
        sender.send(&vec![0; 2_000_000]);
        let totals = sender.finish(GRACE);
        assert_eq!(totals, Totals { messages: 2, acknowledged: 0, failed: 2 });
        assert_eq!(totals.to_string(), "2 messages: 0 acknowledged, 2 failed, 0 without an answer");
    }

    #[test]
    fn what_has_no_answer_at_the_end_is_said() {
        let kafka = MockCluster::new(1).expect("a mock cluster");
        kafka.broker_down(1).expect("the broker is down");
        let sender =
            Sender::new(config(kafka.bootstrap_servers(), GRACE), &Abilities::default()).expect("a sender");
        sender.send(b"one");
        let totals = sender.finish(Duration::ZERO);
        assert_eq!(totals.to_string(), "1 messages: 0 acknowledged, 0 failed, 1 without an answer");
    }
}
