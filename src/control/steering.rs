//! What an operator may change while the collector runs: its configuration.
//!
//! Everybody sees the configuration with a version, and may tie a change to the version that they saw, so that two
//! operators do not undo each other's work unseen.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// Shows and changes the configuration. The program has one implementation, in `app`.
pub trait Steering: Send + Sync {
    /// The configuration as it is.
    fn view(&self) -> Arc<ConfigView>;
    /// The JSON Schema of [`Change::Set`].
    fn schema(&self) -> Value;
    /// The JSON Schema of the fields of [`Change::PutPartner`].
    fn partner_schema(&self) -> Value;
    /// Changes the configuration. One change is made at a time; the others wait for their turn.
    fn change(&self, order: Order) -> Changing<'_>;
}

/// A change that is being made.
pub type Changing<'a> = Pin<Box<dyn Future<Output = Result<Outcome, NotChanged>> + Send + 'a>>;

/// `GET /v1/config`. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ConfigView {
    /// Version of this answer's shape: 1.
    pub version: u32,
    /// Changes with every change, and with every start of the process.
    #[serde(skip)]
    pub etag: String,
    /// Whether what was set at runtime outlives the process.
    pub kept: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_kept_because: Option<String>,
    /// By name.
    #[schemars(with = "BTreeMap<String, KeyView>")]
    pub keys: Map<String, Value>,
}

/// A key as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct KeyView {
    /// Null where it is not set; secrets are hidden.
    pub value: Value,
    pub default: Value,
    /// `default`, `file`, `environment`, `flag` or `runtime`.
    pub origin: String,
    /// Where exactly it was set.
    pub place: String,
    /// `live` where a change counts at once, `reload` where it does when the file is read again, else `restart`.
    pub change: String,
    pub secret: bool,
    pub doc: String,
    /// What the value is from the next start on, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Value>,
}

/// A change and who wants it.
#[derive(Clone, Debug)]
pub struct Order {
    pub change: Change,
    /// The versions that it may be made to.
    pub expected: Expected,
    /// Who, for the log.
    pub by: String,
}

/// What is to be changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Keys and their values; null removes what was set at runtime.
    Set(Map<String, Value>),
    /// What was set at runtime for this key is removed.
    Remove(String),
    /// The dialled partner of this name is set to what the fields say, whether it is there or not.
    PutPartner { name: String, fields: Map<String, Value> },
    /// The dialled partner of this name is removed.
    RemovePartner(String),
    /// The sources are read again.
    Reload,
    /// Files that keys name are read again.
    Renew,
}

/// Which version of the configuration a change was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whichever there is.
    Any,
    /// One with any of these tags.
    OneOf(Vec<String>),
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Outcome {
    /// Keys whose value or origin is another.
    pub changed: Vec<&'static str>,
    /// Keys whose file has other contents.
    pub renewed: Vec<&'static str>,
    /// Keys that have another value from the next start on.
    pub pending: Vec<&'static str>,
    /// Keys whose runtime value was dropped, since flag, environment or file say something else than when it was set.
    pub dropped: Vec<&'static str>,
    /// A partner was put that was not there.
    #[serde(skip)]
    pub created: bool,
    #[serde(flatten)]
    pub view: ConfigView,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotChanged {
    /// The configuration is not the one that the change was made for.
    Stale,
    /// There is no such key.
    NoKey,
    /// The key has no runtime value.
    NotSet,
    /// There is no dialled partner of that name.
    NoPartner,
    /// These are at fault.
    Faults(Vec<Fault>),
    /// A file that a key names does not answer.
    Slow,
}

/// One fault of a change. Its texts never hold the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fault {
    /// Empty where the fault is no key's.
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where it stands.
    pub place: String,
    /// What was expected, or what is wrong, and what to do.
    pub expected: String,
    /// The right name or word that is nearest to the one written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl Expected {
    /// Whether a change may be made to the version of this tag.
    #[must_use]
    pub fn admits(&self, etag: &str) -> bool {
        match self {
            Expected::Any => true,
            Expected::OneOf(tags) => tags.iter().any(|tag| tag == etag),
        }
    }
}
