//! The embedded demonstration.

use std::time::Duration;

/// What the demonstration is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Brokers to use in place of the embedded ones, `host:port` each.
    pub kafka_brokers: Option<Vec<String>>,
    /// How long it runs. None: until it is interrupted.
    pub duration: Option<Duration>,
}
