//! The command line of the benchmark, and the order of a whole run.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;

use crate::data::Shape;
use crate::full::{self, Case};
use crate::report::{self, Runs};
use crate::systems::{Setup, System};
use crate::{agent, attack, http, outage, partners, proc, pump, quiet, send, sink, targets};

/// Datapoints of a run at full rate: a gigabyte of either shape.
const WIDE_DATAPOINTS: u64 = 24_000_000;
const NARROW_DATAPOINTS: u64 = 4_000_000;

/// Topics of what is sent, as the command line has it.
const TOPICS: &str = "12";

fn command() -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let text = |name: &'static str| Arg::new(name).long(name);
    let number = |name: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_parser(value_parser!(u64)).default_value(default)
    };
    let role = |name: &'static str| Command::new(name).hide(true);
    Command::new("line")
        .about("Measures the collector against a bare pump")
        // `cargo bench` adds it.
        .arg(flag("bench").hide(true).global(true))
        .arg(flag("quick").help("A smoke run of a few seconds; its figures mean little"))
        .arg(
            text("collector")
                .help("The collector's binary")
                .value_parser(value_parser!(PathBuf))
                .default_value(env!("CARGO_BIN_EXE_metrics-collector")),
        )
        .arg(
            text("collector-flag")
                .action(ArgAction::Append)
                .help("A flag for it, as --flag=value")
                .allow_hyphen_values(true),
        )
        .arg(text("only").value_parser(["pump", "collector"]).help("One system alone"))
        .arg(
            text("part")
                .value_parser(["full", "quiet", "idle", "outage", "agent", "partners", "http"])
                .action(ArgAction::Append)
                .help("These parts alone"),
        )
        .arg(text("case").help("Cases at full rate whose name contains this, e.g. \"20x6  1 conn. none\""))
        .arg(
            number("rounds", "3")
                .help("Runs of each case and system at full rate; half as many with compression"),
        )
        .arg(number("seconds", "30").help("How long a quiet node is watched; an idle one a third of it"))
        .arg(
            text("json")
                .value_parser(value_parser!(PathBuf))
                .help("Write every figure of every run to this file"),
        )
        .arg(flag("verbose").help("Show what the systems log"))
        .subcommand(
            Command::new("attack")
                .about("Sends hostile bytes beside a well-behaved sender, and watches memory")
                .arg(text("case").help("Cases whose name contains this"))
                .arg(number("connections", "1000").help("Connections of the large attack"))
                .arg(number("ms", "10000").help("How long the large attack lasts"))
                .arg(number("ceiling-mb", "64").help("Resident memory that must not be passed"))
                .arg(
                    text("json").value_parser(value_parser!(PathBuf)).help("Write every figure to this file"),
                ),
        )
        .subcommand(
            role("hostile")
                .arg(text("to").required(true))
                .arg(text("case").required(true))
                .arg(number("connections", "1"))
                .arg(number("ms", "1000")),
        )
        .subcommand(role("agent").arg(number("containers", "10")).arg(flag("statistics")))
        .subcommand(
            role("partners")
                .arg(text("to").required(true))
                .arg(text("hello").default_value("{}"))
                .arg(text("does").default_value("count").value_parser(["count", "take", "nothing"]))
                .arg(number("connections", "1"))
                .arg(flag("stamped")),
        )
        .subcommand(role("sink").arg(number("partitions", "1")))
        .subcommand(
            role("pump").arg(text("kafka").required(true)).arg(text("compression").default_value("none")),
        )
        .subcommand(
            role("send")
                .arg(text("to").required(true))
                .arg(text("shape").default_value("20x6"))
                .arg(number("connections", "1"))
                .arg(number("datapoints", "1000000"))
                .arg(number("block-bytes", "0"))
                .arg(number("every-ms", "0"))
                .arg(number("ms", "0"))
                .arg(number("topics", TOPICS))
                .arg(flag("stamped")),
        )
}

