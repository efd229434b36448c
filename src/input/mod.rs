//! Metrics from local processes: object container streams over TCP and a unix socket.
//!
//! # What it promises
//! * It reads promptly. Senders drop what they cannot write, and a slow reader makes the Mesos module tear its own stream,
//!   so a socket is read whenever the spool has room, and nothing else holds a read up: no output, no name look-up,
//!   no other connection. A few kilobytes on a quiet connection may wait for `input-linger`, in a socket that has room
//!   for many times as much; not while a partner is connected. Where `input-limit-amount-kbytes` is set, a connection
//!   over it is not read for a while; it alone waits, and nothing of it is dropped here.
//! * Records of a container that the agent has not named yet may be set apart for a moment, and no others with them; the
//!   page of `apart` says how. The agent's own metrics, and those that it keeps of containers, come in beside those that are
//!   sent: see [`agent`].
//! * A record is accepted when its block has come whole, its marker is in place, and its count and size agree; it is in
//!   the spool at once. A torn or bad block is refused as a whole, and the stream goes on behind it.
//! * It costs what is there, not what a peer claims, and no peer has the thread for itself: a turn ends when its blocks
//!   have become a few megabytes, however few bytes they were sent in. One read buffer serves all connections; what a connection keeps
//!   between reads are the bytes of its half-sent block, at most `input-block-bytes-max`, and over all connections
//!   an eighth of `memory-limit`, also where that is set to less than they have. Over that, connections that never sent a
//!   whole block end, the largest first; one that has, only where none of those holds anything.
//! * A session is precious to its sender and is not ended without need: silence, blocks of no records, refused blocks
//!   and records do not end it, nor does what looks like the beginning of a block behind a torn one. What does: a stream
//!   that cannot be read at all, a header or block that stays half sent for `input-block-timeout`, and want of room
//!   while it has sent nothing. It is then reset rather than closed, which costs the sender one block instead of two.
//! * Every refusal has a reason from a closed list, a counter, and a log line within a budget per peer host.

pub mod agent;
mod allowance;
mod apart;
mod blame;
mod connection;
mod end;
mod entry;
mod intake;
mod listener;
mod low_water;
mod metrics;
mod pace;
mod record_log;
mod registry;
mod settings;
mod socket;
mod tally;
mod turns;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use metrics::Metrics;
pub use settings::Config;

pub use agent::Poller;

use crate::control::{InputStatus, SenderStatus};
use crate::dcos::agent::Agent;
use crate::enrich::Enricher;
use crate::ocf::PlanCache;
use crate::socket_file::SocketFile;
use crate::spool::Spool;
use crate::telemetry::LogBudget;
use apart::Apart;
use entry::Rules;
use listener::{Shared, Workbenches};
use pace::Ticker;
use registry::Registry;
use turns::Turns;

/// Half-sent headers and blocks may have this part of `memory-limit`.
const CARRIED_PART: usize = 8;

/// Records that are set apart may have this part of `memory-limit`.
const APART_PART: usize = 32;

/// The input, listening and not yet accepting.
pub struct Input {
    tcp: TcpListener,
    unix: Option<SocketFile>,
    shared: Arc<Shared>,
    handle: Handle,
}

/// Asks the input.
#[derive(Clone)]
pub struct Handle {
    listen: SocketAddr,
    socket: Option<PathBuf>,
    shared: Arc<Shared>,
}

