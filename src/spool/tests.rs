//! The spool against a model, and what it does when it is full.

use std::time::Duration;

use proptest::prelude::*;

use super::frame::FRAME_OVERHEAD;
use super::*;
use crate::record::Seq;

/// A spool whose frames are full at ten records or at 1,000 bytes.
fn spool(memory_bytes: usize, when_full: WhenFull) -> Spool {
    let framing =
        Framing { records_max: 10.try_into().unwrap(), bytes_max: 1000, room_before: 0, room_behind: 0 };
    Spool::in_memory(Config { memory_bytes, when_full, topics_max: 10 }, framing)
}

/// Appends a block of records of so many bytes each.
fn append(spool: &Spool, topic: &str, records: u32, bytes: usize) {
    let appended: Result<_, ()> = spool.append(7, |append| {
        write(append, topic, records, bytes);
        Ok(())
    });
    assert_eq!(appended.unwrap(), Appended { records: records.into(), datapoints: 2 * u64::from(records) });
}

fn write(append: &mut Append<'_>, topic: &str, records: u32, bytes: usize) {
    for _ in 0..records {
        append.record(topic.as_bytes(), 2, bytes, |out| out.resize(out.len() + bytes, topic.as_bytes()[0]));
    }
}

fn books(spool: &Spool, output: &str) -> OutputLedger {
    let books = spool.ledger().outputs[output].clone();
    assert_eq!(books.imbalance(), 0, "{books:?}");
    books
}

/// Whether a source is let in now.
async fn is_admitted(spool: &Spool) -> bool {
    tokio::time::timeout(Duration::ZERO, spool.admit(Weight::Light)).await.is_ok()
}

#[derive(Clone, Debug)]
enum Step {
    /// A block: records by topic, and whether it is good.
    Append {
        topics: Vec<(u8, u32)>,
        good: bool,
    },
    Show {
        output: usize,
    },
    Close {
        output: usize,
        topic: u32,
    },
    Take {
        output: usize,
        nth: usize,
    },
    GiveBack {
        output: usize,
    },
    Finish {
        output: usize,
        outcome: u8,
    },
    Drop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let topics = proptest::collection::vec((0u8..3, 1u32..25), 0..4);
    let step = prop_oneof![
        6 => (topics, proptest::bool::weighted(0.8)).prop_map(|(topics, good)| Step::Append { topics, good }),
        4 => (0usize..2).prop_map(|output| Step::Show { output }),
        2 => (0usize..2, 0u32..3).prop_map(|(output, topic)| Step::Close { output, topic }),
        4 => (0usize..2, 0usize..4).prop_map(|(output, nth)| Step::Take { output, nth }),
        1 => (0usize..2).prop_map(|output| Step::GiveBack { output }),
        3 => (0usize..2, 0u8..4).prop_map(|(output, outcome)| Step::Finish { output, outcome }),
        1 => Just(Step::Drop),
    ];
    proptest::collection::vec(step, 0..80)
}

/// One output as it should be.
#[derive(Default)]
struct Model {
    shown: Vec<FrameRef>,
    /// Numbers of frames that it cannot have any more.
    gone: Vec<Seq>,
    taken: Vec<(Vec<Arc<Frame>>, Ticket)>,
    /// Frames opened, less those shown or gone that were.
    open: i64,
    finished: [u64; 4],
    /// The number after that of the last record that it was shown.
    next_seq: Seq,
}

impl Model {
    fn hear(&mut self, reader: &mut Reader) {
        self.open += i64::try_from(reader.opened().len()).unwrap();
        for gone in reader.gone() {
            self.open -= i64::from(gone.was_opened && !self.shown.iter().any(|shown| shown.seq == gone.seq));
            self.gone.push(gone.seq);
        }
    }
}

/// A frame as whoever took it gives it back.
fn returned(frame: &Frame) -> Returned {
    Returned {
        topic: frame.topic.clone(),
        seq: frame.seq,
        first: frame.first,
        records: frame.records,
        accepted_ms: frame.accepted_ms,
        buffer: frame.body().to_vec(),
        start: 0,
    }
}

