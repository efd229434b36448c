//! Why a partner's connection ends: one closed list for the metric label, the log and the tests.

use crate::telemetry::problems::Kind;

/// The reason. The name is the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The partner left, or the network did.
    Left,
    /// It was refused: as many are connected as may be.
    Limit,
    /// It was refused: its first line is no hello, or came too late for one.
    BadHello,
    /// It was refused: as many names have a place as may.
    TooManyNames,
    /// Another connection came by the same name.
    Replaced,
    /// It was refused: its name is that of a partner that is dialled.
    NameDialled,
    /// What it gets was set to something else, and it is dialled again.
    Changed,
    /// It was removed.
    Removed,
    /// It took nothing for a minute.
    Stalled,
    /// It acknowledged what it was not sent, or no number.
    BadAck,
    /// It was given as much as it had asked for.
    Enough,
    /// The collector ended.
    Drain,
}

impl End {
    /// Every reason, for series that start at 0.
    pub(super) const ALL: [End; 12] = [
        End::Left,
        End::Limit,
        End::BadHello,
        End::TooManyNames,
        End::Replaced,
        End::NameDialled,
        End::Changed,
        End::Removed,
        End::Stalled,
        End::BadAck,
        End::Enough,
        End::Drain,
    ];

    /// The problem that it is; none where nobody needs to do anything.
    pub(super) fn problem(self) -> Option<Kind> {
        match self {
            End::Limit | End::TooManyNames => Some(Kind::PartnerLimit),
            End::BadHello | End::BadAck | End::NameDialled => Some(Kind::PartnerRefused),
            End::Stalled => Some(Kind::PartnerStalled),
            End::Left | End::Enough | End::Replaced | End::Changed | End::Removed | End::Drain => None,
        }
    }

    /// The metric label, and the `code` in what a refused partner is told.
    pub(super) fn name(self) -> &'static str {
        match self {
            End::Left => "left",
            End::Limit => "partner_limit",
            End::BadHello => "bad_hello",
            End::TooManyNames => "too_many_names",
            End::Replaced => "replaced",
            End::NameDialled => "name_dialled",
            End::Changed => "changed",
            End::Removed => "removed",
            End::Stalled => "stalled",
            End::BadAck => "bad_ack",
            End::Enough => "enough",
            End::Drain => "drain",
        }
    }
}
