//! Creates topics through the admin API, where the operator wants it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic as Request, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::abilities::Abilities;
use super::producer::client_config;
use super::settings::{Config, NewTopic};
use crate::record::TopicName;

/// How long the cluster may take.
const TIME_OUT: Duration = Duration::from_secs(10);

/// What came of one topic.
#[derive(Debug)]
pub(super) struct Created {
    /// Its index.
    pub(super) topic: usize,
    /// Why it was not created; none: there was no answer.
    pub(super) result: Result<(), Option<RDKafkaErrorCode>>,
}

/// Creates topics, given by index and name, in the background, and tells when that is done, well or not.
pub(super) fn create(
    config: &Config,
    abilities: &Abilities,
    topics: Vec<(usize, TopicName)>,
    shape: NewTopic,
    tell: impl FnOnce(Vec<Created>) + Send + 'static,
) {
    let mut client = client_config(config, abilities);
    // Properties of producers, which an admin client would only warn about.
    for property in ["enable.idempotence", "acks", "partitioner"] {
        client.remove(property);
    }
    let runtime = tokio::runtime::Handle::current();
    // Making and dropping a client blocks.
    tokio::task::spawn_blocking(move || {
        let results = runtime.block_on(request(&client, &topics, shape));
        let result = |at: usize| match &results {
            Ok(results) => results.get(at).copied().unwrap_or(Err(None)),
            Err(error) => Err(error.rdkafka_error_code()),
        };
        tell(
            topics
                .iter()
                .enumerate()
                .map(|(at, (topic, _))| Created { topic: *topic, result: result(at) })
                .collect(),
        );
    });
}

/// Asks for all of them at once. Gives what came of each, in order.
async fn request(
    client: &rdkafka::ClientConfig,
    topics: &[(usize, TopicName)],
    shape: NewTopic,
) -> Result<Vec<Result<(), Option<RDKafkaErrorCode>>>, KafkaError> {
    let client: AdminClient<DefaultClientContext> = AdminClient::from_config(client)?;
    // -1: the broker's default.
    let count =
        |n: Option<std::num::NonZeroU32>| n.map_or(-1, |n| i32::try_from(n.get()).unwrap_or(i32::MAX));
    let replication = || TopicReplication::Fixed(count(shape.replication));
    let requests: Vec<_> = topics
        .iter()
        .map(|(_, name)| Request::new(name.as_str(), count(shape.partitions), replication()))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(TIME_OUT)).operation_timeout(Some(TIME_OUT));
    let results = client.create_topics(&requests, &options).await?;
    Ok(results.into_iter().map(|result| result.map(|_| ()).map_err(|(_, code)| Some(code))).collect())
}
