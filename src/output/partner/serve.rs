//! One connection, whoever began it: its place is taken, a session serves it, the place is given back, and its end is told.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::{debug, info};

use super::board::Progress;
use super::end::End;
use super::greeting::{self, Greeting, Refusal};
use super::hello::Hello;
use super::hub::Shared;
use super::names::{Claimant, Claimed, NAMES_MAX, NoPlace};
use super::pack::Packer;
use super::session::{Orders, Session, Signals};
use super::socket::Socket;
use super::streams::{Asked, PIECE_BYTES};

/// The rows of the ledger for partners without a name, and for streams over HTTP.
const PARTNER_ROW: &str = "partner";
const STREAM_ROW: &str = "stream";

/// A stream over HTTP.
pub(super) async fn stream(shared: Arc<Shared>, asked: Asked) {
    let Asked { hello, pieces, permit: _permit } = asked;
    let greeting = Greeting { hello, ..Greeting::default() };
    shared.metrics.connections.inc();
    // Only a name could be refused.
    if let Ok(end) = serve(&shared, Socket::Channel(pieces), None, greeting).await {
        ended(&shared, end, None, None);
    }
    shared.metrics.connections.dec();
}

/// A connection, from the first word to the end.
pub(super) async fn attend(shared: Arc<Shared>, socket: Socket, peer: Option<SocketAddr>, _seat: Arc<()>) {
    shared.metrics.connections.inc();
    let mut deadline = shared.deadline.subscribe();
    let heard = tokio::select! {
        heard = greeting::hear(&socket) => heard,
        _ = deadline.wait_for(|given| *given) => Err(Refusal::ending()),
    };
    let (end, why) = match heard {
        Ok(greeting) => match serve(&shared, socket, peer, greeting).await {
            Ok(end) => (end, (end == End::BadHello).then(|| greeting::LATE.to_owned())),
            Err((socket, refusal)) => {
                refusal.tell(&socket);
                (refusal.end, Some(refusal.why))
            }
        },
        Err(refusal) => {
            refusal.tell(&socket);
            (refusal.end, Some(refusal.why))
        }
    };
    shared.metrics.connections.dec();
    ended(&shared, end, peer, why.as_deref());
}

/// Serves somebody who has connected.
async fn serve(
    shared: &Arc<Shared>,
    socket: Socket,
    peer: Option<SocketAddr>,
    greeting: Greeting,
) -> Result<End, (Socket, Refusal)> {
    let hello = &greeting.hello;
    // Keeps the signal from coming for those whom nobody sends away.
    let (_never, sent_away) = oneshot::channel();
    let claimed = if let Some(name) = &hello.name {
        shared.names.claim(name, hello.start, Claimant::Caller).await
    } else {
        let row = if socket.is_stream() { STREAM_ROW } else { PARTNER_ROW };
        let follower = shared.spool.follow(row, hello.start.without_place());
        Ok(Claimed { id: 0, follower, sent_away, past: None })
    };
    match claimed {
        Ok(claimed) => {
            let peer = peer.map(|peer| peer.to_string());
            Ok(serve_from(shared, socket, peer, greeting, claimed).await.0)
        }
        Err(NoPlace::Dialled) => Err((socket, Refusal::dialled())),
        Err(NoPlace::TooMany) => Err((socket, Refusal::names(NAMES_MAX))),
        Err(NoPlace::NotDialled) => unreachable!("that is said to whoever dials"),
    }
}

/// Serves a connection from its place on, which it gives back in the end.
pub(super) async fn serve_from(
    shared: &Arc<Shared>,
    socket: Socket,
    peer: Option<String>,
    greeting: Greeting,
    place: Claimed,
) -> (End, Arc<Progress>) {
    let Greeting { hello, rest, silent } = greeting;
    let Claimed { id, follower, sent_away, past } = place;
    let called = hello.name.clone().or_else(|| peer.clone()).unwrap_or_else(|| socket.protocol().to_owned());
    let listed = shared.board.list(socket.protocol(), peer, &hello);
    let Hello { name, filter, format, ack, bounds, .. } = hello;
    let mut packer = Packer::new(filter, format, shared.stamp.clone());
    packer.past.clone_from(&past);
    packer.left = bounds.records;
    if socket.is_stream() {
        packer.grant_max = PIECE_BYTES;
    }
    let _promptness = shared.spool.hurry();
    let session = Session {
        socket,
        follower,
        packer,
        held: shared.held.clone(),
        costly: shared.costly.clone(),
        ack,
        until: bounds.time.map(|time| tokio::time::Instant::now() + time),
        heard: rest,
        silent,
        signals: Signals {
            news: shared.bell.listen(),
            orders: Orders { sent_away, deadline: shared.deadline.subscribe() },
        },
        metrics: shared.metrics.clone(),
        progress: listed.progress.clone(),
        called,
    };
    let (end, mut follower) = session.run().await;
    // It stands before all else that the other side can be done with.
    let untold = past.filter(|_| listed.progress.done() == 0);
    match name {
        Some(name) => shared.names.give_back(&name, id, follower, untold),
        None if end == End::Drain => _ = follower.abandon(),
        None => drop(follower),
    }
    (end, listed.progress.clone())
}

/// Counts and tells the end of somebody who had connected.
pub(super) fn ended(shared: &Shared, end: End, peer: Option<SocketAddr>, why: Option<&str>) {
    let at = peer.map_or_else(|| "unix socket or HTTP".to_owned(), |peer| peer.to_string());
    shared.count_end(end, &why.map_or_else(|| at.clone(), |why| format!("{at}: {why}")));
    match end {
        End::Left | End::Enough | End::Drain | End::Replaced | End::Removed => {
            debug!(?peer, reason = end.name(), "a partner has gone");
        }
        _ => {
            if let Some(suppressed) = shared.may_log(end.name()) {
                info!(?peer, reason = end.name(), why, suppressed, "a partner's connection was ended");
            }
        }
    }
}
