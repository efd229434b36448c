//! Polls, sends, waits, and begins again until it is told to stop.

use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use super::args::Settings;
use super::files::ChunkFiles;
use super::link::Link;
use super::poll::{NoAddress, Poller, agent_address, encode};
use super::send::{self, Totals};
use crate::dcos::client::NoTls;
use crate::dcos::discovery::Discovery;
use crate::dcos::statistics::Source;
use crate::dcos::{Client, Limits};
use crate::ocf::Marker;
use crate::ocf::decode::Shown;
use crate::ocf::encode::Dialect;
use crate::output::kafka::MESSAGE_BYTES_MAX;
use crate::record::MetricList;
use crate::telemetry::chain;

/// How long the program is patient.
#[derive(Clone, Debug)]
pub struct Patience {
    /// With the command that prints the agent's address.
    pub ip_command: Duration,
    /// With the agent.
    pub http: Limits,
    /// With Kafka's acknowledgement of a message.
    pub delivery: Duration,
    /// With the acknowledgements still open when it is told to stop.
    pub grace: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            ip_command: Duration::from_secs(10),
            http: Limits::default(),
            delivery: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }
}

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No address to poll.
    #[error("cannot find the agent's address")]
    Address(#[from] NoAddress),
    /// No HTTP client.
    #[error("cannot make HTTP requests")]
    Http(#[from] NoTls),
    /// No place for files.
    #[error("cannot write files to the working directory")]
    Directory(#[source] io::Error),
}

/// Runs until `stop` is done. It is heard at any time: a command or poll under way is left, and only acknowledgements
/// are waited for. What is for a person's eye goes to `screen`, all else to the log. Gives what became of the messages;
/// `None` where none were to be sent, or the stop came before any could be.
///
/// # Errors
/// [`StartError`]. Nothing that fails later ends it.
pub async fn run(
    settings: Settings,
    patience: Patience,
    stop: impl Future<Output = ()>,
    screen: &mut (dyn Write + Send),
) -> Result<Option<Totals>, StartError> {
    let mut stop = pin!(stop);
    let (mut poller, mut outputs) = tokio::select! {
        biased;
        () = &mut stop => return Ok(None),
        started = start(&settings, &patience) => started?,
    };
    loop {
        let turn = async {
            // It waits for the brokers and the agent first: what has been answered is on its way as a whole before a stop is heard.
            round(&mut poller, &mut outputs).await;
            // A closed screen is no reason to stop.
            let _ = writeln!(screen, "Wait for {}s...", settings.period.as_secs());
            tokio::time::sleep(settings.period).await;
        };
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = turn => {}
        }
    }
    let totals = match outputs.kafka {
        Kafka::Sends(link) => Some(link.finish(patience.grace)),
        Kafka::Off | Kafka::Looks(..) => None,
    };
    if let Some(totals) = totals {
        let _ = writeln!(screen, "Sent {totals}");
    }
    Ok(totals)
}

/// Where files go.
struct Outputs {
    dialect: Dialect,
    verbose: bool,
    kafka: Kafka,
    files: Option<ChunkFiles>,
}

/// The way to Kafka.
enum Kafka {
    /// Nothing is sent.
    Off,
    Sends(Link),
    /// The brokers are not found yet; the configuration lacks them alone.
    Looks(Box<Discovery>, send::Config),
}

async fn start(settings: &Settings, patience: &Patience) -> Result<(Poller, Outputs), StartError> {
    let address = agent_address(&settings.ip_command, patience.ip_command).await?;
    let source = Source::new(&address, settings.agent_port);
    tracing::info!("polling {} every {}s", source.url(), settings.period.as_secs());
    let client = Client::new(patience.http.clone())?;
    let poller = Poller { client, source, topic: settings.topic.clone() };
    let files = settings.directory.as_deref().map(ChunkFiles::new);
    for line in &settings.brokers.passed_over {
        tracing::warn!("brokers: {line}");
    }
    let config = send::Config {
        brokers: settings.brokers.list.clone(),
        topic: settings.topic.clone(),
        verbose: settings.verbose,
        delivery: patience.delivery,
    };
    let kafka = match settings.discovery.clone() {
        Some(of) => {
            Kafka::Looks(Box::new(Discovery::new(of, Client::new(crate::dcos::discovery::LIMITS)?)), config)
        }
        None if config.brokers.is_empty() => Kafka::Off,
        None => Kafka::Sends(link(config)),
    };
    let outputs = Outputs {
        dialect: settings.dialect,
        verbose: settings.verbose,
        kafka,
        files: files.transpose().map_err(StartError::Directory)?,
    };
    Ok((poller, outputs))
}

fn link(config: send::Config) -> Link {
    tracing::info!("sending to topic {} at {}", config.topic, config.brokers.join(","));
    Link::new(config)
}

/// One poll, and its files on their way.
async fn round(poller: &mut Poller, outputs: &mut Outputs) {
    outputs.kafka.look().await;
    if let Kafka::Sends(link) = &mut outputs.kafka {
        link.open().await;
    }
    let statistics = match poller.poll().await {
        Ok(statistics) => statistics,
        Err(failure) => {
            tracing::warn!("poll failed: {}; it is tried again at the next period", chain(&failure));
            return;
        }
    };
    match statistics.complaint() {
        // Members that are no numbers are usual; an executor without a record is not.
        Some(complaint) if statistics.left_out.is_empty() => tracing::info!("{complaint}"),
        Some(complaint) => tracing::warn!("{complaint}"),
        None => {}
    }
    if statistics.executors == 0 {
        tracing::info!("No containers returned in stats");
    }
    if !statistics.records.is_empty() {
        outputs.take(&statistics.records);
    }
}

impl Kafka {
    /// Looks for the brokers once, if they are not found yet. They are not looked for again: whoever runs for long runs
    /// the collector.
    async fn look(&mut self) {
        let Kafka::Looks(discovery, config) = self else { return };
        match discovery.find().await {
            Ok(found) => {
                tracing::info!("found the brokers by {}: {}", found.way, found.said);
                let config = send::Config { brokers: found.brokers.to_vec(), ..config.clone() };
                *self = Kafka::Sends(link(config));
            }
            Err(not_found) => tracing::warn!("{not_found}; they are looked for again at the next period"),
        }
    }
}

impl Outputs {
    fn take(&mut self, records: &[MetricList]) {
        if self.verbose {
            for record in records {
                tracing::info!("{}", Shown(record));
            }
        }
        let mut marker = Marker::default();
        if let Err(error) = getrandom::fill(&mut marker) {
            tracing::warn!("poll dropped: no random sync marker for the file: {error}");
            return;
        }
        for file in encode(records, self.dialect, &marker, MESSAGE_BYTES_MAX) {
            if let Some(files) = &mut self.files {
                match files.write(&file) {
                    Ok(path) => tracing::info!("wrote {} ({} bytes)", path.display(), file.len()),
                    Err(error) => tracing::warn!("cannot write a file, this poll is not in one: {error}"),
                }
            }
            if let Kafka::Sends(link) = &mut self.kafka {
                link.send(&file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use rdkafka::mocking::MockCluster;
    use tokio::sync::Notify;

    use super::*;
    use crate::config::Brokers;
    use crate::dcos::BaseUrl;
    use crate::dcos::discovery::{self, FrameworkName};
    use crate::dcos::testing::{closed_port, serve};
    use crate::ocf::oracle;
    use crate::record::TopicName;
    use crate::sample_producer::testing::consume;

    const FIXTURE: &str = include_str!("../../tests/data/monitor_statistics.json");

    /// An agent that gives one answer after the other, the last again and again, and says when it has given `n`.
    struct Agent {
        base: String,
        answered: Arc<Notify>,
    }

    impl Agent {
        async fn new(answers: &'static [(u16, &'static str)]) -> Agent {
            let answered = Arc::new(Notify::new());
            let given = Arc::new(AtomicUsize::new(0));
            let done = Arc::clone(&answered);
            let answer = move || {
                let place = given.fetch_add(1, Ordering::Relaxed);
                // Two more than there are: the stop cuts off the poll that it meets, and the one before was worked on.
                if place == answers.len() + 1 {
                    done.notify_one();
                }
                let (status, body) = answers[place.min(answers.len() - 1)];
                let status = StatusCode::from_u16(status).expect("a status");
                std::future::ready((status, body).into_response())
            };
            let router = Router::new().route("/monitor/statistics.json", get(answer));
            Agent { base: serve(router).await, answered }
        }
    }

    /// A screen that says when something was written to it.
    #[derive(Default)]
    struct Screen {
        bytes: Vec<u8>,
        written: Arc<Notify>,
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.notify_one();
            self.bytes.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn settings(base: &str) -> Settings {
        let (host, port) =
            base.trim_start_matches("http://").rsplit_once(':').expect("a host and a port of the stand-in");
        Settings {
            brokers: Brokers::default(),
            discovery: None,
            topic: TopicName::parse(b"t").expect("a topic"),
            directory: None,
            verbose: true,
            period: Duration::from_millis(1),
            ip_command: vec!["echo".into(), host.into()],
            agent_port: port.parse().expect("a port"),
            dialect: Dialect::Native,
        }
    }

    /// Runs until the agent has given all its answers; what was on the screen.
    async fn run_through(agent: &Agent, settings: Settings) -> (Option<Totals>, String) {
        let mut screen = Vec::new();
        let patience = Patience { grace: Duration::from_secs(20), ..Patience::default() };
        let totals = run(settings, patience, agent.answered.notified(), &mut screen).await.expect("a run");
        (totals, String::from_utf8(screen).expect("text"))
    }

    fn files(directory: &Path) -> Vec<Vec<u8>> {
        let n = std::fs::read_dir(directory).expect("a directory").count();
        let path = |i| directory.join(format!("chunk-{i}.avro"));
        (0..n).map(|i| std::fs::read(path(i)).expect("a file")).collect()
    }

    #[tokio::test]
    async fn polls_become_files_that_avro_reads() {
        let directory = tempfile::tempdir().expect("a directory");
        let agent = Agent::new(&[(200, FIXTURE)]).await;
        let settings = Settings { directory: Some(directory.path().into()), ..settings(&agent.base) };
        let (totals, screen) = run_through(&agent, settings).await;
        assert_eq!(totals, None);
        assert!(screen.starts_with("Wait for 0s...\n") && !screen.contains("Sent"), "{screen}");
        let expected = crate::dcos::statistics::Statistics::parse(FIXTURE.as_bytes(), b"t").expect("records");
        let files = files(directory.path());
        assert!(files.len() >= 2);
        for file in files {
            assert_eq!(oracle::read(&file), expected.records);
        }
    }

    #[tokio::test]
    async fn each_poll_is_a_message_and_all_are_accounted_for() {
        let kafka = MockCluster::new(1).expect("a mock cluster");
        kafka.create_topic("t", 1, 1).expect("a topic");
        let agent = Agent::new(&[(200, FIXTURE)]).await;
        let settings = Settings {
            brokers: Brokers { list: vec![kafka.bootstrap_servers()], ..Brokers::default() },
            dialect: Dialect::May2016,
            ..settings(&agent.base)
        };
        let (totals, screen) = run_through(&agent, settings).await;
        let totals = totals.expect("totals");
        assert!(totals.messages >= 2, "{totals}");
        assert_eq!((totals.acknowledged, totals.failed), (totals.messages, 0));
        assert!(screen.ends_with(&format!("Sent {totals}\n")), "{screen}");
        for (key, value) in consume(&kafka, "t", totals.messages) {
            assert_eq!(key, None);
            let records = oracle::read_may_2016(&value);
            assert_eq!(records.len(), 3);
            assert!(
                records[2]
                    .ends_with("mem_rss_bytes[1462531205000:9007199254740992] processes[1462531205000:4]")
            );
        }
    }

    /// The look for brokers fails at first, which costs that period's message alone.
    #[tokio::test]
    async fn brokers_of_a_framework_are_looked_for_until_they_are_found() {
        let kafka = MockCluster::new(1).expect("a mock cluster");
        kafka.create_topic("t", 1, 1).expect("a topic");
        let brokers = serde_json::json!({ "dns": [kafka.bootstrap_servers()] }).to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let scheduler = get(move || {
            let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            let body = if is_first { r#"{"dns":[]}"#.to_owned() } else { brokers.clone() };
            std::future::ready(body)
        });
        let base = serve(Router::new().route("/v1/endpoints/broker", scheduler)).await;
        let framework = FrameworkName::parse("kafka").expect("a name");
        let agent = Agent::new(&[(200, FIXTURE), (200, FIXTURE)]).await;
        let settings = Settings {
            discovery: Some(discovery::Config {
                pinned: Some(discovery::Way::SchedulerVip),
                scheduler: Some(BaseUrl::parse(&base).expect("an address")),
                ..discovery::Config::of(framework)
            }),
            ..settings(&agent.base)
        };
        let (totals, _) = run_through(&agent, settings).await;
        let totals = totals.expect("totals");
        assert!(totals.messages >= 1, "{totals}");
        assert_eq!((totals.acknowledged, totals.failed), (totals.messages, 0));
        assert_eq!(consume(&kafka, "t", totals.messages).len(), totals.messages);
    }

    #[tokio::test]
    async fn failures_and_empty_answers_cost_their_poll_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let agent = Agent::new(&[(500, "no"), (200, "[]"), (200, "<html>"), (404, ""), (200, FIXTURE)]).await;
        let settings = Settings { directory: Some(directory.path().into()), ..settings(&agent.base) };
        let (_, screen) = run_through(&agent, settings).await;
        assert!(screen.matches("Wait for").count() >= 5, "{screen}");
        let files = files(directory.path());
        assert!(!files.is_empty() && files.iter().all(|file| oracle::read(file).len() == 3));
    }

    #[tokio::test]
    async fn an_agent_that_is_away_ends_nothing() {
        let (_socket, base) = closed_port();
        let settings = Settings { period: Duration::from_secs(3600), ..settings(&base) };
        let mut screen = Screen::default();
        let written = Arc::clone(&screen.written);
        let totals = run(settings, Patience::default(), written.notified(), &mut screen).await;
        assert_eq!(totals.expect("a run"), None);
        assert_eq!(screen.bytes, b"Wait for 3600s...\n");
    }

    #[tokio::test]
    async fn a_stop_is_heard_before_the_start_and_during_a_poll() {
        let hangs = settings("http://127.0.0.1:1");
        let hangs = Settings { ip_command: vec!["tail".into(), "-f".into(), "/dev/null".into()], ..hangs };
        let mut screen = Vec::new();
        let totals = run(hangs, Patience::default(), std::future::ready(()), &mut screen).await;
        assert_eq!((totals.expect("no start, and no fault"), screen), (None, Vec::new()));

        let asked = Arc::new(Notify::new());
        let told = Arc::clone(&asked);
        let answer = move || {
            told.notify_one();
            std::future::pending::<StatusCode>()
        };
        let base = serve(Router::new().route("/monitor/statistics.json", get(answer))).await;
        let mut screen = Vec::new();
        let totals = run(settings(&base), Patience::default(), asked.notified(), &mut screen).await;
        assert_eq!((totals.expect("a run"), screen), (None, Vec::new()));
    }

    #[tokio::test]
    async fn a_start_without_address_or_directory_fails_with_the_cause() {
        let good = settings("http://127.0.0.1:1");
        let missing = Settings { ip_command: vec!["/nowhere/detect_ip".into()], ..good.clone() };
        let no_directory = Settings { directory: Some("/nowhere".into()), ..good };
        for (settings, expected) in [
            (missing, "cannot find the agent's address: /nowhere/detect_ip: cannot be run (No such file"),
            (no_directory, "cannot write files to the working directory: No such file"),
        ] {
            let stop = std::future::pending();
            let error = run(settings, Patience::default(), stop, &mut io::sink()).await.expect_err(expected);
            let text = chain(&error);
            assert!(text.contains(expected), "{text}");
        }
    }
}
