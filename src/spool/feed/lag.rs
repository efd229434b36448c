//! How far behind those who follow are.

use std::collections::BTreeMap;

use super::super::lag::Lag;
use super::{Log, Shared};
use crate::record::Seq;

/// Adds each follower's lag to that of its row.
pub(in crate::spool) fn add_lags(feed: &Shared, rows: &mut BTreeMap<String, Lag>) {
    let log = feed.lock();
    for (_, cursor) in &log.cursors {
        let lag = log.behind(cursor.needs());
        rows.entry(cursor.row.clone()).or_default().add(lag);
    }
}

impl Log {
    /// What there is from this record on.
    fn behind(&self, at: Seq) -> Lag {
        let first = self.pieces.partition_point(|piece| piece.end() <= at);
        let mut lag = Lag::default();
        for piece in self.pieces.range(first..) {
            lag.add(Lag { bytes: piece.body.len(), oldest_ms: Some(piece.accepted_ms) });
        }
        if self.growing.records > 0 && at < self.next {
            lag.add(Lag { bytes: self.growing.buffer.len(), oldest_ms: Some(self.growing.accepted_ms) });
        }
        lag
    }
}
