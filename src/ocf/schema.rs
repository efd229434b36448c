//! Our schema, as it stands on the wire.

/// Schema `dcos.metrics.MetricList` as the Mesos module and the Go programs of 2016 to 2019 write it: no doc
/// strings, sorted keys, no blanks. The same bytes go into every Kafka message, so that a consumer that compares
/// texts sees what it always saw.
pub const METRIC_LIST: &str = concat!(
    r#"{"fields":[{"name":"topic","type":"string"},"#,
    r#"{"name":"tags","type":{"items":{"fields":[{"name":"key","type":"string"},{"name":"value","type":"string"}],"#,
    r#""name":"Tag","namespace":"dcos.metrics","type":"record"},"type":"array"}},"#,
    r#"{"name":"datapoints","type":{"items":{"fields":[{"name":"name","type":"string"},"#,
    r#"{"logicalType":"timestamp-millis","name":"time_ms","type":"long"},{"name":"value","type":"double"}],"#,
    r#""name":"Datapoint","namespace":"dcos.metrics","type":"record"},"type":"array"}}],"#,
    r#""name":"MetricList","namespace":"dcos.metrics","type":"record"}"#,
);

/// Full name of [`METRIC_LIST`].
pub const METRIC_LIST_NAME: &str = "dcos.metrics.MetricList";

/// First bytes of an object container file.
pub const MAGIC: &[u8; 4] = b"Obj\x01";

/// Bytes of a sync marker.
pub const MARKER_BYTES: usize = 16;

/// A sync marker.
pub type Marker = [u8; MARKER_BYTES];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::header;
    use crate::ocf::limits::Limits;

    #[test]
    fn the_text_is_the_one_that_the_mesos_module_writes() {
        let captured = include_bytes!("../../tests/data/streams/module-mesos101.ocf");
        let header = header::read(captured, &Limits::default()).unwrap().unwrap();
        assert_eq!(str::from_utf8(header.schema), Ok(METRIC_LIST));
    }
}
