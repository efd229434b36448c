//! Partners that are dialled, one by one: each change of one is a change of the key `partners`.

use serde_json::{Map, Value as Json};

use super::{Faults, Live, Next};
use crate::config::fault::{Fault, Origin};
use crate::config::keys::Key;
use crate::config::value::{Raw, Value};
use crate::config::{CheckKafka, partners};

const KEY: &str = "partners";

impl Live {
    /// Sets the partner called `name` to what `fields` say, whether it was there or not. The second is whether it was not.
    ///
    /// # Errors
    /// Every fault there is; nothing is changed then.
    pub fn put_partner(
        &self,
        name: &str,
        fields: &Map<String, Json>,
        check: CheckKafka<'_>,
    ) -> Result<(Next, bool), Faults> {
        if fields.get("name").is_some_and(|other| other != name) {
            let expected = "expected the name that the path has, or none".to_owned();
            let (origin, key) = (Origin::Runtime, format!("{KEY}.{name}.name"));
            return Err(Faults(vec![Fault { origin, key, value: None, expected, nearest: None }]));
        }
        let named = [("name".to_owned(), Json::from(name))];
        let entry: Map<_, _> = named.into_iter().chain(fields.clone()).collect();
        let mut entries = self.entries();
        let before = entries.iter().position(|entry| entry["name"] == name);
        match before {
            Some(n) => entries[n] = entry.into(),
            None => entries.push(entry.into()),
        }
        Ok((self.set_partners(entries, check)?, before.is_none()))
    }

    /// Whether there is a partner called `name`.
    #[must_use]
    pub fn has_partner(&self, name: &str) -> bool {
        self.settings.partners(KEY).iter().any(|target| target.name == name)
    }

    /// Removes the partner called `name`; none: there is none.
    pub fn remove_partner(&self, name: &str, check: CheckKafka<'_>) -> Option<Result<Next, Faults>> {
        let mut entries = self.entries();
        let n = entries.iter().position(|entry| entry["name"] == name)?;
        entries.remove(n);
        Some(self.set_partners(entries, check))
    }

    fn entries(&self) -> Vec<Json> {
        match partners::to_json(self.settings.partners(KEY)) {
            Json::Array(entries) => entries,
            other => unreachable!("a list is written as a list: {other}"),
        }
    }

    /// Sets the list, or what was set is removed where the list is what flag, environment and file say.
    fn set_partners(&self, entries: Vec<Json>, check: CheckKafka<'_>) -> Result<Next, Faults> {
        let list = Json::Array(entries);
        let key = Key::find(KEY).expect("the key is in the table");
        let is_said = match Value::parse(key, &Raw::One(list.to_string())) {
            Ok(Some(Value::Partners(targets))) => targets == self.said.settle().partners(KEY),
            _ => false,
        };
        let value = if is_said { Json::Null } else { list };
        self.change(&Map::from_iter([(KEY.to_owned(), value)]), check)
    }
}