proptest! {
    /// What was accepted and not dropped is shown once each, in order and with numbers without gaps; what is taken is what
    /// was appended to its topic; frames are as large as they may be; and the books balance after every step.
    #[test]
    fn a_model_and_the_spool_agree(steps in steps()) {
        let spool = spool(1 << 20, WhenFull::DropOldest);
        let mut readers = [spool.reader("a", true), spool.reader("b", false)];
        let mut models = [Model::default(), Model::default()];
        let (mut accepted, mut dropped) = (0u64, 0u64);
        for step in steps {
            match step {
                Step::Append { topics, good } => {
                    let written = spool.append(7, |append| {
                        for (topic, records) in &topics {
                            write(append, &topic.to_string(), *records, 90);
                        }
                        if good { Ok(()) } else { Err(()) }
                    });
                    let records: u32 = topics.iter().map(|(_, records)| records).sum();
                    prop_assert_eq!(written.is_ok(), good);
                    if let Ok(appended) = written {
                        prop_assert_eq!(appended.records, u64::from(records));
                        accepted += appended.records;
                    }
                }
                Step::Close { output, topic } => readers[output].close(topic),
                Step::Show { output } => {
                    let Some(shown) = readers[output].show() else { continue };
                    let model = &mut models[output];
                    prop_assert!(shown.records <= 10 && shown.bytes == 90 * shown.records as usize);
                    prop_assert!(!shown.is_full || shown.records == 10);
                    prop_assert!(shown.seq >= model.next_seq, "in order");
                    model.next_seq = shown.seq.after(shown.records);
                    model.open -= i64::from(shown.was_opened);
                    model.shown.push(shown);
                }
                Step::Take { output, nth } => {
                    let model = &mut models[output];
                    model.hear(&mut readers[output]);
                    if model.shown.is_empty() { continue }
                    let wanted = model.shown.remove(nth % model.shown.len());
                    let (frames, ticket) = readers[output].take([&wanted]);
                    let expected = if model.gone.contains(&wanted.seq) { vec![] } else { vec![wanted.seq] };
                    prop_assert_eq!(frames.iter().map(|frame| frame.seq).collect::<Vec<_>>(), expected);
                    for frame in &frames {
                        let name = frame.topic.name.as_ref().unwrap().as_bytes()[0];
                        prop_assert!(frame.body().iter().all(|byte| *byte == name), "its topic's records");
                        prop_assert_eq!(frame.body().len(), wanted.bytes);
                    }
                    model.taken.push((frames, ticket));
                }
                Step::GiveBack { output } => {
                    let model = &mut models[output];
                    let Some((frames, ticket)) = model.taken.pop() else { continue };
                    let [frame] = &frames[..] else {
                        model.taken.push((frames, ticket));
                        continue;
                    };
                    model.shown.push(readers[output].give_back(ticket, returned(frame)));
                }
                Step::Finish { output, outcome } => {
                    let model = &mut models[output];
                    let Some((frames, mut ticket)) = model.taken.pop() else { continue };
                    if ticket.records() > 1 {
                        model.taken.push((Vec::new(), ticket.split(1, 1)));
                    }
                    model.finished[usize::from(outcome)] += ticket.records();
                    ticket.finish(match outcome {
                        0 => Outcome::Delivered,
                        1 => Outcome::Lost(LossReason::Shutdown),
                        2 => Outcome::SetAside(AsideReason::Refused),
                        _ => Outcome::NotWanted,
                    });
                    drop(frames);
                }
                Step::Drop => {
                    let waiting = spool.ledger().outputs["a"].waiting;
                    _ = spool.shared.lock().drop_oldest(LossReason::SpoolFull);
                    dropped += waiting - spool.ledger().outputs["a"].waiting;
                }
            }
            for (name, model) in ["a", "b"].into_iter().zip(&models) {
                let books = books(&spool, name);
                prop_assert_eq!(books.accepted, accepted);
                prop_assert_eq!(books.delivered, model.finished[0]);
                prop_assert_eq!(books.not_wanted, model.finished[3]);
            }
            prop_assert_eq!(spool.snapshot().accepted, accepted);
        }
        // At the end everything is closed, shown and taken, and nothing is left.
        spool.close();
        for (model, reader) in models.iter_mut().zip(&mut readers) {
            while let Some(shown) = reader.show() {
                model.open -= i64::from(shown.was_opened);
                model.shown.push(shown);
            }
            model.hear(reader);
            prop_assert_eq!(model.open, 0, "each frame that was opened was shown or is gone");
            let (_, ticket) = reader.take(&model.shown);
            ticket.finish(Outcome::Delivered);
            for (_, ticket) in model.taken.drain(..) {
                ticket.finish(Outcome::Delivered);
            }
        }
        prop_assert_eq!(spool.snapshot().bytes, 0);
        let lost = books(&spool, "a").lost.get(&LossReason::SpoolFull).copied().unwrap_or(0);
        prop_assert_eq!(lost, dropped);
        for name in ["a", "b"] {
            prop_assert_eq!(books(&spool, name).waiting, 0);
        }
    }
}

