//! Writes object container streams byte by byte from the Avro specification, so that tests can also write odd and
//! broken ones. Shares no code with the collector.

use super::record::Record;

/// The schema as the senders of 2016 to 2019 wrote it: as it stands in what the Mesos module sent.
pub(crate) const SCHEMA: &str = {
    const CAPTURED: &[u8] = include_bytes!("../../data/streams/module-mesos101.ocf");
    // Behind magic, count, the entry avro.codec with value null, and the key avro.schema, each with its length.
    let from_schema = CAPTURED.split_at(4 + 1 + (1 + 10) + (1 + 4) + (1 + 11)).1;
    // Its length of two bytes, zig-zag.
    let length = ((from_schema[1] as usize) << 7 | (from_schema[0] as usize & 0x7f)) >> 1;
    match str::from_utf8(from_schema.split_at(2).1.split_at(length).0) {
        Ok(text) => text,
        Err(_) => panic!("a schema is text"),
    }
};

/// The marker that the Mesos module always uses.
pub(crate) const MARKER: &[u8; 16] = b"FEFEFEFEFEFEFEFE";

/// An Avro `long`.
pub(crate) fn long(n: i64) -> Vec<u8> {
    let mut rest = (n << 1 ^ n >> 63).cast_unsigned();
    let mut out = Vec::new();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out
}

/// A length or a count.
pub(crate) fn size(n: usize) -> Vec<u8> {
    long(i64::try_from(n).expect("sizes in tests are small"))
}

/// An Avro `string` or `bytes`.
pub(crate) fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&size(bytes.as_ref().len())[..], bytes.as_ref()].concat()
}

/// How items are cut into array or map blocks.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Blocks {
    /// All in one, as the Mesos module does.
    One,
    /// One block an item, each with a negative count and its size in bytes, which the specification also allows.
    NegativeCounts,
}

fn items(items: &[Vec<u8>], blocks: Blocks) -> Vec<u8> {
    let mut out = Vec::new();
    if blocks == Blocks::NegativeCounts {
        for item in items {
            out.extend([long(-1), string(item)].concat());
        }
    } else if !items.is_empty() {
        out.extend(size(items.len()));
        out.extend(items.concat());
    }
    out.push(0);
    out
}

/// The magic, the metadata and the marker. No `codec` entry where it is `None`.
pub(crate) fn header(schema: &str, codec: Option<&str>) -> Vec<u8> {
    header_in(schema, codec, Blocks::One)
}

/// [`header`], its metadata cut as `blocks` says.
pub(crate) fn header_in(schema: &str, codec: Option<&str>, blocks: Blocks) -> Vec<u8> {
    let mut entries: Vec<_> =
        codec.iter().map(|codec| [string("avro.codec"), string(codec)].concat()).collect();
    entries.push([string("avro.schema"), string(schema)].concat());
    [&b"Obj\x01"[..], &items(&entries, blocks), MARKER].concat()
}

/// One record's body.
pub(crate) fn body(record: &Record, blocks: Blocks) -> Vec<u8> {
    let tags: Vec<_> = record.tags.iter().map(|t| [string(&t.key), string(&t.value)].concat()).collect();
    let datapoints: Vec<_> = record
        .datapoints
        .iter()
        .map(|d| [string(&d.name), long(d.time_ms), d.value.to_le_bytes().to_vec()].concat())
        .collect();
    [string(&record.topic), items(&tags, blocks), items(&datapoints, blocks)].concat()
}

/// A block of these bytes, which hold `records` records.
pub(crate) fn raw_block(records: usize, bytes: &[u8]) -> Vec<u8> {
    [&size(records)[..], &string(bytes), MARKER].concat()
}

/// The bodies of `records`, one behind the other.
pub(crate) fn bodies(records: &[Record]) -> Vec<u8> {
    records.iter().flat_map(|r| body(r, Blocks::One)).collect()
}

/// A block without compression.
pub(crate) fn block(records: &[Record]) -> Vec<u8> {
    raw_block(records.len(), &bodies(records))
}

/// A whole stream as the Mesos module would write it: at most 100 records a block.
pub(crate) fn stream(records: &[Record]) -> Vec<u8> {
    let mut out = header(SCHEMA, Some("null"));
    for some in records.chunks(100) {
        out.extend(block(some));
    }
    out
}
