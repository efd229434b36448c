//! The hub: lets partners in, tells them of news, and ends them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, info, warn};

use super::board::Board;
use super::door::{Door, Place};
use super::end::End;
use super::greeting::{self, Greeting, Refusal};
use super::metrics::Metrics;
use super::names::{self, Claimed, NAMES_MAX, Names};
use super::pack::{Packer, Stamp};
use super::session::{Session, Signals};
use super::settings::Config;
use super::socket::{Held, Socket};
use super::streams::{Asked, PIECE_BYTES, Streams};
use super::{Handle, ListenError};
use crate::disk;
use crate::spool::{News, Spool};
use crate::telemetry::{LogBudget, unix_ms};

/// The rows of the ledger for partners without a name, and for streams over HTTP.
const PARTNER_ROW: &str = "partner";
const STREAM_ROW: &str = "stream";

/// How long partners may take at the end to take what is left.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Pause after partners were told of news, and how many of them make it a millisecond longer: what comes meanwhile goes
/// out together, and two hundred small writes take as long as that.
const PACE: Duration = Duration::from_millis(1);
const PACE_PARTNERS: usize = 64;

/// The partner outputs, listening and not yet accepting.
pub struct Partners {
    settings: watch::Receiver<Config>,
    door: Door,
    asked: mpsc::Receiver<Asked>,
    handle: Handle,
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) spool: Spool,
    pub(super) names: Names,
    pub(super) board: Arc<Board>,
    stamp: Stamp,
    held: Held,
    metrics: Metrics,
    pub(super) place: watch::Sender<Place>,
    news: watch::Sender<()>,
    deadline: watch::Sender<bool>,
    /// By reason: all partners are one host.
    log_budget: Mutex<LogBudget>,
}

impl Shared {
    /// Whether there may be another log line for `reason` now; then how many were kept back before it.
    fn may_log(&self, reason: &str) -> Option<u64> {
        self.log_budget.lock().expect("no code panics under this lock").take(reason, Instant::now())
    }
}

impl Partners {
    /// Listens where `settings` say, and follows them in how many there may be. Kafka must have its reader of the spool by
    /// now. `stamp` is the process's.
    ///
    /// # Errors
    /// [`ListenError`]
    pub async fn listen(
        mut settings: watch::Receiver<Config>,
        spool: Spool,
        stamp: Stamp,
        metrics: Metrics,
    ) -> Result<Partners, ListenError> {
        let config = settings.borrow_and_update().clone();
        let door = Door::of(&config).await?;
        let folder = config.data_dir.clone();
        let content = recall(folder.clone()).await;
        let shared = Shared {
            names: Names::new(spool.clone(), stamp.incarnation.clone(), folder, content.as_ref(), unix_ms()),
            spool,
            board: Arc::default(),
            stamp,
            held: Held::default(),
            metrics,
            place: watch::Sender::new(door.place()),
            news: watch::Sender::new(()),
            deadline: watch::Sender::new(false),
            log_budget: Mutex::default(),
        };
        let (streams, asked) = Streams::new();
        let handle = Handle { shared: Arc::new(shared), streams };
        if !handle.shared.names.is_empty() {
            // From here on the file must not say that the process before has ended in order: this one may not.
            save(&handle.shared).await;
        }
        Ok(Partners { settings, door, asked, handle })
    }

