//! For the tests of this module and of its users: records of any shape, written the ways that writers write them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::schema::{MAGIC, METRIC_LIST, Marker};
use super::varint::{length, write_bytes, write_long};
use crate::record::{Datapoint, MetricList, Tag, tag_key};

/// How a writer lays arrays out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Items of an array block at most.
    pub(crate) block_items: usize,
    /// Counts are negative, with a size in bytes behind them.
    pub(crate) sized: bool,
}

/// One block an array, as the Mesos module writes.
pub(crate) const PLAIN: Layout = Layout { block_items: usize::MAX, sized: false };

pub(crate) fn layouts() -> impl Strategy<Value = Layout> {
    let items = prop_oneof![Just(usize::MAX), 1usize..4];
    (items, any::<bool>()).prop_map(|(block_items, sized)| Layout { block_items, sized })
}

const KEYS: [&[u8]; 6] = [
    tag_key::AGENT_ID,
    tag_key::FRAMEWORK_NAME,
    tag_key::APPLICATION_NAME,
    tag_key::CONTAINER_ID,
    tag_key::FRAMEWORK_ID,
    tag_key::EXECUTOR_ID,
];

/// Any bytes; often a key that matters, seldom long.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..12),
        3 => proptest::sample::select(&KEYS).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 60..200),
    ]
}

/// Records of any bytes and any doubles.
pub(crate) fn records() -> impl Strategy<Value = MetricList> {
    let tag = (texts(), texts()).prop_map(|(key, value)| Tag { key, value });
    let time = prop_oneof![Just(1_466_000_000_000), any::<i64>()];
    let value = any::<u64>().prop_map(f64::from_bits);
    let datapoint =
        (texts(), time, value).prop_map(|(name, time_ms, value)| Datapoint { name, time_ms, value });
    (texts(), vec(tag, 0..8), vec(datapoint, 0..8)).prop_map(|(topic, tags, datapoints)| MetricList {
        topic,
        tags,
        datapoints,
    })
}

/// [`records`] that equal themselves: no value is NaN.
pub(crate) fn comparable_records() -> impl Strategy<Value = MetricList> {
    records().prop_map(|mut record| {
        for datapoint in &mut record.datapoints {
            datapoint.value = if datapoint.value.is_nan() { 0.0 } else { datapoint.value };
        }
        record
    })
}

/// [`comparable_records`] that apache-avro can read: all texts are UTF-8.
pub(crate) fn utf8_records() -> impl Strategy<Value = MetricList> {
    comparable_records().prop_map(|mut record| {
        let tags = record.tags.iter_mut().flat_map(|tag| [&mut tag.key, &mut tag.value]);
        let names = record.datapoints.iter_mut().map(|datapoint| &mut datapoint.name);
        for text in tags.chain(names).chain([&mut record.topic]) {
            *text = String::from_utf8_lossy(text).into_owned().into_bytes();
        }
        record
    })
}

pub(crate) fn write_record(record: &MetricList, layout: Layout, out: &mut Vec<u8>) {
    write_bytes(&record.topic, out);
    write_array(&record.tags, layout, out, |tag, out| {
        write_bytes(&tag.key, out);
        write_bytes(&tag.value, out);
    });
    write_array(&record.datapoints, layout, out, |datapoint, out| {
        write_bytes(&datapoint.name, out);
        write_long(datapoint.time_ms, out);
        out.extend(datapoint.value.to_le_bytes());
    });
}

fn write_array<T>(items: &[T], layout: Layout, out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    for block in items.chunks(layout.block_items.min(items.len().max(1))) {
        let mut bytes = Vec::new();
        for item in block {
            write(item, &mut bytes);
        }
        if layout.sized {
            write_long(-length(block.len()), out);
            write_long(length(bytes.len()), out);
        } else {
            write_long(length(block.len()), out);
        }
        out.extend(bytes);
    }
    write_long(0, out);
}

