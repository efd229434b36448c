//! What an operator sets of the HTTP server.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use crate::record::Secret;

/// Settings of the HTTP server. All but where it listens may change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address to listen on (`http-endpoint`). Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Connections at once (`http-connections-max`).
    pub connections_max: NonZeroUsize,
    /// Who may change anything (`http-writes`).
    pub writes: Writes,
    /// Bearer token for all but `/metrics` and `/-/` reads from other hosts (`http-token`, `http-token-file`).
    /// None: such requests are refused.
    pub token: Option<Secret>,
}

/// Who may do more than read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// This machine, and whoever has the token.
    #[default]
    Loopback,
    /// Whoever has the token.
    Token,
    /// Nobody.
    Off,
}
