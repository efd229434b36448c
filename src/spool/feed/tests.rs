//! The feed against a model, and what it costs.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::spool::{Append, Config, Framing, LossReason, Outcome, Spool, Weight, WhenFull};

/// A spool of so many bytes whose frames are full at ten records.
fn spool(memory_bytes: usize) -> Spool {
    let framing =
        Framing { records_max: 10.try_into().unwrap(), bytes_max: 4000, room_before: 0, room_behind: 0 };
    Spool::in_memory(Config { memory_bytes, when_full: WhenFull::Hold, topics_max: 10 }, framing)
}

/// Appends a block of numbered records, `bytes` bytes each, and refuses it if it is not `good`.
fn append(spool: &Spool, topics: &[(u8, u32)], bytes: usize, numbers: &mut u32, good: bool) -> u64 {
    let before = *numbers;
    let written = spool.append(7, |append| {
        for (topic, records) in topics {
            for _ in 0..*records {
                write(append, *topic, bytes, *numbers);
                *numbers += 1;
            }
        }
        if good { Ok(()) } else { Err(()) }
    });
    if written.is_err() {
        *numbers = before;
    }
    written.map_or(0, |appended| appended.records)
}

fn write(append: &mut Append<'_>, topic: u8, bytes: usize, number: u32) {
    append.record(&[topic], 1, bytes, |out| {
        out.extend(number.to_le_bytes());
        out.resize(out.len() + bytes - 4, topic);
    });
}

/// Reads up to `max` records: their numbers, by their topics.
fn read(follower: &mut Follower, bytes: usize, max: usize) -> Vec<(u8, u32)> {
    read_while(follower, bytes, max, || {})
}

/// The same, and has something happen `meanwhile`.
fn read_while(follower: &mut Follower, bytes: usize, max: usize, meanwhile: impl FnOnce()) -> Vec<(u8, u32)> {
    let Some((piece, skip)) = follower.read() else { return Vec::new() };
    meanwhile();
    assert_eq!(piece.parts.iter().map(|part| part.records).sum::<u32>(), piece.records);
    assert_eq!(piece.parts.iter().map(|part| part.bytes).sum::<usize>(), piece.body.len());
    let topics = piece.parts.iter().flat_map(|part| {
        let name = part.topic.name.as_ref().unwrap().as_bytes()[0];
        std::iter::repeat_n(name, part.records as usize)
    });
    let all: Vec<_> = topics
        .zip(piece.body.chunks(bytes))
        .map(|(topic, record)| {
            assert_eq!(record[4..], vec![topic; bytes - 4], "each is in its topic's part");
            (topic, u32::from_le_bytes(record[..4].try_into().unwrap()))
        })
        .skip(skip as usize)
        .take(max)
        .collect();
    follower.take(all.len() as u64);
    all
}

#[derive(Clone, Debug)]
enum Step {
    Append { topics: Vec<(u8, u32)>, good: bool },
    Follow { who: usize, oldest: bool },
    Leave { who: usize },
    Read { who: usize, max: usize, shrinks: bool },
    Finish { who: usize, records: u64, outcome: u8 },
    Rewind { who: usize },
    Untell { who: usize, records: u64 },
    Shrink,
    Limit { bytes: usize },
    Kafka,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let topics = proptest::collection::vec((0u8..3, 1u32..25), 0..4);
    let step = prop_oneof![
        8 => (topics, proptest::bool::weighted(0.8)).prop_map(|(topics, good)| Step::Append { topics, good }),
        2 => (0usize..3, any::<bool>()).prop_map(|(who, oldest)| Step::Follow { who, oldest }),
        1 => (0usize..3).prop_map(|who| Step::Leave { who }),
        8 => (0usize..3, 0usize..40, any::<bool>()).prop_map(|(who, max, shrinks)| Step::Read { who, max, shrinks }),
        4 => (0usize..3, 0u64..40, 0u8..2).prop_map(|(who, records, outcome)| Step::Finish { who, records, outcome }),
        2 => (0usize..3).prop_map(|who| Step::Rewind { who }),
        2 => (0usize..3, 1u64..40).prop_map(|(who, records)| Step::Untell { who, records }),
        2 => Just(Step::Shrink),
        1 => (1usize << 16..1 << 20).prop_map(|bytes| Step::Limit { bytes }),
        1 => Just(Step::Kafka),
    ];
    proptest::collection::vec(step, 0..100)
}

