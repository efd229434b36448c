//! The input, as odd as senders are: good records arrive, bad ones cost only themselves.

use std::io::Write;
use std::os::unix::net::UnixStream;

use crate::support::collector::{AGENT, Collector};
use crate::support::kafka::{Broker, unique};
use crate::support::line::{Line, ended, header, refused};
use crate::support::ocf::{self, Blocks};
use crate::support::record::{Datapoint, Record, Tag};
use crate::support::sender::{Ending, Sender};
use crate::support::{consumer, eventually, once};

#[test]
fn a_sender_that_is_silent_after_its_header_is_kept_and_served_when_it_speaks() {
    // The time that a half-sent block has must not run for one that has not begun.
    let line = Line::start(&["--input-block-timeout", "100ms"]);
    let mut silent = line.collector.sender();
    silent.send(&header());
    line.wait_input("connections", 1);
    let mut other = line.collector.sender();
    other.send(&[header(), line.block(0..1)].concat());
    line.check_arrived(&[0]);
    // A message was closed by age and acknowledged by now: longer than that time-out.
    assert!(!silent.is_closed(), "the silent sender was closed");
    silent.send(&line.block(1..2));
    line.check_arrived(&[0, 1]);
}

#[test]
fn a_sender_of_garbage_is_closed_and_counted_and_others_go_on() {
    let line = Line::start(&[]);
    let mut good = line.collector.sender();
    good.send(&header());
    for (garbage, reason, ending) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "not_ocf", Ending::Reset),
        (&[0; 100], "not_ocf", Ending::Reset),
        (&[0xFF; 5000], "not_ocf", Ending::Reset),
        (b"Obj\x02", "not_ocf", Ending::Reset),
        // Here it is the sender that ends.
        (b"Obj\x01\x03\x80\x80", "torn", Ending::EndOfStream),
    ] {
        let series = ended(reason);
        let before = line.collector.metric(&series);
        let mut bad = line.collector.sender();
        // It may be closed before it has written all.
        let _ = bad.try_send(garbage);
        bad.half_close_if_open();
        assert_eq!(bad.wait_ending(), ending, "after {garbage:?}");
        line.collector.wait_metric(&series, before + 1);
    }
    good.send(&line.block(0..10));
    line.check_arrived(&(0..10).collect::<Vec<_>>());
    let counted = ["not_ocf", "torn"].map(|reason| line.collector.metric(&ended(reason)));
    assert_eq!(counted, [4, 1]);
    assert_eq!(line.collector.status()["input"]["closed_connections"], 4);
}

#[test]
fn a_torn_stream_heals_and_costs_only_the_torn_blocks() {
    let line = Line::start(&[]);
    let (first, second) = (line.block(10..110), line.block(110..210));
    // As the Mesos module does it: the second block gets between the two writes of the first. The cut is inside of a
    // name, and what follows it can not be taken for the start of a block.
    let name = b"number";
    let mut names = first.windows(name.len()).enumerate().filter(|(_, bytes)| bytes == name);
    let (at, _) = names.nth(50).expect("there are 100 of them");
    let (head, rest) = first.split_at(at + 1);
    let torn = [head, &second, rest].concat();
    let mut sender = line.collector.sender();
    sender.send(&[header(), line.block(0..10), torn, line.block(210..220), line.block(220..230)].concat());
    // Where the second block's marker ends, whole blocks begin again only after the first one's rest.
    let healed: Vec<u32> = (0..10).chain(210..230).collect();
    line.check_arrived(&healed);
    assert_eq!(line.collector.metric(&refused("blocks", "marker_lost")), 1);
    assert_eq!(line.collector.status()["input"]["refused_blocks"], 1);
    sender.send(&line.block(230..240));
    line.check_arrived(&healed.into_iter().chain(230..240).collect::<Vec<_>>());
    assert!(!sender.is_closed(), "a torn stream is no reason to end a session");
}

#[test]
fn a_sender_that_half_closes_after_its_last_block_loses_nothing() {
    let line = Line::start(&[]);
    let mut sender = line.collector.sender();
    sender.send(&ocf::stream(&line.records(0..5000)));
    sender.half_close();
    line.check_arrived(&(0..5000).collect::<Vec<_>>());
    eventually("the connection is ended", || once(sender.is_closed(), || "it is open".to_owned()));
}

