//! The partner outputs: local processes that take records as they arrive.
//!
//! # What it promises
//! * A partner gets everything that it wants from its beginning on, in the order of acceptance, within milliseconds of
//!   its acceptance, in our schema: an Avro object container stream with a header of its own, or a line of JSON a record.
//! * A partner that is slow, stuck, mad or gone costs its own records and nothing else. They count as lost in its books, and a
//!   record in the topic `collector` tells it how many there were.
//! * A partner with a name has a place, which is kept while it is away, for a day; that of one which the collector connects
//!   to for as long as it is in the configuration. One that acknowledges gets again what it has not acknowledged, and
//!   nothing else; of another it counts as delivered what its socket has taken.
//! * A stream over HTTP ends where it was asked to: after so many records, or so long.
//! * A name, an address or a filter of any making costs bounded memory and bounded work for each record.
//!
//! # How it works
//! One task, the `hub`, has the listeners; each partner has a `session`, and so has each stream over HTTP (`streams`). A
//! partner that the collector connects to, a `target`, has a task that `dial`s it again and again, and runs the same
//! session. They have a thread of their own, so that a filter over every tag of every record takes nothing from the
//! input. All that is new in the [feed](crate::spool) rings the `bell` once, which tells all sessions and then pauses for
//! a moment, so that many small blocks become one write. A connection is `serve`d from its `greeting` to its end: its place
//! comes from `names` and goes back there, and between the two the session goes between its
//! [`Follower`](crate::spool::Follower), the `pack`er that filters and frames, the `socket`, and the `receipts` of what
//! was sent.
//!
//! Where a partner wants everything the bytes that go to the socket are those of the feed, shared by all. What a socket
//! does not take at once is copied out, so that a stuck partner keeps nothing of the feed; all of them together may hold
//! two megabytes so, and a few kilobytes each. Where that is used up a partner is given little more than its socket takes
//! at once, which is much for one that reads. A single record that is larger than that waits until others have let go,
//! or is lost to its partner when the feed lets go of it. The sockets' own buffers are bounded too.
//!
//! # When something is full, slow, gone or lying
//! * A partner is behind: the feed lets go of the oldest, see the page of the feed. It goes on with what is there.
//! * It takes nothing for a minute: the connection ends.
//! * It is to be dialled and nobody answers, or its name cannot be resolved: another attempt after a second, then less often,
//!   up to a minute. Its place waits. The same goes for one whose address turns out to be the collector's own input, whatever
//!   name that goes by.
//! * Somebody connects by the name of one that is dialled: refused with a line. Whoever is connected by a name that is to be
//!   dialled from now on is ended, and the place goes on.
//! * It acknowledges nothing: after some thousand blocks nothing more is sent, until it does.
//! * It says what is no hello, or acknowledges what it was not sent: the connection ends, in the first case after a line
//!   that says why.
//! * As many as `partners-max` are connected: the next is refused with a line. As many names have a place as may: the next
//!   name is.
//! * The process is asked to end: all that was accepted is sent, for two seconds at most; what is left is lost and booked
//!   so, and partners with a place are told when they come back, if there is a `data-dir`.

mod bell;
mod board;
mod connect;
mod dial;
mod door;
mod end;
mod filter;
mod greeting;
mod hello;
mod hub;
mod kept;
mod metrics;
mod names;
pub mod ndjson;
mod pack;
mod queued;
mod receipts;
mod serve;
mod session;
mod settings;
mod socket;
mod streams;
mod target;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use filter::{BadFilter, Filter, GLOB_BYTES_MAX, GLOBS_MAX};
pub use hello::{Format, Hello, NAME_BYTES_MAX, Start, is_name};
pub use hub::Partners;
pub use metrics::Metrics;
pub use pack::{FIRST_KEY, INCARNATION_KEY, OWN_TOPIC, Stamp};
pub use settings::Config;
pub use target::{Address, SOCKET_PATH_BYTES_MAX, TARGETS_MAX, Target};

use crate::control::{NoStream, PartnerStatus, Pieces, StreamQuery};
use hub::Shared;
use streams::Streams;

/// Why partners cannot be listened for.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// At the TCP address.
    #[error("cannot listen on {0} (partner-endpoint)")]
    Tcp(SocketAddr, #[source] io::Error),
    /// At the unix socket.
    #[error("cannot listen on {0:?} (partner-socket)")]
    Unix(PathBuf, #[source] io::Error),
}

/// Asks the partner outputs.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    streams: Streams,
}

impl Handle {
    /// Where partners connect; none if nothing listens.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        self.shared.place.borrow().listen
    }

    /// The unix socket besides.
    #[must_use]
    pub fn socket(&self) -> Option<PathBuf> {
        self.shared.place.borrow().socket.clone()
    }

    /// Records as they arrive, for somebody who asks over HTTP.
    ///
    /// # Errors
    /// [`NoStream`]
    pub fn stream(&self, query: StreamQuery) -> Result<Pieces, NoStream> {
        self.streams.open(query)
    }

    /// Bytes that partners and streams have taken since start.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.shared.sent_bytes()
    }

    /// These partners are dialled from now on, and no others. Their places are there when this returns; those that were
    /// dialled and are no more are over.
    pub fn dial(&self, wanted: &[Target]) {
        let Shared { dialled, names, dials, .. } = &*self.shared;
        if *dialled.borrow() == wanted {
            return;
        }
        names.dial(wanted);
        dials.follow(wanted);
        dialled.send_replace(wanted.to_vec());
    }

    /// Ends the place of partners that connect by `name`, and the connection that has it. False: there is none, or it is
    /// that of a dialled partner.
    #[must_use]
    pub fn forget(&self, name: &str) -> bool {
        self.shared.names.remove(name)
    }

    /// Who is connected, and who has a place or is dialled and is not.
    #[must_use]
    pub fn partners(&self) -> Vec<PartnerStatus> {
        let accepted = self.shared.spool.accepted();
        let mut partners = self.shared.board.connected(accepted);
        partners.extend(self.shared.names.absent(accepted));
        self.shared.dials.note_on(&mut partners);
        partners
    }
}
