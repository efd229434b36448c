//! How far behind each output is, in bytes and time; in records the ledger says it.

use std::collections::BTreeMap;

use super::Spool;
use super::feed;
use super::state::State;

/// What waits for an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Bytes, those in its hands among them. Of a follower of the feed about so many: pieces count as a whole.
    pub bytes: usize,
    /// When the oldest record that it has not taken was accepted, Unix time in milliseconds. Of a follower the oldest that it
    /// has not finished.
    pub oldest_ms: Option<u64>,
}

impl Lag {
    /// Takes another output of the same name in.
    pub(super) fn add(&mut self, other: Lag) {
        self.bytes += other.bytes;
        self.oldest_ms = self.oldest_ms.into_iter().chain(other.oldest_ms).min();
    }
}

impl Spool {
    /// How far behind each output is, by the names that the ledger has.
    #[must_use]
    pub fn lags(&self) -> BTreeMap<String, Lag> {
        let state = self.shared.lock();
        let mut lags = state.lags();
        if let Some(feed) = &state.feed {
            feed::add_lags(feed, &mut lags);
        }
        lags
    }
}

impl State {
    fn lags(&self) -> BTreeMap<String, Lag> {
        let of_output = |(id, output): (usize, &Option<super::state::Output>)| {
            let output = output.as_ref()?;
            let mut lag =
                Lag { bytes: self.open.cost() + output.taken_bytes, oldest_ms: self.open_since_ms() };
            for (frame, _) in self.tail.iter().filter(|(_, needed_by)| needed_by.contains(id)) {
                lag.add(Lag { bytes: frame.cost(), oldest_ms: Some(frame.accepted_ms) });
            }
            Some((output.name.clone(), lag))
        };
        self.outputs.iter().enumerate().filter_map(of_output).collect()
    }

    fn open_since_ms(&self) -> Option<u64> {
        self.open.oldest().map(|held| held.accepted_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Framing, From, Outcome, WhenFull};
    use super::*;

    fn spool() -> Spool {
        let framing = Framing {
            records_max: 10.try_into().unwrap(),
            bytes_max: 10_000,
            room_before: 0,
            room_behind: 0,
        };
        let config = Config { memory_bytes: 1 << 20, when_full: WhenFull::Hold, topics_max: 10 };
        Spool::in_memory(config, framing)
    }

    fn append(spool: &Spool, records: u32, now_ms: u64) {
        let appended: Result<_, ()> = spool.append(now_ms, |append| {
            for _ in 0..records {
                append.record(b"a", 1, 100, |out| out.resize(out.len() + 100, b'a'));
            }
            Ok(())
        });
        assert!(appended.is_ok());
    }

    #[test]
    fn what_grows_what_waits_and_what_was_taken_is_behind() {
        let spool = spool();
        let mut reader = spool.reader("kafka", true);
        assert_eq!(spool.lags()["kafka"], Lag::default());
        append(&spool, 10, 5);
        append(&spool, 3, 7);
        let lag = spool.lags()["kafka"];
        assert_eq!((lag.bytes >= 1300, lag.oldest_ms), (true, Some(5)), "{lag:?}");
        let shown = reader.show().unwrap();
        let (frames, ticket) = reader.take([&shown]);
        let taken = spool.lags()["kafka"];
        assert_eq!((taken.bytes >= 1300, taken.oldest_ms), (true, Some(7)), "{taken:?}");
        drop(frames);
        ticket.finish(Outcome::Delivered);
        let lag = spool.lags()["kafka"];
        assert_eq!((lag.bytes, lag.oldest_ms), (taken.bytes - 1000, Some(7)));
        assert_eq!(spool.ledger().outputs["kafka"].waiting, 3);
    }

    #[test]
    fn a_follower_is_behind_by_what_it_has_not_finished() {
        let spool = spool();
        let mut follower = spool.follow("partner", From::Now);
        assert_eq!(spool.lags()["partner"], Lag::default());
        append(&spool, 2, 5);
        let growing = spool.lags()["partner"];
        assert_eq!((growing.bytes, growing.oldest_ms), (200, Some(5)));
        // Whoever reads has the piece closed.
        assert!(follower.read().is_some());
        append(&spool, 3, 7);
        let lag = spool.lags()["partner"];
        assert_eq!((lag.bytes, lag.oldest_ms), (500, Some(5)));
        follower.take(2);
        assert_eq!(spool.lags()["partner"], lag, "it is in its hands");
        follower.finish(2, Outcome::Delivered);
        let lag = spool.lags()["partner"];
        assert_eq!((lag.bytes, lag.oldest_ms), (300, Some(7)));
    }
}
