//! What an operator sets of the log.

/// Settings of the log, which goes to standard error.
#[derive(Clone, Debug)]
pub struct Config {
    /// Filter in `tracing`'s directive syntax, such as `info` or `info,metrics_collector::input=debug`
    /// (`log-level`).
    pub filter: String,
    /// How a line looks (`log-format`).
    pub format: Format,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Time, level, target, message and fields.
    Text,
    /// One JSON object.
    Json,
}
