//! The quiet node, which is what every node pays for most of the time, and the idle one. Both systems run at once,
//! each with its own senders and sink, so that they share whatever else the machine is doing.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::Part;
use crate::systems::{self, Running, Setup, System};
use crate::{proc, send};

/// Time before the clock starts: connections, metadata, first messages.
const WARM_UP: Duration = Duration::from_secs(3);

/// What one system cost over the time it was watched.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) system: System,
    /// Share of one core.
    pub(crate) cpu: f64,
    pub(crate) wakeups_per_second: f64,
    /// Resident memory in bytes: highest, and at the end.
    pub(crate) peak: u64,
    pub(crate) resident: u64,
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
    pub(crate) messages: u64,
    pub(crate) ended: bool,
}

impl Outcome {
    pub(crate) fn whole(&self) -> bool {
        self.sent == self.arrived && self.ended
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "system": self.system.name(),
            "cpu_share_of_a_core": self.cpu,
            "wakeups_per_second": self.wakeups_per_second,
            "peak_resident_bytes": self.peak,
            "resident_bytes": self.resident,
            "sent": self.sent,
            "arrived": self.arrived,
            "messages": self.messages,
            "ended": self.ended,
        })
    }
}

/// One system with what stands around it.
struct Line {
    sink: Part,
    running: Running,
    sender: Option<(Part, Value)>,
    cpu: Duration,
    sleeps: u64,
}

/// Half a megabyte a second for `watched` (and the warm-up), with the default settings of both.
pub(crate) fn quiet(setup: &Setup, systems: &[System], watched: Duration) -> io::Result<Vec<Outcome>> {
    watch(setup, systems, watched, true)
}

/// No connection at all for `watched`.
pub(crate) fn idle(setup: &Setup, systems: &[System], watched: Duration) -> io::Result<Vec<Outcome>> {
    watch(setup, systems, watched, false)
}

fn watch(setup: &Setup, systems: &[System], watched: Duration, send: bool) -> io::Result<Vec<Outcome>> {
    let mut lines = Vec::new();
    for &system in systems {
        lines.push(Line::start(setup, system, send.then_some(WARM_UP + watched))?);
    }
    for line in &mut lines {
        if let Some((sender, _)) = &mut line.sender {
            sender.tell("go")?;
        }
    }
    thread::sleep(WARM_UP);
    let began = Instant::now();
    lines.iter_mut().for_each(Line::mark);
    thread::sleep(watched);
    let seconds = began.elapsed().as_secs_f64();
    let costs: Vec<_> = lines.iter().map(|line| line.costs(seconds)).collect();
    lines.into_iter().zip(costs).map(|(line, cost)| line.finish(cost)).collect()
}

impl Line {
    fn start(setup: &Setup, system: System, sending: Option<Duration>) -> io::Result<Line> {
        let (mut sink, kafka) = systems::sink()?;
        let running = setup.start(system, &kafka, "none", &[])?;
        let sender = match sending {
            None => None,
            Some(time) => {
                // A second more than is watched, so that the last moment is like the others.
                let datapoints = send::QUIET_DATAPOINTS_PER_SECOND * (time.as_secs() + 1);
                let sender = send::quiet(&running.input, datapoints)?;
                let plan = sender.ready()?;
                sink.ask(&system.expectation(&plan), Duration::from_secs(1))?;
                Some((sender, plan))
            }
        };
        Ok(Line { sink, running, sender, cpu: Duration::ZERO, sleeps: 0 })
    }

    fn mark(&mut self) {
        let pid = self.running.part.pid();
        (self.cpu, self.sleeps) = (proc::cpu(pid), proc::sleeps(pid));
    }

    /// CPU share, wake-ups a second, memory since the mark.
    fn costs(&self, seconds: f64) -> (f64, f64, u64) {
        let pid = self.running.part.pid();
        let cpu = proc::cpu(pid).saturating_sub(self.cpu).as_secs_f64() / seconds;
        let wakeups = proc::sleeps(pid).saturating_sub(self.sleeps) as f64 / seconds;
        (cpu, wakeups, proc::resident(pid).1)
    }

    /// Lets the sender finish and the system deliver, and counts.
    fn finish(self, (cpu, wakeups, resident): (f64, f64, u64)) -> io::Result<Outcome> {
        let Line { mut sink, running, sender, .. } = self;
        let system = running.system;
        let mut sent = 0;
        if let Some((sender, plan)) = &sender {
            sender.answer(Duration::from_secs(10))?;
            // The last block may still be on its way through the socket.
            thread::sleep(Duration::from_millis(300));
            let key = if system == System::Pump { "bytes" } else { "datapoints" };
            sent = plan[key].as_u64().unwrap_or(0);
            if system == System::Pump {
                sink.ask("await 3000", Duration::from_secs(10))?;
            }
        }
        // The collector may hold records for fifteen seconds; told to end it delivers them.
        let (ended, peak) = running.end()?;
        let totals = sink.ask("totals", Duration::from_secs(1))?;
        let key = if system == System::Pump { "bytes" } else { "distinct" };
        Ok(Outcome {
            system,
            cpu,
            wakeups_per_second: wakeups,
            peak,
            resident,
            sent,
            arrived: totals[key].as_u64().unwrap_or(0),
            messages: totals["messages"].as_u64().unwrap_or(0),
            ended,
        })
    }
}
