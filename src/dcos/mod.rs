//! What the cluster's own APIs are asked: one HTTP client, and the answers as values.

pub mod agent;
pub mod client;
pub mod cut;
pub mod statistics;
#[cfg(test)]
pub(crate) mod testing;

pub use client::{Client, Limits};
