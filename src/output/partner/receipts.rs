//! What was sent on a connection, in order, until the other side is done with it. Decides, does nothing.

use std::collections::VecDeque;

use crate::spool::{Follower, Outcome};

/// So many runs may wait for an acknowledgement; then nothing more is sent. One run is a whole stretch of records where
/// all are wanted, and one record where every other is.
pub(super) const RUNS_MAX: usize = 1024;

/// Records that were dealt with alike, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) kind: Kind,
    pub(super) records: u64,
}

/// How they were dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They were sent.
    Sent,
    /// The filter does not want them.
    NotWanted,
    /// They were sent, and are none of the feed's: each tells of so many of its records that are lost.
    Own(u64),
}

/// The runs of a connection.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    runs: VecDeque<Run>,
    /// Records that were sent on this connection, and those that the other side is done with.
    pub(super) sent: u64,
    pub(super) done: u64,
}

/// The other side is done with records that it was not sent, or is not done any more with some that it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadAck;

impl Receipts {
    /// Whether more may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.runs.len() < RUNS_MAX
    }

    /// Notes what goes out.
    pub(super) fn add(&mut self, runs: impl IntoIterator<Item = Run>) {
        for run in runs {
            if run.kind != Kind::NotWanted {
                self.sent += run.records;
            }
            match self.runs.back_mut().filter(|last| last.kind == run.kind) {
                Some(last) => last.records += run.records,
                None => self.runs.push_back(run),
            }
        }
    }

    /// The other side is done with the first `done` records of this connection.
    pub(super) fn settle(&mut self, done: u64, follower: &mut Follower) -> Result<(), BadAck> {
        let mut more = done.checked_sub(self.done).ok_or(BadAck)?;
        if done > self.sent {
            return Err(BadAck);
        }
        self.done = done;
        while let Some(run) = self.runs.front_mut() {
            let now = match run.kind {
                // What stands before the next one that counts needs nobody's word.
                Kind::NotWanted => run.records,
                Kind::Sent | Kind::Own(_) => run.records.min(more),
            };
            if now == 0 {
                break;
            }
            match run.kind {
                Kind::NotWanted => follower.finish(now, Outcome::NotWanted),
                Kind::Sent => follower.finish(now, Outcome::Delivered),
                Kind::Own(_) => {}
            }
            if run.kind != Kind::NotWanted {
                more -= now;
            }
            run.records -= now;
            if run.records == 0 {
                self.runs.pop_front();
            }
        }
        Ok(())
    }

    /// Lost records that the other side was to hear of and is not done with hearing.
    pub(super) fn untold(&self) -> u64 {
        let told = |run: &Run| match run.kind {
            Kind::Own(lost) => lost * run.records,
            Kind::Sent | Kind::NotWanted => 0,
        };
        self.runs.iter().map(told).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Config, Framing, From, Spool, WhenFull};

    #[test]
    fn records_are_finished_in_order_and_only_those_that_are_done() {
        let config = Config { memory_bytes: 1 << 20, when_full: WhenFull::Auto, topics_max: 1 };
        let spool = Spool::in_memory(config, Framing::default());
        let mut follower = spool.follow("p", From::Now);
        let written: Result<_, ()> = spool.append(0, |append| {
            (0..10).for_each(|_| append.record(b"t", 1, 1, |out| out.push(0)));
            Ok(())
        });
        assert_eq!(written.unwrap().records, 10);
        follower.read().unwrap();
        follower.take(10);

        let run = |kind, records| Run { kind, records };
        let mut receipts = Receipts::default();
        let runs =
            [(Kind::Own(7), 1), (Kind::NotWanted, 2), (Kind::Sent, 4), (Kind::NotWanted, 1), (Kind::Sent, 3)];
        receipts.add(runs.map(|(kind, records)| run(kind, records)));
        assert_eq!(receipts.untold(), 7);
        let mut check = |done, expected: (u64, u64)| {
            assert_eq!(receipts.settle(done, &mut follower), Ok(()), "{done}");
            let books = spool.ledger().outputs["p"].clone();
            assert_eq!((books.delivered, books.not_wanted), expected, "{done}");
            assert_eq!(books.imbalance(), 0);
        };
        check(0, (0, 0));
        check(1, (0, 2));
        check(4, (3, 2));
        check(5, (4, 3));
        check(8, (7, 3));
        assert_eq!(receipts.untold(), 0);
        assert_eq!(receipts.settle(7, &mut follower), Err(BadAck), "not back");
        assert_eq!(receipts.settle(9, &mut follower), Err(BadAck), "not ahead");
    }
}
