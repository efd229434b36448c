//! Logging, metric registry, recent problems, build info, the time of day.

pub mod build_info;
mod chain;
mod clock;
mod hexdump;
mod log_budget;
mod logging;
pub mod page;
pub mod problems;
pub mod process;
mod settings;
pub mod statsd;
mod stderr;

pub use chain::chain;
pub use clock::{unix_ms, unix_seconds};
pub use hexdump::hexdump;
pub use log_budget::LogBudget;
pub use logging::{Log, check_filter, init};
pub use page::CappedLabels;
pub use problems::Problems;
pub use settings::{Config, Format, StatsdConfig};
pub use statsd::Statsd;
