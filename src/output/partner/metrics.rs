//! The partners on the page for Prometheus. What became of records is in the ledger's metrics.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::connect::Dialling;
use super::end::End;

/// Counters of the partner outputs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) connections: IntGauge,
    pub(super) sent_bytes: IntCounter,
    ended: IntCounterVec,
    dials: IntCounterVec,
}

impl Metrics {
    /// Registers the partners' metrics; those of ends and attempts start at 0.
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
        let dials = IntCounterVec::new(
            Opts::new(
                "metrics_collector_partner_dials_total",
                "Attempts to connect to partners that are dialled, by result.",
            ),
            &["result"],
        )?;
        for result in Dialling::ALL {
            dials.with_label_values(&[result.name()]);
        }
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(sent_bytes.clone()))?;
        registry.register(Box::new(ended.clone()))?;
        registry.register(Box::new(dials.clone()))?;
        Ok(Metrics { connections, sent_bytes, ended, dials })
    }

    /// Counts an attempt to connect.
    pub(super) fn dialled(&self, result: Dialling) {
        self.dials.with_label_values(&[result.name()]).inc();
    }

    /// Counts an end.
    pub(super) fn ended(&self, end: End) {
        self.ended.with_label_values(&[end.name()]).inc();
    }
}
