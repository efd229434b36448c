//! A partner's stream as it comes, in either form: what is whole is counted, the beginning of the rest waits for more.

use std::io;

use serde_json::{Value, json};

use crate::data;
use crate::sink::numbers::Numbers;
use crate::sink::walk;

/// In this topic the collector tells a partner how many records it lost.
const OWN_TOPIC: &[u8] = b"collector";

/// A header or block that has not come whole by then never will: the largest is a record alone in a block.
const WHOLE_BYTES: usize = 2 << 20;

/// In which form a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Ocf,
    Ndjson,
}

/// What came.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) bytes: u64,
    /// Records of senders.
    pub(super) records: u64,
    /// Records that the collector told to be lost.
    pub(super) lost: u64,
    /// Of the form that has them.
    pub(super) numbers: Numbers,
    /// Microseconds from each record's stamp until it was read, if they have stamps.
    pub(super) late: Vec<u64>,
}

impl Counts {
    pub(super) fn json(&self) -> Value {
        json!({
            "bytes": self.bytes,
            "records": self.records,
            "lost": self.lost,
            "distinct": self.numbers.distinct,
            "repeated": self.numbers.repeated,
            "unnumbered": self.numbers.unnumbered,
        })
    }
}

/// A stream that is read.
pub(super) struct Stream {
    form: Form,
    stamped: bool,
    /// The marker, once the header has come.
    marker: Option<[u8; 16]>,
    buffer: Vec<u8>,
    filled: usize,
}

impl Stream {
    pub(super) fn new(form: Form, stamped: bool) -> Stream {
        Stream { form, stamped, marker: None, buffer: vec![0; 2 * WHOLE_BYTES], filled: 0 }
    }

    /// Where the next bytes go.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// Counts what is whole of what there is, `more` bytes of it new.
    pub(super) fn take(&mut self, more: usize, counts: &mut Counts) -> io::Result<()> {
        self.filled += more;
        counts.bytes += more as u64;
        let bytes = &self.buffer[..self.filled];
        let taken = match self.form {
            Form::Ocf => blocks(bytes, &mut self.marker, self.stamped, counts),
            Form::Ndjson => lines(bytes, counts),
        };
        let Some(taken) = taken.filter(|taken| self.filled - taken < WHOLE_BYTES) else {
            return Err(io::Error::other("the stream makes no sense"));
        };
        self.buffer.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(())
    }
}

/// Counts whole blocks, behind the header, and gives their bytes. None: they make no sense.
fn blocks(bytes: &[u8], marker: &mut Option<[u8; 16]>, stamped: bool, counts: &mut Counts) -> Option<usize> {
    let now = data::stamp();
    let mut taken = 0;
    let known = if let Some(known) = marker {
        *known
    } else {
        let Some((found, behind)) = walk::header(bytes) else { return Some(0) };
        taken = behind;
        *marker.insert(found.try_into().expect("a marker has 16 bytes"))
    };
    loop {
        let mut at = taken;
        let (Some(count), Some(size)) = (walk::long(bytes, &mut at), walk::long(bytes, &mut at)) else {
            return Some(taken);
        };
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        let Some(found) = bytes.get(end..end.saturating_add(16)) else { return Some(taken) };
        let block = &bytes[..end];
        for _ in 0..count {
            record(block, &mut at, stamped.then_some(now), counts)?;
        }
        if at != end || found != known {
            return None;
        }
        taken = end + 16;
    }
}

#[inline]
fn record(block: &[u8], at: &mut usize, now: Option<i64>, counts: &mut Counts) -> Option<()> {
    let is_own = walk::string(block, &mut { *at })? == OWN_TOPIC;
    if is_own {
        return walk::record(block, at, &mut |_, lost| counts.lost += lost as u64);
    }
    counts.records += 1;
    let mut run = counts.numbers.run();
    let late = &mut counts.late;
    let walked = walk::record(block, at, &mut |mut time, value| {
        run.count(value);
        if let Some(now) = now
            && let Some(stamp) = walk::long(block, &mut time)
        {
            late.push(data::since(stamp, now));
        }
    });
    run.end();
    walked
}

/// Counts whole lines, and gives their bytes.
fn lines(bytes: &[u8], counts: &mut Counts) -> Option<usize> {
    let mut taken = 0;
    while let Some(end) = memchr::memchr(b'\n', &bytes[taken..]) {
        let line = &bytes[taken..taken + end];
        taken += end + 1;
        if line.starts_with(br#"{"topic":"collector""#) {
            let told: Value = serde_json::from_slice(line).ok()?;
            counts.lost += told["datapoints"][0]["value"].as_f64()? as u64;
        } else {
            counts.records += 1;
        }
    }
    Some(taken)
}