#[test]
fn a_ticket_that_is_dropped_shows_in_the_books() {
    let spool = spool(1 << 20, WhenFull::Auto);
    let mut reader = spool.reader("a", true);
    append(&spool, "t", 3, 10);
    reader.close(0);
    let shown = reader.show().unwrap();
    let (_, ticket) = reader.take([&shown]);
    assert_eq!(books(&spool, "a").waiting, 3);
    drop(ticket);
    assert_eq!(spool.ledger().outputs["a"].imbalance(), 3);
}

#[test]
fn what_two_outputs_need_stays_until_both_have_it() {
    let spool = spool(1 << 20, WhenFull::Auto);
    let mut readers = [spool.reader("a", true), spool.reader("b", false)];
    append(&spool, "t", 1, 10);
    readers[0].close(0);
    for (left, reader) in [1, 0].into_iter().zip(&mut readers) {
        let shown = reader.show().unwrap();
        let (frames, ticket) = reader.take([&shown]);
        assert_eq!(frames.len(), 1);
        ticket.finish(Outcome::Delivered);
        assert_eq!(spool.snapshot().frames, left);
    }
    assert_eq!(spool.snapshot().bytes, 0);
}

#[test]
fn an_output_gets_what_was_accepted_after_it_came() {
    let spool = spool(1 << 20, WhenFull::Auto);
    let mut first = spool.reader("first", true);
    append(&spool, "t", 3, 10);
    let mut second = spool.reader("second", false);
    append(&spool, "t", 4, 10);
    spool.close();
    let records =
        |reader: &mut Reader| std::iter::from_fn(|| reader.show()).map(|shown| shown.records).sum::<u32>();
    assert_eq!((records(&mut first), records(&mut second)), (7, 4));
    assert_eq!((books(&spool, "first").accepted, books(&spool, "second").accepted), (7, 4));
}

#[test]
fn without_outputs_nothing_is_kept() {
    let spool = spool(1 << 20, WhenFull::Hold);
    append(&spool, "t", 25, 100);
    assert_eq!((spool.snapshot().bytes, spool.ledger().accepted), (0, 25));
}

#[test]
fn a_large_frame_has_room_around_its_records_and_its_memory_is_used_again() {
    let framing = Framing {
        records_max: 1000.try_into().unwrap(),
        bytes_max: 100 << 10,
        room_before: 600,
        room_behind: 16,
    };
    let config = Config { memory_bytes: 8 << 20, when_full: WhenFull::Auto, topics_max: 10 };
    let spool = Spool::in_memory(config, framing);
    let mut reader = spool.reader("a", true);
    let mut address = None;
    for (round, expected) in [0, 600, 600].into_iter().enumerate() {
        append(&spool, "t", 100, 1000);
        reader.close(0);
        let shown = reader.show().unwrap();
        let (mut frames, ticket) = reader.take([&shown]);
        let frame = Arc::try_unwrap(frames.remove(0)).expect("nobody else needs it");
        let (buffer, start) = frame.into_buffer();
        assert_eq!((start, buffer.len()), (expected, expected + 100_000), "round {round}");
        assert!(buffer.capacity() >= buffer.len() + 16);
        if round == 2 {
            assert_eq!(address, Some(buffer.as_ptr()));
        }
        address = Some(buffer.as_ptr());
        ticket.finish(Outcome::Delivered);
        reader.recycle(buffer);
    }
}

