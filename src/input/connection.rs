//! One connection, from its first byte to its end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tracing::{debug, info};

use super::intake::{Intake, Session, Tally};
use super::listener::Shared;
use super::registry::{Registration, Shed};
use crate::ocf::StreamFault;

/// How long a connection is read on after the drain signal to reach the end of a block.
const DRAIN: Duration = Duration::from_secs(1);

/// A connected socket of either kind.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Why a connection ended. The name is the metric label.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The sender closed it between two blocks, or before its header.
    #[error("the sender closed it")]
    Closed,
    /// The sender closed it within a header or block.
    #[error("the sender closed it in the middle of a header or block")]
    Torn,
    /// Its bytes cannot be read.
    #[error("its stream cannot be read")]
    Fault(#[source] StreamFault),
    /// The rest of a header or block did not come.
    #[error("the rest of a header or block did not come within {0:?}; see input-block-timeout")]
    Timeout(Duration),
    /// Others need the room.
    #[error("there are more connections than input-connections-max and this one has sent no block")]
    ConnectionLimit,
    /// Others need the memory.
    #[error("half-sent blocks of many connections hold all the memory there is for them")]
    Memory,
    /// The socket failed.
    #[error("its socket failed")]
    Io(#[source] io::Error),
    /// The collector stops.
    #[error("the collector stops")]
    Drain,
}

impl End {
    /// Names of all ends but the faults of streams, for series that start at 0.
    pub(super) const NAMES: [&'static str; 7] =
        ["closed", "torn", "timeout", "connection_limit", "memory", "io", "drain"];

    /// The metric label.
    pub(super) fn name(&self) -> &'static str {
        match self {
            End::Closed => "closed",
            End::Torn => "torn",
            End::Fault(fault) => fault.name(),
            End::Timeout(_) => "timeout",
            End::ConnectionLimit => "connection_limit",
            End::Memory => "memory",
            End::Io(_) => "io",
            End::Drain => "drain",
        }
    }

    /// Whether it was we who ended it, because of something that the sender should hear of.
    fn is_refusal(&self) -> bool {
        !matches!(self, End::Closed | End::Torn | End::Io(_) | End::Drain)
    }
}

/// A connection and what it needs.
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) registration: Registration,
    pub(super) shared: Arc<Shared>,
}

impl Connection {
    /// Reads to the end, and closes in the way that costs the sender least.
    pub(super) async fn run(self) {
        let peer = self.registration.peer.name().clone();
        debug!(%peer, "connection opened");
        let mut session = Session::default();
        let end = self.read_to_end(&mut session).await;
        if session.is_partial() && session.has_header() {
            self.salvage(&mut session);
        }
        if !matches!(end, End::Closed | End::Torn) {
            self.socket.reset_on_close();
        }
        self.shared.metrics.ended(end.name());
        self.log_end(&end);
    }

    async fn read_to_end(&self, session: &mut Session) -> End {
        let shared = self.shared.clone();
        let mut drain = shared.drain.clone();
        // Made once and not for each read: on a quiet node this is a good part of what a read costs.
        let mut drained = pin!(super::listener::drained(&mut drain));
        let mut shed = pin!(self.registration.shed());
        let mut partial_since = None;
        loop {
            shared.rules.spool.admit().await;
            let timeout = shared.block_timeout;
            // Only time in which we were ready to read counts against the sender.
            let deadline =
                session.is_partial().then(|| *partial_since.get_or_insert_with(Instant::now) + timeout);
            tokio::select! {
                biased;
                shed = &mut shed => {
                    return match shed {
                        Shed::ConnectionLimit => End::ConnectionLimit,
                        Shed::Memory => End::Memory,
                    };
                }
                ready = self.socket.readable() => {
                    if let Err(error) = ready {
                        return End::Io(error);
                    }
                }
                () = &mut drained => return self.read_out(session).await,
                () = sleep_until(deadline) => {
                    // A torn stream may have made us wait for a size that was never meant; then it heals.
                    partial_since = None;
                    if !session.has_header() || self.salvage(session) == 0 {
                        return End::Timeout(timeout);
                    }
                    continue;
                }
            }
            match self.read_once(session) {
                Ok(Some(progress)) => {
                    if progress || !session.is_partial() {
                        partial_since = None;
                    }
                }
                Ok(None) => {}
                Err(end) => return end,
            }
        }
    }

