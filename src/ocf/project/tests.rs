//! Projections of hand-made bytes; [`oracle`] compares random schemas and records with apache-avro.

use proptest::prelude::*;

use super::*;
use crate::ocf::resolve::{Plan, plan};
use crate::ocf::testing::{DATAPOINTS, METRICS, TAGS, TOPIC, schema_of};
use crate::ocf::varint::{write_bytes, write_long};

mod oracle;

fn projection(fields: &[&str]) -> std::sync::Arc<Projection> {
    projection_of(&schema_of(fields))
}

fn projection_of(schema_text: &str) -> std::sync::Arc<Projection> {
    match plan(schema_text.as_bytes()) {
        Ok(Plan::Project(projection)) => projection,
        other => panic!("{schema_text}: {other:?}"),
    }
}

/// With a field before ours.
fn with_extra(schema: &str) -> std::sync::Arc<Projection> {
    projection(&[&format!(r#"{{"name":"x","type":{schema}}}"#), TOPIC, TAGS, DATAPOINTS])
}

/// Bytes from numbers, strings and the rest, as Avro writes them.
fn avro(pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            L(long) => write_long(*long, &mut out),
            S(bytes) => write_bytes(bytes, &mut out),
            D(double) => out.extend(double.to_le_bytes()),
            R(bytes) => out.extend(*bytes),
        }
    }
    out
}

#[derive(Clone, Copy)]
enum Piece<'a> {
    L(i64),
    S(&'a [u8]),
    D(f64),
    R(&'a [u8]),
}
use Piece::{D, L, R, S};

/// What stands before and behind must not matter.
fn project_with(
    projection: &Projection,
    limits: &Limits,
    record: &[u8],
) -> (Result<Projected, NoRecord>, Vec<u8>) {
    let before = b"before";
    let mut out = before.to_vec();
    let input = [record, &[0x55; 3]].concat();
    let result = projection.project(&input, limits, &mut Scratch::default(), &mut out);
    assert!(out.starts_with(before));
    (result, out.split_off(before.len()))
}

#[track_caller]
fn check(projection: &Projection, record: &[u8], expected: &[u8]) {
    let (result, out) = project_with(projection, &Limits::default(), record);
    assert_eq!(result, Ok(Projected { consumed: record.len(), outcome: Ok(()) }));
    assert_eq!(out, expected);
}

#[track_caller]
fn check_fault(projection: &Projection, limits: &Limits, record: &[u8], expected: RecordFault) {
    let (result, out) = project_with(projection, limits, record);
    assert_eq!(result, Ok(Projected { consumed: record.len(), outcome: Err(expected) }));
    assert_eq!(out, b"", "nothing is left behind");
}

#[track_caller]
fn check_lost(projection: &Projection, record: &[u8]) {
    let mut out = Vec::new();
    let result = projection.project(record, &Limits::default(), &mut Scratch::default(), &mut out);
    assert_eq!((result, out), (Err(NoRecord), Vec::new()));
}

/// Our record with one tag and two datapoints, strings that are no UTF-8, and numbers of all kinds.
fn ours() -> Vec<u8> {
    avro(&[
        S(b"top\xff"),
        L(1),
        S(b"k\xfe"),
        S(b""),
        L(0),
        L(2),
        S(b""),
        L(i64::MIN),
        D(f64::INFINITY),
        S(b"\0n"),
        L(7),
        D(-0.0),
        L(0),
    ])
}

#[test]
fn the_dialect_of_may_2016_is_flattened_in_its_order() {
    let record = avro(&[
        S(b"t"),
        L(1),
        S(b"k"),
        S(b"v"),
        L(0),
        L(2),
        S(b"a"),
        L(2),
        L(1),
        D(1.5),
        L(-1),
        D(2.5),
        L(0),
        S(b"b\xff"),
        L(0),
        L(1),
        S(b"c"),
        L(1),
        L(9),
        D(f64::NEG_INFINITY),
        L(0),
        L(0),
    ]);
    let expected = avro(&[
        S(b"t"),
        L(1),
        S(b"k"),
        S(b"v"),
        L(0),
        L(3),
        S(b"a"),
        L(1),
        D(1.5),
        S(b"a"),
        L(-1),
        D(2.5),
        S(b"c"),
        L(9),
        D(f64::NEG_INFINITY),
        L(0),
    ]);
    check(&projection(&[TOPIC, TAGS, METRICS]), &record, &expected);
}

#[test]
fn a_metric_may_have_its_name_behind_its_datapoints() {
    let reversed = r#"{"name":"metrics","type":{"type":"array","items":{"type":"record","name":"Metric","fields":[
        {"name":"datapoints","type":{"type":"array","items":{"type":"record","name":"Datapoint","fields":[
            {"name":"value","type":"int"},{"name":"x","type":"string"},{"name":"time","type":"long"}]}}},
        {"name":"y","type":"boolean"},
        {"name":"name","type":"string"}]}}}"#;
    let record = avro(&[
        L(2),
        L(1),
        L(5),
        S(b"x"),
        L(1),
        L(-1),
        L(3),
        L(6),
        S(b""),
        L(2),
        L(0),
        R(b"\x01"),
        S(b"a"),
        L(0),
        R(b"\x00"),
        S(b"b"),
        L(0),
        S(b"t"),
    ]);
    let expected = avro(&[S(b"t"), L(0), L(2), S(b"a"), L(1), D(5.0), S(b"a"), L(2), D(6.0), L(0)]);
    check(&projection(&[reversed, TOPIC]), &record, &expected);
}

