//! Reads what arrives in Kafka, in a thread of its own: decodes it, shows it and counts it.
//!
//! It needs no consumer group and leaves nothing behind: partitions are assigned by hand as topics appear. In those
//! that were there before, it begins behind what is in them.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::cast::Cast;
use super::lines::{Arrived, Pace, lines, plural};
use super::screen::Screen;
use super::tally::{Span, Tally};
use crate::ocf::decode::decode_file;

/// How long brokers may take to answer at the start.
const FIRST_ANSWER: Duration = Duration::from_secs(5);
/// Between two looks for new topics.
const LOOK: Duration = Duration::from_millis(500);
/// How long one wait for a message is.
const POLL: Duration = Duration::from_millis(100);

/// What the consumer should have read in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Records of the collector.
    pub records: u64,
    /// Messages of the sample producer.
    pub sample_messages: u64,
}

/// The thread, seen from outside.
#[derive(Debug)]
pub struct Consumer {
    target: mpsc::Sender<(Target, Instant)>,
    tally: oneshot::Receiver<Tally>,
}

impl Consumer {
    /// Starts it. Done when it reads: what is sent from then on is not missed.
    ///
    /// # Errors
    /// The brokers do not answer, in one sentence.
    pub async fn start(brokers: &[String], cast: Cast, screen: Screen) -> Result<Consumer, String> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers.join(","))
            .set("client.id", "metrics-collector-demo")
            .set("group.id", "metrics-collector-demo")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "100")
            .create()
            .map_err(|error| error.to_string())?;
        let (target, targets) = mpsc::channel();
        let (done, tally) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let mut worker = Worker {
            consumer,
            cast,
            screen,
            assigned: HashSet::new(),
            looked: Instant::now(),
            pace: Pace::new(),
            tally: Tally::default(),
        };
        let run = move || {
            let begun = worker.begin();
            let ok = begun.is_ok();
            // Whoever asked may be gone; then the channel of targets is closed, too.
            _ = ready.send(begun.map_err(|error| error.to_string()));
            if ok {
                worker.run(&targets);
                let Worker { consumer, tally, .. } = worker;
                // Before anybody takes the brokers away.
                drop(consumer);
                _ = done.send(tally);
            }
        };
        std::thread::Builder::new()
            .name("demo-consumer".into())
            .spawn(run)
            .map_err(|error| error.to_string())?;
        started.await.unwrap_or_else(|_| Err("the consumer's thread has failed".to_owned()))?;
        Ok(Consumer { target, tally })
    }

    /// Lets it read on until it has what `target` says, or for `patience`; and what it has read.
    pub async fn finish(self, target: Target, patience: Duration) -> Tally {
        // A thread that is gone gives no tally either.
        _ = self.target.send((target, Instant::now() + patience));
        self.tally.await.unwrap_or_default()
    }
}

struct Worker {
    consumer: BaseConsumer,
    cast: Cast,
    screen: Screen,
    assigned: HashSet<(String, i32)>,
    looked: Instant,
    pace: Pace,
    tally: Tally,
}

impl Worker {
    /// Passes over what is there already.
    fn begin(&mut self) -> Result<(), KafkaError> {
        self.assign(FIRST_ANSWER, |consumer, topic, partition| {
            let (_, end) = consumer.fetch_watermarks(topic, partition, FIRST_ANSWER)?;
            Ok(Offset::Offset(end))
        })
    }

    /// Assigns every partition that is not yet.
    fn assign(
        &mut self,
        patience: Duration,
        from: impl Fn(&BaseConsumer, &str, i32) -> Result<Offset, KafkaError>,
    ) -> Result<(), KafkaError> {
        self.looked = Instant::now();
        let metadata = self.consumer.fetch_metadata(None, patience)?;
        let mut new = TopicPartitionList::new();
        for topic in metadata.topics().iter().filter(|topic| self.cast.owns(topic.name())) {
            for partition in topic.partitions() {
                let place = (topic.name().to_owned(), partition.id());
                if !self.assigned.contains(&place) {
                    let offset = from(&self.consumer, topic.name(), partition.id())?;
                    new.add_partition_offset(topic.name(), partition.id(), offset)?;
                    self.assigned.insert(place);
                }
            }
        }
        if new.count() > 0 { self.consumer.incremental_assign(&new) } else { Ok(()) }
    }

    fn run(&mut self, targets: &mpsc::Receiver<(Target, Instant)>) {
        let mut target = None;
        loop {
            if self.looked.elapsed() >= LOOK {
                // Brokers that do not answer now are asked again; the counts at the end tell if they never did.
                _ = self.assign(LOOK, |_, _, _| Ok(Offset::Beginning));
            }
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let (tally, pace) = (&mut self.tally, &mut self.pace);
                    take(&message, &self.cast, tally, pace, &self.screen);
                }
                Some(Err(error)) => {
                    // While the cluster is away librdkafka says so again and again.
                    tracing::debug!("the consumer is told: {error}");
                }
                None => {}
            }
            match targets.try_recv() {
                Ok(given) => target = Some(given),
                Err(mpsc::TryRecvError::Disconnected) if target.is_none() => return,
                // Nothing yet, or the one target there is has come before.
                Err(_) => {}
            }
            if target.is_some_and(|(target, until)| self.has(target) || Instant::now() >= until) {
                return;
            }
        }
    }

    fn has(&self, target: Target) -> bool {
        self.tally.records(self.cast.topic_prefix) >= target.records
            && self.tally.topic(self.cast.sample_topic.as_str()).messages >= target.sample_messages
    }
}

/// Counts a message and shows it, unless it is somebody else's.
fn take(message: &BorrowedMessage<'_>, cast: &Cast, tally: &mut Tally, pace: &mut Pace, screen: &Screen) {
    let topic = message.topic();
    let of_sample_producer = topic == cast.sample_topic.as_str();
    if !of_sample_producer && message.key() != Some(cast.agent_id.as_bytes()) {
        return;
    }
    let value = message.payload().unwrap_or_default();
    let records = match decode_file(value) {
        Ok(records) => records,
        Err(fault) => {
            tally.unreadable += 1;
            let (partition, offset) = (message.partition(), message.offset());
            screen.show(&[format!("{topic}  partition {partition}, offset {offset}: unreadable: {fault}")]);
            return;
        }
    };
    let is_ours = |tag: &crate::record::Tag| {
        cast.tasks.iter().any(|task| tag.key == b"executor_id" && tag.value == task.executor_id.as_bytes())
    };
    if of_sample_producer && !records.iter().all(|record| record.tags.iter().any(is_ours)) {
        return;
    }
    let span = span(message);
    tally.note(topic, span, records.len() as u64);
    let Some(hidden) = pace.admit(Instant::now()) else { return };
    let mut shown = Vec::new();
    if hidden > 0 {
        let style = screen.style;
        shown.push(style.faint(format_args!("({} not shown)", plural(hidden, "message"))));
    }
    let (partition, offset) = (message.partition(), message.offset());
    let bytes = value.len();
    let visitors = !of_sample_producer && !cast.emits_to(topic);
    let arrived = Arrived { topic, partition, offset, span, bytes, records: &records, visitors };
    shown.extend(lines(&arrived, screen.style));
    screen.show(&shown);
}

/// From the headers that the collector writes. Brokers before 0.11 drop them.
fn span(message: &BorrowedMessage<'_>) -> Option<Span> {
    let headers = message.headers()?;
    let number = |name| {
        let header = headers.iter().find(|header| header.key == name)?;
        std::str::from_utf8(header.value?).ok()?.parse().ok()
    };
    Some(Span { first: number("first")?, records: number("records")? })
}
