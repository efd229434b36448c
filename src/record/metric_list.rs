//! Records as values, for those who make them one by one and for tests.

/// One record of schema `dcos.metrics.MetricList`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricList {
    /// What the record is filed under; the Kafka topic is the configured prefix and this.
    pub topic: Vec<u8>,
    /// In order; keys may repeat, keys and values may be empty.
    pub tags: Vec<Tag>,
    /// In order; times may go up and down.
    pub datapoints: Vec<Datapoint>,
}

/// A label of a whole record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// May be empty, and may occur again.
    pub key: Vec<u8>,
    /// May be empty.
    pub value: Vec<u8>,
}

impl Tag {
    /// A tag of two texts.
    #[must_use]
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Tag {
        Tag { key: key.into(), value: value.into() }
    }
}

/// One value of one metric at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Datapoint {
    /// May be empty.
    pub name: Vec<u8>,
    /// Milliseconds since the Unix epoch; may be negative.
    pub time_ms: i64,
    /// Any double: NaN and infinities included.
    pub value: f64,
}
