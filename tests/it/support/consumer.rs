//! A plain consumer: what a topic of Kafka holds, read with librdkafka and decoded with apache-avro.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message as _};
use rdkafka::metadata::MetadataPartition;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::record::{self, Record};
use super::{eventually, once};

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Unix time in milliseconds: when it was made, or where the topic says so, when it was written down.
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) value: Vec<u8>,
}

impl Message {
    /// The records of the object container file that the message is.
    pub(crate) fn records(&self) -> Vec<Record> {
        record::decode(&self.value).unwrap_or_else(|e| {
            panic!("message {} of partition {}: {e}; headers {:?}", self.offset, self.partition, self.headers)
        })
    }

    /// A header that is there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name:?} in {:?}", self.headers))
    }

    fn number(&self, name: &str) -> u64 {
        self.header(name).parse().unwrap_or_else(|e| panic!("header {name:?} of {:?}: {e}", self.headers))
    }
}

/// Everything in `topic` once that is `records` records or more, in the order of each partition.
pub(crate) fn read(brokers: &str, topic: &str, records: usize) -> Vec<Message> {
    read_by(config(brokers), topic, records, "records", |message| message.records().len())
}

/// Like [`read`], from brokers of this release of Kafka.
pub(crate) fn read_of(version: &str, brokers: &str, topic: &str, records: usize) -> Vec<Message> {
    let mut config = config(brokers);
    if version.starts_with("0.9.") {
        // It does not say what it can do.
        config.set("api.version.request", "false").set("broker.version.fallback", version);
    }
    read_by(config, topic, records, "records", |message| message.records().len())
}

/// Like [`read`], but counts raw messages, whatever is in them.
pub(crate) fn read_messages(brokers: &str, topic: &str, n_messages: usize) -> Vec<Message> {
    read_by(config(brokers), topic, n_messages, "messages", |_| 1)
}

/// Everything in `topic` once that is `least` of what `of` counts in each message.
fn read_by(
    config: ClientConfig,
    topic: &str,
    least: usize,
    what: &str,
    of: impl Fn(&Message) -> usize,
) -> Vec<Message> {
    let (mut asker, mut messages) = (Asker::new(config), Vec::new());
    eventually(&format!("{least} {what} in Kafka topic {topic}"), || {
        asker.ask(|consumer| read_to_end(consumer, topic, &mut messages))?;
        let found: usize = messages.iter().map(&of).sum();
        once(found >= least, || format!("{found} {what} in {} messages", messages.len()))
    });
    messages
}

/// The records of these messages, in their order.
pub(crate) fn records(messages: &[Message]) -> Vec<Record> {
    messages.iter().flat_map(Message::records).collect()
}

/// How many partitions a topic has that is there.
pub(crate) fn partitions(brokers: &str, topic: &str) -> usize {
    let mut asker = Asker::new(config(brokers));
    eventually(&format!("the partitions of Kafka topic {topic}"), || {
        asker.ask(|consumer| partition_ids(consumer, topic)).map(|ids| ids.len())
    })
}

/// A consumer that is replaced where it has waited for an answer in vain: librdkafka can stand still where a broker is slow
/// or gone.
struct Asker {
    config: ClientConfig,
    consumer: Unawaited,
}

impl Asker {
    fn new(config: ClientConfig) -> Asker {
        Asker { consumer: Unawaited::new(&config), config }
    }

    fn ask<T>(&mut self, question: impl FnOnce(&BaseConsumer) -> Result<T, String>) -> Result<T, String> {
        let begun = Instant::now();
        question(self.consumer.get()).inspect_err(|_| {
            if begun.elapsed() >= ANSWER_WITHIN {
                self.consumer = Unawaited::new(&self.config);
            }
        })
    }
}

/// A consumer whose end nobody waits for, since one that stands still does not end.
struct Unawaited(Option<BaseConsumer>);

impl Unawaited {
    fn new(config: &ClientConfig) -> Unawaited {
        Unawaited(Some(config.create().expect("these settings make a consumer")))
    }

    fn get(&self) -> &BaseConsumer {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Unawaited {
    fn drop(&mut self) {
        let consumer = self.0.take();
        thread::spawn(|| drop(consumer));
    }
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        // Asked for even where no group is joined.
        .set("group.id", "tests")
        .set("enable.auto.commit", "false")
        .set("reconnect.backoff.max.ms", "500");
    config
}

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

fn partition_ids(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, String> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN).map_err(|e| e.to_string())?;
    let found = metadata.topics().first().ok_or("no answer about the topic")?;
    match found.error() {
        Some(error) => Err(format!("{error:?}")),
        None => Ok(found.partitions().iter().map(MetadataPartition::id).collect()),
    }
}

/// Appends what came since the last of `messages` in each partition.
fn read_to_end(consumer: &BaseConsumer, topic: &str, messages: &mut Vec<Message>) -> Result<(), String> {
    let mut next = BTreeMap::new();
    let mut end = BTreeMap::new();
    let mut from = TopicPartitionList::new();
    for id in partition_ids(consumer, topic)? {
        let seen = messages.iter().filter(|m| m.partition == id).map(|m| m.offset + 1).max().unwrap_or(0);
        let (_, high) = consumer.fetch_watermarks(topic, id, ANSWER_WITHIN).map_err(|e| e.to_string())?;
        next.insert(id, seen);
        end.insert(id, high);
        from.add_partition_offset(topic, id, Offset::Offset(seen)).map_err(|e| e.to_string())?;
    }
    consumer.assign(&from).map_err(|e| e.to_string())?;
    let begun = Instant::now();
    while next.iter().any(|(id, offset)| *offset < end[id]) {
        if begun.elapsed() > ANSWER_WITHIN {
            return Err(format!("read up to {next:?} of {end:?}"));
        }
        // Errors here are news of connections that librdkafka mends itself, some of them old: read past them.
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        next.insert(message.partition(), message.offset() + 1);
        let headers = message.headers().map_or_else(BTreeMap::new, |all| {
            let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
            all.iter().map(|h| (h.key.to_owned(), text(h.value))).collect()
        });
        messages.push(Message {
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            key: message.key().map(<[u8]>::to_vec),
            headers,
            value: message.payload().unwrap_or_default().to_vec(),
        });
    }
    Ok(())
}

/// What the headers of one topic's messages say to a consumer that wants to know of gaps and repeats: the number of
/// records that came more than once.
///
/// # Panics
/// Where a run of the collector left a gap, or a header does not fit its message.
pub(crate) fn repeats_by_headers(messages: &[Message]) -> u64 {
    let mut runs: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for message in messages {
        let (first, records) = (message.number("first"), message.number("records"));
        assert_eq!(records as usize, message.records().len(), "header `records` of {:?}", message.headers);
        runs.entry(message.header("incarnation")).or_default().push((first, first + records));
    }
    let mut repeats = 0;
    for (incarnation, mut spans) in runs {
        spans.sort_unstable();
        let mut next = spans[0].0;
        for (first, end) in spans {
            assert!(first <= next, "records {next}..{first} of incarnation {incarnation} are missing");
            repeats += end.min(next) - first;
            next = next.max(end);
        }
    }
    repeats
}
