//! An output's place in the feed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::Spool;
use super::super::ledger::{LossReason, Outcome, OutputLedger};
use super::Shared;
use super::piece::Piece;
use crate::record::Seq;

/// Where a follower begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the next record that is accepted.
    Now,
    /// With the oldest that is there.
    Oldest,
}

/// Reads the feed from a place of its own.
#[derive(Debug)]
pub struct Follower {
    spool: Spool,
    feed: Arc<Shared>,
    id: usize,
    /// Its books end with it.
    is_forgotten: bool,
}

/// Waits for news of the feed, for all who follow. One task has it.
#[derive(Debug)]
pub struct News {
    spool: Spool,
}

/// What the feed knows of a follower.
#[derive(Debug)]
pub(super) struct Cursor {
    /// The row of the ledger that it belongs to.
    pub(super) row: String,
    /// Number of the record that it began with.
    joined: Seq,
    /// Number of the record that it reads next.
    next: Seq,
    /// So many from there on it was shown last. Until it takes some or reads on they are not lost, also where the feed has let
    /// them go: what was counted as lost cannot be taken any more.
    shown: u64,
    /// What it has read and not finished: runs of records, by the number of their first. Between them is what it lost.
    hands: VecDeque<(Seq, u64)>,
    /// What it has finished.
    done: OutputLedger,
    /// Records that it lost and is still to be told of.
    untold: u64,
}

impl Spool {
    /// A follower from now on or from the oldest record there is. Its books go by the name `row`, together with those of
    /// all others of that row.
    #[must_use]
    pub fn follow(&self, row: &str, from: From) -> Follower {
        let mut state = self.shared.lock();
        let feed = state.feed();
        let mut log = feed.lock();
        let at = match from {
            From::Now => log.next,
            From::Oldest => log.first,
        };
        let id = log.cursors.insert(Cursor {
            row: row.to_owned(),
            joined: at,
            next: at,
            shown: 0,
            hands: VecDeque::new(),
            done: OutputLedger::default(),
            untold: 0,
        });
        drop(log);
        Follower { spool: self.clone(), feed, id, is_forgotten: false }
    }

    /// Waits for news, for all who follow.
    #[must_use]
    pub fn news(&self) -> News {
        News { spool: self.clone() }
    }
}

impl News {
    /// Returns when something was accepted since it returned last, or the spool was closed. Cancel safe.
    pub async fn wait(&mut self) {
        self.spool.shared.news.notified().await;
        if let Some(feed) = &self.spool.shared.lock().feed {
            feed.lock().told = false;
        }
    }
}

impl Follower {
    /// The piece that it reads next and how many of the piece's records it has read before; none if it has read all that
    /// is there. What it was too slow for is passed over, see [`Follower::lost`].
    pub fn read(&mut self) -> Option<(Arc<Piece>, u32)> {
        let mut log = self.feed.lock();
        let first = log.first;
        let cursor = &mut log.cursors[self.id];
        cursor.pass_over(first);
        let at = cursor.next;
        let piece = log.piece_at(at);
        // Closing a piece may have cost others.
        let first = log.first;
        let cursor = &mut log.cursors[self.id];
        match piece {
            Some((piece, skip)) if at >= first => {
                cursor.shown = u64::from(piece.records - skip);
                Some((piece, skip))
            }
            _ => {
                cursor.pass_over(first);
                None
            }
        }
    }

    /// Takes the next so many records into its hands.
    pub fn take(&mut self, records: u64) {
        let mut log = self.feed.lock();
        let cursor = &mut log.cursors[self.id];
        let first = cursor.next;
        cursor.next = Seq(first.0 + records);
        cursor.shown = 0;
        match cursor.hands.back_mut().filter(|(at, n)| at.0 + *n == first.0) {
            Some((_, n)) => *n += records,
            None => cursor.hands.push_back((first, records)),
        }
    }

