//! The Kafka output on the page for Prometheus. What became of records is in the ledger's metrics.

use std::sync::Mutex;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::errors::Answer;
use crate::telemetry::page::TOPIC_LABELS_MAX;
use crate::telemetry::{CappedLabels, Problems};

/// Counters of the Kafka output.
#[derive(Debug)]
pub struct Metrics {
    pub(super) up: IntGauge,
    pub(super) messages: IntCounter,
    pub(super) bytes: IntCounter,
    pub(super) records: IntCounterVec,
    pub(super) failures: IntCounterVec,
    pub(super) in_flight_messages: IntGauge,
    pub(super) in_flight_bytes: IntGauge,
    pub(super) topics: IntGauge,
    pub(super) topics_held: IntGauge,
    pub(super) last_ack: IntGauge,
    pub(super) producers: IntCounter,
    pub(super) producers_ended: IntCounter,
    pub(super) connection_failures: IntCounter,
    pub(super) limit_pauses: IntCounter,
    pub(super) latency: Histogram,
    labels: Mutex<CappedLabels>,
    pub(super) problems: Problems,
}

impl Metrics {
    /// Registers the output's metrics.
    ///
    /// # Errors
    /// If one of the names is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let gauge = |name: &str, help: &str| IntGauge::new(format!("metrics_collector_kafka_{name}"), help);
        let counter =
            |name: &str, help: &str| IntCounter::new(format!("metrics_collector_kafka_{name}"), help);
        let opts = |name: &str, help: &str| Opts::new(format!("metrics_collector_kafka_{name}"), help);
        let latency = HistogramOpts::new(
            "metrics_collector_kafka_delivery_latency_seconds",
            "From a message's oldest record's acceptance to Kafka's acknowledgement, one observation a message.",
        )
        .buckets(vec![0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 300.0, 1800.0]);
        let metrics = Metrics {
            up: gauge("up", "1 while a broker answers.")?,
            messages: counter("messages_total", "Messages acknowledged.")?,
            bytes: counter("bytes_total", "Bytes of acknowledged messages, before Kafka's compression.")?,
            records: IntCounterVec::new(
                opts(
                    "topic_records_total",
                    "Records acknowledged, by Kafka topic; topics past the first 200 are `other`.",
                ),
                &["topic"],
            )?,
            failures: IntCounterVec::new(
                opts("message_failures_total", "Messages that came back, by what was done about it."),
                &["answer"],
            )?,
            in_flight_messages: gauge(
                "in_flight_messages",
                "Messages given to librdkafka and not acknowledged.",
            )?,
            in_flight_bytes: gauge("in_flight_bytes", "Bytes of those messages.")?,
            topics: gauge("topics", "Kafka topics that had records.")?,
            topics_held: gauge("topics_held", "Kafka topics that take no messages at present.")?,
            last_ack: gauge(
                "last_acknowledgement_timestamp_seconds",
                "When Kafka last acknowledged a message; 0: never.",
            )?,
            producers: counter(
                "producers_total",
                "Producers made; more than one after errors that end a producer, and after changes of brokers or settings.",
            )?,
            producers_ended: counter("producers_ended_total", "Producers that were given up or ended.")?,
            connection_failures: counter(
                "connection_failures_total",
                "Failures to connect to a broker or to log in there, as the Kafka client tells them.",
            )?,
            limit_pauses: counter(
                "limit_pauses_total",
                "Times that nothing was sent for a while because of global-limit-amount-kbytes.",
            )?,
            latency: Histogram::with_opts(latency)?,
            labels: Mutex::new(CappedLabels::new(TOPIC_LABELS_MAX)),
            problems: Problems::default(),
        };
        for answer in Answer::ALL {
            metrics.failures.with_label_values(&[answer.name()]);
        }
        for gauge in [
            &metrics.up,
            &metrics.in_flight_messages,
            &metrics.in_flight_bytes,
            &metrics.topics,
            &metrics.topics_held,
            &metrics.last_ack,
        ] {
            registry.register(Box::new(gauge.clone()))?;
        }
        for counter in [
            &metrics.messages,
            &metrics.bytes,
            &metrics.producers,
            &metrics.producers_ended,
            &metrics.connection_failures,
            &metrics.limit_pauses,
        ] {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(metrics.records.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.latency.clone()))?;
        Ok(metrics)
    }

    /// The same, telling `problems` what goes wrong.
    #[must_use]
    pub fn telling(self, problems: &Problems) -> Metrics {
        Metrics { problems: problems.clone(), ..self }
    }

    pub(super) fn acknowledged(&self, topic: &str, records: u32, bytes: usize, seconds: f64, now_ms: u64) {
        self.messages.inc();
        self.bytes.inc_by(bytes as u64);
        self.latency.observe(seconds);
        self.last_ack.set(i64::try_from(now_ms / 1000).unwrap_or(i64::MAX));
        let mut labels = self.labels.lock().expect("no code panics under this lock");
        self.records.with_label_values(&[labels.label(topic)]).inc_by(records.into());
    }
}
