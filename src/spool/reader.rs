//! An output's view of the spool.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::Shared;
use super::ledger::{LossReason, Outcome};
use super::tail::{Frame, FrameRef};

/// Shows an output every frame once, in order, and hands out those that it takes.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    output: usize,
    wake: Arc<Notify>,
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
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, output: usize, wake: Arc<Notify>) -> Reader {
        Reader { shared, output, wake }
    }

    /// Returns when there are frames of `bytes` bytes or more that [`Reader::show`] has not shown. `false`: nothing is
    /// appended any more; what was is still shown. Cancel safe.
    ///
    /// An output that has time asks for many bytes, and looks by itself now and then: on a quiet node being woken for each
    /// chunk costs more than the chunk.
    pub async fn changed(&mut self, bytes: usize) -> bool {
        loop {
            {
                let mut state = self.shared.lock();
                if state.closed {
                    return false;
                }
                if state.wake_at(self.output, bytes) {
                    return true;
                }
            }
            self.wake.notified().await;
        }
    }

    /// Frames that were shown, were not taken, and had to go since this was asked last: they cannot be taken any more, and
    /// the books have them as lost.
    pub fn gone(&mut self) -> Vec<FrameRef> {
        self.shared.lock().gone(self.output)
    }

    /// The next frame, described.
    pub fn show(&mut self) -> Option<FrameRef> {
        self.shared.lock().show(self.output)
    }

    /// Takes those of `wanted` that are still there, in order, with one ticket for all.
    pub fn take<'a>(&self, wanted: impl IntoIterator<Item = &'a FrameRef>) -> (Vec<Arc<Frame>>, Ticket) {
        let mut state = self.shared.lock();
        let frames: Vec<_> =
            wanted.into_iter().filter_map(|wanted| state.take(wanted, self.output)).collect();
        drop(state);
        let records = frames.iter().map(|frame| u64::from(frame.records)).sum();
        let bytes = frames.iter().map(|frame| frame.body.len()).sum();
        (frames, Ticket { shared: self.shared.clone(), output: self.output, records, bytes })
    }

    /// Says whether the topic of this id can be delivered at present. The spool does not wait for one that cannot.
    pub fn set_stalled(&self, topic: u32, stalled: bool) {
        self.shared.lock().set_stalled(self.output, topic, stalled);
        self.shared.room.notify_waiters();
    }

    /// How full the spool is, from 0 to 1 and beyond.
    #[must_use]
    pub fn fullness(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let ratio = |bytes: usize| bytes as f64 / self.shared.config.memory_bytes as f64;
        ratio(self.shared.lock().bytes())
    }

    /// Books everything that this output has not taken as lost, at the end of the process. Gives the number of records.
    pub fn abandon(&mut self) -> u64 {
        let mut lost = 0;
        while let Some(shown) = self.shared.lock().show(self.output) {
            lost += self.lose(&[shown]);
        }
        lost
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
        self.shared.wake_sources(&state);
    }

    /// Splits off the first `records` of it, of `bytes` bytes.
    ///
    /// # Panics
    /// If it stands for fewer.
    pub fn split(&mut self, records: u64, bytes: usize) -> Ticket {
        assert!(records <= self.records && bytes <= self.bytes, "a part is not more than the whole");
        self.records -= records;
        self.bytes -= bytes;
        Ticket { shared: self.shared.clone(), output: self.output, records, bytes }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.records > 0 || self.bytes > 0 {
            self.shared.lock().forget(self.output, self.records, self.bytes);
        }
    }
}
