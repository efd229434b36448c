//! The look for brokers on the page for Prometheus.

use std::time::SystemTime;

use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::{Cause, FrameworkName, Kept, Way};
use crate::telemetry::{Problems, unix_seconds};

/// Label value of a question that was answered with brokers; the others are the causes' names.
const FOUND: &str = "found";

/// Label value of the way of brokers that the last run found.
const FILE: &str = "file";

/// Counters of what was asked; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    framework: String,
    up: IntGauge,
    lookups: IntCounterVec,
    way: IntGaugeVec,
    brokers: IntGauge,
    last_success: IntGauge,
    pub(super) problems: Problems,
}

impl Metrics {
    /// Registers them, every way at 0.
    ///
    /// # Errors
    /// If one of the names is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let opts = |name: &str, help: &str| Opts::new(format!("metrics_collector_discovery_{name}"), help);
        let metrics = Metrics {
            framework: String::new(),
            up: IntGauge::with_opts(opts("up", "1 while the last question for brokers was answered."))?,
            lookups: IntCounterVec::new(
                opts(
                    "lookups_total",
                    "Questions for the brokers of the framework, by what came of all ways that were tried.",
                ),
                &["framework", "result"],
            )?,
            way: IntGaugeVec::new(
                opts("way", "1 for the way that led to the brokers in use, 0 for all others."),
                &["way"],
            )?,
            brokers: IntGauge::with_opts(opts("brokers", "Brokers that are known."))?,
            last_success: IntGauge::with_opts(opts(
                "last_success_timestamp_seconds",
                "When somebody last answered with brokers; 0: never.",
            ))?,
            problems: Problems::default(),
        };
        for way in [FILE].into_iter().chain(Way::ALL.map(Way::name)) {
            metrics.way.with_label_values(&[way]);
        }
        for collector in metrics.collectors() {
            registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// Nobody looks any more: they are on the page no more. Whoever looks next registers anew.
    ///
    /// # Errors
    /// If they are not registered there.
    pub fn unregister(self, registry: &Registry) -> prometheus::Result<()> {
        self.collectors().into_iter().try_for_each(|collector| registry.unregister(collector))
    }

    fn collectors(&self) -> [Box<dyn Collector>; 5] {
        [
            Box::new(self.up.clone()),
            Box::new(self.lookups.clone()),
            Box::new(self.way.clone()),
            Box::new(self.brokers.clone()),
            Box::new(self.last_success.clone()),
        ]
    }

    /// The same, telling `problems` what goes wrong.
    #[must_use]
    pub fn telling(self, problems: &Problems) -> Metrics {
        Metrics { problems: problems.clone(), ..self }
    }

    /// The same for the look for the brokers of a framework, every result at 0.
    #[must_use]
    pub fn of(&self, framework: &FrameworkName) -> Metrics {
        let metrics = Metrics { framework: framework.to_string(), ..self.clone() };
        for result in [FOUND].into_iter().chain(Cause::ALL.map(Cause::name)) {
            metrics.lookups.with_label_values(&[&*metrics.framework, result]);
        }
        metrics
    }

    /// Nobody gave brokers.
    pub(super) fn missed(&self, cause: Cause) {
        self.lookups.with_label_values(&[&*self.framework, cause.name()]).inc();
        self.up.set(0);
    }

    /// So many brokers are in use, and this is where they come from.
    pub(super) fn published(&self, kept: &Kept, brokers: usize) {
        let used = match kept {
            Kept::Answer { way, .. } => {
                self.lookups.with_label_values(&[&*self.framework, FOUND]).inc();
                self.up.set(1);
                self.last_success.set(i64::try_from(unix_seconds(SystemTime::now())).unwrap_or(i64::MAX));
                way.name()
            }
            Kept::File => FILE,
        };
        for way in [FILE].into_iter().chain(Way::ALL.map(Way::name)) {
            self.way.with_label_values(&[way]).set((way == used).into());
        }
        self.brokers.set(i64::try_from(brokers).unwrap_or(i64::MAX));
    }
}
