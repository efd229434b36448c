//! The configuration file: TOML, flat, keys spelled as the flags are.

use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Origin, nearest};
use super::keys::{Key, Kind};
use super::secret_file::open;
use super::source::Given;
use super::value::Raw;

/// Far more than every key with a long value needs.
const BYTES_MAX: u64 = 1 << 20;

/// Reads the file of key `config`, which was given at `given_at`.
pub(super) fn read(path: &Path, given_at: &Origin, faults: &mut Vec<Fault>) -> Vec<Given> {
    match text(path) {
        Ok(text) => parse(&text, path, faults),
        Err(why) => {
            faults.push(Fault {
                origin: given_at.clone(),
                key: "config".to_owned(),
                value: Some(path.display().to_string()),
                expected: format!("expected a readable file, but {why}"),
                nearest: None,
            });
            Vec::new()
        }
    }
}

fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = open(path)?;
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > BYTES_MAX { Err(format!("it has more than {BYTES_MAX} bytes")) } else { Ok(text) }
}

/// Takes what can be taken, so that one misplaced quote does not hide the faults below it. Of TOML's own messages
/// only the text without the line is used: the line may hold a secret.
fn parse(text: &str, path: &Path, faults: &mut Vec<Fault>) -> Vec<Given> {
    let at = |offset: usize| Origin::File { path: path.to_owned(), line: Some(line_of(text, offset)) };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut broken = Vec::new();
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        let line = line_of(text, offset);
        // The first complaint of a line is the one that helps.
        if !broken.contains(&line) {
            faults.push(plain_fault(at(offset), format!("no valid TOML: {}", error.message()), None));
            broken.push(line);
        }
    }
    let mut given: Vec<Given> = Vec::new();
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let origin = at(name.span().start);
        let written = name.get_ref().as_ref();
        if broken.contains(&line_of(text, name.span().start)) {
            continue;
        }
        match Key::find(written) {
            None => {
                let near = nearest(written, Key::all().flat_map(Key::names));
                faults.push(plain_fault(origin, format!("there is no key {written:?}"), near));
            }
            Some(key) if key.name == "config" => {
                faults.push(plain_fault(
                    origin,
                    "the key \"config\" cannot stand in the file".to_owned(),
                    None,
                ));
            }
            Some(key) if given.iter().any(|other| other.key.name == key.name) => {
                let expected = format!("{written:?} sets the key \"{}\" a second time", key.name);
                faults.push(plain_fault(origin, expected, None));
            }
            Some(key) => given.push(match raw(key.kind, value) {
                Ok(raw) => Given::read(key, written, origin, &raw),
                Err(expected) => Given::unreadable(key, written, origin, &expected),
            }),
        }
    }
    given
}

fn plain_fault(origin: Origin, expected: String, nearest: Option<String>) -> Fault {
    Fault { origin, key: String::new(), value: None, expected, nearest }
}

/// The value as text, if it has a TOML type that the kind may have.
fn raw(kind: Kind, value: &Spanned<DeValue<'_>>) -> Result<Raw, String> {
    let number = matches!(kind, Kind::Integer { .. } | Kind::Size { .. } | Kind::Milliseconds { .. });
    let text = !matches!(kind, Kind::Bool | Kind::Integer { .. });
    let list = matches!(kind, Kind::Brokers | Kind::Properties);
    let wrong = |found: &str| {
        let expected = match kind {
            Kind::Bool => "true or false, without quotes",
            Kind::Integer { .. } => "a whole number, without quotes",
            Kind::Size { .. } => "a size: a text such as \"64MiB\", or a number of bytes",
            Kind::Milliseconds { .. } => "a time: a number of milliseconds, or a text such as \"15s\"",
            Kind::Time { .. } => "a time: a text such as \"15s\"",
            Kind::Brokers | Kind::Properties => "a text or a list of texts",
            _ => "a text in quotes",
        };
        format!("expected {expected}, but it is {found}")
    };
    match value.get_ref() {
        DeValue::Boolean(value) if matches!(kind, Kind::Bool) => Ok(Raw::One(value.to_string())),
        DeValue::Integer(value) if number => {
            let digits = value.as_str().replace('_', "");
            let number = i64::from_str_radix(&digits, value.radix());
            number.map(|number| Raw::One(number.to_string())).map_err(|_| wrong("out of range"))
        }
        DeValue::String(value) if text => Ok(Raw::One(value.to_string())),
        DeValue::Array(values) if list => {
            let texts = values.iter().map(|value| value.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map(Raw::Many).ok_or_else(|| wrong("a list with other values in it"))
        }
        DeValue::String(_) => Err(wrong("a text")),
        DeValue::Integer(_) => Err(wrong("a whole number")),
        DeValue::Float(_) => Err(wrong("a number with a fraction")),
        DeValue::Boolean(_) => Err(wrong("true or false")),
        DeValue::Datetime(_) => Err(wrong("a date")),
        DeValue::Array(_) => Err(wrong("a list")),
        DeValue::Table(_) => Err(wrong("a table")),
    }
}

/// Line of `offset`, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.split(|byte| *byte == b'\n').count()
}
