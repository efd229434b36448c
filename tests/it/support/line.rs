//! A collector at a broker, and a topic of its own, for tests of the input.

use super::collector::Collector;
use super::kafka::{Broker, unique};
use super::record::{Record, numbered};
use super::{consumer, eventually, ocf, once};

/// A collector at the shared broker, and a topic of its own.
pub(crate) struct Line {
    pub(crate) collector: Collector,
    pub(crate) topic: String,
}

impl Line {
    pub(crate) fn start(more: &[&str]) -> Line {
        let args = [&["--kafka-topic-prefix", ""], more].concat();
        Line { collector: Collector::start(Broker::shared().bootstrap(), &args), topic: unique("input") }
    }

    pub(crate) fn records(&self, numbers: std::ops::Range<u32>) -> Vec<Record> {
        numbered(&self.topic, numbers)
    }

    pub(crate) fn block(&self, numbers: std::ops::Range<u32>) -> Vec<u8> {
        ocf::block(&self.records(numbers))
    }

    /// Exactly these numbers arrive, in this order.
    pub(crate) fn check_arrived(&self, expected: &[u32]) {
        self.collector.wait_accepted(expected.len() as u64);
        self.collector.wait_delivered(expected.len() as u64);
        let messages = consumer::read(Broker::shared().bootstrap(), &self.topic, expected.len());
        let arrived: Vec<u32> = consumer::records(&messages).iter().map(Record::number).collect();
        assert_eq!(arrived, expected);
    }

    /// Waits until this counter of the status of the input is what it should be.
    pub(crate) fn wait_input(&self, counter: &str, expected: u64) {
        eventually(&format!("input.{counter} is {expected}"), || {
            let input = self.collector.status()["input"].clone();
            once(input[counter] == expected, || format!("{input}"))
        });
    }
}

/// The header that the Mesos module writes.
pub(crate) fn header() -> Vec<u8> {
    ocf::header(ocf::SCHEMA, Some("null"))
}

/// The series of connections that ended for this reason.
pub(crate) fn ended(reason: &str) -> String {
    format!("metrics_collector_input_connections_ended_total{{reason=\"{reason}\"}}")
}

/// The series of `blocks` or `records` that were refused for this reason.
pub(crate) fn refused(what: &str, reason: &str) -> String {
    format!("metrics_collector_input_refused_{what}_total{{reason=\"{reason}\"}}")
}
