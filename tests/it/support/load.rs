//! A sender that goes on until it is told to stop.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::sender::Sender;
use super::{ocf, record};

/// Records in each block of a load.
const BLOCK: u32 = 20;

/// Sends blocks of numbered records of `topic`, from `first` on, until `go_on` says no or the collector hangs up. `sent`
/// always tells the number behind the last record that went out.
pub(crate) fn load(
    mut sender: Sender,
    topic: &str,
    first: u32,
    sent: &AtomicU32,
    go_on: impl Fn(u32) -> bool,
) {
    if sender.try_send(&ocf::header(ocf::SCHEMA, Some("null"))).is_err() {
        return;
    }
    let mut next = first;
    while go_on(next) {
        if sender.try_send(&ocf::block(&record::numbered(topic, next..next + BLOCK))).is_err() {
            return;
        }
        next += BLOCK;
        sent.store(next, Ordering::SeqCst);
    }
}

/// Sets its flag when it is dropped.
pub(crate) struct Finally<'a>(pub(crate) &'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
