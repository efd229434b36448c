//! Whether somebody wants records the moment that they arrive.
//!
//! A source may let little wait for more, since that costs less and nobody minds whose records go into messages of fifteen
//! seconds. Whoever minds says so for as long as it does, and sources ask before they let anything wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Shared, Spool};

/// Somebody's wish for records the moment that they arrive, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Promptness(Arc<Shared>);

impl Spool {
    /// From now on somebody wants records the moment that they arrive.
    pub fn hurry(&self) -> Promptness {
        self.shared.hurried.fetch_add(1, Ordering::Relaxed);
        Promptness(self.shared.clone())
    }

    /// Whether anybody does.
    #[must_use]
    pub fn is_hurried(&self) -> bool {
        self.shared.hurried.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Promptness {
    fn drop(&mut self) {
        self.0.hurried.fetch_sub(1, Ordering::Relaxed);
    }
}
