//! Logging, metric registry, build info.

mod settings;

pub use settings::{Config, Format};
