//! What should arrive, worked out the slow and plain way.

use std::collections::BTreeMap;

use super::record::{self, Record};

/// The records of `stream` as they should reach Kafka: by topic, in their order, each with the tags of `added` that
/// it has not already got, behind its own.
pub(crate) fn expected(stream: &[u8], added: &[(&str, &str)]) -> BTreeMap<String, Vec<Record>> {
    let mut by_topic: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in record::decode(stream).expect("the test's own stream is a good one") {
        by_topic.entry(record.topic.clone()).or_default().push(tagged(record, added));
    }
    by_topic
}

fn tagged(mut record: Record, added: &[(&str, &str)]) -> Record {
    for (key, value) in added {
        if !record.tags.iter().any(|tag| tag.key == *key) {
            record = record.with_tag(key, value);
        }
    }
    record
}
