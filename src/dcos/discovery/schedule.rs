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
    /// The next pause while nothing is known.
    pause: Duration,
}

impl Schedule {
    pub(super) fn new(timing: Timing) -> Schedule {
        Schedule { timing, pause: timing.pause_min }
    }

    /// The pause after this outcome. `dice` is from 0 to 1 and spreads the agents of a cluster over ±10 %.
    pub(super) fn pause(&mut self, outcome: Outcome, dice: f64) -> Duration {
        let plain = match outcome {
            Outcome::Found => self.timing.period,
            Outcome::Kept => self.timing.period.min(self.timing.pause_max),
            Outcome::Nothing => {
                let pause = self.pause.min(self.timing.pause_max);
                self.pause = pause.saturating_mul(2);
                pause
            }
        };
        if outcome == Outcome::Found {
            self.pause = self.timing.pause_min;
        }
        spread(plain, 0.1, dice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: f64 = 0.5;

    fn seconds(outcomes: &[Outcome], period: u64) -> Vec<u64> {
        let mut schedule = Schedule::new(Timing::every(Duration::from_secs(period)));
        // What is half of a random tenth is no exact number.
        let rounded = |pause: Duration| (pause + Duration::from_millis(1)).as_secs();
        outcomes.iter().map(|outcome| rounded(schedule.pause(*outcome, EVEN))).collect()
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
    fn agents_do_not_all_ask_at_once() {
        let at = |dice| Schedule::new(Timing::every(Duration::from_secs(300))).pause(Outcome::Found, dice);
        assert_eq!([at(0.0), at(1.0), at(7.0)].map(|pause| pause.as_secs()), [270, 330, 330]);
    }
}