#[test]
fn a_new_sender_takes_the_place_of_one_that_never_sent_a_block() {
    let line = Line::start(&["--input-connections-max", "3"]);
    let mut proven = line.collector.sender();
    proven.send(&[header(), line.block(0..1)].concat());
    line.check_arrived(&[0]);
    let mut idle = [line.collector.sender(), line.collector.sender()];
    line.wait_input("connections", 3);
    let mut new = line.collector.sender();
    new.send(&[header(), line.block(1..2)].concat());
    line.check_arrived(&[0, 1]);
    eventually("an idle connection is ended", || {
        let closed = idle.each_mut().map(Sender::is_closed);
        once(closed == [true, false], || format!("closed: {closed:?}"))
    });
    proven.send(&line.block(2..3));
    line.check_arrived(&[0, 1, 2]);
}

#[test]
fn a_unix_socket_takes_records_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.sock");
    let line = Line::start(&["--listen-socket", path.to_str().unwrap()]);
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.write_all(&ocf::stream(&line.records(0..300))).unwrap();
    drop(socket);
    line.check_arrived(&(0..300).collect::<Vec<_>>());
}

#[test]
fn a_block_without_records_is_nothing_special() {
    let line = Line::start(&[]);
    let mut sender = line.collector.sender();
    sender.send(&[header(), line.block(0..1), ocf::raw_block(0, &[]), line.block(1..2)].concat());
    line.check_arrived(&[0, 1]);
    assert!(!sender.is_closed(), "an empty block ended the session");
    let refused = &line.collector.status()["input"]["refused_blocks"];
    assert_eq!(refused, 0);
}

#[test]
fn a_second_header_begins_a_second_stream() {
    let line = Line::start(&[]);
    let mut sender = line.collector.sender();
    sender.send(&[ocf::stream(&line.records(0..10)), ocf::stream(&line.records(10..20))].concat());
    line.check_arrived(&(0..20).collect::<Vec<_>>());
}

#[test]
fn array_and_map_blocks_with_negative_counts_are_read() {
    let line = Line::start(&[]);
    let record = Record::numbered(&line.topic, 5).with_tag("a", "b").with_tag("", "");
    let body = ocf::body(&record, Blocks::NegativeCounts);
    let header = ocf::header_in(ocf::SCHEMA, Some("null"), Blocks::NegativeCounts);
    line.collector.send(&[header, ocf::raw_block(1, &body)].concat());
    line.check_arrived(&[5]);
    let messages = consumer::read(Broker::shared().bootstrap(), &line.topic, 1);
    assert_eq!(consumer::records(&messages)[0].tags[..3], record.tags);
}

/// Sends ten records in a block that `compress` made, in a stream of that codec.
fn check_codec(codec: Option<&str>, compress: impl Fn(&[u8]) -> Vec<u8>) {
    let line = Line::start(&[]);
    let bodies = ocf::bodies(&line.records(0..10));
    line.collector.send(&[ocf::header(ocf::SCHEMA, codec), ocf::raw_block(10, &compress(&bodies))].concat());
    line.check_arrived(&(0..10).collect::<Vec<_>>());
}

#[test]
fn a_stream_that_names_no_codec_is_read() {
    check_codec(None, <[u8]>::to_vec);
}

#[test]
fn deflate_is_read() {
    check_codec(Some("deflate"), |plain| {
        let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let mut out = vec![0; compressor.deflate_compress_bound(plain.len())];
        let length = compressor.deflate_compress(plain, &mut out).unwrap();
        out.truncate(length);
        out
    });
}

#[test]
fn snappy_is_read() {
    check_codec(Some("snappy"), |plain| {
        let mut out = snap::raw::Encoder::new().compress_vec(plain).unwrap();
        out.extend(crc32fast::hash(plain).to_be_bytes());
        out
    });
}

#[test]
fn zstandard_is_read() {
    check_codec(Some("zstandard"), |plain| zstd::bulk::compress(plain, 3).unwrap());
}

#[test]
fn bzip2_is_read() {
    check_codec(Some("bzip2"), |plain| {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
        out.write_all(plain).unwrap();
        out.finish().unwrap()
    });
}

