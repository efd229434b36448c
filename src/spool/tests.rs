//! The spool against a model, and what it does when it is full.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;

use super::tail::FRAME_OVERHEAD;
use super::*;

fn spool(memory_bytes: usize, when_full: WhenFull) -> Spool {
    Spool::in_memory(Config { memory_bytes, when_full, topics_max: 10 })
}

fn append(spool: &Spool, topic: &str, records: u32, bytes: usize) {
    let chunk = Chunk { topic: spool.topic(topic.as_bytes()), records, datapoints: 1, body: vec![0; bytes] };
    let appended = spool.append([chunk], 7);
    assert_eq!(appended.records, u64::from(records));
}

fn books(spool: &Spool, output: &str) -> OutputLedger {
    let books = spool.ledger().outputs[output].clone();
    assert_eq!(books.imbalance(), 0, "{books:?}");
    books
}

/// Whether a source is let in now.
async fn is_admitted(spool: &Spool) -> bool {
    tokio::time::timeout(Duration::ZERO, spool.admit()).await.is_ok()
}

#[derive(Clone, Debug)]
enum Step {
    Append { topic: u8, records: u32 },
    Show { output: usize },
    Take { output: usize, nth: usize },
    Finish { output: usize, outcome: u8 },
    Drop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..3, 1u32..5).prop_map(|(topic, records)| Step::Append { topic, records }),
        4 => (0usize..2).prop_map(|output| Step::Show { output }),
        3 => (0usize..2, 0usize..4).prop_map(|(output, nth)| Step::Take { output, nth }),
        3 => (0usize..2, 0u8..4).prop_map(|(output, outcome)| Step::Finish { output, outcome }),
        1 => Just(Step::Drop),
    ];
    proptest::collection::vec(step, 0..80)
}

/// One output as it should be.
#[derive(Default)]
struct Model {
    unseen: VecDeque<(u64, u32)>,
    shown: Vec<FrameRef>,
    gone: Vec<u64>,
    tickets: Vec<Ticket>,
    accepted: u64,
    finished: [u64; 4],
}

proptest! {
    /// Frames are shown once each in order, taken frames are those that were not dropped, numbers have no gaps, and the
    /// books balance after every step.
    #[test]
    fn a_model_and_the_spool_agree(steps in steps()) {
        let spool = spool(1 << 20, WhenFull::DropOldest);
        let mut readers = [spool.reader("a", true), spool.reader("b", false)];
        let mut models = [Model::default(), Model::default()];
        let (mut next, mut next_of_topic) = (0u64, [0u64; 3]);
        for step in steps {
            match step {
                Step::Append { topic, records } => {
                    append(&spool, &topic.to_string(), records, 10);
                    for model in &mut models {
                        model.unseen.push_back((next, records));
                        model.accepted += u64::from(records);
                    }
                    next += u64::from(records);
                    next_of_topic[usize::from(topic)] += u64::from(records);
                }
                Step::Show { output } => {
                    let shown = readers[output].show();
                    let expected = models[output].unseen.pop_front();
                    prop_assert_eq!(shown.as_ref().map(|shown| (shown.seq.0, shown.records)), expected);
                    models[output].shown.extend(shown);
                }
                Step::Take { output, nth } => {
                    let model = &mut models[output];
                    if model.shown.is_empty() { continue }
                    let wanted = model.shown.remove(nth % model.shown.len());
                    let (frames, ticket) = readers[output].take([&wanted]);
                    let expected = if model.gone.contains(&wanted.seq.0) { vec![] } else { vec![wanted.seq] };
                    prop_assert_eq!(frames.iter().map(|frame| frame.seq).collect::<Vec<_>>(), expected);
                    model.tickets.push(ticket);
                }
                Step::Finish { output, outcome } => {
                    let model = &mut models[output];
                    let Some(mut ticket) = model.tickets.pop() else { continue };
                    if ticket.records() > 1 {
                        model.tickets.push(ticket.split(1, 1));
                    }
                    model.finished[usize::from(outcome)] += ticket.records();
                    ticket.finish(match outcome {
                        0 => Outcome::Delivered,
                        1 => Outcome::Lost(LossReason::Shutdown),
                        2 => Outcome::SetAside(AsideReason::Refused),
                        _ => Outcome::NotWanted,
                    });
                }
                Step::Drop => {
                    let oldest = spool.shared.lock().tail.oldest().map(|frame| frame.seq.0);
                    spool.shared.lock().drop_oldest(LossReason::SpoolFull);
                    for model in &mut models {
                        model.gone.extend(oldest);
                        model.unseen.retain(|(seq, _)| Some(*seq) != oldest);
                    }
                }
            }
            for (name, model) in ["a", "b"].into_iter().zip(&models) {
                let books = books(&spool, name);
                prop_assert_eq!(books.accepted, model.accepted);
                prop_assert_eq!(books.delivered, model.finished[0]);
                prop_assert_eq!(books.not_wanted, model.finished[3]);
            }
        }
        prop_assert_eq!(spool.snapshot().next.0, next);
        drop(models);
    }
}

