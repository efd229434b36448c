//! The two systems that are measured, started the same way.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::child::Part;

/// How long the collector may take to deliver what it holds when it is told to end.
const DRAIN: Duration = Duration::from_secs(20);

/// How long a collector that is watched may take to listen.
const WATCHED_START: Duration = Duration::from_secs(120);

/// How often it is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Resident memory that the collector must not pass: its default `memory-limit`.
pub(crate) const CEILING: u64 = 64 << 20;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// The floor.
    Pump,
    /// The program.
    Collector,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            System::Pump => "pump",
            System::Collector => "collector",
        }
    }

    /// What the sink waits for: the pump's bytes have no meaning, so only their number is known.
    pub(crate) fn expectation(self, sent: &Value) -> String {
        match self {
            System::Pump => format!("expect bytes {}", sent["bytes"]),
            System::Collector => format!("expect datapoints {}", sent["datapoints"]),
        }
    }
}

/// Where the collector is, and how it is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) collector: PathBuf,
    /// Flags for it, after ours.
    pub(crate) flags: Vec<String>,
    /// Show its standard error.
    pub(crate) loud: bool,
}

/// A system that listens.
pub(crate) struct Running {
    pub(crate) system: System,
    pub(crate) part: Part,
    /// Where senders connect to.
    pub(crate) input: String,
    /// Where the collector answers HTTP, and where partners connect.
    pub(crate) http: Option<String>,
    pub(crate) partner: Option<String>,
}

impl Setup {
    /// Starts a system before the Kafka at `kafka`; the collector with these flags besides.
    pub(crate) fn start(
        &self,
        system: System,
        kafka: &str,
        compression: &str,
        flags: &[&str],
    ) -> io::Result<Running> {
        self.start_under(&[], system, kafka, compression, flags)
    }

    /// The same, the collector under `watcher`, a program and its arguments that makes it slow.
    pub(crate) fn start_under(
        &self,
        watcher: &[&str],
        system: System,
        kafka: &str,
        compression: &str,
        flags: &[&str],
    ) -> io::Result<Running> {
        let part = match system {
            System::Pump => Part::role("pump", &["--kafka", kafka, "--compression", compression], self.loud)?,
            System::Collector => {
                let mut all = vec!["--listen-endpoint", "127.0.0.1:0", "--http-endpoint", "127.0.0.1:0"];
                all.extend(["--partner-endpoint", "127.0.0.1:0"]);
                all.extend(["--kafka-brokers", kafka, "--kafka-compression", compression]);
                all.extend(["--agent-id", "bench-agent", "--framework-name", "bench-framework"]);
                all.extend(["--application-name", "bench-application", "--agent-polling=false"]);
                all.extend(flags);
                all.extend(self.flags.iter().map(String::as_str));
                match watcher {
                    [] => Part::start("collector", &self.collector, &all, self.loud)?,
                    [program, arguments @ ..] => {
                        let collector = self.collector.to_string_lossy();
                        let all = [arguments, &[&*collector], &all].concat();
                        Part::start("collector", Path::new(program), &all, self.loud)?
                    }
                }
            }
        };
        let ready = if watcher.is_empty() { part.ready()? } else { part.answer(WATCHED_START)? };
        match ready["input"].as_str() {
            Some(input) => Ok(Running {
                system,
                input: input.to_owned(),
                http: ready["http"].as_str().map(str::to_owned),
                partner: ready["partner"].as_str().map(str::to_owned),
                part,
            }),
            None => {
                Err(io::Error::other(format!("{} does not say where it listens: {ready}", system.name())))
            }
        }
    }
}

impl Running {
    /// The collector's books, as it tells them.
    pub(crate) fn ledger(&self) -> io::Result<Value> {
        self.ask("/v1/ledger")
    }

    /// The collector's books once it has accepted `sent` records and none of these outputs has any left, or when `patience`
    /// is over.
    pub(crate) fn settled(&self, sent: u64, outputs: &[&str], patience: Duration) -> io::Result<Value> {
        let until = Instant::now() + patience;
        loop {
            let books = self.ledger()?;
            let is_done = outputs.iter().all(|output| books["outputs"][output]["waiting"] == 0);
            if books["accepted"] == sent && is_done || Instant::now() > until {
                return Ok(books);
            }
            thread::sleep(ASK_EVERY);
        }
    }

    /// What the collector answers to those who ask for this path.
    pub(crate) fn ask(&self, path: &str) -> io::Result<Value> {
        let at = self.http.as_ref().ok_or_else(|| io::Error::other("the pump answers nothing"))?;
        let mut stream = TcpStream::connect(at)?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).map_err(|error| io::Error::other(format!("{error}: {answer}")))
    }

    /// Ends it, and gives the highest resident memory of its life. The collector is to deliver all it has and exit with 0;
    /// false: it did not.
    pub(crate) fn end(mut self) -> io::Result<(bool, u64)> {
        let ended = match self.system {
            System::Pump => true,
            System::Collector => self.part.terminate(DRAIN)?.is_some_and(|status| status.success()),
        };
        Ok((ended, self.part.peak()))
    }
}

/// Starts a sink; its address comes with it.
pub(crate) fn sink() -> io::Result<(Part, String)> {
    let sink = Part::role("sink", &[], true)?;
    match sink.ready()?["kafka"].as_str() {
        Some(kafka) => Ok((sink, kafka.to_owned())),
        None => Err(io::Error::other("the sink does not say where it listens")),
    }
}
