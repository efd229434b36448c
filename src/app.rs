//! The assembler: makes every channel, spawns every task, and joins them in order.
//!
//! Tasks end from left to right. The drain signal goes to the input alone; when it has ended the spool is closed; when the
//! outputs have emptied it, or the grace is over, they end, and the look for their brokers with them; and the HTTP server,
//! which tells how far that is, ends last. A task that ends before it was asked to ends the process, after the same drain.

mod asking;
mod descriptors;
mod kept;
mod looking;
mod news;
mod pages;
mod parts;
mod renewal;
mod stages;
mod steering;
#[cfg(test)]
mod tests;
mod topics;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinHandle};
use tracing::{error, info, warn};

use crate::cli::exit;
use crate::config::Loaded;
use crate::control::Control;
use crate::control::steering::{Change, Expected, NotChanged, Order};
use crate::dcos::{self, Authority};
use crate::enrich::Knowledge;
use crate::http;
use crate::input::{self, Input};
use crate::ocf::Marker;
use crate::output::message::Envelope;
use crate::output::partner;
use crate::record::TopicName;
use crate::spool::{self, Framing, Spool};
use crate::telemetry::{Log, Statsd, build_info, chain};
use asking::Asking;
use descriptors::Descriptors;
use kept::Recalled;
use news::Told;
use parts::{Notices, delivery, on_its_own, partners, serve_http};
use renewal::Renewal;
use stages::Program;
use steering::{Steering, Wires};

/// How long the input may take to end. It bounds itself to less; this stands behind it.
const INPUT_GRACE: Duration = Duration::from_secs(5);

/// How long the last numbers may take to go out by statsd.
const STATSD_GRACE: Duration = Duration::from_millis(500);

/// What a caller wants to know once everything listens.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Of the input.
    pub input: std::net::SocketAddr,
    /// Of the HTTP server.
    pub http: std::net::SocketAddr,
    /// Of the partner outputs; none if nothing listens.
    pub partner: Option<std::net::SocketAddr>,
    /// Asks the stages, also after they have ended.
    pub control: Control,
}

