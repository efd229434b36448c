//! Writes records and whole files: for those who make records one by one, and for tests. The line itself copies
//! records as bytes and never comes here.

use std::collections::HashMap;

use super::schema::{MAGIC, METRIC_LIST, Marker};
use super::varint::{length, write_bytes, write_long};
use crate::record::{Datapoint, MetricList, Tag};

/// Schema of the records that the first sample producer sent, in May 2016: datapoints are grouped by metric.
/// Written by the same rules as [`METRIC_LIST`].
pub const METRIC_LIST_MAY_2016: &str = concat!(
    r#"{"fields":[{"name":"topic","type":"string"},"#,
    r#"{"name":"tags","type":{"items":{"fields":[{"name":"key","type":"string"},{"name":"value","type":"string"}],"#,
    r#""name":"Tag","namespace":"dcos.metrics","type":"record"},"type":"array"}},"#,
    r#"{"name":"metrics","type":{"items":{"fields":[{"name":"name","type":"string"},"#,
    r#"{"name":"datapoints","type":{"items":{"fields":["#,
    r#"{"logicalType":"timestamp-millis","name":"time","type":"long"},{"name":"value","type":"double"}],"#,
    r#""name":"Datapoint","namespace":"dcos.metrics","type":"record"},"type":"array"}}],"#,
    r#""name":"Metric","namespace":"dcos.metrics","type":"record"},"type":"array"}}],"#,
    r#""name":"MetricList","namespace":"dcos.metrics","type":"record"}"#,
);

/// In which schema a record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// [`METRIC_LIST`]: a flat list of datapoints, each with its name. What everybody has read since 2016-05-13.
    #[default]
    Native,
    /// [`METRIC_LIST_MAY_2016`]: datapoints under the name of their metric.
    May2016,
}

impl Dialect {
    /// The schema text that goes into a header.
    #[must_use]
    pub fn schema(self) -> &'static str {
        match self {
            Dialect::Native => METRIC_LIST,
            Dialect::May2016 => METRIC_LIST_MAY_2016,
        }
    }

    /// Appends `record`. In [`Dialect::May2016`] datapoints of one name come together, at the place of the first.
    pub fn encode_record(self, record: &MetricList, out: &mut Vec<u8>) {
        write_bytes(&record.topic, out);
        encode_tags(&record.tags, out);
        match self {
            Dialect::Native => encode_datapoints(&record.datapoints, out),
            Dialect::May2016 => encode_metrics(&record.datapoints, out),
        }
    }

    /// A whole object container file: header and one block with all `records`, or the header alone where there are
    /// none (old consumers stop reading at a block without records).
    #[must_use]
    pub fn file(self, records: &[MetricList], marker: &Marker) -> Vec<u8> {
        let mut out = Vec::new();
        header(self.schema(), marker, &mut out);
        if records.is_empty() {
            return out;
        }
        let mut body = Vec::new();
        for record in records {
            self.encode_record(record, &mut body);
        }
        write_long(length(records.len()), &mut out);
        write_bytes(&body, &mut out);
        out.extend_from_slice(marker);
        out
    }
}

/// Appends `record` in our schema, [`METRIC_LIST`]; each array is one array block, or none where it is empty.
pub fn encode_record(record: &MetricList, out: &mut Vec<u8>) {
    Dialect::Native.encode_record(record, out);
}

/// A whole file of our schema; see [`Dialect::file`].
#[must_use]
pub fn file(records: &[MetricList], marker: &Marker) -> Vec<u8> {
    Dialect::Native.file(records, marker)
}

/// Appends a file's header: magic, `avro.schema` as the only metadata (no `avro.codec`, which means null), marker.
/// 585 bytes with [`METRIC_LIST`].
pub fn header(schema: &str, marker: &Marker, out: &mut Vec<u8>) {
    header_with(schema, &[], marker, out);
}

/// Appends a file's header with further metadata behind the schema.
pub fn header_with(schema: &str, metadata: &[(&str, &str)], marker: &Marker, out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    write_long(1 + length(metadata.len()), out);
    for (key, value) in [("avro.schema", schema)].iter().chain(metadata) {
        write_bytes(key.as_bytes(), out);
        write_bytes(value.as_bytes(), out);
    }
    write_long(0, out);
    out.extend_from_slice(marker);
}

