//! Metrics from local processes.

mod settings;

pub use settings::Config;
