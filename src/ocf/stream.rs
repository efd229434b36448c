//! Cuts a stream of bytes into headers and blocks. No IO, no memory of its own: the caller keeps the bytes that were
//! not consumed and shows them again with more behind them, cut wherever the socket cut them.
//!
//! # A torn stream
//! The Mesos module interleaves its queued writes when its socket is full: a block's size leads to some place that is
//! no marker, and the pieces of two blocks are mixed. Behind a later marker everything is fine again. So a lost
//! marker does not end the stream. From the first byte that cannot be right we look for the marker, take what stands
//! behind it for a block only if *its* marker is in place too, and report once what was refused. A block that is
//! larger than we read is passed over the same way.
//!
//! # A second header
//! Where a block may begin, an `Obj\x01` begins a new stream: files sent one after the other over one connection. So it
//! does behind a marker that was found again, or the file behind a refused block would be lost with it.
//! (As a block count these bytes would be negative, so no valid stream changes its meaning.)

use memchr::memmem;

use super::codec::Codec;
use super::fault::{BlockFault, StreamFault};
use super::header;
use super::limits::Limits;
use super::resolve::{Plan, PlanCache};
use super::schema::{MAGIC, MARKER_BYTES, Marker};
use super::varint::{LONG_BYTES_MAX, read_long};

/// How far a lost marker is searched for before the stream is given up.
const RESYNC_BYTES_MAX: u64 = 16 << 20;

/// The state of one stream.
#[derive(Debug)]
pub struct Stream {
    state: State,
    /// Bytes since the last good block, while the marker is lost.
    scanned: u64,
}

#[derive(Debug)]
enum State {
    /// A header is next.
    Header,
    /// A block is next.
    Block(Writer),
    /// The marker is lost: the next byte may be anything.
    Lost(Writer),
    /// A marker was found again; what follows is a block if its own marker is in place.
    Suspect(Writer),
    /// The stream is over.
    Over,
}

/// What the header said about the blocks.
#[derive(Clone, Debug)]
struct Writer {
    marker: Marker,
    codec: Codec,
    plan: Plan,
}

/// What the stream does next.
#[derive(Debug)]
pub enum Step<'a> {
    /// Nothing, before there are this many bytes, counted from the first that was shown. At least one more than
    /// there are, and never more than the limits allow.
    Need(usize),
    /// Something, of this many bytes; go on behind them.
    Take(usize, Event<'a>),
}

/// One piece of a stream.
#[derive(Debug)]
pub enum Event<'a> {
    /// A header.
    Header,
    /// A block whose marker is in place.
    Block(Block<'a>),
    /// The beginning of something that is no good block.
    Refused(BlockFault),
    /// Bytes passed over on the search for the marker.
    Skipped,
}

/// A block as it was sent.
#[derive(Debug)]
pub struct Block<'a> {
    /// Records in it, as it says.
    pub records: u64,
    /// Its bytes, under `codec`.
    pub bytes: &'a [u8],
    /// How they are compressed.
    pub codec: Codec,
    /// How its records are read.
    pub plan: Plan,
}

/// The beginning of a block.
enum Head {
    Need(usize),
    Bad(BlockFault),
    Good { records: u64, start: usize, end: usize },
}

impl Default for Stream {
    fn default() -> Stream {
        Stream { state: State::Header, scanned: 0 }
    }
}