#[test]
fn bytes_of_strings_and_numbers_pass_unchanged() {
    let projection = projection(&[DATAPOINTS, TOPIC, TAGS]);
    let nan = f64::from_bits(0xfff8_dead_beef_0001);
    let record =
        avro(&[L(1), S(b"\xff\xfe\0"), L(i64::MAX), D(nan), L(0), S(b"\xc3"), L(1), S(b""), S(b""), L(0)]);
    let expected =
        avro(&[S(b"\xc3"), L(1), S(b""), S(b""), L(0), L(1), S(b"\xff\xfe\0"), L(i64::MAX), D(nan), L(0)]);
    check(&projection, &record, &expected);
}

#[test]
fn arrays_in_blocks_of_both_signs_become_one() {
    let item = avro(&[S(b"n"), L(3), D(1.0)]);
    let projection = projection(&[TOPIC, DATAPOINTS, TAGS]);
    let size = varint::length(item.len());
    let record = avro(&[
        S(b"t"),
        L(-2),
        L(2 * size),
        R(&item),
        R(&item),
        L(1),
        R(&item),
        L(-1),
        L(size),
        R(&item),
        L(0),
        L(-1),
        L(4),
        S(b"k"),
        S(b"v"),
        L(0),
    ]);
    let expected = avro(&[S(b"t"), L(1), S(b"k"), S(b"v"), L(0), L(4), R(&item.repeat(4)), L(0)]);
    check(&projection, &record, &expected);

    for wrong in [0, size - 1, size + 1, i64::MAX] {
        let record = avro(&[S(b"t"), L(-1), L(wrong), R(&item), L(0), L(0)]);
        check_lost(&projection, &record);
    }
    check_lost(&projection, &avro(&[S(b"t"), L(-1), L(-1), R(&item), L(0), L(0)]));
}

#[test]
fn without_tags_a_record_gets_none() {
    let record = avro(&[S(b"t"), L(1), S(b"n"), L(1), D(1.0), L(0)]);
    let expected = avro(&[S(b"t"), L(0), L(1), S(b"n"), L(1), D(1.0), L(0)]);
    check(&projection(&[TOPIC, DATAPOINTS]), &record, &expected);
}

