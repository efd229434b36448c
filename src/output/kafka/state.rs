//! What the others may know of the output: the task writes it down, anybody reads it.

use std::sync::Mutex;

use super::notes::STALLED_AFTER;
use super::queue::Queue;
use super::topics::Topics;
use crate::control::{BrokerStatus, KafkaStatus, Part, TopicStatus};
use crate::telemetry::unix_ms;

/// Topics that a status lists.
const TOPICS_LISTED: usize = 50;

/// Whether the cluster can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// Nobody has answered yet.
    #[default]
    Connecting,
    /// A broker has answered, and nothing has gone wrong since.
    Up,
    /// No broker lets us in or can be reached.
    Down,
}

impl Link {
    fn name(self) -> &'static str {
        match self {
            Link::Connecting => "connecting",
            Link::Up => "up",
            Link::Down => "down",
        }
    }
}

/// The notes.
#[derive(Debug, Default)]
pub(super) struct Board {
    notes: Mutex<Notes>,
    /// Of each record topic.
    pub(super) topics: Topics,
}

#[derive(Debug, Default)]
struct Notes {
    link: Link,
    /// Nothing that is under way has been acknowledged for a while.
    is_stuck: bool,
    /// What keeps the cluster from being reached.
    cause: Option<String>,
    status: KafkaStatus,
}

impl Board {
    pub(super) fn new(brokers: Vec<String>, in_flight_bytes_max: usize) -> Board {
        let status = KafkaStatus { brokers, in_flight_bytes_max, ..KafkaStatus::default() };
        Board { notes: Mutex::new(Notes { status, ..Notes::default() }), topics: Topics::default() }
    }

    /// Notes which brokers the output begins with.
    pub(super) fn set_brokers(&self, brokers: Vec<String>) {
        self.with(|notes| notes.status.brokers = brokers);
    }

    /// Notes how many bytes may be under way.
    pub(super) fn set_in_flight_max(&self, bytes: usize) {
        self.with(|notes| notes.status.in_flight_bytes_max = bytes);
    }

    pub(super) fn link(&self) -> Link {
        self.with(|notes| notes.link)
    }

    /// Notes how the cluster is reached. Says whether that is news.
    pub(super) fn set_link(&self, link: Link) -> bool {
        self.with(|notes| {
            if link == Link::Up {
                notes.cause = None;
            }
            std::mem::replace(&mut notes.link, link) != link
        })
    }

    /// Notes why the cluster is not reached. That no broker is left is what follows from a cause, and takes no cause's
    /// place.
    pub(super) fn set_cause(&self, cause: &str, is_consequence: bool) {
        self.with(|notes| {
            if !is_consequence || notes.cause.is_none() {
                let hint =
                    if is_consequence { "; if one runs there, its port may expect TLS or SASL" } else { "" };
                notes.cause = Some(format!("{cause}{hint}"));
            }
        });
    }

    /// Why the cluster is not reached, as far as is known.
    pub(super) fn cause(&self) -> Option<String> {
        self.with(|notes| notes.cause.clone())
    }

    /// Notes what the brokers are.
    pub(super) fn set_broker(&self, broker: BrokerStatus) {
        self.with(|notes| notes.status.broker = Some(broker));
    }

    /// Notes what went wrong.
    pub(super) fn set_error(&self, error: String) {
        self.with(|notes| notes.status.last_error = Some((unix_ms() / 1000, error)));
    }

    pub(super) fn acknowledged(&self, bytes: usize) {
        self.with(|notes| {
            notes.status.last_ack_ms = Some(unix_ms());
            notes.status.acknowledged_bytes += bytes as u64;
        });
    }

