//! The look for brokers: how it begins, and what it answers to those who ask.

use std::path::Path;
use std::time::Duration;

use prometheus::Registry;

use super::StartError;
use crate::control::{DiscoveryStatus, Part};
use crate::dcos::discovery::{Config, Discovery, Handle, Kept, LIMITS, Metrics, Timing, Watch};
use crate::dcos::{Authority, Client};
use crate::telemetry::unix_seconds;

/// The task that looks for brokers, ready to run.
pub(super) fn watch(
    config: Config,
    period: Duration,
    data_dir: Option<&Path>,
    authority: &Authority,
    registry: &Registry,
) -> Result<Watch, StartError> {
    let metrics = Metrics::register(registry, &config.framework)?;
    let client = Client::for_cluster(LIMITS, authority)?;
    Ok(Watch::new(Discovery::new(config, client), Timing::every(period), data_dir, metrics))
}

/// Whether brokers are known.
pub(super) fn part(handle: &Handle) -> Part {
    let (ready, detail) = handle.status().sentence();
    Part { name: "discovery", ready, detail }
}

/// How it is.
pub(super) fn status(handle: &Handle) -> DiscoveryStatus {
    let status = handle.status();
    let (way, said) = match status.kept {
        Some(Kept::Answer { way, said }) => (Some(way.name()), Some(said)),
        Some(Kept::File) => (Some("file"), None),
        None => (None, None),
    };
    DiscoveryStatus {
        framework: status.framework.to_string(),
        brokers: handle.known().map_or_else(Vec::new, |brokers| brokers.to_vec()),
        way,
        said,
        since_seconds: status.since.map(unix_seconds),
        answered: status.answered,
        last_error: status.last_error.map(|(at, error)| (unix_seconds(at), error.to_string())),
        next_seconds: status.next.map(unix_seconds),
    }
}
