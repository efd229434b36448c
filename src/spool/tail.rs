//! The closed frames that wait in memory, in order, and who still needs each. A plain structure: no lock, no clock, no waiting.
//!
//! Frames form a list in the order of acceptance over a slab, so that one can leave from anywhere in constant time: a
//! topic that waits for its batch must not hold the memory of others that were delivered long ago.

use std::sync::Arc;

use slab::Slab;

use super::frame::{Frame, FrameRef};
use crate::record::Seq;

/// Outputs at once.
pub const OUTPUTS_MAX: usize = 256;

/// A set of outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OutputSet([u64; OUTPUTS_MAX / 64]);

impl OutputSet {
    pub(super) fn insert(&mut self, output: usize) {
        self.0[output / 64] |= 1 << (output % 64);
    }

    pub(super) fn remove(&mut self, output: usize) {
        self.0[output / 64] &= !(1 << (output % 64));
    }

    pub(super) fn contains(&self, output: usize) -> bool {
        self.0[output / 64] & (1 << (output % 64)) != 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0 == [0; OUTPUTS_MAX / 64]
    }

    fn meets(&self, other: &OutputSet) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..OUTPUTS_MAX).filter(move |output| self.contains(*output))
    }
}

#[derive(Debug)]
struct Slot {
    frame: Arc<Frame>,
    needed_by: OutputSet,
    before: Option<usize>,
    behind: Option<usize>,
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct Tail {
    slots: Slab<Slot>,
    oldest: Option<usize>,
    newest: Option<usize>,
    bytes: usize,
    /// The outputs that a full spool waits for, and the bytes of frames that none of them needs.
    holders: OutputSet,
    optional_bytes: usize,
}

impl Tail {
    /// From now on a full spool waits for `output` too.
    pub(super) fn add_holder(&mut self, output: usize) {
        self.holders.insert(output);
    }

    /// Puts `frame` at the end, for the outputs that need it.
    pub(super) fn push(&mut self, frame: Frame, needed_by: OutputSet) -> usize {
        self.insert(frame, needed_by, None)
    }

    /// Puts `frame` before the one in `behind`, or at the end.
    fn insert(&mut self, frame: Frame, needed_by: OutputSet, behind: Option<usize>) -> usize {
        self.bytes += frame.cost();
        if !needed_by.meets(&self.holders) {
            self.optional_bytes += frame.cost();
        }
        let before = match behind {
            Some(behind) => self.slots[behind].before,
            None => self.newest,
        };
        let slot = self.slots.insert(Slot { frame: Arc::new(frame), needed_by, before, behind });
        match before {
            Some(before) => self.slots[before].behind = Some(slot),
            None => self.oldest = Some(slot),
        }
        match behind {
            Some(behind) => self.slots[behind].before = Some(slot),
            None => self.newest = Some(slot),
        }
        slot
    }

    /// Puts a frame back that an output had taken, to where it was: before all that is younger. It counts as shown.
    pub(super) fn put_back(&mut self, frame: Frame, needed_by: OutputSet) -> FrameRef {
        // It is among the oldest, so the place is near.
        let mut at = self.oldest;
        while let Some(slot) = at.filter(|slot| self.slots[*slot].frame.seq < frame.seq) {
            at = self.slots[slot].behind;
        }
        let slot = self.insert(frame, needed_by, at);
        FrameRef::new(slot, &self.slots[slot].frame)
    }

    /// Bytes of memory that the frames take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many frames there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The oldest frame and who needs it.
    pub(super) fn oldest(&self) -> Option<&Arc<Frame>> {
        Some(&self.slots[self.oldest?].frame)
    }

    /// All frames, oldest first, with who needs them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<Frame>, OutputSet)> {
        let mut at = self.oldest;
        std::iter::from_fn(move || {
            let slot = &self.slots[at?];
            at = slot.behind;
            Some((&slot.frame, slot.needed_by))
        })
    }

    /// Describes the frame in `slot`, and says which is the next behind it that `output` needs.
    pub(super) fn show(&self, slot: usize, output: usize) -> (FrameRef, Option<usize>) {
        let Slot { frame, behind, .. } = &self.slots[slot];
        (FrameRef::new(slot, frame), self.needed_from(*behind, output))
    }

    /// The first frame from `at` on that `output` needs: frames that were put back are for one output alone.
    pub(super) fn needed_from(&self, mut at: Option<usize>, output: usize) -> Option<usize> {
        while let Some(slot) = at.filter(|slot| !self.slots[*slot].needed_by.contains(output)) {
            at = self.slots[slot].behind;
        }
        at
    }

    /// Number of the frame in `slot`.
    pub(super) fn seq(&self, slot: usize) -> Seq {
        self.slots[slot].frame.seq
    }

    /// Gives `output` the frame, if it is still there for it. `output` needs it no more then; when nobody does, it
    /// leaves the list.
    pub(super) fn take(&mut self, wanted: &FrameRef, output: usize) -> Option<Arc<Frame>> {
        let slot = self.slots.get_mut(wanted.slot)?;
        if slot.frame.seq != wanted.seq || !slot.needed_by.contains(output) {
            return None;
        }
        let mut needed_by = slot.needed_by;
        needed_by.remove(output);
        if needed_by.is_empty() {
            return Some(self.remove(wanted.slot).0);
        }
        if slot.needed_by.meets(&self.holders) && !needed_by.meets(&self.holders) {
            self.optional_bytes += slot.frame.cost();
        }
        slot.needed_by = needed_by;
        Some(slot.frame.clone())
    }

    /// Removes the oldest frame, whoever needs it.
    pub(super) fn evict(&mut self) -> Option<Evicted> {
        self.oldest.map(|slot| self.remove(slot).1)
    }

    /// Removes the oldest frame that no holder needs.
    pub(super) fn evict_optional(&mut self) -> Option<Evicted> {
        if self.optional_bytes == 0 {
            return None;
        }
        let mut at = self.oldest;
        while let Some(slot) = at {
            if !self.slots[slot].needed_by.meets(&self.holders) {
                return Some(self.remove(slot).1);
            }
            at = self.slots[slot].behind;
        }
        None
    }

    fn remove(&mut self, at: usize) -> (Arc<Frame>, Evicted) {
        let Slot { frame, needed_by, before, behind } = self.slots.remove(at);
        match before {
            Some(before) => self.slots[before].behind = behind,
            None => self.oldest = behind,
        }
        match behind {
            Some(behind) => self.slots[behind].before = before,
            None => self.newest = before,
        }
        self.bytes -= frame.cost();
        if !needed_by.meets(&self.holders) {
            self.optional_bytes -= frame.cost();
        }
        if self.slots.is_empty() && self.slots.capacity() > 1024 {
            self.slots.shrink_to_fit();
        }
        let evicted = Evicted { shown: FrameRef::new(at, &frame), behind, needed_by };
        (frame, evicted)
    }
}

/// A frame that left the list.
#[derive(Debug)]
pub(super) struct Evicted {
    /// What it was.
    pub(super) shown: FrameRef,
    /// Where the next newer one is.
    pub(super) behind: Option<usize>,
    /// Who still needed it.
    pub(super) needed_by: OutputSet,
}
