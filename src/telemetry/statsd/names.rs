//! The old names, and which of our counters each is made of.

use prometheus::proto::{LabelPair, Metric, MetricFamily};

/// What every name begins with.
pub const PREFIX: &str = "dcos.metrics.collector.";

/// One of the old gauges.
#[derive(Debug)]
pub struct Row {
    /// Its name, without [`PREFIX`].
    pub name: &'static str,
    /// Counters that are added up. None: there is no such event here, and it is always 0.
    pub sources: &'static [Source],
    /// A label: there is one gauge more for each of its values.
    pub by: Option<&'static str>,
}

/// One of our counters, or some of its series.
#[derive(Debug)]
pub struct Source {
    /// The name on the page for Prometheus.
    pub family: &'static str,
    /// The label and its values that count; none: all of them.
    pub only: Option<(&'static str, &'static [&'static str])>,
}

/// Whether a header could be read is decided by these.
const HEADER_FAULTS: &[&str] =
    &["bad_header", "header_entries", "header_too_large", "no_schema", "not_ocf", "schema", "unknown_codec"];

/// Streams that did not end where one may.
const CUT_OFF: &[&str] = &["marker_not_found", "timeout", "torn"];

/// Polls that got no answer from the agent, or none that could be read to its end.
const NOT_ANSWERED: &[&str] = &["denied", "no_connection", "status", "timed_out", "too_large"];

/// Questions for brokers to which nobody gave any.
const NOT_FOUND: &[&str] = &["denied", "empty", "failed", "other_security", "silent", "unknown"];

const BAD_TOPICS: &[&str] = &["illegal_topic", "topic_limit"];

/// All of them, by name.
pub const ROWS: &[Row] = &[
    Row::of(
        "agent_poll.ip_lookup_empties",
        &[some("metrics_collector_agent_address_lookups_total", "result", &["empty"])],
    ),
    Row::of(
        "agent_poll.ip_lookup_failures",
        &[some("metrics_collector_agent_address_lookups_total", "result", &["failed"])],
    ),
    Row::of("agent_poll.ip_lookups", &[all("metrics_collector_agent_address_lookups_total")]),
    Row::of("agent_poll.metrics_values", &[all("metrics_collector_agent_values_total")]),
    Row::of(
        "agent_poll.metrics_values_unsupported",
        &[some("metrics_collector_agent_skipped_total", "reason", &["not_a_number"])],
    ),
    Row::of("agent_poll.queries", &[all("metrics_collector_agent_polls_total")]),
    Row::of(
        "agent_poll.query_bad_data",
        &[some("metrics_collector_agent_polls_total", "result", &["unreadable"])],
    ),
    Row::of(
        "agent_poll.query_failures",
        &[some("metrics_collector_agent_polls_total", "result", NOT_ANSWERED)],
    ),
    Row::each(
        "kafka_output.avro_records_sent",
        "topic",
        &[all("metrics_collector_kafka_topic_records_total")],
    ),
    Row::of("kafka_output.bytes_sent", &[all("metrics_collector_kafka_bytes_total")]),
    Row::of("kafka_output.connection_failures", &[all("metrics_collector_kafka_connection_failures_total")]),
    Row::each(
        "kafka_output.framework_lookup_failures",
        "framework",
        &[some("metrics_collector_discovery_lookups_total", "result", NOT_FOUND)],
    ),
    Row::of("kafka_output.sessions_closed", &[all("metrics_collector_kafka_producers_ended_total")]),
    Row::of("kafka_output.sessions_opened", &[all("metrics_collector_kafka_producers_total")]),
    Row::of(
        "tcp_input.avro_reader_close_failures",
        &[some("metrics_collector_input_connections_ended_total", "reason", CUT_OFF)],
    ),
    Row::of(
        "tcp_input.avro_reader_open_failures",
        &[some("metrics_collector_input_connections_ended_total", "reason", HEADER_FAULTS)],
    ),
    Row::of("tcp_input.bytes", &[all("metrics_collector_input_bytes_total")]),
    // Nothing is dropped by a throttle: it holds.
    Row::none("tcp_input.bytes_throttled"),
    Row::of("tcp_input.records", &[all("metrics_collector_input_records_total")]),
    Row::none("tcp_input.records_throttled"),
    Row::of("tcp_input.tcp_accept_failures", &[all("metrics_collector_input_accept_failures_total")]),
    // Whoever cannot listen has ended before it could tell.
    Row::none("tcp_input.tcp_listen_failures"),
    Row::none("tcp_input.tcp_resolve_failures"),
    Row::of("tcp_input.tcp_sessions_closed", &[all("metrics_collector_input_connections_ended_total")]),
    Row::of("tcp_input.tcp_sessions_opened", &[all("metrics_collector_input_connections_opened_total")]),
    // A message is made where its records lie, and there is nothing in that to fail.
    Row::none("topic_sorter.avro_writer_open_failures"),
    Row::of("topic_sorter.bytes", &[all("metrics_collector_kafka_bytes_total")]),
    Row::none("topic_sorter.bytes_throttled"),
    Row::of(
        "topic_sorter.no_agent_state_available",
        &[some("metrics_collector_input_enriched_records_total", "enrichment", &["none"])],
    ),
    Row::each("topic_sorter.records", "topic", &[all("metrics_collector_kafka_topic_records_total")]),
    Row::of(
        "topic_sorter.records_bad_tags",
        &[some("metrics_collector_input_refused_records_total", "reason", &["too_many_tags"])],
    ),
    Row::of(
        "topic_sorter.records_bad_topic",
        &[some("metrics_collector_output_set_aside_records_total", "reason", BAD_TOPICS)],
    ),
    Row::none("topic_sorter.records_throttled"),
];

const fn all(family: &'static str) -> Source {
    Source { family, only: None }
}

const fn some(family: &'static str, label: &'static str, values: &'static [&'static str]) -> Source {
    Source { family, only: Some((label, values)) }
}

impl Row {
    const fn of(name: &'static str, sources: &'static [Source]) -> Row {
        Row { name, sources, by: None }
    }

