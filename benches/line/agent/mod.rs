//! What the Mesos agent costs the collector: polls of no, few and very many containers, and what the names that they give
//! cost the line.
//!
//! The agent is a stand-in in a process of its own, see [`serve`]. It is polled every five seconds in place of fifteen,
//! which is the shortest period at which each poll brings new names too; so half a minute shows what a poll costs, and
//! what it comes to at fifteen seconds is reckoned: the share of the collector that polls nobody, and a poll each fifteen
//! seconds.

mod count;
mod serve;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::Part;
use crate::proc;
use crate::systems::{self, Running, Setup, System};

pub(crate) use count::{Counted, count};
pub(crate) use serve::serve;

/// Between two polls.
const PERIOD: Duration = Duration::from_secs(5);

/// Between two polls by default.
const USUAL_PERIOD: Duration = Duration::from_secs(15);

/// A collector's flags with [`PERIOD`].
const PERIOD_FLAG: &str = "--agent-poll-period=5";

/// Containers of the agents: none stands for a collector that polls nobody.
const CONTAINERS: [usize; 3] = [0, FEW, MANY];
pub(crate) const FEW: usize = 50;
pub(crate) const MANY: usize = 10_000;

/// How long it may take until all containers are known.
const START: Duration = Duration::from_secs(60);

/// What one collector cost over the time it was watched.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) containers: usize,
    /// CPU seconds of a poll and its names, beyond what the collector that polls nobody takes in that time.
    pub(crate) poll: f64,
    /// Share of a core with a poll each fifteen seconds.
    pub(crate) share: f64,
    /// Resident memory in bytes: highest, and how much that is above the collector that polls nobody.
    pub(crate) peak: u64,
    pub(crate) above: u64,
    /// It ended as it should.
    pub(crate) ended: bool,
}

impl Cost {
    pub(crate) fn json(&self) -> Value {
        json!({
            "containers": self.containers,
            "cpu_seconds_per_poll": self.poll,
            "cpu_share_of_a_core_at_15_s": self.share,
            "peak_resident_bytes": self.peak,
            "above_idle_bytes": self.above,
            "ended": self.ended,
        })
    }
}

/// One collector, its agent and its Kafka.
struct Line {
    containers: usize,
    running: Running,
    /// Held, so that they run.
    _around: (Part, Option<Part>),
    cpu: Duration,
}

/// Watches all of them at once, so that they share whatever else the machine is doing, for about `watched`.
pub(crate) fn costs(setup: &Setup, watched: Duration) -> io::Result<Vec<Cost>> {
    let mut lines = CONTAINERS.into_iter().map(|n| Line::start(setup, n)).collect::<io::Result<Vec<_>>>()?;
    // Between two polls, so that whole ones are counted.
    thread::sleep(PERIOD / 2);
    let polls = watched.as_secs().div_ceil(PERIOD.as_secs()).max(1) as u32;
    let began = Instant::now();
    for line in &mut lines {
        line.cpu = proc::cpu(line.running.part.pid());
    }
    thread::sleep(PERIOD * polls);
    let seconds = began.elapsed().as_secs_f64();
    let shares: Vec<f64> = lines
        .iter()
        .map(|line| proc::cpu(line.running.part.pid()).saturating_sub(line.cpu).as_secs_f64() / seconds)
        .collect();
    let mut costs = Vec::new();
    let mut idle = 0;
    for (line, share) in lines.into_iter().zip(&shares) {
        let peak = line.running.part.peak();
        let (ended, _) = line.running.end()?;
        if line.containers == 0 {
            idle = peak;
        }
        let poll = (share - shares[0]) * PERIOD.as_secs_f64();
        costs.push(Cost {
            containers: line.containers,
            poll,
            share: shares[0] + poll / USUAL_PERIOD.as_secs_f64(),
            peak,
            above: peak.saturating_sub(idle),
            ended,
        });
    }
    Ok(costs)
}

impl Line {
    fn start(setup: &Setup, containers: usize) -> io::Result<Line> {
        let (sink, kafka) = systems::sink()?;
        let (agent, flags) = match containers {
            0 => (None, Vec::new()),
            n => {
                let (agent, flags) = start(n, true)?;
                (Some(agent), flags)
            }
        };
        let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        flags.push(PERIOD_FLAG);
        let running = setup.start(System::Collector, &kafka, "none", &flags)?;
        if containers > 0 {
            known(&running, containers, START)?;
        }
        Ok(Line { containers, running, _around: (sink, agent), cpu: Duration::ZERO })
    }
}

/// A stand-in with so many containers, with or without statistics of them, and the flags of a collector that polls it.
fn start(containers: usize, with_statistics: bool) -> io::Result<(Part, Vec<String>)> {
    let containers = containers.to_string();
    let mut arguments = vec!["--containers", &containers];
    if with_statistics {
        arguments.push("--statistics");
    }
    let agent = Part::role("agent", &arguments, true)?;
    let ready = agent.ready()?;
    let port = ready["port"].as_u64().ok_or_else(|| io::Error::other("the agent says no port"))?;
    let flags =
        ["--agent-polling=true".into(), "--agent-ip=127.0.0.1".into(), format!("--agent-port={port}")];
    Ok((agent, flags.into()))
}

/// Waits until the collector knows so many containers.
fn known(running: &Running, containers: usize, patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    loop {
        let status = running.ask("/v1/status")?;
        if status["agent"]["containers"].as_u64() == Some(containers as u64) {
            return Ok(());
        }
        if Instant::now() > until {
            let agent = &status["agent"];
            return Err(io::Error::other(format!(
                "the collector does not know {containers} containers: {agent}"
            )));
        }
        thread::sleep(Duration::from_millis(50));
    }
}
