//! An outage: the sink goes away while records come, and comes back. What the collector's memory does meanwhile, and
//! whether in the end all has arrived that it had accepted and, by its own books, not dropped.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::Part;
use crate::data::Shape;
use crate::report;
use crate::systems::{self, CEILING, Running, Setup, System};
use crate::{proc, send};

/// With Kafka, before it goes away, and then again before the senders end.
const WITH_KAFKA: Duration = Duration::from_secs(1);

/// How long the collector may take to deliver what it kept.
const SETTLE: Duration = Duration::from_secs(30);

/// More datapoints than any machine sends in this time.
const ENDLESS: &str = "1000000000";

/// How much comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    Quiet,
    Full,
}

impl Load {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Load::Quiet => "quiet, 0.5 MB/s",
            Load::Full => "full rate, 4 conn.",
        }
    }
}

/// What an outage came to. Counts are records.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) load: Load,
    pub(crate) when_full: &'static str,
    /// Share of a core during the outage.
    pub(crate) cpu: f64,
    /// Resident memory in bytes: the highest of all, at the outage's end, and when all was delivered.
    pub(crate) peak: u64,
    pub(crate) resident: u64,
    pub(crate) resident_after: u64,
    sent: u64,
    pub(crate) accepted: u64,
    pub(crate) dropped: u64,
    delivered: u64,
    imbalance: i64,
    /// Each counted once, and how many came again.
    arrived: u64,
    repeated: u64,
    unreadable: u64,
    ended: bool,
}

impl Outcome {
    /// The memory stayed under the ceiling, and the books are right. A record may have arrived though the books have it
    /// as dropped: its acknowledgement was lost with the broker.
    pub(crate) fn good(&self) -> bool {
        self.peak <= CEILING && self.is_balanced() && self.arrived >= self.delivered
    }

    fn is_balanced(&self) -> bool {
        self.accepted == self.sent
            && self.delivered + self.dropped == self.accepted
            && self.imbalance == 0
            && self.arrived <= self.accepted
            && self.unreadable == 0
            && self.ended
    }

    /// What arrived, and all that is wrong.
    pub(crate) fn verdict(&self) -> String {
        let mut parts = vec![report::counts(self.delivered, self.arrived)];
        if self.repeated > 0 {
            parts.push(format!("{} repeated", self.repeated));
        }
        if self.peak > CEILING {
            parts.push("OVER THE CEILING".to_owned());
        }
        if !self.is_balanced() {
            parts.push(format!("BOOKS ARE WRONG: {}", self.json()));
        }
        parts.join(", ")
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "load": self.load.name(),
            "spool_full": self.when_full,
            "cpu_share_of_a_core": self.cpu,
            "peak_resident_bytes": self.peak,
            "resident_bytes": self.resident,
            "resident_bytes_after": self.resident_after,
            "sent": self.sent,
            "accepted": self.accepted,
            "dropped": self.dropped,
            "delivered": self.delivered,
            "imbalance": self.imbalance,
            "arrived": self.arrived,
            "repeated": self.repeated,
            "unreadable": self.unreadable,
            "ended": self.ended,
        })
    }
}

/// Both loads in both ways to be full, each outage `lasting` so long. The quiet ones share the time.
pub(crate) fn run(setup: &Setup, lasting: Duration) -> io::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for lines in [
        &[(Load::Quiet, "auto"), (Load::Quiet, "drop-oldest")][..],
        &[(Load::Full, "auto")],
        &[(Load::Full, "drop-oldest")],
    ] {
        outcomes.extend(at_once(setup, lines, lasting)?);
    }
    Ok(outcomes)
}

fn at_once(setup: &Setup, lines: &[(Load, &'static str)], lasting: Duration) -> io::Result<Vec<Outcome>> {
    let mut lines = lines
        .iter()
        .map(|&(load, when_full)| Line::start(setup, load, when_full, WITH_KAFKA * 2 + lasting))
        .collect::<io::Result<Vec<_>>>()?;
    for line in &mut lines {
        line.sender.tell("go")?;
    }
    thread::sleep(WITH_KAFKA);
    for line in &mut lines {
        line.sink.ask("down", Duration::from_secs(5))?;
    }
    let began = Instant::now();
    let cpu: Vec<_> = lines.iter().map(Line::cpu).collect();
    thread::sleep(lasting);
    let seconds = began.elapsed().as_secs_f64();
    let costs: Vec<_> = lines
        .iter()
        .zip(cpu)
        .map(|(line, before)| {
            let cpu = line.cpu().saturating_sub(before).as_secs_f64() / seconds;
            (cpu, proc::resident(line.running.part.pid()).1)
        })
        .collect();
    for line in &mut lines {
        line.sink.ask("up", Duration::from_secs(5))?;
    }
    lines.into_iter().zip(costs).map(|(line, costs)| line.finish(costs)).collect()
}

/// A collector with what stands around it.
struct Line {
    load: Load,
    when_full: &'static str,
    sink: Part,
    running: Running,
    sender: Part,
}

impl Line {
    fn start(setup: &Setup, load: Load, when_full: &'static str, lasting: Duration) -> io::Result<Line> {
        let (mut sink, kafka) = systems::sink()?;
        // The last messages close after one second instead of fifteen, as nobody learns anything from waiting.
        let flags = ["--spool-full", when_full, "--kafka-produce-period-ms", "1000"];
        let running = setup.start(System::Collector, &kafka, "none", &flags)?;
        let sender = match load {
            Load::Quiet => {
                send::quiet(&running.input, send::QUIET_DATAPOINTS_PER_SECOND * lasting.as_secs())?
            }
            Load::Full => {
                let ms = lasting.as_millis().to_string();
                let to = ["--to", &running.input, "--shape", Shape::WIDE.name(), "--connections", "4"];
                let how_much = ["--datapoints", ENDLESS, "--ms", &ms];
                Part::role("send", &[&to[..], &how_much].concat(), true)?
            }
        };
        let plan = sender.ready()?;
        sink.ask(&System::Collector.expectation(&plan), Duration::from_secs(1))?;
        Ok(Line { load, when_full, sink, running, sender })
    }

    fn cpu(&self) -> Duration {
        proc::cpu(self.running.part.pid())
    }

    /// Lets the senders end and the collector deliver, and compares.
    fn finish(self, (cpu, resident): (f64, u64)) -> io::Result<Outcome> {
        let Line { load, when_full, mut sink, running, sender } = self;
        let record = Shape::WIDE.datapoints as u64;
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let sent = number(&sender.answer(SETTLE)?["datapoints"]) / record;
        let books = running.settled(sent, &["kafka"], SETTLE)?;
        let resident_after = proc::resident(running.part.pid()).1;
        let (ended, peak) = running.end()?;
        let totals = sink.ask("totals", Duration::from_secs(5))?;
        let kafka = &books["outputs"]["kafka"];
        let lost = kafka["lost"].as_object().into_iter().flatten().map(|(_, records)| number(records)).sum();
        Ok(Outcome {
            load,
            when_full,
            cpu,
            peak,
            resident,
            resident_after,
            sent,
            accepted: number(&books["accepted"]),
            dropped: lost,
            delivered: number(&kafka["delivered"]),
            imbalance: kafka["imbalance"].as_i64().unwrap_or(i64::MAX),
            arrived: number(&totals["distinct"]) / record,
            repeated: number(&totals["repeated"]) / record,
            unreadable: number(&totals["unreadable"]),
            ended,
        })
    }
}
