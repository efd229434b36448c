//! What an operator sets of the input.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::ocf;
use crate::record::Rate;

/// Settings of the TCP and unix socket input. All but where it listens may change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// TCP address to listen on (`listen-endpoint`). Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Unix socket to listen on besides (`listen-socket`).
    pub socket: Option<PathBuf>,
    /// The program's byte budget (`memory-limit`), of which parts are the input's.
    pub memory_limit: usize,
    /// Connections at once (`input-connections-max`).
    pub connections_max: NonZeroUsize,
    /// How long a header or a block may stay half sent (`input-block-timeout`).
    pub block_timeout: Duration,
    /// How long what a sender writes now and then may wait in its socket (`input-linger`); zero: not at all.
    pub linger: Duration,
    /// How long records of an unknown container are set apart (`enrich-wait`).
    pub apart_wait: Duration,
    /// Bytes that each connection may bring in a period (`input-limit-...`); none: as many as it likes.
    pub limit: Option<Rate>,
    /// Bounds on each stream (`input-...-max`).
    pub limits: ocf::Limits,
    /// Log every record that is accepted, decoded (`record-input-log`).
    pub record_log: bool,
    /// Log the bytes of every read (`record-input-hexdump`).
    pub hexdump: bool,
}

#[cfg(test)]
impl Config {
    /// Settings of an input that nothing holds back, on a free port.
    pub(super) fn for_tests() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            socket: None,
            memory_limit: 64 << 20,
            connections_max: NonZeroUsize::new(10).expect("10 is not 0"),
            block_timeout: Duration::from_secs(60),
            linger: Duration::ZERO,
            apart_wait: Duration::ZERO,
            limit: None,
            limits: ocf::Limits::default(),
            record_log: false,
            hexdump: false,
        }
    }
}
