//! One connection, from its first byte to its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use super::allowance::Allowance;
use super::blame;
use super::end::End;
use super::intake::{Intake, READ_BYTES, Session};
use super::listener::Shared;
use super::pace::Pace;
use super::registry::Registration;
use super::socket::Socket;
use super::tally::Tally;
use super::turns::Permit;
use crate::ocf::StreamFault;
use crate::pause;
use crate::telemetry::unix_ms;

/// How long connections are read on after the drain signal to reach the end of a block, and how much of each at least
/// where its sender does not pause: what may have been in the socket by then.
const DRAIN: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 1 << 20;

/// Bytes of one read where what they unpack to is not known yet, or was much: what is left of them is held until they are
/// worked off.
const CAREFUL_BYTES: usize = 32 << 10;

/// After so many bytes of one connection others have their turn.
const READ_ON_BYTES: usize = 2 << 20;

/// A connection and what it needs.
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) registration: Registration,
    pub(super) shared: Arc<Shared>,
}

/// What a turn works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Bytes that the socket announced.
    Announced,
    /// Whatever is in the socket.
    Tick,
    /// Bytes that were read before, and were too much for one turn.
    More,
}

impl Connection {
    /// Reads to the end, and closes in the way that costs the sender least.
    pub(super) async fn run(self) {
        let peer = self.registration.peer.name().clone();
        debug!(%peer, "connection opened");
        let mut session = Session::default();
        let end = self.read_to_end(&mut session).await;
        if session.is_partial() && session.has_header() {
            self.salvage_rest(&mut session, &end).await;
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
        let mut pace = Pace::new(&shared.ticker);
        let mut allowance = Allowance::new(shared.settings.clone());
        let mut partial_since: Option<Instant> = None;
        let mut read_on = 0;
        let mut may_be_long = true;
        loop {
            let mut turn = Turn::More;
            if !session.has_more() {
                let deadline = session
                    .is_partial()
                    .then(|| *partial_since.get_or_insert_with(Instant::now) + shared.block_timeout());
                tokio::select! {
                    biased;
                    shed = &mut shed => return shed.into(),
                    () = &mut drained => return self.read_out(session).await,
                    ready = self.socket.readable() => match ready {
                        Ok(()) => turn = Turn::Announced,
                        Err(error) => return End::Io(error),
                    },
                    () = pace.tick() => turn = Turn::Tick,
                    () = pause::until(deadline) => {
                        partial_since = None;
                        match self.wait_no_longer(session).await {
                            Some(end) => return end,
                            None => continue,
                        }
                    }
                }
            }
            if turn != Turn::More
                && let Some(until) = allowance.pause()
            {
                self.log_pause(until);
                let held = Instant::now();
                tokio::select! {
                    biased;
                    shed = &mut shed => return shed.into(),
                    () = &mut drained => return self.read_out(session).await,
                    () = tokio::time::sleep_until(until.into()) => {}
                    () = allowance.changed() => {}
                }
                partial_since = partial_since.map(|since| since + held.elapsed());
            }
            let permit = if let Some(permit) = self.try_turn(session, may_be_long) {
                permit
            } else {
                let held = Instant::now();
                let permit = tokio::select! {
                    biased;
                    shed = &mut shed => return shed.into(),
                    () = &mut drained => return self.read_out(session).await,
                    permit = self.next_turn(session, may_be_long) => permit,
                };
                // Only time in which we were ready to read counts against the sender.
                partial_since = partial_since.map(|since| since + held.elapsed());
                permit
            };
            let bytes_max = if may_be_long { CAREFUL_BYTES } else { READ_BYTES };
            match self.take_turn(session, turn, allowance.bytes().min(bytes_max)) {
                Ok(Received { bytes, progress }) => {
                    allowance.took(bytes.unwrap_or(0));
                    read_on += bytes.unwrap_or(0);
                    if session.is_partial() || self.shared.rules.spool.is_hurried() {
                        // The rest is on its way, and its time is running; or somebody waits for what comes.
                        pace.hurry(&self.socket);
                    } else if turn != Turn::More {
                        pace.note(bytes, turn == Turn::Tick, &self.socket);
                    }
                    if progress || !session.is_partial() {
                        partial_since = None;
                    }
                }
                Err(end) => return end,
            }
            // A sender that is faster than we are must not keep the thread for itself.
            may_be_long = session.is_heavy() || read_on >= READ_ON_BYTES;
            if may_be_long {
                read_on = 0;
                tokio::task::yield_now().await;
                drop(permit);
            } else {
                drop(permit);
                tokio::task::consume_budget().await;
            }
        }
    }

    /// Whether there is memory for what the next turn may come to.
    fn has_room(&self, session: &Session) -> bool {
        self.registration.has_room() && self.shared.rules.spool.has_room(session.weight())
    }

    /// A turn at once, if nobody has one and there is memory for it.
    fn try_turn(&self, session: &Session, may_be_long: bool) -> Option<Permit<'_>> {
        if self.has_room(session) { self.shared.turns.try_take(may_be_long) } else { None }
    }

