//! Avro object container files over bytes.

mod codec;
mod limits;
mod schema;
pub mod varint;

pub use codec::{Codec, CodecFault, Decompressor, XZ_MEMORY_MAX};
pub use limits::Limits;
pub use schema::{MAGIC, MARKER_BYTES, METRIC_LIST, METRIC_LIST_NAME, Marker};
