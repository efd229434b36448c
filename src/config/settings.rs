//! Every key with the value that counts and where it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::Origin;
use super::keys::Key;
use super::value::Value;
use crate::output::partner::Target;
use crate::record::Brokers;

/// The value of one key.
#[derive(Clone)]
pub(super) struct Setting {
    /// None: not set.
    pub value: Option<Value>,
    pub origin: Origin,
}

/// The effective values of all keys. There is no `Debug`, since secrets are among them.
#[derive(Clone, Default)]
pub struct Settings {
    by_name: BTreeMap<&'static str, Setting>,
    faulty: BTreeSet<&'static str>,
    /// What was asked for, so that a test can find keys without effect.
    #[cfg(test)]
    pub(super) asked: std::cell::RefCell<BTreeSet<&'static str>>,
}

impl Settings {
    pub(super) fn insert(&mut self, key: &'static Key, setting: Setting) {
        self.by_name.insert(key.name, setting);
    }

    /// The value that would count is no good or not known; the default stands in for it.
    pub(super) fn mark_faulty(&mut self, key: &'static Key) {
        self.faulty.insert(key.name);
    }

    pub(super) fn is_faulty(&self, name: &str) -> bool {
        self.faulty.contains(name)
    }

    /// The setting of a key of the table.
    pub(super) fn get(&self, name: &'static str) -> &Setting {
        #[cfg(test)]
        self.asked.borrow_mut().insert(name);
        self.by_name.get(name).expect("only names of the table are asked for")
    }

    pub(super) fn origin(&self, name: &'static str) -> &Origin {
        &self.get(name).origin
    }

    /// Whether somebody set it, to something or to nothing.
    pub(super) fn is_explicit(&self, name: &'static str) -> bool {
        *self.origin(name) != Origin::Default
    }

    pub(super) fn is_set(&self, name: &'static str) -> bool {
        self.get(name).value.is_some()
    }

    pub(super) fn switch(&self, name: &'static str) -> bool {
        self.optional_switch(name).expect("the key is a switch with a default")
    }

    pub(super) fn optional_switch(&self, name: &'static str) -> Option<bool> {
        match self.get(name).value {
            Some(Value::Bool(value)) => Some(value),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &'static str) -> u64 {
        self.optional_number(name).expect("the key is a number or size with a default")
    }

    pub(super) fn optional_number(&self, name: &'static str) -> Option<u64> {
        match self.get(name).value {
            Some(Value::Integer(value) | Value::Size(value)) => Some(value),
            _ => None,
        }
    }

    /// A number or size as one of this machine's sizes.
    pub(super) fn size(&self, name: &'static str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    /// The same, where the table excludes 0.
    pub(super) fn nonzero(&self, name: &'static str) -> NonZeroUsize {
        NonZeroUsize::new(self.size(name)).expect("the table excludes 0")
    }

    /// A number as one of 32 bits, to which the table bounds it.
    pub(super) fn small(&self, name: &'static str) -> u32 {
        u32::try_from(self.number(name)).expect("the table bounds the key to 32 bits")
    }

    pub(super) fn time(&self, name: &'static str) -> Duration {
        match self.get(name).value {
            Some(Value::Time(value) | Value::Milliseconds(value)) => value,
            _ => unreachable!("the key {name} is a time with a default"),
        }
    }

    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        match &self.get(name).value {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The text of a key that has a default.
    pub(super) fn word(&self, name: &'static str) -> &str {
        self.text(name).expect("the key is a text with a default")
    }

    pub(super) fn owned(&self, name: &'static str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(super) fn path(&self, name: &'static str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(super) fn endpoint(&self, name: &'static str) -> SocketAddr {
        match self.get(name).value {
            Some(Value::Endpoint(address)) => address,
            _ => unreachable!("the key {name} is an address with a default"),
        }
    }

    pub(super) fn optional_endpoint(&self, name: &'static str) -> Option<SocketAddr> {
        match self.get(name).value {
            Some(Value::Endpoint(address)) => Some(address),
            _ => None,
        }
    }

    pub(super) fn brokers(&self, name: &'static str) -> Option<&Brokers> {
        match &self.get(name).value {
            Some(Value::Brokers(brokers, _)) => Some(brokers),
            _ => None,
        }
    }

    pub(super) fn partners(&self, name: &'static str) -> &[Target] {
        match &self.get(name).value {
            Some(Value::Partners(targets)) => targets,
            _ => &[],
        }
    }

    pub(super) fn pairs(&self, name: &'static str) -> &[(String, String)] {
        match &self.get(name).value {
            Some(Value::Pairs(pairs)) => pairs,
            _ => &[],
        }
    }
}
