//! For tests: what arrived in a Kafka topic.

use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, FromClientConfig};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};

/// Key and value of the first `n` messages in partition 0 of `topic`.
pub(crate) fn consume(
    kafka: &MockCluster<'_, DefaultProducerContext>,
    topic: &str,
    n: usize,
) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
    let mut properties = ClientConfig::new();
    properties.set("bootstrap.servers", kafka.bootstrap_servers()).set("group.id", "test");
    let consumer = BaseConsumer::from_config(&properties).expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&partitions).expect("an assignment");
    let end = Instant::now() + Duration::from_secs(20);
    let mut messages = Vec::new();
    while messages.len() < n {
        assert!(Instant::now() < end, "{} of {n} messages arrived", messages.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.expect("a message");
            let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            messages.push((bytes(message.key()), bytes(message.payload()).expect("a value")));
        }
    }
    messages
}
