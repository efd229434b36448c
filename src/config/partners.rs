//! The value of `partners`: from its JSON to the partners that are dialled, or to all that is wrong with it.

use serde_json::{Map, Value as Json, json};

use super::fault::nearest;
use super::value::{Misfit, Part, one_of};
use crate::output::partner::{
    Address, BadFilter, Filter, Format, GLOB_BYTES_MAX, GLOBS_MAX, Hello, NAME_BYTES_MAX, Start, TARGETS_MAX,
    Target, is_name,
};

/// Longest JSON of all partners together: what is kept and shown stays small.
const BYTES_MAX: usize = 256 << 10;

/// What a partner may have.
const FIELDS: [&str; 8] = ["name", "address", "topics", "frameworks", "tags", "from", "ack", "format"];

const NO_LIST: &str =
    "expected a list of partners, in JSON [{\"name\": \"billing\", \"address\": \"127.0.0.1:9000\"}]";

/// Reads a list of partners. A name is there once.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Target>, Vec<Misfit>> {
    let whole = |expected: String| Err(vec![Misfit { expected, ..Misfit::default() }]);
    if text.len() > BYTES_MAX {
        return whole(format!("expected at most {BYTES_MAX} bytes of JSON"));
    }
    let entries = match serde_json::from_str(text) {
        Ok(Json::Array(entries)) => entries,
        Ok(_) => return whole(NO_LIST.to_owned()),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            return whole(format!("{NO_LIST}, but it is no JSON at line {line}, column {column}"));
        }
    };
    if entries.len() > TARGETS_MAX {
        return whole(format!("expected at most {TARGETS_MAX} partners"));
    }
    let (mut targets, mut misfits) = (Vec::<Target>::new(), Vec::new());
    for (n, entry) in entries.iter().enumerate() {
        let Some(fields) = entry.as_object() else {
            let part = Some(Part { place: format!("[{n}]"), value: None });
            misfits.push(Misfit { part, expected: "expected a table".to_owned(), ..Misfit::default() });
            continue;
        };
        let mut entry = Entry::new(n, fields);
        let target = entry.target();
        if targets.iter().any(|other| other.name == target.name) {
            entry.wrong("name", "expected a name of its own, but another partner has the same");
        }
        targets.push(target);
        misfits.extend(entry.misfits);
    }
    if misfits.is_empty() { Ok(targets) } else { Err(misfits) }
}

/// A list as [`parse`] reads it, with all that stands for what was left out.
pub(super) fn to_json(targets: &[Target]) -> Json {
    let entry = |target: &Target| {
        let Target { name, address, hello } = target;
        let [topics, frameworks, tags] = &hello.globs;
        json!({
            "name": name, "address": address.to_string(), "topics": topics, "frameworks": frameworks, "tags": tags,
            "from": hello.start.name(), "ack": hello.ack, "format": hello.format.name(),
        })
    };
    targets.iter().map(entry).collect()
}

/// The JSON Schema of a list.
pub(super) fn schema() -> Json {
    let mut one = schema_of_one();
    one["required"] = json!(["name", "address"]);
    json!({ "type": "array", "maxItems": TARGETS_MAX, "items": one })
}

/// The JSON Schema of a partner whose name is known.
#[must_use]
pub fn schema_of_one() -> Json {
    let globs = |pattern: &str| json!({ "type": "array", "maxItems": GLOBS_MAX, "items": { "type": "string", "pattern": pattern } });
    json!({
        "type": "object",
        "properties": {
            "name": {
                "type": "string",
                "pattern": format!("^[a-zA-Z0-9._-]{{1,{NAME_BYTES_MAX}}}$"),
                "not": { "enum": [".", ".."] },
            },
            "address": { "type": "string" },
            "topics": globs(""),
            "frameworks": globs(""),
            "tags": globs("="),
            "from": { "enum": Start::ALL.map(Start::name), "default": Start::Resume.name() },
            "ack": { "type": "boolean", "default": false },
            "format": { "enum": Format::ALL.map(Format::name), "default": Format::default().name() },
        },
        "required": ["address"],
        "additionalProperties": false,
    })
}

