//! A cursor over a block's bytes that is never led beyond them.

use super::BlockFault;
use crate::ocf::varint;

#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// Bytes read or passed over.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes to where it once was.
    pub(super) fn go(&mut self, at: usize) {
        debug_assert!(at <= self.bytes.len());
        self.at = at;
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn long(&mut self) -> Result<i64, BlockFault> {
        match varint::read_long(self.bytes, &mut self.at) {
            Ok(Some(long)) => Ok(long),
            Ok(None) => Err(BlockFault::Truncated),
            Err(varint::BadLong) => Err(BlockFault::BadNumber),
        }
    }

    /// A branch or symbol, one of `n`.
    pub(super) fn index(&mut self, n: usize) -> Result<usize, BlockFault> {
        let index = usize::try_from(self.long()?).map_err(|_| BlockFault::BadBranch)?;
        if index < n { Ok(index) } else { Err(BlockFault::BadBranch) }
    }

    /// A string or bytes.
    pub(super) fn counted(&mut self) -> Result<&'a [u8], BlockFault> {
        let length = self.length()?;
        self.take(length)
    }

    /// A length in bytes, not held against what is left.
    pub(super) fn length(&mut self) -> Result<u64, BlockFault> {
        u64::try_from(self.long()?).map_err(|_| BlockFault::BadLength)
    }

    pub(super) fn take(&mut self, n: u64) -> Result<&'a [u8], BlockFault> {
        let n = usize::try_from(n).map_err(|_| BlockFault::Truncated)?;
        let taken = self.bytes[self.at..].get(..n).ok_or(BlockFault::Truncated)?;
        self.at += n;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], BlockFault> {
        let taken = self.bytes[self.at..].first_chunk().ok_or(BlockFault::Truncated)?;
        self.at += N;
        Ok(*taken)
    }
}
