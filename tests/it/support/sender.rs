//! A local program that sends metrics.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// One connection to the collector's input.
pub(crate) struct Sender {
    socket: TcpStream,
}

impl Sender {
    /// Connects, and sends each write at once.
    pub(crate) fn connect(input: SocketAddr) -> Sender {
        let socket =
            TcpStream::connect(input).unwrap_or_else(|e| panic!("connect to the input {input}: {e}"));
        socket.set_nodelay(true).expect("a TCP socket knows TCP_NODELAY");
        Sender { socket }
    }

    /// Writes all of `bytes`; the collector must take them.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap_or_else(|e| panic!("the input took no more: {e}"));
    }

    /// Writes all of `bytes`, to a collector that may be going away.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Writes `bytes` in pieces; `next_piece` says how long each is.
    pub(crate) fn send_in_pieces(&mut self, mut bytes: &[u8], mut next_piece: impl FnMut() -> usize) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(next_piece().clamp(1, bytes.len()));
            self.send(piece);
            bytes = rest;
        }
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
        self.socket.set_read_timeout(Some(Duration::from_millis(1))).expect("set a read time-out");
        match self.socket.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => panic!("the input answered, which it never does"),
            Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}
