//! The agent on the page for Prometheus.

use std::time::SystemTime;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::{NoAddress, Outcome, What};
use crate::telemetry::problems::Kind;
use crate::telemetry::{Problems, unix_seconds};

/// Why something in an answer was passed over. The name is the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// A field that is no number.
    NotANumber,
    /// A container without statistics: it has just begun, or is ending.
    NoStatistics,
    /// A container that cannot be read, or that does not say who it is.
    Odd,
    /// Beyond a bound.
    TooMany,
}

impl Skipped {
    const ALL: [Skipped; 4] = [Skipped::NotANumber, Skipped::NoStatistics, Skipped::Odd, Skipped::TooMany];

    fn name(self) -> &'static str {
        match self {
            Skipped::NotANumber => "not_a_number",
            Skipped::NoStatistics => "no_statistics",
            Skipped::Odd => "odd",
            Skipped::TooMany => "too_many",
        }
    }
}

/// Label values of a look-up: there is an address, nothing was printed, or the command failed or printed something else.
const FOUND: &str = "found";
const EMPTY: &str = "empty";
const FAILED: &str = "failed";

/// Counters of what the agent was asked; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    up: IntGauge,
    lookups: IntCounterVec,
    polls: IntCounterVec,
    last_success: IntGaugeVec,
    containers: IntGauge,
    records: IntCounter,
    values: IntCounter,
    skipped: IntCounterVec,
    pub(super) problems: Problems,
}

impl Metrics {
    /// Registers them, every reason at 0.
    ///
    /// # Errors
    /// If one of the names is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let opts = |name: &str, help: &str| Opts::new(format!("metrics_collector_agent_{name}"), help);
        let metrics = Metrics {
            up: IntGauge::with_opts(opts("up", "1 while the Mesos agent tells its state."))?,
            lookups: IntCounterVec::new(
                opts(
                    "address_lookups_total",
                    "Runs of the command that prints the Mesos agent's address, by what came of it.",
                ),
                &["result"],
            )?,
            polls: IntCounterVec::new(
                opts("polls_total", "Requests to the Mesos agent, by what was asked and what came of it."),
                &["what", "result"],
            )?,
            last_success: IntGaugeVec::new(
                opts("last_success_timestamp_seconds", "When the Mesos agent last answered; 0: never."),
                &["what"],
            )?,
            containers: IntGauge::with_opts(opts(
                "containers",
                "Containers that are known, ended ones included.",
            ))?,
            records: IntCounter::with_opts(opts(
                "records_total",
                "Records made of the Mesos agent's answers.",
            ))?,
            values: IntCounter::with_opts(opts(
                "values_total",
                "Datapoints made of the Mesos agent's answers.",
            ))?,
            skipped: IntCounterVec::new(
                opts(
                    "skipped_total",
                    "Fields and containers in its answers that gave no datapoint, by reason.",
                ),
                &["reason"],
            )?,
            problems: Problems::default(),
        };
        for result in [FOUND, EMPTY, FAILED] {
            metrics.lookups.with_label_values(&[result]);
        }
        for what in What::ALL {
            metrics.last_success.with_label_values(&[what.name()]);
            for outcome in Outcome::ALL {
                metrics.polls.with_label_values(&[what.name(), outcome.name()]);
            }
        }
        for reason in Skipped::ALL {
            metrics.skipped.with_label_values(&[reason.name()]);
        }
        registry.register(Box::new(metrics.up.clone()))?;
        registry.register(Box::new(metrics.lookups.clone()))?;
        registry.register(Box::new(metrics.polls.clone()))?;
        registry.register(Box::new(metrics.last_success.clone()))?;
        registry.register(Box::new(metrics.containers.clone()))?;
        registry.register(Box::new(metrics.records.clone()))?;
        registry.register(Box::new(metrics.values.clone()))?;
        registry.register(Box::new(metrics.skipped.clone()))?;
        Ok(metrics)
    }

    /// The same, telling `problems` what goes wrong.
    #[must_use]
    pub fn telling(self, problems: &Problems) -> Metrics {
        Metrics { problems: problems.clone(), ..self }
    }

    /// The command that prints the address was run.
    pub(super) fn looked_up(&self, found: &Result<String, NoAddress>) {
        let result = match found {
            Ok(_) => FOUND,
            Err(error) if error.is_empty() => EMPTY,
            Err(_) => FAILED,
        };
        self.lookups.with_label_values(&[result]).inc();
    }

    pub(super) fn polled(&self, what: What, outcome: Outcome) {
        self.polls.with_label_values(&[what.name(), outcome.name()]).inc();
        if what == What::State {
            self.up.set((outcome == Outcome::Ok).into());
        }
        if outcome == Outcome::Ok {
            let now = unix_seconds(SystemTime::now());
            self.last_success.with_label_values(&[what.name()]).set(i64::try_from(now).unwrap_or(i64::MAX));
        }
    }

    /// It is not asked any more; that it gave no answer is over.
    pub fn left(&self) {
        self.up.set(0);
        self.know(0);
        self.problems.over(Kind::Agent);
    }

    /// So many containers are known.
    pub fn know(&self, containers: usize) {
        self.containers.set(i64::try_from(containers).unwrap_or(i64::MAX));
    }

    /// So many records were made, with so many datapoints.
    pub fn made(&self, records: usize, values: usize) {
        self.records.inc_by(records as u64);
        self.values.inc_by(values as u64);
    }

    /// So many things were passed over.
    pub fn skip(&self, reason: Skipped, things: u64) {
        self.skipped.with_label_values(&[reason.name()]).inc_by(things);
    }
}