#[test]
fn memory_of_bad_blocks_is_let_go() {
    let spool = spool(1 << 20, WhenFull::Auto);
    let _reader = spool.reader("a", true);
    for topic in 0..10 {
        let refused = spool.append(7, |append| {
            write(append, &topic.to_string(), 100, 500);
            Err::<(), ()>(())
        });
        assert_eq!(refused, Err(()));
    }
    assert_eq!((spool.snapshot().bytes, spool.snapshot().frames), (0, 0));
    assert!(spool.shared.lock().open.buffers.is_empty());
}

const FRAME: usize = 1000 + FRAME_OVERHEAD;

/// Other settings of the spool.
fn set(spool: &Spool, memory_bytes: usize, when_full: WhenFull) {
    spool.set(Config { memory_bytes, when_full, topics_max: 10 });
}

#[tokio::test]
async fn a_lower_limit_drops_nothing_and_is_reached_as_frames_go() {
    for (when_full, is_let_in) in [(WhenFull::Hold, false), (WhenFull::DropOldest, true)] {
        let spool = spool(20 * FRAME, when_full);
        let mut reader = spool.reader("a", true);
        (0..10).for_each(|_| append(&spool, "t", 10, 100));
        set(&spool, 4 * FRAME, when_full);
        let snapshot = spool.snapshot();
        assert!(snapshot.bytes > snapshot.bytes_max && books(&spool, "a").lost.is_empty(), "{snapshot:?}");
        // It is full: whoever comes waits, or makes room for itself and no more.
        assert_eq!(is_admitted(&spool).await, is_let_in);
        let lost = books(&spool, "a").lost.values().sum::<u64>();
        assert!(lost <= 10, "{lost} records for one turn");
        let mut left = (100 - lost) / 10;
        reader.close(0);
        while let Some(shown) = reader.show() {
            assert_eq!(is_admitted(&spool).await, is_let_in || left < 4, "{left} frames");
            let (_, ticket) = reader.take([&shown]);
            ticket.finish(Outcome::Delivered);
            left -= 1;
        }
        let books = books(&spool, "a");
        assert_eq!(
            (books.delivered + books.lost.values().sum::<u64>(), books.waiting),
            (100, 0),
            "{books:?}"
        );
        // What has gone does not count for room any more.
        (0..4).for_each(|_| append(&spool, "t", 10, 100));
        assert_eq!(is_admitted(&spool).await, is_let_in);
    }
}

/// A spool with a backlog of `frames` frames of 10,000 bytes for an output, and then a limit of a tenth of it.
fn over_a_lower_limit(frames: usize, when_full: WhenFull, holds: bool) -> (Spool, Reader) {
    let framing =
        Framing { records_max: 1000.try_into().unwrap(), bytes_max: 10_000, room_before: 0, room_behind: 0 };
    let memory_bytes = frames * (10_000 + FRAME_OVERHEAD);
    let spool = Spool::in_memory(Config { memory_bytes, when_full, topics_max: 10 }, framing);
    let reader = spool.reader("a", holds);
    (0..frames).for_each(|_| append(&spool, "old", 10, 1000));
    reader.close(0);
    set(&spool, memory_bytes / 10, when_full);
    (spool, reader)
}

#[test]
fn newcomers_over_a_lower_limit_take_the_place_of_as_much_and_no_more() {
    let long_after = Instant::now() + Duration::from_secs(6);
    for (when_full, holds) in [
        (WhenFull::DropOldest, true),
        (WhenFull::Auto, true),
        (WhenFull::Auto, false),
        (WhenFull::Hold, false),
    ] {
        for weight in [Weight::Light, Weight::Heavy] {
            let (spool, _reader) = over_a_lower_limit(100, when_full, holds);
            for turn in 0..100 {
                assert_eq!(spool.shared.admission(weight, long_after), room::Admission::Go);
                append(&spool, "new", 1, 10);
                let lost = books(&spool, "a").lost[&LossReason::SpoolFull];
                assert_eq!(lost, 10, "one frame's for all: {when_full:?} {holds} {weight:?}, turn {turn}");
            }
            // Whoever brings much more than went for it, has more of the oldest go.
            for _ in 0..2 {
                append(&spool, "new", 30, 1000);
                assert_eq!(spool.shared.admission(weight, long_after), room::Admission::Go);
            }
            let lost = books(&spool, "a").lost[&LossReason::SpoolFull];
            assert!((60..=90).contains(&lost), "{lost} lost for 60 of the same size");
        }
    }
}

