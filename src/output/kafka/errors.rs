//! What to do about each error that a broker or librdkafka reports for a message. One table.

use rdkafka::types::RDKafkaErrorCode as Code;

/// What is done about a message that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Send it again after a pause, in order.
    Resend,
    /// The topic does not exist: hold it, ask again every few seconds; others flow.
    HoldTopic,
    /// The topic may not be written: hold it, ask again every minute; others flow.
    BlockTopic,
    /// Send it alone, then in smaller parts; a record that is too large alone is set aside.
    Smaller,
    /// The broker refuses it for what is in it: send its records one by one, and set aside those that are refused.
    Refused,
    /// The producer is of no more use: a new one sends what this one held.
    NewProducer,
}

impl Answer {
    /// Every answer, for series that start at 0.
    pub(super) const ALL: [Answer; 6] = [
        Answer::Resend,
        Answer::HoldTopic,
        Answer::BlockTopic,
        Answer::Smaller,
        Answer::Refused,
        Answer::NewProducer,
    ];

    /// The metric label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Answer::Resend => "resend",
            Answer::HoldTopic => "hold_topic",
            Answer::BlockTopic => "block_topic",
            Answer::Smaller => "smaller",
            Answer::Refused => "refused",
            Answer::NewProducer => "new_producer",
        }
    }
}

/// The table.
pub(super) fn answer(code: Code) -> Answer {
    match code {
        Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicId
        // Names that no topic may have do not come here: it has been made by then, or another's name differs from it only
        // in `.` and `_`, and may go.
        | Code::InvalidTopic => Answer::HoldTopic,
        Code::TopicAuthorizationFailed => Answer::BlockTopic,
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => Answer::Smaller,
        Code::InvalidRecord | Code::InvalidTimestamp | Code::PolicyViolation => Answer::Refused,
        Code::Fatal
        | Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::InvalidProducerIdMapping
        | Code::UnknownProducerId
        | Code::OutOfOrderSequenceNumber
        | Code::ClusterAuthorizationFailed
        | Code::UnsupportedFeature
        | Code::PurgeQueue
        | Code::PurgeInflight => Answer::NewProducer,
        // No broker, connection lost, leader moved, not enough replicas, timed out, queue full: librdkafka retries these by
        // itself for as long as it takes; one that comes through all the same is sent again by us.
        _ => Answer::Resend,
    }
}

/// What an error says about the connection to the cluster as a whole, from librdkafka's error callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Brokers do not let us in: wrong credentials, wrong certificate, no common mechanism.
    Credentials,
    /// No broker can be reached.
    Unreachable,
    /// One broker cannot be reached; others may.
    Broker,
    /// The producer is of no more use.
    Fatal,
    /// One broker or one request; librdkafka goes on.
    Passing,
}

/// Sorts an error of the error callback.
pub(super) fn trouble(code: Code) -> Trouble {
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL => Trouble::Credentials,
        Code::AllBrokersDown => Trouble::Unreachable,
        Code::BrokerTransportFailure | Code::Resolve => Trouble::Broker,
        Code::Fatal | Code::Fenced | Code::UnsupportedFeature | Code::ClusterAuthorizationFailed => {
            Trouble::Fatal
        }
        _ => Trouble::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_answer() {
        let table: [(Answer, &[Code]); 6] = [
            (
                Answer::Resend,
                &[
                    Code::BrokerTransportFailure,
                    Code::AllBrokersDown,
                    Code::NotLeaderForPartition,
                    Code::NotEnoughReplicas,
                    Code::NotEnoughReplicasAfterAppend,
                    Code::RequestTimedOut,
                    Code::MessageTimedOut,
                    Code::QueueFull,
                    Code::Unknown,
                ],
            ),
            (
                Answer::HoldTopic,
                &[
                    Code::UnknownTopicOrPartition,
                    Code::UnknownTopic,
                    Code::UnknownPartition,
                    Code::InvalidTopic,
                ],
            ),
            (Answer::BlockTopic, &[Code::TopicAuthorizationFailed]),
            (Answer::Smaller, &[Code::MessageSizeTooLarge, Code::MessageBatchTooLarge]),
            (Answer::Refused, &[Code::InvalidRecord, Code::PolicyViolation]),
            (
                Answer::NewProducer,
                &[
                    Code::Fatal,
                    Code::ProducerFenced,
                    Code::InvalidProducerEpoch,
                    Code::OutOfOrderSequenceNumber,
                    Code::UnsupportedFeature,
                    Code::PurgeQueue,
                    Code::PurgeInflight,
                ],
            ),
        ];
        for (expected, codes) in table {
            for code in codes {
                assert_eq!(answer(*code), expected, "{code:?}");
            }
        }
    }

    #[test]
    fn troubles_of_the_connection_are_told_apart() {
        let table: [(Trouble, &[Code]); 5] = [
            (Trouble::Credentials, &[Code::Authentication, Code::SSL, Code::SaslAuthenticationFailed]),
            (Trouble::Unreachable, &[Code::AllBrokersDown]),
            (Trouble::Broker, &[Code::BrokerTransportFailure, Code::Resolve]),
            (Trouble::Fatal, &[Code::Fatal, Code::UnsupportedFeature]),
            (Trouble::Passing, &[Code::RequestTimedOut, Code::NotCoordinator]),
        ];
        for (expected, codes) in table {
            for code in codes {
                assert_eq!(trouble(*code), expected, "{code:?}");
            }
        }
    }
}
