//! A sender that goes on until it is told to stop.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::collector::Collector;
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

/// Runs `during` while records of `topic` from the number `first` on come in, some thousand a second at most. Gives the
/// number behind the last one.
pub(crate) fn under_load(collector: &Collector, topic: &str, first: u32, during: impl FnOnce()) -> u32 {
    let (sent, enough) = (AtomicU32::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        // Also when the test fails, or its load would go on for ever.
        let _stop = Finally(&enough);
        scope.spawn(|| {
            load(collector.sender(), topic, first, &sent, |_| {
                thread::park_timeout(Duration::from_millis(5));
                !enough.load(Ordering::SeqCst)
            });
        });
        during();
    });
    sent.load(Ordering::SeqCst)
}

/// Sets its flag when it is dropped.
pub(crate) struct Finally<'a>(pub(crate) &'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