#[tokio::test]
async fn those_who_wait_over_a_lower_limit_have_no_more_go_than_others() {
    let (spool, _reader) = over_a_lower_limit(100, WhenFull::Auto, true);
    let mut waiting = std::pin::pin!(spool.admit(Weight::Light));
    tokio::select! {
        biased;
        () = &mut waiting => panic!("the output has just come"),
        () = std::future::ready(()) => {}
    }
    let long_after = Instant::now() + Duration::from_secs(6);
    assert_eq!(spool.shared.admission(Weight::Light, long_after), room::Admission::Go);
    assert_eq!(books(&spool, "a").lost[&LossReason::SpoolFull], 10);
}

#[test]
fn what_goes_the_usual_way_over_a_lower_limit_costs_nothing() {
    let (spool, mut reader) = over_a_lower_limit(100, WhenFull::DropOldest, true);
    let mut delivered = 0;
    while spool.snapshot().bytes > spool.snapshot().bytes_max {
        assert!(spool.has_room(Weight::Light));
        append(&spool, "new", 1, 10);
        let shown = reader.show().unwrap();
        let (_, ticket) = reader.take([&shown]);
        delivered += ticket.records();
        ticket.finish(Outcome::Delivered);
    }
    assert!(delivered >= 870, "{delivered} of 900 over the limit");
    assert!(books(&spool, "a").lost[&LossReason::SpoolFull] <= 20);
}

proptest! {
    /// Over a lower limit what had to go is no more than came, but for one frame; and of what has gone the usual way nothing
    /// comes back.
    #[test]
    fn over_a_lower_limit_what_comes_and_what_goes_are_weighed(
        steps in proptest::collection::vec((0u8..5, 1u32..40, 1usize..900), 0..200),
    ) {
        let (spool, mut reader) = over_a_lower_limit(40, WhenFull::DropOldest, true);
        let bytes = || spool.snapshot().bytes;
        let (start, frame) = (bytes(), 10_000 + FRAME_OVERHEAD);
        let (mut came, mut had_to_go, mut gone) = (0, 0, 0);
        let mut tickets = Vec::new();
        for (step, records, size) in steps {
            let before = bytes();
            match step {
                0 | 1 => {
                    prop_assert!(spool.has_room(Weight::Light));
                    had_to_go += before - bytes();
                    prop_assert!(had_to_go <= came + frame, "{had_to_go} had to go, {came} came");
                    let limit = spool.snapshot().bytes_max.max(start.saturating_sub(gone));
                    let has_frames = spool.snapshot().frames > 0;
                    prop_assert!(bytes() < limit || !has_frames, "{} of {limit}", bytes());
                    let before = bytes();
                    append(&spool, "new", records, size);
                    came += bytes().saturating_sub(before);
                }
                2 => {
                    reader.close(1);
                    came += bytes().saturating_sub(before);
                }
                3 => {
                    let Some(shown) = reader.show() else { continue };
                    tickets.push(reader.take([&shown]).1);
                    gone += before - bytes();
                }
                _ => {
                    let Some(ticket) = tickets.pop() else { continue };
                    ticket.finish(Outcome::Delivered);
                    gone += before - bytes();
                }
            }
        }
        for ticket in tickets {
            ticket.finish(Outcome::Delivered);
        }
        _ = books(&spool, "a");
    }
}

#[tokio::test]
async fn a_source_that_waits_hears_of_more_room_and_of_another_way() {
    for (memory_bytes, when_full) in [(20 * FRAME, WhenFull::Hold), (4 * FRAME, WhenFull::DropOldest)] {
        let spool = spool(4 * FRAME, WhenFull::Hold);
        let _reader = spool.reader("a", true);
        (0..4).for_each(|_| append(&spool, "t", 10, 100));
        for weight in [Weight::Light, Weight::Heavy] {
            let mut waiting = std::pin::pin!(spool.admit(weight));
            tokio::select! {
                biased;
                () = &mut waiting => panic!("it is full"),
                () = std::future::ready(()) => {}
            }
            set(&spool, memory_bytes, when_full);
            let told = tokio::time::timeout(Duration::from_secs(30), waiting).await;
            assert!(told.is_ok(), "{weight:?} hears of it");
            set(&spool, 4 * FRAME, WhenFull::Hold);
        }
    }
}

