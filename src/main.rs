//! The collector's process: arguments, configuration, log, and then the collector itself.

use std::io::{self, Write};
use std::process::ExitCode;

use metrics_collector::cli::{self, Next, exit};
use metrics_collector::config::Loaded;
use metrics_collector::output::kafka;
use metrics_collector::{app, demo, telemetry};

fn main() -> ExitCode {
    let answer = cli::evaluate(std::env::args_os(), std::env::vars_os(), &kafka::check);
    if let Err(error) = answer.print() {
        // Standard error may be what failed; the exit code says the same.
        _ = writeln!(io::stderr(), "metrics-collector: cannot write: {error}");
        return ExitCode::from(exit::FAILURE);
    }
    match answer.next {
        Next::Exit(code) => ExitCode::from(code),
        Next::Run(loaded) => run(*loaded),
        Next::Demo(options) => demo::run(&options),
        Next::Tail(options) => block_on(cli::tail::run(options)),
    }
}

fn run(loaded: Loaded) -> ExitCode {
    let log = telemetry::init(&loaded.config.telemetry);
    block_on(app::run(loaded, log))
}

/// One thread does all the work of the line that is ours: a quiet node pays for wake-ups, and a busy one is bound by
/// librdkafka's threads and the kernel. Partners and the HTTP server have a thread each.
fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // Not waiting for helpers that ask a cluster which does not answer: the supervisor's patience may be over.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            tracing::error!("cannot start: no runtime: {error}");
            ExitCode::from(exit::FAILURE)
        }
    }
}
