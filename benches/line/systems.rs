//! The two systems that are measured, started the same way.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::child::Part;

/// How long the collector may take to deliver what it holds when it is told to end.
const DRAIN: Duration = Duration::from_secs(20);

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
        let part = match system {
            System::Pump => Part::role("pump", &["--kafka", kafka, "--compression", compression], self.loud)?,
            System::Collector => {
                let mut all = vec!["--listen-endpoint", "127.0.0.1:0", "--http-endpoint", "127.0.0.1:0"];
                all.extend(["--kafka-brokers", kafka, "--kafka-compression", compression]);
                all.extend(["--agent-id", "bench-agent", "--framework-name", "bench-framework"]);
                all.extend(["--application-name", "bench-application"]);
                all.extend(flags);
                all.extend(self.flags.iter().map(String::as_str));
                Part::start("collector", &self.collector, &all, self.loud)?
            }
        };
        let ready = part.ready()?;
        match ready["input"].as_str() {
            Some(input) => Ok(Running { system, input: input.to_owned(), part }),
            None => {
                Err(io::Error::other(format!("{} does not say where it listens: {ready}", system.name())))
            }
        }
    }
}

impl Running {
    /// Ends it. The collector is to deliver all it has and exit with 0; false: it did not.
    pub(crate) fn end(mut self) -> io::Result<bool> {
        match self.system {
            System::Pump => Ok(true),
            System::Collector => Ok(self.part.terminate(DRAIN)?.is_some_and(|status| status.success())),
        }
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
