//! Avro object container files over bytes.

mod codec;
pub mod decode;
pub mod encode;
mod limits;
#[cfg(test)]
pub(crate) mod oracle;
mod project;
mod resolve;
mod schema;
pub mod varint;

pub use codec::{Codec, CodecFault, Decompressor, XZ_MEMORY_MAX};
pub use limits::Limits;
pub use project::{BlockFault, Counts, Projected, Projection, RecordFault, Scratch, VALUE_DEPTH_MAX};
pub use resolve::{Plan, PlanCache, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX, SchemaFault, plan};
pub use schema::{MAGIC, MARKER_BYTES, METRIC_LIST, METRIC_LIST_NAME, Marker};
