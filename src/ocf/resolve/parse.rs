//! A schema text of a stranger, cut down to what shapes bytes and then parsed by apache-avro.
//!
//! apache-avro copies a type for each of its aliases, tries defaults against types, keeps docs and unknown attributes,
//! and copies what a type without a body refers to. A text of 64 KiB could make gigabytes of that. So none of it is
//! given to it, and types, fields and symbols are counted.

use apache_avro::Schema;
use serde_json::{Map, Value};

use super::{SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX, SchemaFault, quote};

pub(super) fn parse(text: &[u8]) -> Result<Schema, SchemaFault> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(SchemaFault::TooLarge);
    }
    let text = str::from_utf8(text).map_err(|_| SchemaFault::NotUtf8)?;
    // serde_json goes 128 levels deep and no deeper.
    let value: Value =
        serde_json::from_str(text).map_err(|error| SchemaFault::NotJson(quote(&error.to_string())))?;
    let pruned = Pruner { n_nodes: 0 }.schema(&value, 0)?;
    drop(value);
    Schema::parse(&pruned).map_err(|error| SchemaFault::NotAvro(quote(&error.to_string())))
}

struct Pruner {
    n_nodes: usize,
}

impl Pruner {
    fn schema(&mut self, value: &Value, depth: usize) -> Result<Value, SchemaFault> {
        self.count(1)?;
        if depth >= SCHEMA_DEPTH_MAX {
            return Err(SchemaFault::TooDeep);
        }
        match value {
            Value::String(name) => Ok(Value::String(name.clone())),
            Value::Array(branches) => {
                branches.iter().map(|branch| self.schema(branch, depth + 1)).collect::<Result<_, _>>()
            }
            Value::Object(object) => self.object(object, depth).map(Value::Object),
            _ => Err(not_avro("a type is a number, a boolean or null")),
        }
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, SchemaFault> {
        let kind = member(object, "type")?;
        let Value::String(kind_name) = kind else {
            return Ok(Map::from_iter([("type".to_owned(), self.schema(kind, depth + 1)?)]));
        };
        let mut pruned = Map::from_iter([("type".to_owned(), kind.clone())]);
        if matches!(kind_name.as_str(), "record" | "enum" | "fixed") {
            pruned.insert("name".to_owned(), member(object, "name")?.clone());
            if let Some(namespace) = object.get("namespace") {
                pruned.insert("namespace".to_owned(), namespace.clone());
            }
        }
        let body = match kind_name.as_str() {
            "record" => ("fields", self.fields(member(object, "fields")?, depth)?),
            "array" => ("items", self.schema(member(object, "items")?, depth + 1)?),
            "map" => ("values", self.schema(member(object, "values")?, depth + 1)?),
            "enum" => ("symbols", self.symbols(member(object, "symbols")?)?),
            "fixed" => ("size", member(object, "size")?.clone()),
            _ => return Ok(pruned),
        };
        pruned.insert(body.0.to_owned(), body.1);
        Ok(pruned)
    }

    fn fields(&mut self, fields: &Value, depth: usize) -> Result<Value, SchemaFault> {
        let fields = fields.as_array().ok_or_else(|| not_avro("\"fields\" is not an array"))?;
        fields
            .iter()
            .map(|field| {
                self.count(1)?;
                let field = field.as_object().ok_or_else(|| not_avro("a field is not an object"))?;
                Ok(Value::Object(Map::from_iter([
                    ("name".to_owned(), member(field, "name")?.clone()),
                    ("type".to_owned(), self.schema(member(field, "type")?, depth + 1)?),
                ])))
            })
            .collect()
    }

    fn symbols(&mut self, symbols: &Value) -> Result<Value, SchemaFault> {
        let array = symbols.as_array().ok_or_else(|| not_avro("\"symbols\" is not an array"))?;
        self.count(array.len())?;
        Ok(symbols.clone())
    }

    fn count(&mut self, n: usize) -> Result<(), SchemaFault> {
        self.n_nodes += n;
        if self.n_nodes > SCHEMA_NODES_MAX { Err(SchemaFault::TooLarge) } else { Ok(()) }
    }
}

fn member<'v>(object: &'v Map<String, Value>, key: &str) -> Result<&'v Value, SchemaFault> {
    object.get(key).ok_or_else(|| SchemaFault::NotAvro(format!("a type or field has no \"{key}\"")))
}

fn not_avro(reason: &str) -> SchemaFault {
    SchemaFault::NotAvro(reason.to_owned())
}