/// Reads the command line and does what it says. False: something was lost.
pub(crate) fn run() -> io::Result<bool> {
    // `cargo test --all-targets` starts benchmarks too, with no argument at all: no time to measure anything.
    if std::env::args_os().len() == 1 {
        command().print_help()?;
        return Ok(true);
    }
    let matches = command().get_matches();
    match matches.subcommand() {
        None => drive(&matches),
        Some(("agent", given)) => {
            agent::serve(n(given, "containers") as usize, given.get_flag("statistics")).map(|()| true)
        }
        Some(("partners", given)) => partners::take(&partners_plan(given)).map(|()| true),
        Some(("sink", given)) => sink::run(n(given, "partitions") as i32).map(|()| true),
        Some(("pump", given)) => pump::run(word(given, "kafka"), word(given, "compression")).map(|()| true),
        Some(("attack", given)) => under_attack(&setup(&matches), given),
        Some(("hostile", given)) => {
            let lasting = Duration::from_millis(n(given, "ms"));
            let (to, case) = (word(given, "to"), word(given, "case"));
            attack::hostile(to, case, n(given, "connections"), lasting).map(|()| true)
        }
        Some((_, given)) => send::run(&plan(given)?).map(|()| true),
    }
}

fn n(given: &ArgMatches, name: &str) -> u64 {
    given.get_one::<u64>(name).copied().expect("it has a default")
}

fn word<'a>(given: &'a ArgMatches, name: &str) -> &'a str {
    given.get_one::<String>(name).expect("it is required or has a default")
}

fn plan(given: &ArgMatches) -> io::Result<send::Plan> {
    let name = word(given, "shape");
    let mut shape = Shape::named(name).ok_or_else(|| io::Error::other(format!("no such shape: {name:?}")))?;
    if n(given, "block-bytes") > 0 {
        shape.bytes = n(given, "block-bytes") as usize;
    }
    Ok(send::Plan {
        to: word(given, "to").to_owned(),
        shape,
        connections: n(given, "connections") as usize,
        datapoints: n(given, "datapoints"),
        every: Some(Duration::from_millis(n(given, "every-ms"))).filter(|every| !every.is_zero()),
        lasting: Some(Duration::from_millis(n(given, "ms"))).filter(|lasting| !lasting.is_zero()),
        topics: n(given, "topics") as usize,
        stamped: given.get_flag("stamped"),
    })
}

fn partners_plan(given: &ArgMatches) -> partners::Plan {
    partners::Plan {
        to: word(given, "to").to_owned(),
        connections: n(given, "connections") as usize,
        hello: word(given, "hello").to_owned(),
        does: partners::Use::named(word(given, "does")).expect("the command line knows no other"),
        stamped: given.get_flag("stamped"),
    }
}

fn setup(given: &ArgMatches) -> Setup {
    Setup {
        collector: given.get_one::<PathBuf>("collector").expect("it has a default").clone(),
        flags: given.get_many::<String>("collector-flag").unwrap_or_default().cloned().collect(),
        loud: given.get_flag("verbose"),
    }
}

/// Every hostile case.
fn under_attack(setup: &Setup, given: &ArgMatches) -> io::Result<bool> {
    println!("{}", proc::machine());
    let options = attack::Options {
        filter: given.get_one::<String>("case").cloned().unwrap_or_default(),
        connections: n(given, "connections"),
        lasting: Duration::from_millis(n(given, "ms")),
        ceiling: n(given, "ceiling-mb") << 20,
    };
    let (good, outcomes) = attack::run(setup, &options)?;
    if let Some(path) = given.get_one::<PathBuf>("json") {
        fs::write(path, format!("{:#}\n", json!({ "machine": proc::machine(), "attack": outcomes })))?;
    }
    Ok(good)
}

