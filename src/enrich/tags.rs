//! Tags ready to be added, for every set of tags that a record may have already.

use super::Enrichment;
use crate::ocf::{AddedTags, EncodedTags};
use crate::record::tag_key;

/// What a record gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Tags to merge into the record's own.
    pub add: EncodedTags,
    /// Which these are. Where the record has one of them itself, that is left out.
    pub gives: AddedTags,
}

impl Decision {
    /// How much is known of the origin of a record that has the tags `present`.
    #[inline]
    #[must_use]
    pub fn enrichment(&self, present: AddedTags) -> Enrichment {
        match self.gives.and(present).count() {
            0 => Enrichment::None,
            3 => Enrichment::Full,
            _ => Enrichment::Partial,
        }
    }
}

/// Values of the tags, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Values<'a> {
    pub(super) framework_name: Option<&'a str>,
    pub(super) application_name: Option<&'a str>,
    pub(super) agent_id: Option<&'a str>,
}

/// Decisions on records of one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TagSet {
    /// These tags, whatever the record has itself.
    Replacing(Decision),
    /// By the set of tags that the record has itself, which stay.
    Adding(Box<[Decision; AddedTags::SETS]>),
}

impl TagSet {
    pub(super) fn new(values: Values<'_>, replaces: bool) -> TagSet {
        if replaces {
            TagSet::Replacing(decide(values, AddedTags::default()))
        } else {
            let by_present = std::array::from_fn(|set| decide(values, AddedTags::from_index(set)));
            TagSet::Adding(Box::new(by_present))
        }
    }

    #[inline]
    pub(super) fn decision(&self, present: AddedTags) -> &Decision {
        match self {
            TagSet::Replacing(decision) => decision,
            TagSet::Adding(by_present) => &by_present[present.index()],
        }
    }
}

fn decide(values: Values<'_>, present: AddedTags) -> Decision {
    // In the order in which the collector of 2016 appended them.
    let tags = [
        (AddedTags::FRAMEWORK_NAME, tag_key::FRAMEWORK_NAME, values.framework_name),
        (AddedTags::APPLICATION_NAME, tag_key::APPLICATION_NAME, values.application_name),
        (AddedTags::AGENT_ID, tag_key::AGENT_ID, values.agent_id),
    ];
    let mut decision = Decision::default();
    for (tag, key, value) in tags {
        if let Some(value) = value.filter(|_| !present.contains(tag)) {
            decision.add.push(key, value.as_bytes());
            decision.gives = decision.gives.and(tag);
        }
    }
    decision
}
