//! What the output knows of each record topic: the task writes it down where it happens, anybody reads it.

use std::sync::{Mutex, MutexGuard};

use super::queue::Queue;
use crate::record::TopicName;

/// What became of a record topic's records at Kafka. Those that wait in the spool, or had to leave it before their turn,
/// are counted there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicNews {
    /// The Kafka topic; none where no topic can be called so, or none was looked for yet.
    pub kafka: Option<TopicName>,
    /// `flowing`, or why not; empty until the topic was looked at.
    pub state: &'static str,
    /// Records under way, and those that came back and go out again.
    pub in_hands: u64,
    /// Records acknowledged.
    pub delivered: u64,
    /// Records put aside.
    pub set_aside: u64,
}

/// By number of the record topic. There are as many as the spool tells apart.
#[derive(Debug, Default)]
pub(super) struct Topics(Mutex<Vec<TopicNews>>);

impl Topics {
    /// Notes something of the record topic of this number.
    pub(super) fn note(&self, topic: u32, change: impl FnOnce(&mut TopicNews)) {
        let (mut topics, at) = (self.lock(), topic as usize);
        if at >= topics.len() {
            topics.resize_with(at + 1, TopicNews::default);
        }
        change(&mut topics[at]);
    }

    /// Notes that the record topic of this number goes to that Kafka topic.
    pub(super) fn flows(&self, topic: u32, kafka: &TopicName) {
        self.note(topic, |news| (news.kafka, news.state) = (Some(kafka.clone()), "flowing"));
    }

    /// Notes how the topics are.
    pub(super) fn update(&self, queues: &[Queue]) {
        for queue in queues {
            self.note(queue.source.id, |news| {
                news.in_hands = in_hands(queue);
                // What cannot be called so any more is set aside, whatever its last records do.
                if news.kafka.is_some() {
                    news.state = queue.state();
                }
            });
        }
    }

    /// What is known of each, by its number.
    pub(super) fn all(&self) -> Vec<TopicNews> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<TopicNews>> {
        self.0.lock().expect("no code panics under this lock")
    }
}

/// Records of a topic that have left the spool and are not finished with.
pub(super) fn in_hands(queue: &Queue) -> u64 {
    queue.in_flight_records + queue.resend.iter().map(|batch| u64::from(batch.records)).sum::<u64>()
}
