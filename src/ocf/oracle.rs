//! For tests: records as apache-avro reads them, and records to try.

use apache_avro::Reader;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;

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
struct Record201605 {
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
    let point = |p: Point| Datapoint { name: p.name.into(), time_ms: p.time_ms, value: p.value };
    let record = |r: Record| MetricList {
        topic: r.topic.into(),
        tags: r.tags.into_iter().map(|tag| Tag::new(tag.key, tag.value)).collect(),
        datapoints: r.datapoints.into_iter().map(point).collect(),
    };
    records(file).into_iter().map(record).collect()
}

/// The records of a file of the 2016-05 dialect, a line each: `topic key=value metric[time:value ...]`.
pub(crate) fn read_2016_05(file: &[u8]) -> Vec<String> {
    let sample = |sample: &Sample| format!("{}:{}", sample.time, sample.value);
    let line = |record: &Record201605| {
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

/// Records whose texts are UTF-8 and whose values equal themselves, as the oracle can only give back such.
pub(crate) fn utf8_record() -> impl Strategy<Value = MetricList> {
    let text = || ".{0,12}".prop_map(String::into_bytes);
    record(text().boxed(), prop::num::f64::ANY.prop_filter("NaN", |value| !value.is_nan()).boxed())
}

/// Records of any bytes; values are never NaN, so that they can be compared.
pub(crate) fn any_record() -> impl Strategy<Value = MetricList> {
    let bytes = prop::collection::vec(any::<u8>(), 0..12);
    record(bytes.boxed(), prop::num::f64::ANY.prop_filter("NaN", |value| !value.is_nan()).boxed())
}

fn record(text: BoxedStrategy<Vec<u8>>, value: BoxedStrategy<f64>) -> impl Strategy<Value = MetricList> {
    let tag = (text.clone(), text.clone()).prop_map(|(key, value)| Tag { key, value });
    let datapoint = (text.clone(), any::<i64>(), value).prop_map(|(name, time_ms, value)| Datapoint {
        name,
        time_ms,
        value,
    });
    (text, prop::collection::vec(tag, 0..5), prop::collection::vec(datapoint, 0..5))
        .prop_map(|(topic, tags, datapoints)| MetricList { topic, tags, datapoints })
}
