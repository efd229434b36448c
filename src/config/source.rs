//! Where values come from, and which of them counts: flag over environment over file over default.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::fault::{Fault, Origin, nearest};
use super::file;
use super::keys::{ENVIRONMENT_PREFIX, Key, Kind};
use super::settings::{Setting, Settings};
use super::value::{HIDDEN, Misfit, Part, Raw, Value, is_secret_property};

/// What the process was started with.
#[derive(Clone, Default)]
pub struct Sources {
    /// Keys given as flags, in order: name and value. Of one that is not repeatable the last counts.
    pub flags: Vec<(&'static str, OsString)>,
    /// The environment: names and values.
    pub environment: Vec<(OsString, OsString)>,
}

impl Sources {
    /// The folder of the Mesos task that we are, if we are one.
    pub(super) fn sandbox(&self) -> Option<PathBuf> {
        let found = self.environment.iter().find(|(name, _)| name == "MESOS_SANDBOX");
        found.map(|(_, path)| path.into()).filter(|path: &PathBuf| path.is_absolute())
    }
}

/// A value that somebody gave.
#[derive(Clone)]
pub(super) struct Given {
    pub key: &'static Key,
    pub origin: Origin,
    /// None: an empty text, so not set after all. Else all that is wrong with it.
    pub value: Result<Option<Value>, Vec<Fault>>,
}

impl Given {
    /// Reads a value of `key`, which stands as `written` at `origin`.
    pub(super) fn read(key: &'static Key, written: &str, origin: Origin, raw: &Raw) -> Given {
        let fault = |Misfit { part, expected, nearest }| {
            let (place, value) = match part {
                Some(Part { place, value }) => (place, value),
                None => (String::new(), Some(raw.shown(key))),
            };
            Fault { origin: origin.clone(), key: format!("{written}{place}"), value, expected, nearest }
        };
        let value = Value::parse(key, raw).map_err(|misfits| misfits.into_iter().map(fault).collect());
        Given { key, origin, value }
    }

    /// A value that cannot be read as one of `key` at all.
    pub(super) fn unreadable(key: &'static Key, written: &str, origin: Origin, expected: &str) -> Given {
        let fault = Fault {
            origin: origin.clone(),
            key: written.to_owned(),
            value: key.secret.then(|| HIDDEN.to_owned()),
            expected: expected.to_owned(),
            nearest: None,
        };
        Given { key, origin, value: Err(vec![fault]) }
    }
}

/// All that the sources say, in order of precedence.
#[derive(Clone, Default)]
pub(super) struct Said {
    given: Vec<Given>,
    /// Whether all of the file could be read. If not, nobody knows what else it says.
    is_whole: bool,
}

impl Said {
    /// Reads every source. A value that is no good is a fault wherever it stands, also where another one wins over it.
    pub(super) fn read(sources: &Sources, faults: &mut Vec<Fault>) -> Said {
        let mut given = from_flags(&sources.flags);
        given.extend(from_environment(&sources.environment, faults));
        let mut is_whole = true;
        match given.iter().find(|given| given.key.name == "config") {
            Some(Given { origin, value: Ok(Some(Value::Text(path))), .. }) => {
                let file = file::read(Path::new(path), origin, faults);
                is_whole = file.is_whole;
                given.extend(file.given);
            }
            Some(Given { value: Err(_), .. }) => is_whole = false,
            _ => {}
        }
        faults.extend(given.iter().filter_map(|given| given.value.as_ref().err()).flatten().cloned());
        Said { given, is_whole }
    }

    /// What counts of it for `key`; none: nobody gave it.
    pub(super) fn of(&self, key: &Key) -> Option<&Given> {
        self.given.iter().find(|given| given.key.name == key.name)
    }

