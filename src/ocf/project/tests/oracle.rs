//! Random writers' schemas that resolve to ours, and random records of them: what we make of a record is what
//! apache-avro makes of it.

#![expect(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "random numbers may be any, and lengths are small"
)]

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{NamesRef, ResolvedSchema, Schema};
use apache_avro::types::Value;
use serde_json::{Value as Json, json};

use super::*;
use crate::ocf::{METRIC_LIST, SchemaFault};

/// A field's name, and what makes its type.
type Field = (&'static str, fn(&mut Dice) -> Json);

/// Pseudo-random choices that a seed repeats.
struct Dice {
    state: u64,
    /// Full names of types that are defined so far.
    defined: Vec<String>,
    /// Full names of the records whose fields are being made, and `n_around` where each began.
    open: Vec<(String, usize)>,
    /// Arrays, maps and unions around the type that is being made.
    n_around: usize,
    n_names: usize,
    /// Values that may still be made before arrays are empty and unions are on their first branch.
    n_values: usize,
}

/// Values of one record, about: a schema that refers to itself has no end of them.
const VALUES_MAX: usize = 300;

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice {
            state: seed,
            defined: Vec::new(),
            open: Vec::new(),
            n_around: 0,
            n_names: 0,
            n_values: VALUES_MAX,
        }
    }

    fn below(&mut self, n: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of(&mut self, options: &[Json]) -> Json {
        options[self.below(options.len())].clone()
    }

    fn name(&mut self) -> (String, Json) {
        self.n_names += 1;
        let namespace = ["a", "b.c"][self.below(2)];
        let name = format!("{namespace}.N{}", self.n_names);
        let attributes = if self.one_in(2) {
            json!({"name": name})
        } else {
            json!({"name": format!("N{}", self.n_names), "namespace": namespace})
        };
        (name, attributes)
    }

    /// A named type; `body` comes on top of its name. It can be referred to from now on.
    fn named(&mut self, kind: &str, body: Json) -> Json {
        let (name, attributes) = self.name();
        self.defined.push(name);
        merged(&[json!({"type": kind}), attributes, body])
    }

    /// A record with these fields and some that are not ours, in any order.
    fn record(&mut self, mut fields: Vec<Field>) -> Json {
        let other: fn(&mut Dice) -> Json = |dice| dice.extra(3);
        let others = [("x0", other), ("x1", other), ("x2", other)];
        fields.extend(&others[..self.below(4)]);
        for i in (1..fields.len()).rev() {
            fields.swap(i, self.below(i + 1));
        }
        self.record_of(&fields)
    }

    /// A record with these fields, which may refer to it from within an array, a map or a union.
    fn record_of(&mut self, fields: &[Field]) -> Json {
        let (name, attributes) = self.name();
        self.open.push((name, self.n_around));
        let fields: Vec<Json> =
            fields.iter().map(|(name, schema)| json!({"name": name, "type": schema(self)})).collect();
        self.defined.extend(self.open.pop().map(|(name, _)| name));
        merged(&[json!({"type": "record", "fields": fields}), attributes])
    }

    /// What is within an array, a map or a union.
    fn within<T>(&mut self, make: impl FnOnce(&mut Dice) -> T) -> T {
        self.n_around += 1;
        let inner = make(self);
        self.n_around -= 1;
        inner
    }

    /// The name of a type that may stand here: of a record around this place as often as of one before it.
    fn reference(&mut self) -> Option<Json> {
        let may_be_referred_to = |(_, n_around): &&(String, usize)| *n_around < self.n_around;
        let around: Vec<Json> =
            self.open.iter().filter(may_be_referred_to).map(|(name, _)| json!(name)).collect();
        let before: Vec<Json> = self.defined.iter().map(|name| json!(name)).collect();
        let names = if before.is_empty() || !around.is_empty() && self.one_in(2) { around } else { before };
        if names.is_empty() { None } else { Some(self.of(&names)) }
    }

    fn extra(&mut self, depth: usize) -> Json {
        let n = if depth == 0 { 10 } else { 16 };
        match self.below(n) {
            i @ 0..=7 => json!(["null", "boolean", "int", "long", "float", "double", "string", "bytes"][i]),
            8 | 9 => {
                if let Some(name) = self.reference() {
                    return name;
                }
                let size = self.below(4);
                self.named("fixed", json!({"size": size}))
            }
            10 => self.named("enum", json!({"symbols": ["A", "B", "C"]})),
            11 => json!({"type": "array", "items": self.within(|dice| dice.extra(depth - 1))}),
            12 => json!({"type": "map", "values": self.within(|dice| dice.extra(depth - 1))}),
            13 => {
                let other = self.within(|dice| dice.extra_of_its_own(depth - 1));
                json!(["null", "int", other])
            }
            _ => {
                // One that mostly refers to itself, before or behind other fields, or through a record in it.
                let other: fn(&mut Dice) -> Json = |dice| dice.extra(1);
                let below: fn(&mut Dice) -> Json = |dice| {
                    let name = dice.open[dice.open.len() - 1].0.clone();
                    dice.of(&[json!(["null", name]), json!({"type": "array", "items": name})])
                };
                let wrapped: fn(&mut Dice) -> Json = |dice| {
                    let link = dice.within(|dice| {
                        let node: fn(&mut Dice) -> Json = |dice| json!(dice.open[dice.open.len() - 2].0);
                        let flag: fn(&mut Dice) -> Json = |_| json!("boolean");
                        let fields = [("a", flag), ("node", node), ("b", flag)];
                        let (from, to) = (dice.below(2), 2 + dice.below(2));
                        dice.record_of(&fields[from..to])
                    });
                    json!(["null", link])
                };
                let fields = [("v", other), ("below", below), ("w", other), ("wrapped", wrapped)];
                let (from, to) = (self.below(3), 2 + self.below(3));
                self.record_of(&fields[from.min(to - 1)..to])
            }
        }
    }

    /// A type that may stand in a union beside null and int.
    fn extra_of_its_own(&mut self, depth: usize) -> Json {
        let n_defined = self.defined.len();
        let other = self.extra(depth);
        if !other.is_array() && other != json!("null") && other != json!("int") {
            return other;
        }
        self.defined.truncate(n_defined);
        json!("string")
    }

    fn text(&mut self) -> Json {
        self.of(&[
            json!("string"),
            json!("bytes"),
            json!({"type": "string", "avro.java.string": "String"}),
            json!(["null", "string"]),
            json!(["bytes", "int", "string"]),
        ])
    }

    fn time(&mut self) -> Json {
        self.of(&[json!("long"), json!("int"), json!(["int", "long"]), json!(["null", "long", "string"])])
    }

    fn number(&mut self) -> Json {
        self.of(&[
            json!("double"),
            json!("float"),
            json!("int"),
            json!("long"),
            json!(["double", "null"]),
            json!(["boolean", "float", "long"]),
        ])
    }

    fn tags(&mut self) -> Json {
        let tag = self.within(|dice| dice.record(vec![("key", Dice::text), ("value", Dice::text)]));
        self.array(tag)
    }

    fn datapoints(&mut self) -> Json {
        let time = ["time", "time_ms"][self.below(2)];
        let datapoint = self.within(|dice| {
            dice.record(vec![("name", Dice::text), (time, Dice::time), ("value", Dice::number)])
        });
        self.array(datapoint)
    }

    fn datapoints_of_a_metric(&mut self) -> Json {
        let datapoint = self.within(|dice| dice.record(vec![("time", Dice::time), ("value", Dice::number)]));
        self.array(datapoint)
    }

    fn metrics(&mut self) -> Json {
        let metric = self.within(|dice| {
            dice.record(vec![("name", Dice::text), ("datapoints", Dice::datapoints_of_a_metric)])
        });
        self.array(metric)
    }

    /// An array, in a union, or of a union, at times.
    fn array(&mut self, items: Json) -> Json {
        let items = if self.one_in(5) { json!(["null", items]) } else { items };
        let array = json!({"type": "array", "items": items});
        if self.one_in(5) { json!([array, "null"]) } else { array }
    }

    fn list(&mut self) -> Json {
        let mut fields: Vec<Field> = vec![("topic", Dice::text)];
        if !self.one_in(5) {
            fields.push(("tags", Dice::tags));
        }
        fields.push(if self.one_in(3) {
            ("metrics", Dice::metrics)
        } else {
            ("datapoints", Dice::datapoints)
        });
        let list = self.record(fields);
        if self.one_in(5) { json!(["null", list]) } else { list }
    }

    /// A record's value.
    fn record_value(&mut self, schema: &Schema, names: &NamesRef) -> Value {
        self.n_values = VALUES_MAX;
        self.value(schema, names, 0)
    }

    fn value(&mut self, schema: &Schema, names: &NamesRef, depth: usize) -> Value {
        self.n_values = self.n_values.saturating_sub(1);
        assert!(depth < 100, "a value without end");
        let ends = depth > 6 || self.n_values == 0;
        match schema {
            Schema::Null => Value::Null,
            Schema::Boolean => Value::Boolean(self.one_in(2)),
            Schema::Int => Value::Int(self.below(1 << 32) as i32),
            Schema::Long => Value::Long((self.below(usize::MAX) as i64) >> self.below(64)),
            Schema::Float => Value::Float(self.below(1000) as f32 / 7.0),
            Schema::Double => Value::Double(self.below(1000) as f64 / 7.0),
            Schema::String => Value::String("é".repeat(self.below(5))),
            Schema::Bytes => Value::Bytes("b".repeat(self.below(9)).into_bytes()),
            Schema::Fixed(fixed) => Value::Fixed(fixed.size, vec![9; fixed.size]),
            Schema::Enum(symbols) => {
                let i = self.below(symbols.symbols.len());
                Value::Enum(i as u32, symbols.symbols[i].clone())
            }
            Schema::Array(array) => {
                let n = if ends { 0 } else { self.below(5) };
                Value::Array((0..n).map(|_| self.value(&array.items, names, depth + 1)).collect())
            }
            Schema::Map(map) => {
                let n = if ends { 0 } else { self.below(3) };
                Value::Map(
                    (0..n).map(|i| (format!("k{i}"), self.value(&map.types, names, depth + 1))).collect(),
                )
            }
            Schema::Union(union) => {
                let mut i = self.below(union.variants().len());
                // Mostly a branch that can be read, or few records would be.
                if matches!(union.variants()[i], Schema::Null | Schema::Boolean) && !self.one_in(8) {
                    i = union.variants().len() - 1 - i;
                }
                if ends {
                    i = 0;
                }
                Value::Union(i as u32, Box::new(self.value(&union.variants()[i], names, depth + 1)))
            }
            Schema::Record(record) => Value::Record(
                record
                    .fields
                    .iter()
                    .map(|field| (field.name.clone(), self.value(&field.schema, names, depth + 1)))
                    .collect(),
            ),
            Schema::Ref { name } => self.value(names[name], names, depth),
            other => panic!("{other:?}"),
        }
    }

    /// Arrays and maps come in blocks of any size and either sign.
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Null => {}
            Value::Boolean(boolean) => out.push(u8::from(*boolean)),
            Value::Int(int) => write_long((*int).into(), out),
            Value::Long(long) => write_long(*long, out),
            Value::Float(float) => out.extend(float.to_le_bytes()),
            Value::Double(double) => out.extend(double.to_le_bytes()),
            Value::String(text) => write_bytes(text.as_bytes(), out),
            Value::Bytes(bytes) => write_bytes(bytes, out),
            Value::Fixed(_, bytes) => out.extend(bytes),
            Value::Enum(i, _) => write_long((*i).into(), out),
            Value::Union(i, value) => {
                write_long((*i).into(), out);
                self.encode(value, out);
            }
            Value::Record(fields) => fields.iter().for_each(|(_, value)| self.encode(value, out)),
            Value::Array(items) => self.blocks(items, out, Dice::encode),
            Value::Map(entries) => {
                let entries: Vec<_> = entries.iter().collect();
                self.blocks(&entries, out, |dice, (key, value), out| {
                    write_bytes(key.as_bytes(), out);
                    dice.encode(value, out);
                });
            }
            other => panic!("{other:?}"),
        }
    }

    fn blocks<T>(
        &mut self,
        mut items: &[T],
        out: &mut Vec<u8>,
        encode: impl Fn(&mut Dice, &T, &mut Vec<u8>),
    ) {
        while !items.is_empty() {
            let (block, rest) = items.split_at(1 + self.below(items.len()));
            let mut body = Vec::new();
            for item in block {
                encode(self, item, &mut body);
            }
            if self.one_in(2) {
                write_long(block.len() as i64, out);
            } else {
                write_long(-(block.len() as i64), out);
                write_long(body.len() as i64, out);
            }
            out.extend(body);
            items = rest;
        }
        write_long(0, out);
    }
}