/// Reads one partner.
struct Entry<'a> {
    fields: &'a Map<String, Json>,
    /// How it is called in what is wrong with it: by its name if it has one, else by its number.
    place: String,
    misfits: Vec<Misfit>,
}

impl<'a> Entry<'a> {
    fn new(n: usize, fields: &'a Map<String, Json>) -> Entry<'a> {
        let name = fields.get("name").and_then(Json::as_str).filter(|name| is_name(name));
        let place = name.map_or_else(|| format!("[{n}]"), |name| format!(".{name}"));
        Entry { fields, place, misfits: Vec::new() }
    }

    /// The partner, which is of use only if nothing is wrong with it.
    fn target(&mut self) -> Target {
        for name in self.fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            self.misfit(name, "a partner has no such field".to_owned(), nearest(name, FIELDS));
        }
        let name = self.required("name").unwrap_or_default().to_owned();
        if self.text("name").is_some() && !is_name(&name) {
            self.wrong(
                "name",
                format!("expected 1 to {NAME_BYTES_MAX} of a-z A-Z 0-9 . _ -, neither . nor .."),
            );
        }
        let address = match self.required("address").map(Address::parse) {
            Some(Err(why)) => {
                self.wrong("address", format!("expected host:port or unix:/path, but it {why}"));
                None
            }
            parsed => parsed.and_then(Result::ok),
        };
        let globs = ["topics", "frameworks", "tags"].map(|field| self.texts(field));
        let [topics, frameworks, tags] = &globs;
        let mut filter = Filter::default();
        let parts = [
            ("topics", Filter::new(topics, &[], &[])),
            ("frameworks", Filter::new(&[], frameworks, &[])),
            ("tags", Filter::new(&[], &[], tags)),
        ];
        for (field, part) in parts {
            if let Err(why) = part {
                self.wrong(field, bad_globs(&why));
            }
        }
        if let Ok(whole) = Filter::new(topics, frameworks, tags) {
            filter = whole;
        }
        let start = self.word("from", &Start::ALL.map(|start| (start.name(), start)), Start::Resume);
        let format =
            self.word("format", &Format::ALL.map(|format| (format.name(), format)), Format::default());
        let ack = self.switch("ack");
        let address = address.unwrap_or(Address::Tcp(String::new(), 0));
        Target { name, address, hello: Hello { filter, globs, start, ack, format, ..Hello::default() } }
    }

    fn misfit(&mut self, field: &str, expected: String, nearest: Option<String>) {
        let value = self.fields.get(field).and_then(Json::as_str).map(str::to_owned);
        let part = Some(Part { place: format!("{}.{field}", self.place), value });
        self.misfits.push(Misfit { part, expected, nearest });
    }

    fn wrong(&mut self, field: &str, expected: impl Into<String>) {
        self.misfit(field, expected.into(), None);
    }

