//! The spool.

mod ledger;
mod settings;

pub use ledger::{AsideReason, Ledger, LossReason, Outcome, OutputLedger};
pub use settings::{Config, WhenFull};
