//! The effective configuration as text: TOML that can be given back as a file, and JSON.

use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use super::fault::Origin;
use super::keys::{Group, Key};
use super::settings::Settings;
use super::value::Value;

/// Every key with its value and, behind it, where the value comes from. Secrets are hidden; keys without a value
/// are comments. The file is valid input again.
#[must_use]
pub fn to_toml(settings: &Settings) -> String {
    let mut text = String::new();
    for group in &Group::ALL {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}# {}", group.title);
        for key in group.keys {
            let setting = settings.get(key.name);
            // A path may have anything in its name; a comment ends with its line.
            let origin = setting.origin.to_string().replace(char::is_control, "?");
            let _ = match shown(key, setting.value.as_ref()) {
                Json::Null if setting.origin == Origin::Default => {
                    writeln!(text, "# {} is not set", key.name)
                }
                Json::Null => writeln!(text, "# {} is not set  # {origin}", key.name),
                // A file cannot name a file.
                value if key.name == "config" => {
                    writeln!(text, "# {} = {}  # {origin}", key.name, toml(&value))
                }
                value => writeln!(text, "{} = {}  # {origin}", key.name, toml(&value)),
            };
        }
    }
    text
}

/// The same as JSON: for each key its value, origin and default, and whether it is secret.
#[must_use]
pub fn to_json(settings: &Settings) -> Json {
    let mut keys = Map::new();
    for key in Key::all() {
        let setting = settings.get(key.name);
        let entry = json!({
            "value": shown(key, setting.value.as_ref()),
            "origin": setting.origin.to_string(),
            "default": key.default,
            "secret": key.secret,
        });
        keys.insert(key.name.to_owned(), entry);
    }
    Json::Object(keys)
}

/// The value, or what stands for a secret; null if there is none.
fn shown(key: &Key, value: Option<&Value>) -> Json {
    match value {
        None => Json::Null,
        Some(value) => value.shown(key),
    }
}

/// JSON's values are TOML's but for the escapes of strings and for tables.
fn toml(value: &Json) -> String {
    match value {
        Json::String(text) => toml::Value::String(text.clone()).to_string(),
        Json::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} = {}", toml(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
