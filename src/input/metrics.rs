//! The input on the page for Prometheus.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::apart::Apart;
use super::end::End;
use super::tally::Tally;
use crate::control::EnrichmentStatus;
use crate::enrich::Enrichment;
use crate::ocf::{BlockFault, RecordFault, StreamFault};
use crate::telemetry::Problems;

/// What the wait of a record of an unknown container came to.
const KNOWN: &str = "known";
const UNKNOWN: &str = "unknown";
/// It went on at once, as there was no room to wait in.
const NO_ROOM: &str = "no_room";

/// Counters of the input; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    connections: IntGauge,
    opened: IntCounter,
    ended: IntCounterVec,
    accept_failures: IntCounter,
    bytes: IntCounter,
    headers: IntCounter,
    blocks: IntCounter,
    records: IntCounter,
    datapoints: IntCounter,
    refused_blocks: IntCounterVec,
    refused_records: IntCounterVec,
    skipped_bytes: IntCounter,
    tag_clashes: IntCounter,
    waited: IntCounterVec,
    apart_records: IntGauge,
    apart_bytes: IntGauge,
    limit_pauses: IntCounter,
    enriched: IntCounterVec,
    /// In the order of [`Enrichment::ALL`]: counted for every read, so not looked up each time.
    enriched_by: [IntCounter; 3],
    pub(super) problems: Problems,
}

