//! What is aimed at, beside what was reached: one line for each part, for people to read. Nothing here fails a run.

use crate::data::Shape;
use crate::report::{Runs, megabytes};
use crate::systems::{CEILING, System};
use crate::{agent, outage, quiet};

/// CPU per datapoint at full rate, in the pump's.
const TIMES_PUMP: f64 = 2.0;

/// Megabytes a second of wide records, with sender and sink on the same two cores.
const MEGABYTES_PER_SECOND: f64 = 1_000.0;

/// Resident memory of a collector with nothing to do.
const IDLE: u64 = 12 << 20;

/// CPU seconds of a poll of very many containers, and resident memory above a collector that polls nobody.
const POLL: f64 = 0.3;
const ABOVE_IDLE: u64 = 40 << 20;

/// Percent of a core with few containers.
const IDLE_PERCENT: f64 = 0.1;

/// Prints one aim after the other.
fn print(aims: &[Option<String>]) {
    let aims: Vec<&str> = aims.iter().flatten().map(String::as_str).collect();
    if !aims.is_empty() {
        println!("targets: {}", aims.join("; "));
    }
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "NOT MET" }
}

fn at_most(what: &str, aim: f64, reached: impl Iterator<Item = f64>) -> Option<String> {
    let worst = reached.reduce(f64::max)?;
    Some(format!("{what} at most {aim}: {worst:.2}, {}", met(worst <= aim)))
}

fn at_least(what: &str, aim: f64, reached: impl Iterator<Item = f64>) -> Option<String> {
    let worst = reached.reduce(f64::min)?;
    Some(format!("{what} at least {aim}: {worst:.0}, {}", met(worst >= aim)))
}

fn memory(aim: u64, reached: impl Iterator<Item = u64>) -> Option<String> {
    let worst = reached.max()?;
    Some(format!("peak under {} MB: {:.1}, {}", aim >> 20, megabytes(worst), met(worst < aim)))
}

/// The worst over all cases that a target is for.
pub(crate) fn full(all: &[Runs]) {
    let collector = || all.iter().filter(|runs| runs.system == System::Collector);
    let plain =
        |shape| collector().filter(move |runs| runs.case.compression == "none" && runs.case.shape == shape);
    let times_pump = |shape: Shape| {
        let what = format!("{} without compression, x pump", shape.name());
        at_most(&what, TIMES_PUMP, plain(shape).filter_map(|runs| runs.times_pump(all)))
    };
    print(&[
        times_pump(Shape::WIDE),
        times_pump(Shape::NARROW),
        at_least(
            "20x6 without compression, MB/s",
            MEGABYTES_PER_SECOND,
            plain(Shape::WIDE).map(|runs| runs.bytes_per_second() / 1e6),
        ),
        memory(CEILING, collector().map(Runs::resident)),
    ]);
}

/// Not more CPU than the pump.
pub(crate) fn quiet(outcomes: &[quiet::Outcome]) {
    let of = |system| outcomes.iter().find(|outcome| outcome.system == system);
    if let (Some(pump), Some(collector)) = (of(System::Pump), of(System::Collector)) {
        print(&[at_most("CPU, x pump", 1.0, [collector.cpu / pump.cpu].into_iter())]);
    }
}

/// The collector's own memory.
pub(crate) fn idle(outcomes: &[quiet::Outcome]) {
    let collector = outcomes.iter().filter(|outcome| outcome.system == System::Collector);
    print(&[memory(IDLE, collector.map(|outcome| outcome.peak))]);
}

/// The same ceiling as under load.
pub(crate) fn outage(outcomes: &[outage::Outcome]) {
    print(&[memory(CEILING, outcomes.iter().map(|outcome| outcome.peak))]);
}

/// Polls of very many containers, and of few.
pub(crate) fn agent(costs: &[agent::Cost]) {
    let of = |containers| costs.iter().filter(move |cost| cost.containers == containers);
    print(&[
        at_most("a poll of 10,000, s of CPU", POLL, of(agent::MANY).map(|cost| cost.poll)),
        memory(ABOVE_IDLE, of(agent::MANY).map(|cost| cost.above)),
        at_most("50 each 15 s, % of a core", IDLE_PERCENT, of(agent::FEW).map(|cost| cost.share * 100.0)),
    ]);
}
