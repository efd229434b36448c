//! The map of the program.

pub mod control;
pub mod dcos;
pub mod enrich;
pub mod http;
pub mod input;
pub mod ocf;
pub mod output;
pub mod record;
//pub mod sample_producer;
pub mod spool;
pub mod telemetry;
