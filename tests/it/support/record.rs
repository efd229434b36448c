//! Records as the tests compare them, and how apache-avro reads them from an object container file.

use apache_avro::Reader;
use serde::Deserialize;

/// One `MetricList`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename = "MetricList")]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) tags: Vec<Tag>,
    pub(crate) datapoints: Vec<Datapoint>,
}

/// One tag of a record.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// One datapoint of a record.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Datapoint {
    pub(crate) name: String,
    pub(crate) time_ms: i64,
    pub(crate) value: f64,
}

impl Record {
    /// A record of one datapoint, whose value is `number`: by it a test finds the record again.
    pub(crate) fn numbered(topic: &str, number: u32) -> Record {
        Record {
            topic: topic.to_owned(),
            tags: vec![Tag::new("container_id", "c-1")],
            datapoints: vec![Datapoint {
                name: "number".to_owned(),
                time_ms: 1_470_000_000_000 + i64::from(number),
                value: f64::from(number),
            }],
        }
    }

    /// The number of a [`Record::numbered`].
    pub(crate) fn number(&self) -> u32 {
        let value = self.datapoints[0].value;
        assert!(value >= 0.0 && value.fract() == 0.0, "not a numbered record: {self:?}");
        #[expect(clippy::cast_sign_loss, reason = "checked above")]
        let number = value as u32;
        number
    }

    /// The same record with one more tag.
    #[must_use]
    pub(crate) fn with_tag(mut self, key: &str, value: &str) -> Record {
        self.tags.push(Tag::new(key, value));
        self
    }
}

impl Tag {
    pub(crate) fn new(key: &str, value: &str) -> Tag {
        Tag { key: key.to_owned(), value: value.to_owned() }
    }
}

/// Records `numbers` of `topic`.
pub(crate) fn numbered(topic: &str, numbers: std::ops::Range<u32>) -> Vec<Record> {
    numbers.map(|n| Record::numbered(topic, n)).collect()
}

/// Every record of an object container file, as apache-avro reads it.
pub(crate) fn decode(file: &[u8]) -> Result<Vec<Record>, String> {
    let reader = Reader::new(file).map_err(|e| format!("not an object container file: {e}"))?;
    reader.into_deser_iter().collect::<Result<_, _>>().map_err(|e| format!("not a MetricList: {e}"))
}

/// The records of an object container stream that goes on: those before its last, half-sent block.
pub(crate) fn decode_begun(stream: &[u8]) -> Vec<Record> {
    let Ok(reader) = Reader::new(stream) else { return Vec::new() };
    reader.into_deser_iter().map_while(Result::ok).collect()
}
