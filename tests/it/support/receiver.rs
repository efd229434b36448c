//! A partner that is dialled: it listens, and takes what the collector gives to whoever it connects to.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::eventually;
use super::partner::{Partner, Socket};

/// A place to listen at.
pub(crate) enum Receiver {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Receiver {
    /// Listens on a free port of loopback.
    pub(crate) fn tcp() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("sockets can be made not to block");
        Receiver::Tcp(listener)
    }

    /// Listens at a unix socket, which is gone when this is dropped.
    pub(crate) fn unix(path: &Path) -> Receiver {
        let listener = UnixListener::bind(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        listener.set_nonblocking(true).expect("sockets can be made not to block");
        Receiver::Unix(listener, path.to_owned())
    }

    /// As the configuration has it.
    pub(crate) fn address(&self) -> String {
        match self {
            Receiver::Tcp(listener) => {
                listener.local_addr().expect("a bound socket has an address").to_string()
            }
            Receiver::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// The next connection, which the stream may not have begun on.
    pub(crate) fn next(&self) -> Partner {
        eventually("the collector connects", || self.try_next().ok_or_else(|| String::from("it does not")))
    }

    /// A connection that is there already.
    pub(crate) fn try_next(&self) -> Option<Partner> {
        let accepted: std::io::Result<Box<dyn Socket>> = match self {
            Receiver::Tcp(listener) => listener.accept().map(|(socket, _)| {
                socket.set_nonblocking(false).expect("and to block again");
                Box::new(socket) as Box<dyn Socket>
            }),
            Receiver::Unix(listener, _) => listener.accept().map(|(socket, _)| {
                socket.set_nonblocking(false).expect("and to block again");
                Box::new(socket) as Box<dyn Socket>
            }),
        };
        match accepted {
            Ok(socket) => Some(Partner::of(socket, "")),
            Err(e) if e.kind() == ErrorKind::WouldBlock => None,
            Err(e) => panic!("accept: {e}"),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Receiver::Unix(_, path) = self {
            // The folder may be gone with it.
            _ = std::fs::remove_file(path);
        }
    }
}

/// A port of loopback at which nobody listens until a program of ours does: it is nobody else's, but for those who say, as
/// servers do, that they may share it.
pub(crate) struct Port(socket2::Socket);

impl Port {
    pub(crate) fn reserve() -> Port {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("it can be shared");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a free port");
        Port(socket)
    }

    pub(crate) fn number(&self) -> u16 {
        let address = self.0.local_addr().expect("a bound socket has an address");
        address.as_socket().expect("it is one of IP").port()
    }
}