/// Appends an array: the items as one block, and the block of none that ends it.
fn encode_array<T>(items: &[T], out: &mut Vec<u8>, mut encode: impl FnMut(&T, &mut Vec<u8>)) {
    if !items.is_empty() {
        write_long(length(items.len()), out);
        for item in items {
            encode(item, out);
        }
    }
    write_long(0, out);
}

fn encode_tags(tags: &[Tag], out: &mut Vec<u8>) {
    encode_array(tags, out, |tag, out| {
        write_bytes(&tag.key, out);
        write_bytes(&tag.value, out);
    });
}

fn encode_datapoints(datapoints: &[Datapoint], out: &mut Vec<u8>) {
    encode_array(datapoints, out, |datapoint, out| {
        write_bytes(&datapoint.name, out);
        encode_sample(datapoint, out);
    });
}

/// The array of metrics of [`METRIC_LIST_MAY_2016`].
fn encode_metrics(datapoints: &[Datapoint], out: &mut Vec<u8>) {
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut metrics: Vec<Vec<&Datapoint>> = Vec::new();
    for datapoint in datapoints {
        let place = *places.entry(&datapoint.name).or_insert(metrics.len());
        if place == metrics.len() {
            metrics.push(Vec::new());
        }
        metrics[place].push(datapoint);
    }
    encode_array(&metrics, out, |metric, out| {
        write_bytes(&metric[0].name, out);
        encode_array(metric, out, |datapoint, out| encode_sample(datapoint, out));
    });
}

fn encode_sample(datapoint: &Datapoint, out: &mut Vec<u8>) {
    write_long(datapoint.time_ms, out);
    out.extend_from_slice(&datapoint.value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ocf::oracle;
    use crate::ocf::testing::utf8_records;

    const MARKER: Marker = *b"0123456789abcdef";

    fn datapoint(name: &str, time_ms: i64, value: f64) -> Datapoint {
        Datapoint { name: name.into(), time_ms, value }
    }

    #[test]
    fn headers_have_the_lengths_that_were_seen_on_the_wire() {
        let mut out = Vec::new();
        header(METRIC_LIST, &MARKER, &mut out);
        assert_eq!(out.len(), 585);
        assert_eq!(METRIC_LIST_MAY_2016.len(), 669);
    }

    #[test]
    fn a_record_is_these_bytes() {
        let record = MetricList {
            topic: b"t".into(),
            tags: vec![Tag::new("k", "")],
            datapoints: vec![datapoint("n", -1, 1.0)],
        };
        let mut out = Vec::new();
        encode_record(&record, &mut out);
        let value = 1f64.to_le_bytes();
        let expected = [&[2, b't'][..], &[2, 2, b'k', 0], &[0], &[2, 2, b'n', 1], &value, &[0]].concat();
        assert_eq!(out, expected);

        let mut out = Vec::new();
        encode_record(&MetricList::default(), &mut out);
        assert_eq!(out, [0, 0, 0], "empty arrays have no block of items");
    }

    #[test]
    fn a_file_without_records_is_a_header_alone() {
        let mut alone = Vec::new();
        header(METRIC_LIST, &MARKER, &mut alone);
        assert_eq!(file(&[], &MARKER), alone);
    }

    #[test]
    fn the_dialect_of_may_2016_groups_datapoints_by_metric() {
        let record = MetricList {
            topic: b"t".into(),
            tags: vec![Tag::new("k", "v")],
            datapoints: vec![datapoint("b", 1, 1.5), datapoint("a", 2, 2.5), datapoint("b", 3, 3.5)],
        };
        let file = Dialect::May2016.file(&[record], &MARKER);
        let shown = oracle::read_may_2016(&file);
        let expected = "t k=v b[1:1.5 3:3.5] a[2:2.5]";
        assert_eq!(shown, [expected]);
    }

    proptest! {
        #[test]
        fn apache_avro_reads_what_is_written(records in prop::collection::vec(utf8_records(), 0..5)) {
            prop_assert_eq!(oracle::read(&file(&records, &MARKER)), records);
        }
    }
}
