//! What the cluster's own APIs are asked: one HTTP client, and the answers as values.

pub mod base_url;
pub mod client;
pub mod discovery;
pub mod statistics;
#[cfg(test)]
pub(crate) mod testing;

pub use base_url::BaseUrl;
pub use client::{Client, Limits};