pub(crate) fn write_header(marker: &Marker, codec: Option<&str>, out: &mut Vec<u8>) {
    out.extend(MAGIC);
    write_long(1 + i64::from(codec.is_some()), out);
    if let Some(codec) = codec {
        write_bytes(b"avro.codec", out);
        write_bytes(codec.as_bytes(), out);
    }
    write_bytes(b"avro.schema", out);
    write_bytes(METRIC_LIST.as_bytes(), out);
    write_long(0, out);
    out.extend(marker);
}

pub(crate) fn write_block(records: &[MetricList], layout: Layout, marker: &Marker, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    for record in records {
        write_record(record, layout, &mut body);
    }
    write_long(length(records.len()), out);
    write_bytes(&body, out);
    out.extend(marker);
}

/// Fields of a schema like ours.
pub(crate) const TOPIC: &str = r#"{"name":"topic","type":"string"}"#;
pub(crate) const TAGS: &str = r#"{"name":"tags","type":{"type":"array","items":{"type":"record","name":"Tag","fields":[
    {"name":"key","type":"string"},{"name":"value","type":"string"}]}}}"#;
pub(crate) const DATAPOINTS: &str = r#"{"name":"datapoints","type":{"type":"array","items":{"type":"record","name":"Datapoint","fields":[
    {"name":"name","type":"string"},{"name":"time_ms","type":"long"},{"name":"value","type":"double"}]}}}"#;
/// Of the dialect of May 2016.
pub(crate) const METRICS: &str = r#"{"name":"metrics","type":{"type":"array","items":{"type":"record","name":"Metric","fields":[
    {"name":"name","type":"string"},
    {"name":"datapoints","type":{"type":"array","items":{"type":"record","name":"Datapoint","fields":[
        {"name":"time","type":"long"},{"name":"value","type":"double"}]}}}]}}}"#;

/// The schema of a record with these fields.
pub(crate) fn schema_of(fields: &[&str]) -> String {
    format!(r#"{{"type":"record","name":"MetricList","fields":[{}]}}"#, fields.join(","))
}

/// A record of one datapoint, told apart by its value.
pub(crate) fn numbered(topic: &str, value: u32) -> MetricList {
    MetricList {
        topic: topic.into(),
        tags: vec![Tag::new("k", "v")],
        datapoints: vec![Datapoint { name: b"n".to_vec(), time_ms: 1, value: value.into() }],
    }
}

/// What streams are made of whose blocks end with `ours`, whole and broken.
pub(crate) fn pieces(ours: Marker) -> impl Strategy<Value = Vec<u8>> {
    const OTHER: Marker = [7; 16];
    let block = |marker: Marker, records: usize| {
        let mut bytes = Vec::new();
        write_block(&vec![numbered("t", 1); records], PLAIN, &marker, &mut bytes);
        bytes
    };
    let header = |marker: Marker| {
        let mut bytes = Vec::new();
        write_header(&marker, None, &mut bytes);
        bytes
    };
    let cut = |bytes: Vec<u8>| (0..=bytes.len()).prop_map(move |at| bytes[..at].to_vec());
    let marker = prop_oneof![4 => Just(ours), 1 => Just(OTHER)];
    prop_oneof![
        2 => vec(any::<u8>(), 0..40),
        // Counts and sizes that lead anywhere.
        2 => (0i64..3, -1i64..200).prop_map(|(count, size)| {
            let mut bytes = Vec::new();
            write_long(count, &mut bytes);
            write_long(size, &mut bytes);
            bytes
        }),
        3 => marker.clone().prop_map(|marker| marker.to_vec()),
        4 => (marker.clone(), 0usize..4).prop_map(move |(marker, records)| block(marker, records)),
        1 => (marker.clone(), 0usize..4).prop_flat_map(move |(marker, records)| cut(block(marker, records))),
        2 => marker.clone().prop_map(header),
        1 => marker.prop_flat_map(move |marker| cut(header(marker))),
    ]
}