    /// For those who ask.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves partners until the spool is closed, and then until all have what is left, or time is up.
    pub async fn run(self) {
        let Partners { mut settings, mut door, mut asked, handle } = self;
        // Of which each that is connected has a copy.
        let seats = Arc::new(());
        let shared = handle.shared;
        let mut sessions = JoinSet::new();
        let mut ring = pin!(ring(shared.spool.news(), &shared));
        loop {
            let expiry = shared.names.expire(unix_ms());
            let accepted = tokio::select! {
                () = &mut ring => break,
                Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                    check(ended);
                    continue;
                }
                () = shared.names.changed() => {
                    save(&shared).await;
                    continue;
                }
                () = pause(expiry) => continue,
                Some(asked) = asked.recv() => {
                    sessions.spawn(stream(shared.clone(), asked));
                    continue;
                }
                accepted = door.next() => accepted,
                () = followed(&mut settings, door.retry()) => {
                    let config = settings.borrow_and_update().clone();
                    door.follow(&config).await;
                    shared.place.send_replace(door.place());
                    continue;
                }
            };
            match accepted {
                Ok((socket, peer)) => {
                    if Arc::strong_count(&seats) <= settings.borrow().partners_max {
                        sessions.spawn(attend(shared.clone(), socket, peer, seats.clone()));
                    } else {
                        let refusal = Refusal::limit();
                        refusal.tell(&socket);
                        ended(&shared, refusal.end, peer, Some(&refusal.why));
                    }
                }
                Err(error) => {
                    if let Some(suppressed) = shared.may_log("accept") {
                        warn!(suppressed, "cannot accept partners: {error}; trying again");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop((door, asked));
        shared.news.send_replace(());
        let all = async {
            while let Some(ended) = sessions.join_next().await {
                check(ended);
            }
        };
        if tokio::time::timeout(DRAIN_TIME, all).await.is_err() {
            shared.deadline.send_replace(true);
            while let Some(ended) = sessions.join_next().await {
                check(ended);
            }
        }
        let lost = shared.names.abandon();
        if lost > 0 {
            warn!(
                records = lost,
                "records that partners with a place had not taken are lost with the process"
            );
        }
        save(&shared).await;
    }
}

/// Tells sessions of news, at its pace, until there will be no more.
async fn ring(mut news: News, shared: &Shared) {
    while !shared.spool.is_closed() {
        news.wait().await;
        shared.news.send_replace(());
        let more = shared.news.receiver_count() / PACE_PARTNERS;
        tokio::time::sleep(PACE + Duration::from_millis(more as u64)).await;
    }
}

/// What the data directory has, if there is one and it answers.
async fn recall(folder: Option<PathBuf>) -> Option<names::Content> {
    let folder = folder?;
    let content = disk::patiently(move || names::read(&folder)).await;
    if content.is_none() {
        warn!("data-dir does not answer; starting without the places of partners");
    }
    content.flatten()
}

async fn save(shared: &Arc<Shared>) {
    let shared = shared.clone();
    let error = match disk::patiently(move || shared.names.save()).await {
        Some(Ok(())) => return,
        Some(Err(error)) => error.to_string(),
        None => "it does not answer".to_owned(),
    };
    warn!("the places of partners cannot be written to the data directory: {error}");
}

/// A panic in a session is the process's end.
fn check(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Returns when the settings are others, or `retry` is over.
async fn followed(settings: &mut watch::Receiver<Config>, retry: Option<Duration>) {
    tokio::select! {
        Ok(()) = settings.changed() => {}
        () = pause(retry) => {}
    }
}

/// A stream over HTTP.
async fn stream(shared: Arc<Shared>, asked: Asked) {
    let Asked { hello, pieces, permit: _permit } = asked;
    let greeting = Greeting { hello, rest: Vec::new() };
    shared.metrics.connections.inc();
    // Only a name could be refused.
    if let Ok(end) = serve(&shared, Socket::Channel(pieces), None, greeting).await {
        ended(&shared, end, None, None);
    }
    shared.metrics.connections.dec();
}

/// A connection, from the first word to the end.
async fn attend(shared: Arc<Shared>, socket: Socket, peer: Option<SocketAddr>, _seat: Arc<()>) {
    shared.metrics.connections.inc();
    let (end, why) = match greeting::hear(&socket).await {
        Ok(greeting) => match serve(&shared, socket, peer, greeting).await {
            Ok(end) => (end, None),
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

async fn serve(
    shared: &Arc<Shared>,
    socket: Socket,
    peer: Option<SocketAddr>,
    greeting: Greeting,
) -> Result<End, (Socket, Refusal)> {
    let Greeting { hello, rest } = greeting;
    // Keeps the signal from coming for those whom nobody replaces.
    let (_never, unreplaced) = oneshot::channel();
    let claimed = if let Some(name) = &hello.name {
        shared.names.claim(name, hello.start).await
    } else {
        let row = if socket.is_stream() { STREAM_ROW } else { PARTNER_ROW };
        let follower = shared.spool.follow(row, hello.start.without_place());
        Some(Claimed { follower, replaced: unreplaced, past: None })
    };
    let Some(Claimed { follower, replaced, past }) = claimed else {
        return Err((socket, Refusal::names(NAMES_MAX)));
    };
    let listed = shared.board.list(socket.protocol(), peer.map(|peer| peer.to_string()), &hello);
    let mut packer = Packer::new(hello.filter, hello.format, shared.stamp.clone());
    packer.past = past;
    packer.left = hello.bounds.records;
    if socket.is_stream() {
        packer.grant_max = PIECE_BYTES;
    }
    let session = Session {
        socket,
        follower,
        packer,
        held: shared.held.clone(),
        ack: hello.ack,
        until: hello.bounds.time.map(|time| tokio::time::Instant::now() + time),
        heard: rest,
        signals: Signals { news: shared.news.subscribe(), replaced, deadline: shared.deadline.subscribe() },
        metrics: shared.metrics.clone(),
        progress: listed.progress.clone(),
    };
    let (end, mut follower) = session.run().await;
    match &hello.name {
        Some(name) => shared.names.give_back(name, follower),
        None if end == End::Drain => _ = follower.abandon(),
        None => drop(follower),
    }
    Ok(end)
}

/// Counts and tells an end.
fn ended(shared: &Shared, end: End, peer: Option<SocketAddr>, why: Option<&str>) {
    shared.metrics.ended(end);
    match end {
        End::Left | End::Enough | End::Drain | End::Replaced => {
            debug!(?peer, reason = end.name(), "a partner has gone");
        }
        _ => {
            if let Some(suppressed) = shared.may_log(end.name()) {
                info!(?peer, reason = end.name(), why, suppressed, "a partner's connection was ended");
            }
        }
    }
}
