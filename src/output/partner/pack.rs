//! From the feed to the bytes that go out: the filter, and the two forms.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::filter::Filter;
use super::hello::Format;
use super::kept::Past;
use super::ndjson;
use super::receipts::{Kind, RUNS_MAX, Run};
use super::socket::Grant;
use crate::ocf::decode::decode_record;
use crate::ocf::encode::{encode_record, header_with};
use crate::ocf::varint::{length, write_long};
use crate::ocf::{self, METRIC_LIST, Marker};
use crate::record::{Datapoint, MetricList, Seq, Tag};
use crate::spool::{Follower, LossReason, Piece};

/// Record topic in which the collector speaks for itself.
pub const OWN_TOPIC: &str = "collector";

/// Metadata of a stream's header.
pub const INCARNATION_KEY: &str = "metrics-collector.incarnation";
/// As above: number of the first record, see [`crate::spool::Piece`].
pub const FIRST_KEY: &str = "metrics-collector.first";

/// So many bytes of the feed are looked through in one turn, however few of them are wanted.
const SCAN_BYTES: usize = 256 << 10;

/// A record in JSON has at most about so many times as many bytes: as long is the escape of a control character.
const JSON_SHARE: usize = 6;

/// What every stream of this process has in common.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Identifies this run of the process.
    pub incarnation: Arc<str>,
    /// Sync marker.
    pub marker: Marker,
}

/// Packs what one partner wants.
#[derive(Debug)]
pub(super) struct Packer {
    pub(super) filter: Filter,
    format: Format,
    stamp: Stamp,
    /// Where in its piece's bytes the record of this number begins, if the last turn ended before it.
    place: Option<(Seq, usize)>,
    /// What is to be told first.
    pub(super) past: Option<Past>,
    /// Bytes that it takes up at once at most.
    pub(super) grant_max: usize,
    /// Records that are still to be sent, where there is an end to them.
    pub(super) left: Option<u64>,
}

/// What goes out next.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) buffers: VecDeque<Bytes>,
    pub(super) runs: Vec<Run>,
    /// Records of the feed that were lost before these.
    pub(super) lost: u64,
    /// When the first of these was accepted, Unix time in milliseconds; none where there are none of the feed's.
    pub(super) accepted_ms: Option<u64>,
}

/// A block in the making.
#[derive(Default)]
struct Draft {
    parts: Vec<Bytes>,
    /// What is copied, behind the parts.
    copied: Vec<u8>,
    bytes: usize,
    records: u64,
    runs: Vec<Run>,
    lost: u64,
    accepted_ms: Option<u64>,
}

impl Packer {
    pub(super) fn new(filter: Filter, format: Format, stamp: Stamp) -> Packer {
        Packer { filter, format, stamp, place: None, past: None, grant_max: usize::MAX, left: None }
    }

    /// Whether packing is more than passing on what is there.
    pub(super) fn is_costly(&self) -> bool {
        self.format != Format::Ocf || !self.filter.wants_all()
    }

    /// How a stream begins whose first record has the number `first`.
    pub(super) fn head(&self, first: Seq) -> Bytes {
        let mut head = Vec::new();
        if self.format == Format::Ocf {
            let first = first.to_string();
            let metadata = [(INCARNATION_KEY, &*self.stamp.incarnation), (FIRST_KEY, &*first)];
            header_with(METRIC_LIST, &metadata, &self.stamp.marker, &mut head);
        }
        head.into()
    }