    /// A text; none where there is none, or something else.
    fn text(&self, field: &str) -> Option<&'a str> {
        self.fields.get(field)?.as_str()
    }

    /// A text that must be there.
    fn required(&mut self, field: &str) -> Option<&'a str> {
        let text = self.text(field);
        if text.is_none() {
            let found = if self.fields.contains_key(field) { "it is none" } else { "it is missing" };
            self.wrong(field, format!("expected a text, but {found}"));
        }
        text
    }

    fn texts(&mut self, field: &str) -> Vec<String> {
        let Some(value) = self.fields.get(field) else { return Vec::new() };
        let all = |values: &Vec<Json>| {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>()
        };
        value.as_array().and_then(all).unwrap_or_else(|| {
            self.wrong(field, "expected a list of texts");
            Vec::new()
        })
    }

    fn switch(&mut self, field: &str) -> bool {
        let Some(value) = self.fields.get(field) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.wrong(field, "expected true or false, without quotes");
            false
        })
    }

    fn word<T: Copy>(&mut self, field: &str, words: &[(&'static str, T)], default: T) -> T {
        let Some(value) = self.fields.get(field) else { return default };
        if let Some((_, meant)) = words.iter().find(|(word, _)| value == word) {
            return *meant;
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let near = value.as_str().and_then(|text| nearest(text, &words));
        self.misfit(field, one_of(&words), near);
        default
    }
}

fn bad_globs(why: &BadFilter) -> String {
    match why {
        BadFilter::TooMany => format!("expected at most {GLOBS_MAX} globs"),
        BadFilter::TooLong(shown) => {
            format!("expected at most {GLOB_BYTES_MAX} bytes a glob, but \"{shown}\" has more")
        }
        BadFilter::TooManyStars(_) | BadFilter::TooManyMasked(_) => {
            format!("expected other globs, but {why}")
        }
        BadFilter::NoTag(shown) => format!("expected key=glob each, but \"{shown}\" is not"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let told = |Misfit { part, expected, nearest }| {
            let place = part.map_or(String::new(), |part| part.place);
            format!("{place}: {expected}{}", nearest.map_or(String::new(), |near| format!("; {near}?")))
        };
        parse(text).err().into_iter().flatten().map(told).collect()
    }

    #[test]
    fn what_is_left_out_stands_there_when_it_is_written() {
        let least = r#"[{"name": "a", "address": "h:1"}]"#;
        let whole = json!([{
            "name": "a", "address": "h:1", "topics": [], "frameworks": [], "tags": [], "from": "resume", "ack": false,
            "format": "ocf",
        }]);
        let targets = parse(least).unwrap();
        assert_eq!(to_json(&targets), whole);
        assert!(targets[0].hello.filter.wants_all());
        assert_eq!(parse("[]"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_written_is_read() {
        let text = json!([
            {
                "name": "b_1", "address": "unix:/run/b", "topics": ["t*", "u"], "frameworks": ["f"], "tags": ["k=v*"],
                "from": "oldest", "ack": true, "format": "ndjson",
            },
            {
                "name": "a", "address": "[::1]:9000", "topics": [], "frameworks": [], "tags": [], "from": "now",
                "ack": false, "format": "ocf",
            },
        ]);
        let targets = parse(&text.to_string()).unwrap();
        assert_eq!(to_json(&targets), text);
        assert_eq!(targets[0].hello.start, Start::Oldest);
        assert!(targets[0].hello.filter.wants_topic(b"u") && !targets[0].hello.filter.wants_topic(b"v"));
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let text = json!([
            { "name": "a", "address": "h", "topic": ["x"], "from": "yesterday", "format": "ndjsn", "ack": "true" },
            { "address": 7, "topics": "x", "frameworks": [1], "tags": ["k"] },
            "b",
            { "name": "a b", "address": "h:1", "topics": vec!["x"; 17], "frameworks": ["x".repeat(257)] },
            { "name": "a", "address": "h:1" },
        ]);
        let shown = "x".repeat(32);
        let expected = [
            ".a.topic: a partner has no such field; topics?",
            ".a.address: expected host:port or unix:/path, but it has no port",
            ".a.from: expected now, oldest or resume",
            ".a.format: expected ocf or ndjson; ndjson?",
            ".a.ack: expected true or false, without quotes",
            "[1].name: expected a text, but it is missing",
            "[1].address: expected a text, but it is none",
            "[1].topics: expected a list of texts",
            "[1].frameworks: expected a list of texts",
            "[1].tags: expected key=glob each, but \"k\" is not",
            "[2]: expected a table",
            "[3].name: expected 1 to 64 of a-z A-Z 0-9 . _ -, neither . nor ..",
            "[3].topics: expected at most 16 globs",
            &format!("[3].frameworks: expected at most 256 bytes a glob, but \"{shown}...\" has more"),
            ".a.name: expected a name of its own, but another partner has the same",
        ];
        assert_eq!(faults(&text.to_string()), expected);
    }

    #[test]
    fn what_is_no_list_is_told_as_a_whole() {
        let many: Vec<Json> = (0..33).map(|n| json!({ "name": n.to_string(), "address": "h:1" })).collect();
        for (text, expected) in [
            ("{}", "expected a list of partners, in JSON"),
            ("[{]", "but it is no JSON at line 1, column 3"),
            (&*json!(many).to_string(), "expected at most 32 partners"),
            (&*" ".repeat(BYTES_MAX + 1), "expected at most 262144 bytes"),
        ] {
            let faults = faults(text);
            assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
        }
    }
}
