//! The tables.

use crate::agent;
use crate::full::{Case, Outcome};
use crate::outage;
use crate::quiet;
use crate::systems::System;

/// One system's runs of one case.
pub(crate) struct Runs {
    pub(crate) case: Case,
    pub(crate) system: System,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Runs {
    /// The middle of the runs' values.
    fn median(&self, value: impl Fn(&Outcome) -> f64) -> f64 {
        let mut values: Vec<f64> = self.outcomes.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let n = values.len();
        if n == 0 { f64::NAN } else { f64::midpoint(values[(n - 1) / 2], values[n / 2]) }
    }

    /// CPU seconds a million datapoints.
    pub(crate) fn cpu(&self) -> f64 {
        self.median(|outcome| outcome.cpu)
    }

    /// Bytes that came, a second.
    pub(crate) fn bytes_per_second(&self) -> f64 {
        self.median(|outcome| outcome.bytes_per_second)
    }

    /// How many times the pump's CPU it took, where the pump ran.
    pub(crate) fn times_pump(&self, all: &[Runs]) -> Option<f64> {
        let is_pump = |other: &&Runs| other.system == System::Pump && other.case.name() == self.case.name();
        all.iter().find(is_pump).map(|pump| self.cpu() / pump.cpu())
    }

    pub(crate) fn resident(&self) -> u64 {
        self.outcomes.iter().map(|outcome| outcome.resident).max().unwrap_or(0)
    }
}

/// The table of runs at full rate: medians of the runs, the highest of their memory.
pub(crate) fn full(all: &[Runs]) {
    println!(
        "\n{:<20} {:<9} {:>7} {:>7} {:>9} {:>6} {:>9} {:>8}  arrived",
        "full rate", "system", "Mdp/s", "MB/s", "CPU s/Mdp", "x pump", "sink's", "peak MB"
    );
    for runs in all {
        let ratio = runs.times_pump(all).map_or(String::new(), |times| format!("{times:.2}"));
        println!(
            "{:<20} {:<9} {:>7.2} {:>7.0} {:>9.4} {:>6} {:>9.4} {:>8.1}  {}",
            runs.case.name(),
            runs.system.name(),
            runs.median(|outcome| outcome.datapoints_per_second) / 1e6,
            runs.bytes_per_second() / 1e6,
            runs.cpu(),
            ratio,
            runs.median(|outcome| outcome.sink_cpu),
            megabytes(runs.resident()),
            arrived(&runs.outcomes),
        );
    }
}

/// Exactly what arrived over all runs: "all", or what is missing.
fn arrived(outcomes: &[Outcome]) -> String {
    let sum = |value: fn(&Outcome) -> u64| outcomes.iter().map(value).sum::<u64>();
    let (sent, arrived) = (sum(|o| o.sent), sum(|o| o.arrived));
    let mut parts = vec![counts(sent, arrived)];
    for (n, what) in [
        (sum(|o| o.repeated), "repeated"),
        (sum(|o| o.unreadable), "messages unreadable"),
        (sum(|o| u64::from(!o.ended)), "runs did not end cleanly"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    parts.join(", ")
}

/// The table of a quiet or an idle node.
pub(crate) fn quiet(title: &str, outcomes: &[quiet::Outcome]) {
    println!(
        "\n{title:<30} {:>9} {:>6} {:>10} {:>8} {:>8} {:>9}  arrived",
        "CPU %", "x pump", "wakes/s", "peak MB", "now MB", "messages"
    );
    let pump = outcomes.iter().find(|outcome| outcome.system == System::Pump).map(|outcome| outcome.cpu);
    for outcome in outcomes {
        println!(
            "{:<30} {:>9.3} {:>6} {:>10.1} {:>8.1} {:>8.1} {:>9}  {}{}",
            outcome.system.name(),
            outcome.cpu * 100.0,
            pump.map_or(String::new(), |pump| format!("{:.2}", outcome.cpu / pump)),
            outcome.wakeups_per_second,
            megabytes(outcome.peak),
            megabytes(outcome.resident),
            outcome.messages,
            counts(outcome.sent, outcome.arrived),
            if outcome.ended { "" } else { ", did not end cleanly" },
        );
    }
}

/// The table of an outage.
pub(crate) fn outage(title: &str, outcomes: &[outage::Outcome]) {
    println!(
        "\n{title:<20} {:<11} {:>7} {:>8} {:>7} {:>8} {:>11} {:>10}  arrived, of the records kept",
        "spool-full", "CPU %", "peak MB", "then MB", "after MB", "accepted", "dropped"
    );
    for outcome in outcomes {
        println!(
            "{:<20} {:<11} {:>7.1} {:>8.1} {:>7.1} {:>8.1} {:>11} {:>10}  {}",
            outcome.load.name(),
            outcome.when_full,
            outcome.cpu * 100.0,
            megabytes(outcome.peak),
            megabytes(outcome.resident),
            megabytes(outcome.resident_after),
            outcome.accepted,
            outcome.dropped,
            outcome.verdict(),
        );
    }
}

/// The table of polls.
pub(crate) fn agent(costs: &[agent::Cost]) {
    println!(
        "\n{:<30} {:>13} {:>16} {:>8} {:>14}",
        "agent, containers", "CPU ms a poll", "CPU % each 15 s", "peak MB", "above idle MB"
    );
    for cost in costs {
        println!(
            "{:<30} {:>13.1} {:>16.3} {:>8.1} {:>14.1}{}",
            cost.containers,
            cost.poll * 1e3,
            cost.share * 100.0,
            megabytes(cost.peak),
            megabytes(cost.above),
            if cost.ended { "" } else { "  did not end cleanly" },
        );
    }
}

/// What names cost a record.
pub(crate) fn counted(all: &[agent::Counted]) {
    let unit = all.first().map_or("", |counted| counted.unit);
    println!("\n{:<30} {:>13} {:>16} {:>8}", format!("{unit} a record"), "without names", "with names", "x");
    for counted in all {
        println!(
            "{:<30} {:>13.0} {:>16.0} {:>8.2}{}",
            counted.shape.name(),
            counted.without,
            counted.with,
            counted.with / counted.without,
            if counted.whole { "" } else { "  not all records arrived" },
        );
    }
}

/// What arrived of what was sent.
pub(crate) fn counts(sent: u64, arrived: u64) -> String {
    match sent.checked_sub(arrived) {
        Some(0) => format!("all of {sent}"),
        Some(missing) => format!("{arrived} of {sent}, LOST {missing}"),
        None => format!("{arrived}, {} more than sent", arrived - sent),
    }
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
