//! For tests: records as apache-avro reads them.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::{Reader, Schema, from_value};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::METRIC_LIST;

use crate::record::{Datapoint, MetricList, Tag};

#[derive(Deserialize)]
#[serde(rename = "MetricList")]
struct Record {
    topic: String,
    tags: Vec<Pair>,
    datapoints: Vec<Point>,
}

#[derive(Deserialize)]
#[serde(rename = "Tag")]
struct Pair {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename = "Datapoint")]
struct Point {
    name: String,
    time_ms: i64,
    value: f64,
}

#[derive(Deserialize)]
#[serde(rename = "MetricList")]
struct RecordMay2016 {
    topic: String,
    tags: Vec<Pair>,
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    datapoints: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(rename = "Datapoint")]
struct Sample {
    time: i64,
    value: f64,
}

fn records<T: DeserializeOwned>(file: &[u8]) -> Vec<T> {
    let reader = Reader::new(file).expect("a header");
    reader.into_deser_iter().map(|record| record.expect("a record")).collect()
}

/// The records of a file of our schema.
pub(crate) fn read(file: &[u8]) -> Vec<MetricList> {
    records::<Record>(file).into_iter().map(MetricList::from).collect()
}

/// The one record of our schema that these bytes are.
pub(crate) fn read_record(mut bytes: &[u8]) -> MetricList {
    let schema = Schema::parse_str(METRIC_LIST).expect("a schema");
    let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
    let value = reader.read_value(&mut bytes).expect("a record");
    assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
    from_value::<Record>(&value).expect("a record of ours").into()
}

impl From<Record> for MetricList {
    fn from(record: Record) -> MetricList {
        let point = |p: Point| Datapoint { name: p.name.into(), time_ms: p.time_ms, value: p.value };
        MetricList {
            topic: record.topic.into(),
            tags: record.tags.into_iter().map(|tag| Tag::new(tag.key, tag.value)).collect(),
            datapoints: record.datapoints.into_iter().map(point).collect(),
        }
    }
}

/// The records of a file of the dialect of May 2016, a line each: `topic key=value metric[time:value ...]`.
pub(crate) fn read_may_2016(file: &[u8]) -> Vec<String> {
    let sample = |sample: &Sample| format!("{}:{}", sample.time, sample.value);
    let line = |record: &RecordMay2016| {
        let tags = record.tags.iter().map(|tag| format!("{}={}", tag.key, tag.value));
        let metrics = record.metrics.iter().map(|metric| {
            let samples: Vec<String> = metric.datapoints.iter().map(sample).collect();
            format!("{}[{}]", metric.name, samples.join(" "))
        });
        let words: Vec<String> = std::iter::once(record.topic.clone()).chain(tags).chain(metrics).collect();
        words.join(" ")
    };
    records(file).iter().map(line).collect()
}
