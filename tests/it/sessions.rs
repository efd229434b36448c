//! How a sender's session ends, what it lives through, and what the sender sees of it.

use std::slice;

use crate::support::collector::{Collector, Ended};
use crate::support::kafka::{Broker, OwnBroker, unique};
use crate::support::line::{Line, ended, header, refused};
use crate::support::load::while_sending;
use crate::support::record::{self, Record};
use crate::support::sender::{Ending, Sender};
use crate::support::{consumer, eventually, ocf, once};

const BYTES: &str = "metrics_collector_input_bytes_total";

/// Arguments for a spool of 1 MiB that holds its senders.
const SMALL_AND_HOLDING: [&str; 6] =
    ["--spool-memory", "1MiB", "--spool-full", "hold", "--input-decompressed-bytes-max", "1MiB"];

#[test]
fn a_half_sent_block_or_header_ends_with_a_reset_when_its_time_is_over() {
    let line = Line::start(&["--input-block-timeout", "100ms"]);
    let (block, header) = (line.block(1..101), header());
    let half_block = [&header, &line.block(0..1), &block[..block.len() / 2]].concat();
    for (half, timeouts) in [(&half_block[..], 1), (&header[..header.len() / 2], 2)] {
        let mut sender = line.collector.sender();
        sender.send(half);
        assert_eq!(sender.wait_ending(), Ending::Reset);
        line.collector.wait_metric(&ended("timeout"), timeouts);
    }
    assert_eq!(line.collector.metric(&refused("blocks", "truncated")), 1);
    line.check_arrived(&[0]);
}

#[test]
fn a_stop_resets_a_session_and_does_not_close_it() {
    let line = Line::start(&[]);
    let mut sender = line.collector.sender();
    sender.send(&[header(), line.block(0..1)].concat());
    line.check_arrived(&[0]);
    let ended = line.collector.terminate();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(sender.wait_ending(), Ending::Reset);
}

#[test]
fn a_torn_block_and_silence_do_not_end_a_session() {
    let line = Line::start(&["--input-block-timeout", "100ms"]);
    let mut bad = line.block(1..2);
    let marker = bad.len() - 1;
    bad[marker] = b'?';
    // What stands behind the marker that is found again may be a block, and may be the rest of a torn one.
    let on_trial = [&bad, &ocf::MARKER[..], &line.block(2..102)[..200]].concat();
    let mut sessions = [bad, on_trial].map(|torn| {
        let mut sender = line.collector.sender();
        sender.send(&[header(), torn].concat());
        sender
    });
    eventually("both blocks are refused", || {
        let lost = line.collector.metric(&refused("blocks", "marker_lost"));
        once(lost == 2, || format!("{lost}"))
    });
    // When this one's time is over theirs would be.
    let mut late = line.collector.sender();
    late.send(&header()[..100]);
    late.wait_ending();
    for (session, number) in sessions.iter_mut().zip([10, 20]) {
        assert_eq!(session.ending(), None);
        // The first of the two has the marker behind which the stream is whole again.
        session.send(&[line.block(number..number + 1), line.block(number + 1..number + 2)].concat());
        line.collector.wait_accepted(u64::from(number / 10));
    }
    line.check_arrived(&[11, 21]);
    assert_eq!(line.collector.status()["input"]["refused_blocks"], 2);
}

#[test]
fn the_rest_of_a_half_sent_block_is_read_in_time_on_a_quiet_connection_too() {
    let line = Line::start(&["--input-block-timeout", "4800ms", "--input-linger", "5s"]);
    let mut sender = line.collector.sender();
    let mut n_bytes = 0;
    let mut send = |bytes: &[u8], records| {
        sender.send(bytes);
        n_bytes += bytes.len() as u64;
        line.collector.wait_metric(BYTES, n_bytes);
        line.collector.wait_accepted(records);
    };
    // With the second or third of these reads it becomes quiet, and is read at ticks from there.
    send(&header(), 0);
    send(&line.block(0..1), 1);
    send(&line.block(1..2), 2);
    send(&line.block(2..3), 3);
    let block = line.block(3..4);
    let (half, rest) = block.split_at(block.len() / 2);
    send(half, 3);
    // The next tick is behind the time that the block has.
    send(rest, 4);
    line.check_arrived(&[0, 1, 2, 3]);
    assert_eq!(line.collector.metric(&refused("blocks", "truncated")), 0);
}

