//! The program under test, run as a process.

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::http::{self, Answer};
use super::lines::Lines;
use super::log::Log;
use super::sender::Sender;
use super::{eventually, once};

/// The agent id of every collector in these tests.
pub(crate) const AGENT: &str = "agent-1";

/// Arguments for a collector that has to deliver all it has when it is told to end, however slow the machine is: nearly as
/// long as anything is waited for.
pub(crate) const LONG_GRACE: [&str; 2] = ["--shutdown-grace", "50s"];

/// The program with an environment of its own: nothing of the developer's reaches it.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metrics-collector"));
    command.env_clear();
    command
}

/// A running collector. Killed when dropped.
pub(crate) struct Collector {
    child: Child,
    input: SocketAddr,
    http: SocketAddr,
    partner: Option<SocketAddr>,
    /// None: it has been waited for.
    log: Option<Log>,
}

/// What is left of a collector that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: Vec<String>,
}

impl Collector {
    /// Starts one on free ports, which sends to `brokers` and closes a message after 200 ms, and waits until it
    /// listens. `more` are further arguments; they win.
    pub(crate) fn start(brokers: &str, more: &[&str]) -> Collector {
        let mut command = program();
        command
            .args(["--listen-endpoint", "127.0.0.1:0", "--http-endpoint", "127.0.0.1:0"])
            .args(["--partner-endpoint", "127.0.0.1:0"])
            .args(["--agent-id", AGENT, "--log-format", "json", "--kafka-produce-period-ms", "200"])
            .args(["--kafka-brokers", brokers, "--agent-polling=false"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let log = Log::of(child.stderr.take().expect("stderr is piped"));
        let printed = Lines::of(child.stdout.take().expect("stdout is piped"));
        // Killed by its own `Drop` from here on, whatever is wrong with the line.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut collector = Collector { child, input: nowhere, http: nowhere, partner: None, log: Some(log) };
        let line = printed
            .next_within(Duration::from_secs(30))
            .unwrap_or_else(|news| panic!("{news} on standard output; log: {:#?}", collector.log()))
            .unwrap_or_default();
        let endpoints: Value = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("first line {line:?} ({e}); log: {:#?}", collector.log()));
        let address = |name: &str| {
            let text = endpoints[name].as_str().unwrap_or_else(|| panic!("no {name:?} in {line:?}"));
            text.parse().unwrap_or_else(|e| panic!("{name:?} in {line:?}: {e}"))
        };
        (collector.input, collector.http) = (address("input"), address("http"));
        collector.partner = endpoints.get("partner").map(|_| address("partner"));
        collector
    }

    /// Where its TCP input listens.
    pub(crate) fn input(&self) -> SocketAddr {
        self.input
    }

    /// Where its HTTP server listens.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where its partner output listens.
    pub(crate) fn partner(&self) -> SocketAddr {
        self.partner.expect("it listens for partners")
    }

    /// A new connection to its input.
    pub(crate) fn sender(&self) -> Sender {
        Sender::connect(self.input)
    }

    /// Sends `stream` on a connection of its own, and closes that.
    pub(crate) fn send(&self, stream: &[u8]) {
        self.sender().send(stream);
    }

    /// `GET path`.
    pub(crate) fn get(&self, path: &str) -> Answer {
        http::get(self.http, path)
    }

    /// `PATCH /v1/config`.
    pub(crate) fn patch(&self, change: &Value) -> Answer {
        http::send(self.http, "PATCH", "/v1/config", &[], change)
    }

    /// The entry of a key in `/v1/config`.
    pub(crate) fn key(&self, name: &str) -> Value {
        self.get("/v1/config").json()["keys"][name].clone()
    }

    /// `GET /v1/status`.
    pub(crate) fn status(&self) -> Value {
        self.get("/v1/status").json()
    }

    /// `GET /v1/ledger`.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger(self.get("/v1/ledger").json())
    }

