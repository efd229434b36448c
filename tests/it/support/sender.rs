//! A local program that sends metrics.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::eventually;

/// One connection to the collector's input.
pub(crate) struct Sender {
    socket: TcpStream,
    ending: Option<Ending>,
}

/// How the collector ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In order, by FIN: the next write goes nowhere, without an error.
    EndOfStream,
    /// By RST: the next write fails.
    Reset,
}

/// Ends the connection of a sender when it is dropped by a test that fails: so whoever is held in the middle of a write
/// is held no more. It does not with any other, so that a collector may hold senders for as long as it likes.
pub(crate) struct EndedByFailure(TcpStream);

impl Drop for EndedByFailure {
    fn drop(&mut self) {
        if thread::panicking() {
            // An error means that it has ended already, as wanted.
            _ = self.0.shutdown(Shutdown::Both);
        }
    }
}

impl Sender {
    /// Connects, and sends each write at once.
    pub(crate) fn connect(input: SocketAddr) -> Sender {
        Sender::over(
            TcpStream::connect(input).unwrap_or_else(|e| panic!("connect to the input {input}: {e}")),
        )
    }

    /// Sends over a connection that is there, each write at once.
    pub(crate) fn over(socket: TcpStream) -> Sender {
        socket.set_nodelay(true).expect("a TCP socket knows TCP_NODELAY");
        Sender { socket, ending: None }
    }

    /// Writes all of `bytes`; the collector must take them.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap_or_else(|e| panic!("the input took no more: {e}"));
    }

    /// Writes all of `bytes`, to a collector that may be going away.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let result = self.socket.write_all(bytes);
        // The system tells of a reset but once.
        if result.as_ref().is_err_and(|e| e.kind() == ErrorKind::ConnectionReset) {
            self.ending = Some(Ending::Reset);
        }
        result
    }

    /// Writes `bytes` in pieces; `next_piece` says how long each is.
    pub(crate) fn send_in_pieces(&mut self, mut bytes: &[u8], mut next_piece: impl FnMut() -> usize) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(next_piece().clamp(1, bytes.len()));
            self.send(piece);
            bytes = rest;
        }
    }

    /// What ends its connection where the test fails while this lives.
    pub(crate) fn ended_by_failure(&self) -> EndedByFailure {
        EndedByFailure(self.socket.try_clone().expect("a socket has a second descriptor"))
    }

    /// Says that nothing more comes, and keeps the other direction open.
    pub(crate) fn half_close(&self) {
        self.socket.shutdown(Shutdown::Write).expect("shut down for writing");
    }

    /// [`Sender::half_close`], unless the collector was quicker to close.
    pub(crate) fn half_close_if_open(&self) {
        // An error means that it is closed already, as wanted.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Whether the collector has ended this connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.ending().is_some()
    }

    /// How the collector has ended this connection, if it has.
    pub(crate) fn ending(&mut self) -> Option<Ending> {
        if self.ending.is_none() {
            self.socket.set_read_timeout(Some(Duration::from_millis(1))).expect("set a read time-out");
            self.ending = match self.socket.read(&mut [0]) {
                Ok(0) => Some(Ending::EndOfStream),
                Ok(_) => panic!("the input answered, which it never does"),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => Some(Ending::Reset),
                Err(e) => panic!("read from the input: {e}"),
            };
        }
        self.ending
    }

    /// Waits until the collector ends this connection.
    pub(crate) fn wait_ending(&mut self) -> Ending {
        eventually("the connection is ended", || self.ending().ok_or_else(|| "it is open".to_owned()))
    }
}
