//! What a connection may bring by `input-limit-...`, and when it has to wait.

use std::time::Instant;

use crate::record::{Budget, Rate};

/// A connection over its limit waits until it may bring this much, so that it does not wake us for every few bytes.
const RESUME_BYTES: u64 = 64 << 10;

/// The allowance of one connection.
#[derive(Debug)]
pub(super) struct Allowance(Option<Budget>);

impl Allowance {
    /// None: as much as it likes.
    pub(super) fn new(rate: Option<Rate>) -> Allowance {
        Allowance(rate.map(|rate| Budget::new(rate, Instant::now())))
    }

    /// Until when it is not read, if it has to wait.
    pub(super) fn pause(&self) -> Option<Instant> {
        self.0.as_ref()?.wait_for(RESUME_BYTES, Instant::now())
    }

    /// How many bytes may be read at once, at least one.
    pub(super) fn bytes(&self) -> usize {
        let left = self.0.as_ref().map(|budget| budget.left(Instant::now()).max(1));
        left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX)
    }

    /// So many were read.
    pub(super) fn took(&mut self, bytes: usize) {
        if let Some(budget) = &mut self.0 {
            budget.take(bytes as u64, Instant::now());
        }
    }
}
