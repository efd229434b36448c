//! The configuration while the program runs: changed key by key, or read again, and never half.
//!
//! # What it promises
//! * A change is held against the same rules as a start, by the same code, and made as a whole or not at all; all that is
//!   wrong with it is told at once.
//! * Only keys that are [`Key::live`] change, and those that are [`Key::by_reload`] not by name. What the file says of any
//!   other counts from the next start on, and is shown as *pending* until then; a change of such a key by name is a fault.
//! * A value that was set here, at *runtime*, wins over flag, environment and file, until it is removed, or one of those
//!   says something else than it did then: whoever edited it meant it to count.
//! * No runtime value has a secret sent elsewhere, or otherwise, that was not set at runtime itself: a change that would is
//!   a fault, and where the file has such a secret when it is read again, or at a start, the runtime value is dropped.
//!   Where the secret is *pending*, so is that: the value stays until the start that drops it.
//! * Contents of files that keys name count anew with each change: a certificate that was renewed is another one.
//! * Values outlive the process as far as somebody keeps [`Live::text`] and gives it to [`Live::recall`]. What does not fit
//!   any more is dropped and told, and never a reason not to start.
//!
//! # How it works
//! [`Live`] is a value and does nothing: each change gives a [`Next`], with the settings of every stage and a `Live` to go
//! on with. Whoever runs the stages takes it over or lets it go. What is read and checked on the way are files that keys
//! name, which may take a while.
//!
//! # When it is full, or lied to
//! There are as many values as there are keys. What is in the kept text is checked like any other value.

mod renewing;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::fault::{Fault, Faults, Origin, nearest};
use super::keys::Key;
use super::settings::{Setting, Settings};
use super::source::{Given, Said, Sources};
use super::value::Value;
use super::written::Written;
use super::{CheckKafka, Config, NamedFile, addressee, kafka, stages};

/// Version of the form of [`Live::text`].
const VERSION: u32 = 1;

/// What is expected of a change of any other key.
const NOT_LIVE: &str =
    "counts from the next start on; set it as a flag, in the environment or in the file, and restart";

/// What is expected of a change of a key that decides about others' rights, and of a value that stands in a file: what is in
/// there would be shown, or sent to whoever is named, for whoever may write.
const BY_RELOAD: &str = "is not changed over HTTP; set it in the file, and have that read again";

/// Where the configuration stands.
#[derive(Clone)]
pub struct Live {
    sources: Sources,
    said: Said,
    set: BTreeMap<&'static str, Set>,
    settings: Settings,
    /// Files that keys name, as they were read last.
    files: Vec<NamedFile>,
}

/// A value that was set at runtime.
#[derive(Clone)]
struct Set {
    written: Json,
    /// None: an empty text, so not set.
    value: Option<Value>,
    /// What the sources said then.
    over: String,
}

/// What a start begins with.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings of every stage.
    pub config: Config,
    /// Where the configuration stands.
    pub live: Live,
}

/// What a change comes to.
#[derive(Debug)]
pub struct Next {
    /// The settings of every stage.
    pub config: Config,
    /// Where the configuration stands then.
    pub live: Live,
    /// Keys whose value or origin is another.
    pub changed: Vec<Changed>,
    /// Files that have other contents.
    pub renewed: Vec<NamedFile>,
    /// Keys whose value is another from the next start on.
    pub pending: Vec<&'static str>,
    /// Keys whose runtime value was dropped, since the sources say something else than they did, or have a secret now that
    /// it would send elsewhere.
    pub dropped: Vec<&'static str>,
}

/// A key that was changed. Secrets are hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its name.
    pub key: &'static str,
    /// Its value before; null: not set.
    pub before: Json,
    /// Its value now; null: not set.
    pub after: Json,
    /// Where that comes from.
    pub origin: Origin,
}

/// Why a runtime value cannot be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRemoved {
    /// There is no such key.
    NoKey,
    /// It has no runtime value.
    NotSet,
}

/// The form of [`Live::text`].
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// Makes the fingerprints those of this text alone.
    salt: String,
    values: BTreeMap<String, KeptValue>,
}

#[derive(Serialize, Deserialize)]
struct KeptValue {
    value: Json,
    /// Fingerprint of [`Set::over`], which may have a secret.
    over: String,
}

impl Live {
    /// Reads `sources`, as a start does.
    ///
    /// # Errors
    /// Every fault there is.
    pub fn load(sources: Sources, check: CheckKafka<'_>) -> Result<Loaded, Faults> {
        let mut faults = Vec::new();
        let said = Said::read(&sources, &mut faults);
        let settings = assemble(&said, &BTreeMap::new(), None);
        let config = stages::build(&settings, &sources, check, &mut faults);
        let live = Live { sources, said, set: BTreeMap::new(), settings, files: config.files.clone() };
        if faults.is_empty() { Ok(Loaded { config, live }) } else { Err(Faults(faults)) }
    }