impl Metrics {
    /// Registers the input's metrics, every reason at 0.
    ///
    /// # Errors
    /// If one of the names is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let enriched = reasons(
            "enriched_records_total",
            "Accepted records by how many of agent, framework and application they name.",
            "enrichment",
        )?;
        let metrics = Metrics {
            connections: IntGauge::new("metrics_collector_input_connections", "Connections open now.")?,
            opened: counter("connections_opened_total", "Connections accepted.")?,
            ended: reasons("connections_ended_total", "Connections ended, by reason.", "reason")?,
            accept_failures: counter("accept_failures_total", "Failures to accept a connection.")?,
            bytes: counter("bytes_total", "Bytes received.")?,
            headers: counter("headers_total", "Stream headers read.")?,
            blocks: counter("blocks_total", "Blocks accepted.")?,
            records: counter("records_total", "Records accepted.")?,
            datapoints: counter("datapoints_total", "Datapoints in accepted records.")?,
            refused_blocks: reasons("refused_blocks_total", "Blocks refused, by reason.", "reason")?,
            refused_records: reasons(
                "refused_records_total",
                "Records refused one by one, by reason; those of refused blocks are not among them.",
                "reason",
            )?,
            skipped_bytes: counter(
                "skipped_bytes_total",
                "Bytes passed over on the search for a lost marker.",
            )?,
            tag_clashes: counter(
                "tag_clashes_total",
                "Accepted records whose own tags were replaced because the collector knows better.",
            )?,
            waited: reasons(
                "waited_records_total",
                "Records of containers that were unknown, by what the wait came to.",
                "outcome",
            )?,
            apart_records: IntGauge::new(
                "metrics_collector_input_apart_records",
                "Records that wait until it is known whose they are; not accepted yet.",
            )?,
            apart_bytes: IntGauge::new("metrics_collector_input_apart_bytes", "Their bytes.")?,
            limit_pauses: counter(
                "limit_pauses_total",
                "Times that a connection was not read for a while because of input-limit-amount-kbytes.",
            )?,
            enriched_by: Enrichment::ALL.map(|enrichment| enriched.with_label_values(&[enrichment.name()])),
            enriched,
            problems: Problems::default(),
        };
        metrics.preset();
        for gauge in [&metrics.connections, &metrics.apart_records, &metrics.apart_bytes] {
            registry.register(Box::new(gauge.clone()))?;
        }
        for counter in [
            &metrics.opened,
            &metrics.accept_failures,
            &metrics.bytes,
            &metrics.headers,
            &metrics.blocks,
            &metrics.records,
            &metrics.datapoints,
            &metrics.skipped_bytes,
            &metrics.tag_clashes,
            &metrics.limit_pauses,
        ] {
            registry.register(Box::new(counter.clone()))?;
        }
        for counters in [
            &metrics.ended,
            &metrics.refused_blocks,
            &metrics.refused_records,
            &metrics.enriched,
            &metrics.waited,
        ] {
            registry.register(Box::new(counters.clone()))?;
        }
        Ok(metrics)
    }

    /// The same, telling `problems` what was refused.
    #[must_use]
    pub fn telling(self, problems: &Problems) -> Metrics {
        Metrics { problems: problems.clone(), ..self }
    }

    fn preset(&self) {
        for reason in End::NAMES.iter().chain(&StreamFault::NAMES) {
            self.ended.with_label_values(&[*reason]);
        }
        for fault in BlockFault::ALL {
            self.refused_blocks.with_label_values(&[fault.name()]);
        }
        for fault in RecordFault::ALL {
            self.refused_records.with_label_values(&[fault.name()]);
        }
        for outcome in [KNOWN, UNKNOWN, NO_ROOM] {
            self.waited.with_label_values(&[outcome]);
        }
    }

    /// So many records have waited, and their container is known then or not.
    pub(super) fn waited(&self, known: bool, records: u64) {
        self.waited.with_label_values(&[if known { KNOWN } else { UNKNOWN }]).inc_by(records);
    }

    /// What is apart now.
    pub(super) fn count_apart(&self, apart: &Apart) {
        self.apart_records.set(i64::try_from(apart.records()).unwrap_or(i64::MAX));
        self.apart_bytes.set(i64::try_from(apart.bytes()).unwrap_or(i64::MAX));
    }

    pub(super) fn opened(&self) {
        self.opened.inc();
        self.connections.inc();
    }

    pub(super) fn ended(&self, reason: &str) {
        self.ended.with_label_values(&[reason]).inc();
        self.connections.dec();
    }

    pub(super) fn paused(&self) {
        self.limit_pauses.inc();
    }

    pub(super) fn accept_failed(&self) {
        self.accept_failures.inc();
    }

    /// Adds what came of one read of `received` bytes.
    pub(super) fn count(&self, tally: &Tally, received: usize) {
        self.bytes.inc_by(received as u64);
        self.headers.inc_by(tally.headers);
        self.blocks.inc_by(tally.blocks);
        self.records.inc_by(tally.appended.records);
        self.datapoints.inc_by(tally.appended.datapoints);
        self.skipped_bytes.inc_by(tally.skipped_bytes);
        if tally.tag_clashes > 0 {
            self.tag_clashes.inc_by(tally.tag_clashes);
        }
        if tally.no_room > 0 {
            self.waited.with_label_values(&[NO_ROOM]).inc_by(tally.no_room);
        }
        for (fault, blocks) in &tally.refused_blocks {
            self.refused_blocks.with_label_values(&[fault.name()]).inc_by(*blocks);
        }
        for (fault, records) in &tally.refused_records {
            self.refused_records.with_label_values(&[fault.name()]).inc_by(*records);
        }
        for (counter, records) in self.enriched_by.iter().zip(tally.enrichment) {
            counter.inc_by(records);
        }
    }

    /// Accepted records by what they name.
    pub(super) fn enrichment(&self) -> EnrichmentStatus {
        let [full, partial, none] = self.enriched_by.each_ref().map(IntCounter::get);
        EnrichmentStatus { full, partial, none }
    }

    /// Sums for the status: records, datapoints and bytes in, blocks and records refused, connections ended by us.
    pub(super) fn sums(&self) -> Sums {
        let sum = |counters: &IntCounterVec, names: &[&str]| {
            names.iter().map(|name| counters.with_label_values(&[*name]).get()).sum::<u64>()
        };
        let ended_by_us: Vec<_> =
            StreamFault::NAMES.iter().copied().chain(["timeout", "connection_limit", "memory"]).collect();
        Sums {
            connections: usize::try_from(self.connections.get()).unwrap_or(0),
            records: self.records.get(),
            datapoints: self.datapoints.get(),
            bytes: self.bytes.get(),
            refused_blocks: sum(&self.refused_blocks, &BlockFault::ALL.map(BlockFault::name)),
            refused_records: sum(&self.refused_records, &RecordFault::ALL.map(RecordFault::name)),
            closed: sum(&self.ended, &ended_by_us),
        }
    }
}

/// Some of the counters, added up.
pub(super) struct Sums {
    pub(super) connections: usize,
    pub(super) records: u64,
    pub(super) datapoints: u64,
    pub(super) bytes: u64,
    pub(super) refused_blocks: u64,
    pub(super) refused_records: u64,
    pub(super) closed: u64,
}

fn counter(name: &str, help: &str) -> prometheus::Result<IntCounter> {
    IntCounter::new(format!("metrics_collector_input_{name}"), help)
}

fn reasons(name: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(format!("metrics_collector_input_{name}"), help), &[label])
}
