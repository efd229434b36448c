//! The configuration file: TOML, flat, keys spelled as the flags are.

use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Origin, nearest};
use super::keys::{Key, Kind};
use super::secret_file::open;
use super::source::Given;
use super::written::Written;

/// Far more than every key with a long value needs.
const BYTES_MAX: u64 = 1 << 20;

/// What a file says.
pub(super) struct Content {
    pub(super) given: Vec<Given>,
    /// Whether all of it could be read. If not, nobody knows what else it says.
    pub(super) is_whole: bool,
}

/// Reads the file of key `config`, which was given at `given_at`.
pub(super) fn read(path: &Path, given_at: &Origin, faults: &mut Vec<Fault>) -> Content {
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
            Content { given: Vec::new(), is_whole: false }
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
fn parse(text: &str, path: &Path, faults: &mut Vec<Fault>) -> Content {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { text, path, broken: Vec::new(), given: Vec::new(), faults };
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        let line = line_of(text, offset);
        // The first complaint of a line is the one that helps.
        if !reader.broken.contains(&line) {
            reader.fault(offset, format!("no valid TOML: {}", error.message()), None);
            reader.broken.push(line);
        }
    }
    reader.table(table.get_ref());
    Content { given: reader.given, is_whole: reader.broken.is_empty() }
}

/// Goes through a file.
struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    /// Lines that are no TOML.
    broken: Vec<usize>,
    given: Vec<Given>,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn at(&self, offset: usize) -> Origin {
        Origin::File { path: self.path.to_owned(), line: Some(line_of(self.text, offset)) }
    }

    fn fault(&mut self, offset: usize, expected: String, nearest: Option<String>) {
        let origin = self.at(offset);
        self.faults.push(Fault { origin, key: String::new(), value: None, expected, nearest });
    }

    fn table(&mut self, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let offset = name.span().start;
            if self.broken.contains(&line_of(self.text, offset)) {
                continue;
            }
            let name = name.get_ref();
            let kind = Key::find(name).map(|key| key.kind);
            let is_list = matches!(kind, Some(Kind::Brokers | Kind::Properties));
            let inner: Vec<&DeTable<'_>> = match value.get_ref() {
                // Its tables are its value.
                _ if matches!(kind, Some(Kind::Partners)) => Vec::new(),
                DeValue::Table(inner) => vec![inner],
                DeValue::Array(values) if !is_list => {
                    values.iter().filter_map(|value| value.get_ref().as_table()).collect()
                }
                _ => Vec::new(),
            };
            if inner.is_empty() {
                self.entry(name, offset, value);
                continue;
            }
            // What is in it is looked at all the same: its faults are to come now, not when it is out of there.
            let expected = format!("keys stand at the top level of the file, not in a table [{name}]");
            self.fault(offset, expected, None);
            for inner in inner {
                self.table(inner);
            }
        }
    }

    fn entry(&mut self, written: &str, offset: usize, value: &Spanned<DeValue<'_>>) {
        let origin = self.at(offset);
        let Some(key) = Key::find(written) else {
            let near = nearest(written, Key::all().flat_map(Key::names));
            return self.fault(offset, format!("there is no key {written:?}"), near);
        };
        if key.name == "config" {
            return self.fault(offset, "the key \"config\" cannot stand in the file".to_owned(), None);
        }
        if self.given.iter().any(|other| other.key.name == key.name) {
            let expected = format!("{written:?} sets the key \"{}\" a second time", key.name);
            return self.fault(offset, expected, None);
        }
        self.given.push(match Written::of_toml(value.get_ref()).raw(key.kind) {
            Ok(raw) => Given::read(key, written, origin, &raw),
            Err(expected) => Given::unreadable(key, written, origin, &expected),
        });
    }
}

/// Line of `offset`, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.split(|byte| *byte == b'\n').count()
}
