//! Files that keys name, read again.

use super::{Live, Next};
use crate::config::{CheckKafka, Faults, NamedFile};

impl Live {
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
