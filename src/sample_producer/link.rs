//! The way to Kafka: a sender, made once a broker has said what it can do.

use std::time::Duration;

use super::send::{Config, Sender, Totals};
use crate::output::kafka;
use crate::telemetry::chain;

/// A sender, or the wish for one.
pub struct Link {
    config: Config,
    sender: Option<Sender>,
    /// What became of messages that had no sender, and of those of earlier senders.
    before: Totals,
}

impl Link {
    /// To these brokers, which need not be there yet.
    #[must_use]
    pub fn new(config: Config) -> Link {
        Link { config, sender: None, before: Totals::default() }
    }

    /// Makes the sender, unless there is a good one or no broker answers. Cancel safe.
    pub async fn open(&mut self) {
        if let Some(stale) = self.sender.take_if(|sender| sender.is_stale()) {
            self.before += stale.totals();
            // Its end blocks.
            tokio::task::spawn_blocking(move || drop(stale));
        }
        if self.sender.is_some() {
            return;
        }
        let brokers = self.config.brokers.clone();
        let asked =
            tokio::task::spawn_blocking(move || kafka::ask(&brokers, None, kafka::Patience::default()));
        let found = match asked.await {
            Ok(Ok(found)) => found,
            Ok(Err(nobody)) => {
                tracing::warn!("no Kafka broker answers: {nobody}; asked again at the next period");
                return;
            }
            Err(failed) => {
                tracing::warn!("cannot ask the Kafka brokers: {failed}; tried again at the next period");
                return;
            }
        };
        match Sender::new(self.config.clone(), &found.abilities) {
            Ok(sender) => self.sender = Some(sender),
            Err(error) => tracing::warn!("cannot set up the Kafka producer: {}", chain(&error)),
        }
    }

    /// Sends `file`, or counts it as failed where there is nobody to send it to.
    pub fn send(&mut self, file: &[u8]) {
        match &self.sender {
            Some(sender) => sender.send(file),
            None => self.before += Totals { messages: 1, acknowledged: 0, failed: 1 },
        }
    }

    /// See [`Sender::finish`]. Blocks.
    #[must_use]
    pub fn finish(self, grace: Duration) -> Totals {
        let mut totals = self.before;
        if let Some(sender) = self.sender {
            totals += sender.finish(grace);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::dcos::testing::closed_port;
    use crate::record::TopicName;

    #[tokio::test]
    async fn a_sender_whose_message_was_not_acknowledged_in_time_is_replaced_by_one_that_asks_anew() {
        let (gone, kafka) = (MockCluster::new(1).expect("a cluster"), MockCluster::new(1).expect("another"));
        kafka.create_topic("t", 1, 1).expect("a topic");
        let config = Config {
            brokers: vec![gone.bootstrap_servers()],
            topic: TopicName::parse(b"t").expect("a topic"),
            verbose: true,
            delivery: Duration::from_secs(2),
        };
        let mut link = Link::new(config);
        link.open().await;
        drop(gone);
        link.send(b"one");
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while link.sender.as_ref().is_some_and(|sender| !sender.is_stale()) {
            assert!(std::time::Instant::now() < until, "the message times out");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        link.config.brokers.push(kafka.bootstrap_servers());
        link.config.delivery = Duration::from_secs(20);
        link.open().await;
        link.send(b"two");
        let totals = link.finish(Duration::from_secs(20));
        assert_eq!(totals, Totals { messages: 2, acknowledged: 1, failed: 1 });
    }

    #[tokio::test]
    async fn a_message_without_a_broker_has_failed_and_the_next_is_sent_when_one_answers() {
        let (_socket, address) = closed_port();
        let nowhere = address.trim_start_matches("http://").to_owned();
        let config = Config {
            brokers: vec![nowhere],
            topic: TopicName::parse(b"t").expect("a topic"),
            verbose: true,
            delivery: Duration::from_secs(20),
        };
        let mut link = Link::new(config);
        link.open().await;
        link.send(b"one");
        let kafka = MockCluster::new(1).expect("a mock cluster");
        kafka.create_topic("t", 1, 1).expect("a topic");
        link.config.brokers.push(kafka.bootstrap_servers());
        link.open().await;
        link.send(b"two");
        let totals = link.finish(Duration::from_secs(20));
        assert_eq!(totals, Totals { messages: 2, acknowledged: 1, failed: 1 });
    }
}
