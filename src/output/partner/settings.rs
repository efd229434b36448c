//! What an operator sets of the partners.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::target::Target;

/// Settings of the partner outputs. How many there may be, and whom to dial, may change while they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where partners connect (`partner-endpoint`).
    pub listen: SocketAddr,
    /// A unix socket besides (`partner-socket`).
    pub socket: Option<PathBuf>,
    /// Partners at once (`partners-max`); with 0 nothing listens.
    pub partners_max: usize,
    /// Partners that the collector connects to (`partners`).
    pub dialled: Vec<Target>,
    /// Folder in which the places of named partners are kept (`data-dir`).
    pub data_dir: Option<PathBuf>,
}
