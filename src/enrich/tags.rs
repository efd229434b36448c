//! Tags ready to be added, for every set of tags that a record may have already.

use super::Enrichment;
use crate::ocf::{AddedTags, EncodedTags, TagItems};
use crate::record::tag_key;

/// What a record gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Tags to merge into the record's own.
    pub add: TagItems<'a>,
    /// Which these are. Where the record has one of them itself, that is left out.
    pub gives: AddedTags,
}

impl Decision<'_> {
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

/// Decisions on records of one origin. There may be tens of thousands of these, so each is one piece of memory: framework,
/// application and agent one behind the other, in the order in which the collector of 2016 appended them, and framework
/// and agent once more, since all other choices of the three lie side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TagSet {
    items: Box<[u8]>,
    /// Where the framework, the application, the agent, and framework and agent end in `items`.
    ends: [u32; 4],
    /// The tags that have a value.
    has: AddedTags,
    /// Whether they take the place of the record's own.
    replaces: bool,
}

impl TagSet {
    pub(super) fn new(values: Values<'_>, replaces: bool) -> TagSet {
        let framework = (AddedTags::FRAMEWORK_NAME, tag_key::FRAMEWORK_NAME, values.framework_name);
        let application = (AddedTags::APPLICATION_NAME, tag_key::APPLICATION_NAME, values.application_name);
        let agent = (AddedTags::AGENT_ID, tag_key::AGENT_ID, values.agent_id);
        let (mut encoded, mut has) = (EncodedTags::default(), AddedTags::default());
        let ends = [&[framework][..], &[application], &[agent], &[framework, agent]].map(|tags| {
            for (tag, key, value) in tags {
                if let Some(value) = value {
                    encoded.push(key, value.as_bytes());
                    has = has.and(*tag);
                }
            }
            u32::try_from(encoded.byte_len()).expect("names are short")
        });
        TagSet { items: encoded.into_bytes(), ends, has, replaces }
    }

    /// What a record with the tags `present` gets.
    #[inline]
    pub(super) fn decision(&self, present: AddedTags) -> Decision<'_> {
        let gives = if self.replaces { self.has } else { self.has.without(present) };
        let [framework, application, agent, both] = self.ends.map(|end| end as usize);
        let span = match (
            gives.contains(AddedTags::FRAMEWORK_NAME),
            gives.contains(AddedTags::APPLICATION_NAME),
            gives.contains(AddedTags::AGENT_ID),
        ) {
            (true, true, true) => 0..agent,
            (true, true, false) => 0..application,
            (true, false, true) => agent..both,
            (true, false, false) => 0..framework,
            (false, true, true) => framework..agent,
            (false, true, false) => framework..application,
            (false, false, true) => application..agent,
            (false, false, false) => 0..0,
        };
        Decision { add: TagItems::new(&self.items[span], gives.count()), gives }
    }
}
