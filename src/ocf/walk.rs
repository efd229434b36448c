//! Finds where a record's parts lie, and copies a record with tags merged in. The hot path of the program.
//!
//! A record in our schema is `topic string, tags array<{key, value}>, datapoints array<{name, time, value}>`. Nothing
//! is decoded: the walk steps from length to length, looks at the keys of tags, and leaves offsets. Strings stay
//! bytes, doubles are stepped over. Arrays may come in several blocks and with negative counts. Those carry the size of
//! their items in bytes, which must be right: the bytes go to Kafka as they are, and a reader there may pass over an
//! array by that size.
//!
//! Every step is bounded by the bytes that are there: a count says how often to try, never how much to allocate, and
//! no item is of size 0, so a walk ends after at most as many steps as there are bytes.

use std::ops::Range;

use super::added::AddedTags;
use super::fault::{NoRecord, RecordFault};
use super::limits::Limits;
use super::varint::{self, read_long};
use crate::record::tag_key;

/// What a record's tags say about where it comes from. First occurrences: the module puts its own first, and what
/// a container forges stands behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Value of the first `container_id`.
    pub container_id: Option<&'a [u8]>,
    /// Value of the first `framework_id`.
    pub framework_id: Option<&'a [u8]>,
    /// Value of the first `executor_id`.
    pub executor_id: Option<&'a [u8]>,
    /// Which of the tags that the collector adds are there.
    pub present: AddedTags,
}

/// Where the parts of one record lie, as offsets into the bytes that were walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape<'a> {
    /// The topic's bytes.
    pub topic: &'a [u8],
    /// From the tags.
    pub origin: Origin<'a>,
    /// Tags it has.
    pub tags: u32,
    /// Datapoints it has.
    pub datapoints: u32,
    /// The record.
    pub span: Range<usize>,
    /// Where the tag array begins.
    tags_at: usize,
    /// Where the count of the only tag block stands; none if there is no block, several, or one with a negative count.
    count: Option<Range<usize>>,
    /// Where the tag array's closing 0 stands.
    tags_end: usize,
}

impl Shape<'_> {
    /// Holds the record against the limits.
    ///
    /// # Errors
    /// [`RecordFault`]: the limit that it is over.
    #[inline]
    pub fn check(&self, limits: &Limits) -> Result<(), RecordFault> {
        if self.span.len() > limits.record_bytes {
            return Err(RecordFault::TooLarge);
        }
        if self.tags > limits.record_tags {
            return Err(RecordFault::TooManyTags);
        }
        if self.datapoints > limits.record_datapoints {
            return Err(RecordFault::TooManyDatapoints);
        }
        Ok(())
    }
}

/// Tags ready to be merged into a record's tag block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedTags {
    items: Vec<u8>,
    count: u32,
}

impl EncodedTags {
    /// Adds a tag.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        varint::write_bytes(key, &mut self.items);
        varint::write_bytes(value, &mut self.items);
        self.count += 1;
    }

    /// Bytes of the items.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.items.len()
    }

    /// The items, one behind the other.
    #[must_use]
    pub fn into_bytes(self) -> Box<[u8]> {
        self.items.into()
    }

    /// All of them, to be merged.
    #[must_use]
    pub fn all(&self) -> TagItems<'_> {
        TagItems { items: &self.items, count: self.count }
    }
}

/// Encoded tags that lie somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagItems<'a> {
    items: &'a [u8],
    count: u32,
}

impl<'a> TagItems<'a> {
    /// These items, which are `count` tags as [`EncodedTags`] has them.
    #[inline]
    #[must_use]
    pub fn new(items: &'a [u8], count: u32) -> TagItems<'a> {
        TagItems { items, count }
    }

    /// The items.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.items
    }

    /// Whether this tag is among them.
    fn has(&self, key: &[u8], value: &[u8]) -> bool {
        let mut at = 0;
        while at < self.items.len() {
            let tag = (string(self.items, &mut at), string(self.items, &mut at));
            if tag == (Ok(key), Ok(value)) {
                return true;
            }
        }
        false
    }
}

