//! The embedded demonstration: the whole line in one process, with nothing to set up and no network but loopback.
//!
//! ```text
//! emitters ──▶ the real collector ──▶ Kafka (librdkafka's mock cluster, or a real one) ──▶ consumer ──▶ screen
//! stand-in agent ──▶ sample producer ─────▶┘
//! ```
//!
//! [`stage`](self) puts it together and takes it down; the other files are one part each. In the end the counts of
//! senders, collector and consumer are compared, so that it is a test of the line as well.

mod agent;
mod cast;
mod consumer;
mod emitter;
mod lines;
mod metrics;
mod own;
mod report;
mod screen;
mod stage;
mod tally;

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::exit;
use crate::pause;
use crate::telemetry::{self, Log};
use report::Report;
use screen::{Screen, Style};

/// What the demonstration is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Brokers to use in place of the embedded ones, `host:port` each.
    pub kafka_brokers: Option<Vec<String>>,
    /// How long it runs. None: until it is interrupted.
    pub duration: Option<Duration>,
}

/// Runs the demonstration in the terminal until its time is over or a signal ends it. A second signal while it takes
/// leave ends it at once.
#[must_use]
pub fn run(options: &Options) -> ExitCode {
    let config = telemetry::Config { filter: stage::LOG_LEVEL.to_owned(), format: telemetry::Format::Text };
    let log = telemetry::init(&config);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cannot(&format!("no runtime: {error}")),
    };
    let code = runtime.block_on(async {
        let (Ok(mut first), Ok(mut second)) = (Signals::new(), Signals::new()) else {
            return cannot("cannot listen for signals");
        };
        let out = io::stdout();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let style = Style { colours: out.is_terminal() && !no_colour };
        let screen = Screen::new(Box::new(out), style);
        let stop = async {
            tokio::select! {
                () = first.next() => "stopped",
                () = pause::rest(options.duration) => "the time is over",
                () = screen.closed() => "nobody is looking",
            }
        };
        let impatient = async {
            second.next().await;
            second.next().await;
        };
        tokio::select! {
            code = show(options, &screen, &log, stop) => code,
            () = impatient => cannot("stopped again before the books were closed"),
        }
    });
    // What still asks for brokers need not be waited for.
    runtime.shutdown_background();
    code
}

/// Plays, and shows the books.
async fn show(
    options: &Options,
    screen: &Screen,
    log: &Log,
    stop: impl Future<Output = &'static str>,
) -> ExitCode {
    let report = match stage::play(options.kafka_brokers.clone(), screen, log, stop).await {
        Ok(report) => report,
        Err(failure) => return cannot(&telemetry::chain(&failure)),
    };
    screen.show(&[String::new()]);
    screen.show(&report.lines(screen.style));
    code(&report)
}

/// Counts that disagree are a failure of the show, and no part has died.
fn code(report: &Report) -> ExitCode {
    if report.disagreements().is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILURE) }
}

fn cannot(problem: &str) -> ExitCode {
    // Standard error may be closed; the exit code says the same.
    _ = writeln!(io::stderr(), "metrics-collector demo: {problem}");
    ExitCode::from(exit::FAILURE)
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
