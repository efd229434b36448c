//! What was set at runtime, from one run to the next: `runtime.json` of the data directory.
//!
//! # What it promises
//! * The values of one change are in the file as a whole or not at all, readable by nobody else. Those of an earlier change
//!   never take the place of a later one's, also where the disk was so slow that nobody waited for it any more.
//! * A start never fails for it: a file that is damaged is set aside, one that does not fit the rest is dropped, and both are
//!   told; so is a directory in which nothing can be kept.
//!
//! # When it is slow
//! A directory that does not answer costs a change, and the start, five seconds.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::{info, warn};

use crate::config::{Changed, Live, Loaded, Next};
use crate::disk;
use crate::output::kafka;

const FILE: &str = "runtime.json";

/// Far more than all keys with long values need.
const BYTES_MAX: u64 = 1 << 20;

/// It may have secrets in it.
const MODE: u32 = 0o600;

/// What a start begins with.
pub(super) struct Recalled {
    pub(super) loaded: Loaded,
    pub(super) keeping: Keeping,
}

/// Whether what is set from now on will be there the next time.
pub(super) struct Keeping {
    /// Who writes it down, where there is a data directory.
    pub(super) keeper: Option<Arc<Keeper>>,
    /// Why it will not; none: it will.
    pub(super) not_kept: Option<NotKept>,
}

/// Why values do not outlive the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotKept {
    /// There is no data directory.
    NoFolder,
    /// It takes nothing: what it says.
    Failed(String),
}

/// Writes the values down.
pub(super) struct Keeper {
    folder: PathBuf,
    /// Changes whose values were to be written.
    asked: AtomicU64,
    /// The number of the last whose were. Whoever has it writes.
    written: Mutex<u64>,
}

impl NotKept {
    fn slow() -> NotKept {
        NotKept::Failed(disk::NO_ANSWER.to_owned())
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotKept::NoFolder => f.write_str("data-dir is not set"),
            NotKept::Failed(error) => write!(f, "data-dir cannot be written to: {error}"),
        }
    }
}

impl Keeper {
    fn new(folder: PathBuf) -> Keeper {
        Keeper { folder, asked: AtomicU64::new(0), written: Mutex::new(0) }
    }

    /// Writes the values of `live` down, those of one change after those of the other.
    ///
    /// # Errors
    /// Why they are not there now. They may be later, unless others are by then.
    pub(super) async fn keep(self: &Arc<Self>, live: Live) -> Result<(), NotKept> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let keeper = self.clone();
        match disk::patiently(move || keeper.write(number, &live)).await {
            Some(result) => result.map_err(NotKept::Failed),
            None => Err(NotKept::slow()),
        }
    }

    fn write(&self, number: u64, live: &Live) -> Result<(), String> {
        let mut written = self.written.lock().expect("no code panics under this lock");
        if number < *written {
            return Ok(());
        }
        *written = number;
        let text = live.text().map_err(|error| error.to_string())?;
        disk::replace(&self.folder, FILE, &text, MODE).map_err(|error| error.to_string())
    }

    /// What was set, if it counts, and what is to be told. What does not count is not kept.
    fn read(&self, live: &Live) -> (Option<Next>, Vec<String>) {
        let path = self.folder.join(FILE);
        let without = "starting without what was set at runtime";
        let text = match disk::read(&path, BYTES_MAX) {
            Ok(Some(text)) => text,
            Ok(None) => return (None, Vec::new()),
            Err(error) => return (None, vec![format!("cannot read {}: {error}; {without}", path.display())]),
        };
        let Some((next, mut told)) = live.recall(&text, &kafka::check) else {
            let aside = disk::set_aside(&self.folder, FILE);
            let (path, aside) = (path.display(), aside.display());
            return (None, vec![format!("{path} is damaged and set aside as {aside}; {without}")]);
        };
        // Before any change: where the disk was so slow that there has been one, that one's values stay.
        if !told.is_empty()
            && let Err(error) = self.write(0, next.as_ref().map_or(live, |next| &next.live))
        {
            told.push(format!("cannot write {}: {error}", path.display()));
        }
        (next, told)
    }
}

/// What the start begins with: what was loaded, and what was set at runtime in an earlier run.
pub(super) async fn recall(loaded: Loaded) -> Recalled {
    let Some(folder) = loaded.config.data_dir.clone() else {
        return Recalled { loaded, keeping: Keeping { keeper: None, not_kept: Some(NotKept::NoFolder) } };
    };
    let (live, at) = (loaded.live.clone(), folder.clone());
    let keeper = Arc::new(Keeper::new(folder));
    let reader = keeper.clone();
    let look = move || (disk::try_out(&reader.folder), reader.read(&live));
    let Some((tried, (next, told))) = disk::patiently(look).await else {
        warn!("data-dir does not answer; starting without what was set at runtime");
        return Recalled {
            loaded,
            keeping: Keeping { keeper: Some(keeper), not_kept: Some(NotKept::slow()) },
        };
    };
    if let Err(error) = &tried {
        warn!(path = %at.display(), "data-dir cannot be written to, so nothing outlives this run: {error}");
    }
    let not_kept = tried.err().map(|error| NotKept::Failed(error.to_string()));
    for line in &told {
        warn!("{line}");
    }
    let loaded = match next {
        Some(Next { config, live, changed, .. }) => {
            for Changed { key, after, .. } in changed {
                info!(key, %after, "set at runtime in an earlier run");
            }
            Loaded { config, live }
        }
        None => loaded,
    };
    Recalled { loaded, keeping: Keeping { keeper: Some(keeper), not_kept } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Sources;

    #[test]
    fn what_was_given_up_never_takes_the_place_of_what_came_later() {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources { flags: Vec::new(), environment: Vec::new() };
        let Loaded { live, .. } = Live::load(sources, &|_| Vec::new()).unwrap();
        let with = |prefix: &str| {
            let values = json!({ "kafka-topic-prefix": prefix });
            live.change(values.as_object().unwrap(), &|_| Vec::new()).unwrap().live
        };
        let keeper = Keeper::new(folder.path().to_owned());
        for (number, prefix, expected) in
            [(1, "a-", "a-"), (3, "c-", "c-"), (2, "b-", "c-"), (4, "d-", "d-"), (0, "z-", "d-")]
        {
            keeper.write(number, &with(prefix)).unwrap();
            let (next, told) = keeper.read(&live);
            assert_eq!(told, Vec::<String>::new());
            assert_eq!(next.unwrap().live.view()["kafka-topic-prefix"]["value"], expected, "{number}");
        }
    }
}