impl Stream {
    /// Looks at `bytes`, the first of which follows the last one taken.
    ///
    /// # Errors
    /// [`StreamFault`]: the stream is over, and its connection with it.
    pub fn step<'a>(
        &mut self,
        bytes: &'a [u8],
        limits: &Limits,
        plans: &PlanCache,
    ) -> Result<Step<'a>, StreamFault> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Header => self.header(bytes, limits, plans),
            State::Block(writer) => Ok(self.block(writer, bytes, limits)),
            State::Lost(writer) => self.search(writer, bytes),
            State::Suspect(writer) => self.suspect(writer, bytes, limits),
            State::Over => Ok(Step::Need(usize::MAX)),
        }
    }

    /// The rest of a block is not going to come: what is there of it is not waited for any longer. Good blocks may be
    /// found in it all the same, where a torn stream made us believe in a size. Says whether a block was being waited for.
    pub fn give_up_block(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Block(writer) | State::Suspect(writer) => {
                self.state = State::Lost(writer);
                true
            }
            other => {
                self.state = other;
                false
            }
        }
    }

    /// Whether it is unknown how many bytes make the next piece: a header is incomplete, the marker is lost, or what
    /// stands behind one that was found again may be no block. The more is shown at once, the better.
    #[must_use]
    pub fn is_open_ended(&self) -> bool {
        matches!(self.state, State::Header | State::Lost(_) | State::Suspect(_))
    }

    /// Whether a block is next, or the header of a second file.
    #[must_use]
    pub fn in_block(&self) -> bool {
        matches!(self.state, State::Block(_))
    }

    /// Whether the marker is lost: nothing whole is waited for, and what is there has been searched.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost(_))
    }

    /// Whether the marker was found again and what stands behind it is taken for the beginning of a block, on trial.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        matches!(self.state, State::Suspect(_))
    }

    /// Whether the header has been read.
    #[must_use]
    pub fn has_header(&self) -> bool {
        !matches!(self.state, State::Header)
    }

    fn header<'a>(
        &mut self,
        bytes: &'a [u8],
        limits: &Limits,
        plans: &PlanCache,
    ) -> Result<Step<'a>, StreamFault> {
        let Some(header) = header::read(bytes, limits)? else {
            self.state = State::Header;
            return Ok(Step::Need(bytes.len() + 1));
        };
        let codec = match header.codec {
            None => Codec::Null,
            Some(name) => Codec::from_name(name)
                .ok_or_else(|| StreamFault::UnknownCodec(name.escape_ascii().to_string()))?,
        };
        let plan = plans.get(header.schema).map_err(StreamFault::Schema)?;
        self.state = State::Block(Writer { marker: header.marker, codec, plan });
        Ok(Step::Take(header.len, Event::Header))
    }

    fn block<'a>(&mut self, writer: Writer, bytes: &'a [u8], limits: &Limits) -> Step<'a> {
        match is_header(bytes) {
            None => {
                self.state = State::Block(writer);
                return Step::Need(bytes.len() + 1);
            }
            Some(true) => return self.next_file(),
            Some(false) => {}
        }
        let refused = match head(bytes, limits) {
            Head::Need(bytes) => {
                self.state = State::Block(writer);
                return Step::Need(bytes);
            }
            Head::Bad(fault) => fault,
            Head::Good { records, start, end } => match bytes.get(end..end + MARKER_BYTES) {
                None => {
                    self.state = State::Block(writer);
                    return Step::Need(end + MARKER_BYTES);
                }
                Some(marker) if marker == writer.marker => {
                    return self.good(writer, records, &bytes[start..end], end + MARKER_BYTES);
                }
                Some(_) => BlockFault::MarkerLost,
            },
        };
        self.state = State::Lost(writer);
        self.scanned = 0;
        Step::Take(0, Event::Refused(refused))
    }

    fn next_file<'a>(&mut self) -> Step<'a> {
        self.state = State::Header;
        self.scanned = 0;
        Step::Take(0, Event::Skipped)
    }

    fn good<'a>(&mut self, writer: Writer, records: u64, bytes: &'a [u8], taken: usize) -> Step<'a> {
        self.scanned = 0;
        let Writer { codec, ref plan, .. } = writer;
        let block = Block { records, bytes, codec, plan: plan.clone() };
        self.state = State::Block(writer);
        Step::Take(taken, Event::Block(block))
    }

    /// Looks for the marker from the first byte on.
    fn search<'a>(&mut self, writer: Writer, bytes: &[u8]) -> Result<Step<'a>, StreamFault> {
        let (taken, found) = match memmem::find(bytes, &writer.marker) {
            Some(at) => (at + MARKER_BYTES, true),
            // The last bytes may be the beginning of it.
            None => (bytes.len().saturating_sub(MARKER_BYTES - 1), false),
        };
        self.scanned += taken as u64;
        if self.scanned > RESYNC_BYTES_MAX {
            return Err(StreamFault::MarkerNotFound { scanned: self.scanned });
        }
        self.state = if found { State::Suspect(writer) } else { State::Lost(writer) };
        if taken == 0 {
            return Ok(Step::Need(MARKER_BYTES.max(bytes.len() + 1)));
        }
        Ok(Step::Take(taken, Event::Skipped))
    }

    /// Takes a block or another file behind a marker that was found again, or goes on searching.
    fn suspect<'a>(
        &mut self,
        writer: Writer,
        bytes: &'a [u8],
        limits: &Limits,
    ) -> Result<Step<'a>, StreamFault> {
        match is_header(bytes) {
            None => {
                self.state = State::Suspect(writer);
                return Ok(Step::Need(bytes.len() + 1));
            }
            Some(true) => return Ok(self.next_file()),
            Some(false) => {}
        }
        match head(bytes, limits) {
            Head::Need(bytes) => {
                self.state = State::Suspect(writer);
                Ok(Step::Need(bytes))
            }
            Head::Bad(_) => self.search(writer, bytes),
            Head::Good { records, start, end } => match bytes.get(end..end + MARKER_BYTES) {
                None => {
                    self.state = State::Suspect(writer);
                    Ok(Step::Need(end + MARKER_BYTES))
                }
                Some(marker) if marker == writer.marker => {
                    Ok(self.good(writer, records, &bytes[start..end], end + MARKER_BYTES))
                }
                Some(_) => self.search(writer, bytes),
            },
        }
    }
}

