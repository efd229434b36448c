//! What others may know of the partners.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::hello::Hello;
use super::receipts::Receipts;
use crate::control::PartnerStatus;
use crate::spool::Follower;
use crate::telemetry::unix_ms;

/// The partners that are connected, by a number of each connection.
#[derive(Debug, Default)]
pub(super) struct Board {
    connected: Mutex<(u64, BTreeMap<u64, Entry>)>,
}

#[derive(Debug)]
struct Entry {
    protocol: &'static str,
    peer: Option<String>,
    hello: Hello,
    since_ms: u64,
    progress: Arc<Progress>,
}

/// How far a connection is, in records.
#[derive(Debug, Default)]
pub(super) struct Progress {
    sent: AtomicU64,
    done: AtomicU64,
    lost: AtomicU64,
    /// Number of the record that it gets next.
    next: AtomicU64,
}

/// A connection's place on the board, which it leaves in the end.
#[derive(Debug)]
pub(super) struct Listed {
    board: Arc<Board>,
    id: u64,
    pub(super) progress: Arc<Progress>,
}

impl Progress {
    pub(super) fn note(&self, receipts: &Receipts, follower: &Follower) {
        self.sent.store(receipts.sent, Ordering::Relaxed);
        self.done.store(receipts.done, Ordering::Relaxed);
        self.next.store(follower.next().0, Ordering::Relaxed);
    }

    /// Records that the other side is done with.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Entry>)> {
        self.connected.lock().expect("no code panics under this lock")
    }

    /// Lists a connection.
    pub(super) fn list(
        self: &Arc<Board>,
        protocol: &'static str,
        peer: Option<String>,
        hello: &Hello,
    ) -> Listed {
        let progress = Arc::new(Progress::default());
        let entry =
            Entry { protocol, peer, hello: hello.clone(), since_ms: unix_ms(), progress: progress.clone() };
        let mut board = self.lock();
        let id = board.0;
        board.0 += 1;
        board.1.insert(id, entry);
        Listed { board: self.clone(), id, progress }
    }

    /// Those who are connected, in the order in which they came. `accepted`: records that the spool has accepted.
    pub(super) fn connected(&self, accepted: u64) -> Vec<PartnerStatus> {
        let board = self.lock();
        let entries = board.1.values();
        entries.map(|entry| entry.status(accepted)).collect()
    }
}

impl Entry {
    fn status(&self, accepted: u64) -> PartnerStatus {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let [topics, frameworks, tags] = self.hello.globs.clone();
        PartnerStatus {
            name: self.hello.name.clone(),
            connected: true,
            protocol: Some(self.protocol),
            peer: self.peer.clone(),
            format: Some(self.hello.format.name()),
            ack: self.hello.ack,
            topics,
            frameworks,
            tags,
            since_ms: self.since_ms,
            sent_records: read(&self.progress.sent),
            done_records: read(&self.progress.done),
            lost_records: read(&self.progress.lost),
            behind_records: accepted.saturating_sub(read(&self.progress.next)),
            dialled: None,
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.board.lock().1.remove(&self.id);
    }
}
