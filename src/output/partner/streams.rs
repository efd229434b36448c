//! Streams over HTTP: who asks gets pieces by a channel, which a session fills.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::hello::Hello;
use crate::control::{NoStream, Piece, Pieces, StreamQuery};

/// Streams at once: a few people who look.
const STREAMS_MAX: usize = 64;

/// Streams that were asked for and that the hub has not begun; more are refused.
const ASKED_MAX: usize = 16;

/// Pieces that were packed and that the HTTP server has not taken. The session waits when it is full.
const PIECES_MAX: usize = 1;

/// About so many bytes has a piece at most: as many wait for each client that does not read, twice.
pub(super) const PIECE_BYTES: usize = 32 << 10;

/// Opens streams.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    ask: mpsc::Sender<Asked>,
    room: Arc<Semaphore>,
}

/// A stream that somebody asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) hello: Hello,
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Streams {
    /// Streams, and where the hub hears of them.
    pub(super) fn new() -> (Streams, mpsc::Receiver<Asked>) {
        let (ask, asked) = mpsc::channel(ASKED_MAX);
        (Streams { ask, room: Arc::new(Semaphore::new(STREAMS_MAX)) }, asked)
    }

    /// Asks for one.
    pub(super) fn open(&self, query: StreamQuery) -> Result<Pieces, NoStream> {
        let hello = Hello::of_query(query).map_err(NoStream::Bad)?;
        let permit = self.room.clone().try_acquire_owned().map_err(|_| NoStream::Limit)?;
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        match self.ask.try_send(Asked { hello, pieces: sender, permit }) {
            Ok(()) => Ok(pieces),
            Err(mpsc::error::TrySendError::Full(_)) => Err(NoStream::Limit),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(NoStream::Ending),
        }
    }
}