    /// One read and the work on it. `None`: there was nothing to read; else whether a block was completed.
    fn read_once(&self, session: &mut Session) -> Result<Option<bool>, End> {
        self.shared.workbenches.with(|intake| self.read_with(session, intake))
    }

    fn read_with(&self, session: &mut Session, intake: &mut Intake) -> Result<Option<bool>, End> {
        let received = match self.socket.try_read(&mut intake.buffer) {
            Ok(0) if session.is_partial() => return Err(End::Torn),
            Ok(0) => return Err(End::Closed),
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
            Err(error) => return Err(End::Io(error)),
        };
        if self.shared.hexdump {
            super::record_log::log_bytes(self.registration.peer.name(), &intake.buffer[..received]);
        }
        let (tally, result) = intake.work(session, received, unix_ms());
        self.shared.metrics.count(&tally, received);
        self.log_refusals(&tally);
        self.registration.note(session.has_header(), tally.blocks, session.carried());
        result.map_err(End::Fault)?;
        Ok(Some(tally.blocks > 0 || tally.headers > 0))
    }

    /// Takes good blocks in that hide in a half-sent one. Says how many there were.
    fn salvage(&self, session: &mut Session) -> u64 {
        let tally = self.shared.workbenches.with(|intake| intake.salvage(session, unix_ms()));
        self.shared.metrics.count(&tally, 0);
        self.log_refusals(&tally);
        self.registration.note(session.has_header(), tally.blocks, session.carried());
        tally.blocks
    }

    /// The collector stops: what the sender has sent is taken in, to the end of the block that it is in the middle of.
    async fn read_out(&self, session: &mut Session) -> End {
        let deadline = Instant::now() + DRAIN;
        loop {
            match self.read_once(session) {
                Ok(Some(_)) => {}
                Ok(None) if session.at_boundary() || !session.is_partial() => return End::Drain,
                Ok(None) => match tokio::time::timeout_at(deadline, self.socket.readable()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return End::Io(error),
                    Err(_) => return End::Drain,
                },
                Err(end) => return end,
            }
            if Instant::now() >= deadline {
                return End::Drain;
            }
        }
    }

    fn log_end(&self, end: &End) {
        let peer = self.registration.peer.name();
        let reason = end.name();
        if !end.is_refusal() {
            debug!(%peer, reason, "connection ended");
        } else if let Some(suppressed) = self.shared.may_log(peer, reason) {
            let error = crate::telemetry::chain(end);
            info!(%peer, reason, suppressed, "connection reset: {error}");
        }
    }

    fn log_refusals(&self, tally: &Tally) {
        let peer = self.registration.peer.name();
        if let Some(fault) = tally.refused_blocks.first()
            && let Some(suppressed) = self.shared.may_log(peer, fault.name())
        {
            let blocks = tally.refused_blocks.len();
            info!(%peer, reason = fault.name(), blocks, suppressed, "block refused: {fault}; the stream goes on");
        }
        if let Some((fault, records)) = tally.refused_records.first()
            && let Some(suppressed) = self.shared.may_log(peer, fault.name())
        {
            info!(%peer, reason = fault.name(), records, suppressed, "record refused: {fault}; the block goes on");
        }
    }
}

impl Socket {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.readable().await,
            Socket::Unix(stream) => stream.readable().await,
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_read(buffer),
            Socket::Unix(stream) => stream.try_read(buffer),
        }
    }

    /// A reset is noticed with the sender's next write; an orderly end only with the one after, whose block would be
    /// lost as well.
    pub(super) fn reset_on_close(&self) {
        if let Socket::Tcp(stream) = self {
            // Where it fails the socket is closed in order, which is no worse than before.
            _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
