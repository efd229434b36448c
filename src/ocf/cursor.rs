//! A place in bytes that were read from a stranger; it is never led beyond them.

use super::fault::NoRecord;
use super::varint;

#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the byte `at`, which is none behind the end.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        debug_assert!(at <= bytes.len(), "a place in the bytes");
        Cursor { bytes, at }
    }

    /// The place.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes to where it once was.
    pub(super) fn go(&mut self, at: usize) {
        debug_assert!(at <= self.bytes.len(), "a place in the bytes");
        self.at = at;
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn long(&mut self) -> Result<i64, NoRecord> {
        varint::read_long(self.bytes, &mut self.at).ok().flatten().ok_or(NoRecord)
    }

    /// A branch or symbol, one of `n`.
    pub(super) fn index(&mut self, n: usize) -> Result<usize, NoRecord> {
        let index = usize::try_from(self.long()?).map_err(|_| NoRecord)?;
        if index < n { Ok(index) } else { Err(NoRecord) }
    }

    /// A string or bytes.
    pub(super) fn counted(&mut self) -> Result<&'a [u8], NoRecord> {
        let length = self.length()?;
        self.take(length)
    }

    /// A count or a length in bytes, not held against what is left.
    pub(super) fn length(&mut self) -> Result<u64, NoRecord> {
        u64::try_from(self.long()?).map_err(|_| NoRecord)
    }

    pub(super) fn take(&mut self, n: u64) -> Result<&'a [u8], NoRecord> {
        let n = usize::try_from(n).map_err(|_| NoRecord)?;
        let taken = self.bytes[self.at..].get(..n).ok_or(NoRecord)?;
        self.at += n;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], NoRecord> {
        let taken = self.bytes[self.at..].first_chunk().ok_or(NoRecord)?;
        self.at += N;
        Ok(*taken)
    }

    pub(super) fn double(&mut self) -> Result<f64, NoRecord> {
        self.array().map(f64::from_le_bytes)
    }
}
