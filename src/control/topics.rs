//! Record topics and what becomes of them, page by page.

use schemars::JsonSchema;
use serde::Serialize;

/// What is asked of `GET /v1/topics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicsQuery {
    /// Only those behind the topic of this number.
    pub after: Option<u32>,
    /// So many at most.
    pub limit: usize,
    /// Only those in this state.
    pub state: Option<TopicState>,
}

/// Record topics, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Topics {
    /// How many there are in all, in whatever state.
    pub total: usize,
    pub topics: Vec<TopicView>,
    /// With this as `after` come those that follow; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

/// A record topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TopicView {
    /// Numbered from 0 in the order in which they came.
    pub number: u32,
    /// As senders call it, with U+FFFD for what is not UTF-8, and cut behind 250 bytes; null for the one that stands for
    /// all over `kafka-topics-max`.
    pub topic: Option<String>,
    /// Since the start.
    pub accepted_records: u64,
    /// Null with `--kafka=false`.
    pub kafka: Option<KafkaTopic>,
}

/// What becomes of a record topic's records at Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KafkaTopic {
    /// The Kafka topic; null where none can be called so.
    pub topic: Option<String>,
    /// As of at most five seconds ago.
    pub state: TopicState,
    /// Why it is not `flowing`, or flows in smaller messages: `unknown_topic`, `not_authorized`, `creating`, `retrying`,
    /// `message_too_large`, `illegal_topic`, `topic_limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Accepted and not finished with.
    pub waiting_records: u64,
    /// Of those, what has left the spool: under way, or about to be sent again.
    pub in_flight_records: u64,
    pub delivered_records: u64,
    pub set_aside_records: u64,
    /// Dropped for want of room in the spool.
    pub lost_records: u64,
    /// When the oldest record was accepted that waits in the spool: Unix time in milliseconds; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<u64>,
}

/// Whether a topic's records go to Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopicState {
    /// They do.
    #[default]
    Flowing,
    /// They wait, until Kafka has the topic or takes them again.
    Held,
    /// They wait, until somebody lets us write to it.
    Blocked,
    /// They are set aside.
    SetAside,
}

impl TopicState {
    /// Every state.
    pub const ALL: [TopicState; 4] =
        [TopicState::Flowing, TopicState::Held, TopicState::Blocked, TopicState::SetAside];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TopicState::Flowing => "flowing",
            TopicState::Held => "held",
            TopicState::Blocked => "blocked",
            TopicState::SetAside => "set_aside",
        }
    }
}
