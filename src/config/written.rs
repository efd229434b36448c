//! Values as TOML and JSON write them, and which of these a key may have.

use serde_json::Value as Json;
use toml::de::DeValue;

use super::keys::Kind;
use super::value::{Raw, file_of_brokers};

/// A value with its type.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written<'a> {
    Bool(bool),
    /// None: larger or smaller than any that there is a key for.
    Integer(Option<i64>),
    Text(&'a str),
    List {
        /// None: not all of them are texts.
        texts: Option<Vec<String>>,
        /// The list, with null for what JSON has not.
        json: Json,
    },
    /// Something that no key has, and what it is.
    Other(&'static str),
}

impl<'a> Written<'a> {
    pub(super) fn of_toml(value: &'a DeValue<'_>) -> Written<'a> {
        match value {
            DeValue::Boolean(value) => Written::Bool(*value),
            DeValue::Integer(value) => {
                let digits = value.as_str().replace('_', "");
                Written::Integer(i64::from_str_radix(&digits, value.radix()).ok())
            }
            DeValue::String(value) => Written::Text(value),
            DeValue::Array(values) => {
                let texts = values.iter().map(|value| value.get_ref().as_str().map(str::to_owned));
                Written::List { texts: texts.collect(), json: to_json(value) }
            }
            DeValue::Float(_) => Written::Other("a number with a fraction"),
            DeValue::Datetime(_) => Written::Other("a date"),
            DeValue::Table(_) => Written::Other("a table"),
        }
    }

    pub(super) fn of_json(value: &'a Json) -> Written<'a> {
        match value {
            Json::Bool(value) => Written::Bool(*value),
            Json::Number(number) if number.is_f64() => Written::Other("a number with a fraction"),
            Json::Number(number) => Written::Integer(number.as_i64()),
            Json::String(text) => Written::Text(text),
            Json::Array(values) => {
                let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
                Written::List { texts: texts.collect(), json: value.clone() }
            }
            Json::Null => Written::Other("null"),
            Json::Object(_) => Written::Other("an object"),
        }
    }

    /// The value as text, if it has a type that a key of this kind may have.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn raw(&self, kind: Kind) -> Result<Raw, String> {
        let number = matches!(
            kind,
            Kind::Integer { .. } | Kind::Size { .. } | Kind::Milliseconds { .. } | Kind::Seconds { .. }
        );
        let text = !matches!(kind, Kind::Bool | Kind::Integer { .. });
        let list = matches!(kind, Kind::Brokers | Kind::Properties);
        let wrong = |found: &str| Err(format!("expected {}, but it is {found}", expected(kind)));
        match self {
            Written::Bool(value) if matches!(kind, Kind::Bool) => Ok(Raw::One(value.to_string())),
            Written::Integer(Some(value)) if number => Ok(Raw::One(value.to_string())),
            Written::Integer(None) if number => wrong("out of range"),
            Written::Text(value) if text => Ok(Raw::One((*value).to_owned())),
            Written::List { json, .. } if matches!(kind, Kind::Partners) => Ok(Raw::One(json.to_string())),
            Written::List { texts: Some(texts), .. } if list => Ok(Raw::Many(texts.clone())),
            Written::List { texts: None, .. } if list => wrong("a list with other values in it"),
            // An empty text unsets a key of whatever kind, if it has no default.
            Written::Text("") if matches!(kind, Kind::Bool | Kind::Integer { .. }) => {
                Ok(Raw::One(String::new()))
            }
            Written::Bool(_) => wrong("true or false"),
            Written::Integer(_) => wrong("a whole number"),
            Written::Text(_) => wrong("a text"),
            Written::List { .. } => wrong("a list"),
            Written::Other(found) => wrong(found),
        }
    }
}

impl Raw {
    /// Whether the value would be read from a file that the text names.
    pub(super) fn names_a_file(&self, kind: Kind) -> bool {
        let texts = match self {
            Raw::One(text) => std::slice::from_ref(text),
            Raw::Many(texts) => texts,
        };
        matches!(kind, Kind::Brokers) && texts.iter().any(|text| file_of_brokers(text).is_some())
    }
}

/// TOML's value as JSON; numbers with a fraction, dates, and what is out of range are null.
fn to_json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::Array(values) => values.iter().map(|value| to_json(value.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(name, value)| (name.get_ref().to_string(), to_json(value.get_ref()))).collect()
        }
        _ => match Written::of_toml(value) {
            Written::Bool(value) => Json::Bool(value),
            Written::Integer(Some(value)) => value.into(),
            Written::Text(text) => text.into(),
            _ => Json::Null,
        },
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false, without quotes",
        Kind::Integer { .. } => "a whole number, without quotes",
        Kind::Size { .. } => "a size: a text such as \"64MiB\", or a number of bytes",
        Kind::Milliseconds { .. } => "a time: a number of milliseconds, or a text such as \"15s\"",
        Kind::Seconds { .. } => "a time: a number of seconds, or a text such as \"15s\"",
        Kind::Time { .. } => "a time: a text such as \"15s\"",
        Kind::Brokers | Kind::Properties => "a text or a list of texts",
        Kind::Partners => "a list of tables, as [[partners]], or its JSON as a text",
        _ => "a text in quotes",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    const SECONDS: Kind = Kind::Seconds { min: Duration::ZERO, max: Duration::MAX };

    #[test]
    fn json_has_the_types_that_toml_has() {
        for (kind, value, expected) in [
            (Kind::Bool, json!(true), Some("true")),
            (Kind::Bool, json!("true"), None),
            (Kind::Bool, json!(""), Some("")),
            (Kind::Integer { min: 0, max: 9 }, json!(7), Some("7")),
            (Kind::Integer { min: 0, max: 9 }, json!("7"), None),
            (Kind::Integer { min: 0, max: 9 }, json!(7.0), None),
            (Kind::Integer { min: 0, max: 9 }, json!(u64::MAX), None),
            (SECONDS, json!(15), Some("15")),
            (SECONDS, json!("15s"), Some("15s")),
            (Kind::Text, json!("x"), Some("x")),
            (Kind::Text, json!(7), None),
            (Kind::Text, json!(["x"]), None),
            (Kind::Brokers, json!("a:1,b:2"), Some("a:1,b:2")),
            (Kind::Text, json!(null), None),
            (Kind::Text, json!({}), None),
        ] {
            let raw = Written::of_json(&value).raw(kind);
            assert_eq!(raw.ok(), expected.map(|text| Raw::One(text.to_owned())), "{kind:?} {value}");
        }
        let list = Written::of_json(&json!(["a:1", "b:2"])).raw(Kind::Brokers);
        assert_eq!(list, Ok(Raw::Many(vec!["a:1".to_owned(), "b:2".to_owned()])));
        let mixed = Written::of_json(&json!(["a:1", 2])).raw(Kind::Brokers);
        assert!(mixed.is_err_and(|why| why.ends_with("a list with other values in it")));
    }
}
