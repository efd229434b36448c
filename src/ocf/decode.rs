//! Reads records and whole files back into values: for logs, the demonstration and tests. The line itself walks
//! records and never comes here.

use std::fmt::{self, Write as _};

use super::cursor::Cursor;
use super::fault::NoRecord;
use super::schema::{MAGIC, METRIC_LIST, Marker};
use crate::record::{Datapoint, MetricList, Tag};

/// Reads the record of our schema at `*at` and moves `*at` behind it.
///
/// Arrays may come in several blocks, also with negative counts and their sizes. Nothing is allocated for a count
/// alone: every item is read before there is room for it. `None`, and `*at` unmoved: the bytes are no record.
#[must_use]
pub fn decode_record(bytes: &[u8], at: &mut usize) -> Option<MetricList> {
    // A place behind the end is no place in the bytes.
    bytes.get(*at..)?;
    let mut cursor = Cursor::new(bytes, *at);
    let record = record(&mut cursor).ok()?;
    *at = cursor.at();
    Some(record)
}

/// Reads a whole object container file of our schema, of any number of blocks, that has no codec.
///
/// # Errors
/// What is wrong with the file, and at which byte.
pub fn decode_file(bytes: &[u8]) -> Result<Vec<MetricList>, String> {
    let mut cursor = Cursor::new(bytes, 0);
    if cursor.array() != Ok(*MAGIC) {
        return Err("the file does not begin with \"Obj\" and 1: it is no Avro object container file".into());
    }
    let torn = |at: usize, what: &str| format!("no whole {what} at byte {at} of {}", bytes.len());
    let metadata = items(&mut cursor, |cursor| Ok((cursor.counted()?, cursor.counted()?)))
        .map_err(|NoRecord| torn(cursor.at(), "metadata map"))?;
    let entry = |name: &[u8]| metadata.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value);
    match entry(b"avro.codec") {
        None | Some(b"null" | b"") => {}
        Some(codec) => return Err(format!("the codec is \"{}\", expected null", codec.escape_ascii())),
    }
    if entry(b"avro.schema") != Some(METRIC_LIST.as_bytes()) {
        return Err("the schema is not dcos.metrics.MetricList as this program writes it".into());
    }
    let marker: Marker = cursor.array().map_err(|NoRecord| torn(cursor.at(), "sync marker"))?;

    let mut records = Vec::new();
    while cursor.left() > 0 {
        let start = cursor.at();
        let (count, body) = block(&mut cursor).map_err(|NoRecord| torn(start, "block"))?;
        if cursor.array() != Ok(marker) {
            return Err(format!("the block at byte {start} does not end with the sync marker"));
        }
        let mut body = Cursor::new(body, 0);
        for i in 0..count {
            let record = record(&mut body).map_err(|NoRecord| {
                format!("record {i} of the block at byte {start} is none of our schema")
            })?;
            records.push(record);
        }
        if body.left() > 0 {
            return Err(format!("the block at byte {start} is longer than its {count} records"));
        }
    }
    Ok(records)
}

fn record(cursor: &mut Cursor<'_>) -> Result<MetricList, NoRecord> {
    Ok(MetricList {
        topic: text(cursor)?,
        tags: items(cursor, |cursor| Ok(Tag { key: text(cursor)?, value: text(cursor)? }))?,
        datapoints: items(cursor, |cursor| {
            Ok(Datapoint { name: text(cursor)?, time_ms: cursor.long()?, value: cursor.double()? })
        })?,
    })
}

fn text(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, NoRecord> {
    cursor.counted().map(<[u8]>::to_vec)
}

/// Count and body of a file's block.
fn block<'a>(cursor: &mut Cursor<'a>) -> Result<(u64, &'a [u8]), NoRecord> {
    Ok((cursor.length()?, cursor.counted()?))
}

/// The items of an array or a map. Every item has at least one byte, so the bytes left bound their number.
fn items<'a, T>(
    cursor: &mut Cursor<'a>,
    mut item: impl FnMut(&mut Cursor<'a>) -> Result<T, NoRecord>,
) -> Result<Vec<T>, NoRecord> {
    let mut items = Vec::new();
    loop {
        let count = cursor.long()?;
        if count == 0 {
            return Ok(items);
        }
        // A negative count comes with the size of its items; one that does not fit is as wrong as any other.
        let size = if count < 0 { Some(cursor.length()?) } else { None };
        let start = cursor.at();
        for _ in 0..count.unsigned_abs() {
            items.push(item(cursor)?);
        }
        if size.is_some_and(|size| size != (cursor.at() - start) as u64) {
            return Err(NoRecord);
        }
    }
}

/// A record as one line for people: topic, tags in braces, datapoints as `name=value@time_ms`; what is long is cut.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a MetricList);

impl Shown<'_> {
    /// Tags that are shown.
    pub const TAGS: usize = 16;
    /// Datapoints that are shown.
    pub const DATAPOINTS: usize = 8;
    /// Bytes of a text that are shown.
    pub const TEXT_BYTES: usize = 128;
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MetricList { topic, tags, datapoints } = self.0;
        write!(f, "{} {{", Text(topic))?;
        for (i, tag) in tags.iter().take(Shown::TAGS).enumerate() {
            write!(f, "{}{}={}", if i == 0 { "" } else { ", " }, Text(&tag.key), Text(&tag.value))?;
        }
        if tags.len() > Shown::TAGS {
            write!(f, ", ... {} more", tags.len() - Shown::TAGS)?;
        }
        f.write_str("}")?;
        for Datapoint { name, time_ms, value } in datapoints.iter().take(Shown::DATAPOINTS) {
            write!(f, " {}={value}@{time_ms}", Text(name))?;
        }
        if datapoints.len() > Shown::DATAPOINTS {
            write!(f, " ... {} more", datapoints.len() - Shown::DATAPOINTS)?;
        }
        Ok(())
    }
}

