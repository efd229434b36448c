//! The accept loop.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::pin::pin;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::accept::Acceptor;
use super::connection::{self, Context, Times};
use super::guard::Peer;
use super::metrics::Metrics;
use super::problem::{self, Problem};
use super::reason::Reason;
use super::routes;
use super::seats::{Admission, Seats};
use super::settings::Config;
use crate::control::Control;

/// Serves HTTP on `listener` by `settings`, which may change, until `shutdown`, then lets requests end that are under way, for 2 s at most.
///
/// Each connection has a task. None can hold up another, or the accepting: what is too much takes the place of one that
/// waits, or is refused at once.
pub async fn serve(
    listener: TcpListener,
    settings: watch::Receiver<Config>,
    control: Control,
    metrics: Metrics,
    shutdown: impl Future<Output = ()>,
) {
    serve_with(listener, settings, control, metrics, shutdown, Times::default()).await;
}

/// [`serve`] with other times.
pub(super) async fn serve_with(
    listener: TcpListener,
    mut settings: watch::Receiver<Config>,
    control: Control,
    metrics: Metrics,
    shutdown: impl Future<Output = ()>,
    times: Times,
) {
    let connections_max = settings.borrow_and_update().connections_max;
    let mut seats = Seats::new(connections_max, metrics.connections.clone());
    let (end, ending) = watch::channel(());
    let router = routes::router(control, settings.clone(), metrics.clone());
    let context = Context { router, metrics, times, ending };
    let mut acceptor = Acceptor::new(listener);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            Ok(()) = settings.changed() => {
                seats.set_max(settings.borrow_and_update().connections_max, Instant::now());
                continue;
            }
            accepted = acceptor.next() => accepted,
        };
        let Some(Admission { seat, evicted }) = seats.take(Peer(peer).is_local(), Instant::now()) else {
            refuse(stream, peer, &context.metrics);
            continue;
        };
        if let Some(gone) = evicted {
            // It goes as soon as its task runs; until then there is one descriptor more than there should be.
            _ = gone.await;
        }
        connections.spawn(connection::run(stream, peer, context.clone(), seat));
    }
    drop(acceptor);
    drop(end);
    // Every connection ends by its own clock.
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// A panic in a handler costs its connection. The hook has shown it; this says what it cost.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = %error, "an HTTP connection was dropped because its task failed");
    }
}

/// Says 503 if the socket takes it at once, and closes it.
pub(super) fn refuse(stream: TcpStream, peer: SocketAddr, metrics: &Metrics) {
    metrics.refused(Reason::ConnectionLimit);
    tracing::debug!(%peer, reason = Reason::ConnectionLimit.name(), "refused an HTTP connection");
    let Some(body) = Problem::of(Reason::ConnectionLimit).map(|problem| problem.text()) else { return };
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {}\r\nContent-Length: {}\r\nRetry-After: 1\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n",
        problem::CONTENT_TYPE,
        body.len(),
    );
    // Whether the peer gets to see why is its luck: nothing here may wait for it. The socket stays non-blocking
    // outside of tokio, and outside it can be written to before the event loop has seen it once.
    let Ok(mut stream) = stream.into_std() else { return };
    // What has already arrived is taken, or the close would be a reset that can overtake the answer.
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write([head.as_bytes(), body.as_bytes()].concat().as_slice());
}
