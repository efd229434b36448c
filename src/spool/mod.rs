//! The spool: where a record is accepted, and where it stays until every output has finished with it.
//!
//! # What it promises
//! * A record is accepted when its chunk is appended. From then on the [ledger](Ledger) accounts for it, for each
//!   output that was there: delivered, waiting, lost for a stated reason, set aside, or not wanted.
//! * Records have numbers: a [`Seq`] over all, and one within their topic. Both run without gaps in the order of
//!   acceptance, so that a gap at the far end is a loss.
//! * Appending never waits and never fails. Before a source reads more it asks [`Spool::admit`], which waits while the
//!   spool is full and something will come of waiting.
//! * An output that is slow, stuck or gone costs its own records, never another output's.
//!
//! # How it works
//! This spool lives in memory. Chunks become [`Frame`]s in a list. An output sees frames in order through its
//! [`Reader`], as descriptions; it *takes* those it is about to send, in any order, and gets a [`Ticket`]; and it
//! *finishes* the ticket with an [`Outcome`]. A frame leaves the list when the last output has taken it. A record is
//! waiting from acceptance until its ticket is finished, and so long its bytes count against `spool-memory`: in the
//! list, or in the hands of an output that holds a copy.
//!
//! # When it is full
//! By `spool-full`. `hold`: sources wait. `drop-oldest`: the oldest frames go, counted for each output that still needed
//! them. `auto`: sources wait as long as an output that may hold the input (Kafka; never a partner) has
//! confirmed something in the last five seconds; else, or if the oldest frame's topic is one that the output has
//! reported as stalled, the oldest goes. Frames that no holding output needs go first in every mode.
//!
//! # What is lost when
//! A crash costs what is waiting, since memory is all there is; so does a shutdown whose grace is over.

mod ledger;
mod metrics;
mod reader;
mod room;
mod settings;
mod state;
mod tail;
mod topics;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;

pub use ledger::{AsideReason, Ledger, LossReason, Outcome, OutputLedger};
pub use metrics::Collected;
pub use reader::{Reader, Ticket};
pub use settings::{Config, WhenFull};
pub use tail::{Frame, FrameRef, OUTPUTS_MAX};
pub use topics::Topic;

use crate::record::Seq;
use state::State;

/// Records of one topic on their way into the spool.
#[derive(Debug)]
pub struct Chunk {
    /// From [`Spool::topic`].
    pub topic: Arc<Topic>,
    /// Records in it; not 0.
    pub records: u32,
    /// Datapoints in them.
    pub datapoints: u64,
    /// The records, one behind the other: our schema, no codec, no marker, tags complete.
    pub body: Vec<u8>,
}

/// What a call of [`Spool::append`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Appended {
    /// Records that were accepted.
    pub records: u64,
    /// Datapoints in them.
    pub datapoints: u64,
}

/// Numbers about the spool as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Number that the next record gets.
    pub next: Seq,
    /// Frames in the list.
    pub frames: usize,
    /// Bytes that count against the limit.
    pub bytes: usize,
    /// The limit.
    pub bytes_max: usize,
    /// When the oldest frame was accepted, Unix time in milliseconds.
    pub oldest_ms: Option<u64>,
    /// Whether a source waits for room.
    pub held: bool,
    /// Whether records were dropped for want of room in the last minute.
    pub drops: bool,
}

/// A handle on the spool; cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    state: Mutex<State>,
    /// Wakes sources that wait for room.
    room: Notify,
}

impl Spool {
    /// An empty spool.
    #[must_use]
    pub fn in_memory(config: Config) -> Spool {
        let state = Mutex::new(State::new(config.topics_max));
        Spool { shared: Arc::new(Shared { config, state, room: Notify::new() }) }
    }

    /// The topic of this name.
    #[must_use]
    pub fn topic(&self, name: &[u8]) -> Arc<Topic> {
        self.shared.lock().topics.get(name)
    }

    /// Accepts `chunks`, in order, at `now_ms` (Unix time in milliseconds), and wakes the outputs that wait for as much.
    pub fn append(&self, chunks: impl IntoIterator<Item = Chunk>, now_ms: u64) -> Appended {
        let mut state = self.shared.lock();
        let mut appended = Appended::default();
        for chunk in chunks {
            debug_assert!(chunk.records > 0, "a chunk has records");
            appended.records += u64::from(chunk.records);
            appended.datapoints += chunk.datapoints;
            state.accept(chunk, now_ms);
        }
        state.wake_readers();
        appended
    }

    /// A reader for the output called `name`, from the next record on. `holds`: whether a full spool may wait for it.
    ///
    /// # Panics
    /// If there are [`OUTPUTS_MAX`] outputs already; whoever adds outputs at run time bounds them before.
    #[must_use]
    pub fn reader(&self, name: &str, holds: bool) -> Reader {
        let (output, wake) = self.shared.lock().add_output(name, holds, Instant::now());
        Reader::new(self.shared.clone(), output, wake)
    }

    /// Nothing is appended any more: readers see the end when they have seen all.
    pub fn close(&self) {
        self.shared.lock().close();
    }

    /// The books.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.lock().ledger()
    }

    /// Numbers as they are.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let state = self.shared.lock();
        Snapshot {
            next: state.next,
            frames: state.tail.len(),
            bytes: state.bytes(),
            bytes_max: self.shared.config.memory_bytes,
            oldest_ms: state.tail.oldest().map(|frame| frame.accepted_ms),
            held: state.waiting_sources > 0,
            drops: state.drops(Instant::now()),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }
}

#[cfg(test)]
mod tests;
