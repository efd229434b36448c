//! The collector's process: arguments, configuration, log, and then the collector itself.

use std::process::ExitCode;

use metrics_collector::cli::{self, Next, exit};
use metrics_collector::config::Config;
use metrics_collector::output::kafka;
use metrics_collector::{app, demo, telemetry};

fn main() -> ExitCode {
    let answer = cli::evaluate(std::env::args_os(), std::env::vars_os(), &kafka::check);
    answer.print();
    match answer.next {
        Next::Exit(code) => ExitCode::from(code),
        Next::Run(config) => run(*config),
        Next::Demo(options) => demo::run(&options),
    }
}

fn run(config: Config) -> ExitCode {
    telemetry::init(&config.telemetry);
    block_on(app::run(config))
}

/// One thread does all the work that is ours: a quiet node pays for wake-ups, and a busy one is bound by librdkafka's
/// threads and the kernel.
fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            tracing::error!("cannot start: no runtime: {error}");
            ExitCode::from(exit::CANNOT_START)
        }
    }
}
