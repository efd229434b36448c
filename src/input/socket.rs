//! A connected socket of either kind.

use std::io::{self, Read};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};

use super::low_water;

/// The socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Returns when there are bytes to read, or the end. Cancel safe.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.readable().await,
            Socket::Unix(stream) => stream.readable().await,
        }
    }

    /// Reads what [`Socket::readable`] has announced. `None`: there is nothing after all; 0: the end.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        nothing_is_none(match self {
            Socket::Tcp(stream) => stream.try_read(buffer),
            Socket::Unix(stream) => stream.try_read(buffer),
        })
    }

    /// Reads what there is, announced or not. `None`: nothing; 0: the end.
    pub(super) fn read_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        nothing_is_none(match self {
            Socket::Tcp(stream) => (&*SockRef::from(stream)).read(buffer),
            Socket::Unix(stream) => (&*SockRef::from(stream)).read(buffer),
        })
    }

    /// From now on [`Socket::readable`] returns when there are so many bytes. Says whether the socket can do that.
    pub(super) fn wake_at(&self, bytes: usize) -> bool {
        match self {
            Socket::Tcp(stream) => low_water::set(stream, bytes).is_ok(),
            // The kernel keeps the number, and does not go by it.
            Socket::Unix(_) => false,
        }
    }

    /// A reset is noticed with the sender's next write; an orderly end only with the one after, whose block would be
    /// lost as well.
    pub(super) fn reset_on_close(&self) {
        if let Socket::Tcp(stream) = self {
            // Where it fails the socket is closed in order, which is no worse than before.
            _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

fn nothing_is_none(read: io::Result<usize>) -> io::Result<Option<usize>> {
    match read {
        Ok(received) => Ok(Some(received)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