#[test]
fn numbers_are_promoted() {
    for (schema, bytes, expected) in [
        (r#""int""#, avro(&[L(-3)]), -3.0),
        (r#""long""#, avro(&[L(i64::MAX)]), 9_223_372_036_854_775_807.0),
        (r#""float""#, 0.1f32.to_le_bytes().to_vec(), f64::from(0.1f32)),
        (r#"["null","double","float"]"#, avro(&[L(1), D(0.1)]), 0.1),
    ] {
        let datapoints = DATAPOINTS.replace(r#""double""#, schema);
        let record = avro(&[S(b"t"), L(1), S(b"n"), L(1), R(&bytes), L(0)]);
        let expected = avro(&[S(b"t"), L(0), L(1), S(b"n"), L(1), D(expected), L(0)]);
        check(&projection(&[TOPIC, &datapoints]), &record, &expected);
    }
}

#[test]
fn time_gives_way_to_time_ms() {
    let both =
        DATAPOINTS.replace(r#"{"name":"time_ms""#, r#"{"name":"time","type":"string"},{"name":"time_ms""#);
    let record = avro(&[S(b"t"), L(1), S(b"n"), S(b"noon"), L(5), D(1.0), L(0)]);
    let expected = avro(&[S(b"t"), L(0), L(1), S(b"n"), L(5), D(1.0), L(0)]);
    check(&projection(&[TOPIC, &both]), &record, &expected);
}

#[test]
fn fields_of_every_type_are_passed_over() {
    let tree = r#"{"type":"record","name":"Tree","fields":[{"name":"v","type":"string"},{"name":"below","type":{"type":"array","items":"Tree"}}]}"#;
    for (schema, bytes) in [
        (r#""boolean""#, b"\x01".to_vec()),
        (r#""int""#, avro(&[L(-70_000)])),
        (r#""long""#, avro(&[L(i64::MIN)])),
        (r#""float""#, vec![1; 4]),
        (r#""double""#, vec![2; 8]),
        (r#""string""#, avro(&[S(b"some\xff")])),
        (r#"{"type":"string","logicalType":"uuid"}"#, avro(&[S(b"no uuid")])),
        (r#"{"type":"bytes","logicalType":"decimal","precision":4}"#, avro(&[S(b"")])),
        (r#"{"type":"fixed","name":"F","size":5}"#, vec![3; 5]),
        (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, avro(&[L(1)])),
        (r#"["null","string"]"#, avro(&[L(0)])),
        (r#"["null","string"]"#, avro(&[L(1), S(b"some")])),
        (
            r#"{"type":"array","items":"string"}"#,
            avro(&[L(2), S(b"a"), S(b"b"), L(-1), L(3), R(b"???"), L(0)]),
        ),
        (r#"{"type":"array","items":"double"}"#, avro(&[L(2), D(1.0), D(2.0), L(0)])),
        (r#"{"type":"map","values":"int"}"#, avro(&[L(1), S(b"a"), L(1), L(-9), L(2), R(b"??"), L(0)])),
        (r#"{"type":"map","values":"null"}"#, avro(&[L(2), S(b"a"), S(b"b"), L(0)])),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"float"},{"name":"b","type":"null"},{"name":"c","type":"boolean"}]}"#,
            vec![4; 5],
        ),
        (tree, avro(&[S(b"1"), L(2), S(b"2"), L(0), S(b"3"), L(1), S(b"4"), L(0), L(0), L(0)])),
    ] {
        let record = [bytes, ours()].concat();
        check(&with_extra(schema), &record, &ours());
    }
}

#[test]
fn items_without_bytes_cost_nothing_however_many() {
    for items in [
        r#""null""#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"null"}]}"#,
        r#"{"type":"fixed","name":"F","size":0}"#,
    ] {
        let record = [avro(&[L(1 << 62), L(i64::MAX), L(0)]), ours()].concat();
        check(&with_extra(&format!(r#"{{"type":"array","items":{items}}}"#)), &record, &ours());
    }
    let nested = r#"{"type":"array","items":{"type":"array","items":"null"}}"#;
    check_lost(&with_extra(nested), &[avro(&[L(1 << 62)]), vec![0; 1000]].concat());
    let doubles = with_extra(r#"{"type":"array","items":"double"}"#);
    check_lost(&doubles, &[avro(&[L(1 << 61)]), vec![0; 1000]].concat());
}

#[test]
fn records_of_records_cost_no_more_than_their_bytes() {
    // Each type holds the one before it twice, down to one without bytes; then to one with a byte.
    let doubled = |leaf: &str| {
        let leaf = format!(r#"{{"type":"record","name":"R0","fields":[{{"name":"a","type":"{leaf}"}}]}}"#);
        let types: Vec<String> = (1..60)
            .map(|i| format!(r#"{{"name":"x{i}","type":["null",{{"type":"record","name":"R{i}","fields":[{{"name":"a","type":"R{0}"}},{{"name":"b","type":"R{0}"}}]}}]}}"#, i - 1))
            .collect();
        projection(&[
            &format!(r#"{{"name":"x0","type":["null",{leaf}]}}"#),
            &types.join(","),
            TOPIC,
            TAGS,
            DATAPOINTS,
        ])
    };
    let branches = [vec![0; 59], avro(&[L(1)])].concat();
    check(&doubled("null"), &[branches.clone(), ours()].concat(), &ours());
    check_lost(&doubled("boolean"), &[branches, ours()].concat());
}

#[test]
fn a_record_may_hold_the_one_around_it() {
    // A link wraps the node that it is a field of: it is compiled while that node is not yet known.
    let wraps = |fields: &str| {
        let link = format!(r#"{{"type":"record","name":"Wrap","fields":[{fields}]}}"#);
        with_extra(&format!(
            r#"{{"type":"record","name":"Node","fields":[{{"name":"next","type":["null",{link}]}}]}}"#
        ))
    };
    let node = r#"{"name":"node","type":"Node"}"#;
    let links = avro(&[L(1), L(1), L(1), L(0)]);
    check(&wraps(node), &[links.clone(), ours()].concat(), &ours());

    let (flag, size) = (r#"{"name":"flag","type":"boolean"}"#, r#"{"name":"size","type":"double"}"#);
    let behind = [avro(&[L(1), L(1), L(0)]), vec![9; 2 * 9], ours()].concat();
    check(&wraps(&[node, flag, size].join(",")), &behind, &ours());
    let before = [avro(&[L(1)]), vec![9; 9], avro(&[L(1)]), vec![9; 9], avro(&[L(0)]), ours()].concat();
    check(&wraps(&[flag, size, node].join(",")), &before, &ours());
    let between = [avro(&[L(1), R(&[9]), L(0)]), vec![9; 8], ours()].concat();
    check(&wraps(&[flag, node, size].join(",")), &between, &ours());
}

#[test]
fn a_value_nested_too_deep_loses_the_block() {
    let projection =
        with_extra(r#"{"type":"record","name":"A","fields":[{"name":"a","type":["null","A"]}]}"#);
    let deep = |depth: usize| [avro(&[L(1)]).repeat(depth), avro(&[L(0)]), ours()].concat();
    check(&projection, &deep(VALUE_DEPTH_MAX - 2), &ours());
    check_lost(&projection, &deep(VALUE_DEPTH_MAX));
    check_lost(&projection, &deep(1_000_000));
}

#[test]
fn what_is_no_value_of_the_schema_loses_the_block() {
    let string = with_extra(r#""string""#);
    check_lost(&string, &avro(&[L(-1), R(&ours())]));
    check_lost(&string, &avro(&[L(i64::MAX), R(&ours())]));
    check_lost(&string, &[0xff; 20]);
    let union = with_extra(r#"["null","string"]"#);
    check_lost(&union, &avro(&[L(2), R(&ours())]));
    check_lost(&union, &avro(&[L(-1), R(&ours())]));
    let symbols = with_extra(r#"{"type":"enum","name":"E","symbols":["A","B"]}"#);
    check_lost(&symbols, &avro(&[L(2), R(&ours())]));
    let fixed = with_extra(&format!(r#"{{"type":"fixed","name":"F","size":{}}}"#, u64::MAX));
    check_lost(&fixed, &ours());
    for count in [i64::MAX, i64::MIN, 1 << 40] {
        check_lost(&projection(&[TOPIC, DATAPOINTS]), &avro(&[S(b"t"), L(count), L(1), R(&[1; 60])]));
    }
}

#[test]
fn a_branch_that_is_not_ours_costs_its_record_alone() {
    let nullable = DATAPOINTS.replace(r#""string""#, r#"["null","string",{"type":"array","items":"int"}]"#);
    let projection = projection(&[r#"{"name":"topic","type":["string","null"]}"#, TAGS, &nullable]);
    let good = avro(&[L(0), S(b"t"), L(0), L(1), L(1), S(b"n"), L(1), D(1.0), L(0)]);
    let no_topic = avro(&[L(1), L(0), L(1), L(1), S(b"n"), L(1), D(1.0), L(0)]);
    let no_name = avro(&[
        L(0),
        S(b"t"),
        L(0),
        L(2),
        L(2),
        L(2),
        L(7),
        L(8),
        L(0),
        L(1),
        D(1.0),
        L(1),
        S(b"n"),
        L(1),
        D(1.0),
        L(0),
    ]);
    let limits = Limits::default();
    check_fault(&projection, &limits, &no_topic, RecordFault::Unresolvable);
    check_fault(&projection, &limits, &no_name, RecordFault::Unresolvable);

    let expected = avro(&[S(b"t"), L(0), L(1), S(b"n"), L(1), D(1.0), L(0)]);
    let (mut out, mut scratch, mut at) = (Vec::new(), Scratch::default(), 0);
    let block = [&good[..], &no_topic, &no_name, &good].concat();
    let mut outcomes = Vec::new();
    while at < block.len() {
        let projected = projection.project(&block[at..], &limits, &mut scratch, &mut out).unwrap();
        at += projected.consumed;
        outcomes.push(projected.outcome.is_ok());
    }
    assert_eq!((outcomes, out), (vec![true, false, false, true], expected.repeat(2)));
}

#[test]
fn a_union_may_be_around_the_record() {
    let ours_text = schema_of(&[TOPIC, TAGS, DATAPOINTS]);
    let projection = projection_of(&format!(r#"["null","string",{ours_text}]"#));
    check(&projection, &avro(&[L(2), R(&ours())]), &ours());
    check_fault(&projection, &Limits::default(), &avro(&[L(0)]), RecordFault::Unresolvable);
    check_fault(&projection, &Limits::default(), &avro(&[L(1), S(b"some")]), RecordFault::Unresolvable);
}

#[test]
fn limits_cost_a_record_and_say_which() {
    let projection = projection(&[TAGS, TOPIC, DATAPOINTS]);
    let tag = avro(&[S(b"k"), S(b"v")]);
    let datapoint = avro(&[S(b"n"), L(1), D(1.0)]);
    let record = avro(&[L(3), R(&tag.repeat(3)), L(0), S(b"t"), L(3), R(&datapoint.repeat(3)), L(0)]);
    let just =
        Limits { record_tags: 3, record_datapoints: 3, record_bytes: record.len(), ..Limits::default() };
    let (result, _) = project_with(&projection, &just, &record);
    assert_eq!(result.unwrap().outcome, Ok(()));
    for (limits, expected) in [
        (Limits { record_tags: 2, ..just.clone() }, RecordFault::TooManyTags),
        (Limits { record_datapoints: 2, ..just.clone() }, RecordFault::TooManyDatapoints),
        (Limits { record_bytes: record.len() - 1, ..just.clone() }, RecordFault::TooLarge),
        (Limits { record_bytes: 0, ..just }, RecordFault::TooLarge),
    ] {
        check_fault(&projection, &limits, &record, expected);
    }
}

#[test]
fn a_record_that_is_too_large_only_as_ours_leaves_nothing_behind() {
    let datapoints = DATAPOINTS.replace(r#""double""#, r#""int""#);
    let record = avro(&[S(&[b't'; 100]), L(1), S(b"n"), L(1), L(1), L(0)]);
    let limits = Limits { record_bytes: record.len() + 3, ..Limits::default() };
    check_fault(&projection(&[TOPIC, &datapoints]), &limits, &record, RecordFault::TooLarge);
}

#[test]
fn of_two_reasons_the_first_is_told() {
    let projection = projection(&[TOPIC, DATAPOINTS, &TAGS.replace(r#""string""#, r#"["null","string"]"#)]);
    let record = avro(&[S(b"t"), L(1), S(b"n"), L(1), D(1.0), L(0), L(1), L(0), L(0), L(0)]);
    let limits = Limits { record_datapoints: 0, ..Limits::default() };
    check_fault(&projection, &Limits::default(), &record, RecordFault::Unresolvable);
    check_fault(&projection, &limits, &record, RecordFault::TooManyDatapoints);
}

#[test]
fn a_long_extra_field_counts_towards_the_records_bytes() {
    let record = [avro(&[S(&[b'x'; 5000])]), ours()].concat();
    let limits = Limits { record_bytes: 4096, ..Limits::default() };
    check_fault(&with_extra(r#""string""#), &limits, &record, RecordFault::TooLarge);
}

#[test]
fn a_name_repeated_a_thousand_times_stays_within_the_limit() {
    let projection = projection(&[TOPIC, TAGS, METRICS]);
    let name = vec![b'n'; 500_000];
    let datapoint = avro(&[L(1), D(1.0)]);
    let record = avro(&[S(b"t"), L(0), L(1), S(&name), L(10_000), R(&datapoint.repeat(10_000)), L(0), L(0)]);
    let (mut out, mut scratch) = (Vec::new(), Scratch::default());
    let limits = Limits::default();
    let projected = projection.project(&record, &limits, &mut scratch, &mut out).unwrap();
    assert_eq!(projected, Projected { consumed: record.len(), outcome: Err(RecordFault::TooLarge) });
    assert_eq!(out.capacity(), 0);
    assert!(scratch.datapoints.capacity() <= 2 * limits.record_bytes);

    let small = avro(&[S(b"t"), L(0), L(0)]);
    projection.project(&small, &limits, &mut scratch, &mut out).unwrap().outcome.unwrap();
    assert!(scratch.datapoints.capacity() <= SCRATCH_BYTES_KEPT);
}

#[test]
fn every_cut_of_a_record_loses_the_block() {
    let tree = r#"{"type":"record","name":"Tree","fields":[{"name":"v","type":"string"},{"name":"below","type":{"type":"array","items":"Tree"}}]}"#;
    let extra = avro(&[S(b"1"), L(2), S(b"2"), L(0), S(b"3"), L(-1), L(3), S(b"4"), L(0), L(0)]);
    let record = [extra, ours()].concat();
    let projection = with_extra(tree);
    for cut in 0..record.len() {
        check_lost(&projection, &record[..cut]);
    }
}

/// Schemas with every kind of node.
fn schemas() -> Vec<std::sync::Arc<Projection>> {
    let tree = r#"{"type":"record","name":"Tree","fields":[{"name":"v","type":["null","string","Tree"]},{"name":"below","type":{"type":"map","values":"Tree"}}]}"#;
    let any = r#"["int",{"type":"enum","name":"E","symbols":["A"]},{"type":"array","items":["null","double",{"type":"fixed","name":"F","size":3}]}]"#;
    vec![
        projection(&[TOPIC, TAGS, METRICS]),
        projection(&[TAGS, DATAPOINTS, TOPIC]),
        with_extra(tree),
        with_extra(any),
        projection(&[
            r#"{"name":"topic","type":["null","string"]}"#,
            &TAGS.replace(r#""type":"string""#, r#""type":["int","string","null"]"#),
            &DATAPOINTS.replace(r#""double""#, r#"["null","float","long"]"#),
        ]),
    ]
}

proptest! {
    #[test]
    fn any_bytes_end_within_their_limits(
        bytes in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..400),
        which in 0..5usize,
        record_bytes in 0..300usize,
    ) {
        let projection = &schemas()[which];
        let limits = Limits { record_bytes, record_tags: 5, record_datapoints: 5, ..Limits::default() };
        let (mut at, mut scratch) = (0, Scratch::default());
        while at < bytes.len() {
            let mut out = Vec::new();
            let Ok(projected) = projection.project(&bytes[at..], &limits, &mut scratch, &mut out) else {
                prop_assert!(out.is_empty());
                break;
            };
            prop_assert!(projected.consumed > 0 && at + projected.consumed <= bytes.len());
            match projected.outcome {
                Ok(()) => {
                    prop_assert!(out.len() <= record_bytes && projected.consumed <= record_bytes);
                    let shape = crate::ocf::walk(&out, 0).unwrap();
                    prop_assert_eq!(shape.span.end, out.len());
                    prop_assert!(shape.tags <= 5 && shape.datapoints <= 5);
                }
                Err(_) => prop_assert!(out.is_empty()),
            }
            at += projected.consumed;
        }
    }
}