#[test]
fn xz_is_read() {
    check_codec(Some("xz"), |plain| {
        let mut out = liblzma::write::XzEncoder::new(Vec::new(), 6);
        out.write_all(plain).unwrap();
        out.finish().unwrap()
    });
}

/// Sends one record, written as `schema` says, and compares what arrives.
fn check_schema(schema: &str, body: &[u8], expected: Record) {
    let prefix = unique("schema") + "-";
    let kafka = Broker::shared().bootstrap();
    let collector = Collector::start(kafka, &["--kafka-topic-prefix", &prefix]);
    collector.send(&[ocf::header(schema, None), ocf::raw_block(1, body)].concat());
    collector.wait_delivered(1);
    let messages = consumer::read(kafka, &(prefix + &expected.topic), 1);
    assert_eq!(consumer::records(&messages), [expected.with_tag("agent_id", AGENT)]);
}

/// A record of a tag and two datapoints.
fn foreign() -> Record {
    let datapoint = |name: &str, time_ms, value| Datapoint { name: name.to_owned(), time_ms, value };
    Record {
        topic: "t".to_owned(),
        tags: vec![Tag::new("k", "v")],
        datapoints: vec![datapoint("n", -1, 2.0), datapoint("n", 1_470_000_000_000, 0.5)],
    }
}

/// An array of one block.
fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [ocf::size(items.len()), items.concat(), vec![0]].concat()
}

fn tags() -> Vec<u8> {
    array(&[[ocf::string("k"), ocf::string("v")].concat()])
}

fn double(value: f64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

#[test]
fn the_dialect_of_may_2016_is_read() {
    let schema = r#"{"type":"record","name":"MetricList","namespace":"dcos.metrics","fields":[
        {"name":"topic","type":"string"},
        {"name":"tags","type":{"type":"array","items":{"type":"record","name":"Tag","fields":[
            {"name":"key","type":"string"},{"name":"value","type":"string"}]}}},
        {"name":"metrics","type":{"type":"array","items":{"type":"record","name":"Metric","fields":[
            {"name":"name","type":"string"},
            {"name":"datapoints","type":{"type":"array","items":{"type":"record","name":"Datapoint","fields":[
                {"name":"time","type":"long"},{"name":"value","type":"double"}]}}}]}}}]}"#;
    let points =
        [[ocf::long(-1), double(2.0)].concat(), [ocf::long(1_470_000_000_000), double(0.5)].concat()];
    let metric = [ocf::string("n"), array(&points)].concat();
    check_schema(schema, &[ocf::string("t"), tags(), array(&[metric])].concat(), foreign());
}

#[test]
fn fields_in_another_order_and_more_of_them_are_read() {
    let schema = r#"{"type":"record","name":"Mine","fields":[
        {"name":"datapoints","type":{"type":"array","items":{"type":"record","name":"P","fields":[
            {"name":"value","type":"double"},{"name":"unit","type":{"type":"enum","name":"U","symbols":["A","B"]}},
            {"name":"name","type":"string"},{"name":"time_ms","type":"long"}]}}},
        {"name":"extra","type":{"type":"map","values":"string"}},
        {"name":"tags","type":{"type":"array","items":{"type":"record","name":"T","fields":[
            {"name":"value","type":"string"},{"name":"key","type":"string"}]}}},
        {"name":"topic","type":"string"}]}"#;
    let point = |time, value| [double(value), ocf::long(1), ocf::string("n"), ocf::long(time)].concat();
    let datapoints = array(&[point(-1, 2.0), point(1_470_000_000_000, 0.5)]);
    let extra = array(&[[ocf::string("a"), ocf::string("b")].concat()]);
    let tags = array(&[[ocf::string("v"), ocf::string("k")].concat()]);
    check_schema(schema, &[datapoints, extra, tags, ocf::string("t")].concat(), foreign());
}

