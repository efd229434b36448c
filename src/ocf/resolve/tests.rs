//! Schema texts and what becomes of them.

use super::*;
use crate::ocf::METRIC_LIST;
use crate::ocf::testing::{DATAPOINTS, METRICS, TAGS, TOPIC, schema_of as record};

fn field(name: &str, schema: &str) -> String {
    format!(r#"{{"name":"{name}","type":{schema}}}"#)
}

/// A datapoint whose fields have these types.
fn datapoints(name: &str, time: &str, value: &str) -> String {
    DATAPOINTS
        .replace(r#""name","type":"string""#, &format!(r#""name","type":{name}"#))
        .replace(r#""time_ms","type":"long""#, &format!(r#""time_ms","type":{time}"#))
        .replace(r#""value","type":"double""#, &format!(r#""value","type":{value}"#))
}

/// What becomes of a schema, as the code calls it: `Native`, `Project`, or a fault without what it says beside.
fn name_of(schema_text: &str) -> String {
    let made = plan(schema_text.as_bytes());
    let text = made.map_or_else(|fault| format!("{fault:?}"), |plan| format!("{plan:?}"));
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[track_caller]
fn check(schema_text: &str, expected: &str) {
    assert_eq!(name_of(schema_text), expected, "{schema_text}: {:?}", plan(schema_text.as_bytes()));
}

#[track_caller]
fn says(schema_text: &str, expected: &str) {
    assert_eq!(plan(schema_text.as_bytes()).unwrap_err().to_string(), expected, "{schema_text}");
}

#[test]
fn what_has_our_bytes_is_native() {
    check(METRIC_LIST, "Native");
    check(&record(&[TOPIC, TAGS, DATAPOINTS]), "Native");
    // A full name and no namespace, as fastavro writes it.
    check(
        &METRIC_LIST
            .replace(
                r#""name":"MetricList","namespace":"dcos.metrics""#,
                r#""name":"dcos.metrics.MetricList""#,
            )
            .replace(r#""name":"Tag","namespace":"dcos.metrics""#, r#""name":"dcos.metrics.Tag""#)
            .replace(
                r#""name":"Datapoint","namespace":"dcos.metrics""#,
                r#""name":"dcos.metrics.Datapoint""#,
            ),
        "Native",
    );
    // Docs, defaults, aliases, orders and attributes, some of which apache-avro itself would refuse.
    check(
        &METRIC_LIST
            .replace(r#""name":"topic""#, r#""name":"topic","doc":"where","order":"ignore","default":7"#)
            .replace(r#""name":"Tag""#, r#""name":"Tag","aliases":["9 lives"],"x":{"y":[]}"#),
        "Native",
    );
    // May 2016, from the 11th to the 13th.
    check(&METRIC_LIST.replace("time_ms", "time"), "Native");
    check(&METRIC_LIST.replace("MetricList", "Other").replace("dcos.metrics", "org.example"), "Native");
    // Same bytes: int for long, bytes for string, fields without bytes, any logical type.
    check(
        &record(&[
            r#"{"name":"topic","type":"bytes"}"#,
            TAGS,
            &datapoints(r#""bytes""#, r#""int""#, r#""double""#),
        ]),
        "Native",
    );
    check(&record(&[&field("x", r#""null""#), TOPIC, TAGS, DATAPOINTS]), "Native");
    check(&METRIC_LIST.replace("timestamp-millis", "date"), "Native");
    check(
        &METRIC_LIST.replace(r#""type":"long""#, r#""type":{"type":"long","logicalType":"time-micros"}"#),
        "Native",
    );
}

#[test]
fn what_has_other_bytes_is_projected() {
    for fields in [
        [TAGS, TOPIC, DATAPOINTS],
        [TOPIC, DATAPOINTS, TAGS],
        [TOPIC, TAGS, METRICS],
        [METRICS, TAGS, TOPIC],
        [TOPIC, TAGS, &datapoints(r#""string""#, r#""long""#, r#""float""#)],
        [TOPIC, TAGS, &datapoints(r#""string""#, r#""long""#, r#""int""#)],
        [TOPIC, TAGS, &datapoints(r#"["null","string"]"#, r#"["int","string","long"]"#, r#"["double"]"#)],
        [TOPIC, r#"{"name":"x","type":"int"}"#, DATAPOINTS],
        [r#"{"name":"topic","type":["null","string"]}"#, TAGS, DATAPOINTS],
    ] {
        check(&record(&fields), "Project");
    }
    check(&record(&[TOPIC, DATAPOINTS]), "Project");
    check(&record(&[TOPIC, TAGS, METRICS, DATAPOINTS.replace("Datapoint", "D2").as_str()]), "Project");
    check(&format!(r#"["null",{}]"#, record(&[TOPIC, TAGS, DATAPOINTS])), "Project");
    check(
        &format!(
            r#"[{{"type":"record","name":"Other","fields":[]}},{}]"#,
            record(&[TOPIC, TAGS, DATAPOINTS])
        ),
        "Project",
    );
    let in_null =
        |schema: &str| schema.replace(r#""type":{"#, r#""type":["null",{"#).replace("]}}}", "]}}]}");
    check(&record(&[TOPIC, &in_null(TAGS), &in_null(DATAPOINTS)]), "Project");
    // A type of the tag again, and one that holds itself, in fields that are not ours.
    check(&record(&[TOPIC, TAGS, &field("x", r#""Tag""#), DATAPOINTS]), "Project");
    let tree = r#"{"type":"record","name":"Tree","fields":[{"name":"below","type":{"type":"array","items":"Tree"}}]}"#;
    check(
        &record(&[
            TOPIC,
            TAGS,
            DATAPOINTS,
            &field("x", tree),
            &field("y", r#"{"type":"map","values":"Tree"}"#),
        ]),
        "Project",
    );
    // One record type for tags and datapoints.
    let both = r#"{"type":"record","name":"Both","fields":[{"name":"key","type":"string"},{"name":"name","type":"string"},
        {"name":"time","type":"long"},{"name":"value","type":["string","double"]}]}"#;
    let array = |items: &str| format!(r#"{{"type":"array","items":{items}}}"#);
    check(
        &record(&[TOPIC, &field("tags", &array(both)), &field("datapoints", &array(r#""Both""#))]),
        "Project",
    );
}

#[test]
fn what_lacks_a_field_says_which() {
    says(&record(&[TAGS, DATAPOINTS]), "field \"topic\" is missing");
    says(&record(&[TOPIC, TAGS]), "field \"datapoints\" is missing");
    says(&record(&[]), "field \"topic\" is missing");
    says(&record(&[TOPIC, &TAGS.replace("key", "k"), DATAPOINTS]), "field \"tags.key\" is missing");
    says(
        &record(&[TOPIC, &TAGS.replace("\"value\"", "\"v\""), DATAPOINTS]),
        "field \"tags.value\" is missing",
    );
    says(
        &record(&[TOPIC, TAGS, &DATAPOINTS.replace("time_ms", "at")]),
        "field \"datapoints.time_ms\" is missing",
    );
    says(
        &record(&[TOPIC, TAGS, &METRICS.replace("\"time\"", "\"at\"")]),
        "field \"metrics.datapoints.time\" is missing",
    );
    says(
        &record(&[TOPIC, TAGS, &METRICS.replace("\"datapoints\"", "\"d\"")]),
        "field \"metrics.datapoints\" is missing",
    );
    says(&format!(r#"["null",{}]"#, record(&[TAGS, DATAPOINTS])), "field \"topic\" is missing");
    check(&record(&[]), "MissingField");
}

#[test]
fn what_has_another_type_says_which() {
    for (schema, expected) in [
        (r#""int""#, "int"),
        (r#"["null","long"]"#, "union"),
        (r#"{"type":"fixed","name":"Id","size":16}"#, "fixed \"Id\""),
        (r#"{"type":"enum","name":"E","symbols":["A"]}"#, "enum \"E\""),
        (r#"{"type":"array","items":"string"}"#, "array"),
        (r#"{"type":"map","values":"string"}"#, "map"),
        (r#"{"type":"record","name":"R","fields":[]}"#, "record \"R\""),
    ] {
        let text = record(&[&field("topic", schema), TAGS, DATAPOINTS]);
        says(&text, &format!("field \"topic\" is {expected}, which cannot be read as string"));
    }
    for (datapoint, expected) in [
        (
            datapoints(r#""string""#, r#""double""#, r#""double""#),
            "field \"datapoints.time_ms\" is double, which cannot be read as long",
        ),
        (
            datapoints(r#""string""#, r#""string""#, r#""double""#),
            "field \"datapoints.time_ms\" is string, which cannot be read as long",
        ),
        (
            datapoints(r#""string""#, r#""long""#, r#""boolean""#),
            "field \"datapoints.value\" is boolean, which cannot be read as double",
        ),
        (
            datapoints(r#""string""#, r#""long""#, r#""string""#),
            "field \"datapoints.value\" is string, which cannot be read as double",
        ),
        (
            field("datapoints", r#""null""#),
            "field \"datapoints\" is null, which cannot be read as array of datapoints",
        ),
        (
            field("datapoints", r#"{"type":"array","items":"long"}"#),
            "field \"datapoints\" is array of long, which cannot be read as array of datapoints",
        ),
        (
            field("datapoints", r#"{"type":"map","values":"double"}"#),
            "field \"datapoints\" is map, which cannot be read as array of datapoints",
        ),
    ] {
        says(&record(&[TOPIC, TAGS, &datapoint]), expected);
    }
    for text in [
        r#""string""#,
        r#"["null","int"]"#,
        r#"{"type":"array","items":"int"}"#,
        r#"{"type":"map","values":"int"}"#,
    ] {
        check(text, "NotARecord");
    }
    says(r#""string""#, "schema is string, not a record");
}

#[test]
fn what_is_no_schema_says_why() {
    assert_eq!(plan(b"{\"type\":\"\xff\"}").unwrap_err(), SchemaFault::NotUtf8);
    for text in ["", "{", "{'a'}", "record", &"[".repeat(10_000), &r#"{"x":"#.repeat(5000)] {
        check(text, "NotJson");
    }
    for text in [
        "null",
        "7",
        "{}",
        "[]",
        r#""Unknown""#,
        r#"{"type":"record"}"#,
        r#"{"type":"record","name":"R"}"#,
        r#"{"type":"record","name":"R","fields":{}}"#,
        r#"{"type":"record","name":"R","fields":[7]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"x"}]}"#,
        r#"{"type":"record","name":"9","fields":[]}"#,
        r#"{"type":"enum","name":"E","symbols":{}}"#,
        r#"{"type":"fixed","name":"F","size":-1}"#,
        r#"["string","string"]"#,
        r#"["string",["null"]]"#,
    ] {
        assert!(["NotAvro", "NotARecord"].contains(&&*name_of(text)), "{text}: {}", name_of(text));
    }
    let twice = field("x", r#"{"type":"fixed","name":"Tag","size":1}"#);
    says(&record(&[TOPIC, TAGS, &twice, DATAPOINTS]), "schema is not Avro: type \"Tag\" is defined twice");
    let after = field("x", r#""Later""#);
    check(&record(&[&after, TOPIC, TAGS, DATAPOINTS]), "NotAvro");
}

#[test]
fn a_type_that_cannot_end_is_refused() {
    let endless = r#"{"type":"record","name":"A","fields":[{"name":"b","type":{"type":"record","name":"B","fields":[{"name":"a","type":"A"}]}}]}"#;
    says(&record(&[TOPIC, TAGS, DATAPOINTS, &field("x", endless)]), "type \"A\" holds itself without end");
    // By a detour: B is whole when A refers to it.
    let detour = r#"{"type":"record","name":"A","fields":[
        {"name":"may","type":["null",{"type":"record","name":"B","fields":[{"name":"a","type":"A"}]}]},
        {"name":"must","type":"B"}]}"#;
    says(&record(&[TOPIC, TAGS, DATAPOINTS, &field("x", detour)]), "type \"A\" holds itself without end");
    let may_end = endless.replace(r#""type":"A""#, r#""type":["null","A"]"#);
    check(&record(&[TOPIC, TAGS, DATAPOINTS, &field("x", &may_end)]), "Project");
}

#[test]
fn what_a_fault_quotes_is_short_and_harmless() {
    let name = format!("\\u001b[2J{}", "x".repeat(5000));
    let fault = plan(record(&[&field("topic", &format!("\"{name}\""))]).as_bytes()).unwrap_err().to_string();
    assert!(fault.len() < 300 && fault.chars().all(|c| !c.is_control()), "{fault}");
}

#[test]
fn what_is_over_a_cap_is_refused() {
    let nested = |depth: usize| {
        let inner = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(depth), "}".repeat(depth));
        record(&[TOPIC, TAGS, DATAPOINTS, &field("x", &inner)])
    };
    check(&nested(SCHEMA_DEPTH_MAX - 2), "Project");
    check(&nested(SCHEMA_DEPTH_MAX - 1), "TooDeep");

    let wide = |n: usize| {
        let fields: Vec<String> = (0..n).map(|i| field(&format!("x{i}"), "\"int\"")).collect();
        record(&[TOPIC, TAGS, DATAPOINTS, &fields.join(",")])
    };
    check(&wide(450), "Project");
    check(&wide(SCHEMA_NODES_MAX / 2), "TooLarge");

    let symbols = |n: usize| {
        let symbols: Vec<String> = (0..n).map(|i| format!("\"S{i}\"")).collect();
        field("x", &format!(r#"{{"type":"enum","name":"E","symbols":[{}]}}"#, symbols.join(",")))
    };
    check(&record(&[TOPIC, TAGS, DATAPOINTS, &symbols(900)]), "Project");
    check(&record(&[TOPIC, TAGS, DATAPOINTS, &symbols(SCHEMA_NODES_MAX)]), "TooLarge");

    let padded = |n: usize| format!("{}{}", record(&[TOPIC, TAGS, DATAPOINTS]), " ".repeat(n));
    let room = SCHEMA_BYTES_MAX - padded(0).len();
    check(&padded(room), "Native");
    check(&padded(room + 1), "TooLarge");
}

#[test]
fn a_small_text_cannot_make_a_large_program() {
    // Each branch of the outer union reads the same large type anew.
    let fields: Vec<String> = (0..150).map(|i| field(&format!("x{i}"), "[\"int\"]")).collect();
    let large = format!(
        r#"{{"type":"record","name":"D","fields":[{{"name":"name","type":"string"}},{{"name":"time","type":"long"}},{{"name":"value","type":"double"}},{}]}}"#,
        fields.join(",")
    );
    let branches: Vec<String> = (0..60)
        .map(|i| {
            let items = if i == 0 { large.clone() } else { "\"D\"".to_owned() };
            let datapoints = field("datapoints", &format!(r#"{{"type":"array","items":{items}}}"#));
            record(&[TOPIC, &datapoints]).replace("MetricList", &format!("L{i}"))
        })
        .collect();
    let text = format!("[{}]", branches.join(","));
    assert!(parse::parse(text.as_bytes()).is_ok(), "the text is within its caps");
    check(&text, "TooLarge");
}

#[test]
fn aliases_and_defaults_are_not_given_to_the_parser() {
    // Given to it, these would be copies of a large type by the thousand.
    let aliases: Vec<String> = (0..5000).map(|i| format!("\"A{i}\"")).collect();
    let fields: Vec<String> = (0..400).map(|i| field(&format!("x{i}"), "\"int\"")).collect();
    let text = format!(
        r#"{{"type":"record","name":"M","aliases":[{}],"fields":[{TOPIC},{TAGS},{DATAPOINTS},{}]}}"#,
        aliases.join(","),
        fields.join(",")
    );
    check(&text, "Project");
    let alias_used = record(&[
        TOPIC,
        &TAGS.replace("\"Tag\"", "\"Tag\",\"aliases\":[\"T\"]"),
        DATAPOINTS,
        &field("x", "\"T\""),
    ]);
    check(&alias_used, "NotAvro");
}
