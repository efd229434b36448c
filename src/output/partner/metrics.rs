//! The partners on the page for Prometheus. What became of records is in the ledger's metrics.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::connect::Dialling;
use super::end::End;

/// Counters of the partner outputs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) connections: IntGauge,
    pub(super) sent_bytes: IntCounter,
    latency: Histogram,
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
        let latency = HistogramOpts::new(
            "metrics_collector_partner_delivery_latency_seconds",
            "From the acceptance of the oldest record of a write until the partner's socket has taken the write, one \
             observation a write; those over HTTP are not among them.",
        )
        .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0]);
        let latency = Histogram::with_opts(latency)?;
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
        registry.register(Box::new(latency.clone()))?;
        registry.register(Box::new(dials.clone()))?;
        Ok(Metrics { connections, sent_bytes, latency, ended, dials })
    }

    /// Counts an attempt to connect.
    pub(super) fn dialled(&self, result: Dialling) {
        self.dials.with_label_values(&[result.name()]).inc();
    }

    /// Notes that a partner has taken records, of which the first was accepted at `accepted_ms`.
    pub(super) fn taken(&self, accepted_ms: u64, now_ms: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a latency")]
        self.latency.observe(now_ms.saturating_sub(accepted_ms) as f64 / 1e3);
    }

    /// Counts an end.
    pub(super) fn ended(&self, end: End) {
        self.ended.with_label_values(&[end.name()]).inc();
    }
}
