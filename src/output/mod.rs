//! Readers of the spool, each alone with its place in it.

pub mod kafka;
pub mod message;
pub mod partner;

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, Unix time in milliseconds.
fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