/// What stands between a start and `Running`.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Input(#[from] input::ListenError),
    #[error(transparent)]
    Partner(#[from] partner::ListenError),
    #[error("cannot listen on {0} (http-endpoint)")]
    Http(std::net::SocketAddr, #[source] io::Error),
    #[error("cannot register metrics")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    NoTls(#[from] dcos::client::NoTls),
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    #[error("cannot get random bytes from the system")]
    Random(#[source] getrandom::Error),
}

/// Runs the collector until a signal ends it, and says where it listens in one line of JSON on standard output. SIGHUP
/// has the configuration read again.
pub async fn run(loaded: Loaded, log: Log) -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        error!("cannot listen for signals");
        return ExitCode::from(exit::FAILURE);
    };
    let (told, listening) = oneshot::channel();
    let stop = async {
        let reloads = async {
            let Ok(Listening { input, http, partner, control }) = listening.await else {
                return std::future::pending().await;
            };
            let mut line = serde_json::json!({ "input": input.to_string(), "http": http.to_string() });
            if let Some(partner) = partner {
                line["partner"] = partner.to_string().into();
            }
            // Nobody may be reading, which is no reason to stop.
            _ = writeln!(io::stdout(), "{line}");
            loop {
                hang_up.recv().await;
                reload(&control).await;
            }
        };
        tokio::select! {
            () = reloads => unreachable!("it goes on for ever"),
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    run_until(loaded, log, told, stop).await
}

/// Reads the configuration again, as SIGHUP wants it.
async fn reload(control: &Control) {
    let order = Order { change: Change::Reload, expected: Expected::Any, by: "SIGHUP".to_owned() };
    match control.change(order).await {
        Ok(_) => {}
        Err(NotChanged::Faults(faults)) => {
            for fault in faults {
                let (key, place) = (&fault.key, &fault.place);
                error!(key, place, "configuration read again, and nothing changed: {}", fault.expected);
            }
        }
        Err(why) => error!("configuration not read again, and nothing changed: {}", Told(&why)),
    }
}

/// Runs the collector until `stop`, which gives the reason. `told` hears where it listens.
///
/// `log` is what `log-level` steers.
pub async fn run_until(
    loaded: Loaded,
    log: Log,
    told: oneshot::Sender<Listening>,
    stop: impl Future<Output = &'static str>,
) -> ExitCode {
    let recalled = kept::recall(loaded).await;
    let config = &recalled.loaded.config;
    log.set(&config.telemetry);
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let running = match start(recalled, log, renewal::PERIOD).await {
        Ok(running) => running,
        Err(error) => {
            error!("cannot start: {}", chain(&error));
            return ExitCode::from(exit::FAILURE);
        }
    };
    // Before the threads beside this one need any of it: what they do not is not mapped again.
    pages::let_go();
    // Whoever asked may have lost interest.
    _ = told.send(running.listening.clone());
    running.until(stop).await
}

/// Everything, running.
struct Running {
    listening: Listening,
    spool: Spool,
    input: JoinHandle<()>,
    agent: JoinHandle<()>,
    kafka: Option<JoinHandle<Vec<(TopicName, u64)>>>,
    partners: JoinHandle<()>,
    discovery: Option<JoinHandle<()>>,
    http: JoinHandle<()>,
    statsd: JoinHandle<()>,
    renewal: JoinHandle<()>,
    /// How long to wait at the end for what is under way, as it is set by then.
    grace: watch::Receiver<Duration>,
    drain: watch::Sender<bool>,
    deadline: watch::Sender<bool>,
    end_discovery: watch::Sender<bool>,
    end_http: watch::Sender<bool>,
}

/// `look_period`: how often files are looked at that may be renewed.
async fn start(recalled: Recalled, log: Log, look_period: Duration) -> Result<Running, StartError> {
    let Recalled { loaded: Loaded { mut config, live }, keeping } = recalled;
    let notices = Notices::new(&log)?;
    let Notices { registry, problems } = notices.clone();
    let incarnation = format!("{:016x}", u64::from_be_bytes(random()?));
    let marker: Marker = random()?;
    let envelope = Envelope::new(marker);
    let framing = config.kafka.as_ref().map_or_else(Framing::default, |kafka| kafka.framing(&envelope));
    let spool = Spool::in_memory(config.spool.clone(), framing).telling(&problems);
    registry.register(Box::new(spool::Collected::new(spool.clone())))?;

    let (drain, drained) = watch::channel(false);
    let authority = Authority::new(&config.dcos)?.telling(&problems);
    let knowledge = Knowledge::new(config.enrich.clone(), config.agent.is_polled);
    let (agent_wire, settings) = watch::channel(config.agent.clone());
    let asking = Asking::new(settings, &authority, &knowledge, &notices)?;
    let input_metrics = input::Metrics::register(&registry)?.telling(&problems);
    let connections = Descriptors::default();
    connections.fit(&mut config);
    let (input_wire, settings) = watch::channel(config.input.clone());
    let enricher = knowledge.enricher();
    let input = Input::listen(settings, enricher.clone(), spool.clone(), input_metrics, drained).await?;

    let at = config.http.listen;
    let http_listener = TcpListener::bind(at).await.map_err(|error| StartError::Http(at, error))?;
    let http_at = http_listener.local_addr().map_err(|error| StartError::Http(at, error))?;

    let (deadline, over) = watch::channel(false);
    let delivery = delivery(&config, &authority, &spool, &envelope, &incarnation, &notices)?;
    // Behind Kafka, whose reader bounds what they may have of the spool.
    let (partners_wire, settings) = watch::channel(config.partner.clone());
    let partners =
        partners(settings, &spool, &incarnation, marker, input.handle().listen(), &notices).await?;

    let http_metrics = http::Metrics::register(&registry)?;
    let (http_wire, http_settings) = watch::channel(config.http.clone());
    let (statsd_wire, settings) = watch::channel(config.statsd.clone());
    let statsd = Statsd::new(settings, registry.clone());
    let (grace_wire, grace) = watch::channel(config.shutdown_grace);
    let wires = Wires {
        log,
        problems,
        connections,
        input: input_wire,
        spool: spool.clone(),
        envelope,
        kafka: delivery.as_ref().map(|delivery| delivery.settings.clone()),
        brokers: delivery.as_ref().map(|delivery| delivery.wanted.clone()),
        partners: partners.handle(),
        partner_settings: partners_wire,
        knowledge: knowledge.clone(),
        agent: agent_wire,
        authority: authority.clone(),
        http: http_wire,
        statsd: statsd_wire,
        grace: grace_wire,
    };
    let steering = Steering::new(live, &config, keeping, incarnation.clone(), wires);
    let renewal = Renewal::new(steering.clone());
    let program = Program {
        incarnation,
        started: std::time::SystemTime::now(),
        notices,
        input: input.handle(),
        spool: spool.clone(),
        kafka: delivery.as_ref().map(|delivery| (delivery.kafka.handle(), delivery.settings.subscribe())),
        partners: partners.handle(),
        agent: (asking.asked(), enricher),
        authority,
        discovery: delivery.as_ref().map(|delivery| delivery.look.asked()),
        http: http_at,
        line: tokio::runtime::Handle::current(),
    };
    let control = Control::new(Arc::new(program), Arc::new(steering));
    let partner = partners.handle().listen();
    let listening =
        Listening { input: input.handle().listen(), http: http_at, partner, control: control.clone() };
    let (end_discovery, discovery_ended) = watch::channel(false);
    let (end_http, ended) = watch::channel(false);
    let server = serve_http(http_listener, http_settings, control, http_metrics, given(ended.clone()));
    info!(input = %listening.input, http = %listening.http, version = build_info::VERSION, "listening");
    let (kafka, look) = delivery.map(|delivery| (delivery.kafka, delivery.look)).unzip();
    let kafka = kafka.map(|kafka| kafka.with_agent_id(knowledge.agent_id()));
    Ok(Running {
        listening,
        spool,
        agent: tokio::spawn(asking.run(input.handle(), drain.subscribe())),
        input: tokio::spawn(input.run()),
        kafka: kafka.map(|kafka| tokio::spawn(kafka.run(over))),
        partners: on_its_own("partners", partners.run()).map_err(StartError::Thread)?,
        discovery: look.map(|look| tokio::spawn(look.run(discovery_ended))),
        http: on_its_own("http", server).map_err(StartError::Thread)?,
        statsd: tokio::spawn(statsd.run(given(ended))),
        renewal: tokio::spawn(renewal.run(look_period)),
        grace,
        drain,
        deadline,
        end_discovery,
        end_http,
    })
}

impl Running {
    async fn until(mut self, stop: impl Future<Output = &'static str>) -> ExitCode {
        let mut died = tokio::select! {
            reason = stop => {
                let grace = *self.grace.borrow();
                info!(reason, "stopping: the input is closed, what was accepted is delivered within {grace:?}");
                false
            }
            ended = &mut self.input => died("input", &ended),
            ended = &mut self.agent => died("agent", &ended),
            ended = join(self.kafka.as_mut()) => died("kafka", &ended),
            ended = &mut self.partners => died("partners", &ended),
            ended = join(self.discovery.as_mut()) => died("discovery", &ended),
            ended = &mut self.http => died("http", &ended),
            ended = &mut self.statsd => died("statsd", &ended),
            ended = &mut self.renewal => died("renewal", &ended),
        };
        self.renewal.abort();
        // Receivers that are gone have ended already; that is what is wanted.
        _ = self.drain.send(true);
        if !self.agent.is_finished() {
            died |= failed_while_draining("agent", &(&mut self.agent).await);
        }
        if !self.input.is_finished() {
            match tokio::time::timeout(INPUT_GRACE, &mut self.input).await {
                Ok(Ok(())) => {}
                Ok(failed) => died |= failed_while_draining("input", &failed),
                Err(_) => {
                    error!("the input does not end; what it has not taken in is lost to its senders");
                    self.input.abort();
                }
            }
        }
        self.spool.close();
        if let Some(mut kafka) = self.kafka.take().filter(|kafka| !kafka.is_finished()) {
            let grace = *self.grace.borrow();
            let undelivered = if let Ok(ended) = tokio::time::timeout(grace, &mut kafka).await {
                ended
            } else {
                _ = self.deadline.send(true);
                kafka.await
            };
            match undelivered {
                Ok(undelivered) => {
                    for (topic, records) in undelivered {
                        error!(%topic, records, "not delivered within the shutdown grace and lost with the process");
                    }
                }
                failed => died |= failed_while_draining("kafka", &failed),
            }
        }
        // They have heard the spool's end, and bound themselves.
        if !self.partners.is_finished() {
            died |= failed_while_draining("partners", &self.partners.await);
        }
        // Until here the output may have waited for brokers.
        _ = self.end_discovery.send(true);
        if let Some(discovery) = self.discovery.take().filter(|discovery| !discovery.is_finished()) {
            died |= failed_while_draining("discovery", &discovery.await);
        }
        _ = self.end_http.send(true);
        if !self.http.is_finished() {
            _ = self.http.await;
        }
        if !self.statsd.is_finished() {
            // Whoever cannot be told the last numbers by then is not told.
            _ = tokio::time::timeout(STATSD_GRACE, self.statsd).await;
        }
        let ledger = self.spool.ledger();
        info!(accepted = ledger.accepted, ledger = serde_json::json!(ledger.outputs).to_string(), "stopped");
        if died { ExitCode::from(exit::TASK_DIED) } else { ExitCode::SUCCESS }
    }
}

fn failed_while_draining<T>(task: &str, ended: &Result<T, JoinError>) -> bool {
    if let Err(error) = ended {
        error!(task, "a task failed while stopping: {error}");
    }
    ended.is_err()
}

fn died<T>(task: &str, ended: &Result<T, JoinError>) -> bool {
    match ended {
        Ok(_) => error!(task, "a task ended that should not have; stopping"),
        Err(error) => error!(task, "a task failed; stopping: {error}"),
    }
    true
}

async fn join<T>(task: Option<&mut JoinHandle<T>>) -> Result<T, JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

async fn given(mut signal: watch::Receiver<bool>) {
    // A sender that is gone is as good as the signal.
    _ = signal.wait_for(|given| *given).await;
}

fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(StartError::Random)?;
    Ok(bytes)
}
