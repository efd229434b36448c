//! From the agent to files in memory: its address, its statistics, encoded.

use std::process::Stdio;
use std::time::Duration;

use crate::dcos::agent::{Unprinted, printed};
use crate::dcos::statistics::{NotStatistics, Source, Statistics};
use crate::dcos::{Client, client};
use crate::ocf::Marker;
use crate::ocf::encode::Dialect;
use crate::record::{MetricList, TopicName};

/// Why there is no address of the agent.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; give another with -ipcmd, as in -ipcmd 'echo 10.0.0.1'", command.join(" "))]
pub struct NoAddress {
    command: Vec<String>,
    problem: Unprinted,
}

/// Runs `command` and gives the address that it prints.
///
/// # Errors
/// [`NoAddress`] where it cannot be run, fails, is not done within `patience`, or prints no address.
pub async fn agent_address(command: &[String], patience: Duration) -> Result<String, NoAddress> {
    let failed = |problem| NoAddress { command: command.to_vec(), problem };
    if command.is_empty() {
        return Err(failed(Unprinted::Failed("no command".into())));
    }
    printed(command, patience, Stdio::inherit()).await.map_err(failed)
}

/// Why a poll gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No answer, or an error.
    #[error(transparent)]
    Http(#[from] client::Error),
    /// An answer that is not the agent's.
    #[error(transparent)]
    Body(#[from] NotStatistics),
}

/// Asks the agent again and again.
#[derive(Debug)]
pub struct Poller {
    /// The HTTP client.
    pub client: Client,
    /// The agent.
    pub source: Source,
    /// Topic of every record.
    pub topic: TopicName,
}

impl Poller {
    /// Asks once.
    ///
    /// # Errors
    /// [`Failure`] where the agent does not answer, or with something else.
    pub async fn poll(&mut self) -> Result<Statistics, Failure> {
        let body = self.source.get(&self.client).await?;
        Ok(Statistics::parse(&body, self.topic.as_str().as_bytes())?)
    }
}

/// The records as object container files: one, or as few as keep each within `bytes_max`. A record that is larger
/// than that by itself has a file of its own, which is.
#[must_use]
pub fn encode(records: &[MetricList], dialect: Dialect, marker: &Marker, bytes_max: usize) -> Vec<Vec<u8>> {
    if records.is_empty() {
        return Vec::new();
    }
    let file = dialect.file(records, marker);
    if file.len() <= bytes_max || records.len() == 1 {
        return vec![file];
    }
    let (left, right) = records.split_at(records.len() / 2);
    let mut files = encode(left, dialect, marker, bytes_max);
    files.extend(encode(right, dialect, marker, bytes_max));
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::oracle;
    use crate::record::Tag;

    /// For the command that never ends.
    const SHORT: Duration = Duration::from_millis(200);
    /// For those that do.
    const LONG: Duration = Duration::from_secs(60);

    async fn address(command: &[&str]) -> Result<String, String> {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let patience = if command[0] == "tail" { SHORT } else { LONG };
        agent_address(&command, patience).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn the_address_is_what_the_command_prints() {
        assert_eq!(address(&["echo", "", "10.0.0.1", ""]).await.as_deref(), Ok("10.0.0.1"));
        assert_eq!(address(&["echo", "fe80::1"]).await.as_deref(), Ok("fe80::1"));
    }

    #[tokio::test]
    async fn a_command_that_gives_no_address_is_named_with_its_problem() {
        for (command, expected) in [
            (&["/nowhere/detect_ip", "-4"][..], "/nowhere/detect_ip -4: cannot be run (No such file"),
            (&["false"], "false: failed (exit status: 1)"),
            (&["true"], "true: printed \"\", which is no address; give another with -ipcmd"),
            (&["echo", "10.0.0.1", "10.0.0.2"], "printed \"10.0.0.1 10.0.0.2\", which is no address"),
            (&["echo", "a/b"], "printed \"a/b\", which is no address"),
            (&["tail", "-f", "/dev/null"], "is not done after 0.2s"),
            (&["yes"], "failed (signal: 13 (SIGPIPE))"),
        ] {
            let error = address(command).await.expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn records_are_one_file_unless_it_would_be_too_large() {
        let record = |i: usize| MetricList {
            topic: i.to_string().into(),
            tags: vec![Tag::new("k", "x".repeat(200))],
            ..MetricList::default()
        };
        let records: Vec<MetricList> = (0..10).map(record).collect();
        let encode = |records: &[MetricList], max| encode(records, Dialect::Native, &[7; 16], max);
        assert_eq!(encode(&records, 1 << 20), [Dialect::Native.file(&records, &[7; 16])]);
        let files = encode(&records, 1300);
        assert!(files.len() > 1 && files.iter().all(|file| file.len() <= 1300));
        assert_eq!(files.iter().flat_map(|file| oracle::read(file)).collect::<Vec<_>>(), records);
        assert_eq!(encode(&records[..2], 10).len(), 2, "a record is never split");
        assert_eq!(encode(&[], 10).len(), 0);
    }
}
