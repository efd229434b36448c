//! What hostile senders send: one case for each way to make a reader of Avro take more memory than it was given bytes.

use std::rc::Rc;
use std::time::Duration;

use metrics_collector::ocf::METRIC_LIST;

use super::deflate;
use crate::data::{self, MARKER, Random, header, header_with, write_bytes, write_long};

/// Block bytes that the collector takes by default.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// Decompressed bytes of a block that it takes by default.
const DECOMPRESSED_BYTES_MAX: usize = 4 << 20;

/// Bytes of a piece that is sent over and over.
const PIECE: usize = 64 * 1024;

/// One way to attack.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What a connection sends first; the argument is different for each connection.
    pub(crate) first: Make,
    pub(crate) then: Then,
}

/// Makes bytes from a number that is never the same twice.
pub(crate) type Make = Box<dyn Fn(u64) -> Rc<[u8]>>;

/// What a connection does after its first bytes.
pub(crate) enum Then {
    /// Nothing: it stays open.
    Hold,
    /// Sends this over and over, as fast as it is taken.
    Again(Make),
    /// The same, with one write for each byte.
    Bytewise(Make),
    /// Sends this many bytes once each pause, up to the total, and then stays open.
    Drip { bytes: usize, pause: Duration, total: usize },
}

/// Names of all cases.
pub(crate) const NAMES: [&str; 27] = [
    "block-size-1tb",
    "block-size-500mb-cut",
    "block-count-min",
    "string-400mb",
    "string-max",
    "array-2e9",
    "array-count-min",
    "header-entries-1e9",
    "header-value-400mb",
    "empty-tags-4mb",
    "empty-tags-1mb",
    "empty-records",
    "deflate-bomb",
    "snappy-4gb",
    "schema-nested",
    "schemas-unlike",
    "blocks-half-sent",
    "garbage",
    "garbage-blocks",
    "topics-invented",
    "topics-200kb",
    "counts-lying",
    "inflated-zstandard",
    "inflated-deflate",
    "heads-false",
    "bytes-single",
    "blocks-empty",
];

/// The case of that name.
pub(crate) fn case(name: &str) -> Option<Case> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let (first, then) = match name {
        "block-size-1tb" => (made(&[&header(), &longs(&[1, 1_000_000_000_000])]), again(&vec![b'x'; PIECE])),
        "block-size-500mb-cut" => (made(&[&header(), &longs(&[1, 500_000_000]), &[b'x'; 100]]), Then::Hold),
        "block-count-min" => {
            (made(&[&header()]), again(&[&longs(&[i64::MIN, 64])[..], &[0; 64], MARKER].concat()))
        }
        "string-400mb" => blocks(&longs(&[400_000_000])),
        "string-max" => blocks(&longs(&[i64::MAX])),
        "array-2e9" => blocks(&longs(&[0, 2_000_000_000])),
        "array-count-min" => blocks(&longs(&[0, i64::MIN, i64::MAX])),
        "header-entries-1e9" => (made(&[b"Obj\x01", &longs(&[1_000_000_000])]), again(&entries())),
        "header-value-400mb" => {
            let mut key = Vec::new();
            write_bytes(b"avro.schema", &mut key);
            (made(&[b"Obj\x01", &longs(&[1]), &key, &longs(&[400_000_000])]), again(&vec![b'x'; PIECE]))
        }
        "empty-tags-4mb" => (made(&[&header()]), again(&empty_tags(4_000_000))),
        "empty-tags-1mb" => (made(&[&header()]), again(&empty_tags(1_000_000))),
        "empty-records" => {
            // A record of empty topic, no tags and no datapoints is three zero bytes.
            let records = DECOMPRESSED_BYTES_MAX / 3;
            let body = deflate::compressed(&vec![0; records * 3]);
            (made(&[&header_of("deflate")]), again(&data::block(records, &body)))
        }
        "deflate-bomb" => {
            (made(&[&header_of("deflate")]), again(&data::block(1, &deflate::zeros(1_000_000_000))))
        }
        "snappy-4gb" => {
            let body = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0; 20]].concat();
            (made(&[&header_of("snappy")]), again(&data::block(1, &body)))
        }
        "schema-nested" => {
            let deep = |n| format!("{}\"long\"{}", r#"{"type":"array","items":"#.repeat(n), "}".repeat(n));
            (made(&[&header_with(&[(b"avro.schema", deep(2_000).as_bytes())])]), Then::Hold)
        }
        "schemas-unlike" => (Box::new(unlike_schema) as Make, Then::Hold),
        "blocks-half-sent" => {
            let size = BLOCK_BYTES_MAX as i64;
            let pause = Duration::from_millis(250);
            // An eighth of a block each second: all but the last byte within the time of an attack.
            let then = Then::Drip { bytes: BLOCK_BYTES_MAX / 32, pause, total: BLOCK_BYTES_MAX - 1 };
            (made(&[&header(), &longs(&[1, size])]), then)
        }
        "garbage" => (made(&[]), again(&garbage())),
        "garbage-blocks" => (made(&[&header()]), again(&garbage())),
        "topics-invented" => {
            (made(&[&header()]), Then::Again(Box::new(|number| invented_topics(number, 100))))
        }
        "topics-200kb" => (made(&[&header_of("zstandard")]), Then::Again(long_topics())),
        "counts-lying" => (made(&[&header()]), Then::Again(Box::new(|number| invented_topics(number, 101)))),
        "inflated-zstandard" => {
            (made(&[&header_of("zstandard")]), again(&data::block(4, &zstandard(&inflated()))))
        }
        "inflated-deflate" => {
            (made(&[&header_of("deflate")]), again(&data::block(4, &deflate::compressed(&inflated()))))
        }
        "heads-false" => {
            let head = [&longs(&[1, BLOCK_BYTES_MAX as i64])[..], MARKER].concat();
            (made(&[&header()]), again(&head.repeat(PIECE / head.len())))
        }
        "bytes-single" => {
            (made(&[&header()]), Then::Bytewise(made(&[&data::block(1, &record(b"bytes-single", b""))])))
        }
        _ => (made(&[&header(), &data::block(0, &[])]), Then::Hold),
    };
    Some(Case { name, first, then })
}