#[test]
fn unions_with_null_are_read() {
    let schema = r#"{"type":"record","name":"MetricList","fields":[
        {"name":"topic","type":["null","string"]},
        {"name":"tags","type":["null",{"type":"array","items":{"type":"record","name":"T","fields":[
            {"name":"key","type":"string"},{"name":"value","type":["string","null"]}]}}]},
        {"name":"datapoints","type":{"type":"array","items":{"type":"record","name":"P","fields":[
            {"name":"name","type":"string"},{"name":"time_ms","type":["null","long"]},
            {"name":"value","type":["null","double"]}]}}}]}"#;
    let point =
        |time, value| [ocf::string("n"), ocf::long(1), ocf::long(time), ocf::long(1), double(value)].concat();
    let tags = array(&[[ocf::string("k"), ocf::long(0), ocf::string("v")].concat()]);
    let datapoints = array(&[point(-1, 2.0), point(1_470_000_000_000, 0.5)]);
    let body = [ocf::long(1), ocf::string("t"), ocf::long(1), tags, datapoints].concat();
    check_schema(schema, &body, foreign());
}

#[test]
fn smaller_numbers_and_bytes_for_strings_are_read() {
    let schema = r#"{"type":"record","name":"MetricList","fields":[
        {"name":"topic","type":"bytes"},
        {"name":"tags","type":{"type":"array","items":{"type":"record","name":"T","fields":[
            {"name":"key","type":"bytes"},{"name":"value","type":"bytes"}]}}},
        {"name":"datapoints","type":{"type":"array","items":{"type":"record","name":"P","fields":[
            {"name":"name","type":"bytes"},{"name":"time_ms","type":"int"},{"name":"value","type":"float"}]}}}]}"#;
    let point = |time, value: f32| [ocf::string("n"), ocf::long(time), value.to_le_bytes().to_vec()].concat();
    let mut expected = foreign();
    expected.datapoints[1].time_ms = i64::from(i32::MAX);
    let datapoints = array(&[point(-1, 2.0), point(i64::from(i32::MAX), 0.5)]);
    check_schema(schema, &[ocf::string("t"), tags(), datapoints].concat(), expected);
}

/// Sends this between two good blocks. It is refused for `reason`, and the good ones arrive.
fn check_limit(args: &[&str], what: &str, reason: &str, refused_block: impl Fn(&Record) -> Vec<u8>) {
    let line = Line::start(args);
    let record = Record::numbered(&line.topic, 1);
    line.collector.send(&[header(), line.block(0..1), refused_block(&record), line.block(2..3)].concat());
    line.check_arrived(&[0, 2]);
    assert_eq!(line.collector.metric(&refused(what, reason)), 1, "{what} refused for {reason}");
}

#[test]
fn a_block_over_its_limit_is_refused() {
    let args = ["--input-block-bytes-max", "1KiB", "--input-record-bytes-max", "1KiB"];
    check_limit(&args, "blocks", "too_large", |record| {
        ocf::block(&[record.clone().with_tag("long", &"x".repeat(1024))])
    });
}

#[test]
fn a_block_over_its_limit_when_decompressed_is_refused() {
    let others = ["--input-block-bytes-max", "1KiB", "--input-record-bytes-max", "1KiB"];
    let line = Line::start(&[&["--input-decompressed-bytes-max", "1KiB"], &others[..]].concat());
    let packed = |records: &[Record]| {
        ocf::raw_block(records.len(), &zstd::bulk::compress(&ocf::bodies(records), 3).unwrap())
    };
    let long = Record::numbered(&line.topic, 1).with_tag("long", &"x".repeat(1024));
    let good = packed(&line.records(0..1));
    line.collector.send(&[ocf::header(ocf::SCHEMA, Some("zstandard")), packed(&[long]), good].concat());
    line.check_arrived(&[0]);
    assert_eq!(line.collector.metric(&refused("blocks", "decompressed_too_large")), 1);
}

#[test]
fn a_record_over_its_limit_is_refused() {
    check_limit(&["--input-record-bytes-max", "1KiB"], "records", "too_large", |record| {
        ocf::block(&[record.clone().with_tag("long", &"x".repeat(1024))])
    });
}

#[test]
fn a_record_with_too_many_tags_is_refused() {
    check_limit(&["--input-record-tags-max", "2"], "records", "too_many_tags", |record| {
        ocf::block(&[record.clone().with_tag("a", "").with_tag("b", "")])
    });
}

