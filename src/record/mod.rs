//! The nouns that every stage speaks of: record numbers, topic names, tag keys, typed records, brokers, budgets, secrets,
//! fingerprints, members of JSON.
//!
//! A *record* is one Avro `MetricList`: a topic, tags and datapoints. On the line records are bytes and stay
//! bytes; [`MetricList`] exists for programs that make records (pollers, the demonstration) and for tests.
//! Strings are bytes too: what a statsd client sends need not be UTF-8, and it passes unchanged.

mod broker;
mod budget;
mod fingerprint;
mod members;
mod metric_list;
mod secret;
mod seq;
pub mod tag_key;
mod topic;

pub use broker::{Brokers, parse_broker, parse_brokers, parse_host_port, parse_port};
pub use budget::{Budget, Rate};
pub use fingerprint::Fingerprint;
pub use members::Members;
pub use metric_list::{Datapoint, MetricList, Tag};
pub use secret::Secret;
pub use seq::Seq;
pub use topic::{IllegalTopic, RecordTopic, TOPIC_LENGTH_MAX, TopicName};
