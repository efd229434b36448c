//! How often peers may make us log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// At most so many lines in a period for each key, such as a peer's address.
///
/// Memory is bounded: at most `keys_max` keys have a share of their own, further ones share one. A key whose
/// period is over makes room for new ones.
#[derive(Debug)]
pub struct LogBudget {
    lines: u32,
    period: Duration,
    keys_max: usize,
    by_key: HashMap<String, Share>,
    /// Of all keys for which there was no room.
    shared: Share,
    /// When keys were last looked through for room, so that a flood of keys does not look each time.
    swept: Option<Instant>,
}

/// What one key has used of its period.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    since: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

impl Default for LogBudget {
    /// 5 lines a minute for each of 1024 keys: enough to see what is wrong with each sender of a host.
    fn default() -> LogBudget {
        LogBudget::new(5, Duration::from_secs(60), 1024)
    }
}

impl LogBudget {
    /// `lines` in each `period` for each of at most `keys_max` keys.
    #[must_use]
    pub fn new(lines: u32, period: Duration, keys_max: usize) -> LogBudget {
        LogBudget { lines, period, keys_max, by_key: HashMap::new(), shared: Share::default(), swept: None }
    }

    /// Takes one line. `Some(n)`: log it, and say that `n` lines before it were suppressed. `None`: do not.
    #[must_use]
    pub fn take(&mut self, key: &str, now: Instant) -> Option<u64> {
        let known = self.by_key.contains_key(key);
        if !known && self.by_key.len() >= self.keys_max {
            self.make_room(now);
        }
        if !known && self.by_key.len() < self.keys_max {
            self.by_key.insert(key.to_owned(), Share::default());
        }
        let share = self.by_key.get_mut(key).unwrap_or(&mut self.shared);
        share.take(self.lines, self.period, now)
    }

    /// Forgets keys whose period is over, at most once a period. What they suppressed is told with the shared lines.
    fn make_room(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < self.period) {
            return;
        }
        self.swept = Some(now);
        let (period, shared) = (self.period, &mut self.shared);
        self.by_key.retain(|_, share| {
            let over = share.is_over(period, now);
            if over {
                shared.suppressed += share.suppressed;
            }
            !over
        });
    }
}

impl Share {
    fn is_over(&self, period: Duration, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) >= period)
    }

    fn take(&mut self, lines: u32, period: Duration, now: Instant) -> Option<u64> {
        if self.is_over(period, now) {
            self.since = Some(now);
            self.lines = 0;
        }
        if self.lines >= lines {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    #[test]
    fn a_key_gets_its_lines_and_then_the_number_of_suppressed_ones() {
        let mut budget = LogBudget::new(2, PERIOD, 10);
        let start = Instant::now();
        let mut ask = |seconds| budget.take("peer", start + Duration::from_secs(seconds));
        assert_eq!([ask(0), ask(1), ask(2), ask(9)], [Some(0), Some(0), None, None]);
        assert_eq!([ask(10), ask(11), ask(12)], [Some(2), Some(0), None]);
        assert_eq!(ask(100), Some(1));
    }

    #[test]
    fn keys_do_not_use_each_others_lines() {
        let mut budget = LogBudget::new(1, PERIOD, 10);
        let now = Instant::now();
        assert_eq!(
            [budget.take("a", now), budget.take("a", now), budget.take("b", now)],
            [Some(0), None, Some(0)]
        );
    }

    #[test]
    fn a_flood_of_keys_shares_one_budget_and_bounded_memory() {
        let mut budget = LogBudget::new(1, PERIOD, 4);
        let now = Instant::now();
        let logged = (0..1000).filter(|key| budget.take(&key.to_string(), now).is_some()).count();
        assert_eq!(logged, 4 + 1);
        assert_eq!(budget.by_key.len(), 4);
    }

    #[test]
    fn keys_whose_period_is_over_make_room_and_their_number_is_not_forgotten() {
        let mut budget = LogBudget::new(1, PERIOD, 1);
        let start = Instant::now();
        assert_eq!([budget.take("a", start), budget.take("a", start)], [Some(0), None]);
        let later = start + PERIOD;
        assert_eq!([budget.take("b", later), budget.take("b", later)], [Some(0), None]);
        // The third finds no room and takes a shared line, which tells what the first had suppressed.
        assert_eq!(budget.take("c", later), Some(1));
    }
}
