//! The sample producer: a program of its own that polls one Mesos agent and sends what it finds to Kafka, without
//! the collector. It shows what metrics look like at the far end before anything is installed.
//!
//! ```text
//! agent ──▶ poll ──▶ one file a poll ─┬─▶ send: a Kafka message
//!                                     └─▶ files: chunk-N.avro
//! ```
//!
//! It is restless but patient: whatever is away is tried again at the next period.

pub mod args;
pub mod files;
pub mod link;
pub mod poll;
pub mod run;
pub mod send;
#[cfg(test)]
pub(crate) mod testing;
