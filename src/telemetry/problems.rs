//! What went wrong lately, kind by kind, and what to do about each.
//!
//! Stages note a problem where they count it. There is one entry a kind, with the newest words on it, so that memory is
//! bounded whoever is to blame, and a flood of one kind hides no other. What is over or happened more than an hour ago is
//! not told any more.

mod kind;

use std::cmp::Reverse;
use std::fmt::{Display, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use super::unix_ms;

pub use kind::{Kind, Row, TABLE};

/// How long a problem is told after its last time.
const TOLD_MS: u64 = 3_600_000;

/// Longest words on a problem: they quote what others sent.
const DETAIL_BYTES_MAX: usize = 512;

/// The problems. Cheap to clone; all clones have the same.
#[derive(Clone, Debug, Default)]
pub struct Problems(Arc<Mutex<Entries>>);

/// By kind.
#[derive(Clone, Debug)]
struct Entries([Option<Entry>; TABLE.len()]);

impl Default for Entries {
    fn default() -> Entries {
        Entries([const { None }; TABLE.len()])
    }
}

#[derive(Clone, Debug)]
struct Entry {
    detail: String,
    times: u64,
    first_ms: u64,
    last_ms: u64,
    over_ms: Option<u64>,
}

/// A problem of the last hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// The newest words on it.
    pub detail: String,
    /// How often it was noted since it began.
    pub times: u64,
    /// When it was noted first and last; Unix time in milliseconds.
    pub first_ms: u64,
    /// The last time.
    pub last_ms: u64,
    /// Since when it is over, where it lasts.
    pub over_ms: Option<u64>,
}

impl Problems {
    /// It is so, or happened, once more.
    pub fn note(&self, kind: Kind, detail: impl Display) {
        self.note_at(unix_ms(), kind, 1, detail);
    }

    /// It happened so many times.
    pub fn note_times(&self, kind: Kind, times: u64, detail: impl Display) {
        self.note_at(unix_ms(), kind, times, detail);
    }

    /// It is over, if it was so.
    pub fn over(&self, kind: Kind) {
        self.over_at(unix_ms(), kind);
    }

    /// The problems of the last hour: first what is so now, in the order of the table, then what was, what began last
    /// first. So none changes its place for being noted again.
    #[must_use]
    pub fn lately(&self) -> Vec<Seen> {
        self.lately_at(unix_ms())
    }

    fn note_at(&self, now_ms: u64, kind: Kind, times: u64, detail: impl Display) {
        let mut entries = self.lock();
        let known = entries.0[kind as usize].take().filter(|entry| entry.is_told(kind, now_ms));
        let mut entry = known.unwrap_or_else(|| Entry {
            detail: String::new(),
            times: 0,
            first_ms: now_ms,
            last_ms: now_ms,
            over_ms: None,
        });
        entry.times += times;
        entry.last_ms = now_ms;
        if entry.over_ms.take().is_some() {
            (entry.first_ms, entry.times) = (now_ms, times);
        }
        entry.detail.clear();
        _ = write!(entry.detail, "{detail}");
        let ends = (0..=DETAIL_BYTES_MAX.min(entry.detail.len())).rev();
        let end = ends.into_iter().find(|end| entry.detail.is_char_boundary(*end));
        entry.detail.truncate(end.unwrap_or(0));
        entries.0[kind as usize] = Some(entry);
    }

    fn over_at(&self, now_ms: u64, kind: Kind) {
        if let Some(entry) = &mut self.lock().0[kind as usize] {
            entry.over_ms.get_or_insert(now_ms);
        }
    }

    fn lately_at(&self, now_ms: u64) -> Vec<Seen> {
        let Entries(entries) = self.lock().clone();
        let told = TABLE.iter().map(|row| row.kind).zip(entries).filter_map(|(kind, entry)| {
            let Entry { detail, times, first_ms, last_ms, over_ms } =
                entry.filter(|entry| entry.is_told(kind, now_ms))?;
            Some(Seen { kind, detail, times, first_ms, last_ms, over_ms })
        });
        let mut told: Vec<Seen> = told.collect();
        told.sort_by_key(|seen| {
            let began_ms = (!seen.is_now()).then(|| seen.over_ms.unwrap_or(seen.first_ms));
            (began_ms.is_some(), Reverse(began_ms))
        });
        told
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().expect("no code panics under this lock")
    }
}

impl Entry {
    fn is_told(&self, kind: Kind, now_ms: u64) -> bool {
        let until = if kind.row().lasts { self.over_ms } else { Some(self.last_ms) };
        until.is_none_or(|until| now_ms.saturating_sub(until) < TOLD_MS)
    }
}