    /// Notes how the topics are. Says whether nothing of what is under way has been acknowledged for a while.
    pub(super) fn update(&self, queues: &[Queue], messages: usize, bytes: usize) -> bool {
        self.topics.update(queues);
        let mut busy: Vec<&Queue> =
            queues.iter().filter(|queue| !queue.is_empty() || queue.state() != "flowing").collect();
        busy.sort_by_key(|queue| (queue.state() == "flowing", queue.oldest_ms().unwrap_or(u64::MAX)));
        let topics = busy.into_iter().take(TOPICS_LISTED).map(|queue| TopicStatus {
            topic: queue.name.to_string(),
            state: queue.state(),
            waiting_records: queue.waiting_records(),
            in_flight_records: queue.in_flight_records,
            oldest_ms: queue.oldest_ms(),
        });
        let topics = topics.collect();
        let mut under_way = queues.iter().filter(|queue| queue.in_flight_messages > 0).peekable();
        let all_stalled = under_way.peek().is_some() && under_way.all(|queue| queue.stalled);
        self.with(|notes| {
            let long_ago = |ms: u64| unix_ms().saturating_sub(ms) > STALLED_AFTER.as_millis() as u64;
            notes.is_stuck = all_stalled && notes.status.last_ack_ms.is_none_or(long_ago);
            notes.status.topics = topics;
            notes.status.topics_total = queues.len();
            notes.status.topics_held = queues.iter().filter(|queue| queue.is_held()).count();
            notes.status.topics_stalled = queues.iter().filter(|queue| queue.state() == "stalled").count();
            notes.status.in_flight_messages = messages;
            notes.status.in_flight_bytes = bytes;
            notes.is_stuck
        })
    }

    /// The status as of the last note.
    pub(super) fn status(&self) -> KafkaStatus {
        self.with(|notes| KafkaStatus { state: notes.link.name(), ..notes.status.clone() })
    }

    /// Ready or not, and why.
    pub(super) fn part(&self) -> Part {
        let status = self.status();
        let brokers = status.brokers.join(",");
        let held = status.topics_held;
        let (ready, detail) = match self.link() {
            _ if status.brokers.is_empty() => {
                (false, "no brokers are known yet; records wait in the spool".to_owned())
            }
            Link::Up if self.with(|notes| notes.is_stuck) => (
                false,
                format!("{brokers} has acknowledged nothing for some seconds; records wait in the spool"),
            ),
            Link::Up if held > 0 => {
                (true, format!("delivering to {brokers}; topics held: {held}, see /v1/status"))
            }
            Link::Up => (true, format!("delivering to {brokers}")),
            link => {
                let waits = if link == Link::Down { "cannot deliver to" } else { "no answer yet from" };
                let cause = self.cause().map_or_else(String::new, |cause| format!(": {cause}"));
                let pinned = match &status.broker {
                    Some(BrokerStatus { version, known_by: "kafka-broker-version", .. }) => format!(
                        "; kafka-broker-version says {version}: unless that is what the brokers are, set it to auto"
                    ),
                    _ => String::new(),
                };
                (false, format!("{waits} {brokers}{cause}{pinned}; records wait in the spool, retrying"))
            }
        };
        Part { name: "kafka", ready, detail }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.notes.lock().expect("no code panics under this lock"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::flow::{Flow, HoldReason};
    use super::*;
    use crate::record::{RecordTopic, TopicName};
    use crate::spool::Topic;

    #[test]
    fn all_topics_that_are_held_count_and_not_only_those_that_are_listed() {
        let now = Instant::now();
        let mut queues: Vec<Queue> = (0..TOPICS_LISTED + 20)
            .map(|n| {
                let name = format!("t{n}");
                let record_topic = Some(RecordTopic::new(name.as_bytes()));
                let source = Topic { id: n as u32, name: record_topic, is_all: false };
                let mut queue = Queue::new(TopicName::parse(name.as_bytes()).unwrap(), source.into(), now);
                queue.hold(HoldReason::NotAuthorized, now);
                queue
            })
            .collect();
        queues[0].flow = Flow::Flowing;
        queues[1].flow = Flow::Flowing;
        queues[1].stalled = true;
        let board = Board::new(vec!["a:1".to_owned()], 1);
        board.set_link(Link::Up);
        board.update(&queues, 0, 0);
        let status = board.status();
        assert_eq!((status.topics.len(), status.topics_held, status.topics_stalled), (50, 68, 1));
        let part = board.part();
        assert!(part.ready && part.detail.contains("topics held: 68,"), "{part:?}");
    }
}
