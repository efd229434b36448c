//! A Python that has the packages which tests need.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::repository;

/// Its interpreter; `ci/python` makes it.
pub(crate) fn interpreter() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let made = Command::new(repository("ci/python")).output().expect("ci/python can be run");
        assert!(made.status.success(), "ci/python makes a Python or says what is missing: {made:?}");
        PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
    })
}
