//! Shows what goes out, for those who look for a mistake: `record-output-log` and `record-output-hexdump`.

use tracing::info;

use super::batch::Batch;
use super::settings::Config;
use crate::ocf::decode;
use crate::record::TopicName;
use crate::telemetry::hexdump;

/// Logs a message as the configuration asks.
pub(super) fn log(config: &Config, topic: &TopicName, batch: &Batch) {
    if config.record_log {
        let mut at = 0;
        while let Some(record) = decode::decode_record(batch.value.body(), &mut at) {
            info!(%topic, "RECORD OUT: {}", decode::Shown(&record));
        }
    }
    if config.hexdump {
        let value = batch.value.as_bytes();
        info!(%topic, bytes = value.len(), "sending\n{}", hexdump(value));
    }
}