#[tokio::test]
async fn hold_waits_for_room_and_wakes_when_there_is() {
    let spool = spool(16 * FRAME, WhenFull::Hold);
    let mut reader = spool.reader("a", true);
    for _ in 0..16 {
        assert!(is_admitted(&spool).await);
        append(&spool, "t", 1, 1000);
    }
    assert!(!is_admitted(&spool).await);
    let source = tokio::spawn({
        let spool = spool.clone();
        async move { spool.admit(Weight::Light).await }
    });
    tokio::task::yield_now().await;
    assert!(spool.snapshot().held);
    let mut deliver = || {
        let shown = reader.show().unwrap();
        reader.take([&shown]).1
    };
    let ticket = deliver();
    tokio::task::yield_now().await;
    assert!(!source.is_finished(), "what is taken still counts");
    ticket.finish(Outcome::Delivered);
    tokio::task::yield_now().await;
    assert!(!source.is_finished(), "there is a little room, which is not worth a wake-up");
    assert!(!is_admitted(&spool).await, "and nobody else takes it away from those that wait");
    deliver().finish(Outcome::Delivered);
    source.await.unwrap();
    assert!(!spool.snapshot().held);
    assert_eq!(books(&spool, "a").lost, std::collections::BTreeMap::default());
}

#[tokio::test]
async fn heavy_sources_leave_room_for_light_ones() {
    let spool = spool(16 * FRAME, WhenFull::Hold);
    let mut reader = spool.reader("a", true);
    let mut heavy = Vec::new();
    for _ in 0..12 {
        assert!(spool.has_room(Weight::Heavy));
        append(&spool, "t", 1, 1000);
    }
    for _ in 0..2 {
        let spool = spool.clone();
        heavy.push(tokio::spawn(async move { spool.admit(Weight::Heavy).await }));
    }
    tokio::task::yield_now().await;
    assert!(spool.has_room(Weight::Light) && !spool.has_room(Weight::Heavy));
    assert!(!spool.snapshot().held, "only a full spool is worth a word");
    append(&spool, "t", 1, 1000);
    for done in [false, true] {
        let shown = reader.show().unwrap();
        reader.take([&shown]).1.finish(Outcome::Delivered);
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            heavy.iter().all(tokio::task::JoinHandle::is_finished),
            done,
            "one after the other, all of them"
        );
    }
}

#[tokio::test]
async fn drop_oldest_never_waits_and_counts_what_goes() {
    let spool = spool(4 * FRAME, WhenFull::DropOldest);
    let mut reader = spool.reader("a", true);
    for _ in 0..10 {
        assert!(is_admitted(&spool).await);
        append(&spool, "t", 2, 500);
    }
    assert_eq!(books(&spool, "a").lost[&LossReason::SpoolFull], 12);
    assert_eq!(reader.opened().len(), 10);
    assert_eq!(reader.gone().len(), 6, "what was told of and not shown is told");
    let shown = reader.show().unwrap();
    assert_eq!(shown.seq, Seq(12), "the gap shows in the numbers");
    for _ in 0..3 {
        append(&spool, "t", 2, 500);
        spool.admit(Weight::Light).await;
    }
    let gone: Vec<_> = reader.gone().iter().map(|gone| gone.seq).collect();
    assert_eq!(gone[0], Seq(12), "what was shown and not taken is told");
    assert_eq!(reader.gone().len(), 0);
}

#[tokio::test]
async fn where_nothing_is_closed_the_oldest_that_grows_is_dropped() {
    let spool = spool(4 * FRAME, WhenFull::DropOldest);
    let _reader = spool.reader("a", true);
    for topic in ["a", "b", "c", "d"] {
        append(&spool, topic, 1, 1000);
    }
    assert!(is_admitted(&spool).await);
    assert_eq!(books(&spool, "a").lost[&LossReason::SpoolFull], 1);
    assert_eq!(spool.snapshot().frames, 3);
}