    /// Takes what comes next from the feed, about as many bytes as are granted, and packs it. None: there is nothing, or no
    /// room for it.
    pub(super) fn pack(&mut self, follower: &mut Follower, grant: Grant, now_ms: u64) -> Option<Packed> {
        let (grant, large) = (grant.bytes.min(self.grant_max), grant.large);
        let share = if self.format == Format::Ndjson { JSON_SHARE } else { 1 };
        let (grant, large) = (grant / share, large / share);
        let mut draft = Draft::default();
        let mut scanned = 0;
        if let Some(Past { incarnation, lost }) = self.past.take() {
            let reason = if lost.is_some() { LossReason::Shutdown.name() } else { "crash" };
            if lost != Some(0) {
                self.tell_loss(reason, &incarnation, lost, now_ms, &mut draft);
                // Whoever has the place knows of it until it is heard.
                draft.note(Kind::Own(0), 1);
            }
        }
        while draft.bytes < grant && scanned < SCAN_BYTES && self.left_after(&draft) > 0 {
            let read = follower.read();
            let lost = follower.lost();
            if lost > 0 {
                draft.lost += lost;
                let incarnation = self.stamp.incarnation.clone();
                self.tell_loss(LossReason::TooSlow.name(), &incarnation, Some(lost), now_ms, &mut draft);
                draft.note(Kind::Own(lost), 1);
            }
            let Some((piece, skip)) = read else { break };
            let left = piece.records - skip;
            scanned += piece.body.len();
            // Whole pieces go out where they lie; only those that no block has room for are copied record by record.
            if skip == 0
                && self.format == Format::Ocf
                && self.filter.wants_all()
                && piece.body.len() <= grant
                && u64::from(left) <= self.left_after(&draft)
            {
                if draft.bytes + piece.body.len() > grant {
                    break;
                }
                draft.share(piece.body.clone(), left);
                draft.accepted_ms.get_or_insert(piece.accepted_ms);
                follower.take(left.into());
                continue;
            }
            let done = self.walk(&piece, skip, (grant, large), &mut draft);
            follower.take(done.into());
            if done < left {
                break;
            }
        }
        self.left = self.left.map(|_| self.left_after(&draft));
        (!draft.runs.is_empty()).then(|| self.finish(draft))
    }

    /// Records that may still be sent behind what is in `draft`.
    fn left_after(&self, draft: &Draft) -> u64 {
        self.left.map_or(u64::MAX, |left| left.saturating_sub(draft.records))
    }

    /// Packs records of `piece` from the one behind `skip` on, one by one, until the grant is used up; a `large` one may be
    /// more, if it is alone. Says how many it has dealt with.
    fn walk(&mut self, piece: &Piece, skip: u32, (grant, large): (usize, usize), draft: &mut Draft) -> u32 {
        let first = piece.first.after(skip);
        let known = self.place.take().filter(|(seq, _)| *seq == first);
        let mut at = known.map_or_else(|| behind(&piece.body, skip), |(_, at)| at);
        let (mut index, mut part_end, mut bytes_end) = (0, 0, 0);
        for part in &piece.parts {
            (part_end, bytes_end) = (part_end + part.records, bytes_end + part.bytes);
            if part_end <= skip {
                index = part_end;
                continue;
            }
            index = index.max(skip);
            if draft.runs.len() >= RUNS_MAX {
                self.place = Some((piece.first.after(index), at));
                return index - skip;
            }
            let topic = part.topic.name.as_ref().filter(|_| part.topic.is_told_apart());
            if topic.is_some_and(|topic| !self.filter.wants_topic(topic.as_bytes())) {
                draft.note(Kind::NotWanted, u64::from(part_end - index));
                (index, at) = (part_end, bytes_end);
                continue;
            }
            while index < part_end {
                let shape = ocf::walk(&piece.body, at).expect("the feed holds whole records");
                let end = shape.span.end;
                if self.filter.wants(&piece.body, &shape) {
                    let bytes = end - at;
                    let room = match draft.bytes {
                        // What one pass may leave behind is bounded, also where every other record is wanted.
                        _ if draft.runs.len() >= RUNS_MAX || self.left_after(draft) == 0 => 0,
                        0 => grant.max(large),
                        taken => grant.saturating_sub(taken),
                    };
                    if bytes > room {
                        self.place = Some((piece.first.after(index), at));
                        return index - skip;
                    }
                    let before = draft.copied.len();
                    self.write(&piece.body[at..end], &mut draft.copied);
                    draft.bytes += draft.copied.len() - before;
                    draft.records += 1;
                    draft.note(Kind::Sent, 1);
                    draft.accepted_ms.get_or_insert(piece.accepted_ms);
                } else {
                    draft.note(Kind::NotWanted, 1);
                }
                (index, at) = (index + 1, end);
            }
        }
        piece.records - skip
    }

