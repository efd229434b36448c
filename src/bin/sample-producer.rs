//! Polls a Mesos agent and sends what it finds to Kafka: arguments, logging, run, exit code.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use metrics_collector::sample_producer::args::{self, BROKERS_ENV};
use metrics_collector::sample_producer::run::{Patience, run};
use metrics_collector::telemetry::chain;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let peers = std::env::var(BROKERS_ENV).ok();
    let settings = match args::parse(std::env::args_os(), peers.as_deref()) {
        Ok(settings) => settings,
        Err(error) => {
            // The terminal may be gone already; the exit code says the same.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let filter = if settings.verbose { "info,metrics_collector=debug" } else { "info" };
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_target(false)
        .init();
    match started(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn started(settings: args::Settings) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(run_until_signal(settings));
    // The system may still be looking up the agent's name, on a thread that cannot be stopped: it is not waited for.
    runtime.shutdown_background();
    ended
}

async fn run_until_signal(settings: args::Settings) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    run(settings, Patience::default(), stop, &mut io::stdout()).await?;
    Ok(())
}
