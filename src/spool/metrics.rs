//! The spool and its ledger on the page for Prometheus, read when the page is asked for.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, CounterVec, Gauge, GaugeVec, Opts};

use super::Spool;
use super::ledger::{AsideReason, LossReason, OutputLedger};

/// Puts a spool on the page: register it once.
pub struct Collected {
    spool: Spool,
    descriptions: Vec<Desc>,
}

impl Collected {
    /// A collector over `spool`.
    #[must_use]
    pub fn new(spool: Spool) -> Collected {
        let page = Page::default();
        let descriptions = page.metrics().iter().flat_map(|metric| metric.desc()).cloned().collect();
        Collected { spool, descriptions }
    }
}

impl Collector for Collected {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let page = Page::default();
        page.fill(&self.spool);
        page.metrics().iter().flat_map(|metric| metric.collect()).collect()
    }
}

/// One reading.
struct Page {
    accepted: Counter,
    bytes: Gauge,
    bytes_max: Gauge,
    frames: Gauge,
    oldest: Gauge,
    held: Gauge,
    output_accepted: CounterVec,
    delivered: CounterVec,
    not_wanted: CounterVec,
    lost: CounterVec,
    set_aside: CounterVec,
    waiting: GaugeVec,
    oldest_waiting: GaugeVec,
    imbalance: GaugeVec,
}

impl Default for Page {
    fn default() -> Page {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            CounterVec::new(Opts::new(name, help), labels).expect("names and labels are legal")
        };
        let gauge = |name: &str, help: &str| Gauge::new(name, help).expect("the name is legal");
        let gauges = |name: &str, help: &str| {
            GaugeVec::new(Opts::new(name, help), &["output"]).expect("names and labels are legal")
        };
        Page {
            accepted: Counter::new(
                "metrics_collector_spool_accepted_records_total",
                "Records accepted into the spool.",
            )
            .expect("the name is legal"),
            bytes: gauge("metrics_collector_spool_bytes", "Bytes of records that wait for an output."),
            bytes_max: gauge("metrics_collector_spool_capacity_bytes", "Bytes that may wait (spool-memory)."),
            frames: gauge(
                "metrics_collector_spool_chunks",
                "Chunks in the spool that Kafka has not taken; what partners follow is not among them.",
            ),
            oldest: gauge(
                "metrics_collector_spool_oldest_timestamp_seconds",
                "When the oldest chunk in the spool was accepted; 0 if there is none.",
            ),
            held: gauge(
                "metrics_collector_spool_held",
                "1 while the input is held because the spool is full.",
            ),
            output_accepted: counter(
                "metrics_collector_output_accepted_records_total",
                "Records accepted while the output was there.",
                &["output"],
            ),
            delivered: counter(
                "metrics_collector_output_delivered_records_total",
                "Records that the other side has confirmed.",
                &["output"],
            ),
            not_wanted: counter(
                "metrics_collector_output_not_wanted_records_total",
                "Records that the output's filter does not want.",
                &["output"],
            ),
            lost: counter(
                "metrics_collector_output_lost_records_total",
                "Records that were accepted and are gone, by reason.",
                &["output", "reason"],
            ),
            set_aside: counter(
                "metrics_collector_output_set_aside_records_total",
                "Records that the output put aside, by reason.",
                &["output", "reason"],
            ),
            waiting: gauges(
                "metrics_collector_output_waiting_records",
                "Records that the output has not finished with, counted where they are.",
            ),
            oldest_waiting: gauges(
                "metrics_collector_output_oldest_timestamp_seconds",
                "When the oldest record was accepted that the output has not finished with; 0 if there is none.",
            ),
            imbalance: gauges(
                "metrics_collector_ledger_imbalance_records",
                "Accepted less delivered, waiting, lost, set aside and not wanted: 0, or the books do not balance.",
            ),
        }
    }
}

impl Page {
    fn metrics(&self) -> [&dyn Collector; 14] {
        [
            &self.accepted,
            &self.bytes,
            &self.bytes_max,
            &self.frames,
            &self.oldest,
            &self.held,
            &self.output_accepted,
            &self.delivered,
            &self.not_wanted,
            &self.lost,
            &self.set_aside,
            &self.waiting,
            &self.oldest_waiting,
            &self.imbalance,
        ]
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in doubles")]
    fn fill(&self, spool: &Spool) {
        let snapshot = spool.snapshot();
        self.accepted.inc_by(snapshot.accepted as f64);
        self.bytes.set(snapshot.bytes as f64);
        self.bytes_max.set(snapshot.bytes_max as f64);
        self.frames.set(snapshot.frames as f64);
        self.oldest.set(seconds(snapshot.oldest_ms));
        self.held.set(f64::from(u8::from(snapshot.held)));
        for (output, books) in &spool.ledger().outputs {
            self.fill_output(output, books);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in doubles")]
    fn fill_output(&self, output: &str, books: &OutputLedger) {
        self.output_accepted.with_label_values(&[output]).inc_by(books.accepted as f64);
        self.delivered.with_label_values(&[output]).inc_by(books.delivered as f64);
        self.not_wanted.with_label_values(&[output]).inc_by(books.not_wanted as f64);
        self.waiting.with_label_values(&[output]).set(books.waiting as f64);
        self.oldest_waiting.with_label_values(&[output]).set(seconds(books.oldest_ms));
        self.imbalance.with_label_values(&[output]).set(books.imbalance() as f64);
        for reason in LossReason::ALL {
            let records = books.lost.get(&reason).copied().unwrap_or(0);
            self.lost.with_label_values(&[output, reason.name()]).inc_by(records as f64);
        }
        for reason in AsideReason::ALL {
            let records = books.set_aside.get(&reason).copied().unwrap_or(0);
            self.set_aside.with_label_values(&[output, reason.name()]).inc_by(records as f64);
        }
    }
}

/// A time in Prometheus' unit; 0 where there is none.
#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in doubles")]
fn seconds(ms: Option<u64>) -> f64 {
    ms.map_or(0.0, |ms| ms as f64 / 1e3)
}
