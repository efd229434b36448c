//! Why bytes were refused. Each reason's name is a metric label.

use super::codec::CodecFault;
use super::resolve::SchemaFault;

/// The stream as a whole cannot be read; its connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// The first bytes are no OCF header.
    #[error("the stream does not begin with an Avro object container header (\"Obj\", 1)")]
    NotOcf,
    /// The header is not over after `input-header-bytes-max`.
    #[error("the header is longer than {max} bytes; see input-header-bytes-max")]
    HeaderTooLarge {
        /// The bound.
        max: usize,
    },
    /// The header's map has more entries than `input-header-entries-max`.
    #[error("the header has more than {max} entries; see input-header-entries-max")]
    HeaderEntries {
        /// The bound.
        max: usize,
    },
    /// A count or length in the header makes no sense.
    #[error("the header's metadata cannot be read")]
    BadHeader,
    /// There is no `avro.schema`.
    #[error("the header has no avro.schema")]
    NoSchema,
    /// The writer's schema does not resolve to ours.
    #[error("the schema cannot be read as dcos.metrics.MetricList")]
    Schema(#[source] SchemaFault),
    /// `avro.codec` names none that we know.
    #[error("the codec \"{0}\" is none of null, deflate, snappy, zstandard, bzip2, xz")]
    UnknownCodec(String),
    /// A marker was lost and none was found again.
    #[error("the sync marker was lost and did not come again within {scanned} bytes")]
    MarkerNotFound {
        /// How far the search went.
        scanned: u64,
    },
}

impl StreamFault {
    /// Names of all faults, for series that start at 0.
    pub const NAMES: [&'static str; 8] = [
        "not_ocf",
        "header_too_large",
        "header_entries",
        "bad_header",
        "no_schema",
        "schema",
        "unknown_codec",
        "marker_not_found",
    ];

    /// The metric label.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            StreamFault::NotOcf => "not_ocf",
            StreamFault::HeaderTooLarge { .. } => "header_too_large",
            StreamFault::HeaderEntries { .. } => "header_entries",
            StreamFault::BadHeader => "bad_header",
            StreamFault::NoSchema => "no_schema",
            StreamFault::Schema(_) => "schema",
            StreamFault::UnknownCodec(_) => "unknown_codec",
            StreamFault::MarkerNotFound { .. } => "marker_not_found",
        }
    }
}

/// A block is refused, all its records with it; the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BlockFault {
    /// Where its sync marker should be stands something else: a torn stream.
    #[error("its sync marker is not where its size says")]
    MarkerLost,
    /// Its count or size is no number, or negative.
    #[error("its count or size makes no sense")]
    BadCount,
    /// It is larger than `input-block-bytes-max`.
    #[error("it is larger than input-block-bytes-max")]
    TooLarge,
    /// It is larger than `input-decompressed-bytes-max` after its codec.
    #[error("it is larger than input-decompressed-bytes-max when decompressed")]
    DecompressedTooLarge,
    /// Its codec cannot read it.
    #[error("it cannot be decompressed")]
    Corrupt,
    /// A record in it ends outside of it, or has a length or count that makes no sense.
    #[error("a record in it cannot be read")]
    BadRecord,
    /// It holds more or fewer bytes than its records need.
    #[error("its count and its size disagree")]
    CountMismatch,
    /// The connection ended in the middle of it.
    #[error("the connection ended in the middle of it")]
    Truncated,
}

impl From<CodecFault> for BlockFault {
    fn from(fault: CodecFault) -> BlockFault {
        match fault {
            CodecFault::TooLarge => BlockFault::DecompressedTooLarge,
            CodecFault::Corrupt => BlockFault::Corrupt,
        }
    }
}

impl BlockFault {
    /// Every fault, for series that start at 0.
    pub const ALL: [BlockFault; 8] = [
        BlockFault::MarkerLost,
        BlockFault::BadCount,
        BlockFault::TooLarge,
        BlockFault::DecompressedTooLarge,
        BlockFault::Corrupt,
        BlockFault::BadRecord,
        BlockFault::CountMismatch,
        BlockFault::Truncated,
    ];

    /// The metric label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            BlockFault::MarkerLost => "marker_lost",
            BlockFault::BadCount => "bad_count",
            BlockFault::TooLarge => "too_large",
            BlockFault::DecompressedTooLarge => "decompressed_too_large",
            BlockFault::Corrupt => "corrupt",
            BlockFault::BadRecord => "bad_record",
            BlockFault::CountMismatch => "count_mismatch",
            BlockFault::Truncated => "truncated",
        }
    }
}

/// The bytes hold no whole record: they end before it does, or a length, count or branch in it makes no sense. Where the
/// next record begins is unknown then, so a block of such bytes is a [`BlockFault::BadRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRecord;

/// A record is refused; its block goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RecordFault {
    /// It is larger than `input-record-bytes-max`.
    #[error("it is larger than input-record-bytes-max")]
    TooLarge,
    /// It has more tags than `input-record-tags-max`.
    #[error("it has more tags than input-record-tags-max")]
    TooManyTags,
    /// It has more datapoints than `input-record-datapoints-max`.
    #[error("it has more datapoints than input-record-datapoints-max")]
    TooManyDatapoints,
    /// A value takes a branch of the writer's union that our schema has no place for.
    #[error("a value in it has a type that the schema of records has no place for")]
    Unresolvable,
}

impl RecordFault {
    /// Every fault, for series that start at 0.
    pub const ALL: [RecordFault; 4] = [
        RecordFault::TooLarge,
        RecordFault::TooManyTags,
        RecordFault::TooManyDatapoints,
        RecordFault::Unresolvable,
    ];

    /// The metric label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RecordFault::TooLarge => "too_large",
            RecordFault::TooManyTags => "too_many_tags",
            RecordFault::TooManyDatapoints => "too_many_datapoints",
            RecordFault::Unresolvable => "unresolvable",
        }
    }
}
