//! Rows: the spool.

use super::{Key, Kind, MIB};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "spool-memory",
        Kind::Size { min: MIB, max: 1 << 40 },
        "Bytes of accepted records that may wait for Kafka. At 0.5 MB/s 32 MiB last about a minute. Raise it, and \
         memory-limit by as much, to live through longer outages. Where it is lowered, what waits by then stays, and the \
         spool is full until it has gone.",
    )
    .or("32MiB")
    .live(),
    Key::new(
        "spool-full",
        Kind::Choice(&["auto", "drop-oldest", "hold"]),
        "What to do when spool-memory is full. auto holds the senders back while Kafka has acknowledged anything \
         lately, else drops the oldest records; drop-oldest never holds senders back; hold never drops, and senders \
         that do not wait lose data on their side. All that is dropped is counted.",
    )
    .or("auto")
    .live(),
];
