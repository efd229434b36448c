//! Pauses: spread by chance, so that what many collectors do is not done by all of them at once; and those that may have no
//! end.

use std::time::Duration;

use tokio::time::Instant;

/// Returns at this time; without one never. Cancel safe.
pub async fn until(at: Option<impl Into<Instant>>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Returns after so long; without a time never. Cancel safe.
pub async fn rest(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Chance from 0 to 1; the middle, where the system gives no random bytes.
#[must_use]
pub fn dice() -> f64 {
    getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX))
}

/// A time within `share` more or less than `time`, as `dice` has it: 0 is the shortest, 1 the longest.
#[must_use]
pub fn spread(time: Duration, share: f64, dice: f64) -> Duration {
    time.mul_f64(1.0 - share + 2.0 * share * dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_spread_evenly_and_no_farther() {
        let spread = |dice| spread(Duration::from_secs(10), 0.2, dice).as_millis();
        assert_eq!([-1.0, 0.0, 0.5, 1.0, 2.0].map(spread), [8000, 8000, 10_000, 12_000, 12_000]);
    }

    #[test]
    fn dice_are_within_bounds_and_not_always_the_same() {
        let thrown: Vec<f64> = (0..10).map(|_| dice()).collect();
        assert!(thrown.iter().all(|thrown| (0.0..=1.0).contains(thrown)), "{thrown:?}");
        assert!(thrown.iter().any(|other| other.to_bits() != thrown[0].to_bits()), "{thrown:?}");
    }
}