/// In which order records come into the feed: of a block those first that filled a frame, then the rest by topic.
#[derive(Default)]
struct Order {
    /// Records in each topic's frame.
    open: [u32; 3],
    /// The records' own numbers.
    log: Vec<u32>,
}

impl Order {
    fn append(&mut self, topics: &BTreeMap<u8, u32>, first: u32, good: bool) {
        let (mut filled, mut rest, mut number) = (Vec::new(), Vec::new(), first);
        for (topic, records) in topics {
            let open = &mut self.open[usize::from(*topic)];
            let (before, mut fresh, mut has_filled) = (*open, Vec::new(), false);
            for _ in 0..*records {
                if *open == 10 {
                    filled.append(&mut fresh);
                    (*open, has_filled) = (0, true);
                }
                fresh.push(number);
                *open += 1;
                number += 1;
            }
            if !good {
                *open = if has_filled { 0 } else { before };
            }
            rest.append(&mut fresh);
        }
        if good {
            self.log.append(&mut filled);
            self.log.append(&mut rest);
        }
    }
}

/// Whether the bytes that wait for each follower are those of the pieces that it may have to read.
fn assert_waiting_bytes(spool: &Spool) {
    let state = spool.shared.lock();
    let Some(feed) = &state.feed else { return };
    let log = feed.lock();
    for (_, cursor) in &log.cursors {
        let at = cursor.needs();
        let closed: usize =
            log.pieces.iter().filter(|piece| piece.end() > at).map(|piece| piece.body.len()).sum();
        let growing = if at < log.next { log.growing.buffer.len() } else { 0 };
        assert_eq!(log.bytes_from(at), closed + growing);
    }
}

/// A follower as it should be: what it has in its hands, oldest first, and what is to come.
struct Model {
    follower: Follower,
    hands: VecDeque<usize>,
    /// Where it is if nothing is lost.
    next: usize,
    lost: u64,
    /// Records that it is to be told of once more.
    untold: u64,
}

impl Model {
    /// Has it say what it lost. Gives what it had not said before.
    fn hear_lost(&mut self) -> u64 {
        let said = self.follower.lost();
        let lost = said.checked_sub(self.untold).expect("what was given back is said again");
        self.untold = 0;
        self.lost += lost;
        lost
    }
}

