//! Plans that were made, by schema text, so that a sender that connects again costs no parsing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::{Plan, SCHEMA_BYTES_MAX, SchemaFault, plan};
use crate::ocf::METRIC_LIST;

/// Plans kept. A node has a handful of kinds of senders.
const PLANS_MAX: usize = 64;

/// Memory of texts and programs kept, in bytes: strangers with large schemas push out each other.
const PLANS_BYTES_MAX: usize = 2 << 20;

/// Plans and faults of the latest schemas. When full, the oldest is dropped; it is made anew when asked for again.
#[derive(Default)]
pub struct PlanCache {
    kept: Mutex<Kept>,
    /// Held while a plan is made: the memory that this takes is taken once, however many strangers connect.
    making: Mutex<()>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Entry>,
    bytes: usize,
}

struct Entry {
    text: Box<[u8]>,
    made: Result<Plan, SchemaFault>,
}

impl PlanCache {
    /// An empty one.
    #[must_use]
    pub fn new() -> PlanCache {
        PlanCache::default()
    }

    /// The plan for this schema text, made now if it is not kept.
    ///
    /// # Errors
    /// As [`plan`], which is asked once for each text that is kept.
    pub fn get(&self, text: &[u8]) -> Result<Plan, SchemaFault> {
        if text == METRIC_LIST.as_bytes() {
            return Ok(Plan::Native);
        }
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(SchemaFault::TooLarge);
        }
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = lock().find(text) {
            return made;
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = lock().find(text) {
            return made;
        }
        // What is kept is not locked meanwhile: a stranger's schema must not hold up those that are known.
        let made = plan(text);
        lock().keep(Entry { text: text.into(), made: made.clone() });
        made
    }
}

impl Kept {
    fn find(&self, text: &[u8]) -> Option<Result<Plan, SchemaFault>> {
        self.entries.iter().find(|entry| *entry.text == *text).map(|entry| entry.made.clone())
    }

    fn keep(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        while self.entries.len() > PLANS_MAX || self.bytes > PLANS_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        let program = match &self.made {
            Ok(Plan::Project(projection)) => projection.bytes(),
            Ok(Plan::Native) | Err(_) => 0,
        };
        self.text.len() + program + size_of::<Entry>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_doc(doc: &str) -> String {
        METRIC_LIST.replace(r#""type":"record"}"#, &format!(r#""doc":"{doc}","type":"record"}}"#))
    }

    fn n_kept(cache: &PlanCache) -> usize {
        cache.kept.lock().unwrap_or_else(PoisonError::into_inner).entries.len()
    }

    #[test]
    fn it_can_be_shared_by_threads() {
        fn check<T: Send + Sync>(_: &T) {}
        check(&PlanCache::new());
    }

    #[test]
    fn a_text_is_planned_once_and_a_fault_is_kept_too() {
        let cache = PlanCache::new();
        for _ in 0..3 {
            assert!(matches!(cache.get(METRIC_LIST.as_bytes()), Ok(Plan::Native)));
            assert!(matches!(cache.get(with_doc("a").as_bytes()), Ok(Plan::Native)));
            assert!(matches!(cache.get(b"\"long\""), Err(SchemaFault::NotARecord(_))));
        }
        assert_eq!(n_kept(&cache), 2);
    }

    #[test]
    fn the_same_projection_is_shared() {
        let cache = PlanCache::new();
        let text = METRIC_LIST.replace(
            r#"{"fields":[{"name":"topic""#,
            r#"{"fields":[{"name":"x","type":"int"},{"name":"topic""#,
        );
        let projections = [(); 2].map(|()| match cache.get(text.as_bytes()) {
            Ok(Plan::Project(projection)) => projection,
            other => panic!("{other:?}"),
        });
        assert!(std::sync::Arc::ptr_eq(&projections[0], &projections[1]));
    }

    #[test]
    fn the_oldest_goes_first() {
        let cache = PlanCache::new();
        for i in 0..=PLANS_MAX {
            assert!(cache.get(with_doc(&i.to_string()).as_bytes()).is_ok());
        }
        let kept = cache.kept.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(kept.entries.len(), PLANS_MAX);
        assert!(kept.find(with_doc("0").as_bytes()).is_none());
        assert!(kept.find(with_doc("1").as_bytes()).is_some());
        assert_eq!(kept.bytes, kept.entries.iter().map(Entry::bytes).sum::<usize>());
    }

    #[test]
    fn large_texts_are_kept_within_the_bytes() {
        let cache = PlanCache::new();
        for i in 0..PLANS_MAX {
            let doc = format!("{i}{}", "x".repeat(20_000));
            assert!(cache.get(with_doc(&doc).as_bytes()).is_ok());
        }
        let kept = cache.kept.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(kept.bytes <= PLANS_BYTES_MAX, "{}", kept.bytes);
        assert!(kept.entries.len() > 10);
    }

    #[test]
    fn a_text_above_the_cap_is_not_kept() {
        let cache = PlanCache::new();
        assert!(matches!(cache.get(&vec![b' '; SCHEMA_BYTES_MAX + 1]), Err(SchemaFault::TooLarge)));
        assert_eq!(n_kept(&cache), 0);
    }
}
