//! An output's view of the spool.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::frame::{Frame, FrameRef, Memory};
use super::ledger::{LossReason, Outcome};
use super::topics::Topic;
use super::{OpenFrame, Shared};
use crate::record::Seq;

/// Shows an output every frame once, in order, and hands out those that it takes.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    output: usize,
    wake: Arc<Notify>,
}

/// Records that an output could not deliver, as they were: see [`Reader::give_back`].
#[derive(Debug)]
pub struct Returned {
    /// As in the frame.
    pub topic: Arc<Topic>,
    /// As in the frame.
    pub seq: Seq,
    /// As in the frame.
    pub first: u64,
    /// As in the frame.
    pub records: u32,
    /// As in the frame.
    pub accepted_ms: u64,
    /// Has the records from `start` to its end.
    pub buffer: Vec<u8>,
    /// Where they begin.
    pub start: usize,
}

/// Records in an output's hands. Whoever has it owes the ledger an [`Outcome`]; one that is dropped unfinished leaves
/// an imbalance in the books, for all to see.
#[derive(Debug)]
#[must_use = "records that were taken must be finished with"]
pub struct Ticket {
    shared: Arc<Shared>,
    output: usize,
    records: u64,
    bytes: usize,
    /// When the oldest of them was accepted, while that is noted; those of a part may be younger.
    oldest_ms: Option<u64>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, output: usize, wake: Arc<Notify>) -> Reader {
        Reader { shared, output, wake }
    }

    /// Returns when there is something that [`Reader::opened`] has not told or [`Reader::show`] has not shown. `false`:
    /// nothing is appended any more, and every frame is closed; what was accepted is still shown. Cancel safe.
    pub async fn changed(&mut self) -> bool {
        loop {
            {
                let mut state = self.shared.lock();
                if state.closed {
                    return false;
                }
                if state.has_news(self.output) {
                    return true;
                }
            }
            self.wake.notified().await;
        }
    }

    /// Frames that began to grow since this was asked last. Each comes by [`Reader::show`] or [`Reader::gone`] when it
    /// is closed, because it is full or because [`Reader::close`] asks for it.
    pub fn opened(&mut self) -> Vec<OpenFrame> {
        self.shared.lock().opened(self.output)
    }

    /// Every frame that grows now.
    #[must_use]
    pub fn open_frames(&self) -> Vec<OpenFrame> {
        self.shared.lock().open_frames()
    }

    /// Closes the frame of the topic of this id, if it has records.
    pub fn close(&self, topic: u32) {
        self.shared.lock().close_topic(topic);
    }

    /// Frames that were shown or opened, were not taken, and had to go since this was asked last: they cannot be taken
    /// any more, and the books have them as lost.
    pub fn gone(&mut self) -> Vec<FrameRef> {
        self.shared.lock().gone(self.output)
    }

    /// The next closed frame, described.
    pub fn show(&mut self) -> Option<FrameRef> {
        self.shared.lock().show(self.output)
    }

    /// Takes those of `wanted` that are still there, in order, with one ticket for all.
    pub fn take<'a>(&self, wanted: impl IntoIterator<Item = &'a FrameRef>) -> (Vec<Arc<Frame>>, Ticket) {
        let mut state = self.shared.lock();
        let frames: Vec<_> =
            wanted.into_iter().filter_map(|wanted| state.take(wanted, self.output)).collect();
        let oldest_ms = frames.iter().map(|frame| frame.accepted_ms).min();
        if let Some(oldest_ms) = oldest_ms {
            state.hold(self.output, oldest_ms);
        }
        drop(state);
        let records = frames.iter().map(|frame| u64::from(frame.records)).sum();
        let bytes = frames.iter().map(|frame| frame.body().len()).sum();
        (frames, Ticket { shared: self.shared.clone(), output: self.output, records, bytes, oldest_ms })
    }

    /// Puts records that `ticket` stands for back, as a frame in the place where they were: they cannot be delivered for
    /// now, and in the spool they can make room for others if need be.
    pub fn give_back(&self, mut ticket: Ticket, returned: Returned) -> FrameRef {
        let Returned { topic, seq, first, records, accepted_ms, buffer, start } = returned;
        let memory = Memory::from_parts(buffer, start);
        let frame =
            Frame { seq, first, topic, records, accepted_ms, is_full: false, was_opened: false, memory };
        debug_assert_eq!((ticket.records, ticket.bytes), (u64::from(records), frame.body().len()));
        (ticket.records, ticket.bytes) = (0, 0);
        let mut state = self.shared.lock();
        if let Some(oldest_ms) = ticket.oldest_ms.take() {
            state.release(self.output, oldest_ms);
        }
        state.give_back(self.output, frame)
    }

    /// Says whether the topic of this id can be delivered at present. The spool does not wait for one that cannot.
    pub fn set_stalled(&self, topic: u32, stalled: bool) {
        self.shared.lock().set_stalled(self.output, topic, stalled);
        self.shared.room.notify_waiters();
    }

    /// Says that nothing will be confirmed before then though all is well, so that sources are to wait so long.
    pub fn expect_pause(&self, until: Instant) {
        self.shared.lock().expect_pause(self.output, until);
    }

    /// How full the spool is, from 0 to 1 and beyond, without what gives way before an output has to hurry.
    #[must_use]
    pub fn fullness(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = |bytes: usize, of: usize| bytes as f64 / of as f64;
        let state = self.shared.lock();
        ratio(state.bytes() - state.fed_bytes(), state.bounds.config.memory_bytes)
    }

    /// Keeps a large buffer that is not needed any more, for frames to come.
    pub fn recycle(&self, buffer: Vec<u8>) {
        self.shared.lock().open.buffers.give(buffer);
    }

    /// Lets go of the buffers that are kept.
    pub fn shrink(&self) {
        self.shared.lock().open.buffers.clear();
    }

    /// Whether any are kept.
    #[must_use]
    pub fn keeps_buffers(&self) -> bool {
        !self.shared.lock().open.buffers.is_empty()
    }

    /// Books everything that this output has not taken as lost, at the end of the process. Gives the number of records.
    pub fn abandon(&mut self) -> u64 {
        self.shared.lock().close_all();
        let mut lost = 0;
        loop {
            // The lock is let go of before the next call takes it.
            let shown = self.show();
            let Some(shown) = shown else { return lost };
            lost += self.lose(&[shown]);
        }
    }

    /// Books frames that were shown and not taken as lost at shutdown.
    pub fn lose<'a>(&self, shown: impl IntoIterator<Item = &'a FrameRef>) -> u64 {
        let (_, ticket) = self.take(shown);
        let records = ticket.records();
        ticket.finish(Outcome::Lost(LossReason::Shutdown));
        records
    }
}

