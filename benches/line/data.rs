//! What the senders send: blocks of believable records, built once and used over and over.

use metrics_collector::ocf::METRIC_LIST;

use crate::{number, proc};

/// The Mesos module's marker, the same in every process.
pub(crate) const MARKER: &[u8; 16] = b"FEFEFEFEFEFEFEFE";

/// Containers that the records are of.
pub(crate) const CONTAINERS: usize = 40;

/// Milliseconds of a day in 2016: six bytes on the wire, as today's are.
const TIME_MS: i64 = 1_463_000_000_000;

/// Bytes of a time on the wire.
const TIME_BYTES: usize = 6;

/// Stamps begin here and are twice as much at most: so many microseconds have six bytes on the wire too.
const STAMPS_FROM: i64 = 1 << 40;

const NAMES: [&str; 24] = [
    "cpus.user.seconds",
    "cpus.system.secs",
    "mem.rss.bytes",
    "mem.cache.bytes",
    "mem.limit.bytes",
    "net.rx.packets",
    "net.tx.packets",
    "net.rx.dropped.total",
    "net.tx.dropped.total",
    "http.requests.count",
    "http.errors.count",
    "http.latency.p50",
    "http.latency.p99.ms",
    "jvm.heap.used.bytes",
    "jvm.gc.pause.total.ms",
    "jvm.threads.running",
    "db.pool.in.use",
    "db.query.time.mean.ms",
    "queue.depth",
    "queue.oldest.age.secs",
    "cache.hit.ratio",
    "cache.evictions.total",
    "worker.busy.percent",
    "requests.in.flight",
];

/// What a record and a block look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Datapoints of a record; each record has six tags.
    pub(crate) datapoints: usize,
    /// A block closes at this many records …
    pub(crate) records: usize,
    /// … or at this many bytes.
    pub(crate) bytes: usize,
}

impl Shape {
    /// 20 datapoints a record, blocks of 64 KiB.
    pub(crate) const WIDE: Shape = Shape { datapoints: 20, records: usize::MAX, bytes: 64 * 1024 };
    /// One datapoint a record, blocks of 100, as the Mesos module sends tagged ones.
    pub(crate) const NARROW: Shape = Shape { datapoints: 1, records: 100, bytes: usize::MAX };

    /// `20x6` or `1x6`: datapoints and tags of a record.
    pub(crate) fn name(self) -> &'static str {
        if self.datapoints == 1 { "1x6" } else { "20x6" }
    }

    /// The shape of that name.
    pub(crate) fn named(name: &str) -> Option<Shape> {
        [Shape::WIDE, Shape::NARROW].into_iter().find(|shape| shape.name() == name)
    }
}

/// A whole OCF block: count, size, records, marker.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    /// Where each datapoint's value begins in `bytes`.
    values: Vec<u32>,
}

impl Block {
    /// Datapoints in the block.
    pub(crate) fn datapoints(&self) -> u64 {
        self.values.len() as u64
    }

    /// Numbers the datapoints from `first`; the next free number comes back.
    ///
    /// With a `stamp` that is what they have for a time.
    pub(crate) fn number(&mut self, first: u64, stamp: Option<i64>) -> u64 {
        let mut time = Vec::with_capacity(TIME_BYTES);
        if let Some(stamp) = stamp {
            write_long(stamp, &mut time);
        }
        let mut next = first;
        for &at in &self.values {
            let at = at as usize;
            self.bytes[at..at + 8].copy_from_slice(&number::value(next).to_le_bytes());
            self.bytes[at - time.len()..at].copy_from_slice(&time);
            next += 1;
        }
        next
    }
}

/// The time by the system's monotonic clock, which all processes share: microseconds, in the form of a stamp.
pub(crate) fn stamp() -> i64 {
    STAMPS_FROM + proc::monotonic().as_micros() as i64 % STAMPS_FROM
}

