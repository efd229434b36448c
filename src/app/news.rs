//! What the log says of a change of the configuration.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value as Json;
use tracing::{info, warn};

use crate::config::{Changed, NamedFile};
use crate::control::steering::NotChanged;

/// Why nothing was changed, in a line.
pub(super) struct Told<'a>(pub(super) &'a NotChanged);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NotChanged::Faults(faults) => faults.iter().enumerate().try_for_each(|(n, fault)| {
                let before = if n == 0 { "" } else { "; " };
                write!(f, "{before}{} ({}): {}", fault.key, fault.place, fault.expected)
            }),
            NotChanged::Slow => f.write_str("a file that keys name does not answer"),
            NotChanged::Stale => f.write_str("the configuration is another one by now"),
            NotChanged::NoKey => f.write_str("there is no such key"),
            NotChanged::NotSet => f.write_str("the key has no runtime value"),
            NotChanged::NoPartner => f.write_str("there is no such partner"),
        }
    }
}

/// What happened, for those who look for it later.
pub(super) struct News<'a> {
    pub(super) changed: &'a [Changed],
    pub(super) renewed: &'a [NamedFile],
    pub(super) pending: &'a [&'static str],
    pub(super) dropped: &'a [&'static str],
    /// Somebody asked for it.
    pub(super) is_asked: bool,
}

impl News<'_> {
    pub(super) fn tell(&self, by: &str) {
        let News { changed, renewed, pending, dropped, .. } = self;
        for Changed { key, before, after, origin } in *changed {
            let origin = origin.kind();
            let parts = differences(before, after);
            if parts.is_empty() {
                info!(key, %before, %after, origin, by, "configuration changed");
            }
            for (name, before, after) in parts {
                info!(key, name, %before, %after, origin, by, "configuration changed");
            }
        }
        for NamedFile { key, path, .. } in *renewed {
            info!(key, path = %path.display(), by, "configuration changed: the file has other contents");
        }
        for key in *dropped {
            info!(
                key,
                by,
                "the runtime value is dropped: flag, environment or file say something else than when it was set"
            );
        }
        if !pending.is_empty() {
            warn!(keys = pending.join(","), by, "set, and counts from the next start on");
        }
        if changed.is_empty() && renewed.is_empty() && pending.is_empty() && dropped.is_empty() {
            // Looks come all the time.
            if self.is_asked {
                info!(by, "configuration read, nothing is changed");
            }
        }
    }
}

/// Of two lists of things with names those that differ, each before and after.
fn differences<'a>(before: &'a Json, after: &'a Json) -> Vec<(&'a str, &'a Json, &'a Json)> {
    fn named(list: &Json) -> impl Iterator<Item = (&str, &Json)> {
        list.as_array().into_iter().flatten().filter_map(|entry| Some((entry["name"].as_str()?, entry)))
    }
    let find = |list: &'a Json, name: &str| {
        named(list).find(|(other, _)| *other == name).map_or(&Json::Null, |(_, entry)| entry)
    };
    let names: BTreeSet<&str> = named(before).chain(named(after)).map(|(name, _)| name).collect();
    let all = names.into_iter().map(|name| (name, find(before, name), find(after, name)));
    all.filter(|(_, before, after)| before != after).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::steering::Fault;

    #[test]
    fn why_nothing_was_changed_is_told_in_words() {
        let fault = |key: &str| Fault {
            key: key.to_owned(),
            value: None,
            place: "file".to_owned(),
            expected: "expected 2".to_owned(),
            nearest: None,
        };
        let faults = NotChanged::Faults(vec![fault("a"), fault("b")]);
        assert_eq!(Told(&faults).to_string(), "a (file): expected 2; b (file): expected 2");
        for why in [
            NotChanged::Slow,
            NotChanged::Stale,
            NotChanged::NoKey,
            NotChanged::NotSet,
            NotChanged::NoPartner,
        ] {
            let told = Told(&why).to_string();
            assert!(told.contains(' ') && !told.contains(&format!("{why:?}")), "{told}");
        }
    }

    #[test]
    fn of_partners_those_are_told_that_differ() {
        let entry = |name: &str, address: &str| json!({ "name": name, "address": address });
        let before = json!([entry("a", "1"), entry("b", "1"), entry("c", "1")]);
        let after = json!([entry("c", "1"), entry("b", "2"), entry("d", "1")]);
        let told: Vec<_> = differences(&before, &after)
            .into_iter()
            .map(|(name, before, after)| (name, before["address"].as_str(), after["address"].as_str()))
            .collect();
        assert_eq!(told, [("a", Some("1"), None), ("b", Some("1"), Some("2")), ("d", None, Some("1"))]);
        assert!(differences(&json!("x"), &json!("y")).is_empty());
        assert_eq!(differences(&Json::Null, &before).len(), 3);
    }
}