#[tokio::test]
async fn auto_waits_while_there_is_progress_and_drops_when_there_is_none() {
    let spool = spool(4 * FRAME, WhenFull::Auto);
    let _reader = spool.reader("a", true);
    for _ in 0..4 {
        append(&spool, "t", 1, 1000);
    }
    assert!(!is_admitted(&spool).await, "the output has just come");
    let later = Instant::now() + Duration::from_secs(6);
    assert_eq!(spool.shared.admission(Weight::Light, later), room::Admission::Go);
    assert_eq!(books(&spool, "a").lost[&LossReason::SpoolFull], 1);
}

#[tokio::test]
async fn auto_waits_through_a_pause_that_an_output_makes_on_purpose() {
    let spool = spool(4 * FRAME, WhenFull::Auto);
    let reader = spool.reader("a", true);
    for _ in 0..4 {
        append(&spool, "t", 1, 1000);
    }
    let at = |seconds| Instant::now() + Duration::from_secs(seconds);
    reader.expect_pause(at(60));
    assert!(matches!(spool.shared.admission(Weight::Light, at(62)), room::Admission::Wait(Some(_))));
    assert_eq!(spool.shared.admission(Weight::Light, at(66)), room::Admission::Go);
    assert_eq!(books(&spool, "a").lost[&LossReason::SpoolFull], 1);
}

#[tokio::test]
async fn auto_does_not_wait_for_a_stalled_topic() {
    let spool = spool(4 * FRAME, WhenFull::Auto);
    let reader = spool.reader("a", true);
    append(&spool, "stuck", 1, 1000);
    reader.close(0);
    for _ in 0..3 {
        append(&spool, "flowing", 1, 1000);
    }
    assert!(!is_admitted(&spool).await);
    reader.set_stalled(0, true);
    assert!(is_admitted(&spool).await);
    assert_eq!(books(&spool, "a").lost[&LossReason::SpoolFull], 1);
}

#[tokio::test]
async fn what_cannot_be_delivered_makes_room_again() {
    let spool = spool(4 * FRAME, WhenFull::Auto);
    let mut reader = spool.reader("a", true);
    append(&spool, "stuck", 1, 1000);
    reader.close(0);
    let shown = reader.show().unwrap();
    let (frames, ticket) = reader.take([&shown]);
    for _ in 0..3 {
        append(&spool, "flowing", 1, 1000);
    }
    let back = reader.give_back(ticket, Returned { records: 1, accepted_ms: 7, ..returned(&frames[0]) });
    reader.set_stalled(0, true);
    assert!(is_admitted(&spool).await);
    assert_eq!(books(&spool, "a").lost[&LossReason::SpoolFull], 1);
    assert_eq!(reader.take([&back]).1.records(), 0, "it had to go");
    assert_eq!(reader.gone()[0].seq, back.seq);
}

#[tokio::test]
async fn what_only_partners_need_goes_first_and_never_holds_the_input() {
    let spool = spool(4 * FRAME, WhenFull::Hold);
    let mut kafka = spool.reader("kafka", true);
    let _partner = spool.reader("partner", false);
    for _ in 0..4 {
        append(&spool, "t", 1, 1000);
    }
    assert!(!is_admitted(&spool).await);
    let shown = [kafka.show().unwrap(), kafka.show().unwrap()];
    let (_, ticket) = kafka.take(&shown[1..]);
    ticket.finish(Outcome::Delivered);
    assert!(is_admitted(&spool).await);
    assert_eq!(books(&spool, "partner").lost[&LossReason::SpoolFull], 1);
    assert_eq!(books(&spool, "kafka").waiting, 3);
}

#[tokio::test]
async fn readers_see_the_end_after_everything() {
    let spool = spool(1 << 20, WhenFull::Auto);
    let mut reader = spool.reader("a", true);
    append(&spool, "t", 1, 10);
    assert!(reader.changed().await);
    assert_eq!(reader.opened().len(), 1);
    spool.close();
    assert!(!reader.changed().await);
    assert!(reader.show().is_some());
}

#[test]
fn what_nobody_took_is_lost_at_the_end() {
    let spool = spool(1 << 20, WhenFull::Auto);
    let mut reader = spool.reader("a", true);
    append(&spool, "t", 25, 10);
    assert_eq!(reader.abandon(), 25);
    assert_eq!(books(&spool, "a").lost[&LossReason::Shutdown], 25);
}