    /// The value of a series of `/metrics`, given with its labels.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let page = self.get("/metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no series {series:?} in {page}"));
        value.parse().unwrap_or_else(|e| panic!("{series} {value:?}: {e}"))
    }

    /// Waits until a series of `/metrics` has this value.
    pub(crate) fn wait_metric(&self, series: &str, expected: u64) {
        eventually(&format!("{series} is {expected}"), || {
            let value = self.metric(series);
            once(value == expected, || format!("{value}"))
        });
    }

    /// Waits until the input is held by a full spool, or is not.
    pub(crate) fn wait_held(&self, expected: bool) {
        eventually(&format!("held is {expected}"), || {
            let status = self.status();
            once(status["input"]["held"] == expected, || format!("{status}"))
        });
    }

    /// The sentence of `/-/ready` on one part, once that is not ready.
    pub(crate) fn why_not_ready(&self, part: &str) -> String {
        eventually(&format!("{part} is not ready"), || {
            let answer = self.get("/-/ready");
            let body = if answer.status == 503 { answer.json() } else { Value::Null };
            find_part(&body, part)
                .filter(|found| found["ready"] == false)
                .and_then(|found| Some(found["detail"].as_str()?.to_owned()))
                .ok_or_else(|| format!("{answer:?}"))
        })
    }

    /// Waits until this many records were accepted.
    pub(crate) fn wait_accepted(&self, records: u64) {
        eventually(&format!("{records} records accepted"), || {
            let ledger = self.ledger();
            once(ledger.accepted() == records, || format!("{ledger:?}, {}", self.status()))
        });
    }

    /// Waits until a term of an output's books has this value.
    pub(crate) fn wait_books(&self, output: &str, term: &str, expected: u64) -> Ledger {
        eventually(&format!("{expected} records {term} at {output}"), || {
            let ledger = self.ledger();
            once(ledger.of(output, term) == expected, || format!("{ledger:?}"))?;
            assert_eq!(ledger.of(output, "imbalance"), 0, "{ledger:?}");
            Ok(ledger)
        })
    }

    /// Waits until so many records more are in a term of Kafka's books.
    pub(crate) fn wait_more(&self, records: u64, term: &str) {
        let before = self.ledger().kafka(term);
        eventually(&format!("{records} records more are {term}"), || {
            let now = self.ledger().kafka(term);
            once(now >= before + records, || format!("{now} after {before}; {}", self.status()))
        });
    }

    /// Waits until Kafka has this many records, and the books balance.
    pub(crate) fn wait_delivered(&self, records: u64) -> Ledger {
        eventually(&format!("{records} records delivered"), || {
            let ledger = self.ledger();
            assert_eq!(ledger.kafka("imbalance"), 0, "the books balance at any time: {ledger:?}");
            once(ledger.kafka("delivered") == records, || format!("{ledger:?}, {}", self.status()))?;
            Ok(ledger)
        })
    }

    /// The log so far: all that it has written by now.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.as_ref().map(Log::lines).unwrap_or_default()
    }

    /// Asks it to end with SIGTERM, and waits for that.
    pub(crate) fn terminate(mut self) -> Ended {
        self.signal(libc::SIGTERM);
        self.wait()
    }

    /// Has it read its configuration again, with SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.signal(libc::SIGHUP);
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(mut self) -> Ended {
        self.signal(libc::SIGKILL);
        self.wait()
    }

    fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("process ids fit");
        // SAFETY: no memory is involved, and the child is ours and not yet waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "the collector has not been waited for");
    }

    /// Waits until it ends of itself.
    pub(crate) fn wait(&mut self) -> Ended {
        let status = eventually("the collector ends", || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(format!("it runs; log: {:#?}", self.log())),
            Err(e) => panic!("wait for the collector: {e}"),
        });
        Ended { status, log: self.log.take().expect("it is waited for once").end() }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// A number that the collector gives in its last words: the value of the last log field of that name.
    pub(crate) fn last_word(&self, field: &str) -> u64 {
        let number = |line: &String| {
            let line: Value = serde_json::from_str(line).ok()?;
            line[field].as_u64().or_else(|| line["fields"][field].as_u64())
        };
        self.log
            .iter()
            .rev()
            .find_map(number)
            .unwrap_or_else(|| panic!("no field {field:?} in {:#?}", self.log))
    }
}

/// The books, as `/v1/ledger` has them.
#[derive(Debug)]
pub(crate) struct Ledger(pub(crate) Value);

impl Ledger {
    /// Records accepted since start.
    pub(crate) fn accepted(&self) -> u64 {
        self.0["accepted"].as_u64().unwrap_or_else(|| panic!("no number \"accepted\" in {self:?}"))
    }

    /// One term of the Kafka output; for `lost` and `set_aside` the sum of its reasons.
    pub(crate) fn kafka(&self, term: &str) -> u64 {
        self.of("kafka", term)
    }

    /// The same of any output; 0 where that has no books yet.
    pub(crate) fn of(&self, output: &str, term: &str) -> u64 {
        let Some(books) = self.0["outputs"].get(output) else { return 0 };
        let value = &books[term];
        let sum = |reasons: &serde_json::Map<String, Value>| reasons.values().filter_map(Value::as_u64).sum();
        let number = value.as_u64().or_else(|| value.as_object().map(sum));
        number.unwrap_or_else(|| panic!("no number {term:?} of {output} in {self:?}"))
    }

    /// How many records the Kafka output put aside for this reason.
    pub(crate) fn set_aside(&self, reason: &str) -> u64 {
        self.0["outputs"]["kafka"]["set_aside"][reason].as_u64().unwrap_or(0)
    }
}

/// The part of that name, wherever the answer keeps its list of parts.
fn find_part<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    match body {
        Value::Array(all) => all.iter().find_map(|v| find_part(v, name)),
        Value::Object(map) if map.get("name").is_some_and(|n| n == name) => Some(body),
        Value::Object(map) => map.values().find_map(|v| find_part(v, name)),
        _ => None,
    }
}

/// Runs the program with these arguments until it ends of itself.
pub(crate) fn run(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut child = program()
        .args(args)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut pipes: [Box<dyn Read + Send>; 2] =
        [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
    // One after the other: a pipe holds far more than these commands print.
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        let texts = pipes.each_mut().map(|pipe| {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
        });
        let _ = tx.send(texts);
    });
    let read = rx.recv_timeout(Duration::from_secs(30));
    if read.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().expect("wait for the program");
    let [stdout, stderr] = read.unwrap_or_else(|_| panic!("{args:?} did not end in 30 s"));
    Output {
        code: status.code(),
        stdout: stdout.expect("standard output is readable"),
        stderr: stderr.expect("standard error is readable"),
    }
}

/// What a run of [`run`] left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}
