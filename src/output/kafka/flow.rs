//! Whether a topic takes messages, and why not.

use std::time::Instant;

/// Whether a topic takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It does.
    Flowing,
    /// It is being created, or asked for.
    Asking(HoldReason),
    /// It does not; asked again then.
    Held(HoldReason, Instant),
}

/// Why a topic takes no messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldReason {
    /// Kafka does not have it.
    UnknownTopic,
    /// We may not write to it.
    NotAuthorized,
    /// It is about to be created.
    Creating,
    /// The last message failed for a reason that may pass.
    Retry,
}

impl HoldReason {
    pub(super) fn name(self) -> &'static str {
        match self {
            HoldReason::UnknownTopic => "unknown_topic",
            HoldReason::NotAuthorized => "not_authorized",
            HoldReason::Creating => "creating",
            HoldReason::Retry => "retrying",
        }
    }
}
