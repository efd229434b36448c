//! The HTTP server.

mod settings;

pub use settings::Config;
