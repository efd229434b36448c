//! The books: what waits is counted where it is when somebody asks, what had to go when it goes.

use std::sync::Arc;

use super::ledger::{Ledger, LossReason, Outcome, OutputLedger};
use super::state::{Output, State};
use super::tail::{Evicted, Tail};
use super::topics::Topic;

impl State {
    /// The books of every output.
    pub(super) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger { accepted: self.accepted, ..Ledger::default() };
        let growing_since = self.open.oldest().map(|held| held.accepted_ms);
        for (id, output) in self.outputs.iter().enumerate() {
            let Some(output) = output else { continue };
            let mut oldest_ms = output.in_hands.first_key_value().map(|(at, _)| *at);
            let mut in_list = 0;
            for (frame, _) in self.tail.iter().filter(|(_, needed_by)| needed_by.contains(id)) {
                in_list += u64::from(frame.records);
                oldest_ms = earlier(oldest_ms, Some(frame.accepted_ms));
            }
            // Outputs come and go between frames, so what grows is for all of them.
            let waiting = self.open.records() + in_list + output.taken_records;
            let oldest_ms = earlier(oldest_ms, growing_since);
            ledger
                .outputs
                .insert(output.name.clone(), OutputLedger { waiting, oldest_ms, ..output.books.clone() });
        }
        for (row, books) in &self.past {
            ledger.outputs.entry(row.clone()).or_default().merge(books);
        }
        if let Some(feed) = &self.feed {
            feed.add_books(self.accepted, &mut ledger.outputs);
        }
        ledger
    }

    /// Books a frame that had to go, for each output that needed it. Says whether there was one.
    pub(super) fn book_eviction(&mut self, evicted: Option<Evicted>, reason: LossReason) -> bool {
        let Some(Evicted { shown, behind, needed_by }) = evicted else { return false };
        let first_unseen = |output: &Output, tail: &Tail| output.unseen.map(|slot| tail.seq(slot));
        for id in needed_by.iter() {
            let tail = &self.tail;
            let output = self.outputs[id].as_mut().expect("an output that needs a frame is there");
            output.books.add(u64::from(shown.records), Outcome::Lost(reason));
            *output.dropped.entry(shown.topic.id).or_default() += u64::from(shown.records);
            let was_shown = output.unseen != Some(shown.slot)
                && first_unseen(output, tail).is_none_or(|seq| shown.seq < seq);
            if output.unseen == Some(shown.slot) {
                output.unseen = tail.needed_from(behind, id);
            }
            if was_shown || shown.was_opened {
                output.gone.push(shown.clone());
            }
        }
        self.note_room_made();
        true
    }

    /// The books of every record topic, in the order in which they came. What waits: for the output of this name.
    pub(super) fn topics(&self, output: &str) -> Vec<TopicBooks> {
        let of_topic =
            |(topic, accepted)| TopicBooks { topic, accepted, waiting: 0, dropped: 0, oldest_ms: None };
        let mut topics: Vec<TopicBooks> = self.topics.counted().into_iter().map(of_topic).collect();
        let id =
            self.outputs.iter().position(|known| known.as_ref().is_some_and(|known| known.name == output));
        for held in self.open.held() {
            let books = &mut topics[held.topic as usize];
            books.accepted += u64::from(held.records);
            if id.is_some() {
                books.wait(held.records, held.accepted_ms);
            }
        }
        for (frame, _) in
            self.tail.iter().filter(|(_, needed_by)| id.is_some_and(|id| needed_by.contains(id)))
        {
            topics[frame.topic.id as usize].wait(frame.records, frame.accepted_ms);
        }
        for (topic, records) in id.and_then(|id| self.outputs[id].as_ref()).iter().flat_map(|of| &of.dropped)
        {
            topics[*topic as usize].dropped = *records;
        }
        topics
    }
}

/// The books of one record topic, in records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicBooks {
    /// Which it is.
    pub topic: Arc<Topic>,
    /// Accepted since the start.
    pub accepted: u64,
    /// Those in the spool that the output has not taken.
    pub waiting: u64,
    /// Those that had to leave the spool before their turn.
    pub dropped: u64,
    /// When the oldest of those that wait was accepted, Unix time in milliseconds.
    pub oldest_ms: Option<u64>,
}

impl TopicBooks {
    fn wait(&mut self, records: u32, accepted_ms: u64) {
        self.waiting += u64::from(records);
        self.oldest_ms = earlier(self.oldest_ms, Some(accepted_ms));
    }
}

/// The earlier of two times that may not be there.
pub(super) fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}