    /// Every key with the value that counts.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What keys will be from the next start on, where that is something else.
    pub(super) fn pending(&self) -> BTreeMap<&'static str, Setting> {
        let then = self.at_a_start();
        let differs = |key: &&Key| then.get(key.name).value != self.settings.get(key.name).value;
        Key::all().filter(differs).map(|key| (key.name, then.get(key.name).clone())).collect()
    }

    /// Sets keys to values; null removes what was set at runtime.
    ///
    /// # Errors
    /// Every fault there is; nothing is changed then.
    pub fn change(&self, values: &Map<String, Json>, check: CheckKafka<'_>) -> Result<Next, Faults> {
        let (mut set, mut faults) = (self.set.clone(), Vec::new());
        for (name, value) in values {
            match self.set_one(name, value) {
                Ok((key, Some(value))) => _ = set.insert(key.name, value),
                Ok((key, None)) => _ = set.remove(key.name),
                Err(wrong) => faults.extend(wrong),
            }
        }
        self.next(self.said.clone(), set, faults, check)
    }

    /// The key called `name`, for which something was set at runtime.
    ///
    /// # Errors
    /// Why there is nothing to remove.
    pub fn removable(&self, name: &str) -> Result<&'static Key, NotRemoved> {
        let key = Key::find(name).ok_or(NotRemoved::NoKey)?;
        if self.set.contains_key(key.name) { Ok(key) } else { Err(NotRemoved::NotSet) }
    }

    /// Removes what was set at runtime for the key called `name`.
    ///
    /// # Errors
    /// There is nothing to remove; or what counts then is at fault.
    pub fn remove(&self, name: &str, check: CheckKafka<'_>) -> Result<Result<Next, Faults>, NotRemoved> {
        let key = self.removable(name)?;
        let mut set = self.set.clone();
        set.remove(key.name);
        Ok(self.next(self.said.clone(), set, Vec::new(), check))
    }

    /// What was set at runtime, as text that [`Live::recall`] reads. It may have secrets in it.
    ///
    /// # Errors
    /// The system gives no random bytes.
    ///
    /// # Panics
    /// Never: all of it is JSON.
    pub fn text(&self) -> Result<Vec<u8>, getrandom::Error> {
        let salt = format!("{:032x}", {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes)?;
            u128::from_be_bytes(bytes)
        });
        let kept = |(name, set): (&&str, &Set)| {
            let over = fingerprint(&salt, &set.over);
            ((*name).to_owned(), KeptValue { value: set.written.clone(), over })
        };
        let values = self.set.iter().map(kept).collect();
        let mut text = serde_json::to_vec_pretty(&Kept { version: VERSION, salt, values })
            .expect("texts and JSON are JSON");
        text.push(b'\n');
        Ok(text)
    }

    /// Takes the values of `text` over, as far as they still count. Gives what became of them, a line for each that does
    /// not; none where it is no text of ours.
    #[must_use]
    pub fn recall(&self, text: &[u8], check: CheckKafka<'_>) -> Option<(Option<Next>, Vec<String>)> {
        let kept: Kept = serde_json::from_slice(text).ok().filter(|kept: &Kept| kept.version == VERSION)?;
        let (mut set, mut told) = (BTreeMap::new(), Vec::new());
        for (name, KeptValue { value, over }) in &kept.values {
            match self.set_one(name, value) {
                Ok((key, Some(value))) if fingerprint(&kept.salt, &value.over) == *over => {
                    set.insert(key.name, value);
                }
                Ok(_) => told.push(format!(
                    "the runtime value of {name} is dropped: flag, environment or file say something else than when it \
                     was set"
                )),
                Err(faults) => told.extend(
                    faults.iter().map(|fault| format!("the runtime value of {name} is dropped: {fault}")),
                ),
            }
        }
        told.extend(renewing::drop_misplaced(&self.said, &mut set, Some(&self.settings)).1);
        if set.is_empty() {
            return Some((None, told));
        }
        // Nothing runs yet, so that every key may be what it is at a start.
        match self.next(self.said.clone(), set, Vec::new(), check) {
            Ok(next) => Some((Some(next), told)),
            Err(faults) => {
                let dropped = |fault: &Fault| {
                    format!("all runtime values are dropped, they do not fit any more: {fault}")
                };
                told.extend(faults.0.iter().map(dropped));
                Some((None, told))
            }
        }
    }

    /// What is to be set for one key; none: nothing any more.
    fn set_one(&self, name: &str, value: &Json) -> Result<(&'static Key, Option<Set>), Vec<Fault>> {
        let fault = |expected: &str, nearest| {
            let (origin, key, expected) = (Origin::Runtime, name.to_owned(), expected.to_owned());
            vec![Fault { origin, key, value: None, expected, nearest }]
        };
        let Some(key) = Key::find(name) else {
            return Err(fault("there is no such key", nearest(name, Key::all().flat_map(Key::names))));
        };
        if value.is_null() {
            return Ok((key, None));
        }
        if !key.live {
            return Err(fault(NOT_LIVE, None));
        }
        if key.by_reload {
            return Err(fault(BY_RELOAD, None));
        }
        let given = match Written::of_json(value).raw(key.kind) {
            Ok(raw) if raw.names_a_file(key.kind) => return Err(fault(BY_RELOAD, None)),
            Ok(raw) => Given::read(key, name, Origin::Runtime, &raw),
            Err(expected) => Given::unreadable(key, name, Origin::Runtime, &expected),
        };
        let set = Set { written: value.clone(), value: given.value?, over: over(&self.said, key.name) };
        Ok((key, Some(set)))
    }

    /// What every key would be if the program were started now, without the runtime values that a start drops.
    fn at_a_start(&self) -> Settings {
        let mut set = self.set.clone();
        // Where it would count now it is a fault, which is told as it is.
        if addressee::misplaced(&self.settings).is_empty() {
            renewing::drop_misplaced(&self.said, &mut set, None);
        }
        assemble(&self.said, &set, None)
    }

    fn next(
        &self,
        said: Said,
        set: BTreeMap<&'static str, Set>,
        mut faults: Vec<Fault>,
        check: CheckKafka<'_>,
    ) -> Result<Next, Faults> {
        let settings = assemble(&said, &set, Some(&self.settings));
        let mut live = Live { sources: self.sources.clone(), said, set, settings, files: Vec::new() };
        let pending: Vec<_> = live.pending().into_keys().collect();
        if !pending.is_empty() {
            // It has to be good for a start as well. What is wrong with both is told once.
            stages::build(&live.at_a_start(), &live.sources, check, &mut faults);
        }
        if pending.is_empty() || faults.is_empty() {
            let config = stages::build(&live.settings, &live.sources, check, &mut faults);
            if faults.is_empty() {
                let changed = self.changed(&live);
                let renewed = NamedFile::renewed(&self.files, &config.files);
                let renewed = renewed.into_iter().cloned().collect();
                live.files.clone_from(&config.files);
                return Ok(Next { config, live, changed, renewed, pending, dropped: Vec::new() });
            }
        }
        Err(Faults(faults))
    }

    fn changed(&self, next: &Live) -> Vec<Changed> {
        let shown = |key: &Key, setting: &Setting| {
            setting.value.as_ref().map_or(Json::Null, |value| value.shown(key))
        };
        let all = Key::all().map(|key| (key, self.settings.get(key.name), next.settings.get(key.name)));
        // That a line of the file has moved is no change.
        let differ = |before: &Setting, after: &Setting| {
            before.value != after.value || before.origin.kind() != after.origin.kind()
        };
        all.filter(|(_, before, after)| differ(before, after))
            .map(|(key, before, after)| Changed {
                key: key.name,
                before: shown(key, before),
                after: shown(key, after),
                origin: after.origin.clone(),
            })
            .collect()
    }
}