/// The whole run.
fn drive(given: &ArgMatches) -> io::Result<bool> {
    let setup = setup(given);
    let systems: Vec<System> = [System::Pump, System::Collector]
        .into_iter()
        .filter(|system| given.get_one::<String>("only").is_none_or(|only| only == system.name()))
        .collect();
    let parts: Vec<&str> = given.get_many::<String>("part").unwrap_or_default().map(String::as_str).collect();
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    let quick = given.get_flag("quick");
    let (rounds, seconds) = if quick { (1, 6) } else { (n(given, "rounds"), n(given, "seconds")) };
    println!("{}", proc::machine());

    let mut whole = true;
    let mut json = json!({ "machine": proc::machine() });
    if wanted("full") {
        let filter = given.get_one::<String>("case").map_or("", String::as_str);
        let runs = at_full_rate(&setup, &systems, filter, rounds, if quick { 10 } else { 1 })?;
        report::full(&runs);
        targets::full(&runs);
        whole &= runs.iter().flat_map(|runs| &runs.outcomes).all(full::Outcome::whole);
        json["full"] = runs
            .iter()
            .flat_map(|runs| runs.outcomes.iter().map(|outcome| outcome.json(&runs.case, runs.system)))
            .collect();
    }
    if wanted("quiet") {
        let outcomes = quiet::quiet(&setup, &systems, Duration::from_secs(seconds))?;
        report::quiet(&format!("quiet, 0.5 MB/s, {seconds} s"), &outcomes);
        targets::quiet(&outcomes);
        whole &= outcomes.iter().all(quiet::Outcome::whole);
        json["quiet"] = outcomes.iter().map(quiet::Outcome::json).collect();
    }
    if wanted("idle") {
        let seconds = seconds.div_ceil(3);
        let outcomes = quiet::idle(&setup, &systems, Duration::from_secs(seconds))?;
        report::quiet(&format!("idle, {seconds} s"), &outcomes);
        targets::idle(&outcomes);
        whole &= outcomes.iter().all(quiet::Outcome::whole);
        json["idle"] = outcomes.iter().map(quiet::Outcome::json).collect();
    }
    if wanted("outage") && systems.contains(&System::Collector) {
        let lasting = Duration::from_secs(seconds.div_ceil(3));
        let outcomes = outage::run(&setup, lasting)?;
        report::outage(&format!("outage, {} s", lasting.as_secs()), &outcomes);
        targets::outage(&outcomes);
        whole &= outcomes.iter().all(outage::Outcome::good);
        json["outage"] = outcomes.iter().map(outage::Outcome::json).collect();
    }
    if wanted("agent") && systems.contains(&System::Collector) {
        let costs = agent::costs(&setup, Duration::from_secs(seconds))?;
        report::agent(&costs);
        let counted = agent::count(&setup)?;
        report::counted(&counted);
        targets::agent(&costs);
        whole &= costs.iter().all(|cost| cost.ended) && counted.iter().all(|counted| counted.whole);
        json["agent"] = costs.iter().map(agent::Cost::json).collect();
        json["names"] = counted.iter().map(agent::Counted::json).collect();
    }
    if wanted("partners") && systems.contains(&System::Collector) {
        let seconds = Duration::from_secs(seconds.div_ceil(3));
        let late = partners::late(&setup, seconds)?;
        report::late(&late);
        let runs = partners::run(&setup, seconds.div_f64(2.0).max(Duration::from_secs(4)), rounds)?;
        report::partners(&runs);
        targets::partners(&late, &runs);
        whole &= late.iter().all(partners::Late::is_whole);
        whole &= runs.iter().all(|runs| runs.outcomes.iter().all(|outcome| outcome.good(runs.company)));
        json["late"] = late.iter().map(partners::Late::json).collect();
        json["partners"] = runs
            .iter()
            .flat_map(|runs| runs.outcomes.iter().map(|outcome| outcome.json(runs.company)))
            .collect();
    }
    if wanted("http") && systems.contains(&System::Collector) {
        let outcome = http::run(&setup, Duration::from_secs(seconds.div_ceil(3)))?;
        report::http(&outcome);
        targets::http(&outcome);
        whole &= outcome.is_whole();
        json["http"] = outcome.json();
    }
    if let Some(path) = given.get_one::<PathBuf>("json") {
        fs::write(path, format!("{json:#}\n"))?;
    }
    Ok(whole)
}

/// Every case, the systems in turns, round after round. `divide`: so many times fewer datapoints.
fn at_full_rate(
    setup: &Setup,
    systems: &[System],
    filter: &str,
    rounds: u64,
    divide: u64,
) -> io::Result<Vec<Runs>> {
    let mut all = Vec::new();
    for case in Case::all().into_iter().filter(|case| case.name().contains(filter)) {
        let datapoints = if case.shape == Shape::WIDE { WIDE_DATAPOINTS } else { NARROW_DATAPOINTS };
        let mut of_case: Vec<Runs> =
            systems.iter().map(|&system| Runs { case, system, outcomes: Vec::new() }).collect();
        // No target is about compression, and it takes long.
        let rounds = if case.compression == "none" { rounds } else { rounds.div_ceil(2) };
        for _ in 0..rounds {
            for runs in &mut of_case {
                runs.outcomes.push(full::run(setup, runs.system, &case, datapoints / divide)?);
            }
        }
        all.extend(of_case);
    }
    Ok(all)
}
