//! A broker's own files: how the batches of a partition are compressed on its disk, which no consumer is told.

use std::collections::BTreeSet;
use std::path::Path;

/// Compressions by the number that stands in a batch's attributes.
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// The compressions of all batches in a partition's folder.
pub(crate) fn compressions(folder: &Path) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            found.extend(of_segment(&std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// Batches follow each other: offset (8 bytes), length (4), 4 bytes, the format's number (1), and then in format 2 a
/// checksum (4) and the attributes (2), in the older ones the attributes (1).
fn of_segment(bytes: &[u8]) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut rest = bytes;
    // Files are made larger than what is in them: behind the last batch there are zeros.
    while rest.len() > 22 {
        let length = u32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize;
        if length == 0 || rest.len() < 12 + length {
            break;
        }
        let attributes = rest[if rest[16] == 2 { 22 } else { 17 }];
        found.insert(CODECS[usize::from(attributes & 7)]);
        rest = &rest[12 + length..];
    }
    found
}