/// Microseconds between two stamps, of which the later is `now`.
pub(crate) fn since(stamp: i64, now: i64) -> u64 {
    (now - stamp).rem_euclid(STAMPS_FROM).cast_unsigned()
}

/// The header that stands before the first block, as the Mesos module writes it.
pub(crate) fn header() -> Vec<u8> {
    header_with(&[(b"avro.codec", b"null"), (b"avro.schema", METRIC_LIST.as_bytes())])
}

/// A header with this metadata.
pub(crate) fn header_with(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = b"Obj\x01".to_vec();
    write_long(entries.len() as i64, &mut out);
    for (key, value) in entries {
        write_bytes(key, &mut out);
        write_bytes(value, &mut out);
    }
    write_long(0, &mut out);
    out.extend_from_slice(MARKER);
    out
}

/// A block of these records.
pub(crate) fn block(records: usize, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 32);
    write_long(records as i64, &mut out);
    write_bytes(body, &mut out);
    out.extend_from_slice(MARKER);
    out
}

/// At least `n` blocks of consecutive records; containers and topics take turns, and each topic has its turn.
pub(crate) fn blocks(shape: Shape, n: usize, topics: usize) -> Vec<Block> {
    let containers: Vec<Container> =
        (0..CONTAINERS.max(topics)).map(|number| Container::new(number, topics)).collect();
    let mut turn = 0;
    let mut blocks = Vec::with_capacity(n);
    while blocks.len() < n || turn < topics {
        let mut body = Vec::new();
        let mut values = Vec::new();
        let mut records = 0;
        while records < shape.records && body.len() < shape.bytes {
            containers[turn % containers.len()].record(shape.datapoints, turn, &mut body, &mut values);
            records += 1;
            turn += 1;
        }
        let bytes = block(records, &body);
        // The body moved back by what stands before it: the count and the size.
        let before = bytes.len() - MARKER.len() - body.len();
        for at in &mut values {
            *at += before as u32;
        }
        blocks.push(Block { bytes, values });
    }
    blocks
}

/// Ids of a container's framework and executor, and its own.
pub(crate) fn ids(container: usize) -> [String; 3] {
    Random::of(container).ids()
}

/// A task's container: topic and tags are the same in all its records.
struct Container {
    topic_and_tags: Vec<u8>,
}

impl Container {
    fn new(number: usize, topics: usize) -> Container {
        let mut random = Random::of(number);
        let mut out = Vec::new();
        write_bytes(format!("fw-{:02}", number % topics).as_bytes(), &mut out);
        write_long(6, &mut out);
        for (key, id) in ["framework_id", "executor_id", "container_id"].into_iter().zip(random.ids()) {
            write_bytes(key.as_bytes(), &mut out);
            write_bytes(id.as_bytes(), &mut out);
        }
        for key in ["instance", "revision", "endpoint"] {
            write_bytes(key.as_bytes(), &mut out);
            write_bytes(&random.uuid().as_bytes()[..15], &mut out);
        }
        write_long(0, &mut out);
        Container { topic_and_tags: out }
    }

    fn record(&self, datapoints: usize, turn: usize, out: &mut Vec<u8>, values: &mut Vec<u32>) {
        out.extend_from_slice(&self.topic_and_tags);
        write_long(datapoints as i64, out);
        for i in 0..datapoints {
            write_bytes(NAMES[(turn + i) % NAMES.len()].as_bytes(), out);
            write_long(TIME_MS + turn as i64 * 7, out);
            values.push(out.len() as u32);
            out.extend_from_slice(&[0; 8]);
        }
        write_long(0, out);
    }
}

/// Enough randomness for names that do not compress (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn of(container: usize) -> Random {
        Random(container as u64 + 1)
    }

    fn ids(&mut self) -> [String; 3] {
        std::array::from_fn(|_| self.uuid())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }
}

/// Appends a zig-zag number.
pub(crate) fn write_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a string or bytes, the length in front.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}
