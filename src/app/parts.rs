//! Parts of the line that are made of several things: what delivers, and what serves partners.

use std::io;
use std::net::SocketAddr;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing::error;

use super::StartError;
use super::looking::{Look, Wanted};
use crate::config::Config;
use crate::control::Control;
use crate::dcos::Authority;
use crate::http;
use crate::ocf::Marker;
use crate::output::kafka::{self, Kafka};
use crate::output::message::Envelope;
use crate::output::partner::{self, Partners};
use crate::spool::Spool;
use crate::telemetry::{Log, Problems, build_info, process};

/// Where every part puts its metrics, and what goes wrong with it.
#[derive(Clone)]
pub(super) struct Notices {
    pub(super) registry: Registry,
    pub(super) problems: Problems,
}

impl Notices {
    /// With the metrics of the process and of its log, and no problems.
    pub(super) fn new(log: &Log) -> prometheus::Result<Notices> {
        let registry = Registry::new();
        process::register(&registry, build_info::VERSION, build_info::REVISION)?;
        registry.register(Box::new(log.dropped()))?;
        Ok(Notices { registry, problems: Problems::default() })
    }
}

/// What the Kafka output is called in the books.
pub(super) const KAFKA: &str = "kafka";

/// The Kafka output, and who knows its brokers.
pub(super) struct Delivery {
    pub(super) kafka: Kafka,
    pub(super) settings: watch::Sender<kafka::Config>,
    pub(super) look: Look,
    pub(super) wanted: watch::Sender<Wanted>,
}

/// What delivers; none without Kafka.
pub(super) fn delivery(
    config: &Config,
    authority: &Authority,
    spool: &Spool,
    envelope: &Envelope,
    incarnation: &str,
    notices: &Notices,
) -> Result<Option<Delivery>, StartError> {
    let (Some(kafka), Some(wanted)) = (config.kafka.clone(), Wanted::of(config)) else { return Ok(None) };
    let (wanted, told) = watch::channel(wanted);
    let look = Look::new(told, config.data_dir.as_deref(), authority, notices)?;
    let metrics = kafka::Metrics::register(&notices.registry)?.telling(&notices.problems);
    let (settings, told) = watch::channel(kafka);
    let reader = spool.reader(KAFKA, true);
    let kafka = Kafka::new(told, look.brokers(), reader, envelope.clone(), incarnation.to_owned(), metrics);
    Ok(Some(Delivery { kafka, settings, look, wanted }))
}

/// The partners. Kafka must have its reader of the spool by now. `input` is where records come in.
pub(super) async fn partners(
    settings: watch::Receiver<partner::Config>,
    spool: &Spool,
    incarnation: &str,
    marker: Marker,
    input: SocketAddr,
    notices: &Notices,
) -> Result<Partners, StartError> {
    let metrics = partner::Metrics::register(&notices.registry)?.telling(&notices.problems);
    let stamp = partner::Stamp { incarnation: incarnation.into(), marker };
    Ok(Partners::listen(settings, spool.clone(), stamp, input, metrics).await?)
}

/// The HTTP server, to run on a thread of its own: those who ask do not wait for the line.
pub(super) async fn serve_http(
    listener: TcpListener,
    settings: watch::Receiver<http::Config>,
    control: Control,
    metrics: http::Metrics,
    end: impl Future<Output = ()>,
) {
    // Told of new connections by the runtime that it serves them on.
    match listener.into_std().and_then(TcpListener::from_std) {
        Ok(listener) => http::serve(listener, settings, control, metrics, end).await,
        Err(error) => error!("cannot serve HTTP: {error}"),
    }
}

/// Runs a stage on a thread of its own, so that much work in it takes nothing from the line.
pub(super) fn on_its_own(
    name: &str,
    stage: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        runtime.block_on(stage);
        // Where nobody waits any more, the process has ended without it.
        _ = ended.send(());
    })?;
    Ok(tokio::spawn(async move { end.await.expect("a stage's thread ends with the stage") }))
}
