//! Whose turn it is. All connections are read on one thread, together with everything else that the program does.
//!
//! # What it promises
//! Behind each long turn all others that are ready go on, the outputs and the HTTP server among them, before the next long
//! one: however many connections have blocks that unpack to megabytes, or bytes without end, nobody else waits for more
//! than one of their turns. Those whose last turn was long stand in a line of their own, of which one at a time stands in
//! the line of all, and so does who has not had a turn yet: a sender of small blocks does not wait for a thousand others.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Gives turns.
#[derive(Debug)]
pub(super) struct Turns {
    all: Semaphore,
    long: Semaphore,
}

/// Nobody else has a turn while this is there. Kept over a yield when the turn was long.
#[derive(Debug)]
#[must_use]
pub(super) struct Permit<'a> {
    _all: SemaphorePermit<'a>,
    _long: Option<SemaphorePermit<'a>>,
}

impl Turns {
    pub(super) fn new() -> Turns {
        Turns { all: Semaphore::new(1), long: Semaphore::new(1) }
    }

    /// A turn at once, if nobody has one.
    pub(super) fn try_take(&self, may_be_long: bool) -> Option<Permit<'_>> {
        let long = if may_be_long { Some(self.long.try_acquire().ok()?) } else { None };
        Some(Permit { _all: self.all.try_acquire().ok()?, _long: long })
    }

    /// The next turn. Cancel safe, but for the place in the line.
    pub(super) async fn take(&self, may_be_long: bool) -> Permit<'_> {
        const OPEN: &str = "it is never closed";
        let long = if may_be_long { Some(self.long.acquire().await.expect(OPEN)) } else { None };
        Permit { _all: self.all.acquire().await.expect(OPEN), _long: long }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn others_go_on_behind_each_long_turn_and_short_ones_do_not_wait_for_all_the_long() {
        let (turns, order) = (Turns::new(), RefCell::new(String::new()));
        let connection = async |name: char, is_long: bool| {
            for _ in 0..2 {
                let permit = turns.take(is_long).await;
                order.borrow_mut().push(name);
                if is_long {
                    tokio::task::yield_now().await;
                }
                drop(permit);
            }
        };
        let other = async {
            for _ in 0..20 {
                order.borrow_mut().push('.');
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(
            biased;
            connection('A', true),
            connection('B', true),
            connection('C', true),
            connection('s', false),
            other
        );
        let order = order.into_inner();
        let longs = order.replace('s', "");
        assert!(
            !longs.trim_matches('.').contains("AB") && longs.matches(['A', 'B', 'C']).count() == 6,
            "{order}"
        );
        for (at, _) in longs.match_indices(['A', 'B', 'C']) {
            assert!(longs[at + 1..].starts_with('.'), "{order}");
        }
        let before = order.split('s').next().unwrap();
        assert!(before.matches(['A', 'B', 'C']).count() <= 1, "{order}");
    }
}
