//! Where the brokers are: a list that is known from the start, or found and found again while the output runs.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::dcos::discovery;

/// Brokers to begin with; none are known yet where there is no list.
pub type List = Option<Known>;

/// Brokers that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `host:port` each.
    pub list: Arc<[String]>,
    /// By whom they were found, and for what; none: the operator names them.
    pub looked: Option<Arc<discovery::Config>>,
}

/// The list as it is now, and a bell for whoever looks for brokers.
#[derive(Clone, Debug)]
pub struct Brokers {
    known: watch::Receiver<List>,
    /// The list is another than at the last look.
    is_new: bool,
    lost: Arc<Notify>,
}

impl Brokers {
    /// A list that somebody looks for: `known` has it, and `lost` is rung when no broker of it can be reached.
    #[must_use]
    pub fn found(known: watch::Receiver<List>, lost: Arc<Notify>) -> Brokers {
        Brokers { known, is_new: false, lost }
    }

    /// The list as it is now.
    pub(super) fn now(&mut self) -> List {
        self.is_new = false;
        self.known.borrow_and_update().clone().filter(|known| !known.list.is_empty())
    }

    /// The same; empty where none are known.
    pub(super) fn list(&mut self) -> Vec<String> {
        self.now().map_or_else(Vec::new, |known| known.list.to_vec())
    }

    /// Whether the list has changed since [`Brokers::now`].
    pub(super) fn has_changed(&self) -> bool {
        // Whoever looked for brokers may have ended.
        self.is_new || self.known.has_changed().unwrap_or(false)
    }

    /// Returns when the list has changed since [`Brokers::now`]. Cancel safe.
    pub(super) async fn changed(&mut self) {
        // Whoever looked for brokers has ended, or never was: the list stays.
        if self.known.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.is_new = true;
    }

    /// No broker of the list can be reached.
    pub(super) fn lost(&self) {
        self.lost.notify_one();
    }
}

/// Whether two lists name the same brokers, in whatever order.
pub(super) fn are_same(a: &[String], b: &[String]) -> bool {
    let within = |a: &[String], b: &[String]| a.iter().all(|broker| b.contains(broker));
    within(a, b) && within(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_make_no_other_list() {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (a, b, same) in [
            (&["a:1", "b:1"][..], &["b:1", "a:1", "b:1"][..], true),
            (&["a:1"], &["a:1", "b:1"], false),
            (&["a:1", "b:1"], &["a:1"], false),
            (&[], &["a:1"], false),
        ] {
            assert_eq!(are_same(&list(a), &list(b)), same, "{a:?} {b:?}");
        }
    }
}
