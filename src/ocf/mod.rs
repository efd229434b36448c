//! Avro object container files over bytes.

mod limits;
mod schema;
pub mod varint;

pub use limits::Limits;
pub use schema::{MAGIC, MARKER_BYTES, METRIC_LIST, METRIC_LIST_NAME, Marker};
