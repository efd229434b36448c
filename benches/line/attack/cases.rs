//! What hostile senders send: one case for each way to make a reader of Avro take more memory than it was given bytes.

use std::rc::Rc;
use std::time::Duration;

use metrics_collector::ocf::METRIC_LIST;

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
    /// Sends this many bytes once each pause, up to the total, and then stays open.
    Drip { bytes: usize, pause: Duration, total: usize },
}

/// Names of all cases.
pub(crate) const NAMES: [&str; 20] = [
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
            (made(&[&header_of("deflate")]), again(&data::block(records, &deflated_zeros(records * 3))))
        }
        "deflate-bomb" => {
            (made(&[&header_of("deflate")]), again(&data::block(1, &deflated_zeros(1_000_000_000))))
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
        _ => (made(&[&header()]), Then::Again(Box::new(invented_topics))),
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

fn deflated_zeros(n: usize) -> Vec<u8> {
    // Never written to, the zeros take no memory.
    let zeros = vec![0; n];
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::best());
    let mut out = vec![0; compressor.deflate_compress_bound(n)];
    let size = compressor.deflate_compress(&zeros, &mut out).expect("the bound is enough");
    out.truncate(size);
    out
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

/// A block of good records, each for a topic that nobody has heard of.
fn invented_topics(number: u64) -> Rc<[u8]> {
    let mut body = Vec::new();
    for i in 0..100 {
        write_bytes(format!("invented-{number}-{i}").as_bytes(), &mut body);
        write_long(0, &mut body);
        write_long(1, &mut body);
        write_bytes(b"name", &mut body);
        write_long(1, &mut body);
        body.extend_from_slice(&(-1.0f64).to_le_bytes());
        write_long(0, &mut body);
    }
    data::block(100, &body).into()
}