/// Bytes as text of one line: control characters and what is not UTF-8 are escaped, the rest stands as it is.
struct Text<'a>(&'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0[..self.0.len().min(Shown::TEXT_BYTES)].utf8_chunks() {
            for c in chunk.valid().chars() {
                // Nothing is quoted here, so quotes may stand.
                if matches!(c, '\'' | '"') { f.write_char(c)? } else { write!(f, "{}", c.escape_debug())? }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        if self.0.len() > Shown::TEXT_BYTES { write!(f, "... ({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ocf::encode::{encode_record, file, header};
    use crate::ocf::testing::comparable_records;
    use crate::ocf::varint::{write_bytes, write_long};

    const MARKER: Marker = *b"0123456789abcdef";

    fn record(topic: &str) -> MetricList {
        MetricList {
            topic: topic.into(),
            tags: vec![Tag::new("k", "v")],
            datapoints: vec![Datapoint { name: b"n".into(), time_ms: 7, value: 1.5 }],
        }
    }

    #[test]
    fn arrays_may_come_in_blocks_and_with_sizes() {
        let mut bytes = Vec::new();
        write_bytes(b"t", &mut bytes);
        // Tags: a block of one, then a block of two with its size.
        bytes.extend([2, 2, b'a', 0]);
        bytes.extend([3, 12, 2, b'b', 0, 2, b'c', 0]);
        bytes.extend([0, 0]);
        let read = decode_record(&bytes, &mut 0).map(|record| record.tags);
        assert_eq!(read, Some(vec![Tag::new("a", ""), Tag::new("b", ""), Tag::new("c", "")]));

        // The size is one byte too large.
        let at = bytes.iter().position(|b| *b == 12).expect("the size");
        bytes[at] = 14;
        assert_eq!(decode_record(&bytes, &mut 0), None);
    }

    #[test]
    fn huge_counts_and_sizes_are_refused_without_room_for_them() {
        for count in [i64::MAX, i64::MIN, 1 << 40, -(1 << 40)] {
            let mut bytes = vec![0];
            write_long(count, &mut bytes);
            bytes.extend([0x7f; 40]);
            assert_eq!(decode_record(&bytes, &mut 0), None, "{count}");
            let mut bytes = Vec::new();
            write_long(count, &mut bytes);
            assert_eq!(decode_record(&bytes, &mut 0), None, "{count}");
        }
    }

    #[test]
    fn files_of_several_blocks_are_read() {
        let mut bytes = file(&[record("a"), record("b")], &MARKER);
        let second = file(&[record("c")], &MARKER);
        bytes.extend_from_slice(&second[585..]);
        assert_eq!(decode_file(&bytes), Ok(vec![record("a"), record("b"), record("c")]));
    }

    #[test]
    fn faults_of_a_file_are_named() {
        let good = file(&[record("a")], &MARKER);
        let mut other_marker = good.clone();
        *other_marker.last_mut().expect("a marker") ^= 1;
        let mut other_schema = Vec::new();
        header("\"long\"", &MARKER, &mut other_schema);
        let mut more_records = good.clone();
        more_records[585] = 4;
        let mut deflate = MAGIC.to_vec();
        deflate.push(2);
        write_bytes(b"avro.codec", &mut deflate);
        write_bytes(b"deflate", &mut deflate);
        deflate.push(0);
        for (bytes, expected) in [
            (&b"Obj\x02"[..], "no Avro object container file"),
            (&good[..300], "no whole metadata map"),
            (&good[..580], "no whole sync marker"),
            (&good[..590], "no whole block at byte 585"),
            (&other_marker, "does not end with the sync marker"),
            (&other_schema, "the schema is not"),
            (&more_records, "record 1 of the block at byte 585"),
            (&deflate, "the codec is \"deflate\""),
        ] {
            let error = decode_file(bytes).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_record_is_shown_on_one_line_and_cut() {
        assert_eq!(Shown(&record("t")).to_string(), "t {k=v} n=1.5@7");
        let mut long = record("t'\n\u{e9}\u{1b}");
        long.topic.push(0xff);
        long.tags[0].value = vec![b'x'; 200];
        long.datapoints = vec![long.datapoints[0].clone(); 10];
        let expected = format!(
            "t'\\n\u{e9}\\u{{1b}}\\xff {{k={}... (200 bytes)}}{} ... 2 more",
            "x".repeat(128),
            " n=1.5@7".repeat(8),
        );
        assert_eq!(Shown(&long).to_string(), expected);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(records in prop::collection::vec(comparable_records(), 0..4)) {
            prop_assert_eq!(decode_file(&file(&records, &MARKER)), Ok(records.clone()));
            let mut bytes = Vec::new();
            for record in &records {
                encode_record(record, &mut bytes);
            }
            let mut at = 0;
            for record in records {
                let start = at;
                let mut end = at;
                prop_assert!(decode_record(&bytes, &mut end).is_some());
                for cut in start..end {
                    prop_assert_eq!(decode_record(&bytes[..cut], &mut at), None);
                    prop_assert_eq!(at, start);
                }
                prop_assert_eq!(decode_record(&bytes, &mut at), Some(record));
            }
            prop_assert_eq!(at, bytes.len());
        }

        #[test]
        fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..220) {
            let _ = decode_record(&bytes, &mut at.clone());
            let mut file = file(&[], &MARKER);
            file.extend_from_slice(&bytes);
            let _ = decode_file(&file);
            let _ = decode_file(&bytes);
        }
    }
}
