//! What an operator sets of the log and of the statsd emitter.

use std::time::Duration;

/// Settings of the log, which goes to standard error.
#[derive(Clone, Debug)]
pub struct Config {
    /// Filter in `tracing`'s directive syntax, such as `info` or `info,metrics_collector::input=debug`
    /// (`log-level`).
    pub filter: String,
    /// How a line looks (`log-format`).
    pub format: Format,
}

/// Settings of the statsd emitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsdConfig {
    /// Name or address (`statsd-udp-host`).
    pub host: String,
    /// Never 0 (`statsd-udp-port`).
    pub port: u16,
    /// Time between two rounds (`statsd-period`).
    pub period: Duration,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Time, level, target, message and fields.
    Text,
    /// One JSON object.
    Json,
}