#[test]
fn time_in_which_a_full_spool_holds_its_sender_is_not_the_senders() {
    let mut broker = OwnBroker::prepared();
    let topic = unique("held");
    let args = ["--kafka-topic-prefix", "", "--input-block-timeout", "15s", "--input-linger", "0ms"];
    let collector = Collector::start(broker.bootstrap(), &[&args[..], &SMALL_AND_HOLDING].concat());
    let mut sent = 0;
    let mut wait_read = |bytes: usize| {
        sent += bytes as u64;
        collector.wait_metric(BYTES, sent);
    };

    let block = ocf::block(&record::numbered(&topic, 0..100));
    let long = "x".repeat(10_000);
    let others: Vec<Record> =
        record::numbered(&topic, 100..500).into_iter().map(|record| record.with_tag("long", &long)).collect();
    let stream = ocf::stream(&others);

    // Most of a block has come ...
    let begun = [&header()[..], &block[..1000]].concat();
    let mut sender = collector.sender();
    sender.send(&begun);
    wait_read(begun.len());
    // ... also from one who has no more to say, and is ended when its time is over ...
    let mut silent = collector.sender();
    silent.send(&begun);
    wait_read(begun.len());
    // ... and then there is no room for more.
    let mut other = collector.sender();
    while_sending(
        slice::from_mut(&mut other),
        |_, other| other.send(&stream),
        || {
            collector.wait_held(true);
            sender.send(&block[1000..1100]);
            assert_eq!(silent.wait_ending(), Ending::Reset);
            broker.start();
            collector.wait_held(false);
            sender.send(&block[1100..]);
        },
    );
    collector.wait_accepted(500);
    let ledger = collector.wait_delivered(500);
    assert_eq!(ledger.kafka("lost"), 0, "{ledger:?}");
    assert_eq!((sender.ending(), other.ending()), (None, None));
    assert_eq!(collector.metric(&ended("timeout")), 1);
    let mut numbers: Vec<u32> = consumer::records(&consumer::read(broker.bootstrap(), &topic, 500))
        .iter()
        .map(Record::number)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
}

#[test]
fn sigterm_while_a_full_spool_holds_senders_ends_within_the_grace_and_names_the_losses() {
    let broker = OwnBroker::prepared();
    let topic = unique("full");
    let args = ["--kafka-topic-prefix", "", "--shutdown-grace", "500ms"];
    let collector = Collector::start(broker.bootstrap(), &[&args[..], &SMALL_AND_HOLDING].concat());
    let stream = ocf::stream(&record::numbered(&topic, 0..10_000));
    // It is reset in the middle of this.
    let sends = |_, sender: &mut Sender| while sender.try_send(&stream).is_ok() {};
    let ended = while_sending(&mut [collector.sender()], sends, || {
        collector.wait_held(true);
        // No broker comes: nothing but the grace ends it.
        collector.terminate()
    });
    check_orderly(&ended);
    let accepted = ended.last_word("accepted");
    let lost = ended.log.iter().filter(|line| line.contains("not delivered") && line.contains(&topic));
    let lost: Vec<u64> = lost.filter_map(|line| field(line, "records")).collect();
    assert_eq!(lost, [accepted], "one line for the topic, with all that was accepted: {:#?}", ended.log);
    assert!(accepted > 1000, "{accepted} records filled the spool");
}

#[test]
fn a_sender_that_never_pauses_leaves_time_for_others_and_for_the_end() {
    let args = ["--kafka=false", "--spool-full", "drop-oldest"];
    let collector = Collector::start(Broker::shared().bootstrap(), &args);
    let block = ocf::block(&record::numbered("flood", 0..1000));
    let sends = |_, sender: &mut Sender| {
        let mut result = sender.try_send(&header());
        while result.is_ok() {
            result = sender.try_send(&block);
        }
    };
    let ended = while_sending(&mut [collector.sender(), collector.sender()], sends, || {
        let mut seen = 0;
        for _ in 0..10 {
            assert_eq!(collector.get("/-/healthy").status, 200);
            eventually("more was accepted", || {
                let accepted = collector.status()["input"]["accepted_records"].as_u64().unwrap();
                once(accepted > seen, || format!("{accepted}"))?;
                seen = accepted;
                Ok(())
            });
        }
        collector.terminate()
    });
    check_orderly(&ended);
    assert!(ended.last_word("accepted") > 0);
}

/// It ended as it should, and nothing of it had to be cut off.
fn check_orderly(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let cut_off = ended.log.iter().any(|line| line.contains("does not end"));
    assert!(!cut_off, "{ended:#?}");
}

/// A number in a line of the log.
fn field(line: &str, name: &str) -> Option<u64> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line[name].as_u64().or_else(|| line["fields"][name].as_u64())
}
