//! Where partners connect: there while any may (`partners-max`).

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;
use tracing::warn;

use super::ListenError;
use super::settings::Config;
use super::socket::Socket;
use crate::socket_file::SocketFile;
use crate::telemetry::chain;

/// Where one could not listen that was to be opened while the program runs, it is tried again after this.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// The listeners, if it is open.
#[derive(Debug, Default)]
pub(super) struct Door {
    tcp: Option<TcpListener>,
    unix: Option<SocketFile>,
    /// Where that is, the real port included.
    place: Place,
    /// It should be open, and could not be opened.
    is_stuck: bool,
}

/// Where partners find it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) listen: Option<SocketAddr>,
    pub(super) socket: Option<PathBuf>,
}

impl Door {
    /// Opens it, or leaves it closed, as `config` has it.
    pub(super) async fn of(config: &Config) -> Result<Door, ListenError> {
        if config.partners_max == 0 {
            return Ok(Door::default());
        }
        let failed = |error| ListenError::Tcp(config.listen, error);
        let tcp = TcpListener::bind(config.listen).await.map_err(failed)?;
        let listen = Some(tcp.local_addr().map_err(failed)?);
        let unix = match &config.socket {
            Some(path) => {
                let bound = SocketFile::bind(path).await;
                Some(bound.map_err(|error| ListenError::Unix(path.clone(), error))?)
            }
            None => None,
        };
        let place = Place { listen, socket: unix.as_ref().map(|file| file.path().to_owned()) };
        Ok(Door { tcp: Some(tcp), unix, place, is_stuck: false })
    }

    /// Opens or closes it where `config` has it otherwise than it is.
    pub(super) async fn follow(&mut self, config: &Config) {
        let is_open = self.tcp.is_some();
        if is_open == (config.partners_max > 0) {
            self.is_stuck = false;
            return;
        }
        match Door::of(config).await {
            Ok(door) => *self = door,
            Err(error) => {
                if !self.is_stuck {
                    warn!("{}; trying again every {RETRY:?}", chain(&error));
                }
                self.is_stuck = true;
            }
        }
    }

    /// After what time to [follow](Door::follow) again, if at all.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.is_stuck.then_some(RETRY)
    }

    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// The next who comes. Cancel safe.
    pub(super) async fn next(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        tokio::select! {
            accepted = accept_tcp(self.tcp.as_ref()) => accepted,
            accepted = accept_unix(self.unix.as_ref()) => accepted,
        }
    }
}

async fn accept_tcp(tcp: Option<&TcpListener>) -> io::Result<(Socket, Option<SocketAddr>)> {
    let Some(listener) = tcp else { return std::future::pending().await };
    let (stream, peer) = listener.accept().await?;
    // A few records are to go out at once; where that fails they go out later.
    _ = stream.set_nodelay(true);
    _ = socket2::SockRef::from(&stream).set_keepalive(true);
    Ok((Socket::tcp(stream), Some(peer)))
}

async fn accept_unix(unix: Option<&SocketFile>) -> io::Result<(Socket, Option<SocketAddr>)> {
    match unix {
        Some(file) => file.accept().await.map(|stream| (Socket::Unix(stream), None)),
        None => std::future::pending().await,
    }
}
