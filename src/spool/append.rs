//! What a source does to have a block of records accepted.

use super::state::State;

/// A block that is being written. See [`Spool::append`](super::Spool::append).
#[derive(Debug)]
pub struct Append<'a> {
    state: &'a mut State,
    /// Topic of the last record: records of a topic often come together.
    last: Option<u32>,
}

/// What a call of [`Spool::append`](super::Spool::append) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Appended {
    /// Records that were accepted.
    pub records: u64,
    /// Datapoints in them.
    pub datapoints: u64,
}

impl<'a> Append<'a> {
    pub(super) fn begin(state: &'a mut State) -> Append<'a> {
        state.open.begin();
        state.topics.begin();
        Append { state, last: None }
    }

    /// Adds a record of `topic` with so many datapoints. `write` appends it, complete with its tags, and leaves what
    /// is there alone; `bytes_max` is what it writes at most.
    #[inline]
    pub fn record(
        &mut self,
        topic: &[u8],
        datapoints: u32,
        bytes_max: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let topics = &mut self.state.topics;
        let is_it = |id: &u32| topics.topic(*id).name.as_ref().is_some_and(|name| name.as_bytes() == topic);
        let id = match self.last.filter(is_it) {
            Some(id) => id,
            None => topics.id(topic),
        };
        self.last = Some(id);
        write(self.state.open.record(id, bytes_max, datapoints));
    }

    /// Says also whether there is news for those who follow the feed.
    pub(super) fn commit(self, now_ms: u64) -> (Appended, bool) {
        self.state.commit(now_ms)
    }

    pub(super) fn roll_back(self) {
        self.state.roll_back();
    }
}