    fn write(&self, record: &[u8], out: &mut Vec<u8>) {
        match self.format {
            Format::Ocf => out.extend_from_slice(record),
            Format::Ndjson => {
                let record = decode_record(record, &mut 0).expect("the feed holds whole records");
                ndjson::write(&record, out);
            }
        }
    }

    /// Tells the partner in a record of ours that it lost others; without a number where nobody knows it.
    fn tell_loss(&self, reason: &str, incarnation: &str, lost: Option<u64>, now_ms: u64, draft: &mut Draft) {
        #[expect(clippy::cast_precision_loss, reason = "values of datapoints are doubles")]
        let datapoint = |lost: u64| Datapoint {
            name: "lost_records".into(),
            time_ms: now_ms.cast_signed(),
            value: lost as f64,
        };
        let record = MetricList {
            topic: OWN_TOPIC.into(),
            tags: vec![Tag::new("reason", reason), Tag::new("incarnation", incarnation)],
            datapoints: lost.map(datapoint).into_iter().collect(),
        };
        let mut bytes = Vec::new();
        encode_record(&record, &mut bytes);
        let before = draft.copied.len();
        self.write(&bytes, &mut draft.copied);
        draft.bytes += draft.copied.len() - before;
        draft.records += 1;
    }

    fn finish(&self, mut draft: Draft) -> Packed {
        draft.end_copied();
        let mut buffers: VecDeque<Bytes> = draft.parts.into();
        if self.format == Format::Ocf && draft.records > 0 {
            let mut head = Vec::new();
            write_long(i64::try_from(draft.records).expect("a block has less"), &mut head);
            write_long(length(draft.bytes), &mut head);
            buffers.push_front(head.into());
            buffers.push_back(Bytes::copy_from_slice(&self.stamp.marker));
        }
        Packed { buffers, runs: draft.runs, lost: draft.lost, accepted_ms: draft.accepted_ms }
    }
}

impl Draft {
    fn note(&mut self, kind: Kind, records: u64) {
        match self.runs.last_mut().filter(|last| last.kind == kind) {
            Some(last) => last.records += records,
            None => self.runs.push(Run { kind, records }),
        }
    }

    /// Appends a whole piece where it lies.
    fn share(&mut self, body: Bytes, records: u32) {
        self.end_copied();
        self.bytes += body.len();
        self.records += u64::from(records);
        self.parts.push(body);
        self.note(Kind::Sent, records.into());
    }

    fn end_copied(&mut self) {
        if !self.copied.is_empty() {
            self.parts.push(std::mem::take(&mut self.copied).into());
        }
    }
}

/// Where the record behind the first `records` begins.
fn behind(body: &[u8], records: u32) -> usize {
    (0..records).fold(0, |at, _| ocf::walk(body, at).expect("the feed holds whole records").span.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::encode::encode_record;
    use crate::spool::{Config, Framing, From, Spool, WhenFull};

    #[test]
    fn pieces_go_out_whole_where_a_block_has_room_for_them() {
        let config = Config { memory_bytes: 32 << 20, when_full: WhenFull::Auto, topics_max: 1 };
        let spool = Spool::in_memory(config, Framing::default());
        let mut follower = spool.follow("p", From::Now);
        let tag = Tag::new("large", "x".repeat(10_000));
        let mut record = Vec::new();
        encode_record(
            &MetricList { topic: b"t".into(), tags: vec![tag], datapoints: Vec::new() },
            &mut record,
        );
        for _ in 0..3 {
            let written: Result<_, ()> = spool.append(0, |append| {
                (0..10).for_each(|_| append.record(b"t", 1, record.len(), |out| out.extend(&record)));
                Ok(())
            });
            assert_eq!(written.unwrap().records, 10);
        }
        let stamp = Stamp { incarnation: "i".into(), marker: [1; 16] };
        let mut packer = Packer::new(Filter::default(), Format::Ocf, stamp);
        let mut next = |bytes| {
            let block = packer.pack(&mut follower, Grant { bytes, large: bytes }, 0).unwrap();
            (block.buffers.len(), block.runs[0].records)
        };
        // What stands before and behind a block are buffers too.
        assert_eq!(next(25 * record.len()), (4, 20), "two pieces, and nothing of the third");
        assert_eq!(next(5 * record.len()), (3, 5), "of one that is too large as much as there is room for");
    }
}
