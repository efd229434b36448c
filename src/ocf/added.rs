//! The tags that the collector may add, as sets.

use crate::record::tag_key;

/// Which of the tags that the collector may add a record already has. A set of three bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddedTags(u8);

impl AddedTags {
    /// `agent_id`.
    pub const AGENT_ID: AddedTags = AddedTags(1);
    /// `framework_name`.
    pub const FRAMEWORK_NAME: AddedTags = AddedTags(2);
    /// `application_name`.
    pub const APPLICATION_NAME: AddedTags = AddedTags(4);
    /// How many sets there are.
    pub const SETS: usize = 8;

    /// Whether every tag of `other` is in it.
    #[must_use]
    pub fn contains(self, other: AddedTags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set's number, below [`AddedTags::SETS`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The set of this number.
    ///
    /// # Panics
    /// If there is no such set.
    #[must_use]
    pub fn from_index(index: usize) -> AddedTags {
        assert!(index < AddedTags::SETS, "a set of three bits");
        AddedTags(index as u8)
    }

    /// Whether any tag of `other` is in it.
    #[must_use]
    pub fn intersects(self, other: AddedTags) -> bool {
        self.0 & other.0 != 0
    }

    /// The tags of both.
    #[must_use]
    pub fn and(self, other: AddedTags) -> AddedTags {
        AddedTags(self.0 | other.0)
    }

    /// Its tags but those of `other`.
    #[must_use]
    pub fn without(self, other: AddedTags) -> AddedTags {
        AddedTags(self.0 & !other.0)
    }

    /// How many tags are in it.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    pub(super) fn insert(&mut self, other: AddedTags) {
        self.0 |= other.0;
    }

    /// The set of the tag with this key; empty for any other key.
    pub(super) fn of(key: &[u8]) -> AddedTags {
        match key {
            tag_key::AGENT_ID => AddedTags::AGENT_ID,
            tag_key::FRAMEWORK_NAME => AddedTags::FRAMEWORK_NAME,
            tag_key::APPLICATION_NAME => AddedTags::APPLICATION_NAME,
            _ => AddedTags::default(),
        }
    }
}
