//! Puts everything on the stage, lets it play, and takes it down from left to right.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio::sync::{oneshot, watch};

use super::agent::{self, Agent};
use super::cast::{Cast, FRAMEWORK_ID, SERVICE_TOPIC, VISITOR_TOPIC};
use super::consumer::{Consumer, Target};
use super::emitter::Emitter;
use super::metrics::{Metrics, Module, Service};
use super::own::shell_line;
use super::report::{Report, Sent};
use super::screen::{Screen, Style};
use crate::app::{self, Listening};
use crate::config::{Faults, Live, Loaded, Sources};
use crate::ocf::Marker;
use crate::output::kafka;
use crate::telemetry::{Log, unix_ms};

/// Between two blocks of the emitter that is like the Mesos module. The real one takes 10 s; nobody wants to wait.
const MODULE_PERIOD: Duration = Duration::from_secs(2);
/// Between two blocks of the local service.
const SERVICE_PERIOD: Duration = Duration::from_secs(3);
/// Between two polls of the agent.
const POLL_PERIOD: Duration = Duration::from_secs(5);
/// Age at which the collector closes a message (`kafka-produce-period-ms`).
const PRODUCE_PERIOD_MS: &str = "1000";
/// What goes to the log (`log-level`). The Kafka client speaks for itself where brokers are away, which the parts that use it
/// say better.
pub(super) const LOG_LEVEL: &str = "warn,librdkafka=off,rdkafka=off";
/// How long the consumer may take at the end to read what was delivered.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Why there is no show, or no end to it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No Kafka in the process.
    #[error("cannot make a Kafka in this process")]
    Mock(#[source] KafkaError),
    /// The Kafka that was named.
    #[error("no answer from Kafka at {brokers}: {problem}; check the address, and that it speaks plaintext")]
    Kafka {
        /// As named.
        brokers: String,
        /// In one sentence.
        problem: String,
    },
    /// The collector's configuration.
    #[error("the collector cannot be configured: {0}")]
    Config(Faults),
    /// The collector.
    #[error("the collector has ended before its time; its log says why")]
    Collector,
    /// The stand-in agent.
    #[error("cannot start the stand-in for an agent")]
    Agent(#[source] std::io::Error),
    /// Chance.
    #[error("cannot get random bytes from the system")]
    Random(#[source] getrandom::Error),
}

/// Kafka, ours or the visitor's.
enum Kafka {
    Ours(MockCluster<'static, DefaultProducerContext>),
    Theirs(Vec<String>),
}

impl Kafka {
    fn brokers(&self) -> Vec<String> {
        match self {
            Kafka::Ours(cluster) => cluster.bootstrap_servers().split(',').map(str::to_owned).collect(),
            Kafka::Theirs(brokers) => brokers.clone(),
        }
    }
}

/// The settings of the collector in the show; all others are as they are by default.
///
/// # Errors
/// Brokers that are none.
pub fn collector_config(cast: &Cast, brokers: &[String], agent: SocketAddr) -> Result<Loaded, Faults> {
    let settings = [
        ("kafka-brokers", brokers.join(",")),
        ("kafka-topic-prefix", cast.topic_prefix.to_owned()),
        ("kafka-produce-period-ms", PRODUCE_PERIOD_MS.to_owned()),
        ("agent-id", cast.agent_id.clone()),
        ("agent-ip", agent.ip().to_string()),
        ("agent-port", agent.port().to_string()),
        ("agent-poll-period", POLL_PERIOD.as_secs().to_string()),
        ("listen-endpoint", "127.0.0.1:0".to_owned()),
        ("http-endpoint", "127.0.0.1:0".to_owned()),
        ("log-level", LOG_LEVEL.to_owned()),
    ];
    let flags = settings.map(|(key, value)| (key, value.into())).into();
    Live::load(Sources { flags, environment: Vec::new() }, &kafka::check)
}

/// Plays until `stop`; then the emitters stop, the collector delivers what it has, the consumer reads it, and the
/// counts are compared. `log` is what the collector's `log-level` steers. `theirs` are brokers to use in place of a Kafka in this process.
///
/// # Errors
/// [`Failure`]. Counts that do not agree are none; they are in the report.
pub async fn play(
    theirs: Option<Vec<String>>,
    screen: &Screen,
    log: &Log,
    stop: impl Future<Output = &'static str>,
) -> Result<Report, Failure> {
    let shared = theirs.is_some();
    let cast = Cast::new(u32::from_ne_bytes(random()?), shared);
    let kafka = match theirs {
        Some(brokers) => Kafka::Theirs(brokers),
        None => Kafka::Ours(MockCluster::new(1).map_err(Failure::Mock)?),
    };
    let brokers = kafka.brokers();
    if shared {
        screen.show(&[format!("Asking Kafka at {}", brokers.join(","))]);
    }
    // Before anybody sends: it begins behind what is there.
    let consumer = Consumer::start(&brokers, cast.clone(), screen.clone())
        .await
        .map_err(|problem| Failure::Kafka { brokers: brokers.join(","), problem })?;
    let agent = Agent::start(&cast, brokers.clone(), POLL_PERIOD, u64::from_ne_bytes(random()?))
        .map_err(Failure::Agent)?;
    let config = collector_config(&cast, &brokers, agent.address).map_err(Failure::Config)?;

    let (told, listening) = oneshot::channel();
    let (end_collector, ended) = oneshot::channel();
    let mut collector = tokio::spawn(app::run_until(config, log.clone(), told, async {
        // If we are gone, the show is over, too.
        ended.await.unwrap_or("the demonstration is gone")
    }));
    let listening = listening.await.map_err(|_| Failure::Collector)?;
    screen.show(&programme(&cast, &brokers, &listening, &agent, random()?, screen.style));

    let (stop_emitters, stopped) = watch::channel(false);
    let emitters = emitters(&cast)?.map(|(name, topic, emitter)| {
        let running = tokio::spawn(emitter.run(listening.input, stopped.clone()));
        (name, topic, running)
    });
    let reason = tokio::select! {
        reason = stop => reason,
        _ = &mut collector => return Err(Failure::Collector),
    };
    let style = screen.style;
    let notice = format!("{reason}: senders stop, the collector delivers what it has, the consumer reads it");
    screen.show(&[String::new(), style.strong(notice)]);

    // An emitter that is gone says so below.
    _ = stop_emitters.send(true);
    let mut sent = Vec::new();
    for (name, topic, running) in emitters {
        let records = match running.await {
            Ok(ended) => ended.map_err(|error| format!("its connection failed: {error}")),
            Err(error) => Err(error.to_string()),
        };
        sent.push(Sent { name, topic, records });
    }
    let samples = agent.stop().await;
    _ = end_collector.send("the demonstration ends");
    let ended = collector.await;
    let polled = polled(&listening.control.metrics());
    let ledger = listening.control.ledger().outputs.remove("kafka").unwrap_or_default();
    let sample_messages = samples.as_ref().map_or(0, |totals| totals.acknowledged as u64);
    let tally = consumer.finish(Target { records: ledger.delivered, sample_messages }, CATCH_UP).await;
    if !matches!(ended, Ok(code) if code == ExitCode::SUCCESS) {
        return Err(Failure::Collector);
    }
    let (sample_topic, prefix) = (cast.sample_topic.to_string(), cast.topic_prefix);
    Ok(Report { sent, polled, ledger, samples, sample_topic, prefix, tally })
}

/// Records that the collector has made of the agent's answers, as its metrics page has it.
fn polled(page: &str) -> u64 {
    let value = page.lines().find_map(|line| line.strip_prefix("metrics_collector_agent_records_total "));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Name, Kafka topic and the emitter itself.
fn emitters(cast: &Cast) -> Result<[(&'static str, String, Emitter); 2], Failure> {
    let module = Emitter {
        metrics: Metrics::Module(Module::new(cast, u64::from_ne_bytes(random()?))),
        period: MODULE_PERIOD,
        // As the real one has it in every process.
        marker: *b"FEFEFEFEFEFEFEFE",
    };
    let service = Emitter {
        metrics: Metrics::Service(Service::new(std::process::id(), u64::from_ne_bytes(random()?))),
        period: SERVICE_PERIOD,
        marker: random()?,
    };
    Ok([
        ("Mesos module", cast.kafka_topic(FRAMEWORK_ID), module),
        ("local service", cast.kafka_topic(SERVICE_TOPIC), service),
    ])
}

/// What a visitor reads first.
fn programme(
    cast: &Cast,
    brokers: &[String],
    listening: &Listening,
    agent: &Agent,
    marker: Marker,
    style: Style,
) -> Vec<String> {
    let Listening { input, http, .. } = listening;
    let (agent, agent_route) = (agent.address, agent::ROUTE);
    let (module, service, poll) = (MODULE_PERIOD.as_secs(), SERVICE_PERIOD.as_secs(), POLL_PERIOD.as_secs());
    let kafka = if cast.shared { "your Kafka" } else { "Kafka in this process" };
    let brokers = brokers.join(",");
    let url = |path: &str, about: &str| {
        // Padded first: what makes colours has a width, too.
        format!("  {} {about}", style.name(format_args!("{:<36}", format!("http://{http}{path}"))))
    };
    let hello = cast.kafka_topic(VISITOR_TOPIC);
    vec![
        style.strong("What runs, all in this process:"),
        format!("  Mesos module, 2 containers, each {module} s ─┬─▶ collector ─▶ {kafka} ─▶ this screen"),
        format!("  local service \"{SERVICE_TOPIC}\", each {service} s ─────┤                ▲"),
        format!("  stand-in agent, polled each {poll} s ──────┘                │"),
        format!("  the same agent, polled each {poll} s ─▶ sample-producer ────┘"),
        String::new(),
        format!("  collector {input}, {kafka} {brokers}"),
        format!("  agent     http://{agent}{agent_route}"),
        String::new(),
        style.strong("Look at the collector:"),
        url("/", "what it does, for people"),
        url("/metrics", "the same for Prometheus"),
        url("/v1/ledger", "what became of every record"),
        url("/-/ready", "whether anything is missing"),
        String::new(),
        style.strong(format_args!(
            "Send a record of your own from another shell; within 2 s it is here, in {hello}:"
        )),
        shell_line(*input, unix_ms().cast_signed(), &marker),
        String::new(),
        style.strong("What arrives in Kafka (Ctrl-C ends it and shows the books):"),
    ]
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Failure::Random)?;
    Ok(bytes)
}
