//! The spool: where a record is accepted, and where it stays until every output has finished with it.
//!
//! # What it promises
//! * A record is accepted when its chunk is appended. From then on the [ledger](Ledger) accounts for it, for each
//!   output that was there: delivered, waiting, lost for a stated reason, set aside, or not wanted.
//! * Records have numbers: one within their topic, and a [`Seq`](crate::record::Seq) over all. Both run without gaps,
//!   within a topic in the order of acceptance, over all in the order in which frames closed, so that a gap at the far
//!   end is a loss.
//! * Appending never waits and never fails. Before a source reads more it asks [`Spool::admit`], which waits while the
//!   spool is full and something will come of waiting.
//! * An output that is slow, stuck or gone costs its own records, never another output's.
//!
//! # How it works
//! This spool lives in memory. Each topic's records gather in a [`Frame`] that grows until it is as large as a message, or
//! until an output asks for it; then it is closed, numbered, and put in a list. A source writes the records of a block
//! straight into these frames, and they are accepted all or none.
//!
//! An output hears through its [`Reader`] of frames that begin to grow and is shown closed ones in order, as descriptions;
//! it *takes* those it is about to send, in any order, and gets a [`Ticket`]; and it *finishes* the ticket with an
//! [`Outcome`]. A frame leaves the list when the last output has taken it. A record is waiting from acceptance until
//! its ticket is finished, and so long its bytes count against `spool-memory`: growing, in the list, or in the hands of
//! an output. Large frames have room around their records, so that the output that takes a frame last can make a message
//! of it where it lies: a record is copied once between the two sockets.
//!
//! Partners and streams do not take frames. They follow the feed, which has the records as they arrive, and has its
//! own page.
//!
//! # When it is full
//! First the feed gives way, down to a small rest. Then by `spool-full`. `hold`: sources wait. `drop-oldest`: the oldest frames go, counted for each output that still needed
//! them. `auto`: sources wait as long as an output that may hold the input (Kafka; never a partner) has
//! confirmed something in the last five seconds; else, or if the oldest frame's topic is one that the output has
//! reported as stalled, the oldest goes. Of an output that pauses on purpose the pause counts as well. Frames that no holding output needs go first in every mode.
//!
//! # What is lost when
//! A crash costs what is waiting, since memory is all there is; so does a shutdown whose grace is over.

mod append;
mod books;
mod bounds;
mod buffers;
mod feed;
mod frame;
mod ledger;
mod metrics;
mod open;
mod prompt;
mod reader;
mod room;
mod settings;
mod state;
mod tail;
mod topics;
mod waiting;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;

pub use append::{Append, Appended};
pub use books::TopicBooks;
pub use feed::{Follower, From, News, Part, Piece};
pub use frame::{Frame, FrameRef, Framing};
pub use ledger::{AsideReason, Ledger, LossReason, Outcome, OutputLedger};
pub use metrics::Collected;
pub use prompt::Promptness;
pub use reader::{Reader, Returned, Ticket};
pub use room::Weight;
pub use settings::{Config, WhenFull};
pub use tail::OUTPUTS_MAX;
pub use topics::Topic;

use crate::telemetry::Problems;
use open::Held;
use state::State;

/// A frame that grows, as an output is told of it.
#[derive(Clone, Debug)]
pub struct OpenFrame {
    /// What its records are filed under.
    pub topic: Arc<Topic>,
    /// Records in it so far.
    pub records: u32,
    /// Unix time of the acceptance of its first record, in milliseconds.
    pub accepted_ms: u64,
}

impl OpenFrame {
    fn new(held: Held, topic: &Arc<Topic>) -> OpenFrame {
        OpenFrame { topic: topic.clone(), records: held.records, accepted_ms: held.accepted_ms }
    }
}

/// Numbers about the spool as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Records accepted so far.
    pub accepted: u64,
    /// Frames that some output has not taken, those that grow included.
    pub frames: usize,
    /// Bytes that count against the limit.
    pub bytes: usize,
    /// The limit.
    pub bytes_max: usize,
    /// When the oldest record in them was accepted, Unix time in milliseconds.
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
    state: Mutex<State>,
    /// Wakes sources that wait for room, and heavy ones.
    room: Notify,
    room_for_heavy: Notify,
    /// Wakes the one who waits for news of the feed.
    news: Notify,
    /// Those who want records the moment that they arrive.
    hurried: AtomicUsize,
}

impl Spool {
    /// An empty spool whose frames are made for messages of this framing.
    #[must_use]
    pub fn in_memory(config: Config, framing: Framing) -> Spool {
        let state = Mutex::new(State::new(config, framing));
        Spool {
            shared: Arc::new(Shared {
                state,
                room: Notify::new(),
                room_for_heavy: Notify::new(),
                news: Notify::new(),
                hurried: AtomicUsize::new(0),
            }),
        }
    }

    /// The same, telling `problems` when records have to go.
    #[must_use]
    pub fn telling(self, problems: &Problems) -> Spool {
        self.shared.lock().problems = problems.clone();
        self
    }

    /// Accepts what `write` writes, at `now_ms` (Unix time in milliseconds), or, where it gives an error, nothing of it.
    /// Nobody else gets at the spool meanwhile, so `write` neither waits nor calls it.
    ///
    /// # Errors
    /// That of `write`.
    pub fn append<E>(
        &self,
        now_ms: u64,
        write: impl FnOnce(&mut Append<'_>) -> Result<(), E>,
    ) -> Result<Appended, E> {
        let mut state = self.shared.lock();
        let mut append = Append::begin(&mut state);
        match write(&mut append) {
            Ok(()) => {
                let (appended, news) = append.commit(now_ms);
                if news {
                    self.shared.news.notify_one();
                }
                Ok(appended)
            }
            Err(error) => {
                append.roll_back();
                Err(error)
            }
        }
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

    /// From now on frames are made for messages of another framing. Those that grow are closed as they are.
    pub fn set_framing(&self, framing: Framing) {
        self.shared.lock().set_framing(framing);
    }

    /// Nothing is appended any more: readers and followers see the end when they have seen all.
    pub fn close(&self) {
        self.shared.lock().close();
        self.shared.news.notify_one();
    }

    /// Whether nothing is appended any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// Records accepted so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }

    /// The books.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.lock().ledger()
    }

    /// The books of every record topic, in the order in which they came. What waits: for the output of this name.
    #[must_use]
    pub fn topics(&self, output: &str) -> Vec<TopicBooks> {
        self.shared.lock().topics(output)
    }

    /// Numbers as they are.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let state = self.shared.lock();
        Snapshot {
            accepted: state.accepted,
            frames: state.tail.len() + state.open.held().count(),
            bytes: state.bytes(),
            bytes_max: state.bounds.config.memory_bytes,
            oldest_ms: state.oldest_ms(),
            held: state.waiting_sources > 0,
            drops: state.drops(Instant::now()),
        }
    }
}

impl Shared {
    /// Before each change there is a look at what has gone since the last one.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().expect("no code panics under this lock");
        state.forget_gone();
        state
    }
}

#[cfg(test)]
mod tests;
