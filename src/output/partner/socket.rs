//! Where a partner's bytes go: a socket of either kind, or an answer over HTTP; and what could not be written yet.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use super::queued;
use super::streams::PIECE_BYTES;
use crate::control::Piece;

/// So many buffers go into one write.
const SLICES: usize = 64;

/// All partners together may have so many bytes that their sockets do not take; each may always have a few.
const HELD_BYTES_MAX: usize = 2 << 20;
const GRANT_MIN: usize = 4 << 10;
const GRANT_MAX: usize = 256 << 10;

/// The system is asked to keep so much for each partner at most; it counts twice as much. What it would take otherwise, some
/// megabytes for each that is stuck, is memory of this host all the same.
const SEND_BUFFER: usize = 256 << 10;

/// The other side.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Channel(mpsc::Sender<Piece>),
}

impl Socket {
    /// A connection over TCP.
    pub(super) fn tcp(stream: TcpStream) -> Socket {
        // Where that fails the system bounds it.
        _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
        Socket::Tcp(stream)
    }

    /// Bytes that it takes at once, for sure.
    fn room(&self) -> usize {
        let (buffer, queued) = match self {
            Socket::Tcp(stream) => (SockRef::from(stream).send_buffer_size(), queued::bytes(stream)),
            Socket::Unix(stream) => (SockRef::from(stream).send_buffer_size(), queued::bytes(stream)),
            Socket::Channel(sender) => return if sender.capacity() > 0 { PIECE_BYTES } else { 0 },
        };
        // Some of what is counted is the system's own.
        let bytes = buffer.map_or(0, |buffer| buffer / 4 * 3);
        bytes.saturating_sub(queued.unwrap_or(usize::MAX))
    }

    /// What it is, for those who ask.
    pub(super) fn protocol(&self) -> &'static str {
        match self {
            Socket::Tcp(_) => "tcp",
            Socket::Unix(_) => "unix",
            Socket::Channel(_) => "http",
        }
    }

    /// Whether it is an answer over HTTP.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Socket::Channel(_))
    }

    /// Returns when it takes bytes, or is broken. Cancel safe.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.writable().await,
            Socket::Unix(stream) => stream.writable().await,
            Socket::Channel(sender) => {
                sender.reserve().await.map(drop).map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    /// Returns when the other side has said something, or has gone. Cancel safe.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.readable().await,
            Socket::Unix(stream) => stream.readable().await,
            Socket::Channel(sender) => {
                sender.closed().await;
                Ok(())
            }
        }
    }

    /// Reads what [`Socket::readable`] has announced; 0: the end.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_read(buffer),
            Socket::Unix(stream) => stream.try_read(buffer),
            Socket::Channel(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Writes what the socket takes at once of a last word.
    pub(super) fn try_write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write(&[IoSlice::new(bytes)])
    }

    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write_vectored(slices),
            Socket::Unix(stream) => stream.try_write_vectored(slices),
            Socket::Channel(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// What all partners hold together that their sockets have not taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<AtomicUsize>);

/// What a partner may take up next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) bytes: usize,
    /// Bytes that a single record may have which is larger than that.
    pub(super) large: usize,
}

impl Held {
    /// What a partner may take up for its `socket`. Where many hold much it is little, so that all of them stay within
    /// bounds; but what the socket takes at once nobody has to hold, so that those who do not read cost those who do nothing.
    pub(super) fn grant(&self, socket: &Socket) -> Grant {
        let held = self.0.load(Ordering::Relaxed);
        let left = HELD_BYTES_MAX.saturating_sub(held);
        let bytes = (left / 4).clamp(GRANT_MIN, GRANT_MAX);
        Grant {
            bytes: if bytes < GRANT_MAX { socket.room().clamp(bytes, GRANT_MAX) } else { bytes },
            large: if held == 0 { usize::MAX } else { left },
        }
    }
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Outbox {
    buffers: VecDeque<Bytes>,
    held: Held,
    /// Bytes of memory of a copy of ours, if it is one; some of them may have been written.
    copied: usize,
    /// What of it counts as held.
    counted: usize,
}

impl Outbox {
    pub(super) fn new(held: Held) -> Outbox {
        Outbox { buffers: VecDeque::new(), held, copied: 0, counted: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    pub(super) fn push(&mut self, buffers: impl IntoIterator<Item = Bytes>) {
        self.buffers.extend(buffers.into_iter().filter(|buffer| !buffer.is_empty()));
    }

    /// Writes as much as the socket takes at once, and says how much that was. What is left then is copied together, so
    /// that it keeps nothing of the feed.
    pub(super) fn write(&mut self, socket: &Socket) -> io::Result<usize> {
        let mut written = 0;
        let result = loop {
            if self.buffers.is_empty() {
                break Ok(());
            }
            match self.write_once(socket) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.gather();
                    break Ok(());
                }
                Err(error) => break Err(error),
            }
        };
        self.count();
        result.map(|()| written)
    }

