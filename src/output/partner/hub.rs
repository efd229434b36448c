//! The hub: lets partners in, has others dialled, tells all of news, and ends them.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, info, warn};

use super::bell::Bell;
use super::board::{Board, Progress};
use super::dial::{Dials, Lines};
use super::door::{Door, Place};
use super::end::End;
use super::greeting::{self, Greeting, Refusal};
use super::hello::Hello;
use super::kept;
use super::metrics::Metrics;
use super::names::{Claimant, Claimed, NAMES_MAX, Names, NoPlace};
use super::pack::{Packer, Stamp};
use super::session::{Orders, Session, Signals};
use super::settings::Config;
use super::socket::{Held, Socket};
use super::streams::{Asked, PIECE_BYTES, Streams};
use super::target::Target;
use super::{Handle, ListenError};
use crate::disk;
use crate::pause;
use crate::spool::Spool;
use crate::telemetry::problems::Kind;
use crate::telemetry::{LogBudget, unix_ms};

/// The rows of the ledger for partners without a name, and for streams over HTTP.
const PARTNER_ROW: &str = "partner";
const STREAM_ROW: &str = "stream";

/// How long partners may take at the end to take what is left.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Why places are not written down where nothing comes back from the system.
const SLOW_DISK: &str = "it does not answer";

/// Pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    /// The partners that are to be dialled.
    pub(super) dialled: watch::Sender<Vec<Target>>,
    pub(super) dials: Dials,
    stamp: Stamp,
    held: Held,
    /// Turns of those that cost more than a write.
    costly: Arc<Semaphore>,
    pub(super) metrics: Metrics,
    pub(super) place: watch::Sender<Place>,
    /// Where records come in.
    pub(super) input: SocketAddr,
    bell: Arc<Bell>,
    deadline: watch::Sender<bool>,
    /// By reason: all partners that connect are one host. Those that are dialled have a share each.
    log_budget: Mutex<LogBudget>,
}

impl Shared {
    pub(super) fn sent_bytes(&self) -> u64 {
        self.metrics.sent_bytes.get()
    }

    /// Counts the end of a connection with `who`, which may be a problem.
    pub(super) fn count_end(&self, end: End, who: &str) {
        self.metrics.ended(end);
        if let Some(kind) = end.problem() {
            self.metrics.problems.note(kind, who);
        }
    }

    /// Whether there may be another log line for `reason` now; then how many were kept back before it.
    pub(super) fn may_log(&self, reason: &str) -> Option<u64> {
        self.log_budget.lock().expect("no code panics under this lock").take(reason, Instant::now())
    }
}

