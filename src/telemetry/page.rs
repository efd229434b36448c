//! The metrics page: its text, and a cap on the values of a label that others choose.

use std::collections::HashSet;

use prometheus::{Registry, TextEncoder};

/// Topics that have series of their own; all further ones share [`OTHER`].
pub const TOPIC_LABELS_MAX: usize = 200;

/// Label value of everything that has none of its own.
pub const OTHER: &str = "other";

/// Longest name that becomes a label value, in bytes: no Kafka topic is longer.
const NAME_BYTES_MAX: usize = 249;

/// The page: everything in `registry` in Prometheus' text format 0.0.4, sorted by name.
#[must_use]
pub fn encode(registry: &Registry) -> String {
    let mut page = String::new();
    let encoder = TextEncoder::new();
    // One by one, so that a family that cannot be encoded would not take the others with it.
    for family in registry.gather() {
        let before = page.len();
        if let Err(error) = encoder.encode_utf8(std::slice::from_ref(&family), &mut page) {
            page.truncate(before);
            tracing::debug!(name = family.name(), error = %error, "a metric is missing on the page");
        }
    }
    page
}

/// Gives each of the first names its own label value, and [`OTHER`] to all further ones.
///
/// A name keeps the value that it got for as long as this lives, so that no counter is ever split between two
/// series. Who is first counts, not who is largest: moving a name from one series to another would make both wrong.
/// Senders choose names, so that their number and their length are bounded: at most `cap` names of 249 bytes are
/// remembered. A topic that really is called `other` counts under [`OTHER`] too.
#[derive(Debug)]
pub struct CappedLabels {
    cap: usize,
    known: HashSet<Box<str>>,
    folded: u64,
}

impl CappedLabels {
    /// Room for `cap` names; [`TOPIC_LABELS_MAX`] for topics.
    #[must_use]
    pub fn new(cap: usize) -> CappedLabels {
        CappedLabels { cap, known: HashSet::new(), folded: 0 }
    }

    /// The label value of `name`: itself or [`OTHER`].
    pub fn label<'a>(&mut self, name: &'a str) -> &'a str {
        if name == OTHER || self.known.contains(name) {
            return name;
        }
        if self.known.len() < self.cap && name.len() <= NAME_BYTES_MAX {
            self.known.insert(name.into());
            return name;
        }
        self.folded += 1;
        OTHER
    }

    /// How often [`label`](CappedLabels::label) had to answer [`OTHER`] for another name: what the cap hides.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.folded
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounterVec, IntGauge, Opts};

    use super::*;

    #[test]
    fn the_page_is_text_sorted_by_name_and_escaped() {
        let registry = Registry::new();
        let topics = IntCounterVec::new(Opts::new("b_total", "Second."), &["topic"]).unwrap();
        registry.register(Box::new(topics.clone())).unwrap();
        topics.with_label_values(&["a\"b\\c\nd"]).inc_by(3);
        registry.register(Box::new(IntGauge::new("a", "First.").unwrap())).unwrap();
        let never_used = IntCounterVec::new(Opts::new("c_total", "Third."), &["x"]).unwrap();
        registry.register(Box::new(never_used)).unwrap();
        let expected = "# HELP a First.\n# TYPE a gauge\na 0\n\
                        # HELP b_total Second.\n# TYPE b_total counter\nb_total{topic=\"a\\\"b\\\\c\\nd\"} 3\n";
        assert_eq!(encode(&registry), expected);
    }

    #[test]
    fn the_first_names_keep_their_own_value_and_later_ones_share_one() {
        let mut labels = CappedLabels::new(2);
        let given: Vec<_> =
            ["a", "b", "c", "a", "d", "b", "c"].iter().map(|name| labels.label(name)).collect();
        assert_eq!(given, ["a", "b", OTHER, "a", OTHER, "b", OTHER]);
        assert_eq!(labels.folded(), 3);
    }

    #[test]
    fn a_name_longer_than_any_topic_takes_no_room() {
        let mut labels = CappedLabels::new(1);
        assert_eq!(labels.label(&"x".repeat(250)), OTHER);
        let longest = "x".repeat(249);
        assert_eq!(labels.label(&longest), longest);
        assert_eq!(labels.label("late"), OTHER);
    }

    #[test]
    fn a_topic_called_other_takes_no_room_either() {
        let mut labels = CappedLabels::new(1);
        assert_eq!(labels.label(OTHER), OTHER);
        assert_eq!(labels.label("a"), "a");
        assert_eq!(labels.folded(), 0);
    }

    #[test]
    fn two_hundred_topics_have_series_of_their_own() {
        let mut labels = CappedLabels::new(TOPIC_LABELS_MAX);
        let names: Vec<_> = (0..300).map(|n| format!("topic-{n}")).collect();
        let own = names.iter().filter(|name| labels.label(name) != OTHER).count();
        assert_eq!(own, 200);
    }
}