/// Whether a header begins here, as far as its first bytes tell; `None`: there are too few of them.
fn is_header(bytes: &[u8]) -> Option<bool> {
    let seen = bytes.len().min(MAGIC.len());
    if bytes[..seen] != MAGIC[..seen] {
        return Some(false);
    }
    (seen == MAGIC.len()).then_some(true)
}

/// Reads a block's count and size.
fn head(bytes: &[u8], limits: &Limits) -> Head {
    let mut at = 0;
    let mut numbers = [0u64; 2];
    for number in &mut numbers {
        *number = match read_long(bytes, &mut at) {
            Ok(Some(value)) => match u64::try_from(value) {
                Ok(value) => value,
                Err(_) => return Head::Bad(BlockFault::BadCount),
            },
            Ok(None) if bytes.len() < 2 * LONG_BYTES_MAX => return Head::Need(bytes.len() + 1),
            Ok(None) | Err(_) => return Head::Bad(BlockFault::BadCount),
        };
    }
    let [records, size] = numbers;
    match usize::try_from(size) {
        Ok(size) if size <= limits.block_bytes => Head::Good { records, start: at, end: at + size },
        _ => Head::Bad(BlockFault::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::testing::{PLAIN, layouts, numbered, pieces, records, write_block, write_header};
    use crate::ocf::varint::{write_bytes, write_long};
    use crate::record::MetricList;
    use proptest::prelude::*;

    const MARKER: Marker = *b"FEFEFEFEFEFEFEFE";

    #[derive(Debug, Default, PartialEq)]
    struct Seen {
        headers: u32,
        blocks: Vec<(u64, Vec<u8>)>,
        refused: Vec<BlockFault>,
        skipped: usize,
        fault: Option<StreamFault>,
        left: usize,
    }

    /// Feeds `bytes` in pieces that end at `cuts`. What is kept between them stays within the limits.
    fn feed(bytes: &[u8], cuts: &[usize], limits: &Limits) -> Seen {
        let plans = PlanCache::new();
        let (mut stream, mut seen, mut kept) = (Stream::default(), Seen::default(), Vec::new());
        let mut from = 0;
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            kept.extend_from_slice(&bytes[from..cut]);
            from = cut;
            let mut at = 0;
            loop {
                match stream.step(&kept[at..], limits, &plans) {
                    Ok(Step::Need(need)) => {
                        assert!(need > kept.len() - at, "needs {need} and has {}", kept.len() - at);
                        let most = if stream.has_header() {
                            2 * LONG_BYTES_MAX + limits.block_bytes + MARKER_BYTES
                        } else {
                            limits.header_bytes + 1
                        };
                        assert!(need <= most, "needs {need} of {most}");
                        break;
                    }
                    Ok(Step::Take(taken, event)) => {
                        match event {
                            Event::Header => seen.headers += 1,
                            Event::Block(block) => seen.blocks.push((block.records, block.bytes.to_vec())),
                            Event::Refused(fault) => seen.refused.push(fault),
                            Event::Skipped => seen.skipped += taken,
                        }
                        at += taken;
                    }
                    Err(fault) => {
                        seen.fault = Some(fault);
                        return seen;
                    }
                }
            }
            kept.drain(..at);
        }
        if !kept.is_empty() && stream.give_up_block() {
            seen.refused.push(BlockFault::Truncated);
            let mut at = 0;
            while let Ok(Step::Take(taken, event)) = stream.step(&kept[at..], limits, &plans) {
                if let Event::Block(block) = event {
                    seen.blocks.push((block.records, block.bytes.to_vec()));
                }
                at += taken;
            }
            kept.drain(..at);
        }
        seen.left = kept.len();
        seen
    }

    fn file(blocks: &[Vec<MetricList>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&MARKER, Some("null"), &mut bytes);
        for records in blocks {
            write_block(records, PLAIN, &MARKER, &mut bytes);
        }
        bytes
    }

    fn body(records: &[MetricList]) -> (u64, Vec<u8>) {
        let mut bytes = Vec::new();
        for record in records {
            crate::ocf::testing::write_record(record, PLAIN, &mut bytes);
        }
        (records.len() as u64, bytes)
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_blocks(
            blocks in proptest::collection::vec(proptest::collection::vec(records(), 0..4), 0..5),
            layout in layouts(),
            marker: [u8; 16],
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
        ) {
            let mut bytes = Vec::new();
            write_header(&marker, None, &mut bytes);
            for records in &blocks {
                write_block(records, layout, &marker, &mut bytes);
            }
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.sort_unstable();
            let limits = Limits::default();
            let whole = feed(&bytes, &[], &limits);
            prop_assert_eq!(whole.blocks.len(), blocks.len());
            prop_assert_eq!((whole.headers, whole.left, &whole.refused), (1, 0, &vec![]));
            prop_assert_eq!(&feed(&bytes, &cuts, &limits), &whole);
            let each: Vec<_> = (1..bytes.len()).collect();
            prop_assert_eq!(&feed(&bytes, &each, &limits), &whole);
        }

        #[test]
        fn any_bytes_do_no_harm(
            with_header in proptest::bool::weighted(0.9),
            pieces in proptest::collection::vec(pieces(MARKER), 0..12),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let mut bytes = if with_header { file(&[]) } else { Vec::new() };
            bytes.extend(pieces.concat());
            // A header fits just so, a block of two records does, and one of three does not.
            let limits = Limits { header_bytes: 601, block_bytes: 60, ..Limits::default() };
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let whole = feed(&bytes, &[], &limits);
            prop_assert_eq!(&feed(&bytes, &cuts, &limits), &whole);
            let each: Vec<_> = (0..bytes.len()).collect();
            prop_assert_eq!(&feed(&bytes, &each, &limits), &whole);
        }

        #[test]
        fn a_torn_block_costs_itself_and_its_neighbour_at_most(at in 0usize..2000, noise in any::<u8>(), n in 1usize..200) {
            let blocks: Vec<_> = (0..20).map(|i| vec![numbered("t", i); 5]).collect();
            let mut bytes = file(&blocks);
            let at = 601 + at % (bytes.len() - 601);
            bytes.splice(at..at, std::iter::repeat_n(noise, n));
            let seen = feed(&bytes, &[], &Limits::default());
            let good: Vec<_> = blocks.iter().map(|block| body(block)).collect();
            let whole = seen.blocks.iter().filter(|block| good.contains(block)).count();
            prop_assert!(whole >= 18, "{whole} of 20 blocks came through, {:?} refused", seen.refused);
            prop_assert_eq!(seen.fault, None);
        }
    }

    #[test]
    fn the_other_blocks_of_a_torn_stream_come_through() {
        // As the module does it: one block's second half stands behind the first half of another.
        let blocks: Vec<_> = (0..6).map(|i| vec![numbered("t", i); 50]).collect();
        let header = file(&[]);
        let pieces: Vec<Vec<u8>> = blocks
            .iter()
            .map(|block| {
                let mut bytes = Vec::new();
                write_block(block, PLAIN, &MARKER, &mut bytes);
                bytes
            })
            .collect();
        let (a, b) = (&pieces[2], &pieces[3]);
        let torn = [&a[..400], &b[..300], &a[400..], &b[300..]].concat();
        let bytes =
            [header, pieces[0].clone(), pieces[1].clone(), torn, pieces[4].clone(), pieces[5].clone()]
                .concat();
        let seen = feed(&bytes, &[], &Limits::default());
        let good = [0, 1, 4, 5].map(|i: usize| body(&blocks[i]));
        assert_eq!(seen.blocks, good);
        assert_eq!(seen.refused, [BlockFault::MarkerLost]);
        assert!(seen.skipped > 0);
    }

    #[test]
    fn a_block_of_no_records_is_nothing_special() {
        let record = numbered("t", 1);
        let bytes = file(&[vec![], vec![record.clone()], vec![]]);
        assert_eq!(feed(&bytes, &[], &Limits::default()).blocks, [body(&[]), body(&[record]), body(&[])]);
    }

    #[test]
    fn a_second_header_begins_a_new_stream() {
        let mut bytes = file(&[vec![numbered("t", 1)]]);
        write_header(&[7; 16], None, &mut bytes);
        write_block(&[numbered("t", 2)], PLAIN, &[7; 16], &mut bytes);
        let seen = feed(&bytes, &[], &Limits::default());
        assert_eq!((seen.headers, seen.refused), (2, vec![]));
        assert_eq!(seen.blocks, [body(&[numbered("t", 1)]), body(&[numbered("t", 2)])]);
    }

    #[test]
    fn a_second_file_behind_a_refused_block_is_read() {
        // With a marker of its own or that of the first file, and a block that is over the limit or torn.
        for marker in [[7; 16], MARKER] {
            for block in [vec![numbered("t", 2); 100], vec![numbered("t", 3)]] {
                let mut bytes = file(&[vec![numbered("t", 1)], block.clone()]);
                if block.len() == 1 {
                    bytes.insert(bytes.len() - MARKER_BYTES, 0);
                }
                write_header(&marker, None, &mut bytes);
                write_block(&[numbered("t", 4)], PLAIN, &marker, &mut bytes);
                let limits = Limits { block_bytes: 200, ..Limits::default() };
                let each: Vec<_> = (1..bytes.len()).collect();
                for cuts in [&[][..], &each] {
                    let seen = feed(&bytes, cuts, &limits);
                    assert_eq!((seen.headers, seen.refused.len(), seen.fault), (2, 1, None));
                    assert_eq!(seen.blocks, [body(&[numbered("t", 1)]), body(&[numbered("t", 4)])]);
                }
            }
        }
    }

    #[test]
    fn a_stream_says_what_it_waits_for() {
        let (limits, plans) = (Limits::default(), PlanCache::new());
        let mut stream = Stream::default();
        let states = |stream: &Stream| {
            [stream.is_open_ended(), stream.in_block(), stream.is_lost(), stream.is_suspect()]
        };
        let show = |stream: &mut Stream, bytes: &[u8]| {
            let mut at = 0;
            while let Step::Take(taken, _) = stream.step(&bytes[at..], &limits, &plans).unwrap() {
                at += taken;
            }
        };
        assert_eq!(states(&stream), [true, false, false, false], "a header");
        show(&mut stream, &file(&[]));
        assert_eq!(states(&stream), [false, true, false, false], "a block");
        show(&mut stream, &[1, 1, 0xff]);
        assert_eq!(states(&stream), [true, false, true, false], "the marker");
        show(&mut stream, &MARKER);
        assert_eq!(states(&stream), [true, false, false, true], "a block, perhaps");
    }

    #[test]
    fn a_block_over_the_limit_is_passed_over() {
        let small = vec![numbered("t", 1)];
        let bytes = file(&[small.clone(), vec![numbered("t", 2); 100], small.clone()]);
        let limits = Limits { block_bytes: 200, ..Limits::default() };
        let seen = feed(&bytes, &[], &limits);
        assert_eq!(seen.blocks, [body(&small), body(&small)]);
        assert_eq!(seen.refused, [BlockFault::TooLarge]);
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused_and_never_waited_for() {
        for (count, size) in [(1, 1 << 40), (1, i64::MAX), (1, -1), (-1, 10), (i64::MIN, 10), (1, i64::MIN)] {
            let mut bytes = file(&[]);
            write_long(count, &mut bytes);
            write_long(size, &mut bytes);
            bytes.extend(MARKER);
            write_block(&[numbered("t", 1)], PLAIN, &MARKER, &mut bytes);
            let seen = feed(&bytes, &[], &Limits::default());
            assert_eq!(seen.blocks, [body(&[numbered("t", 1)])], "count {count} size {size}");
            assert_eq!(seen.refused.len(), 1, "count {count} size {size}");
        }
    }

    #[test]
    fn headers_are_held_against_their_limits() {
        let limits = Limits { header_bytes: 1000, header_entries: 3, ..Limits::default() };
        let header = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = MAGIC.to_vec();
            write(&mut bytes);
            bytes.extend([0; 2000]);
            feed(&bytes, &[], &limits).fault
        };
        assert_eq!(
            header(&|out| write_long(1_000_000_000, out)),
            Some(StreamFault::HeaderEntries { max: 3 })
        );
        assert_eq!(header(&|out| write_long(i64::MIN, out)), Some(StreamFault::HeaderEntries { max: 3 }));
        let value = |out: &mut Vec<u8>, length| {
            write_long(1, out);
            write_bytes(b"avro.schema", out);
            write_long(length, out);
        };
        let too_large = StreamFault::HeaderTooLarge { max: 1000 };
        assert_eq!(header(&|out| value(out, 400 << 20)), Some(too_large.clone()));
        assert_eq!(header(&|out| value(out, 1000)), Some(too_large));
        assert_eq!(header(&|out| value(out, -1)), Some(StreamFault::BadHeader));
        assert_eq!(header(&|out| write_long(0, out)), Some(StreamFault::NoSchema));
        assert_eq!(feed(b"GET / HTTP/1.1\r\n", &[], &limits).fault, Some(StreamFault::NotOcf));
        assert_eq!(feed(b"Obk", &[], &limits).fault, Some(StreamFault::NotOcf));
    }

    #[test]
    fn a_marker_that_never_comes_ends_the_stream() {
        let mut bytes = file(&[]);
        bytes.resize(bytes.len() + RESYNC_BYTES_MAX as usize + 100, 0xff);
        let cuts: Vec<_> = (1..bytes.len()).step_by(1 << 16).collect();
        assert!(matches!(
            feed(&bytes, &cuts, &Limits::default()).fault,
            Some(StreamFault::MarkerNotFound { .. })
        ));
    }
}
