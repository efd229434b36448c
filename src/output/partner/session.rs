//! One partner's connection: from the feed to its socket, until either is over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::board::Progress;
use super::end::End;
use super::metrics::Metrics;
use super::pack::Packer;
use super::receipts::Receipts;
use super::socket::{Held, Outbox, Socket};
use crate::spool::Follower;
use crate::telemetry::unix_ms;

/// A partner that takes nothing for so long is gone, or as good as gone: what it holds is needed.
const STALL_TIME: Duration = Duration::from_secs(60);

/// Longest acknowledgement: the digits of a number.
const ACK_BYTES_MAX: usize = 20;

/// A connection, past its greeting.
pub(super) struct Session {
    pub(super) socket: Socket,
    pub(super) follower: Follower,
    pub(super) packer: Packer,
    pub(super) held: Held,
    /// The partner says what it is done with.
    pub(super) ack: bool,
    /// It ends then.
    pub(super) until: Option<Instant>,
    /// The beginning of an acknowledgement.
    pub(super) heard: Vec<u8>,
    pub(super) signals: Signals,
    pub(super) metrics: Metrics,
    pub(super) progress: Arc<Progress>,
}

/// What a session listens to.
pub(super) struct Signals {
    /// There is news in the feed, or an end to it.
    pub(super) news: watch::Receiver<()>,
    /// Another connection has the same name.
    pub(super) replaced: oneshot::Receiver<()>,
    /// The collector ends now.
    pub(super) deadline: watch::Receiver<bool>,
}

impl Session {
    /// Serves the partner until it leaves, or is to. Gives the follower back.
    pub(super) async fn run(mut self) -> (End, Follower) {
        let end = self.serve().await;
        (end, self.follower)
    }

    async fn serve(&mut self) -> End {
        let mut outbox = Outbox::new(self.held.clone());
        let mut receipts = Receipts::default();
        let mut stalled_at = None;
        // When the first of what is in the outbox was accepted.
        let mut accepted_ms = None;
        outbox.push([self.packer.head(self.follower.next())]);
        let early = std::mem::take(&mut self.heard);
        if let Err(end) = self.take_acks(&early, &mut receipts) {
            return end;
        }
        loop {
            match outbox.write(&self.socket) {
                Ok(0) => {}
                Ok(bytes) => {
                    self.metrics.sent_bytes.inc_by(bytes as u64);
                    stalled_at = None;
                }
                Err(_) => return End::Left,
            }
            if outbox.is_empty() {
                stalled_at = None;
                if let Some(accepted_ms) = accepted_ms.take().filter(|_| !self.socket.is_stream()) {
                    self.metrics.taken(accepted_ms, unix_ms());
                }
                let done = if self.ack { receipts.done } else { receipts.sent };
                receipts.settle(done, &mut self.follower).expect("it is not more than was sent");
                self.progress.note(&receipts, &self.follower);
                if receipts.has_room()
                    && let Some(packed) = self.packer.pack(&mut self.follower, &self.held, unix_ms())
                {
                    self.progress.lost(packed.lost);
                    receipts.add(packed.runs);
                    accepted_ms = packed.accepted_ms;
                    outbox.push(packed.buffers);
                    if let Some(end) = self.breathe(&mut receipts).await {
                        return end;
                    }
                    continue;
                }
                if self.packer.left == Some(0) {
                    return End::Enough;
                }
                let is_over = self.follower.is_closed() && self.follower.is_at_end();
                if is_over && receipts.done == receipts.sent {
                    return End::Drain;
                }
            } else if stalled_at.is_none() {
                stalled_at = Some(Instant::now());
            }
            let stalled = stalled_at.map(|since: Instant| since + STALL_TIME);
            tokio::select! {
                biased;
                () = given(&mut self.signals.deadline) => return End::Drain,
                _ = &mut self.signals.replaced => return End::Replaced,
                ready = self.socket.readable() => {
                    if let Err(end) = ready.map_err(|_| End::Left).and_then(|()| self.hear(&mut receipts)) {
                        return end;
                    }
                }
                ready = self.socket.writable(), if !outbox.is_empty() => {
                    if ready.is_err() {
                        return End::Left;
                    }
                }
                news = self.signals.news.changed(), if outbox.is_empty() => {
                    if news.is_err() {
                        return End::Drain;
                    }
                }
                () = sleep_until(self.until) => return End::Enough,
                () = sleep_until(stalled) => return End::Stalled,
            }
        }
    }

    /// Lets others have their turn, and hears what there is to hear, in the middle of much work.
    async fn breathe(&mut self, receipts: &mut Receipts) -> Option<End> {
        tokio::select! {
            biased;
            () = given(&mut self.signals.deadline) => Some(End::Drain),
            _ = &mut self.signals.replaced => Some(End::Replaced),
            () = sleep_until(self.until) => Some(End::Enough),
            ready = self.socket.readable() => {
                ready.map_err(|_| End::Left).and_then(|()| self.hear(receipts)).err()
            }
            () = tokio::task::yield_now() => None,
        }
    }

    /// Takes in what the partner says.
    fn hear(&mut self, receipts: &mut Receipts) -> Result<(), End> {
        let mut buffer = [0; 1024];
        match self.socket.try_read(&mut buffer) {
            // A side that is closed cannot be told from a partner that is gone, which would be served until something is
            // written to it, and where it wants nothing for ever.
            Ok(0) => Err(End::Left),
            Ok(received) => self.take_acks(&buffer[..received], receipts),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(())
            }
            Err(_) => Err(End::Left),
        }
    }

    /// Takes acknowledgements: numbers, a line each. What a partner says that does not acknowledge is passed over.
    fn take_acks(&mut self, bytes: &[u8], receipts: &mut Receipts) -> Result<(), End> {
        if !self.ack {
            return Ok(());
        }
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.heard);
                    let text = line.strip_suffix(b"\r").unwrap_or(&line);
                    let done = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                    let done: u64 = done.ok_or(End::BadAck)?;
                    receipts.settle(done, &mut self.follower).map_err(|_| End::BadAck)?;
                }
                _ if self.heard.len() > ACK_BYTES_MAX => return Err(End::BadAck),
                byte => self.heard.push(*byte),
            }
        }
        Ok(())
    }
}

/// Returns when the signal is given, or whoever could give it is gone.
async fn given(signal: &mut watch::Receiver<bool>) {
    _ = signal.wait_for(|given| *given).await;
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