impl Partners {
    /// Listens where `settings` say, and follows them in how many there may be. Kafka must have its reader of the spool by
    /// now. Partners that are dialled have their places from here on. `stamp` is the process's, `input` is where it takes
    /// in records.
    ///
    /// # Errors
    /// [`ListenError`]
    pub async fn listen(
        mut settings: watch::Receiver<Config>,
        spool: Spool,
        stamp: Stamp,
        input: SocketAddr,
        metrics: Metrics,
    ) -> Result<Partners, ListenError> {
        let config = settings.borrow_and_update().clone();
        let door = Door::of(&config).await?;
        let folder = config.data_dir.clone();
        let content = recall(folder.clone()).await;
        let (content, now_ms, incarnation) = (content.as_ref(), unix_ms(), stamp.incarnation.clone());
        let shared = Shared {
            names: Names::new(spool.clone(), incarnation, folder, content, now_ms, &config.dialled),
            spool,
            board: Arc::default(),
            dialled: watch::Sender::new(config.dialled.clone()),
            dials: Dials::new(&config.dialled),
            stamp,
            held: Held::default(),
            costly: Arc::new(Semaphore::new(1)),
            metrics,
            place: watch::Sender::new(door.place()),
            input,
            bell: Arc::default(),
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
        let mut lines = Lines::new(shared.dialled.subscribe());
        lines.follow(&shared, &mut sessions);
        // Beside all that is done here: whoever waits for news waits for neither a disk nor a descriptor.
        let mut ring = pin!(shared.bell.ring_for(&shared.spool));
        let mut keep = pin!(keep(&shared));
        let mut accept_at: Option<Instant> = None;
        loop {
            let expiry = shared.names.expire(unix_ms());
            let accepted = tokio::select! {
                () = &mut ring => break,
                () = &mut keep => unreachable!("it goes on for ever"),
                Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                    check(ended);
                    continue;
                }
                () = pause::rest(expiry) => continue,
                () = lines.changed() => {
                    lines.follow(&shared, &mut sessions);
                    continue;
                }
                Some(asked) = asked.recv() => {
                    sessions.spawn(stream(shared.clone(), asked));
                    continue;
                }
                accepted = door.next(), if accept_at.is_none() => accepted,
                () = pause::until(accept_at) => {
                    accept_at = None;
                    continue;
                }
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
                    accept_at = Some(Instant::now() + ACCEPT_PAUSE);
                }
            }
        }
        drop((door, asked, lines));
        shared.bell.ring();
        if tokio::time::timeout(DRAIN_TIME, all_ended(&mut sessions)).await.is_err() {
            shared.deadline.send_replace(true);
            all_ended(&mut sessions).await;
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

/// What the data directory has, if there is one and it answers.
async fn recall(folder: Option<PathBuf>) -> Option<kept::Content> {
    let folder = folder?;
    let content = disk::patiently(move || kept::read(&folder)).await;
    if content.is_none() {
        warn!("data-dir does not answer; starting without the places of partners");
    }
    content.flatten()
}

/// Writes the places down whenever they have changed, one time after the other, however slow the disk is. Never returns.
async fn keep(shared: &Arc<Shared>) {
    loop {
        shared.names.changed().await;
        let saving = shared.clone();
        let slow = || not_kept(shared, SLOW_DISK);
        let saved = disk::to_the_end(move || saving.names.save(), slow).await;
        check_kept(shared, saved);
    }
}

/// Writes the places down now, if the disk answers.
async fn save(shared: &Arc<Shared>) {
    let saving = shared.clone();
    let saved = disk::patiently(move || saving.names.save()).await;
    check_kept(shared, saved);
}

fn check_kept(shared: &Shared, saved: Option<io::Result<()>>) {
    match saved {
        Some(Ok(())) => {}
        Some(Err(error)) => not_kept(shared, &error.to_string()),
        None => not_kept(shared, SLOW_DISK),
    }
}

fn not_kept(shared: &Shared, why: &str) {
    shared.metrics.problems.note(Kind::DataDirectory, format_args!("the places of partners: {why}"));
    warn!("the places of partners cannot be written to the data directory: {why}");
}

/// Returns when every session has ended.
async fn all_ended(sessions: &mut JoinSet<()>) {
    while let Some(ended) = sessions.join_next().await {
        check(ended);
    }
}

/// A panic in a session is the process's end.
fn check(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Returns when the settings are others, or `retry` is over.
async fn followed(settings: &mut watch::Receiver<Config>, retry: Option<Duration>) {
    tokio::select! {
        Ok(()) = settings.changed() => {}
        () = pause::rest(retry) => {}
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
    let mut deadline = shared.deadline.subscribe();
    let heard = tokio::select! {
        heard = greeting::hear(&socket) => heard,
        _ = deadline.wait_for(|given| *given) => Err(Refusal::ending()),
    };
    let (end, why) = match heard {
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

/// Serves somebody who has connected.
async fn serve(
    shared: &Arc<Shared>,
    socket: Socket,
    peer: Option<SocketAddr>,
    greeting: Greeting,
) -> Result<End, (Socket, Refusal)> {
    let Greeting { hello, rest } = greeting;
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
            Ok(serve_from(shared, socket, peer, Greeting { hello, rest }, claimed).await.0)
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
    let Greeting { hello, rest } = greeting;
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
fn ended(shared: &Shared, end: End, peer: Option<SocketAddr>, why: Option<&str>) {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;
    use crate::spool::{self, Framing, WhenFull};

    /// How long all may take.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_disk_that_does_not_answer_holds_no_partner() {
        let folder = tempfile::tempdir().unwrap();
        let limits = spool::Config { memory_bytes: 1 << 20, when_full: WhenFull::Auto, topics_max: 1 };
        let spool = Spool::in_memory(limits, Framing::default());
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            socket: None,
            partners_max: 8,
            dialled: Vec::new(),
            data_dir: Some(folder.path().to_owned()),
        };
        let stamp = Stamp { incarnation: "i".into(), marker: [1; 16] };
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let (_set, settings) = watch::channel(config);
        let input = "127.0.0.1:1".parse().unwrap();
        let partners = Partners::listen(settings, spool.clone(), stamp, input, metrics).await.unwrap();
        let handle = partners.handle();
        let at = handle.listen().unwrap();
        let running = tokio::spawn(partners.run());

        let (held, is_held) = oneshot::channel();
        let (free, freed) = std::sync::mpsc::channel::<()>();
        let disk = std::thread::spawn(move || {
            let _guard = handle.shared.names.hold_writing();
            held.send(()).unwrap();
            assert!(freed.recv().is_err());
        });
        is_held.await.unwrap();
        // Each has something to be written down, and would wait for the disk.
        let served = async {
            for n in 0..8 {
                let mut partner = TcpStream::connect(at).await.unwrap();
                partner.write_all(format!("{{\"name\":\"{n}\"}}\n").as_bytes()).await.unwrap();
                let mut head = [0; 4];
                partner.read_exact(&mut head).await.unwrap();
                let written: Result<_, ()> = spool.append(0, |append| {
                    append.record(b"t", 1, 1, |out| out.push(b'!'));
                    Ok(())
                });
                assert_eq!(written.unwrap().records, 1);
                let mut all = Vec::new();
                while !all.contains(&b'!') {
                    assert!(partner.read_buf(&mut all).await.unwrap() > 0);
                }
            }
        };
        timeout(PATIENCE, served).await.expect("they wait for the disk");
        drop(free);
        disk.join().unwrap();
        spool.close();
        running.await.unwrap();
        assert!(folder.path().join(kept::FILE).exists());
    }
}
