//! What a stream may ask of us. Every count and size read from a socket is held against these before it is used.

/// Bounds on one OCF stream. The record bounds cost a record, the block bounds a block, the header bounds the
/// connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a header: magic, metadata and marker (`input-header-bytes-max`).
    pub header_bytes: usize,
    /// Entries of a header's metadata map (`input-header-entries-max`).
    pub header_entries: usize,
    /// Bytes of a block as sent, without its count, size and marker (`input-block-bytes-max`).
    pub block_bytes: usize,
    /// Bytes of a block after its codec (`input-decompressed-bytes-max`).
    pub decompressed_bytes: usize,
    /// Bytes of a record as sent, after the block's codec (`input-record-bytes-max`).
    pub record_bytes: usize,
    /// Tags of a record as sent (`input-record-tags-max`).
    pub record_tags: u32,
    /// Datapoints of a record as sent (`input-record-datapoints-max`).
    pub record_datapoints: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_bytes: 64 << 10,
            header_entries: 64,
            block_bytes: 1 << 20,
            decompressed_bytes: 4 << 20,
            record_bytes: 1 << 20,
            record_tags: 4096,
            record_datapoints: 65_536,
        }
    }
}
