//! File descriptors: as many as the system lets us have, and no more connections than there are descriptors for them.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::config::Config;
use crate::output::partner::TARGETS_MAX;

/// Descriptors kept for what is no connection of input, HTTP or a partner that connects: brokers, listeners, files, pipes;
/// and partners that are dialled, which may be added at any time.
const KEPT: usize = 32 + TARGETS_MAX;

/// How many connections may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    input: NonZeroUsize,
    http: NonZeroUsize,
    /// 0 where none may connect.
    partners: usize,
}

/// Keeps connections within what there are descriptors for.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    /// What was wanted last, and what there is room for of it.
    fitted: Mutex<Option<(Room, Room)>>,
}

impl Descriptors {
    /// Lowers what `config` has of connections to what there is room for. It is told when it is news.
    pub(super) fn fit(&self, config: &mut Config) {
        let wanted = Room {
            input: config.input.connections_max,
            http: config.http.connections_max,
            partners: config.partner.partners_max,
        };
        let mut fitted = self.fitted.lock().expect("no code panics under this lock");
        let room = fitted
            .filter(|(before, _)| *before == wanted)
            .map_or_else(|| connections(wanted), |(_, room)| room);
        *fitted = Some((wanted, room));
        config.input.connections_max = room.input;
        config.http.connections_max = room.http;
        config.partner.partners_max = room.partners;
    }
}

/// Raises the limit on open files as far as it goes, and gives how many of the `wanted` connections it leaves room for.
fn connections(wanted: Room) -> Room {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it cannot be raised, the limit that is there counts.
    _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit =
        getrlimit(Resource::Nofile).current.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let room = room(limit, wanted);
    if room != wanted {
        warn!(
            open_files = limit,
            "the limit on open files leaves room for {} input connections, not {}, {} HTTP connections, not {}, and {} \
             partners, not {}; raise it, or lower input-connections-max, http-connections-max and partners-max",
            room.input,
            wanted.input,
            room.http,
            wanted.http,
            room.partners,
            wanted.partners
        );
    }
    room
}

/// At least half of what is not kept back goes to the input, however many others are wanted; half of what is left to HTTP,
/// and more where partners want less; and to partners the rest.
fn room(limit: usize, wanted: Room) -> Room {
    let free = limit.saturating_sub(KEPT);
    let at_most = |room: usize, wanted: NonZeroUsize| {
        NonZeroUsize::new(room.min(wanted.get())).unwrap_or(NonZeroUsize::MIN)
    };
    let others = wanted.http.get() + wanted.partners;
    let input = at_most(free.saturating_sub(others).max(free / 2), wanted.input);
    let left = free.saturating_sub(input.get());
    let http = at_most(left.saturating_sub(wanted.partners).max(left / 2), wanted.http);
    let partners = left.saturating_sub(http.get()).max(1).min(wanted.partners);
    Room { input, http, partners }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        let of = |input: usize, http: usize, partners: usize| Room {
            input: NonZeroUsize::new(input).unwrap(),
            http: NonZeroUsize::new(http).unwrap(),
            partners,
        };
        for (limit, expected) in [
            (100_000, of(4096, 256, 256)),
            (1024, of(480, 240, 240)),
            (256, of(96, 48, 48)),
            (96, of(16, 8, 8)),
            (72, of(4, 2, 2)),
            (10, of(1, 1, 1)),
        ] {
            assert_eq!(room(limit, of(4096, 256, 256)), expected, "{limit}");
        }
        assert_eq!(room(96, of(10, 256, 0)), of(10, 22, 0));
        assert_eq!(room(1024, of(4096, 256, 16)), of(688, 256, 16));
    }
}