proptest! {
    /// Everybody who follows reads what was accepted since, in order, in its topic, once, or again what was put back; what
    /// is not there any more is counted as lost and as nothing else; and the books of all balance after every step, also
    /// those of followers that have gone.
    #[test]
    fn a_model_and_the_feed_agree(steps in steps(), memory in prop_oneof![Just(64usize << 10), Just(1 << 20)]) {
        const BYTES: usize = 90;
        let spool = spool(memory);
        let mut kafka = spool.reader("kafka", true);
        let mut models: [Option<Model>; 3] = [None, None, None];
        let (mut numbers, mut order) = (0, Order::default());
        let too_slow = || {
            let books = spool.ledger().outputs.get("partner").cloned().unwrap_or_default();
            books.lost.get(&LossReason::TooSlow).copied().unwrap_or(0)
        };
        let mut counted = 0;
        for step in steps {
            match step {
                Step::Append { topics, good } => {
                    let topics: BTreeMap<u8, u32> = topics.into_iter().collect();
                    order.append(&topics, numbers, good);
                    append(&spool, &topics.into_iter().collect::<Vec<_>>(), BYTES, &mut numbers, good);
                }
                Step::Follow { who, oldest } => {
                    let from = if oldest { From::Oldest } else { From::Now };
                    let follower = spool.follow("partner", from);
                    let next = usize::try_from(follower.next().0).unwrap();
                    prop_assert!(next <= order.log.len() && (oldest || next == order.log.len()));
                    models[who] = Some(Model { follower, hands: VecDeque::new(), next, lost: 0, untold: 0 });
                }
                Step::Leave { who } => models[who] = None,
                Step::Read { who, max, shrinks } => {
                    let Some(model) = &mut models[who] else { continue };
                    let got = read_while(&mut model.follower, BYTES, max, || {
                        while shrinks && spool.shared.lock().shrink_feed() {}
                        counted = too_slow();
                    });
                    let lost = model.hear_lost();
                    model.next += lost as usize;
                    if got.is_empty() && max > 0 {
                        prop_assert_eq!(model.next, order.log.len(), "it has read all");
                    }
                    for (_, number) in got {
                        prop_assert_eq!(number, order.log[model.next]);
                        model.hands.push_back(model.next);
                        model.next += 1;
                    }
                }
                Step::Finish { who, records, outcome } => {
                    let Some(model) = &mut models[who] else { continue };
                    let records = records.min(model.hands.len() as u64);
                    model.hands.drain(..records as usize);
                    let outcome = if outcome == 0 { Outcome::Delivered } else { Outcome::NotWanted };
                    model.follower.finish(records, outcome);
                }
                Step::Rewind { who } => {
                    let Some(model) = &mut models[who] else { continue };
                    model.follower.rewind();
                    let lost = model.hear_lost();
                    // What is lost is the oldest in its hands, and then what it had not read.
                    let of_hands = model.hands.len().min(lost as usize);
                    model.hands.drain(..of_hands);
                    model.next = model.hands.front().map_or(model.next + lost as usize - of_hands, |first| *first);
                    model.hands.clear();
                    prop_assert_eq!(model.next as u64, model.follower.next().0);
                }
                Step::Untell { who, records } => {
                    let Some(model) = &mut models[who] else { continue };
                    let records = records.min(model.lost - model.untold);
                    model.follower.untell(records);
                    model.untold += records;
                }
                Step::Shrink => _ = spool.shared.lock().shrink_feed(),
                Step::Limit { bytes } => {
                    let before = spool.snapshot().bytes;
                    spool.set(Config { memory_bytes: bytes, ..spool.config() });
                    prop_assert_eq!(spool.snapshot().bytes, before, "a limit drops nothing");
                }
                Step::Kafka => {
                    while let Some(shown) = kafka.show() {
                        kafka.take([&shown]).1.finish(Outcome::Delivered);
                    }
                }
            }
            assert_waiting_bytes(&spool);
            let ledger = spool.ledger();
            for (row, books) in &ledger.outputs {
                prop_assert_eq!(books.imbalance(), 0, "{} {:?}", row, books);
            }
            prop_assert_eq!(ledger.outputs["kafka"].accepted, u64::from(numbers));
            let lost: u64 = models.iter().flatten().map(|model| model.lost).sum();
            let told = counted;
            counted = too_slow();
            prop_assert!(counted >= lost && counted >= told, "{counted} after {told}");
            let is_fed = models.iter().any(Option::is_some);
            prop_assert_eq!(spool.shared.lock().feed.is_some(), is_fed, "no longer than somebody follows");
        }
    }
}

#[test]
fn records_come_before_their_frame_is_full() {
    let spool = spool(1 << 20);
    let mut kafka = spool.reader("kafka", true);
    let mut follower = spool.follow("partner", From::Now);
    append(&spool, &[(b'a', 3)], 10, &mut 0, true);
    assert!(kafka.show().is_none());
    assert_eq!(read(&mut follower, 10, 9), [(b'a', 0), (b'a', 1), (b'a', 2)]);
}

#[test]
fn kafka_has_its_frames_alone() {
    let spool = spool(1 << 20);
    let mut kafka = spool.reader("kafka", true);
    let mut follower = spool.follow("partner", From::Now);
    append(&spool, &[(b'a', 3)], 10, &mut 0, true);
    let (_piece, _) = follower.read().unwrap();
    kafka.close(0);
    let shown = kafka.show().unwrap();
    let (mut frames, ticket) = kafka.take([&shown]);
    assert!(Arc::try_unwrap(frames.remove(0)).is_ok(), "it can become a message where it lies");
    ticket.finish(Outcome::Delivered);
}

#[test]
fn all_followers_share_the_bytes() {
    let spool = spool(1 << 20);
    let mut followers: Vec<_> = (0..200).map(|_| spool.follow("partner", From::Now)).collect();
    append(&spool, &[(b'a', 100)], 1000, &mut 0, true);
    let pieces: Vec<_> = followers.iter_mut().map(|follower| follower.read().unwrap().0).collect();
    assert!(pieces.iter().all(|piece| Arc::ptr_eq(piece, &pieces[0])));
    assert!(spool.snapshot().bytes < 2 * 100 * 1000);
}

