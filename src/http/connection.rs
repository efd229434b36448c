//! One connection, from its first byte to its last, with a limit on everything.
//!
//! What is HTTP enough to become a request gets its answer from the router. What is not gets hyper's bare status line
//! without a body (400, or 431 for a header that is too large), and then the connection ends.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::guard::Peer;
use super::metrics::Metrics;
use super::patient::Patient;
use super::reason::Reason;
use super::seats::Seat;
use super::streaming::Closing;

/// Header fields of a request at most.
const HEADERS_MAX: usize = 64;

/// Bytes of a request's line and header at most. It is also the size that a connection's read buffer may grow to.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// How long the sides of a connection may take.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// For a request's whole header, counted from the end of the answer before, so that it is also how long a
    /// connection may idle.
    ///
    /// Not a round number: a scraper that asks every 10 or 15 seconds would find its connection closed in the moment
    /// that it asks again.
    pub(super) header: Duration,
    /// For the client to take any more of an answer.
    pub(super) stall: Duration,
    /// For the connection as a whole: after this it ends with its present request.
    pub(super) age: Duration,
    /// For that present request, at the connection's or at the server's end.
    pub(super) grace: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            header: Duration::from_secs(12),
            stall: Duration::from_secs(10),
            age: Duration::from_secs(600),
            grace: Duration::from_secs(2),
        }
    }
}

/// What a connection is made with.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) router: Router,
    pub(super) metrics: Metrics,
    pub(super) times: Times,
    /// Changes when the server is to end.
    pub(super) ending: watch::Receiver<()>,
}

/// Serves `peer` over `io` until either side ends it, a limit does, or its seat is needed.
pub(super) async fn run<I>(io: I, peer: SocketAddr, context: Context, seat: Seat)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let Context { router, metrics, times, mut ending } = context;
    let Seat { place, mut leave } = seat;
    let (close, closing) = watch::channel(false);
    let io = TokioIo::new(Patient::new(io, times.stall, Arc::clone(&place)));
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(Closing(closing.clone()));
        place.asked();
        let (answer, place) = (router.clone().oneshot(request), Arc::clone(&place));
        async move {
            let answer = answer.await;
            place.answered();
            answer
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.header)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEADER_BYTES_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(io, service);

    let mut age = pin!(sleep(times.age));
    let (outcome, overdue) = tokio::select! {
        outcome = &mut connection => (Some(outcome), None),
        () = &mut age => (None, Some(Reason::ConnectionAge)),
        _ = &mut leave => (None, Some(Reason::ConnectionLimit)),
        _ = ending.changed() => (None, None),
    };
    // One whose seat is needed waits for its peer, so that there is nothing to be ended in grace.
    let outcome = if outcome.is_some() || overdue == Some(Reason::ConnectionLimit) {
        outcome
    } else {
        close.send_replace(true);
        Pin::new(&mut connection).graceful_shutdown();
        tokio::select! {
            outcome = timeout(times.grace, &mut connection) => outcome.ok(),
            _ = leave => None,
        }
    };
    let unanswered = connection.into_parts().io.inner().is_unanswered();
    let reason = match &outcome {
        Some(Ok(())) => None,
        Some(Err(error)) => reason_of(error, unanswered),
        None => overdue,
    };
    if let Some(reason) = reason {
        metrics.refused(reason);
        tracing::debug!(%peer, reason = reason.name(), "ended an HTTP connection");
    }
}

/// What a connection's error says of the peer; none where the peer simply left.
fn reason_of(error: &hyper::Error, unanswered: bool) -> Option<Reason> {
    if error.is_parse_too_large() {
        return Some(Reason::HeadersTooLarge);
    }
    if error.is_parse() {
        return Some(Reason::Malformed);
    }
    let stalled = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    if stalled.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        return Some(Reason::WriteStalled);
    }
    // An idle connection is closed by the same clock, which is nobody's fault.
    (error.is_timeout() && unanswered).then_some(Reason::HeaderTimeout)
}
