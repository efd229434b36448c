//! A broker's own files: how the batches of a partition lie on its disk, which no consumer is told.

use std::collections::BTreeSet;
use std::path::Path;

/// Compressions by the number that stands in a batch's attributes.
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// Where a batch of format 2 has its producer's id, which is -1 for one that is not idempotent.
const PRODUCER_ID: std::ops::Range<usize> = 43..51;

/// The compressions of all batches in a partition's folder.
pub(crate) fn compressions(folder: &Path) -> BTreeSet<&'static str> {
    let codec = |batch: &[u8]| {
        let attributes = batch[if batch[16] == 2 { 22 } else { 17 }];
        CODECS[usize::from(attributes & 7)]
    };
    of_batches(folder, codec)
}

/// Whether they come from idempotent producers. Only for format 2.
pub(crate) fn idempotence(folder: &Path) -> BTreeSet<bool> {
    of_batches(folder, |batch| i64::from_be_bytes(batch[PRODUCER_ID].try_into().unwrap()) >= 0)
}

/// What `read` finds in the batches of a partition's folder.
///
/// They follow each other: offset (8 bytes), length (4), 4 bytes, the format's number (1), and then in format 2 a
/// checksum (4) and the attributes (2), in the older ones the attributes (1).
fn of_batches<T: Ord>(folder: &Path, read: impl Fn(&[u8]) -> T) -> BTreeSet<T> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let mut rest = &bytes[..];
        // Files are made larger than what is in them: behind the last batch there are zeros.
        while rest.len() > 22 {
            let length = u32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize;
            if length == 0 || rest.len() < 12 + length {
                break;
            }
            found.insert(read(&rest[..12 + length]));
            rest = &rest[12 + length..];
        }
    }
    found
}
