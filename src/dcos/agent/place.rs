//! Where the agent is.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// How long the command may take.
const COMMAND_PATIENCE: Duration = Duration::from_secs(10);

/// How the agent's address is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is this, by `agent-ip`.
    Given(String),
    /// It is this, by the environment's `HOST`.
    Environment(String),
    /// A command prints it: program and arguments.
    Command(Vec<String>),
}

/// Why there is no address of the agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no address of the Mesos agent: {command:?} {problem}; set agent-ip, or agent-polling=false where there is no agent"
)]
pub struct NoAddress {
    command: String,
    problem: Unprinted,
}

/// What is wrong with a command that gave no address, to be put behind its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unprinted {
    /// It printed nothing.
    #[error("printed \"\", which is no address")]
    Nothing,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl NoAddress {
    /// Whether the command ended well and printed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problem == Unprinted::Nothing
    }
}

/// Whether `text` can be a host: an IP address or a name.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    !text.is_empty() && text.len() <= 253 && text.chars().all(of_host)
}

impl Place {
    /// What says where it is: a key, or a name of the environment.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Place::Given(_) => "agent-ip",
            Place::Environment(_) => "HOST",
            Place::Command(_) => "agent-ip-command",
        }
    }

    /// The address.
    ///
    /// # Errors
    /// [`NoAddress`] where a command gives none.
    pub async fn find(&self) -> Result<String, NoAddress> {
        match self {
            Place::Given(host) | Place::Environment(host) => Ok(host.clone()),
            Place::Command(command) => printed(command, COMMAND_PATIENCE, Stdio::null())
                .await
                .map_err(|problem| NoAddress { command: command.join(" "), problem }),
        }
    }
}

/// The address that `command` prints. What it says on standard error goes to `stderr`.
///
/// # Errors
/// [`Unprinted`]: it cannot be run, fails, is not done within `patience`, or prints no address.
pub async fn printed(command: &[String], patience: Duration, stderr: Stdio) -> Result<String, Unprinted> {
    let failed = |problem: String| Err(Unprinted::Failed(problem));
    let Some((program, args)) = command.split_first() else { return failed("is empty".to_owned()) };
    let mut child = Command::new(program);
    child.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
    let (status, output) = match tokio::time::timeout(patience, output(child)).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => return failed(format!("cannot be run ({error})")),
        Err(_) => return failed(format!("is not done after {}s", patience.as_secs_f64())),
    };
    if !status.success() {
        return failed(format!("failed ({status})"));
    }
    let output = String::from_utf8_lossy(&output);
    let address = output.trim();
    if address.is_empty() {
        return Err(Unprinted::Nothing);
    }
    if !is_host(address) {
        let shown: String = address.chars().take(60).collect();
        return failed(format!("printed \"{}\", which is no address", shown.escape_debug()));
    }
    Ok(address.to_owned())
}

/// Runs `command` to its end; its output is cut, as an address is short.
async fn output(mut command: Command) -> io::Result<(ExitStatus, Vec<u8>)> {
    const OUTPUT_BYTES_MAX: u64 = 4096;
    let mut child = command.spawn()?;
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(OUTPUT_BYTES_MAX).read_to_end(&mut output).await?;
    }
    Ok((child.wait().await?, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For the command that never ends.
    const SHORT: Duration = Duration::from_millis(300);
    /// For those that do.
    const LONG: Duration = Duration::from_secs(60);

    async fn check(command: &[&str], expected: Result<&str, &str>) {
        let patience = if command.first() == Some(&"sleep") { SHORT } else { LONG };
        let command: Vec<String> = command.iter().map(ToString::to_string).collect();
        let found = printed(&command, patience, Stdio::null()).await;
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{command:?}: {found:?}, expected {expected:?}"),
        }
    }

    #[tokio::test]
    async fn a_command_prints_the_address_or_says_why_not() {
        check(&["echo", " 10.0.0.1"], Ok("10.0.0.1")).await;
        check(&["echo", "fe80::1"], Ok("fe80::1")).await;
        check(&["echo", ""], Err("printed \"\"")).await;
        check(&["echo", "a/b"], Err("printed \"a/b\", which is no address")).await;
        check(&["false"], Err("failed (exit status: 1)")).await;
        check(&["sleep", "100"], Err("not done after 0.3s")).await;
        check(&["/no/such/command"], Err("cannot be run (No such file")).await;
        check(&[], Err("is empty")).await;
        check(&["yes"], Err("")).await;
        let error = Place::Command(Vec::new()).find().await.unwrap_err();
        assert!(error.to_string().contains("set agent-ip"), "{error}");
    }
}