impl Seen {
    /// Whether it lasts, and is so now.
    #[must_use]
    pub fn is_now(&self) -> bool {
        self.kind.row().lasts && self.over_ms.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const MINUTE: u64 = 60_000;

    fn kinds(problems: &Problems, now_ms: u64) -> Vec<Kind> {
        problems.lately_at(now_ms).iter().map(|seen| seen.kind).collect()
    }

    #[test]
    fn every_kind_has_its_place_a_name_and_advice() {
        let mut names = HashSet::new();
        for (place, Row { kind, name, what, advice, .. }) in TABLE.iter().enumerate() {
            assert_eq!(*kind as usize, place, "{kind:?}");
            assert!(names.insert(name), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(what.len() > 15 && !what.ends_with('.'), "{name}: {what}");
            assert!(advice.len() > 40 && advice.ends_with('.'), "{name}: {advice}");
        }
    }

    #[test]
    fn the_page_on_watching_has_every_kind() {
        let page = include_str!("../../docs/watching.md");
        let table = page.split_once("| `kind` | `part` | What is wrong |\n|---|---|---|\n").unwrap().1;
        let row = |row: &Row| {
            let lasts = if row.lasts { " (lasts)" } else { "" };
            format!("| `{}` | {} | {}{lasts} |\n", row.name, row.part, row.what)
        };
        assert_eq!(table, TABLE.iter().map(row).collect::<String>());
    }

    #[test]
    fn what_lasts_is_told_until_an_hour_after_its_end() {
        let problems = Problems::default();
        problems.note_at(0, Kind::Agent, 1, "refused");
        problems.note_at(MINUTE, Kind::Agent, 1, "timed out");
        let day = 24 * 60 * MINUTE;
        let seen = &problems.lately_at(day)[0];
        assert!(seen.is_now());
        assert_eq!((seen.times, seen.first_ms, seen.last_ms), (2, 0, MINUTE));
        assert_eq!(seen.detail, "timed out");

        problems.over_at(day, Kind::Agent);
        problems.over_at(day + MINUTE, Kind::Agent);
        let seen = &problems.lately_at(day + 59 * MINUTE)[0];
        assert!(!seen.is_now());
        assert_eq!(seen.over_ms, Some(day));
        assert_eq!(kinds(&problems, day + 60 * MINUTE), []);
    }

    #[test]
    fn what_begins_again_counts_anew() {
        let problems = Problems::default();
        problems.note_at(0, Kind::Agent, 5, "x");
        problems.over_at(MINUTE, Kind::Agent);
        problems.note_at(2 * MINUTE, Kind::Agent, 1, "y");
        let seen = &problems.lately_at(2 * MINUTE)[0];
        assert!(seen.is_now());
        assert_eq!((seen.times, seen.first_ms), (1, 2 * MINUTE));

        problems.note_at(0, Kind::InputTorn, 5, "x");
        problems.note_at(61 * MINUTE, Kind::InputTorn, 2, "y");
        let seen = problems.lately_at(61 * MINUTE).into_iter().find(|seen| seen.kind == Kind::InputTorn);
        assert_eq!(seen.map(|seen| (seen.times, seen.first_ms)), Some((2, 61 * MINUTE)));
    }

    #[test]
    fn what_is_so_now_comes_first_and_then_what_began_last() {
        let problems = Problems::default();
        problems.note_at(1, Kind::Agent, 1, "");
        problems.note_at(2, Kind::InputTorn, 1, "");
        problems.note_at(3, Kind::PartnerSlow, 1, "");
        problems.note_at(0, Kind::Login, 1, "");
        problems.over_at(4, Kind::Login);
        let expected = [Kind::Agent, Kind::Login, Kind::PartnerSlow, Kind::InputTorn];
        assert_eq!(kinds(&problems, MINUTE), expected);
        // None changes its place for being noted again.
        problems.note_at(MINUTE, Kind::KafkaUnreachable, 1, "");
        problems.note_at(MINUTE, Kind::InputTorn, 1, "");
        for now in [MINUTE, 2 * MINUTE] {
            problems.note_at(now, if now == MINUTE { Kind::Agent } else { Kind::KafkaUnreachable }, 1, "");
            assert_eq!(kinds(&problems, now)[..2], [Kind::KafkaUnreachable, Kind::Agent]);
            assert_eq!(kinds(&problems, now)[2..], expected[1..]);
        }
        problems.over_at(2 * MINUTE, Kind::KafkaUnreachable);
        assert_eq!(kinds(&problems, 60 * MINUTE + 4), [Kind::Agent, Kind::KafkaUnreachable, Kind::InputTorn]);
    }

    #[test]
    fn words_are_bounded_whoever_sent_them() {
        let problems = Problems::default();
        problems.note(Kind::InputTorn, "é".repeat(10_000));
        assert_eq!(problems.lately()[0].detail, "é".repeat(DETAIL_BYTES_MAX / 2));
    }

    #[test]
    fn what_never_was_is_never_over() {
        let problems = Problems::default();
        problems.over(Kind::Agent);
        assert_eq!(problems.lately(), []);
    }
}