/// When the oldest record was accepted that waits for the output.
fn oldest(spool: &Spool, output: &str) -> Option<u64> {
    books(spool, output).oldest_ms
}

fn append_at(spool: &Spool, topic: &str, now_ms: u64) {
    let appended: Result<_, ()> = spool.append(now_ms, |append| {
        write(append, topic, 1, 10);
        Ok(())
    });
    _ = appended.unwrap();
}

#[test]
fn the_oldest_that_waits_is_known_wherever_it_is() {
    let spool = spool(1 << 20, WhenFull::Hold);
    let mut reader = spool.reader("k", true);
    assert_eq!(oldest(&spool, "k"), None);
    for (topic, at) in [("a", 100), ("b", 200), ("b", 300), ("c", 400)] {
        append_at(&spool, topic, at);
    }
    // While it grows, and in the list.
    assert_eq!(oldest(&spool, "k"), Some(100));
    (0..3).for_each(|topic| reader.close(topic));
    assert_eq!(oldest(&spool, "k"), Some(100));
    let frames: Vec<FrameRef> = std::iter::from_fn(|| reader.show()).collect();
    // In the output's hands, whole and in parts.
    let (_, a) = reader.take([&frames[0]]);
    let (taken, mut b) = reader.take([&frames[1]]);
    assert_eq!(oldest(&spool, "k"), Some(100));
    let first = b.split(1, 10);
    a.finish(Outcome::Delivered);
    assert_eq!(oldest(&spool, "k"), Some(200));
    first.finish(Outcome::Delivered);
    assert_eq!(oldest(&spool, "k"), Some(200), "the rest is in its hands");
    let rest = b.split(1, 10);
    drop((b, taken));
    rest.finish(Outcome::SetAside(AsideReason::Refused));
    assert_eq!(oldest(&spool, "k"), Some(400));
    // Back in the spool, and let go of without a word.
    let (taken, c) = reader.take([&frames[2]]);
    let back = reader.give_back(c, returned(&taken[0]));
    assert_eq!(oldest(&spool, "k"), Some(400));
    drop(taken);
    let (_, c) = reader.take([&back]);
    drop(c);
    assert_eq!(spool.ledger().outputs["k"].oldest_ms, None);
}

#[test]
fn each_topic_has_its_books() {
    let spool = spool(1 << 20, WhenFull::Hold);
    let told = |output: &str| -> Vec<_> {
        let topics = spool.topics(output).into_iter();
        topics.map(|books| (books.topic.id, books.accepted, books.waiting, books.oldest_ms)).collect()
    };
    let dropped =
        |output: &str| -> Vec<u64> { spool.topics(output).iter().map(|books| books.dropped).collect() };
    append(&spool, "a", 3, 10);
    assert_eq!(told("k"), [(0, 3, 0, None)], "nobody was there");
    let mut reader = spool.reader("k", true);
    append(&spool, "b", 12, 10);
    append(&spool, "a", 1, 10);
    assert_eq!(told("k"), [(0, 4, 1, Some(7)), (1, 12, 12, Some(7))]);
    assert_eq!(told("none"), [(0, 4, 0, None), (1, 12, 0, None)]);
    let full = reader.show().unwrap();
    let (_, ticket) = reader.take([&full]);
    assert_eq!(told("k")[1], (1, 12, 2, Some(7)), "what it has taken it counts itself");
    ticket.finish(Outcome::Delivered);
    assert_eq!(told("k")[1], (1, 12, 2, Some(7)));
    // What has to go is counted, whether the output has seen it or not.
    append(&spool, "b", 20, 10);
    let waiting = |topic: usize| told("k")[topic].2;
    assert_eq!((waiting(0), waiting(1), dropped("k")), (1, 22, vec![0, 0]));
    while spool.shared.lock().drop_oldest(LossReason::SpoolFull) {}
    assert_eq!((waiting(0), waiting(1), dropped("k")), (0, 0, vec![1, 22]));
    assert_eq!(books(&spool, "k").lost[&LossReason::SpoolFull], 23);
}
