//! Accepts connections and spawns a task for each.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
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
use crate::accept::is_about_one_connection;
use crate::socket_file::SocketFile;
use crate::telemetry::LogBudget;
use crate::telemetry::problems::Kind;

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

/// Accepts until the drain signal, then waits for the connections to end.
pub(super) async fn run(tcp: TcpListener, unix: Option<SocketFile>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut drain = shared.drain.clone();
    let mut ticker = pin!(shared.ticker.run());
    let mut bounds = pin!(shared.registry.follow());
    loop {
        let accepted = tokio::select! {
            biased;
            () = drained(&mut drain) => break,
            () = &mut ticker => continue,
            () = &mut bounds => continue,
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
                shared.metrics.problems.note(Kind::InputAccept, &error);
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
    let all_in_use = "input-connections-max are open, all of them in use";
    shared.metrics.problems.note(Kind::InputLimit, format_args!("{name} was refused: {all_in_use}"));
    if let Some(suppressed) = shared.may_log(name, "connection_limit") {
        info!(peer = %name, suppressed, "connection refused: {all_in_use}");
    }
    None
}

/// Returns when the drain signal is given, or whoever could give it is gone.
pub(super) async fn drained(drain: &mut watch::Receiver<bool>) {
    _ = drain.wait_for(|drain| *drain).await;
}

async fn accept_unix(unix: Option<&SocketFile>) -> io::Result<Socket> {
    match unix {
        Some(file) => file.accept().await.map(Socket::Unix),
        None => std::future::pending().await,
    }
}