/// None where records of this schema need no projection, or cannot be: references are made without a look at where a
/// type holds itself.
fn projection_of(schema_text: &str) -> Option<std::sync::Arc<Projection>> {
    match plan(schema_text.as_bytes()) {
        Ok(Plan::Project(projection)) => Some(projection),
        Ok(Plan::Native) | Err(SchemaFault::Endless(_)) => None,
        Err(fault) => panic!("{schema_text}: {fault}"),
    }
}

fn merged(objects: &[Json]) -> Json {
    objects.iter().flat_map(|object| object.as_object().unwrap().clone()).collect()
}

/// The record as apache-avro resolves it, or nothing where a value cannot be.
fn resolved(writer: &Schema, writer_text: &str, bytes: &[u8]) -> Option<Value> {
    let mut reader_text = METRIC_LIST.replace(r#"{"name":"tags","#, r#"{"name":"tags","default":[],"#);
    let may_2016 = writer_text.contains(r#""metrics""#);
    if may_2016 {
        let datapoints = r#"{"items":{"fields":[{"name":"time","type":"long"},{"name":"value","type":"double"}],"name":"D","type":"record"},"type":"array"}"#;
        let metrics = format!(
            r#"{{"name":"metrics","type":{{"items":{{"fields":[{{"name":"name","type":"string"}},{{"name":"datapoints","type":{datapoints}}}],"name":"M","type":"record"}},"type":"array"}}}}],"name":"MetricList""#
        );
        let (before, _) = reader_text.split_once(r#"{"name":"datapoints""#).unwrap();
        reader_text = format!(r#"{before}{metrics},"type":"record"}}"#);
    } else if writer_text.contains(r#""time""#) {
        reader_text = reader_text.replace("time_ms", "time");
    }
    let reader = Schema::parse_str(&reader_text).unwrap();
    let mut rest = bytes;
    let datum = GenericDatumReader::builder(writer).build().unwrap().read_value(&mut rest).unwrap();
    assert!(rest.is_empty(), "the oracle reads the whole record");
    let resolved = datum.resolve(&reader).ok()?;
    Some(if may_2016 { flattened(resolved) } else { resolved })
}

fn flattened(list: Value) -> Value {
    let Value::Record(mut list) = list else { panic!("{list:?}") };
    let (_, Value::Array(metrics)) = list.pop().unwrap() else { panic!("metrics come last") };
    let mut flat = Vec::new();
    for metric in metrics {
        let Value::Record(fields) = metric else { panic!("{metric:?}") };
        let [name, (_, Value::Array(datapoints))] = &fields[..] else { panic!("{fields:?}") };
        for datapoint in datapoints {
            let Value::Record(rest) = datapoint else { panic!("{datapoint:?}") };
            flat.push(Value::Record([std::slice::from_ref(name), rest].concat()));
        }
    }
    list.push(("datapoints".to_owned(), Value::Array(flat)));
    Value::Record(list)
}

/// Values without the names of fields, which differ between dialects.
fn values(value: Value) -> Value {
    match value {
        Value::Record(fields) => Value::Array(fields.into_iter().map(|(_, value)| values(value)).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(values).collect()),
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_record_is_what_apache_avro_resolves_it_to(seed: u64) {
        let mut dice = Dice::new(seed);
        let text = dice.list().to_string();
        let Some(projection) = projection_of(&text) else { return Ok(()) };
        let writer = Schema::parse_str(&text).unwrap();
        let names = ResolvedSchema::new(&writer).unwrap();
        let ours = Schema::parse_str(METRIC_LIST).unwrap();

        let records: Vec<Vec<u8>> = (0..4)
            .map(|_| {
                let value = dice.record_value(&writer, names.get_names());
                let mut bytes = Vec::new();
                dice.encode(&value, &mut bytes);
                bytes
            })
            .collect();
        let block = records.concat();
        let (mut at, mut scratch, mut out) = (0, Scratch::default(), Vec::new());
        for record in &records {
            out.clear();
            let projected = projection.project(&block[at..], &Limits::default(), &mut scratch, &mut out).unwrap();
            prop_assert_eq!(projected.consumed, record.len());
            at += projected.consumed;
            match resolved(&writer, &text, record) {
                None => prop_assert_eq!(projected.outcome, Err(RecordFault::Unresolvable)),
                Some(expected) => {
                    prop_assert_eq!(projected.outcome, Ok(()));
                    let mut rest = &out[..];
                    let got = GenericDatumReader::builder(&ours).build().unwrap().read_value(&mut rest).unwrap();
                    prop_assert!(rest.is_empty());
                    prop_assert_eq!(values(got), values(expected));
                }
            }
            for cut in 0..record.len() {
                out.clear();
                let result = projection.project(&record[..cut], &Limits::default(), &mut scratch, &mut out);
                prop_assert_eq!(result, Err(NoRecord), "{}", cut);
                prop_assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn a_damaged_record_neither_panics_nor_outgrows_its_limits(seed: u64, at: prop::sample::Index, byte: u8) {
        let mut dice = Dice::new(seed);
        let text = dice.list().to_string();
        let Some(projection) = projection_of(&text) else { return Ok(()) };
        let writer = Schema::parse_str(&text).unwrap();
        let names = ResolvedSchema::new(&writer).unwrap();
        let value = dice.record_value(&writer, names.get_names());
        let mut bytes = Vec::new();
        dice.encode(&value, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let limits = Limits { record_bytes: 200, ..Limits::default() };
        let mut out = Vec::new();
        if let Ok(projected) = projection.project(&bytes, &limits, &mut Scratch::default(), &mut out) {
            prop_assert!(projected.consumed <= bytes.len() && out.len() <= 200);
        }
    }
}