/// Walks the record that begins at `start`.
///
/// # Errors
/// [`NoRecord`]; nothing more is known about the bytes behind `start` then.
pub fn walk(bytes: &[u8], start: usize) -> Result<Shape<'_>, NoRecord> {
    let mut at = start;
    let topic = string(bytes, &mut at)?;
    let tags_at = at;
    let mut origin = Origin::default();
    let mut tags = 0u32;
    let mut count_span = None;
    let mut blocks = 0u32;
    let mut any_sized = false;
    let tags_end = loop {
        let count_at = at;
        let (items, sized) = match block_count(bytes, &mut at)? {
            Count::End => break count_at,
            Count::Items(items) => (items, false),
            Count::SizedItems(items) => (items, true),
        };
        any_sized |= sized;
        blocks += 1;
        count_span = (blocks == 1 && !sized).then_some(count_at..at);
        for _ in 0..items {
            let key = string(bytes, &mut at)?;
            let value = string(bytes, &mut at)?;
            // Lengths of the six keys; most keys are told apart by this alone.
            if matches!(key.len(), 8 | 11 | 12 | 14 | 16) {
                note(key, value, &mut origin);
            }
        }
        tags = tags.saturating_add(u32::try_from(items).unwrap_or(u32::MAX));
    };
    let mut datapoints = 0u32;
    loop {
        let items = match block_count(bytes, &mut at)? {
            Count::End => break,
            Count::Items(items) => items,
            Count::SizedItems(items) => {
                any_sized = true;
                items
            }
        };
        for _ in 0..items {
            skip_datapoint(bytes, &mut at)?;
        }
        datapoints = datapoints.saturating_add(u32::try_from(items).unwrap_or(u32::MAX));
    }
    if any_sized {
        check_sizes(bytes, start)?;
    }
    Ok(Shape { topic, origin, tags, datapoints, span: start..at, tags_at, count: count_span, tags_end })
}

/// Bytes that [`splice`] appends at most.
#[inline]
#[must_use]
pub fn spliced_bytes_max(shape: &Shape<'_>, added: TagItems<'_>) -> usize {
    shape.span.len() + added.items.len() + varint::LONG_BYTES_MAX
}

/// Appends the record at `shape` in `bytes` to `out`, with `added` behind its own tags: in its tag block if it is one
/// plain block, else as a block more. Everything else is copied as it is.
pub fn splice(bytes: &[u8], shape: &Shape<'_>, added: TagItems<'_>, out: &mut Vec<u8>) {
    let Range { start, end } = shape.span;
    if added.count == 0 {
        out.extend_from_slice(&bytes[start..end]);
        return;
    }
    out.reserve(spliced_bytes_max(shape, added));
    if let Some(count) = &shape.count {
        out.extend_from_slice(&bytes[start..count.start]);
        varint::write_long(i64::from(shape.tags) + i64::from(added.count), out);
        out.extend_from_slice(&bytes[count.end..shape.tags_end]);
    } else {
        out.extend_from_slice(&bytes[start..shape.tags_end]);
        varint::write_long(i64::from(added.count), out);
    }
    out.extend_from_slice(added.items);
    out.extend_from_slice(&bytes[shape.tags_end..end]);
}

/// Like [`splice`], and leaves out the record's own tags of `replaced`. Says whether one of them was not among `added`
/// with the same value, so that something was contradicted.
///
/// # Panics
/// If `shape` is not that of a record in `bytes`.
#[cold]
pub fn splice_replacing(
    bytes: &[u8],
    shape: &Shape<'_>,
    replaced: AddedTags,
    added: TagItems<'_>,
    out: &mut Vec<u8>,
) -> bool {
    const WALKED: &str = "the record was walked";
    let Range { start, end } = shape.span;
    let (mut kept, mut n_kept, mut contradicted) = (Vec::new(), 0, false);
    let mut at = shape.tags_at;
    while let Count::Items(items) | Count::SizedItems(items) = block_count(bytes, &mut at).expect(WALKED) {
        for _ in 0..items {
            let tag_at = at;
            let key = string(bytes, &mut at).expect(WALKED);
            let value = string(bytes, &mut at).expect(WALKED);
            if AddedTags::of(key).intersects(replaced) {
                contradicted |= !added.has(key, value);
            } else {
                kept.extend_from_slice(&bytes[tag_at..at]);
                n_kept += 1;
            }
        }
    }
    out.reserve(spliced_bytes_max(shape, added));
    out.extend_from_slice(&bytes[start..shape.tags_at]);
    let tags = n_kept + i64::from(added.count);
    if tags > 0 {
        varint::write_long(tags, out);
        out.extend_from_slice(&kept);
        out.extend_from_slice(added.items);
    }
    out.extend_from_slice(&bytes[shape.tags_end..end]);
    contradicted
}

