//! Files that keys name, looked at now and then: certificates, keys, tokens and accounts are renewed under their names, and
//! whoever renews them tells nobody.
//!
//! # What it promises
//! * A file that was replaced or written anew counts within a [`PERIOD`], as a reload would have it count. The
//!   configuration file itself is not read: whoever edits it says when it is ready.
//! * A look is as many questions to the file system as there are files. What is in them is read only where one is not
//!   what it was.
//! * What cannot be used, as a certificate without its new key, changes nothing. It is told once, and tried again with each
//!   look until it can be.
//!
//! # Slow, gone or lying
//! Files that do not answer hold up the looks and nothing else: there is one look at a time.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::error;

use super::news::Told;
use super::steering::Steering;
use crate::control::steering::{Change, Expected, NotChanged, Order, Steering as _};

/// Between two looks.
pub(super) const PERIOD: Duration = Duration::from_secs(60);

/// The looks.
pub(super) struct Renewal {
    steering: Steering,
    /// What the files were when what is in them was read last.
    known: Option<Vec<Stamp>>,
    /// What is wrong with them, as it was told last.
    told: Option<NotChanged>,
}

/// What a file is, without a look into it; none where it is not there.
type Stamp = (PathBuf, Option<[i128; 5]>);

impl Renewal {
    pub(super) fn new(steering: Steering) -> Renewal {
        Renewal { steering, known: None, told: None }
    }

    /// Looks again and again; never ends.
    pub(super) async fn run(mut self, period: Duration) {
        loop {
            tokio::time::sleep(period).await;
            self.look().await;
        }
    }

    /// One look.
    pub(super) async fn look(&mut self) {
        let files = self.steering.files();
        let Ok(stamps) = tokio::task::spawn_blocking(move || stamps(files)).await else { return };
        if self.known.as_ref() == Some(&stamps) {
            return;
        }
        let by = "a look at the files".to_owned();
        let order = Order { change: Change::Renew, expected: Expected::Any, by };
        match self.steering.change(order).await {
            Ok(_) => (self.known, self.told) = (Some(stamps), None),
            Err(why) => {
                if self.told.as_ref() != Some(&why) {
                    tell(&why);
                }
                (self.known, self.told) = (None, Some(why));
            }
        }
    }
}

fn tell(why: &NotChanged) {
    let NotChanged::Faults(faults) = why else {
        error!("files that the configuration names are not read again, and nothing changed: {}", Told(why));
        return;
    };
    for fault in faults {
        let (key, place) = (&fault.key, &fault.place);
        error!(key, place, "files were renewed and cannot be used, and nothing changed: {}", fault.expected);
    }
}

fn stamps(files: Vec<PathBuf>) -> Vec<Stamp> {
    let stamped = |path: PathBuf| {
        let stamp = stamp(&path);
        (path, stamp)
    };
    files.into_iter().map(stamped).collect()
}

/// Of the file that the path leads to: a link that leads elsewhere is another file.
fn stamp(path: &Path) -> Option<[i128; 5]> {
    let file = fs::metadata(path).ok()?;
    let time = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Some([
        file.dev().into(),
        file.ino().into(),
        file.size().into(),
        time(file.mtime(), file.mtime_nsec()),
        time(file.ctime(), file.ctime_nsec()),
    ])
}