#[test]
fn a_slow_follower_costs_its_own_records_and_a_bounded_memory() {
    const MEMORY: usize = 1 << 20;
    let spool = spool(MEMORY);
    let mut kafka = spool.reader("kafka", true);
    let (mut slow, mut fast) = (spool.follow("slow", From::Now), spool.follow("fast", From::Now));
    let mut numbers = 0;
    for round in 0..1000 {
        append(&spool, &[(b'a', 10)], 1000, &mut numbers, true);
        while let Some(shown) = kafka.show() {
            kafka.take([&shown]).1.finish(Outcome::Delivered);
        }
        assert_eq!(read(&mut fast, 1000, 10).len(), 10, "{round}");
        fast.finish(10, Outcome::Delivered);
        let fed = spool.shared.lock().feed.as_ref().unwrap().bytes();
        assert!(fed <= MEMORY / HELD_SHARE + PIECE_BYTES, "{fed}");
    }
    let first = read(&mut slow, 1000, 1)[0].1;
    assert!(first > 9700, "it had a quarter of the memory: {first}");
    assert_eq!((slow.lost(), slow.lost()), (first.into(), 0), "told once");
    let ledger = spool.ledger();
    assert_eq!(ledger.outputs["slow"].lost[&LossReason::TooSlow], u64::from(first));
    for row in ["kafka", "fast"] {
        let books = &ledger.outputs[row];
        assert_eq!((books.delivered + books.waiting, books.imbalance()), (10_000, 0), "{row}");
    }
}

#[test]
fn a_loss_that_nobody_heard_of_is_said_again() {
    const MEMORY: usize = 1 << 20;
    let spool = spool(MEMORY);
    let mut follower = spool.follow("p", From::Now);
    let mut numbers = 0;
    let mut push_out = || {
        for _ in 0..200 {
            append(&spool, &[(b'a', 10)], 1000, &mut numbers, true);
        }
    };
    push_out();
    assert!(read(&mut follower, 1000, 5).len() == 5);
    let lost = follower.lost();
    assert!(lost > 0);
    follower.untell(lost);
    assert_eq!((follower.lost(), follower.lost()), (lost, 0));
    // Of two notices one was heard; then the connection ends, and its place loses more before the next one comes.
    follower.untell(lost - 1);
    follower.rewind();
    push_out();
    follower.rewind();
    let next = follower.next().0;
    assert_eq!(follower.lost(), next - 1, "all that went but the one");
    let books = spool.ledger().outputs["p"].clone();
    assert_eq!((books.lost[&LossReason::TooSlow], books.waiting, books.imbalance()), (next, 4000 - next, 0));
    assert_eq!(read(&mut follower, 1000, 1), [(b'a', u32::try_from(next).unwrap())]);
}

#[test]
fn what_goes_while_it_is_read_is_counted_once_and_as_what_it_becomes() {
    let spool = spool(1 << 20);
    let mut follower = spool.follow("p", From::Now);
    let mut numbers = 0;
    let mut lost = |taken: u64| {
        append(&spool, &[(b'a', 10)], 1000, &mut numbers, true);
        let (piece, skip) = follower.read().unwrap();
        assert_eq!((piece.records, skip), (10, 0));
        append(&spool, &[(b'a', 10)], 1000, &mut numbers, true);
        spool.set(Config { memory_bytes: 1 << 16, ..spool.config() });
        while spool.shared.lock().shrink_feed() {}
        let lost = || {
            let books = spool.ledger().outputs["p"].clone();
            assert_eq!(books.imbalance(), 0);
            books.lost.get(&LossReason::TooSlow).copied().unwrap_or(0)
        };
        let before = lost();
        follower.take(taken);
        let between = lost();
        follower.finish(taken, Outcome::Delivered);
        while !read(&mut follower, 1000, 10).is_empty() {}
        (before, between, lost())
    };
    assert_eq!(lost(10), (0, 0, 0));
    assert_eq!(lost(4), (0, 6, 6), "what it leaves is lost");
    assert_eq!(lost(0), (6, 16, 16));
}