/// Shows `see` key and value of each tag of the record at `shape` in `bytes`, in order.
///
/// # Panics
/// If `shape` is not that of a record in `bytes`.
pub fn each_tag<'a>(bytes: &'a [u8], shape: &Shape<'_>, mut see: impl FnMut(&'a [u8], &'a [u8])) {
    const WALKED: &str = "the record was walked";
    let mut at = shape.tags_at;
    while let Count::Items(items) | Count::SizedItems(items) = block_count(bytes, &mut at).expect(WALKED) {
        for _ in 0..items {
            let key = string(bytes, &mut at).expect(WALKED);
            see(key, string(bytes, &mut at).expect(WALKED));
        }
    }
}

/// Walks a record once more and holds the sizes of its array blocks against their items. Hardly any writer has them, so
/// those that do pay for the comparison, and the others need not carry a size along.
#[cold]
fn check_sizes(bytes: &[u8], start: usize) -> Result<(), NoRecord> {
    let mut at = start;
    string(bytes, &mut at)?;
    check_array(bytes, &mut at, |bytes, at| {
        string(bytes, at)?;
        string(bytes, at).map(drop)
    })?;
    check_array(bytes, &mut at, skip_datapoint)
}

fn check_array(
    bytes: &[u8],
    at: &mut usize,
    skip: impl Fn(&[u8], &mut usize) -> Result<(), NoRecord>,
) -> Result<(), NoRecord> {
    loop {
        let count = long(bytes, at)?;
        if count == 0 {
            return Ok(());
        }
        let size = if count < 0 { Some(long(bytes, at)?) } else { None };
        let first = *at;
        for _ in 0..count.unsigned_abs() {
            skip(bytes, at)?;
        }
        if size.is_some_and(|size| size != varint::length(*at - first)) {
            return Err(NoRecord);
        }
    }
}

enum Count {
    End,
    Items(u64),
    SizedItems(u64),
}

#[inline]
fn block_count(bytes: &[u8], at: &mut usize) -> Result<Count, NoRecord> {
    match long(bytes, at)? {
        0 => Ok(Count::End),
        count @ 1.. => Ok(Count::Items(count.cast_unsigned())),
        negative => {
            let items = negative.checked_neg().ok_or(NoRecord)?;
            long(bytes, at)?;
            Ok(Count::SizedItems(items.cast_unsigned()))
        }
    }
}

#[inline]
fn long(bytes: &[u8], at: &mut usize) -> Result<i64, NoRecord> {
    read_long(bytes, at).ok().flatten().ok_or(NoRecord)
}

#[inline]
fn string<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8], NoRecord> {
    let first = *bytes.get(*at).ok_or(NoRecord)?;
    // One byte, not negative: a string shorter than 64 bytes.
    let len = if first & 0x81 == 0 {
        *at += 1;
        usize::from(first >> 1)
    } else {
        usize::try_from(long(bytes, at)?).map_err(|_| NoRecord)?
    };
    let rest = &bytes[*at..];
    let text = rest.get(..len).ok_or(NoRecord)?;
    *at += len;
    Ok(text)
}

#[inline]
fn skip_datapoint(bytes: &[u8], at: &mut usize) -> Result<(), NoRecord> {
    string(bytes, at)?;
    // A time of eight bytes at most, seen whole in one load, and the double behind it.
    if let Some(word) = bytes.get(*at..).and_then(|rest| rest.get(..16)?.first_chunk::<8>()) {
        let ends = !u64::from_le_bytes(*word) & 0x8080_8080_8080_8080;
        if ends != 0 {
            *at += (ends.trailing_zeros() as usize >> 3) + 1 + 8;
            return Ok(());
        }
    }
    long(bytes, at)?;
    *at += 8;
    if *at > bytes.len() { Err(NoRecord) } else { Ok(()) }
}