fn made(parts: &[&[u8]]) -> Make {
    let bytes: Rc<[u8]> = parts.concat().into();
    Box::new(move |_| Rc::clone(&bytes))
}

fn again(bytes: &[u8]) -> Then {
    Then::Again(made(&[bytes]))
}

/// A good header, and then well-framed blocks of one record that begins like this.
fn blocks(record: &[u8]) -> (Make, Then) {
    let body = [record, &[0; 64]].concat();
    (made(&[&header()]), again(&data::block(1, &body)))
}

fn longs(values: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    for &value in values {
        write_long(value, &mut out);
    }
    out
}

fn header_of(codec: &str) -> Vec<u8> {
    header_with(&[(b"avro.codec", codec.as_bytes()), (b"avro.schema", METRIC_LIST.as_bytes())])
}

/// Header entries without end.
fn entries() -> Vec<u8> {
    let mut out = Vec::new();
    for i in 0..1_000 {
        write_bytes(format!("key-{i}").as_bytes(), &mut out);
        write_bytes(&[b'v'; 50], &mut out);
    }
    out
}

/// One record with as many empty tags as `bytes` zeros are.
fn empty_tags(bytes: usize) -> Vec<u8> {
    let mut body = longs(&[0, bytes as i64 / 2]);
    body.resize(body.len() + bytes, 0);
    body.extend_from_slice(&[0; 2]);
    data::block(1, &body)
}

fn garbage() -> Vec<u8> {
    let mut random = Random(7);
    (0..PIECE / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// A header whose schema is right but for a long doc string that no other one has.
fn unlike_schema(number: u64) -> Rc<[u8]> {
    let doc = format!("{{\"doc\":\"{number:0>40000}\",");
    let schema = METRIC_LIST.replacen('{', &doc, 1);
    header_with(&[(b"avro.schema", schema.as_bytes())]).into()
}

/// A block of a hundred good records, each for a topic that nobody has heard of, that says that there are `count`.
fn invented_topics(number: u64, count: usize) -> Rc<[u8]> {
    let records: Vec<u8> =
        (0..100).flat_map(|i| record(format!("invented-{number}-{i}").as_bytes(), b"")).collect();
    data::block(count, &records).into()
}

/// Compressed blocks of a few good records whose topics, unheard of, have 200 kB each. A topic's beginning is its own;
/// the rest is the same in all of them, and compressed once.
fn long_topics() -> Make {
    let own = |number: u64, i| format!("{number:020}-{i}");
    let good = record(&vec![b'x'; 200_000], b"");
    let (size, rest) = good.split_at(good.iter().position(|byte| *byte == b'x').unwrap_or(0));
    let (size, rest) = (size.to_vec(), zstandard(&rest[own(0, 0).len()..]));
    Box::new(move |number| {
        let records = (0..4).flat_map(|i| {
            [zstandard_raw(&[&size[..], own(number, i).as_bytes()].concat()), rest.clone()].concat()
        });
        data::block(4, &records.collect::<Vec<u8>>()).into()
    })
}

/// Four good records that are large, and nothing once they are compressed.
fn inflated() -> Vec<u8> {
    record(b"inflated", &vec![0; 900_000]).repeat(4)
}

/// A good record with one tag and one datapoint, which has no number.
fn record(topic: &[u8], tag: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(topic.len() + tag.len() + 64);
    write_bytes(topic, &mut out);
    write_long(1, &mut out);
    write_bytes(b"tag", &mut out);
    write_bytes(tag, &mut out);
    write_long(0, &mut out);
    write_long(1, &mut out);
    write_bytes(b"name", &mut out);
    write_long(1, &mut out);
    out.extend_from_slice(&(-1.0f64).to_le_bytes());
    write_long(0, &mut out);
    out
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("memory is all that it needs")
}

/// A frame of up to 255 bytes as they are (RFC 8878, 3.1.1): one segment, one raw block.
fn zstandard_raw(bytes: &[u8]) -> Vec<u8> {
    let size = u8::try_from(bytes.len()).expect("only short beginnings are written like this");
    let block = (u32::from(size) << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, size][..], &block[..3], bytes].concat()
}
