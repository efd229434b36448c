//! The sources read again, and files that keys name.

use std::collections::BTreeMap;

use super::{Live, Next, Set, assemble, over};
use crate::config::settings::Settings;
use crate::config::source::Said;
use crate::config::{CheckKafka, Faults, NamedFile, addressee};

impl Live {
    /// Reads the sources again: the file, and files that keys name.
    ///
    /// # Errors
    /// Every fault there is; nothing is changed then.
    pub fn reload(&self, check: CheckKafka<'_>) -> Result<Next, Faults> {
        let mut faults = Vec::new();
        let said = Said::read(&self.sources, &mut faults);
        let (mut set, mut dropped) = (self.set.clone(), Vec::new());
        set.retain(|name, value| {
            let stays = value.over == over(&said, name);
            if !stays {
                dropped.push(*name);
            }
            stays
        });
        let (misplaced, told) = drop_misplaced(&said, &mut set, Some(&self.settings));
        dropped.extend(misplaced);
        let mut next = self.next(said, set, faults, check)?;
        next.config.warnings.extend(told);
        Ok(Next { dropped, ..next })
    }

    /// Reads the files again that keys name, and nothing else: they are renewed without a word.
    ///
    /// # Errors
    /// Every fault there is; nothing is changed then.
    pub fn renew(&self, check: CheckKafka<'_>) -> Result<Next, Faults> {
        self.next(self.said.clone(), self.set.clone(), Vec::new(), check)
    }

    /// The files that keys name, as they were read last.
    #[must_use]
    pub fn files(&self) -> &[NamedFile] {
        &self.files
    }
}

/// Drops the runtime values that would have a secret sent elsewhere which was not set at runtime, where this is
/// `running`, or at a start. Gives their keys, and a line for each.
pub(super) fn drop_misplaced(
    said: &Said,
    set: &mut BTreeMap<&'static str, Set>,
    running: Option<&Settings>,
) -> (Vec<&'static str>, Vec<String>) {
    let (mut keys, mut told) = (Vec::new(), Vec::new());
    loop {
        let misplaced = addressee::misplaced(&assemble(said, set, running));
        if misplaced.is_empty() {
            return (keys, told);
        }
        // Without brokers that were named, it counts where they are looked for.
        for (key, why) in misplaced {
            set.remove(key);
            keys.push(key);
            told.push(format!("the runtime value of {key} is dropped: it {why}"));
        }
    }
}
