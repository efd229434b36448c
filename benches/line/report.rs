//! The tables.

use crate::agent;
use crate::full::{Case, Outcome};
use crate::http::{self, Viewed};
use crate::outage;
use crate::partners;
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
        median(self.outcomes.iter().map(value))
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

/// How late records are.
pub(crate) fn late(all: &[partners::Late]) {
    println!(
        "\n{:<40} {:>8} {:>8} {:>8}  arrived at the partner",
        "to a partner, 10,000 records/s, ms", "p50", "p99", "max"
    );
    for late in all {
        println!(
            "{:<40} {:>8.2} {:>8.2} {:>8.2}  {}{}",
            format!("{} connections", late.connections),
            late.p50,
            late.p99,
            late.max,
            counts(late.sent, late.taken),
            if late.is_whole() { "" } else { ", NOT ALL ARRIVED AT BOTH ENDS" },
        );
    }
}

/// The table of partners at full rate: each run.
pub(crate) fn partners(all: &[partners::Runs]) {
    println!(
        "\n{:<24} {:>10} {:>12} {:>11} {:>6} {:>8}  arrived",
        "full rate, partners", "Kafka MB/s", "partner MB/s", "others MB/s", "cores", "peak MB"
    );
    for partners::Runs { company, outcomes } in all {
        for outcome in outcomes {
            println!(
                "{:<24} {:>10.0} {:>12.0} {:>11.0} {:>6.2} {:>8.1}  {}",
                company.name(),
                outcome.kafka / 1e6,
                outcome.partner / 1e6,
                outcome.others / 1e6,
                outcome.cores,
                megabytes(outcome.peak),
                outcome.verdict(*company),
            );
        }
    }
}

/// What the HTTP server does.
pub(crate) fn http(outcome: &http::Outcome) {
    println!("\n{:<24} {:>8} {:>8} {:>8} {:>8}", "at full rate, ms", "asked", "p50", "p99", "max");
    for page in &outcome.pages {
        println!(
            "{:<24} {:>8} {:>8.2} {:>8.2} {:>8.2}{}",
            page.path,
            page.asked,
            page.p50,
            page.p99,
            page.max,
            if page.whole { "" } else { "  NOT ALL ANSWERED, OR NOT ALL ARRIVED" },
        );
    }
    let scrape = &outcome.scrape;
    println!(
        "\nscrape of {} topics, {} with series of their own: p50 {:.2} ms, p99 {:.2} ms (an echo {:.2}), {} KiB{}",
        scrape.topics,
        scrape.series,
        scrape.p50,
        scrape.p99,
        scrape.echo_p99,
        scrape.bytes / 1024,
        if scrape.whole { "" } else { ", NOT AS IT SHOULD BE" },
    );
    match &outcome.viewed {
        Viewed::Missing(status) => {
            println!("{} is MISSING: {status}; its viewers were not measured", http::EVENTS);
        }
        Viewed::Served(cost) => println!(
            "{} viewers on a quiet node: {:.3} % of a core, {:.3} % without them; {:.1} events and {:.0} bytes each{}",
            cost.viewers,
            cost.with * 100.0,
            cost.without * 100.0,
            cost.events,
            cost.bytes,
            if cost.whole { "" } else { ", NOT ALL SERVED" },
        ),
    }
    println!(
        "\n{:<24} {:>8} {:>10} {:>10} {:>14}  arrived",
        "changes at full rate", "changes", "Kafka MB/s", "repeated", "at most to be"
    );
    for changed in &outcome.changed {
        println!(
            "{:<24} {:>8} {:>10.0} {:>10} {:>14}  {}{}",
            changed.what.name(),
            changed.changes,
            changed.rate / 1e6,
            changed.repeated,
            changed.repeated_max,
            counts(changed.sent, changed.arrived),
            if changed.is_whole() { String::new() } else { format!(", WRONG: {}", changed.json()) },
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

/// The middle of these.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { f64::NAN } else { f64::midpoint(values[(n - 1) / 2], values[n / 2]) }
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
