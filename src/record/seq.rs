//! The number that the spool gives to every record it accepts.

use std::fmt;

/// Number of a record in the spool, from 0, without gaps, in the order of acceptance. It never goes back
/// within one incarnation of the collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The number `records` further on.
    #[must_use]
    pub fn after(self, records: u32) -> Seq {
        Seq(self.0 + u64::from(records))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
