//! Avro object container files (OCF) over bytes: pure, no IO.
//!
//! From the left, [`Stream`] cuts what a socket gave into blocks, a [`Codec`] opens them, [`walk()`] steps from record to
//! record and [`splice`] copies one with tags merged in. Streams in other schemas than ours have a [`Plan`] that
//! projects each record into ours first. To the right, `encode` makes files of records and `decode` reads them
//! again for people and tests.
//!
//! Everything that a peer can claim (counts, sizes, nesting, windows) is held against [`Limits`] or against the bytes
//! that are there before it is used. Source of the format: Avro specification 1.12, "Binary Encoding" and "Object
//! Container Files".

mod added;
mod codec;
mod cursor;
pub mod decode;
pub mod encode;
mod fault;
mod header;
mod limits;
#[cfg(test)]
pub(crate) mod oracle;
mod project;
mod resolve;
mod schema;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
pub mod varint;
mod walk;

pub use added::AddedTags;
pub use codec::{Codec, CodecFault, Decompressor};
pub use fault::{BlockFault, NoRecord, RecordFault, StreamFault};
pub use limits::Limits;
pub use project::{Projected, Projection, Scratch};
pub use resolve::{Plan, PlanCache, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX, SchemaFault, plan};
pub use schema::{MAGIC, MARKER_BYTES, METRIC_LIST, METRIC_LIST_NAME, Marker};
pub use stream::{Block, Event, Step, Stream};
pub use walk::{
    EncodedTags, Origin, Shape, TagItems, each_tag, splice, splice_replacing, spliced_bytes_max, walk,
};