    fn write_once(&mut self, socket: &Socket) -> io::Result<usize> {
        if let Socket::Channel(sender) = socket {
            self.gather();
            let permit = sender.try_reserve().map_err(|error| match error {
                mpsc::error::TrySendError::Full(()) => io::ErrorKind::WouldBlock,
                mpsc::error::TrySendError::Closed(()) => io::ErrorKind::BrokenPipe,
            })?;
            let Some(front) = self.buffers.front_mut() else { return Ok(0) };
            // A copy, so that what the channel and the HTTP server hold is bounded, whatever the size of a record.
            let piece = Bytes::copy_from_slice(&front[..front.len().min(PIECE_BYTES)]);
            front.advance(piece.len());
            if front.is_empty() {
                self.buffers.pop_front();
            }
            let bytes = piece.len();
            permit.send(Piece { bytes: piece, is_whole: self.buffers.is_empty() });
            return Ok(bytes);
        }
        let slices: Vec<IoSlice<'_>> =
            self.buffers.iter().take(SLICES).map(|buffer| IoSlice::new(buffer)).collect();
        let written = socket.try_write(&slices)?;
        let mut left = written;
        while left > 0 {
            let front = self.buffers.front_mut().expect("no more is written than there was");
            let now = left.min(front.len());
            front.advance(now);
            left -= now;
            if front.is_empty() {
                self.buffers.pop_front();
            }
        }
        Ok(written)
    }

    /// Copies all of it together, unless it is such a copy, of which not too much has been written.
    fn gather(&mut self) {
        let bytes: usize = self.buffers.iter().map(Bytes::len).sum();
        if self.copied > 0 && bytes >= self.copied / 2 {
            return;
        }
        let mut all = Vec::with_capacity(bytes);
        for buffer in self.buffers.drain(..) {
            all.extend_from_slice(&buffer);
        }
        self.buffers.push_back(all.into());
        self.copied = bytes;
    }

    /// Notes what is held.
    fn count(&mut self) {
        if self.buffers.is_empty() {
            self.copied = 0;
        }
        self.held.0.fetch_add(self.copied, Ordering::Relaxed);
        self.held.0.fetch_sub(std::mem::replace(&mut self.counted, self.copied), Ordering::Relaxed);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_stuck_partner_holds_is_a_copy_that_counts_for_all_its_memory() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = Socket::Unix(ours);
        let held = Held::default();
        let mut outbox = Outbox::new(held.clone());
        let of_the_feed = Bytes::from(vec![7; 4 << 20]);
        outbox.push([of_the_feed.clone(), Bytes::from_static(b"end")]);
        let bytes = of_the_feed.len() + 3;
        let mut written = outbox.write(&socket).unwrap();
        assert!(written > 0 && written < bytes);
        assert!(of_the_feed.is_unique(), "it keeps nothing of the feed");
        assert_eq!(held.0.load(Ordering::Relaxed), bytes - written);
        assert_eq!(held.grant(&socket).bytes, GRANT_MIN, "and is given little more");
        let (reader, _reads) = UnixStream::pair().unwrap();
        let reader = Socket::Unix(reader);
        let grant = held.grant(&reader).bytes;
        assert!(grant >= 16 * GRANT_MIN, "one whose socket takes it is given {grant}");
        assert_eq!(reader.try_write_now(&vec![7; grant]).unwrap(), grant, "at once");
        assert!(held.grant(&reader).bytes < grant, "until it reads");
        let mut buffer = vec![0; 64 << 10];
        while written < bytes {
            theirs.readable().await.unwrap();
            while theirs.try_read(&mut buffer).is_ok() {}
            socket.writable().await.unwrap();
            written += outbox.write(&socket).unwrap();
            let (left, counted) = (bytes - written, held.0.load(Ordering::Relaxed));
            assert!(counted >= left && counted <= 2 * left + 1, "{left} left, {counted} counted");
        }
        assert_eq!(held.grant(&socket).bytes, GRANT_MAX);
    }

    #[test]
    fn an_answer_over_http_holds_little_of_a_large_record() {
        let (sender, mut pieces) = mpsc::channel(1);
        let socket = Socket::Channel(sender);
        let mut outbox = Outbox::new(Held::default());
        outbox.push([Bytes::from(vec![7; 3 * PIECE_BYTES + 1])]);
        let mut sizes = Vec::new();
        while !outbox.is_empty() {
            outbox.write(&socket).unwrap();
            let piece = pieces.try_recv().unwrap();
            assert!(piece.bytes.is_unique(), "and keeps nothing else");
            assert_eq!(piece.is_whole, outbox.is_empty());
            sizes.push(piece.bytes.len());
        }
        assert_eq!(sizes, [PIECE_BYTES, PIECE_BYTES, PIECE_BYTES, 1]);
    }
}
