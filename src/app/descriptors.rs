//! File descriptors: as many as the system lets us have, and no more connections than there are descriptors for them.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Descriptors kept for what is neither an input nor an HTTP connection: brokers, listeners, files, pipes.
const KEPT: usize = 32;

/// How many connections may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) input: NonZeroUsize,
    pub(super) http: NonZeroUsize,
}

/// Raises the limit on open files as far as it goes, and gives how many of the `wanted` connections it leaves room for.
pub(super) fn connections(wanted: Room) -> Room {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it cannot be raised, the limit that is there counts.
    _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit =
        getrlimit(Resource::Nofile).current.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let room = room(limit, wanted);
    if room != wanted {
        warn!(
            open_files = limit,
            "the limit on open files leaves room for {} input connections, not {}, and {} HTTP connections, not {}; \
             raise it, or lower input-connections-max and http-connections-max",
            room.input,
            wanted.input,
            room.http,
            wanted.http
        );
    }
    room
}

/// At least half of what is not kept back goes to the input, however many HTTP connections are wanted; and those get what
/// is left.
fn room(limit: usize, wanted: Room) -> Room {
    let free = limit.saturating_sub(KEPT);
    let at_most = |room: usize, wanted: NonZeroUsize| {
        NonZeroUsize::new(room.min(wanted.get())).unwrap_or(NonZeroUsize::MIN)
    };
    let input = at_most(free.saturating_sub(wanted.http.get()).max(free / 2), wanted.input);
    Room { input, http: at_most(free.saturating_sub(input.get()), wanted.http) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        let of = |input: usize, http: usize| Room {
            input: NonZeroUsize::new(input).unwrap(),
            http: NonZeroUsize::new(http).unwrap(),
        };
        for (limit, expected) in [
            (100_000, of(4096, 256)),
            (1024, of(736, 256)),
            (256, of(112, 112)),
            (64, of(16, 16)),
            (40, of(4, 4)),
            (10, of(1, 1)),
        ] {
            assert_eq!(room(limit, of(4096, 256)), expected, "{limit}");
        }
        assert_eq!(room(64, of(10, 256)), of(10, 22));
    }
}
