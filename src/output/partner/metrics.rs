//! The partners on the page for Prometheus. What became of records is in the ledger's metrics.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::end::End;
use crate::telemetry::Problems;

/// Counters of the partner outputs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) connections: IntGauge,
    pub(super) sent_bytes: IntCounter,
    ended: IntCounterVec,
    pub(super) problems: Problems,
}

impl Metrics {
    /// Registers the partners' metrics; those of ends start at 0.
    ///
    /// # Errors
    /// If one of the names is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let connections = IntGauge::new(
            "metrics_collector_partner_connections",
            "Partners connected at present, those over HTTP among them.",
        )?;
        let sent_bytes =
            IntCounter::new("metrics_collector_partner_sent_bytes_total", "Bytes that partners have taken.")?;
        let ended = IntCounterVec::new(
            Opts::new(
                "metrics_collector_partner_connections_ended_total",
                "Partner connections that were refused or ended, by reason.",
            ),
            &["reason"],
        )?;
        for end in End::ALL {
            ended.with_label_values(&[end.name()]);
        }
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(sent_bytes.clone()))?;
        registry.register(Box::new(ended.clone()))?;
        Ok(Metrics { connections, sent_bytes, ended, problems: Problems::default() })
    }

    /// The same, telling `problems` what goes wrong.
    #[must_use]
    pub fn telling(self, problems: &Problems) -> Metrics {
        Metrics { problems: problems.clone(), ..self }
    }

    /// Counts an end.
    pub(super) fn ended(&self, end: End) {
        self.ended.with_label_values(&[end.name()]).inc();
    }
}
