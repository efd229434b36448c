//! Readers of the spool.

pub mod kafka;