fn note<'a>(key: &[u8], value: &'a [u8], origin: &mut Origin<'a>) {
    match key {
        tag_key::AGENT_ID => origin.present.insert(AddedTags::AGENT_ID),
        tag_key::FRAMEWORK_NAME => origin.present.insert(AddedTags::FRAMEWORK_NAME),
        tag_key::APPLICATION_NAME => origin.present.insert(AddedTags::APPLICATION_NAME),
        tag_key::CONTAINER_ID => _ = origin.container_id.get_or_insert(value),
        tag_key::FRAMEWORK_ID => _ = origin.framework_id.get_or_insert(value),
        tag_key::EXECUTOR_ID => _ = origin.executor_id.get_or_insert(value),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::oracle;
    use crate::ocf::testing::{PLAIN, layouts, records, utf8_records, write_record};
    use crate::record::Tag;
    use proptest::prelude::*;

    fn encoded(tags: &[Tag]) -> EncodedTags {
        let mut encoded = EncodedTags::default();
        for tag in tags {
            encoded.push(&tag.key, &tag.value);
        }
        encoded
    }

    proptest! {
        #[test]
        fn a_walk_finds_what_was_written(record in records(), layout in layouts(), before in 0usize..4) {
            let mut bytes = vec![0xff; before];
            write_record(&record, layout, &mut bytes);
            let end = bytes.len();
            bytes.extend([0xff; 3]);
            let shape = walk(&bytes, before).unwrap();
            prop_assert_eq!(&shape.span, &(before..end));
            prop_assert_eq!(shape.topic, &record.topic[..]);
            prop_assert_eq!(shape.tags as usize, record.tags.len());
            prop_assert_eq!(shape.datapoints as usize, record.datapoints.len());
            let first = |key: &[u8]| record.tags.iter().find(|tag| tag.key == key).map(|tag| &tag.value[..]);
            prop_assert_eq!(shape.origin.container_id, first(tag_key::CONTAINER_ID));
            prop_assert_eq!(shape.origin.framework_id, first(tag_key::FRAMEWORK_ID));
            prop_assert_eq!(shape.origin.executor_id, first(tag_key::EXECUTOR_ID));
            let present = shape.origin.present;
            prop_assert_eq!(present.contains(AddedTags::AGENT_ID), first(tag_key::AGENT_ID).is_some());
            prop_assert_eq!(present.contains(AddedTags::FRAMEWORK_NAME), first(tag_key::FRAMEWORK_NAME).is_some());
            prop_assert_eq!(present.contains(AddedTags::APPLICATION_NAME), first(tag_key::APPLICATION_NAME).is_some());
        }

        #[test]
        fn a_record_that_is_cut_is_no_record(record in records(), layout in layouts()) {
            let mut bytes = Vec::new();
            write_record(&record, layout, &mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(walk(&bytes[..cut], 0), Err(NoRecord));
            }
        }

        #[test]
        fn a_walk_takes_what_can_be_decoded_and_nothing_else(
            record in records(),
            layout in layouts(),
            at: proptest::sample::Index,
            damage in 0u8..8,
        ) {
            let mut bytes = Vec::new();
            write_record(&record, layout, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] = bytes[at].wrapping_add(damage);
            let mut end = 0;
            let decoded = crate::ocf::decode::decode_record(&bytes, &mut end);
            prop_assert_eq!(walk(&bytes, 0).ok().map(|shape| shape.span.end), decoded.map(|_| end));
        }

        #[test]
        fn a_splice_is_the_reference_transform(record in utf8_records(), layout in layouts(), added in 0usize..4) {
            // The reference: apache-avro reads the record, and the tags are put behind its own.
            let added: Vec<Tag> = (0..added).map(|i| Tag::new(format!("added{i}"), "x".repeat(i * 50))).collect();
            let mut bytes = Vec::new();
            write_record(&record, layout, &mut bytes);
            let mut expected = oracle::read_record(&bytes);
            expected.tags.extend_from_slice(&added);
            let shape = walk(&bytes, 0).unwrap();
            let mut out = b"before".to_vec();
            splice(&bytes, &shape, encoded(&added).all(), &mut out);
            prop_assert_eq!(oracle::read_record(&out[6..]), expected);
        }

        #[test]
        fn replacing_leaves_out_what_is_replaced(record in utf8_records(), layout in layouts(), set in 0usize..8) {
            let replaced = AddedTags::from_index(set);
            let added = [Tag::new("agent_id", "ours"), Tag::new("other", "x")];
            let mut bytes = Vec::new();
            write_record(&record, layout, &mut bytes);
            let mut expected = oracle::read_record(&bytes);
            let forged: Vec<Tag> =
                expected.tags.extract_if(.., |tag| AddedTags::of(&tag.key).intersects(replaced)).collect();
            expected.tags.extend_from_slice(&added);
            let shape = walk(&bytes, 0).unwrap();
            let mut out = b"before".to_vec();
            let contradicted = splice_replacing(&bytes, &shape, replaced, encoded(&added).all(), &mut out);
            prop_assert_eq!(contradicted, forged.iter().any(|tag| !added.contains(tag)));
            prop_assert!(out.len() - 6 <= spliced_bytes_max(&shape, encoded(&added).all()));
            prop_assert_eq!(oracle::read_record(&out[6..]), expected);
            prop_assert_eq!(walk(&out, 6).unwrap().span.end, out.len());
        }

        #[test]
        fn a_splice_keeps_bytes_that_are_no_text(record in records()) {
            let mut bytes = Vec::new();
            write_record(&record, PLAIN, &mut bytes);
            let mut with_tag = record.clone();
            with_tag.tags.push(Tag::new("k", b"\xff".to_vec()));
            let mut expected = Vec::new();
            write_record(&with_tag, PLAIN, &mut expected);
            let mut out = Vec::new();
            splice(&bytes, &walk(&bytes, 0).unwrap(), encoded(&[Tag::new("k", b"\xff".to_vec())]).all(), &mut out);
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(shape) = walk(&bytes, 0) {
                prop_assert!(shape.span.end <= bytes.len());
                let mut out = Vec::new();
                splice(&bytes, &shape, TagItems::default(), &mut out);
                prop_assert_eq!(&out[..], &bytes[shape.span]);
            }
        }
    }

    #[test]
    fn counts_and_lengths_that_make_no_sense_are_no_records() {
        let long = |value| {
            let mut bytes = Vec::new();
            varint::write_long(value, &mut bytes);
            bytes
        };
        let topic = vec![2, b't'];
        let cases: &[(&str, Vec<Vec<u8>>)] = &[
            ("a topic of 400 MB", vec![long(400 << 20), vec![0; 100]]),
            ("a topic of i64::MAX", vec![long(i64::MAX), vec![0; 100]]),
            ("a topic of negative length", vec![long(-1), vec![0; 100]]),
            ("2e9 tags", vec![topic.clone(), long(2_000_000_000), vec![0; 100]]),
            ("i64::MIN tags", vec![topic.clone(), long(i64::MIN), long(1), vec![0; 100]]),
            ("i64::MIN datapoints", vec![topic.clone(), vec![0], long(i64::MIN), long(1), vec![0; 100]]),
            ("2e9 datapoints", vec![topic, vec![0], long(2_000_000_000), vec![0; 100]]),
        ];
        for (what, bytes) in cases {
            assert_eq!(walk(&bytes.concat(), 0), Err(NoRecord), "{what}");
        }
    }

    #[test]
    fn the_size_of_a_block_must_be_that_of_its_items() {
        // Tags and datapoints of one item each, with their sizes.
        let record = |tags: i64, datapoints: i64| {
            let mut bytes = vec![2, b't'];
            varint::write_long(-1, &mut bytes);
            varint::write_long(tags, &mut bytes);
            bytes.extend([2, b'k', 2, b'v', 0]);
            varint::write_long(-1, &mut bytes);
            varint::write_long(datapoints, &mut bytes);
            bytes.extend([&[2, b'n', 14][..], &1f64.to_le_bytes(), &[0]].concat());
            bytes
        };
        let good = record(4, 11);
        assert_eq!(walk(&good, 0).map(|shape| shape.span), Ok(0..good.len()));
        for off in [-1, 1, 1 << 20, i64::MAX - 11, i64::MIN] {
            let wrong_tags = record(4i64.wrapping_add(off), 11);
            assert_eq!(walk(&wrong_tags, 0), Err(NoRecord), "tags, {off} too many");
            let wrong_datapoints = record(4, 11i64.wrapping_add(off));
            assert_eq!(walk(&wrong_datapoints, 0), Err(NoRecord), "datapoints, {off} too many");
        }
        assert_eq!(walk(&record(-4, 11), 0), Err(NoRecord));
        assert_eq!(walk(&record(4, -11), 0), Err(NoRecord));
    }
}
