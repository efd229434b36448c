//! Accepts connections and spawns a task for each.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::connection::Connection;
use super::entry::Rules;
use super::intake::Intake;
use super::metrics::Metrics;
use super::pace::Ticker;
use super::registry::{PeerName, Registry};
use super::settings::Config;
use super::socket::Socket;
use super::turns::Turns;
use crate::telemetry::LogBudget;

/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub(super) struct Shared {
    pub(super) rules: Arc<Rules>,
    pub(super) metrics: Metrics,
    pub(super) registry: Arc<Registry>,
    pub(super) workbenches: Workbenches,
    pub(super) turns: Turns,
    pub(super) settings: watch::Receiver<Config>,
    pub(super) ticker: Ticker,
    /// True: stop reading.
    pub(super) drain: watch::Receiver<bool>,
    /// When reading on after that ends, for all connections; set by the first that hears it.
    pub(super) drain_deadline: OnceLock<tokio::time::Instant>,
    /// By host and reason.
    pub(super) log_budget: Mutex<LogBudget>,
}

impl Shared {
    /// How long a header or block may stay half sent, as it is set now.
    pub(super) fn block_timeout(&self) -> Duration {
        self.settings.borrow().block_timeout
    }

    /// Whether this peer may cause another log line for `reason` now; then how many were kept back before it. All local
    /// senders are one host, so that one's garbage must not hide another's torn blocks.
    pub(super) fn may_log(&self, peer: &PeerName, reason: &str) -> Option<u64> {
        let mut budget = self.log_budget.lock().expect("no code panics under this lock");
        budget.take(&format!("{} {reason}", peer.host()), Instant::now())
    }
}

/// Workbenches that are free. As many are made as threads work at once; each is used without waiting in between.
pub(super) struct Workbenches {
    rules: Arc<Rules>,
    free: Mutex<Vec<Intake>>,
}

impl Workbenches {
    pub(super) fn new(rules: Arc<Rules>) -> Workbenches {
        Workbenches { rules, free: Mutex::default() }
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Intake) -> T) -> T {
        let free = || self.free.lock().expect("no code panics under this lock");
        let taken = free().pop();
        let mut intake = taken.unwrap_or_else(|| Intake::new(self.rules.clone()));
        let result = work(&mut intake);
        free().push(intake);
        result
    }
}

/// The unix socket and its file, which is removed in the end.
#[derive(Debug)]
pub(super) struct SocketFile {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl SocketFile {
    /// Listens at `path`. A file that an earlier process left is replaced; one that somebody listens at is not.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn bind(path: &Path) -> io::Result<SocketFile> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if !is_left_behind(path).await {
                    return Err(error);
                }
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => UnixListener::bind(path)?,
                }
            }
            result => result?,
        };
        // As open to local processes as the TCP port is.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(SocketFile { listener, path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the file is a socket that nobody listens at, or is gone by now. Never a file of somebody's; and a socket that
/// cannot be reached, such as one whose queue is full or that we may not use, may well be listened at.
async fn is_left_behind(path: &Path) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => return false,
        _ => {}
    }
    let connected = UnixStream::connect(path).await;
    connected.is_err_and(|error| matches!(error.kind(), ConnectionRefused | NotFound))
}

/// Accepts until the drain signal, then waits for the connections to end.
pub(super) async fn run(tcp: TcpListener, unix: Option<SocketFile>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut drain = shared.drain.clone();
    let mut ticker = pin!(shared.ticker.run());
    loop {
        let accepted = tokio::select! {
            biased;
            () = drained(&mut drain) => break,
            () = &mut ticker => continue,
            // Keeps the set from growing with what has ended; a panic in a connection is the process's end.
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended { std::panic::resume_unwind(error.into_panic()) }
                continue;
            }
            accepted = tcp.accept() => accepted.map(|(stream, peer)| (Socket::Tcp(stream), PeerName::Tcp(peer))),
            accepted = accept_unix(unix.as_ref()) => accepted.map(|socket| (socket, PeerName::Unix)),
        };
        match accepted {
            Ok((socket, name)) => {
                if let Some(connection) = admit(socket, &name, &shared) {
                    connections.spawn(connection.run());
                }
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                shared.metrics.accept_failed();
                let peer = PeerName::Tcp(SocketAddr::from(([0, 0, 0, 0], 0)));
                if let Some(suppressed) = shared.may_log(&peer, "accept") {
                    warn!(suppressed, "cannot accept connections: {error}; trying again");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((tcp, unix));
    while let Some(ended) = connections.join_next().await {
        if let Err(error) = ended {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

fn admit(socket: Socket, name: &PeerName, shared: &Arc<Shared>) -> Option<Connection> {
    if let Socket::Tcp(stream) = &socket {
        // A sender on a host that vanished must not stay for ever; where this fails it stays longer.
        _ = socket2::SockRef::from(stream).set_keepalive(true);
    }
    shared.metrics.opened();
    if let Some(registration) = shared.registry.register(name.clone(), Instant::now()) {
        return Some(Connection { socket, registration, shared: shared.clone() });
    }
    socket.reset_on_close();
    shared.metrics.ended("connection_limit");
    if let Some(suppressed) = shared.may_log(name, "connection_limit") {
        info!(peer = %name, suppressed, "connection refused: input-connections-max are open, all of them in use");
    }
    None
}

/// Returns when the drain signal is given, or whoever could give it is gone.
pub(super) async fn drained(drain: &mut watch::Receiver<bool>) {
    _ = drain.wait_for(|drain| *drain).await;
}

async fn accept_unix(unix: Option<&SocketFile>) -> io::Result<Socket> {
    match unix {
        Some(file) => file.listener.accept().await.map(|(stream, _)| Socket::Unix(stream)),
        None => std::future::pending().await,
    }
}

/// Errors of a connection that ended before it was accepted; the listener is fine.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, SockAddr, Type};

    use super::*;

    async fn bind(path: &Path) -> Result<SocketFile, io::ErrorKind> {
        SocketFile::bind(path).await.map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_at_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let file = bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_may_be_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.sock");
        let socket = || socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let address = SockAddr::unix(&path).unwrap();
        let listener = socket();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        let check = async || assert_eq!(bind(&path).await.err(), Some(io::ErrorKind::AddrInUse));
        check().await;

        let mut waiting = Vec::new();
        let full = loop {
            let sender = socket();
            sender.set_nonblocking(true).unwrap();
            match sender.connect(&address) {
                Ok(()) => waiting.push(sender),
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(full, io::ErrorKind::WouldBlock);
        check().await;

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        check().await;
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
