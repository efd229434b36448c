//! What is aimed at, beside what was reached: one line for each part, for people to read. Nothing here fails a run.

use crate::data::Shape;
use crate::http::Viewed;
use crate::partners::Company;
use crate::report::{Runs, median, megabytes};
use crate::systems::{CEILING, System};
use crate::{agent, http, outage, partners, quiet};

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

/// Milliseconds from a sender to a partner at 10,000 records a second, and megabytes a second that one takes beside Kafka.
const LATE_MS: f64 = 5.0;
const PARTNER_MEGABYTES: f64 = 500.0;

/// Of what Kafka and a partner get alone so much is left beside two hundred stuck partners: two runs on a shared machine
/// differ by as much.
const STUCK_SHARE: f64 = 0.8;

/// Milliseconds of a page at full rate, and of a scrape of very many topics, and the size of that.
const PAGE_MS: f64 = 5.0;
const SCRAPE_MS: f64 = 10.0;
const SCRAPE_BYTES: u64 = 512 << 10;

/// Percent of a core that fifty viewers cost.
const VIEWERS_PERCENT: f64 = 1.0;

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

fn at_least_share(what: &str, aim: f64, reached: impl Iterator<Item = f64>) -> Option<String> {
    let worst = reached.reduce(f64::min)?;
    Some(format!("{what} at least {aim}: {worst:.2}, {}", met(worst >= aim)))
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

/// How late records are, what one partner takes, and what many cost.
pub(crate) fn partners(late: &[partners::Late], all: &[partners::Runs]) {
    let of = |company| all.iter().find(|runs| runs.company == company);
    let middle = |company, rate: fn(&partners::Outcome) -> f64| {
        of(company).map(|runs| median(runs.outcomes.iter().map(rate)))
    };
    let kafka = |company| middle(company, |outcome| outcome.kafka);
    let partner = |company| middle(company, |outcome| outcome.partner);
    let share = |of: &dyn Fn(Company) -> Option<f64>| Some(of(Company::ManyStuck)? / of(Company::One)?);
    let shares = [share(&kafka), share(&partner)];
    print(&[
        at_most("p99 to a partner, ms", LATE_MS, late.iter().map(|late| late.p99)),
        at_least(
            "one partner and Kafka, MB/s each",
            PARTNER_MEGABYTES,
            [partner(Company::One), kafka(Company::One)].into_iter().flatten().map(|rate| rate / 1e6),
        ),
        at_least_share("with 200 stuck ones, x", STUCK_SHARE, shares.into_iter().flatten()),
        memory(CEILING, all.iter().flat_map(|runs| &runs.outcomes).map(|outcome| outcome.peak)),
    ]);
}

/// Pages, the scrape, viewers, changes.
pub(crate) fn http(outcome: &http::Outcome) {
    let scrape = &outcome.scrape;
    let pages = outcome.pages.iter().filter(|page| page.path != http::ECHO);
    let viewers = match &outcome.viewed {
        Viewed::Missing(_) => Some(format!("50 viewers at most {VIEWERS_PERCENT} % of a core: NOT MEASURED")),
        Viewed::Served(cost) => {
            let cost = (cost.with - cost.without) * 100.0;
            at_most("50 viewers, % of a core", VIEWERS_PERCENT, [cost].into_iter())
        }
    };
    print(&[
        at_most("pages at full rate, p99 in ms", PAGE_MS, pages.map(|page| page.p99)),
        at_most("scrape of 1,000 topics, p99 in ms", SCRAPE_MS, [scrape.p99].into_iter()),
        at_most("its KiB", (SCRAPE_BYTES / 1024) as f64, [scrape.bytes as f64 / 1024.0].into_iter()),
        viewers,
    ]);
}