impl fmt::Debug for Live {
    /// Shows no value: there may be secrets among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("set", &self.set.keys()).finish_non_exhaustive()
    }
}

/// The value that counts for each key: what was set at runtime over what was said. Keys that are not live stay as they are
/// where something is `running`.
fn assemble(said: &Said, set: &BTreeMap<&'static str, Set>, running: Option<&Settings>) -> Settings {
    let mut settings = said.settle();
    for key in Key::all() {
        match (set.get(key.name), running) {
            (Some(set), _) => {
                settings.insert(key, Setting { value: set.value.clone(), origin: Origin::Runtime });
            }
            (None, Some(running)) if !key.live => settings.insert(key, running.get(key.name).clone()),
            _ => {}
        }
    }
    kafka::settle_compression(&mut settings);
    settings
}

/// What the sources say of a key, with every secret in it.
fn over(said: &Said, name: &str) -> String {
    let key = Key::find(name).expect("values are set for keys of the table");
    match said.of(key).map(|given| &given.value) {
        None | Some(Err(_)) => "nothing".to_owned(),
        Some(Ok(None)) => "not set".to_owned(),
        Some(Ok(Some(value))) => format!("set to {}", value.exact()),
    }
}

fn fingerprint(salt: &str, text: &str) -> String {
    let hash = openssl::sha::sha256(format!("{salt} {text}").as_bytes());
    hash.map(|byte| format!("{byte:02x}")).concat()
}

mod partners;
#[cfg(test)]
mod tests;
