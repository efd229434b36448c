//! What the integration tests are made of.

pub(crate) mod agent;
pub(crate) mod browser;
pub(crate) mod cluster;
pub(crate) mod collector;
pub(crate) mod consumer;
pub(crate) mod cosmos;
pub(crate) mod http;
pub(crate) mod iam;
pub(crate) mod kafka;
pub(crate) mod line;
pub(crate) mod lines;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod marathon;
pub(crate) mod mesos_dns;
pub(crate) mod ocf;
pub(crate) mod oracle;
pub(crate) mod partner;
pub(crate) mod producer;
pub(crate) mod prometheus;
pub(crate) mod python;
pub(crate) mod random;
pub(crate) mod receiver;
pub(crate) mod record;
pub(crate) mod scheduler;
pub(crate) mod segment;
pub(crate) mod sender;
pub(crate) mod serve;
pub(crate) mod task;
pub(crate) mod tls;
pub(crate) mod universe;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: long, because it is met only by what never happens.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `attempt` again and again until it has an answer. `Err` is not a failure but the news why there is no
/// answer yet; the last of them explains a time-out.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match attempt() {
            Ok(answer) => return answer,
            Err(news) if begun.elapsed() > PATIENCE => {
                panic!("{what}: not within {} s; last news: {news}", PATIENCE.as_secs())
            }
            Err(_) => thread::park_timeout(Duration::from_millis(20)),
        }
    }
}

/// `Ok` as soon as `so` holds, else `news`: the usual answer of an attempt of [`eventually`].
pub(crate) fn once(so: bool, news: impl FnOnce() -> String) -> Result<(), String> {
    if so { Ok(()) } else { Err(news()) }
}

/// A path inside this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A captured stream of `tests/data/streams`.
pub(crate) fn captured(name: &str) -> Vec<u8> {
    let path = repository("tests/data/streams").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
