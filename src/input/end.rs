//! Why connections end.

use std::io;
use std::time::Duration;

use super::registry::Shed;
use crate::ocf::StreamFault;

/// Why a connection ended. The name is the metric label.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The sender closed it between two blocks, or before its header.
    #[error("the sender closed it")]
    Closed,
    /// The sender closed it within a header or block.
    #[error("the sender closed it in the middle of a header or block")]
    Torn,
    /// Its bytes cannot be read.
    #[error("its stream cannot be read")]
    Fault(#[source] StreamFault),
    /// The rest of a header or block did not come.
    #[error("the rest of a header or block did not come within {0:?}; see input-block-timeout")]
    Timeout(Duration),
    /// Others need the room.
    #[error("there are more connections than input-connections-max and this one has sent no block")]
    ConnectionLimit,
    /// Others need the memory.
    #[error("half-sent blocks of many connections hold all the memory there is for them")]
    Memory,
    /// The socket failed.
    #[error("its socket failed")]
    Io(#[source] io::Error),
    /// The collector stops.
    #[error("the collector stops")]
    Drain,
}

impl End {
    /// Names of all ends but the faults of streams, for series that start at 0.
    pub(super) const NAMES: [&'static str; 7] =
        ["closed", "torn", "timeout", "connection_limit", "memory", "io", "drain"];

    /// The metric label.
    pub(super) fn name(&self) -> &'static str {
        match self {
            End::Closed => "closed",
            End::Torn => "torn",
            End::Fault(fault) => fault.name(),
            End::Timeout(_) => "timeout",
            End::ConnectionLimit => "connection_limit",
            End::Memory => "memory",
            End::Io(_) => "io",
            End::Drain => "drain",
        }
    }

    /// Whether it was we who ended it, because of something that the sender should hear of.
    pub(super) fn is_refusal(&self) -> bool {
        !matches!(self, End::Closed | End::Torn | End::Io(_) | End::Drain)
    }
}

impl From<Shed> for End {
    fn from(shed: Shed) -> End {
        match shed {
            Shed::ConnectionLimit => End::ConnectionLimit,
            Shed::Memory => End::Memory,
        }
    }
}
