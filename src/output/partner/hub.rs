//! The hub: lets partners in, has others dialled, tells all of news, and ends them.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::warn;

use super::bell::Bell;
use super::board::Board;
use super::dial::{Dials, Lines};
use super::door::{Door, Place};
use super::end::End;
use super::greeting::Refusal;
use super::kept;
use super::metrics::Metrics;
use super::names::Names;
use super::pack::Stamp;
use super::serve::{attend, ended, stream};
use super::settings::Config;
use super::socket::Held;
use super::streams::{Asked, Streams};
use super::target::Target;
use super::{Handle, ListenError};
use crate::disk;
use crate::pause;
use crate::spool::Spool;
use crate::telemetry::problems::Kind;
use crate::telemetry::{LogBudget, unix_ms};

/// How long partners may take at the end to take what is left.
const DRAIN_TIME: Duration = Duration::from_secs(2);

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
    pub(super) stamp: Stamp,
    pub(super) held: Held,
    /// Turns of those that cost more than a write.
    pub(super) costly: Arc<Semaphore>,
    pub(super) metrics: Metrics,
    pub(super) place: watch::Sender<Place>,
    /// Where records come in.
    pub(super) input: SocketAddr,
    pub(super) bell: Arc<Bell>,
    pub(super) deadline: watch::Sender<bool>,
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
        let slow = || not_kept(shared, disk::NO_ANSWER);
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
        None => not_kept(shared, disk::NO_ANSWER),
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
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
                let mut magic = [0; 4];
                partner.read_exact(&mut magic).await.unwrap();
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
