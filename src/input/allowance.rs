//! What a connection may bring by `input-limit-...`, and when it has to wait.

use std::time::Instant;

use tokio::sync::watch;

use super::settings::Config;
use crate::record::{Budget, Rate};

/// A connection over its limit waits until it may bring this much, so that it does not wake us for every few bytes.
const RESUME_BYTES: u64 = 64 << 10;

/// The allowance of one connection. Where another is set, it begins with all of that.
#[derive(Debug)]
pub(super) struct Allowance {
    settings: watch::Receiver<Config>,
    rate: Option<Rate>,
    /// None: as much as it likes.
    budget: Option<Budget>,
}

impl Allowance {
    pub(super) fn new(mut settings: watch::Receiver<Config>) -> Allowance {
        let rate = settings.borrow_and_update().limit;
        let budget = rate.map(|rate| Budget::new(rate, Instant::now()));
        Allowance { settings, rate, budget }
    }

    /// Until when it is not read, if it has to wait.
    pub(super) fn pause(&mut self) -> Option<Instant> {
        self.look();
        self.budget.as_ref()?.wait_for(RESUME_BYTES, Instant::now())
    }

    /// Returns when another limit is set. Cancel safe.
    pub(super) async fn changed(&mut self) {
        while !self.look() {
            if self.settings.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            self.settings.mark_changed();
        }
    }

    /// How many bytes may be read at once, at least one.
    pub(super) fn bytes(&self) -> usize {
        let left = self.budget.as_ref().map(|budget| budget.left(Instant::now()).max(1));
        left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX)
    }

    /// So many were read.
    pub(super) fn took(&mut self, bytes: usize) {
        if let Some(budget) = &mut self.budget {
            budget.take(bytes as u64, Instant::now());
        }
    }

    /// Looks whether another limit is set.
    fn look(&mut self) -> bool {
        // The cheap question first: it is put before each read. One who could change it may be gone.
        if !self.settings.has_changed().unwrap_or(false) {
            return false;
        }
        let rate = self.settings.borrow_and_update().limit;
        let is_other = rate != self.rate;
        if is_other {
            self.rate = rate;
            self.budget = rate.map(|rate| Budget::new(rate, Instant::now()));
        }
        is_other
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;

    fn with(kbytes: u64) -> Config {
        let rate = |bytes| Rate { bytes, period: Duration::from_secs(3600) };
        Config { limit: NonZeroU64::new(kbytes << 10).map(rate), ..Config::for_tests() }
    }

    #[tokio::test]
    async fn a_connection_that_waits_hears_of_another_limit_and_of_nothing_else() {
        let (set, settings) = watch::channel(with(100));
        let mut allowance = Allowance::new(settings);
        allowance.took(100 << 10);
        assert!(allowance.pause().is_some());
        set.send(Config { hexdump: true, ..with(100) }).unwrap();
        tokio::select! {
            biased;
            () = allowance.changed() => panic!("the limit is the same"),
            () = tokio::task::yield_now() => {}
        }
        assert!(allowance.pause().is_some());
        set.send(with(200)).unwrap();
        allowance.changed().await;
        assert_eq!((allowance.pause(), allowance.bytes()), (None, 200 << 10));
        set.send(with(0)).unwrap();
        assert_eq!((allowance.pause(), allowance.bytes()), (None, usize::MAX));
    }
}
