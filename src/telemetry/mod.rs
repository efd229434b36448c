//! Logging, metric registry, build info.

pub mod build_info;
mod chain;
mod hexdump;
mod log_budget;
mod logging;
pub mod page;
pub mod process;
mod settings;
pub mod statsd;

pub use chain::chain;
pub use hexdump::hexdump;
pub use log_budget::LogBudget;
pub use logging::{Log, check_filter, init};
pub use page::CappedLabels;
pub use settings::{Config, Format, StatsdConfig};
pub use statsd::Statsd;
