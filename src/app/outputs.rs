//! Makes the outputs.

use prometheus::Registry;

use super::{Asked, StartError};
use crate::dcos::discovery;
use crate::ocf::Marker;
use crate::output::kafka::{self, Kafka};
use crate::output::message::Envelope;
use crate::output::partner::{self, Partners};
use crate::spool::Spool;

/// What all outputs of the process have in common.
pub(super) struct Process<'a> {
    pub(super) spool: &'a Spool,
    pub(super) registry: &'a Registry,
    pub(super) incarnation: &'a str,
    pub(super) marker: Marker,
}

impl Process<'_> {
    /// Kafka. Its brokers are those that are `found`, if they are looked for.
    pub(super) fn kafka(
        &self,
        config: kafka::Config,
        envelope: Envelope,
        found: Option<&discovery::Handle>,
        asked: Option<&Asked>,
    ) -> Result<Kafka, StartError> {
        let reader = self.spool.reader("kafka", true);
        let metrics = kafka::Metrics::register(self.registry)?;
        let brokers = match found {
            Some(found) => kafka::Brokers::found(found.brokers(), found.alarm()),
            None => kafka::Brokers::fixed(&config.brokers),
        };
        let kafka = Kafka::new(config, brokers, reader, envelope, self.incarnation.to_owned(), metrics);
        Ok(match asked {
            Some(asked) => kafka.with_agent_id(asked.id.clone()),
            None => kafka,
        })
    }

    /// The partners.
    pub(super) async fn partners(&self, config: &partner::Config) -> Result<Partners, StartError> {
        let metrics = partner::Metrics::register(self.registry)?;
        let stamp = partner::Stamp { incarnation: self.incarnation.into(), marker: self.marker };
        Ok(Partners::listen(config, self.spool.clone(), stamp, metrics).await?)
    }
}