    /// Books what became of the first `records` records in its hands.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn finish(&mut self, records: u64, outcome: Outcome) {
        let mut log = self.feed.lock();
        let cursor = &mut log.cursors[self.id];
        cursor.drop_from_hands(records);
        cursor.done.add(records, outcome);
    }

    /// Puts all that is in its hands back, to be read again. What is not there any more is lost.
    pub fn rewind(&mut self) {
        let mut log = self.feed.lock();
        let first = log.first;
        let cursor = &mut log.cursors[self.id];
        while let Some((at, records)) = cursor.hands.pop_front() {
            if at.0 + records <= first.0 {
                cursor.lose(records);
                continue;
            }
            // What is behind has no gaps, since gaps are older than what is there.
            debug_assert!(cursor.hands.is_empty());
            cursor.next = at;
        }
        cursor.pass_over(first);
    }

    /// Records that it lost since it asked last, and those of before that were [given back](Follower::untell).
    pub fn lost(&mut self) -> u64 {
        std::mem::take(&mut self.feed.lock().cursors[self.id].untold)
    }

    /// Gives back so many of the records that [`Follower::lost`] named: the one who is to hear of them did not, and so it
    /// names them again. The books have had them as lost all the while.
    ///
    /// # Panics
    /// In debug builds, if it has not lost so many.
    pub fn untell(&mut self, records: u64) {
        let mut log = self.feed.lock();
        let cursor = &mut log.cursors[self.id];
        cursor.untold += records;
        debug_assert!(cursor.untold <= cursor.lost(), "only what was lost is told");
    }

    /// Number of the record that it reads next, if that is still there.
    #[must_use]
    pub fn next(&self) -> Seq {
        let log = self.feed.lock();
        log.cursors[self.id].next.max(log.first)
    }

    /// Whether it has read all that is there.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        let log = self.feed.lock();
        log.cursors[self.id].next == log.next
    }

    /// Whether nothing is appended any more. What was is still read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.feed.lock().closed
    }

    /// Books all that it has not finished as lost with the process.
    pub fn abandon(&mut self) -> u64 {
        self.rewind();
        let mut log = self.feed.lock();
        let (first, end) = (log.first, log.next);
        let cursor = &mut log.cursors[self.id];
        cursor.pass_over(first);
        let left = end.0 - cursor.next.0;
        cursor.next = end;
        cursor.done.add(left, Outcome::Lost(LossReason::Shutdown));
        left
    }

    /// Ends it for good, and its books with it, also those of followers of its row that are no more. Of a follower that is
    /// only dropped they stay in its row.
    pub fn forget(mut self) {
        self.is_forgotten = true;
    }
}

impl Drop for Follower {
    /// What it has not finished is not wanted any more.
    fn drop(&mut self) {
        let mut state = self.spool.shared.lock();
        let accepted = state.accepted;
        let mut log = self.feed.lock();
        let (first, next) = (log.first, log.next);
        let mut cursor = log.cursors.remove(self.id);
        cursor.pass_over(first);
        let mut books = cursor.books(accepted, first, next);
        let left = std::mem::take(&mut books.waiting);
        books.add(left, Outcome::NotWanted);
        if log.cursors.is_empty() {
            state.feed = None;
        }
        if self.is_forgotten {
            state.past.remove(&cursor.row);
        } else {
            state.past.entry(cursor.row).or_default().merge(&books);
        }
    }
}

impl Cursor {
    /// Number of the first record that it may have to read again.
    pub(super) fn needs(&self) -> Seq {
        self.hands.front().map_or(self.next, |(at, _)| *at)
    }

    /// Its books, where the feed is from `first` to `next`, and the spool has accepted `accepted` records.
    pub(super) fn books(&self, accepted: u64, first: Seq, next: Seq) -> OutputLedger {
        let mut books = self.done.clone();
        books.accepted = accepted - self.joined.0;
        let in_hands: u64 = self.hands.iter().map(|(_, records)| records).sum();
        let missed = first.0.saturating_sub(self.next.0 + self.shown);
        books.waiting = in_hands + (next.0 - self.next.0 - missed);
        books.add(missed, Outcome::Lost(LossReason::TooSlow));
        books
    }

    /// Goes on to `first` if it was not so far: what is before has gone.
    fn pass_over(&mut self, first: Seq) {
        let missed = first.0.saturating_sub(self.next.0);
        self.next = self.next.max(first);
        self.shown = 0;
        self.lose(missed);
    }

    /// Records that it has passed over so far.
    fn lost(&self) -> u64 {
        self.done.lost.get(&LossReason::TooSlow).copied().unwrap_or(0)
    }

    fn lose(&mut self, records: u64) {
        self.untold += records;
        self.done.add(records, Outcome::Lost(LossReason::TooSlow));
    }

    fn drop_from_hands(&mut self, mut records: u64) {
        while records > 0 {
            let (at, n) = self.hands.front_mut().expect("no more is finished than was taken");
            let now = records.min(*n);
            (*at, *n) = (Seq(at.0 + now), *n - now);
            records -= now;
            if *n == 0 {
                self.hands.pop_front();
            }
        }
    }
}
