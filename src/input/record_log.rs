//! Shows what comes in, for those who look for a mistake: `record-input-log` and `record-input-hexdump`.

use tracing::info;

use super::registry::PeerName;
use crate::ocf::decode;
use crate::telemetry::hexdump;

/// Logs the records of an accepted block, tags added.
pub(super) fn log_records(bytes: &[u8]) {
    let mut at = 0;
    while let Some(record) = decode::decode_record(bytes, &mut at) {
        info!("RECORD IN: {}", decode::Shown(&record));
    }
}

/// Logs the bytes of one read.
pub(super) fn log_bytes(peer: &PeerName, bytes: &[u8]) {
    info!(%peer, bytes = bytes.len(), "received\n{}", hexdump(bytes));
}