/// Why the input cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// At the TCP address.
    #[error("cannot listen on {0} (listen-endpoint)")]
    Tcp(SocketAddr, #[source] io::Error),
    /// At the unix socket.
    #[error("cannot listen on {0:?} (listen-socket)")]
    Unix(PathBuf, #[source] io::Error),
}

impl Input {
    /// Listens where `settings` say, and follows them in all else. True from `drain` ends it.
    ///
    /// # Errors
    /// [`ListenError`]: the address or path is taken, or may not be used.
    pub async fn listen(
        settings: watch::Receiver<Config>,
        enricher: Enricher,
        spool: Spool,
        metrics: Metrics,
        drain: watch::Receiver<bool>,
    ) -> Result<Input, ListenError> {
        let config = settings.borrow().clone();
        let tcp =
            TcpListener::bind(config.listen).await.map_err(|error| ListenError::Tcp(config.listen, error))?;
        let unix = match &config.socket {
            Some(path) => {
                Some(SocketFile::bind(path).await.map_err(|error| ListenError::Unix(path.clone(), error))?)
            }
            None => None,
        };
        let registry = Arc::new(Registry::new(settings.clone()));
        let rules = Arc::new(Rules {
            settings: settings.clone(),
            plans: PlanCache::new(),
            enricher,
            spool,
            apart: Apart::new(settings.clone()),
        });
        let shared = Arc::new(Shared {
            metrics,
            registry,
            workbenches: Workbenches::new(rules.clone()),
            rules,
            turns: Turns::new(),
            ticker: Ticker::new(settings.clone()),
            settings,
            drain,
            drain_deadline: OnceLock::new(),
            log_budget: Mutex::new(LogBudget::default()),
        });
        let handle = Handle {
            listen: tcp.local_addr().map_err(|error| ListenError::Tcp(config.listen, error))?,
            socket: unix.as_ref().map(|file| file.path().to_owned()),
            shared: shared.clone(),
        };
        Ok(Input { tcp, unix, shared, handle })
    }

    /// For those who ask.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until the drain signal, and then until every connection has ended.
    pub async fn run(self) {
        let shared = self.shared.clone();
        let apart = apart::run(shared.rules.clone(), shared.metrics.clone(), shared.drain.clone());
        tokio::join!(listener::run(self.tcp, self.unix, self.shared), apart);
    }
}

impl Handle {
    /// What polls `agent` and enters its metrics beside those that are sent.
    #[must_use]
    pub fn poller(&self, agent: Agent) -> Poller {
        Poller::new(agent, self.shared.clone())
    }

    /// Where it listens, the real port included.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Whether it has been told to stop, and takes no connections any more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.shared.drain.borrow()
    }

    /// The unix socket.
    #[must_use]
    pub fn socket(&self) -> Option<&PathBuf> {
        self.socket.as_ref()
    }

    /// The program's byte budget.
    #[must_use]
    pub fn memory_limit(&self) -> usize {
        self.shared.settings.borrow().memory_limit
    }

    /// Bytes of half-sent headers and blocks, and of records that are set apart.
    #[must_use]
    pub fn carried_bytes(&self) -> usize {
        self.shared.registry.carried() + self.shared.rules.apart.bytes()
    }

    /// Who is connected, at most so many: those that have sent most.
    #[must_use]
    pub fn senders(&self, most: usize) -> Vec<SenderStatus> {
        self.shared.registry.senders(most)
    }

    /// Numbers as they are.
    #[must_use]
    pub fn status(&self) -> InputStatus {
        let Shared { metrics, registry, rules, .. } = &*self.shared;
        let sums = metrics.sums();
        InputStatus {
            listen: Some(self.listen),
            socket: self.socket.clone(),
            connections: sums.connections,
            connections_max: registry.connections_max(),
            accepted_records: sums.records,
            accepted_datapoints: sums.datapoints,
            received_bytes: sums.bytes,
            refused_records: sums.refused_records,
            refused_blocks: sums.refused_blocks,
            closed_connections: sums.closed,
            held: rules.spool.snapshot().held,
            apart_records: rules.apart.records(),
            apart_bytes: rules.apart.bytes(),
            enrichment: metrics.enrichment(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    use super::*;
    use crate::ocf::testing::{PLAIN, numbered, write_block, write_header, write_record};
    use crate::ocf::varint;
    use crate::{enrich, spool};

    const MARKER: [u8; 16] = *b"FEFEFEFEFEFEFEFE";

    /// An input that nothing holds back, and its spool.
    async fn input(drain: watch::Receiver<bool>) -> (Input, Spool) {
        input_of(10, drain).await
    }

    async fn input_of(connections_max: usize, drain: watch::Receiver<bool>) -> (Input, Spool) {
        let connections_max = connections_max.try_into().unwrap();
        input_with(Config { connections_max, ..Config::for_tests() }, drain).await
    }

    async fn input_with(config: Config, drain: watch::Receiver<bool>) -> (Input, Spool) {
        input_following(watch::channel(config).1, drain).await
    }

    async fn input_following(
        settings: watch::Receiver<Config>,
        drain: watch::Receiver<bool>,
    ) -> (Input, Spool) {
        let spool_config =
            spool::Config { memory_bytes: 32 << 20, when_full: spool::WhenFull::DropOldest, topics_max: 10 };
        let spool = Spool::in_memory(spool_config, spool::Framing::default());
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let enricher = Enricher::fixed(&enrich::Config::default());
        (Input::listen(settings, enricher, spool.clone(), metrics, drain).await.unwrap(), spool)
    }

    /// A stream of blocks of four records that are small as sent, and almost 4 MiB when decompressed.
    fn large_blocks(blocks: usize) -> Vec<u8> {
        let mut record = numbered("t", 1);
        record.tags[0].value = vec![b'v'; 1_000_000];
        let mut body = Vec::new();
        (0..4).for_each(|_| write_record(&record, PLAIN, &mut body));
        let body = zstd::bulk::compress(&body, 3).unwrap();
        let mut bytes = Vec::new();
        write_header(&MARKER, Some("zstandard"), &mut bytes);
        for _ in 0..blocks {
            varint::write_long(4, &mut bytes);
            varint::write_bytes(&body, &mut bytes);
            bytes.extend(MARKER);
        }
        bytes
    }

    /// A stream that ends within its first block, in so many bytes.
    fn half_sent(bytes: usize) -> Vec<u8> {
        let mut half = Vec::new();
        write_header(&MARKER, None, &mut half);
        varint::write_long(1, &mut half);
        varint::write_long(1_000_000, &mut half);
        half.resize(bytes, b'x');
        half
    }

    /// Lets the other tasks, which are all on this thread, have their turns until `so`.
    async fn turns_until(mut so: impl FnMut() -> bool) {
        let begun = std::time::Instant::now();
        while !so() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it never is so");
            tokio::task::yield_now().await;
        }
    }

    /// The same until `so` of the records that were accepted.
    async fn until(spool: &Spool, mut so: impl FnMut(u64) -> bool) {
        turns_until(|| so(spool.snapshot().accepted)).await;
    }

    #[tokio::test]
    async fn others_have_their_turn_behind_each_large_block_of_a_read() {
        const BLOCKS: usize = 30;
        let (_stays, drain) = watch::channel(false);
        let (input, spool) = input(drain).await;
        let mut sender = TcpStream::connect(input.handle().listen()).await.unwrap();
        sender.write_all(&large_blocks(BLOCKS)).await.unwrap();
        let input = tokio::spawn(input.run());
        let mut before = 0;
        until(&spool, |accepted| {
            assert!(accepted <= before + 4, "{before} records were accepted, and then {accepted}");
            before = accepted;
            accepted == 4 * BLOCKS as u64
        })
        .await;
        input.abort();
    }

    #[tokio::test]
    async fn half_sent_blocks_that_come_all_at_once_are_held_within_their_bound() {
        const SENDERS: usize = 60;
        let (_stays, drain) = watch::channel(false);
        let (input, _spool) = input_of(SENDERS, drain).await;
        let handle = input.handle();
        let half = half_sent(300_000);
        // What the system keeps for a socket that nobody reads yet is as much as a sender gets rid of.
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let mut sender = std::net::TcpStream::connect(handle.listen()).unwrap();
                sender.set_nonblocking(true).unwrap();
                let sent = sender.write(&half).unwrap();
                (sender, sent)
            })
            .collect();
        let bound = (64 << 20) / CARRIED_PART;
        assert!(senders.iter().map(|(_, sent)| sent).sum::<usize>() > 2 * bound);
        let input = tokio::spawn(input.run());
        let mut most = 0;
        turns_until(|| {
            most = most.max(handle.carried_bytes());
            handle.status().closed_connections >= SENDERS as u64 / 2
        })
        .await;
        assert!(most <= bound + intake::READ_BYTES, "{most} bytes were held, {bound} are the bound");
        input.abort();
    }

    #[tokio::test]
    async fn the_input_goes_on_where_less_may_be_held_than_is() {
        let (_stays, drain) = watch::channel(false);
        let (set, settings) = watch::channel(Config::for_tests());
        let (input, spool) = input_following(settings, drain).await;
        let handle = input.handle();
        let input = tokio::spawn(input.run());
        let mut half = TcpStream::connect(handle.listen()).await.unwrap();
        half.write_all(&half_sent(500_000)).await.unwrap();
        turns_until(|| handle.carried_bytes() >= 400_000).await;
        set.send_modify(|config| config.memory_limit = 400_000 * CARRIED_PART);
        let mut whole = TcpStream::connect(handle.listen()).await.unwrap();
        let mut bytes = Vec::new();
        write_header(&MARKER, None, &mut bytes);
        write_block(&[numbered("t", 1)], PLAIN, &MARKER, &mut bytes);
        whole.write_all(&bytes).await.unwrap();
        until(&spool, |accepted| accepted == 1).await;
        input.abort();
    }

    #[tokio::test]
    async fn others_have_their_turn_while_a_sender_never_pauses() {
        const RECORD_BYTES: usize = 10_000;
        let (_stays, drain) = watch::channel(false);
        let (input, spool) = input(drain).await;
        let mut sender = std::net::TcpStream::connect(input.handle().listen()).unwrap();
        let mut record = numbered("t", 1);
        record.tags[0].value = vec![b'v'; RECORD_BYTES];
        let mut block = Vec::new();
        write_block(&vec![record; 10], PLAIN, &MARKER, &mut block);
        let mut header = Vec::new();
        write_header(&MARKER, None, &mut header);
        let sender = std::thread::spawn(move || {
            let mut result = sender.write_all(&header);
            while result.is_ok() {
                result = sender.write_all(&block);
            }
        });
        let input = tokio::spawn(input.run());
        let mut before = 0;
        until(&spool, |accepted| {
            let more = (accepted - before) as usize * RECORD_BYTES;
            assert!(more <= 3 << 20, "{more} bytes of one connection were read on");
            before = accepted;
            accepted > 5000
        })
        .await;
        input.abort();
        _ = input.await;
        sender.join().unwrap();
    }
    #[tokio::test]
    async fn no_connection_is_quiet_while_somebody_wants_records_at_once() {
        let (_stays, drain) = watch::channel(false);
        // Long enough for a few writes to come within it.
        let config = Config { linger: Duration::from_secs(60), ..Config::for_tests() };
        let (input, spool) = input_with(config, drain).await;
        let shared = input.shared.clone();
        let mut sender = TcpStream::connect(input.handle().listen()).await.unwrap();
        let mut header = Vec::new();
        write_header(&MARKER, None, &mut header);
        sender.write_all(&header).await.unwrap();
        let block = |records| {
            let mut block = Vec::new();
            write_block(&vec![numbered("t", 1); records], PLAIN, &MARKER, &mut block);
            block
        };
        let input = tokio::spawn(input.run());
        let mut all = 0;
        let mut send = async |records: usize| {
            sender.write_all(&block(records)).await.unwrap();
            all += records as u64;
            until(&spool, |accepted| accepted == all).await;
        };
        let promptness = spool.hurry();
        for _ in 0..5 {
            send(1).await;
            assert!(!shared.ticker.has_quiet());
        }
        drop(promptness);
        for _ in 0..2 {
            send(1).await;
        }
        assert!(shared.ticker.has_quiet(), "little comes, and often");
        let _promptness = spool.hurry();
        // So much is read at once.
        send(5000).await;
        send(1).await;
        assert!(!shared.ticker.has_quiet());
        input.abort();
    }
}
