//! What is wrong with a configuration, said so that it can be mended without looking anything up.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File {
        /// As it was given.
        path: PathBuf,
        /// Line of the value, from 1, where it is known.
        line: Option<usize>,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag, by the key's name.
    Flag(&'static str),
    /// It was changed while the program ran.
    Runtime,
}

impl Origin {
    /// What kind of place it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::File { .. } => "file",
            Origin::Environment(_) => "environment",
            Origin::Flag(_) => "flag",
            Origin::Runtime => "runtime",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Origin::File { path, line: None } => write!(f, "{}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag --{name}"),
            Origin::Runtime => f.write_str("runtime"),
        }
    }
}

/// One fault of a configuration. Its text never holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands; [`Origin::Default`] where it stands nowhere, such as for a missing value.
    pub origin: Origin,
    /// The key as it was written; empty where the fault is no key's, such as a file that cannot be read.
    pub key: String,
    /// The value as it was written, or `<hidden>`. None: there is none, or it could be a secret.
    pub value: Option<String>,
    /// What was expected, or what is wrong, and what to do.
    pub expected: String,
    /// The right name or word that is nearest to the one written.
    pub nearest: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}", self.key)?;
            if let Some(value) = &self.value {
                write!(f, " = {}", shortened(value))?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.expected)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean \"{nearest}\"?"),
            None => Ok(()),
        }
    }
}

/// Every fault of a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    fn text(&self) -> String {
        let n = self.0.len();
        let mut text = format!("the configuration has {n} fault{}", if n == 1 { "" } else { "s" });
        for fault in &self.0 {
            text.push_str("\n  ");
            text.push_str(&fault.to_string());
        }
        text
    }
}

/// The one of `known` that is most like `written`, if any is alike enough to be meant.
pub(super) fn nearest<T: AsRef<str>>(written: &str, known: impl IntoIterator<Item = T>) -> Option<String> {
    const ALIKE: f64 = 0.6;
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let written = plain(written);
    known
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&written, &plain(name.as_ref())), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.as_ref().to_owned())
}

/// A value in quotes, escaped and cut, since anything may stand in an environment variable.
fn shortened(value: &str) -> String {
    const SHOWN: usize = 80;
    let shown: String = value.chars().take(SHOWN).collect();
    let cut = if shown.len() < value.len() { "..." } else { "" };
    format!("{shown:?}{cut}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_strange_one_has_none() {
        let known = ["kafka-brokers", "kafka-key", "memory-limit"];
        for (written, expected) in [
            ("kafka-broker", Some("kafka-brokers")),
            ("KAFKA_BROKERS", Some("kafka-brokers")),
            ("memorylimit", Some("memory-limit")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(written, known).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn a_fault_names_place_key_value_expectation_and_nearest() {
        let fault = Fault {
            origin: Origin::File { path: "mc.toml".into(), line: Some(3) },
            key: "log-format".into(),
            value: Some("jsno\n".into()),
            expected: "expected text or json".into(),
            nearest: Some("json".into()),
        };
        assert_eq!(
            fault.to_string(),
            r#"mc.toml:3: log-format = "jsno\n": expected text or json; did you mean "json"?"#
        );
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shortened(&"x".repeat(200)), format!("\"{}\"...", "x".repeat(80)));
    }
}
