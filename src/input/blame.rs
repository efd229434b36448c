//! Which problem a refusal is: what whoever looks is told to do about it.

use super::end::End;
use crate::ocf::{BlockFault, RecordFault, StreamFault};
use crate::telemetry::problems::Kind;

/// The problem of a connection that ended so; none where nobody needs to do anything.
pub(super) fn of_end(end: &End) -> Option<Kind> {
    match end {
        End::Fault(fault) => Some(of_stream(fault)),
        End::Timeout(_) => Some(Kind::InputTimeout),
        End::ConnectionLimit | End::Memory => Some(Kind::InputLimit),
        // What a torn connection costs is a block that is refused.
        End::Closed | End::Torn | End::Io(_) | End::Drain => None,
    }
}

fn of_stream(fault: &StreamFault) -> Kind {
    match fault {
        StreamFault::NotOcf
        | StreamFault::HeaderTooLarge { .. }
        | StreamFault::HeaderEntries { .. }
        | StreamFault::BadHeader
        | StreamFault::NoSchema => Kind::InputNotAvro,
        StreamFault::Schema(_) => Kind::InputSchema,
        StreamFault::UnknownCodec(_) => Kind::InputCodec,
        StreamFault::MarkerNotFound { .. } => Kind::InputTorn,
    }
}

/// The problem of a refused block.
pub(super) fn of_block(fault: BlockFault) -> Kind {
    match fault {
        BlockFault::MarkerLost | BlockFault::Truncated => Kind::InputTorn,
        BlockFault::TooLarge | BlockFault::DecompressedTooLarge => Kind::InputTooLarge,
        BlockFault::BadCount | BlockFault::Corrupt | BlockFault::BadRecord | BlockFault::CountMismatch => {
            Kind::InputDamaged
        }
    }
}

/// The problem of a refused record.
pub(super) fn of_record(fault: RecordFault) -> Kind {
    match fault {
        RecordFault::TooLarge | RecordFault::TooManyTags | RecordFault::TooManyDatapoints => {
            Kind::InputTooLarge
        }
        RecordFault::Unresolvable => Kind::InputDamaged,
    }
}