#[tokio::test]
async fn a_full_spool_takes_from_the_feed_first_and_never_waits_for_it() {
    const MEMORY: usize = 1 << 20;
    let spool = spool(MEMORY);
    let mut kafka = spool.reader("kafka", true);
    let _stuck = spool.follow("partner", From::Now);
    let mut numbers = 0;
    // Kafka takes nothing until the spool would be full twice over, were it not for the feed, of which the newest piece
    // stays.
    let in_frames = || {
        let state = spool.shared.lock();
        state.open.cost() + state.tail.bytes()
    };
    while in_frames() < MEMORY / 100 * 93 {
        assert!(spool.has_room(Weight::Light));
        append(&spool, &[(b'a', 10)], 1000, &mut numbers, true);
    }
    assert!(spool.has_room(Weight::Light));
    assert!(kafka.fullness() < 0.95, "what gives way is no reason to hurry");
    let ledger = spool.ledger();
    assert!(ledger.outputs["kafka"].lost.is_empty());
    assert!(ledger.outputs["partner"].lost[&LossReason::TooSlow] > 0);
    assert!(!spool.snapshot().drops, "a slow partner is no reason to call the spool not ready");
    assert_eq!(ledger.outputs["kafka"].waiting, u64::from(numbers));
    while let Some(shown) = kafka.show() {
        kafka.take([&shown]).1.finish(Outcome::Delivered);
    }
}

#[test]
fn a_heavy_source_does_not_wait_for_the_feed() {
    const MEMORY: usize = 1 << 20;
    let spool = spool(MEMORY);
    let mut kafka = spool.reader("kafka", true);
    let _stuck = spool.follow("partner", From::Now);
    let mut numbers = 0;
    // Frames alone would leave a heavy source its room; with a full feed beside them there would be none.
    for _ in 0..60 {
        append(&spool, &[(b'a', 10)], 1000, &mut numbers, true);
    }
    assert!(spool.snapshot().bytes > MEMORY / 4 * 3);
    assert!(spool.has_room(Weight::Heavy));
    while let Some(shown) = kafka.show() {
        kafka.take([&shown]).1.finish(Outcome::Delivered);
    }
}

#[test]
fn what_everybody_has_is_let_go_but_for_a_rest() {
    const MEMORY: usize = 32 << 20;
    let spool = spool(MEMORY);
    let mut follower = spool.follow("partner", From::Now);
    let mut numbers = 0;
    for _ in 0..1000 {
        append(&spool, &[(b'a', 10)], 1000, &mut numbers, true);
        read(&mut follower, 1000, 10);
        follower.finish(10, Outcome::Delivered);
    }
    let bytes = spool.snapshot().bytes;
    assert!(
        (MEMORY / REST_SHARE - PIECE_BYTES..MEMORY / REST_SHARE + PIECE_BYTES).contains(&bytes),
        "{bytes}"
    );
    let oldest = spool.follow("partner", From::Oldest);
    assert!((8000..9000).contains(&oldest.next().0), "{}", oldest.next());
    drop((follower, oldest));
    assert_eq!(spool.snapshot().bytes, 0, "nobody follows");
}

#[test]
fn books_of_those_who_have_gone_stay_in_their_row_unless_forgotten() {
    let spool = spool(1 << 20);
    let mut numbers = 0;
    for row in ["stays", "goes"] {
        drop(spool.follow(row, From::Now));
        let mut follower = spool.follow(row, From::Now);
        append(&spool, &[(b'a', 5)], 10, &mut numbers, true);
        read(&mut follower, 10, 2);
        follower.finish(2, Outcome::Delivered);
        if row == "goes" { follower.forget() } else { drop(follower) }
    }
    let ledger = spool.ledger();
    let books = &ledger.outputs["stays"];
    assert_eq!((books.accepted, books.delivered, books.not_wanted, books.waiting), (5, 2, 3, 0));
    assert!(!ledger.outputs.contains_key("goes"));
}

#[tokio::test]
async fn news_comes_once_for_what_came_together_and_at_the_end() {
    let spool = spool(1 << 20);
    let mut news = spool.news();
    let is_told =
        async |news: &mut News| tokio::time::timeout(std::time::Duration::ZERO, news.wait()).await.is_ok();
    append(&spool, &[(b'a', 1)], 10, &mut 0, true);
    assert!(!is_told(&mut news).await, "nobody follows");
    let follower = spool.follow("partner", From::Now);
    append(&spool, &[(b'a', 1)], 10, &mut 0, true);
    append(&spool, &[(b'a', 1)], 10, &mut 0, true);
    assert!(is_told(&mut news).await);
    assert!(!is_told(&mut news).await);
    append(&spool, &[(b'a', 1)], 10, &mut 0, false);
    assert!(!is_told(&mut news).await, "a bad block is no news");
    spool.close();
    assert!(is_told(&mut news).await && follower.is_closed());
}

