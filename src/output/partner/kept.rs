//! What is kept of places over a restart: a small file in the data directory.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::disk;

pub(super) const FILE: &str = "partners.json";

/// Far more than all names need.
const BYTES_MAX: u64 = 1 << 20;

const MODE: u32 = 0o644;

/// What became of a place when the process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Past {
    /// The run of the process.
    pub(super) incarnation: String,
    /// Records that were lost with it; none: nobody knows, since it did not end in order.
    pub(super) lost: Option<u64>,
}

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) incarnation: String,
    pub(super) places: Vec<Kept>,
}

/// A place.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) unused_since_ms: u64,
    /// Records that were lost with the process, once it has ended in order.
    pub(super) lost: Option<u64>,
}

impl Content {
    /// Writes the file in `folder`. Blocks.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        disk::replace(folder, FILE, &serde_json::to_vec(self)?, MODE)
    }
}

/// What the file in `folder` has, where it can be read; if not, that is said. Blocks.
pub(super) fn read(folder: &Path) -> Option<Content> {
    let path = folder.join(FILE);
    match disk::read(&path, BYTES_MAX) {
        Ok(bytes) => {
            let content = serde_json::from_slice(&bytes?);
            if let Err(error) = &content {
                let aside = disk::set_aside(folder, FILE);
                warn!(path = %path.display(), aside = %aside.display(), "the places of partners cannot be read: {error}");
            }
            content.ok()
        }
        Err(error) => {
            warn!(path = %path.display(), "the places of partners cannot be read: {error}");
            None
        }
    }
}
