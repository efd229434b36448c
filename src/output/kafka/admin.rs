//! Creates topics through the admin API, where the operator wants it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic as Request, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::asking::Told;
use super::producer::client_config;
use super::settings::{Config, NewTopic};
use crate::record::TopicName;

/// How long the cluster may take.
const TIME_OUT: Duration = Duration::from_secs(10);

/// Creates the topic called `name`, in the background, and tells the task when that is done, well or not.
pub(super) fn create(
    config: &Config,
    name: TopicName,
    shape: NewTopic,
    topic: usize,
    told: mpsc::Sender<Told>,
) {
    let mut client = client_config(config);
    // Properties of producers, which an admin client would only warn about.
    for property in ["enable.idempotence", "acks", "partitioner"] {
        client.remove(property);
    }
    let runtime = tokio::runtime::Handle::current();
    // Making and dropping a client blocks.
    tokio::task::spawn_blocking(move || {
        match runtime.block_on(request(&client, &name, shape)) {
            Ok(()) => info!(topic = %name, "created the Kafka topic"),
            Err(Some(RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // It may be there all the same, made by somebody else: the next message will tell.
            Err(code) => {
                let error = code.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
                warn!(topic = %name, "cannot create the Kafka topic: {error}");
            }
        }
        // The task has ended: nobody needs the topic any more.
        _ = runtime.block_on(told.send(Told::Asked { topic }));
    });
}

async fn request(
    client: &rdkafka::ClientConfig,
    name: &TopicName,
    shape: NewTopic,
) -> Result<(), Option<RDKafkaErrorCode>> {
    let code = |error: &KafkaError| error.rdkafka_error_code();
    let client: AdminClient<DefaultClientContext> =
        AdminClient::from_config(client).map_err(|error| code(&error))?;
    // -1: the broker's default.
    let count =
        |n: Option<std::num::NonZeroU32>| n.map_or(-1, |n| i32::try_from(n.get()).unwrap_or(i32::MAX));
    let replication = TopicReplication::Fixed(count(shape.replication));
    let topic = Request::new(name.as_str(), count(shape.partitions), replication);
    let options = AdminOptions::new().request_timeout(Some(TIME_OUT)).operation_timeout(Some(TIME_OUT));
    let results = client.create_topics([&topic], &options).await.map_err(|error| code(&error))?;
    match results.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(Some(code)),
        None => Err(None),
    }
}