impl Ticket {
    /// Records that it stands for.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Books what became of the records.
    pub fn finish(mut self, outcome: Outcome) {
        let records = std::mem::take(&mut self.records);
        let bytes = std::mem::take(&mut self.bytes);
        let mut state = self.shared.lock();
        state.finish(self.output, records, bytes, outcome, Instant::now());
        if let Some(oldest_ms) = self.oldest_ms.take() {
            state.release(self.output, oldest_ms);
        }
        self.shared.wake_sources(&mut state);
    }

    /// Splits off the first `records` of it, of `bytes` bytes.
    ///
    /// # Panics
    /// If it stands for fewer.
    pub fn split(&mut self, records: u64, bytes: usize) -> Ticket {
        assert!(records <= self.records && bytes <= self.bytes, "a part is not more than the whole");
        self.records -= records;
        self.bytes -= bytes;
        let oldest_ms = if self.records == 0 { self.oldest_ms.take() } else { self.oldest_ms };
        if let Some(oldest_ms) = self.oldest_ms {
            self.shared.lock().hold(self.output, oldest_ms);
        }
        Ticket { shared: self.shared.clone(), output: self.output, records, bytes, oldest_ms }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.records > 0 || self.bytes > 0 || self.oldest_ms.is_some() {
            let mut state = self.shared.lock();
            state.forget(self.output, self.records, self.bytes);
            if let Some(oldest_ms) = self.oldest_ms {
                state.release(self.output, oldest_ms);
            }
        }
    }
}