#[test]
fn a_record_with_too_many_datapoints_is_refused() {
    check_limit(&["--input-record-datapoints-max", "1"], "records", "too_many_datapoints", |record| {
        let datapoints = [&record.datapoints[..], &record.datapoints].concat();
        ocf::block(&[Record { datapoints, ..record.clone() }])
    });
}

#[test]
fn a_header_over_its_limits_ends_its_connection() {
    let line = Line::start(&["--input-header-bytes-max", "1KiB", "--input-header-entries-max", "2"]);
    let long = ocf::header(&(ocf::SCHEMA.to_owned() + &" ".repeat(1024)), Some("null"));
    let many = [&b"Obj\x01"[..], &ocf::long(3)].concat();
    for (header, reason) in [(long, "header_too_large"), (many, "header_entries")] {
        let mut sender = line.collector.sender();
        sender.send(&header);
        assert_eq!(sender.wait_ending(), Ending::Reset, "{reason}");
        line.collector.wait_metric(&ended(reason), 1);
    }
    line.collector.send(&[header(), line.block(0..1)].concat());
    line.check_arrived(&[0]);
}

#[test]
fn strange_strings_and_numbers_pass_unchanged() {
    let line = Line::start(&[]);
    // Written by hand: no reader of text could hold these.
    let tag = [ocf::string(b"\xFF\xFE\0"), ocf::string("")].concat();
    let datapoint = |value: f64| [ocf::string(""), ocf::long(-1), value.to_le_bytes().to_vec()].concat();
    let datapoints = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0].map(datapoint).concat();
    let twice = [ocf::long(2), tag.clone(), tag].concat();
    let body = [ocf::string(&line.topic), twice, vec![0], ocf::long(4), datapoints.clone(), vec![0]].concat();
    line.collector.send(&[header(), ocf::raw_block(1, &body)].concat());
    line.collector.wait_delivered(1);
    let messages = consumer::read_messages(Broker::shared().bootstrap(), &line.topic, 1);
    let value = &messages[0].value;
    let tags_and_ours =
        [ocf::string(b"\xFF\xFE\0"), ocf::string(""), ocf::string(b"\xFF\xFE\0"), ocf::string("")];
    for part in [tags_and_ours.concat(), datapoints] {
        assert!(value.windows(part.len()).any(|w| w == part), "{part:?} is not in {value:?}");
    }
}

#[test]
fn each_kind_of_refusal_is_logged_with_its_own_number() {
    let line = Line::start(&["--input-record-tags-max", "2"]);
    let tagged = Record::numbered(&line.topic, 0).with_tag("a", "").with_tag("b", "");
    let bad = |records| ocf::raw_block(records, &ocf::bodies(&line.records(1..2)));
    let blocks = [bad(2), ocf::raw_block(1, &[1]), bad(3), ocf::block(&[tagged.clone(), tagged])].concat();
    line.collector.send(&[header(), blocks, line.block(2..3)].concat());
    line.check_arrived(&[2]);
    let logged = |reason: &str, count: &str| {
        let lines = line.collector.log();
        let of_reason = lines.iter().filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let fields = if line["fields"].is_object() { line["fields"].clone() } else { line };
            (fields["reason"] == reason).then(|| fields[count].as_u64())
        });
        of_reason.collect::<Vec<_>>()
    };
    assert_eq!(logged("count_mismatch", "blocks"), [Some(2)]);
    assert_eq!(logged("bad_record", "blocks"), [Some(1)]);
    assert_eq!(logged("too_many_tags", "records"), [Some(2)]);
}

#[test]
fn the_log_of_records_has_none_of_a_refused_block() {
    let line = Line::start(&["--record-input-log"]);
    let refused = ocf::raw_block(3, &ocf::bodies(&line.records(0..2)));
    line.collector.send(&[header(), refused, line.block(2..4)].concat());
    line.check_arrived(&[2, 3]);
    let log = line.collector.log();
    let logged = log.iter().filter(|line| line.contains("RECORD IN"));
    let numbers: Vec<bool> =
        logged.map(|line| line.contains("number=2@") || line.contains("number=3@")).collect();
    assert_eq!(numbers, [true, true], "{log:#?}");
}
