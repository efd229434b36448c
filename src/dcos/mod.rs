//! What the cluster's own APIs are asked: one HTTP client with its log-in, and the answers as values.

mod account;
pub mod agent;
mod authority;
pub mod base_url;
pub mod client;
pub mod cut;
pub mod discovery;
mod jwt;
mod library;
mod login;
mod settings;
pub mod statistics;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;

pub use account::{Account, BadAccount, Source};
pub use authority::{Authority, LoginStatus};
pub use base_url::BaseUrl;
pub use client::{Client, Limits};
pub use settings::{Authorities, Config, HOST_CA, SANDBOX_CA, TokenHost};
