//! The books: for each output, what became of every record that was accepted for it.
//!
//! `accepted = delivered + waiting + lost + set aside + not wanted`, exact, in records. Every term but `waiting` is
//! added up where the thing happens; `waiting` is counted from the frames and tickets that are there, never by
//! subtraction, so that a record that slips through our fingers shows as an [`imbalance`](OutputLedger::imbalance).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::books::earlier;

/// Why a record that was accepted never reached an output. The name is the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// The spool was full and the record was among the oldest.
    SpoolFull,
    /// The process ended before the output had taken it, and the spool was in memory.
    Shutdown,
    /// The partner had not taken it when the feed had no room for it any more.
    TooSlow,
}

impl LossReason {
    /// Every reason, for series that start at 0.
    pub const ALL: [LossReason; 3] = [LossReason::SpoolFull, LossReason::Shutdown, LossReason::TooSlow];

    /// The metric label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LossReason::SpoolFull => "spool_full",
            LossReason::Shutdown => "shutdown",
            LossReason::TooSlow => "too_slow",
        }
    }
}

/// Why an output put a record aside instead of delivering it. The name is the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AsideReason {
    /// Prefix and record topic make no legal Kafka topic name.
    IllegalTopic,
    /// The topic would be one more than `kafka-topics-max`.
    TopicLimit,
    /// The record alone is larger than any message may be.
    RecordTooLarge,
    /// The broker refused the record for good.
    Refused,
}

impl AsideReason {
    /// Every reason, for series that start at 0.
    pub const ALL: [AsideReason; 4] = [
        AsideReason::IllegalTopic,
        AsideReason::TopicLimit,
        AsideReason::RecordTooLarge,
        AsideReason::Refused,
    ];

    /// The metric label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AsideReason::IllegalTopic => "illegal_topic",
            AsideReason::TopicLimit => "topic_limit",
            AsideReason::RecordTooLarge => "record_too_large",
            AsideReason::Refused => "refused",
        }
    }
}

/// What became of some records at one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has confirmed them.
    Delivered,
    /// They are gone.
    Lost(LossReason),
    /// They were put aside.
    SetAside(AsideReason),
    /// The output's filter does not want them.
    NotWanted,
}

/// The books of one output, in records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OutputLedger {
    /// Accepted while this output was there.
    pub accepted: u64,
    /// Confirmed by the other side.
    pub delivered: u64,
    /// Accepted and not finished with: counted in the spool and in the output's hands.
    pub waiting: u64,
    /// Gone, by reason.
    pub lost: BTreeMap<LossReason, u64>,
    /// Put aside, by reason.
    pub set_aside: BTreeMap<AsideReason, u64>,
    /// Filtered out, or still waiting for an output that went for good.
    pub not_wanted: u64,
    /// When the oldest record was accepted that is waiting: Unix time in milliseconds; absent where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<u64>,
}

impl OutputLedger {
    /// `accepted` less all the other terms: 0, or the books do not balance.
    #[must_use]
    pub fn imbalance(&self) -> i64 {
        let finished = self.delivered
            + self.lost.values().sum::<u64>()
            + self.set_aside.values().sum::<u64>()
            + self.not_wanted;
        self.accepted.cast_signed() - (finished + self.waiting).cast_signed()
    }

    /// Adds another output's books to these.
    pub(super) fn merge(&mut self, other: &OutputLedger) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.waiting += other.waiting;
        self.not_wanted += other.not_wanted;
        self.oldest_ms = earlier(self.oldest_ms, other.oldest_ms);
        for (reason, records) in &other.lost {
            *self.lost.entry(*reason).or_default() += records;
        }
        for (reason, records) in &other.set_aside {
            *self.set_aside.entry(*reason).or_default() += records;
        }
    }

    /// Adds `records` under `outcome`.
    pub(super) fn add(&mut self, records: u64, outcome: Outcome) {
        if records == 0 {
            return;
        }
        match outcome {
            Outcome::Delivered => self.delivered += records,
            Outcome::Lost(reason) => *self.lost.entry(reason).or_default() += records,
            Outcome::SetAside(reason) => *self.set_aside.entry(reason).or_default() += records,
            Outcome::NotWanted => self.not_wanted += records,
        }
    }
}

/// The books of every output, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ledger {
    /// Records accepted since start.
    pub accepted: u64,
    /// By output.
    pub outputs: BTreeMap<String, OutputLedger>,
}
