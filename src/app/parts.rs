//! Parts of the line that are made of several things: what delivers, and what gives records their names.

use std::sync::Arc;

use prometheus::Registry;
use tokio::sync::watch;

use super::StartError;
use super::looking::{Look, Wanted};
use crate::config::{AgentConfig, Config};
use crate::dcos::agent::Agent;
use crate::dcos::{self, Authority};
use crate::enrich::{Directory, Enricher};
use crate::output::kafka::{self, Kafka};
use crate::output::message::Envelope;
use crate::spool::Spool;

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
    registry: &Registry,
) -> Result<Option<Delivery>, StartError> {
    let (Some(kafka), Some(wanted)) = (config.kafka.clone(), Wanted::of(config)) else { return Ok(None) };
    let (wanted, told) = watch::channel(wanted);
    let look = Look::new(told, config.data_dir.as_deref(), authority, registry)?;
    let metrics = kafka::Metrics::register(registry)?;
    let (settings, told) = watch::channel(kafka);
    let reader = spool.reader("kafka", true);
    let kafka = Kafka::new(told, look.brokers(), reader, envelope.clone(), incarnation.to_owned(), metrics);
    Ok(Some(Delivery { kafka, settings, look, wanted }))
}

/// The Mesos agent, which is asked.
pub(super) struct Asked {
    pub(super) agent: Agent,
    pub(super) wire: watch::Sender<dcos::agent::Config>,
    /// Record topic of its own metrics.
    pub(super) topic: String,
    pub(super) directory: Directory,
    /// Its id, once it is known.
    pub(super) id: watch::Receiver<Option<Arc<str>>>,
}

/// What gives records their names.
pub(super) fn naming(
    config: &Config,
    authority: &Authority,
    registry: &Registry,
) -> Result<(Enricher, Option<Asked>), StartError> {
    let rules = config.enrich.clone();
    let Some(AgentConfig { agent, topic }) = config.agent.clone() else {
        return Ok((Enricher::fixed(&rules), None));
    };
    let (wire, settings) = watch::channel(agent);
    let agent = Agent::new(settings, authority, dcos::agent::Metrics::register(registry)?)?;
    let (directory, enricher, id) = Directory::new(rules, agent.clone());
    Ok((enricher, Some(Asked { agent, wire, topic, directory, id })))
}
