//! What names cost the line: instructions of the collector for each record, with the names of very many containers and
//! without any. A record is one look-up, whether it has one datapoint or twenty; both ways add the same tags.
//!
//! Valgrind counts, where it is there: of a run with few and a run with many records the difference is the line alone.
//! Elsewhere it is CPU time, both ways in turns, which is much less exact.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{MANY, known, start};
use crate::child::Part;
use crate::data::Shape;
use crate::proc;
use crate::systems::{self, Setup, System};

/// Datapoints of the two runs that are counted.
const COUNTED: [u64; 2] = [20_000, 420_000];

/// Datapoints of a run whose CPU time is read, and how many of them there are.
const TIMED: u64 = 4_000_000;
const TIMED_ROUNDS: usize = 3;

/// A counted program is fifty times slower.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a record costs.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) shape: Shape,
    /// `instructions`, or `ns of CPU`.
    pub(crate) unit: &'static str,
    pub(crate) without: f64,
    pub(crate) with: f64,
    /// All records arrived.
    pub(crate) whole: bool,
}

impl Counted {
    pub(crate) fn json(&self) -> Value {
        json!({
            "shape": self.shape.name(),
            "unit": self.unit,
            "without": self.without,
            "with": self.with,
            "whole": self.whole,
        })
    }
}

/// What one run came to.
struct Run {
    records: f64,
    instructions: f64,
    cpu: Duration,
    whole: bool,
}

/// Counts, or takes the time, for both shapes.
pub(crate) fn count(setup: &Setup) -> io::Result<Vec<Counted>> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    let counts = valgrind.is_ok_and(|status| status.success());
    if !counts {
        println!("\nvalgrind is missing, so what names cost is CPU time in place of instructions");
    }
    let each = if counts { counted } else { timed };
    [Shape::NARROW, Shape::WIDE].into_iter().map(|shape| each(setup, shape)).collect()
}

fn counted(setup: &Setup, shape: Shape) -> io::Result<Counted> {
    let mut each = [0.0; 2];
    let mut whole = true;
    for (each, named) in each.iter_mut().zip([false, true]) {
        let [few, many] =
            [run(setup, shape, named, COUNTED[0], true)?, run(setup, shape, named, COUNTED[1], true)?];
        whole &= few.whole && many.whole;
        *each = (many.instructions - few.instructions) / (many.records - few.records);
    }
    Ok(Counted { shape, unit: "instructions", without: each[0], with: each[1], whole })
}

fn timed(setup: &Setup, shape: Shape) -> io::Result<Counted> {
    let mut times = [Vec::new(), Vec::new()];
    let mut whole = true;
    for _ in 0..TIMED_ROUNDS {
        for (times, named) in times.iter_mut().zip([false, true]) {
            let run = run(setup, shape, named, TIMED, false)?;
            whole &= run.whole;
            times.push(run.cpu.as_secs_f64() * 1e9 / run.records);
        }
    }
    let [without, with] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[TIMED_ROUNDS / 2]
    });
    Ok(Counted { shape, unit: "ns of CPU", without, with, whole })
}

/// Sends so many datapoints through a collector that knows their containers, `named`, or has fixed tags for all.
fn run(setup: &Setup, shape: Shape, named: bool, datapoints: u64, counts: bool) -> io::Result<Run> {
    let (mut sink, kafka) = systems::sink()?;
    let agent = if named { Some(start(MANY, false)?) } else { None };
    let mut flags = vec!["--kafka-produce-period-ms=1000", "--agent-poll-period=3600"];
    flags.extend(agent.iter().flat_map(|(_, flags)| flags).map(String::as_str));
    let log = Log::new();
    let log_flag = format!("--log-file={}", log.0.display());
    let watcher = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", &log_flag];
    let watcher: &[&str] = if counts { &watcher } else { &[] };
    let running = setup.start_under(watcher, System::Collector, &kafka, "none", &flags)?;
    if named {
        known(&running, MANY, PATIENCE)?;
    }
    let datapoints = datapoints.to_string();
    let arguments = ["--to", &running.input, "--shape", shape.name(), "--datapoints", &datapoints];
    let mut sender = Part::role("send", &arguments, true)?;
    let plan = sender.ready()?;
    sink.ask(&System::Collector.expectation(&plan), Duration::from_secs(1))?;
    let before = proc::cpu(running.part.pid());
    sender.tell("go")?;
    sink.ask("await 30000", PATIENCE)?;
    let cpu = proc::cpu(running.part.pid()).saturating_sub(before);
    let (ended, _) = running.end()?;
    let totals = sink.ask("totals", Duration::from_secs(1))?;
    let whole = ended && totals["distinct"] == plan["datapoints"];
    let instructions = if counts { collected(&log.0)? } else { 0.0 };
    let records = plan["datapoints"].as_u64().unwrap_or(0) as f64 / shape.datapoints as f64;
    Ok(Run { records, instructions, cpu, whole })
}

/// Where valgrind writes; removed in the end.
struct Log(PathBuf);

impl Log {
    fn new() -> Log {
        let name = format!("metrics-collector-bench-{}.valgrind", std::process::id());
        Log(std::env::temp_dir().join(name))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // There is none where nothing was counted.
        _ = fs::remove_file(&self.0);
    }
}

/// The instructions that callgrind counted.
fn collected(log: &Path) -> io::Result<f64> {
    let text = fs::read_to_string(log)?;
    let count = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.ok_or_else(|| io::Error::other(format!("valgrind counted nothing: {text}")))
}
