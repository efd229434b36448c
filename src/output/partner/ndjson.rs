//! Records as JSON, one object a line, in the shape of the Avro schema.
//!
//! What JSON has no form for has this one: a text that is not UTF-8 is an object of one field, `{"hex":"6d80"}`, with
//! its bytes; NaN and the infinities are the texts `"NaN"`, `"Infinity"`, `"-Infinity"`. All else is as it is: a double
//! has as many digits as it needs to be read back, and keys of tags may repeat, so that tags are a list.

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::record::{Datapoint, MetricList, Tag};

/// Appends `record` as a line.
pub fn write(record: &MetricList, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"topic\":");
    text(&record.topic, out);
    out.extend_from_slice(b",\"tags\":[");
    for (i, Tag { key, value }) in record.tags.iter().enumerate() {
        out.extend_from_slice(if i == 0 { &b"{\"key\":"[..] } else { b",{\"key\":" });
        text(key, out);
        out.extend_from_slice(b",\"value\":");
        text(value, out);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"datapoints\":[");
    for (i, Datapoint { name, time_ms, value }) in record.datapoints.iter().enumerate() {
        out.extend_from_slice(if i == 0 { &b"{\"name\":"[..] } else { b",{\"name\":" });
        text(name, out);
        out.extend_from_slice(b",\"time_ms\":");
        json(time_ms, out);
        out.extend_from_slice(b",\"value\":");
        double(*value, out);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}\n");
}

/// Reads a line that [`write()`] wrote. None: it is none.
#[must_use]
pub fn read(line: &[u8]) -> Option<MetricList> {
    let record: Written = serde_json::from_slice(line).ok()?;
    let tags =
        record.tags.into_iter().map(|tag| Some(Tag { key: tag.key.bytes()?, value: tag.value.bytes()? }));
    let datapoints = record.datapoints.into_iter().map(|point| {
        Some(Datapoint { name: point.name.bytes()?, time_ms: point.time_ms, value: point.value.double()? })
    });
    Some(MetricList {
        topic: record.topic.bytes()?,
        tags: tags.collect::<Option<_>>()?,
        datapoints: datapoints.collect::<Option<_>>()?,
    })
}

#[derive(Deserialize)]
struct Written {
    topic: Text,
    tags: Vec<WrittenTag>,
    datapoints: Vec<WrittenDatapoint>,
}

#[derive(Deserialize)]
struct WrittenTag {
    key: Text,
    value: Text,
}

#[derive(Deserialize)]
struct WrittenDatapoint {
    name: Text,
    time_ms: i64,
    value: Double,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Other { hex: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Double {
    Number(f64),
    Word(String),
}

impl Text {
    fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Text::Utf8(text) => Some(text.into_bytes()),
            Text::Other { hex } => hex
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
                .collect(),
        }
    }
}

impl Double {
    fn double(self) -> Option<f64> {
        match self {
            Double::Number(value) => Some(value),
            Double::Word(word) => match word.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                _ => None,
            },
        }
    }
}

/// Appends what `serde_json` makes of it.
fn json(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("texts and finite numbers are JSON, and a Vec takes all");
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    if let Ok(text) = str::from_utf8(bytes) {
        json(&text, out);
    } else {
        out.extend_from_slice(b"{\"hex\":\"");
        for byte in bytes {
            write!(out, "{byte:02x}").expect("a Vec takes all");
        }
        out.extend_from_slice(b"\"}");
    }
}

fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        json(&value, out);
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        out.extend_from_slice(if value > 0.0 { &b"\"Infinity\""[..] } else { b"\"-Infinity\"" });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ocf::testing::comparable_records;

    proptest! {
        #[test]
        fn what_is_written_is_read(record in comparable_records()) {
            let mut line = Vec::new();
            write(&record, &mut line);
            prop_assert_eq!(memchr::memchr(b'\n', &line), Some(line.len() - 1), "one line");
            prop_assert_eq!(read(&line), Some(record));
        }
    }

    #[test]
    fn what_json_cannot_say_has_a_form_of_its_own() {
        let value = |name: &str, value| Datapoint { name: name.into(), time_ms: -7, value };
        let record = MetricList {
            topic: b"a\"\n\x01".into(),
            tags: vec![Tag::new("k", ""), Tag::new("k", vec![0x6d, 0x80])],
            datapoints: vec![
                value("nan", f64::NAN),
                value("inf", f64::INFINITY),
                value("-inf", f64::NEG_INFINITY),
                value("tenth", 0.1),
                value("one", 1.0),
                value("large", 1e300),
                value("-0", -0.0),
            ],
        };
        let mut out = Vec::new();
        write(&record, &mut out);
        let expected = concat!(
            r#"{"topic":"a\"\n\u0001","tags":[{"key":"k","value":""},{"key":"k","value":{"hex":"6d80"}}],"#,
            r#""datapoints":[{"name":"nan","time_ms":-7,"value":"NaN"},"#,
            r#"{"name":"inf","time_ms":-7,"value":"Infinity"},{"name":"-inf","time_ms":-7,"value":"-Infinity"},"#,
            r#"{"name":"tenth","time_ms":-7,"value":0.1},{"name":"one","time_ms":-7,"value":1.0},"#,
            r#"{"name":"large","time_ms":-7,"value":1e+300},{"name":"-0","time_ms":-7,"value":-0.0}]}"#,
            "\n"
        );
        assert_eq!(str::from_utf8(&out).unwrap(), expected);
        serde_json::from_slice::<serde_json::Value>(&out).unwrap();
    }
}
