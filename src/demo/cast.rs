//! Who takes part: the ids of the agent, the framework and its tasks, and the names of topics.

use crate::record::TopicName;

/// The framework whose tasks send through the Mesos module. Always the same, so that its topic is, too.
pub const FRAMEWORK_ID: &str = "7d1c0e52-93a4-4b6f-8f0e-2d5a41c7e9b0-0001";
/// Record topic of the local service.
pub const SERVICE_TOPIC: &str = "orders";
/// Record topic of the agent's own metrics.
pub const AGENT_TOPIC: &str = "agent";
/// Record topic of what a visitor sends with the printed line.
pub const VISITOR_TOPIC: &str = "hello";

/// The names of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// Of the agent. The key of every message of the collector, and like no other run's: it tells our messages from
    /// those of others in the same Kafka.
    pub agent_id: String,
    /// The tasks that run on the agent.
    pub tasks: Vec<Task>,
    /// Whether the Kafka is one that others use too.
    pub shared: bool,
    /// What the collector puts in front of a record's topic.
    pub topic_prefix: &'static str,
    /// Where the sample producer sends.
    pub sample_topic: TopicName,
}

/// A task, which has an executor and a container of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// For people.
    pub name: &'static str,
    /// As Marathon makes it: the name, and an id that is new with every start.
    pub executor_id: String,
    /// As the agent makes it.
    pub container_id: String,
}

impl Cast {
    /// The names of run number `run`. In a Kafka that others use too (`shared`) the topics are the demonstration's
    /// alone.
    #[must_use]
    pub fn new(run: u32, shared: bool) -> Cast {
        let task = |place: u32, name| {
            let place = run.wrapping_add(place);
            Task {
                name,
                executor_id: format!("{name}.{place:08x}-0d52-11e6-a1aa-0242ac110002"),
                container_id: format!("{place:08x}-5f0a-4c1b-9d27-6b8e3f1a7c55"),
            }
        };
        let (topic_prefix, sample_topic) =
            if shared { ("metrics-demo-", "sample_metrics_demo") } else { ("metrics-", "sample_metrics") };
        Cast {
            agent_id: format!("{run:08x}-93a4-4b6f-8f0e-2d5a41c7e9b0-S0"),
            tasks: vec![task(1, "web-shop"), task(2, "search"), task(3, "reports")],
            shared,
            topic_prefix,
            sample_topic: TopicName::parse(sample_topic.as_bytes()).expect("the name is legal"),
        }
    }

    /// The Kafka topic of a record topic.
    #[must_use]
    pub fn kafka_topic(&self, record_topic: &str) -> String {
        format!("{}{record_topic}", self.topic_prefix)
    }

    /// Whether records of an emitter or of the agent go to a Kafka topic.
    #[must_use]
    pub fn emits_to(&self, kafka_topic: &str) -> bool {
        let topic = kafka_topic.strip_prefix(self.topic_prefix);
        topic.is_some_and(|topic| [FRAMEWORK_ID, SERVICE_TOPIC, AGENT_TOPIC].contains(&topic))
    }

    /// Whether a Kafka topic is one that we may have written to.
    #[must_use]
    pub fn owns(&self, kafka_topic: &str) -> bool {
        kafka_topic.starts_with(self.topic_prefix) || kafka_topic == self.sample_topic.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_can_be_told_apart_and_topics_stay() {
        let (one, other) = (Cast::new(1, false), Cast::new(2, false));
        assert_ne!(one.agent_id, other.agent_id);
        assert_ne!(one.tasks[0].executor_id, other.tasks[0].executor_id);
        assert_eq!(one.kafka_topic(FRAMEWORK_ID), other.kafka_topic(FRAMEWORK_ID));
    }

    #[test]
    fn what_goes_to_other_topics_is_the_visitors() {
        let cast = Cast::new(1, false);
        assert!(cast.emits_to("metrics-orders") && cast.emits_to(&cast.kafka_topic(FRAMEWORK_ID)));
        assert!(!cast.emits_to("metrics-hello") && !cast.emits_to("orders"));
    }

    #[test]
    fn a_shared_kafka_gets_topics_of_our_own() {
        let shared = Cast::new(1, true);
        assert_eq!(shared.kafka_topic(SERVICE_TOPIC), "metrics-demo-orders");
        assert!(shared.owns("metrics-demo-orders") && !shared.owns("metrics-orders"));
        assert!(shared.owns("sample_metrics_demo") && !shared.owns("sample_metrics"));
    }
}