    /// What counts for each key. What nobody gave may stand in the part of the file that could not be read.
    pub(super) fn settle(&self) -> Settings {
        let mut settings = Settings::default();
        for key in Key::all() {
            match self.of(key) {
                Some(Given { value: Ok(value), origin, .. }) => {
                    settings.insert(key, Setting { value: value.clone(), origin: origin.clone() });
                }
                first => {
                    settings.insert(key, Setting { value: Value::default_of(key), origin: Origin::Default });
                    if first.is_some() || !self.is_whole {
                        settings.mark_faulty(key);
                    }
                }
            }
        }
        settings
    }
}

fn from_flags(flags: &[(&'static str, OsString)]) -> Vec<Given> {
    let mut given = Vec::new();
    for key in Key::all() {
        let values: Vec<&OsStr> =
            flags.iter().filter(|(name, _)| *name == key.name).map(|(_, value)| value.as_os_str()).collect();
        let Some(last) = values.last() else { continue };
        let origin = Origin::Flag(key.name);
        let texts: Option<Vec<String>> =
            values.iter().map(|value| value.to_str().map(str::to_owned)).collect();
        given.push(match (texts, last.to_str()) {
            (Some(texts), _) if key.repeatable() => Given::read(key, key.name, origin, &Raw::Many(texts)),
            (_, Some(last)) if !key.repeatable() => {
                Given::read(key, key.name, origin, &Raw::One(last.to_owned()))
            }
            _ => Given::unreadable(key, key.name, origin, NOT_UTF8),
        });
    }
    given
}

/// An empty variable counts as not set, as it did for the Go collector.
fn from_environment(environment: &[(OsString, OsString)], faults: &mut Vec<Fault>) -> Vec<Given> {
    let mut given = Vec::new();
    for key in Key::all() {
        let found: Vec<(String, &OsStr)> = key
            .environment()
            .filter_map(|name| {
                let value = environment.iter().find(|(known, _)| *known == *name);
                value.map(|(_, value)| (name, value.as_os_str())).filter(|(_, value)| !value.is_empty())
            })
            .collect();
        let Some((name, value)) = found.first() else { continue };
        let first = from_variable(key, name, value);
        let others = found[1..].iter().filter(|(_, other)| other != value);
        let others: Vec<_> = others.map(|(name, value)| (name, from_variable(key, name, value))).collect();
        // Texts that differ may mean the same; and what is no good has a fault of its own.
        let differs = |other: &Given| matches!((&first.value, &other.value), (Ok(a), Ok(b)) if a != b);
        if let Some((other, _)) = others.iter().find(|(_, other)| differs(other)) {
            let expected = format!("differs from {other}, which sets the same key; unset one of them");
            given.push(Given::unreadable(key, key.name, first.origin, &expected));
            continue;
        }
        given.push(first);
        given.extend(others.into_iter().map(|(_, other)| other));
    }
    faults.extend(unknown_names(environment));
    given
}

fn from_variable(key: &'static Key, name: &str, value: &OsStr) -> Given {
    let origin = Origin::Environment(name.to_owned());
    let Some(text) = value.to_str() else { return Given::unreadable(key, key.name, origin, NOT_UTF8) };
    if !matches!(key.kind, Kind::Properties) {
        return Given::read(key, key.name, origin, &Raw::One(text.to_owned()));
    }
    let texts: Vec<String> = text.split(',').map(str::to_owned).collect();
    // A secret may have commas in it, and its pieces would be taken for names, which are shown.
    if texts.len() > 1 && texts.iter().any(|text| is_secret_property(text.split('=').next().unwrap_or(text)))
    {
        return Given::unreadable(key, key.name, origin, SECRET_IN_LIST);
    }
    Given::read(key, key.name, origin, &Raw::Many(texts))
}

/// Names that begin as ours do and are none: most likely misspelt, and without effect if nobody said so.
fn unknown_names(environment: &[(OsString, OsString)]) -> Vec<Fault> {
    let known: Vec<String> = Key::all().filter_map(|key| key.environment().next()).collect();
    let mut names: Vec<String> =
        environment.iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with(ENVIRONMENT_PREFIX) && !known.contains(name) && name != BUILD_NAME);
    names.sort_unstable();
    let fault = |name: &String| {
        let rest = &name[ENVIRONMENT_PREFIX.len()..];
        let near = nearest(rest, known.iter().map(|known| &known[ENVIRONMENT_PREFIX.len()..]));
        Fault {
            origin: Origin::Environment(name.clone()),
            key: String::new(),
            value: None,
            expected: "no key has this environment name".to_owned(),
            nearest: near.map(|rest| format!("{ENVIRONMENT_PREFIX}{rest}")),
        }
    };
    names.iter().map(fault).collect()
}

/// What the build script reads; it may still be set when the program runs.
const BUILD_NAME: &str = "METRICS_COLLECTOR_REVISION";

const SECRET_IN_LIST: &str =
    "expected no secret in a list between commas; put it into the file, where a list has its texts apart";

const NOT_UTF8: &str = "expected UTF-8 text";
