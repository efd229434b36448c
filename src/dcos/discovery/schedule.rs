//! When to ask next. Pure: chance and time are arguments.

use std::time::Duration;

use crate::pause::spread;

/// How often to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// While all is well (`kafka-discovery-period`).
    pub period: Duration,
    /// After the first failure, while nothing is known; then twice as long each time.
    pub pause_min: Duration,
    /// The longest pause after a failure.
    pub pause_max: Duration,
    /// The least between two questions, however loud somebody calls.
    pub alarm_pause: Duration,
}

impl Timing {
    /// The usual times with this period.
    #[must_use]
    pub fn every(period: Duration) -> Timing {
        let [pause_min, pause_max, alarm_pause] = [1, 60, 10].map(Duration::from_secs);
        Timing { period, pause_min, pause_max, alarm_pause }
    }
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Brokers.
    Found,
    /// None, and those known before are kept.
    Kept,
    /// None, and none are known.
    Nothing,
}

/// Decides on the pauses.
#[derive(Debug)]
pub(super) struct Schedule {
    timing: Timing,
    outcome: Outcome,
    /// The pause while nothing is known.
    pause: Duration,
}

impl Schedule {
    pub(super) fn new(timing: Timing) -> Schedule {
        Schedule { timing, outcome: Outcome::Found, pause: timing.pause_min }
    }

    /// Somebody was asked, and this came of it.
    pub(super) fn asked(&mut self, outcome: Outcome) {
        let is_again = self.outcome == Outcome::Nothing;
        self.pause = match outcome {
            Outcome::Nothing if is_again => self.pause.saturating_mul(2).min(self.timing.pause_max),
            Outcome::Nothing => self.timing.pause_min.min(self.timing.pause_max),
            Outcome::Found | Outcome::Kept => self.pause,
        };
        self.outcome = outcome;
    }

    /// From now on these times count, for the pause that is going on as well.
    pub(super) fn set(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// The pause after what came last. `dice` is from 0 to 1 and spreads the agents of a cluster over ±10 %.
    pub(super) fn pause(&self, dice: f64) -> Duration {
        let plain = match self.outcome {
            Outcome::Found => self.timing.period,
            Outcome::Kept => self.timing.period.min(self.timing.pause_max),
            Outcome::Nothing => self.pause,
        };
        spread(plain, 0.1, dice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: f64 = 0.5;

    /// What is half of a random tenth is no exact number.
    fn rounded(pause: Duration) -> u64 {
        (pause + Duration::from_millis(1)).as_secs()
    }

    fn seconds(outcomes: &[Outcome], period: u64) -> Vec<u64> {
        let mut schedule = Schedule::new(Timing::every(Duration::from_secs(period)));
        let mut after = |outcome: &Outcome| {
            schedule.asked(*outcome);
            rounded(schedule.pause(EVEN))
        };
        outcomes.iter().map(&mut after).collect()
    }

    #[test]
    fn pauses_grow_while_nothing_is_known_and_begin_anew_afterwards() {
        use Outcome::{Found, Kept, Nothing};
        assert_eq!(seconds(&[Nothing; 9], 300), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(seconds(&[Nothing, Nothing, Found, Kept, Kept, Found], 300), [1, 2, 300, 60, 60, 300]);
        assert_eq!(seconds(&[Found, Kept], 20), [20, 20]);
        assert_eq!(seconds(&[Nothing, Nothing, Found, Nothing], 300), [1, 2, 300, 1]);
    }

    #[test]
    fn another_period_counts_for_the_pause_that_is_going_on() {
        use Outcome::{Found, Kept, Nothing};
        let [long, short] = [300, 20].map(|period| Timing::every(Duration::from_secs(period)));
        for (outcomes, expected) in [(&[Found][..], 20), (&[Found, Kept], 20), (&[Nothing, Nothing], 2)] {
            let mut schedule = Schedule::new(long);
            for outcome in outcomes {
                schedule.asked(*outcome);
            }
            schedule.set(short);
            assert_eq!(rounded(schedule.pause(EVEN)), expected, "{outcomes:?}");
        }
    }

    #[test]
    fn agents_do_not_all_ask_at_once() {
        let at = |dice| Schedule::new(Timing::every(Duration::from_secs(300))).pause(dice);
        assert_eq!([at(0.0), at(1.0), at(7.0)].map(|pause| pause.as_secs()), [270, 330, 330]);
    }
}
