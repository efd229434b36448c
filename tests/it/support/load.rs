//! Senders that go on while a test does something else.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::collector::Collector;
use super::sender::{EndedByFailure, Sender};
use super::{eventually, ocf, once, record};

/// Records in each block of a load.
const BLOCK: u32 = 20;

/// Runs `during` while `work` goes on with each of `senders` on a thread of its own, told which one it is. That is to end
/// with `during`, or soon after it.
///
/// A collector may hold a sender in the middle of a write for as long as it likes, and the thread with it. Where the test
/// fails the connections are ended, or it would wait for that thread for ever in place of failing.
pub(crate) fn while_sending<T>(
    senders: &mut [Sender],
    work: impl Fn(usize, &mut Sender) + Sync,
    during: impl FnOnce() -> T,
) -> T {
    let work = &work;
    thread::scope(|scope| {
        let _ended: Vec<EndedByFailure> = senders.iter().map(Sender::ended_by_failure).collect();
        let working: Vec<_> = senders
            .iter_mut()
            .enumerate()
            .map(|(number, sender)| scope.spawn(move || work(number, sender)))
            .collect();
        let result = during();
        eventually("all senders are done", || {
            let busy = working.iter().filter(|thread| !thread.is_finished()).count();
            once(busy == 0, || format!("{busy} are not"))
        });
        result
    })
}

/// Sends blocks of numbered records of `topic`, from `first` on, until `go_on` says no or the collector hangs up. `sent`
/// always tells the number behind the last record that went out.
pub(crate) fn load(
    sender: &mut Sender,
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
    under_load_with_pauses(Duration::from_millis(5), collector, topic, first, during)
}

/// The same with pauses of another length between blocks.
pub(crate) fn under_load_with_pauses(
    pause: Duration,
    collector: &Collector,
    topic: &str,
    first: u32,
    during: impl FnOnce(),
) -> u32 {
    let (sent, enough) = (AtomicU32::new(first), AtomicBool::new(false));
    let go_on = |_| {
        thread::park_timeout(pause);
        !enough.load(Ordering::SeqCst)
    };
    while_sending(
        &mut [collector.sender()],
        |_, sender| load(sender, topic, first, &sent, go_on),
        || {
            during();
            enough.store(true, Ordering::SeqCst);
        },
    );
    sent.load(Ordering::SeqCst)
}