#[test]
fn a_lower_limit_takes_nothing_from_who_follows_until_more_comes() {
    let spool = spool(1 << 20);
    let mut follower = spool.follow("f", From::Now);
    let mut numbers = 0;
    for _ in 0..10 {
        append(&spool, &[(b'a', 10)], 8000, &mut numbers, true);
    }
    let config = spool.config();
    spool.set(Config { memory_bytes: 100_000, ..config });
    assert_eq!(follower.lost(), 0);
    for _ in 0..3 {
        // Each makes room for as much as it brings.
        append(&spool, &[(b'a', 10)], 8000, &mut numbers, true);
    }
    let mut read_so_far = 0;
    loop {
        let read = read(&mut follower, 8000, 1000).len();
        if read == 0 {
            break;
        }
        read_so_far += read as u64;
    }
    let lost = follower.lost();
    assert!((1..60).contains(&lost), "{lost} lost");
    assert_eq!(lost + read_so_far, 130);
}

#[test]
fn newcomers_over_a_lower_limit_take_the_place_of_as_much() {
    let spool = spool(1 << 20);
    let (mut slow, mut fast) = (spool.follow("slow", From::Now), spool.follow("fast", From::Now));
    let mut numbers = 0;
    (0..50).for_each(|_| _ = append(&spool, &[(b'a', 1)], 10_000, &mut numbers, true));
    let mut keep_up = || {
        while let Some((piece, skip)) = fast.read() {
            let records = u64::from(piece.records - skip);
            fast.take(records);
            fast.finish(records, Outcome::Delivered);
        }
    };
    keep_up();
    let config = spool.config();
    spool.set(Config { memory_bytes: 100_000, ..config });
    for _ in 0..100 {
        // A piece of its own each, far smaller than those that are there.
        append(&spool, &[(b'a', 1)], 100, &mut numbers, true);
        keep_up();
    }
    assert!(slow.read().is_some());
    let lost = slow.lost();
    assert!((1..=14).contains(&lost), "{lost} of 50 for as much as 3");
}

#[test]
fn a_spool_over_a_lower_limit_takes_from_the_feed_as_much_as_comes() {
    for weight in [Weight::Light, Weight::Heavy] {
        let spool = spool(1 << 20);
        let mut kafka = spool.reader("kafka", true);
        let mut stuck = spool.follow("partner", From::Now);
        let mut numbers = 0;
        for _ in 0..25 {
            append(&spool, &[(b'a', 10)], 1000, &mut numbers, true);
            while let Some(shown) = kafka.show() {
                kafka.take([&shown]).1.finish(Outcome::Delivered);
            }
        }
        spool.set(Config { memory_bytes: 128 << 10, ..spool.config() });
        for _ in 0..10 {
            assert!(spool.has_room(weight), "it waits for nobody who follows");
            append(&spool, &[(b'a', 1)], 100, &mut numbers, true);
        }
        assert!(stuck.read().is_some());
        let lost = stuck.lost();
        assert!((1..100).contains(&lost), "{lost} of 250, {weight:?}");
        while let Some(shown) = kafka.show() {
            kafka.take([&shown]).1.finish(Outcome::Delivered);
        }
    }
}

#[test]
fn the_oldest_that_waits_for_a_follower_is_known() {
    let spool = spool(1 << 20);
    let oldest = || spool.ledger().outputs["p"].oldest_ms;
    let mut follower = spool.follow("p", From::Now);
    assert_eq!(oldest(), None);
    let append = |now_ms: u64| {
        let written: Result<_, ()> = spool.append(now_ms, |append| {
            write(append, 1, 8, 0);
            Ok(())
        });
        _ = written.unwrap();
    };
    append(100);
    assert_eq!(oldest(), Some(100), "it grows");
    assert_eq!(read(&mut follower, 8, 1).len(), 1);
    append(200);
    assert_eq!(oldest(), Some(100), "it is in its hands");
    follower.finish(1, Outcome::Delivered);
    assert_eq!(oldest(), Some(200));
    assert_eq!(read(&mut follower, 8, 1).len(), 1);
    append(300);
    follower.rewind();
    assert_eq!(oldest(), Some(200), "it reads it again");
    assert_eq!(read(&mut follower, 8, 9).len() + read(&mut follower, 8, 9).len(), 2);
    follower.finish(2, Outcome::NotWanted);
    assert_eq!(oldest(), None);
}
