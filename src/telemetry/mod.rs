//! Logging, metric registry, build info.

pub mod page;
pub mod process;
mod settings;

pub use settings::{Config, Format};
