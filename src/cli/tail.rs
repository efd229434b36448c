//! The command `tail`: records as they arrive at a collector that runs, for people.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use reqwest::Url;

use super::exit;
use crate::config::Config;
use crate::ocf::decode::Shown;
use crate::output::partner::ndjson;
use crate::record::Secret;

/// A line longer than this is cut off: no record is as large.
const LINE_BYTES_MAX: usize = 512 << 20;

/// What to show.
#[derive(Debug)]
pub struct Options {
    url: Url,
    token: Option<Secret>,
    json: bool,
}

/// The command with its flags.
pub(super) fn command() -> Command {
    let globs = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).action(ArgAction::Append)
    };
    Command::new("tail")
        .about("Show records as they arrive at the collector that runs at http-endpoint")
        .arg(globs("topic", "GLOB", "Only of this record topic; several may be given"))
        .arg(globs("framework", "GLOB", "Only of this framework, by name or id; several may be given"))
        .arg(globs("tag", "KEY=GLOB", "Only with this tag; with several, all of them"))
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("PLACE")
                .value_parser(["now", "oldest"])
                .default_value("now")
                .help("Where to begin: oldest is what the collector still has for its partners"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("A line of JSON a record, whole, instead of text that is cut where it is long"),
        )
}

impl Options {
    /// What the flags of [`command`] and the configuration come to.
    ///
    /// # Errors
    /// Why there is nobody to ask.
    pub(super) fn new(matches: Option<&ArgMatches>, config: &Config) -> Result<Options, String> {
        let at = reachable(config.http.listen);
        if at.port() == 0 {
            return Err("which port it listens on is not known: give its real http-endpoint".to_owned());
        }
        let mut url = Url::parse(&format!("http://{at}/v1/stream")).expect("an address makes a good URL");
        let values =
            |name: &str| matches.and_then(|matches| matches.get_many::<String>(name)).into_iter().flatten();
        let mut query = url.query_pairs_mut();
        query.append_pair("format", "ndjson");
        for name in ["topic", "framework", "tag", "from"] {
            values(name).for_each(|value| _ = query.append_pair(name, value));
        }
        drop(query);
        let json = matches.is_some_and(|matches| matches.get_flag("json"));
        Ok(Options { url, token: config.http.token.clone(), json })
    }
}

/// Where to ask somebody who listens at `at`.
fn reachable(mut at: SocketAddr) -> SocketAddr {
    if at.ip().is_unspecified() {
        let here =
            if at.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
        at.set_ip(here);
    }
    at
}

/// Shows records until the collector ends the stream, or nobody reads any more.
pub async fn run(options: Options) -> ExitCode {
    match follow(&options).await {
        Ok(()) => {
            eprintln!(
                "metrics-collector: the stream has ended: the collector ends each after a while, or has ended"
            );
            ExitCode::from(exit::SUCCESS)
        }
        Err(Failure::Written(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("metrics-collector: {failure}");
            ExitCode::from(exit::FAILURE)
        }
    }
}

/// How long it may take until it is known that there is a stream. Its records come when they come.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Why there is no more to show.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no stream from {0}: {1}")]
    Refused(Url, String),
    #[error("cannot reach {0}: {cause}", cause = crate::telemetry::chain(.1))]
    Unreachable(Url, reqwest::Error),
    #[error("no answer from {0} within {secs} s; is this a collector, and does it run?", secs = ANSWER_TIME.as_secs())]
    Silent(Url),
    #[error("cannot write")]
    Written(#[from] io::Error),
}

async fn follow(options: &Options) -> Result<(), Failure> {
    let unreachable = |error: reqwest::Error| Failure::Unreachable(options.url.clone(), error.without_url());
    // A proxy for the world outside has no business between two processes of a host.
    let client = reqwest::Client::builder().no_proxy().build().map_err(unreachable)?;
    let mut request = client.get(options.url.clone());
    if let Some(token) = &options.token {
        request = request.bearer_auth(token.expose());
    }
    let answer = tokio::time::timeout(ANSWER_TIME, request.send()).await;
    let mut response = answer.map_err(|_| Failure::Silent(options.url.clone()))?.map_err(unreachable)?;
    if !response.status().is_success() {
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        let detail = serde_json::from_str::<serde_json::Value>(&text).ok();
        let detail = detail.as_ref().and_then(|problem| problem["detail"].as_str());
        let why = detail.map_or_else(|| status.to_string(), str::to_owned);
        return Err(Failure::Refused(options.url.clone(), why));
    }
    let mut rest = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        rest.extend_from_slice(&piece);
        let Some(end) = memchr::memrchr(b'\n', &rest) else {
            if rest.len() > LINE_BYTES_MAX {
                let why = "a line does not end; is this a collector?".to_owned();
                return Err(Failure::Refused(options.url.clone(), why));
            }
            continue;
        };
        let mut out = Vec::new();
        for line in rest[..end].split(|byte| *byte == b'\n') {
            show(line, options.json, &mut out);
        }
        rest.drain(..=end);
        let mut stdout = io::stdout();
        stdout.write_all(&out)?;
        stdout.flush()?;
    }
    Ok(())
}

/// Appends what is shown of a line. What is no record is shown as it is not: control characters have no effect.
fn show(line: &[u8], json: bool, out: &mut Vec<u8>) {
    match ndjson::read(line) {
        Some(record) if !json => out.extend_from_slice(Shown(&record).to_string().as_bytes()),
        Some(_) => out.extend_from_slice(line),
        None => out.extend_from_slice(line.escape_ascii().to_string().as_bytes()),
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_shown_on_one_line() {
        let line = r#"{"topic":"t","tags":[{"key":"k","value":{"hex":"80"}}],"datapoints":[{"name":"n","time_ms":7,"value":"NaN"}]}"#;
        for (line, json, expected) in [
            (line, false, "t {k=\\x80} n=NaN@7\n"),
            (line, true, &format!("{line}\n")),
            ("\u{1b}[2J", false, "\\x1b[2J\n"),
        ] {
            let mut out = Vec::new();
            show(line.as_bytes(), json, &mut out);
            assert_eq!(str::from_utf8(&out).unwrap(), expected);
        }
    }

    #[test]
    fn whoever_listens_everywhere_is_asked_here() {
        for (at, expected) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(at.parse().unwrap()).to_string(), expected);
        }
    }
}
