//! Readers of the spool, each alone with its place in it.

pub mod kafka;
pub mod message;
pub mod partner;
