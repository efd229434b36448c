//! How much waits for each output in bytes; in records and time the books say it.

use std::collections::BTreeMap;

use super::Spool;

impl Spool {
    /// Bytes that wait for each output, those in its hands among them, by the names that the books have. Of those who
    /// follow the feed about so many: pieces count as a whole.
    #[must_use]
    pub fn waiting_bytes(&self) -> BTreeMap<String, usize> {
        let state = self.shared.lock();
        let mut waiting = BTreeMap::new();
        for (id, output) in state.outputs.iter().enumerate() {
            let Some(output) = output else { continue };
            let listed = state.tail.iter().filter(|(_, needed_by)| needed_by.contains(id));
            let listed: usize = listed.map(|(frame, _)| frame.cost()).sum();
            waiting.insert(output.name.clone(), state.open.cost() + listed + output.taken_bytes);
        }
        if let Some(feed) = &state.feed {
            feed.add_waiting_bytes(&mut waiting);
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Framing, From, Outcome, WhenFull};
    use super::*;

    fn spool() -> Spool {
        let framing = Framing {
            records_max: 10.try_into().unwrap(),
            bytes_max: 10_000,
            room_before: 0,
            room_behind: 0,
        };
        let config = Config { memory_bytes: 1 << 20, when_full: WhenFull::Hold, topics_max: 10 };
        Spool::in_memory(config, framing)
    }

    /// Accepts records of 100 bytes each.
    fn append(spool: &Spool, records: u32) {
        let appended: Result<_, ()> = spool.append(7, |append| {
            for _ in 0..records {
                append.record(b"a", 1, 100, |out| out.resize(out.len() + 100, b'a'));
            }
            Ok(())
        });
        assert!(appended.is_ok());
    }

    #[test]
    fn what_grows_what_waits_and_what_was_taken_waits() {
        let spool = spool();
        let mut reader = spool.reader("kafka", true);
        assert_eq!(spool.waiting_bytes()["kafka"], 0);
        append(&spool, 13);
        assert!(spool.waiting_bytes()["kafka"] >= 1300);
        let shown = reader.show().unwrap();
        let (frames, ticket) = reader.take([&shown]);
        let taken = spool.waiting_bytes()["kafka"];
        assert!(taken >= 1300, "{taken}");
        drop(frames);
        ticket.finish(Outcome::Delivered);
        assert_eq!(spool.waiting_bytes()["kafka"], taken - 1000);
    }

    #[test]
    fn what_a_follower_has_not_finished_waits() {
        let spool = spool();
        let mut follower = spool.follow("partner", From::Now);
        assert_eq!(spool.waiting_bytes()["partner"], 0);
        append(&spool, 2);
        assert_eq!(spool.waiting_bytes()["partner"], 200, "it grows");
        // Whoever reads has the piece closed.
        assert!(follower.read().is_some());
        append(&spool, 3);
        assert_eq!(spool.waiting_bytes()["partner"], 500);
        follower.take(2);
        assert_eq!(spool.waiting_bytes()["partner"], 500, "it is in its hands");
        follower.finish(2, Outcome::Delivered);
        assert_eq!(spool.waiting_bytes()["partner"], 300);
    }
}
