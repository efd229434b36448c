//! Memory under attack: each hostile case from one connection and from very many, beside a well-behaved sender whose
//! every datapoint must arrive.

mod cases;
mod deflate;
mod hostile;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::Part;
use crate::report;
use crate::systems::{self, Running, Setup, System};
use crate::{proc, send};

/// If nothing of the good sender's arrives for this long, nothing more will. Long: the attack's records, where they
/// are good ones, are delivered too.
const STALL_MS: u64 = 15_000;

/// How long the good sender's first records may take, and how many they are: all topics are among them.
const GOOD_START: Duration = Duration::from_secs(10);
const FIRST_RECORDS: u64 = 24;

/// How long the hostile sender may take to make its bytes and to connect.
const HOSTILE_START: Duration = Duration::from_secs(60);

/// How an attack is driven.
pub(crate) struct Options {
    /// Cases whose name contains this.
    pub(crate) filter: String,
    /// Connections of the large attack; the small one has one.
    pub(crate) connections: u64,
    /// How long the large attack lasts; the small one a quarter of it.
    pub(crate) lasting: Duration,
    /// Resident memory that must not be passed, in bytes.
    pub(crate) ceiling: u64,
}

struct Outcome {
    connections: u64,
    /// How many of them came about.
    connected: u64,
    resident: u64,
    cpu: Duration,
    hostile: Value,
    sent: u64,
    totals: Value,
    ended: bool,
}

/// The hostile role.
pub(crate) fn hostile(to: &str, name: &str, connections: u64, lasting: Duration) -> io::Result<()> {
    let case = cases::case(name).ok_or_else(|| io::Error::other(format!("no such case: {name:?}")))?;
    hostile::run(to.to_owned(), case, connections, lasting)
}

/// Runs the cases, prints the table. False: something was lost, the collector died or took too much.
pub(crate) fn run(setup: &Setup, options: &Options) -> io::Result<(bool, Value)> {
    raise_file_limit();
    println!(
        "\n{:<22} {:>6} {:>8} {:>6} {:>8} {:>8} {:>8}  good sender's datapoints",
        "attack", "conn.", "peak MB", "CPU s", "opened", "closed", "MB sent"
    );
    let mut good = true;
    let mut all = Vec::new();
    for name in cases::NAMES.into_iter().filter(|name| name.contains(&options.filter)) {
        for (connections, lasting) in [(1, options.lasting / 4), (options.connections, options.lasting)] {
            let outcome = attack(setup, name, connections, lasting)?;
            good &= outcome.good(options.ceiling);
            outcome.print(name, options.ceiling);
            all.push(outcome.json(name));
        }
    }
    Ok((good, Value::Array(all)))
}

fn attack(setup: &Setup, name: &str, connections: u64, lasting: Duration) -> io::Result<Outcome> {
    let (mut sink, kafka) = systems::sink()?;
    let running = setup.start(System::Collector, &kafka, "none", &["--kafka-produce-period-ms", "1000"])?;
    // The good sender is there first, and longer than the attack.
    let datapoints = (lasting.as_millis() as u64 + 3_000) * send::QUIET_DATAPOINTS_PER_SECOND / 1_000;
    let mut sender = send::quiet(&running.input, datapoints)?;
    let plan = sender.ready()?;
    sink.ask(&System::Collector.expectation(&plan), Duration::from_secs(1))?;
    sender.tell("go")?;
    wait_for_good_ones(&running)?;
    let (connections_text, ms) = (connections.to_string(), lasting.as_millis().to_string());
    let arguments = ["--to", &running.input, "--case", name, "--connections", &connections_text, "--ms", &ms];
    let hostile = Part::role("hostile", &arguments, true)?;
    let connected = hostile.answer(HOSTILE_START)?["connected"].as_u64().unwrap_or(0);
    let counts = hostile.answer(lasting + Duration::from_secs(30))?;
    drop(hostile);
    // The sender tells when it is done, or that it was thrown out: the totals show which.
    let patience = lasting + Duration::from_secs(60);
    let finished = sender.answer(patience).unwrap_or(Value::Null);
    sink.ask(&format!("await {STALL_MS}"), patience)?;
    let pid = running.part.pid();
    // Zero when it has died, as is the memory.
    let cpu = proc::cpu(pid);
    let (ended, resident) = running.end()?;
    let ended = ended && finished.get("error").is_none();
    let totals = sink.ask("totals", Duration::from_secs(5))?;
    let sent = plan["datapoints"].as_u64().unwrap_or(0);
    Ok(Outcome { connections, connected, resident, cpu, hostile: counts, sent, totals, ended })
}

/// Returns when every topic of the good sender is known. Which topics there may be is decided by who comes first.
fn wait_for_good_ones(running: &Running) -> io::Result<()> {
    let until = Instant::now() + GOOD_START;
    while running.ledger()?["accepted"].as_u64().unwrap_or(0) < FIRST_RECORDS {
        if Instant::now() > until {
            return Err(io::Error::other("nothing of the good sender's is accepted"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

impl Outcome {
    fn arrived(&self) -> u64 {
        self.totals["distinct"].as_u64().unwrap_or(0)
    }

    fn hostile_count(&self, name: &str) -> u64 {
        self.hostile[name].as_u64().unwrap_or(0)
    }

    fn good(&self, ceiling: u64) -> bool {
        self.arrived() == self.sent
            && self.ended
            && self.connected == self.connections
            && self.resident <= ceiling
            && self.totals["unreadable"] == 0
    }

    fn print(&self, name: &str, ceiling: u64) {
        let missing = self.connections - self.connected;
        println!(
            "{name:<22} {:>6} {:>8.1} {:>6.2} {:>8} {:>8} {:>8.1}  {}{}{}{}{}",
            self.connections,
            report::megabytes(self.resident),
            self.cpu.as_secs_f64(),
            self.hostile_count("opened"),
            self.hostile_count("closed_by_peer"),
            report::megabytes(self.hostile_count("bytes")),
            report::counts(self.sent, self.arrived()),
            match (self.ended, self.resident) {
                (true, _) => "",
                (false, 0) => ", DIED",
                (false, _) => ", DID NOT END CLEANLY",
            },
            if missing > 0 { format!(", {missing} CONNECTIONS NOT MADE") } else { String::new() },
            if self.resident > ceiling { ", OVER THE CEILING" } else { "" },
            if self.totals["unreadable"] == 0 { "" } else { ", UNREADABLE MESSAGES" },
        );
    }

    fn json(&self, name: &str) -> Value {
        json!({
            "case": name,
            "connections": self.connections,
            "connected": self.connected,
            "peak_resident_bytes": self.resident,
            "cpu_seconds": self.cpu.as_secs_f64(),
            "hostile": self.hostile,
            "sent": self.sent,
            "arrived": self.arrived(),
            "unnumbered": self.totals["unnumbered"],
            "n_topics": self.totals["n_topics"],
            "ended": self.ended,
        })
    }
}

/// A thousand connections and what else is open do not fit the usual limit; the parts inherit ours.
fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get the address of a limit that outlives them.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