    /// The next turn for which there is memory.
    async fn next_turn(&self, session: &Session, may_be_long: bool) -> Permit<'_> {
        loop {
            self.registration.room().await;
            self.shared.rules.spool.admit(session.weight()).await;
            let permit = self.shared.turns.take(may_be_long).await;
            if self.has_room(session) {
                return permit;
            }
        }
    }

    /// One read of at most so many bytes, or what the last one left over, and the work on it.
    fn take_turn(&self, session: &mut Session, turn: Turn, bytes_max: usize) -> Result<Received, End> {
        self.shared.workbenches.with(|intake| self.take_turn_with(session, turn, bytes_max, intake))
    }

    fn take_turn_with(
        &self,
        session: &mut Session,
        turn: Turn,
        bytes_max: usize,
        intake: &mut Intake,
    ) -> Result<Received, End> {
        let buffer = &mut intake.buffer[..bytes_max.min(READ_BYTES)];
        let bytes = match turn {
            Turn::Announced => self.socket.try_read(buffer).map_err(End::Io)?,
            Turn::Tick => self.socket.read_now(buffer).map_err(End::Io)?,
            Turn::More => Some(0),
        };
        let received = match bytes {
            None => return Ok(Received { bytes: None, progress: false }),
            Some(0) if turn == Turn::More => 0,
            Some(0) if session.is_partial() => return Err(End::Torn),
            Some(0) => return Err(End::Closed),
            Some(received) => received,
        };
        if received > 0 && self.shared.settings.borrow().hexdump {
            super::record_log::log_bytes(self.registration.peer.name(), &intake.buffer[..received]);
        }
        let (tally, result) = intake.work(session, received, unix_ms());
        self.note(session, &tally, received);
        result.map_err(End::Fault)?;
        Ok(Received { bytes, progress: tally.blocks > 0 || tally.headers > 0 })
    }

    /// The rest of a header or block did not come in time. Gives the end that this is, if it is one.
    async fn wait_no_longer(&self, session: &mut Session) -> Option<End> {
        let permit = self.shared.turns.take(true).await;
        let end = self.give_up_waiting(session);
        if session.is_heavy() {
            tokio::task::yield_now().await;
        }
        drop(permit);
        end
    }

    fn give_up_waiting(&self, session: &mut Session) -> Option<End> {
        let timeout = End::Timeout(self.shared.block_timeout());
        if !session.has_header() {
            return Some(timeout);
        }
        // A torn stream may have made us wait for a size that was never meant; then it heals.
        let was_on_trial = session.is_on_trial();
        match self.salvage(session, false) {
            Ok(0) if !was_on_trial && !session.has_more() => Some(timeout),
            Ok(_) => None,
            Err(fault) => Some(End::Fault(fault)),
        }
    }

    /// Takes good blocks in that hide in a half-sent one. Says how many there were.
    fn salvage(&self, session: &mut Session, is_over: bool) -> Result<u64, StreamFault> {
        let (tally, result) =
            self.shared.workbenches.with(|intake| intake.salvage(session, unix_ms(), is_over));
        self.note(session, &tally, 0);
        result.map(|()| tally.blocks)
    }

    /// The connection is over: takes in what good blocks are left, turn by turn, as the spool has room for them. Where we
    /// end it, for the sake of others or because we stop, that is one turn if there is room: the sender knows that it was
    /// cut off.
    async fn salvage_rest(&self, session: &mut Session, end: &End) {
        let spool = &self.shared.rules.spool;
        let may_wait = matches!(end, End::Torn);
        loop {
            if !spool.has_room(session.weight()) {
                if !may_wait {
                    return;
                }
                let mut drain = self.shared.drain.clone();
                tokio::select! {
                    biased;
                    _ = self.registration.shed() => return,
                    () = super::listener::drained(&mut drain) => return,
                    () = spool.admit(session.weight()) => {}
                }
            }
            let _permit = self.shared.turns.take(true).await;
            let is_late =
                self.shared.drain_deadline.get().is_some_and(|deadline| Instant::now() >= *deadline);
            if is_late || self.salvage(session, true).is_err() || !session.has_more() || !may_wait {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Counts and logs what came of some bytes.
    fn note(&self, session: &Session, tally: &Tally, received: usize) {
        self.shared.metrics.count(tally, received);
        self.log_refusals(tally);
        // Blocks of no records prove nothing.
        let good_blocks = if tally.appended.records + tally.set_apart > 0 { tally.blocks } else { 0 };
        self.registration.note(session.has_header(), good_blocks, session.carried());
        self.registration.count(tally.appended.records + tally.set_apart, received);
    }

    /// The collector stops: what the sender has sent is taken in, to the end of the block that it is in the middle of, as
    /// far as there is time and room.
    async fn read_out(&self, session: &mut Session) -> End {
        let deadline = *self.shared.drain_deadline.get_or_init(|| Instant::now() + DRAIN);
        let mut taken = 0;
        loop {
            let permit = tokio::select! {
                biased;
                shed = self.registration.shed() => return shed.into(),
                permit = tokio::time::timeout_at(deadline, self.next_turn(session, true)) => permit,
            };
            // One that waited in the line may have got its turn all the same: a long one of each would take too long.
            let Some(permit) = permit.ok().filter(|_| Instant::now() < deadline) else { return End::Drain };
            let turn = if session.has_more() { Turn::More } else { Turn::Tick };
            match self.take_turn(session, turn, READ_BYTES) {
                Ok(Received { bytes: Some(bytes), .. }) => taken += bytes,
                Ok(Received { bytes: None, .. }) if !session.is_partial() => return End::Drain,
                Ok(Received { bytes: None, .. }) => {
                    drop(permit);
                    tokio::select! {
                        biased;
                        shed = self.registration.shed() => return shed.into(),
                        ready = tokio::time::timeout_at(deadline, self.socket.readable()) => match ready {
                            // What was announced may have been read already.
                            Ok(Ok(())) => _ = self.socket.try_read(&mut []),
                            Ok(Err(error)) => return End::Io(error),
                            Err(_) => return End::Drain,
                        }
                    }
                    continue;
                }
                Err(end) => return end,
            }
            // A sender that goes on all the time has to be left at the end of some block.
            if Instant::now() >= deadline || (taken > DRAIN_BYTES && !session.is_partial()) {
                return End::Drain;
            }
            tokio::task::yield_now().await;
            drop(permit);
        }
    }

    fn log_end(&self, end: &End) {
        let peer = self.registration.peer.name();
        let reason = end.name();
        if let Some(kind) = blame::of_end(end) {
            let why = crate::telemetry::chain(end);
            self.shared.metrics.problems.note(kind, format_args!("{peer}: {why}"));
        }
        if !end.is_refusal() {
            debug!(%peer, reason, "connection ended");
        } else if let Some(suppressed) = self.shared.may_log(peer, reason) {
            let error = crate::telemetry::chain(end);
            info!(%peer, reason, suppressed, "connection reset: {error}");
        }
    }

    fn log_pause(&self, until: std::time::Instant) {
        self.shared.metrics.paused();
        let peer = self.registration.peer.name();
        if let Some(suppressed) = self.shared.may_log(peer, "limit") {
            let pause = until.saturating_duration_since(std::time::Instant::now());
            info!(%peer, suppressed, "connection held for {pause:.1?}: it is over input-limit-amount-kbytes");
        }
    }

    fn log_refusals(&self, tally: &Tally) {
        let peer = self.registration.peer.name();
        let problems = &self.shared.metrics.problems;
        for (fault, blocks) in &tally.refused_blocks {
            problems.note_times(
                blame::of_block(*fault),
                *blocks,
                format_args!("a block from {peer}: {fault}"),
            );
            let reason = fault.name();
            if let Some(suppressed) = self.shared.may_log(peer, reason) {
                info!(%peer, reason, blocks, suppressed, "block refused: {fault}; the stream goes on");
            }
        }
        for (fault, records) in &tally.refused_records {
            let kind = blame::of_record(*fault);
            problems.note_times(kind, *records, format_args!("a record from {peer}: {fault}"));
            let reason = fault.name();
            if let Some(suppressed) = self.shared.may_log(peer, reason) {
                info!(%peer, reason, records, suppressed, "record refused: {fault}; the block goes on");
            }
        }
    }
}

/// What a turn brought.
#[derive(Clone, Copy, Debug)]
struct Received {
    /// Bytes read; none: there were none.
    bytes: Option<usize>,
    /// Whether a header or block was completed.
    progress: bool,
}
