//! Which tags a record gets, decided when it arrives.
//!
//! An [`Enricher`] answers for one record from what is known at that moment: it never waits and never asks. Tags are
//! added where they are known and not there yet, so that no key is ever doubled; a record that names an agent,
//! framework or application itself keeps what it says.
//!
//! What is known are the fixed values of the configuration.

use crate::ocf::{AddedTags, EncodedTags, Origin};
use crate::record::tag_key;

/// What is known without asking anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Value of `agent_id` (`agent-id`).
    pub agent_id: Option<String>,
    /// Value of `framework_name` (`framework-name`).
    pub framework_name: Option<String>,
    /// Value of `application_name` (`application-name`).
    pub application_name: Option<String>,
}

/// Decides on tags.
#[derive(Clone, Debug)]
pub struct Enricher {
    /// What to add to a record, by the set of tags that it has already.
    additions: [Decision; AddedTags::SETS],
}

/// What a record gets.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Tags to merge into the record's own.
    pub add: EncodedTags,
    /// How much is known of the record's origin then.
    pub enrichment: Enrichment,
}

/// How many of agent, framework and application a record names in the end. The name is the metric label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enrichment {
    /// All three.
    Full,
    /// Some.
    Partial,
    /// None.
    #[default]
    None,
}

impl Enrichment {
    /// Every value, for series that start at 0.
    pub const ALL: [Enrichment; 3] = [Enrichment::Full, Enrichment::Partial, Enrichment::None];

    /// The metric label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Enrichment::Full => "full",
            Enrichment::Partial => "partial",
            Enrichment::None => "none",
        }
    }
}

impl Enricher {
    /// An enricher that knows the fixed values only.
    #[must_use]
    pub fn fixed(config: &Config) -> Enricher {
        Enricher { additions: std::array::from_fn(|set| decide(config, AddedTags::from_index(set))) }
    }

    /// What a record of this origin gets.
    #[inline]
    #[must_use]
    pub fn decide(&self, origin: &Origin<'_>) -> &Decision {
        &self.additions[origin.present.index()]
    }
}

fn decide(config: &Config, present: AddedTags) -> Decision {
    // In the order in which the collector of 2016 appended them.
    let tags = [
        (AddedTags::FRAMEWORK_NAME, tag_key::FRAMEWORK_NAME, &config.framework_name),
        (AddedTags::APPLICATION_NAME, tag_key::APPLICATION_NAME, &config.application_name),
        (AddedTags::AGENT_ID, tag_key::AGENT_ID, &config.agent_id),
    ];
    let mut add = EncodedTags::default();
    let mut known = 0;
    for (tag, key, value) in tags {
        if present.contains(tag) {
            known += 1;
        } else if let Some(value) = value {
            add.push(key, value.as_bytes());
            known += 1;
        }
    }
    let enrichment = match known {
        0 => Enrichment::None,
        3 => Enrichment::Full,
        _ => Enrichment::Partial,
    };
    Decision { add, enrichment }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(config: &Config, present: AddedTags) -> (EncodedTags, Enrichment) {
        let origin = Origin { present, ..Origin::default() };
        let Decision { add, enrichment } = Enricher::fixed(config).decide(&origin).clone();
        (add, enrichment)
    }

    fn tags(tags: &[(&str, &str)]) -> EncodedTags {
        let mut encoded = EncodedTags::default();
        for (key, value) in tags {
            encoded.push(key.as_bytes(), value.as_bytes());
        }
        encoded
    }

    #[test]
    fn nothing_known_adds_nothing() {
        let nothing = AddedTags::default();
        assert_eq!(added(&Config::default(), nothing), (tags(&[]), Enrichment::None));
        assert_eq!(added(&Config::default(), AddedTags::AGENT_ID), (tags(&[]), Enrichment::Partial));
    }

    #[test]
    fn known_tags_are_added_in_the_old_order_and_never_doubled() {
        let config = Config {
            agent_id: Some("a".into()),
            framework_name: Some("f".into()),
            application_name: Some("p".into()),
        };
        let all = tags(&[("framework_name", "f"), ("application_name", "p"), ("agent_id", "a")]);
        assert_eq!(added(&config, AddedTags::default()), (all, Enrichment::Full));
        let without_framework = tags(&[("application_name", "p"), ("agent_id", "a")]);
        assert_eq!(added(&config, AddedTags::FRAMEWORK_NAME), (without_framework, Enrichment::Full));
        assert_eq!(added(&config, AddedTags::from_index(7)), (tags(&[]), Enrichment::Full));
    }
}