#[test]
fn a_ticket_that_is_dropped_shows_in_the_books() {
    let spool = spool(1 << 20, WhenFull::Auto);
    let mut reader = spool.reader("a", true);
    append(&spool, "t", 3, 10);
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
fn without_outputs_nothing_is_kept() {
    let spool = spool(1 << 20, WhenFull::Hold);
    append(&spool, "t", 5, 1000);
    assert_eq!((spool.snapshot().bytes, spool.ledger().accepted), (0, 5));
}

const FRAME: usize = 1000 + FRAME_OVERHEAD;

#[tokio::test]
async fn hold_waits_for_room_and_wakes_when_there_is() {
    let spool = spool(4 * FRAME, WhenFull::Hold);
    let mut reader = spool.reader("a", true);
    for _ in 0..4 {
        assert!(is_admitted(&spool).await);
        append(&spool, "t", 1, 1000);
    }
    assert!(!is_admitted(&spool).await);
    let source = tokio::spawn({
        let spool = spool.clone();
        async move { spool.admit().await }
    });
    tokio::task::yield_now().await;
    assert!(spool.snapshot().held);
    let shown = reader.show().unwrap();
    let (_, ticket) = reader.take([&shown]);
    tokio::task::yield_now().await;
    assert!(!source.is_finished(), "what is taken still counts");
    ticket.finish(Outcome::Delivered);
    source.await.unwrap();
    assert!(!spool.snapshot().held);
    assert_eq!(books(&spool, "a").lost, std::collections::BTreeMap::default());
}

#[tokio::test]
async fn drop_oldest_never_waits_and_counts_what_goes() {
    let spool = spool(4 * FRAME, WhenFull::DropOldest);
    let mut reader = spool.reader("a", true);
    for _ in 0..10 {
        assert!(is_admitted(&spool).await);
        append(&spool, "t", 2, 1000);
    }
    assert_eq!(books(&spool, "a").lost[&LossReason::SpoolFull], 12);
    assert_eq!(reader.gone().len(), 0, "what was never shown is not told");
    let shown = reader.show().unwrap();
    assert_eq!((shown.seq, shown.first), (Seq(12), 12), "the gap shows in the numbers");
    for _ in 0..3 {
        append(&spool, "t", 2, 1000);
        spool.admit().await;
    }
    let gone: Vec<_> = reader.gone().iter().map(|gone| gone.seq).collect();
    assert_eq!(gone, [Seq(12)], "what was shown and not taken is told");
    assert_eq!(reader.gone().len(), 0);
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
    assert!(spool.shared.lock().worth_waiting(Duration::from_secs(5), later).is_none());
}

#[tokio::test]
async fn auto_does_not_wait_for_a_stalled_topic() {
    let spool = spool(4 * FRAME, WhenFull::Auto);
    let reader = spool.reader("a", true);
    append(&spool, "stuck", 1, 1000);
    for _ in 0..3 {
        append(&spool, "flowing", 1, 1000);
    }
    assert!(!is_admitted(&spool).await);
    reader.set_stalled(spool.topic(b"stuck").id, true);
    assert!(is_admitted(&spool).await);
    assert_eq!(books(&spool, "a").lost[&LossReason::SpoolFull], 1);
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
    assert!(reader.changed(1).await);
    spool.close();
    assert!(!reader.changed(1).await);
    assert!(reader.show().is_some());
}
