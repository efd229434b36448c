//! What the server counts of itself.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use super::reason::Reason;

/// Counters of the HTTP server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    pub(super) connections: IntGauge,
    refused: IntCounterVec,
}

impl Metrics {
    /// Adds the server's series to `registry`; those of refusals start at 0.
    ///
    /// # Errors
    /// The registry has series of these names already.
    pub fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let requests = IntCounterVec::new(
            Opts::new(
                "metrics_collector_http_requests_total",
                "HTTP requests answered, by route and status code. Unknown paths are the route \"other\".",
            ),
            &["route", "code"],
        )?;
        let connections =
            IntGauge::new("metrics_collector_http_connections", "HTTP connections open at present.")?;
        let refused = IntCounterVec::new(
            Opts::new(
                "metrics_collector_http_refused_total",
                "HTTP connections and requests refused, by reason. A refused request is counted under \
                 metrics_collector_http_requests_total too, a refused connection is not.",
            ),
            &["reason"],
        )?;
        for reason in Reason::ALL {
            refused.with_label_values(&[reason.name()]);
        }
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        Ok(Metrics { requests, connections, refused })
    }

    /// Counts an answer.
    pub(super) fn answered(&self, route: &str, code: &str) {
        self.requests.with_label_values(&[route, code]).inc();
    }

    /// Counts a refusal.
    pub(super) fn refused(&self, reason: Reason) {
        self.refused.with_label_values(&[reason.name()]).inc();
    }

    #[cfg(test)]
    pub(super) fn refusals(&self, reason: Reason) -> u64 {
        self.refused.with_label_values(&[reason.name()]).get()
    }

    #[cfg(test)]
    pub(super) fn answers(&self, route: &str, code: &str) -> u64 {
        self.requests.with_label_values(&[route, code]).get()
    }
}
