//! File descriptors: as many as the system lets us have, and no more connections than there are descriptors for them.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Descriptors kept for what is no connection of input, HTTP or a partner: brokers, listeners, files, pipes.
const KEPT: usize = 32;

/// Raises the limit on open files as far as it goes, and gives how many of `wanted` input connections it leaves room for
/// beside `http` connections of the HTTP server and `partners`.
pub(super) fn connections(wanted: NonZeroUsize, http: NonZeroUsize, partners: usize) -> NonZeroUsize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it cannot be raised, the limit that is there counts.
    _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit =
        getrlimit(Resource::Nofile).current.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let room = room(limit, wanted, http.get() + partners);
    if room < wanted {
        warn!(
            open_files = limit,
            "the limit on open files leaves room for {room} input connections, not {wanted}; raise it, or lower \
             input-connections-max"
        );
    }
    room
}

/// At least half of what is not kept back goes to the input, however many others are wanted.
fn room(limit: usize, wanted: NonZeroUsize, others: usize) -> NonZeroUsize {
    let free = limit.saturating_sub(KEPT);
    let for_input = free.saturating_sub(others).max(free / 2);
    NonZeroUsize::new(for_input.min(wanted.get())).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_connections_leave_descriptors_for_the_rest() {
        let n = |n: usize| NonZeroUsize::new(n).unwrap();
        assert_eq!(room(100_000, n(4096), 256), n(4096));
        assert_eq!(room(1024, n(4096), 256), n(736));
        assert_eq!(room(40, n(4096), 256), n(4));
        assert_eq!(room(10, n(4096), 256), n(1));
    }
}
