//! So many bytes in so much time: a bucket that fills as time goes by.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// How many bytes may pass in a period, on average; as many may pass at once after a pause that was long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes in a period.
    pub bytes: NonZeroU64,
    /// The period, at least a nanosecond.
    pub period: Duration,
}

/// What is left of a [`Rate`]. It knows no clock: the time is an argument.
#[derive(Clone, Debug)]
pub struct Budget {
    rate: Rate,
    /// When all of it is there again.
    full_at: Instant,
}

impl Rate {
    /// In how much time so many bytes may pass.
    fn time(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * self.period.as_nanos() / u128::from(self.bytes.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Budget {
    /// A budget with all of a period in it.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Budget {
        Budget { rate, full_at: now }
    }

    /// When there are `bytes`, or as many as there can be; none if there are now.
    #[must_use]
    pub fn wait_for(&self, bytes: u64, now: Instant) -> Option<Instant> {
        let all = self.rate.bytes.get();
        let spare = self.rate.time(all - bytes.min(all));
        let at = self.full_at.checked_sub(spare)?;
        (at > now).then_some(at)
    }

    /// How many bytes there are.
    #[must_use]
    pub fn left(&self, now: Instant) -> u64 {
        let missing =
            self.full_at.saturating_duration_since(now).as_nanos() * u128::from(self.rate.bytes.get());
        let missing = missing.div_ceil(self.rate.period.as_nanos().max(1));
        self.rate.bytes.get().saturating_sub(u64::try_from(missing).unwrap_or(u64::MAX))
    }

    /// Takes `bytes` out, also more than there are: what comes after waits the longer.
    pub fn take(&mut self, bytes: u64, now: Instant) {
        self.full_at = self.full_at.max(now) + self.rate.time(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(bytes: u64, seconds: u64) -> Rate {
        Rate { bytes: NonZeroU64::new(bytes).unwrap(), period: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_periods_bytes_pass_at_once_and_more_wait_for_their_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(rate(600, 60), start);
        assert_eq!((budget.left(start), budget.wait_for(600, start)), (600, None));
        budget.take(500, start);
        assert_eq!((budget.left(start), budget.wait_for(100, start)), (100, None));
        assert_eq!(budget.wait_for(101, start), Some(start + Duration::from_millis(100)));
        budget.take(200, start);
        assert_eq!(budget.left(start), 0);
        assert_eq!(budget.wait_for(1, start), Some(start + Duration::from_millis(10_100)));
        assert_eq!((budget.left(at(11)), budget.wait_for(10, at(11))), (10, None));
        assert_eq!(budget.left(at(1000)), 600, "no more than a period's");
        assert_eq!(budget.wait_for(10_000, at(1000)), None, "as many as there can be");
    }

    proptest! {
        #[test]
        fn no_more_passes_than_the_rate_allows(
            bytes in 1u64..10_000, seconds in 1u64..100,
            asks in proptest::collection::vec((1u64..5_000, 0u64..50_000), 1..100),
        ) {
            let start = Instant::now();
            let mut budget = Budget::new(rate(bytes, seconds), start);
            let (mut now, mut passed, mut last) = (start, 0, 0);
            for (ask, pause_ms) in asks {
                now += Duration::from_millis(pause_ms);
                if let Some(at) = budget.wait_for(1, now) {
                    prop_assert!(at > now);
                    now = at;
                }
                prop_assert_eq!(budget.wait_for(1, now), None);
                budget.take(ask, now);
                (passed, last) = (passed + ask, ask);
            }
            // All but the last fitted into the bucket and what flowed into it.
            let flowed = u128::from(bytes) * (now - start).as_nanos() / Duration::from_secs(seconds).as_nanos();
            prop_assert!(u128::from(passed - last) <= u128::from(bytes) + flowed + 1);
        }
    }
}