    const fn each(name: &'static str, label: &'static str, sources: &'static [Source]) -> Row {
        Row { name, sources, by: Some(label) }
    }

    const fn none(name: &'static str) -> Row {
        Row { name, sources: &[], by: None }
    }
}

impl Source {
    fn series<'a>(&'a self, families: &'a [MetricFamily]) -> impl Iterator<Item = &'a Metric> {
        let family = families.iter().find(|family| family.name() == self.family);
        let counts = |metric: &&Metric| {
            self.only
                .is_none_or(|(label, values)| label_of(metric, label).is_some_and(|v| values.contains(&v)))
        };
        family.into_iter().flat_map(MetricFamily::get_metric).filter(counts)
    }

    pub(super) fn sum(&self, families: &[MetricFamily]) -> u64 {
        self.series(families).map(value).sum()
    }

    pub(super) fn by<'a>(
        &'a self,
        label: &'static str,
        families: &'a [MetricFamily],
    ) -> impl Iterator<Item = (&'a str, u64)> {
        self.series(families).filter_map(move |metric| Some((label_of(metric, label)?, value(metric))))
    }
}

fn label_of<'a>(metric: &'a Metric, name: &str) -> Option<&'a str> {
    metric.get_label().iter().find(|pair| pair.name() == name).map(LabelPair::value)
}

#[expect(clippy::cast_sign_loss, reason = "a count is not negative")]
fn value(metric: &Metric) -> u64 {
    metric.get_counter().get_value() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_each_stands_there_once() {
        assert!(ROWS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(ROWS.len(), 33);
    }

    #[test]
    fn what_is_always_zero_is_known() {
        let zero: Vec<&str> = ROWS.iter().filter(|row| row.sources.is_empty()).map(|row| row.name).collect();
        assert!(
            zero.iter().all(|name| name.contains("throttled") || name.ends_with("_failures")),
            "{zero:?}"
        );
        assert_eq!(zero.len(), 7);
    }
}
