//! Who is connected, and who has to go when there are too many or they hold too much.
//!
//! Closing a session costs the Mesos module one or two blocks and up to a minute, so a sender that has delivered good
//! blocks is the last to go, and never for the sake of a new connection.

use std::cmp::Reverse;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use slab::Slab;
use tokio::sync::{Notify, watch};

use super::CARRIED_PART;
use super::settings::Config;

use crate::control::SenderStatus;
use crate::telemetry::unix_ms;

/// Every connection.
#[derive(Debug)]
pub(super) struct Registry {
    peers: Mutex<Slab<Arc<Peer>>>,
    /// Connections that there have been.
    opened: AtomicU64,
    /// Where the bounds are.
    settings: watch::Receiver<Config>,
    /// Bytes of half-sent headers and blocks, over all connections.
    carried: AtomicUsize,
    /// Less is carried, where it was more than it may be; or what may be is another.
    released: Notify,
}

/// What the others know of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    name: PeerName,
    number: u64,
    opened: Instant,
    since_ms: u64,
    has_header: AtomicBool,
    good_blocks: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    carried: AtomicUsize,
    /// Why it has to go, once it has to.
    shed: Mutex<Option<Shed>>,
    wake: Notify,
}

/// How a peer is called in logs: its address, or the unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum PeerName {
    Tcp(std::net::SocketAddr),
    Unix,
}

/// Why a connection is ended for the others' sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shed {
    /// There are `input-connections-max`, and this one has sent the least.
    ConnectionLimit,
    /// Half-sent blocks hold all the memory there is for them.
    Memory,
}

/// Keeps a connection in the registry.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Arc<Registry>,
    key: usize,
    pub(super) peer: Arc<Peer>,
}

impl Registry {
    pub(super) fn new(settings: watch::Receiver<Config>) -> Registry {
        Registry {
            peers: Mutex::default(),
            opened: AtomicU64::new(0),
            settings,
            carried: AtomicUsize::new(0),
            released: Notify::new(),
        }
    }

    /// Connections at once.
    pub(super) fn connections_max(&self) -> usize {
        self.settings.borrow().connections_max.get()
    }

    /// Bytes that may be carried.
    fn carried_max(&self) -> usize {
        self.settings.borrow().memory_limit / CARRIED_PART
    }

    /// Takes a connection in. None: there is no room, and nobody that should make room for it.
    pub(super) fn register(self: &Arc<Self>, name: PeerName, now: Instant) -> Option<Registration> {
        let connections_max = self.connections_max();
        let mut peers = self.peers.lock().expect("no code panics under this lock");
        let present = peers.iter().filter(|(_, peer)| !peer.is_shed()).count();
        // More than one where there may be fewer than there are.
        let over = (present + 1).saturating_sub(connections_max);
        if over > 0 {
            let mut going: Vec<_> = peers.iter().map(|(_, peer)| peer).filter(|peer| peer.may_go()).collect();
            if going.len() < over {
                return None;
            }
            going.sort_by_key(|peer| peer.rank());
            going[..over].iter().for_each(|peer| peer.shed(Shed::ConnectionLimit));
        }
        let peer = Arc::new(Peer {
            name,
            number: self.opened.fetch_add(1, Ordering::Relaxed),
            opened: now,
            since_ms: unix_ms(),
            has_header: AtomicBool::new(false),
            good_blocks: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            carried: AtomicUsize::new(0),
            shed: Mutex::default(),
            wake: Notify::new(),
        });
        let key = peers.insert(peer.clone());
        Some(Registration { registry: self.clone(), key, peer })
    }

    /// Bytes of half-sent headers and blocks.
    pub(super) fn carried(&self) -> usize {
        self.carried.load(Ordering::Relaxed)
    }

    /// Who is connected, at most so many: those that have sent most.
    pub(super) fn senders(&self, most: usize) -> Vec<SenderStatus> {
        let mut peers: Vec<Arc<Peer>> = {
            let peers = self.peers.lock().expect("no code panics under this lock");
            peers.iter().map(|(_, peer)| peer.clone()).collect()
        };
        peers.sort_by_cached_key(|peer| (Reverse(peer.bytes.load(Ordering::Relaxed)), peer.number));
        peers.truncate(most);
        peers.iter().map(|peer| peer.status()).collect()
    }

    /// Follows what may be carried; never ends. Where it is less now than is carried nobody reads, so that no read could
    /// tell who has to go; and whoever waits for room may have it where it is more.
    pub(super) async fn follow(&self) {
        let mut settings = self.settings.clone();
        while settings.changed().await.is_ok() {
            self.shed_for_memory();
            self.released.notify_waiters();
        }
        // Whoever could set anything else is gone.
        std::future::pending().await
    }

    /// So many bytes less are carried.
    fn release(&self, bytes: usize) {
        if self.carried.fetch_sub(bytes, Ordering::Relaxed) > self.carried_max() {
            self.released.notify_waiters();
        }
    }

    /// While too much is held, somebody has to go: who holds most of those that never sent a whole block, and only when
    /// none of them holds anything, who holds most. Those that were told to go are as good as gone.
    fn shed_for_memory(&self) {
        let carried_max = self.carried_max();
        if self.carried() <= carried_max {
            return;
        }
        let peers = self.peers.lock().expect("no code panics under this lock");
        let staying = || peers.iter().map(|(_, peer)| peer).filter(|peer| !peer.is_shed());
        while staying().map(|peer| peer.carried()).sum::<usize>() > carried_max {
            let holding = staying().filter(|peer| peer.carried() > 0);
            let Some(peer) = holding.max_by_key(|peer| (peer.may_go(), peer.carried())) else { return };
            peer.shed(Shed::Memory);
        }
    }
}

impl Registration {
    /// Notes what a read has brought: whether there is a header, good blocks, and bytes held until the next.
    pub(super) fn note(&self, has_header: bool, good_blocks: u64, carried: usize) {
        self.peer.has_header.store(has_header, Ordering::Relaxed);
        self.peer.good_blocks.fetch_add(good_blocks, Ordering::Relaxed);
        let before = self.peer.carried.swap(carried, Ordering::Relaxed);
        self.registry.carried.fetch_add(carried, Ordering::Relaxed);
        self.registry.release(before);
        if carried > before {
            self.registry.shed_for_memory();
        }
    }

    /// Counts what a read has brought.
    pub(super) fn count(&self, records: u64, bytes: usize) {
        self.peer.records.fetch_add(records, Ordering::Relaxed);
        self.peer.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether half-sent blocks hold no more than they may, so that another read is safe.
    pub(super) fn has_room(&self) -> bool {
        self.registry.carried() <= self.registry.carried_max()
    }

    /// Returns when that is so. Those that were told to go are as good as gone only until all that are ready have read once
    /// more: so everybody waits for them, and they do not take long.
    pub(super) async fn room(&self) {
        loop {
            let released = self.registry.released.notified();
            if self.has_room() {
                return;
            }
            released.await;
        }
    }

    /// Returns when this connection has to go.
    pub(super) async fn shed(&self) -> Shed {
        loop {
            let shed = *self.peer.shed.lock().expect("no code panics under this lock");
            if let Some(shed) = shed {
                return shed;
            }
            self.peer.wake.notified().await;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.release(self.peer.carried());
        self.registry.peers.lock().expect("no code panics under this lock").remove(self.key);
    }
}

impl Peer {
    pub(super) fn name(&self) -> &PeerName {
        &self.name
    }

    fn status(&self) -> SenderStatus {
        SenderStatus {
            peer: self.name.to_string(),
            connection: self.number,
            since_ms: self.since_ms,
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// Whether it may be ended for a new connection's sake.
    fn may_go(&self) -> bool {
        !self.is_shed() && self.good_blocks.load(Ordering::Relaxed) == 0
    }

    /// The least goes first: without a header before with one, the older first.
    fn rank(&self) -> (bool, Instant) {
        (self.has_header.load(Ordering::Relaxed), self.opened)
    }

    fn carried(&self) -> usize {
        self.carried.load(Ordering::Relaxed)
    }

    fn is_shed(&self) -> bool {
        self.shed.lock().expect("no code panics under this lock").is_some()
    }

    fn shed(&self, reason: Shed) {
        self.shed.lock().expect("no code panics under this lock").get_or_insert(reason);
        self.wake.notify_one();
    }
}

impl PeerName {
    /// What the log's rate limit goes by.
    pub(super) fn host(&self) -> String {
        match self {
            PeerName::Tcp(address) => address.ip().to_string(),
            PeerName::Unix => "unix socket".to_owned(),
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerName::Tcp(address) => address.fmt(f),
            PeerName::Unix => f.write_str("unix socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PEER: PeerName = PeerName::Unix;

    fn registry(connections_max: usize, carried_max: usize) -> Arc<Registry> {
        settable(connections_max, carried_max).1
    }

    fn settable(connections_max: usize, carried_max: usize) -> (watch::Sender<Config>, Arc<Registry>) {
        let connections_max = connections_max.try_into().unwrap();
        let memory_limit = carried_max * CARRIED_PART;
        let (set, settings) = watch::channel(Config { memory_limit, connections_max, ..Config::for_tests() });
        (set, Arc::new(Registry::new(settings)))
    }

    fn shed(registration: &Registration) -> Option<Shed> {
        *registration.peer.shed.lock().unwrap()
    }

    #[test]
    fn a_new_connection_replaces_the_oldest_without_a_header_then_without_a_block() {
        let registry = registry(3, 1000);
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let with_header = registry.register(PEER, at(0)).unwrap();
        with_header.note(true, 0, 0);
        let silent = registry.register(PEER, at(1)).unwrap();
        let good = registry.register(PEER, at(2)).unwrap();
        good.note(true, 1, 0);

        let fourth = registry.register(PEER, at(3)).unwrap();
        assert_eq!((shed(&silent), shed(&with_header)), (Some(Shed::ConnectionLimit), None));
        drop(silent);
        fourth.note(true, 1, 0);
        let fifth = registry.register(PEER, at(4)).unwrap();
        assert_eq!(shed(&with_header), Some(Shed::ConnectionLimit));
        drop(with_header);
        fifth.note(true, 1, 0);
        assert!(registry.register(PEER, at(5)).is_none(), "all have sent good blocks");
        assert_eq!((shed(&good), shed(&fourth), shed(&fifth)), (None, None, None));
    }

    #[test]
    fn who_holds_most_and_never_sent_a_block_goes_first() {
        let registry = registry(10, 100);
        let now = Instant::now();
        let [good, small, large] = [(1, 60), (0, 10), (0, 20)].map(|(blocks, carried)| {
            let registration = registry.register(PEER, now).unwrap();
            registration.note(true, blocks, carried);
            registration
        });
        assert_eq!(registry.carried(), 90);
        small.note(true, 0, 21);
        assert_eq!((shed(&good), shed(&small), shed(&large)), (None, Some(Shed::Memory), None));
        drop(small);
        assert_eq!(registry.carried(), 80);
    }

    #[test]
    fn who_was_told_to_go_counts_no_longer_and_a_good_session_stays() {
        let registry = registry(10, 100);
        let now = Instant::now();
        let [good, first, second] = [(1, 40), (0, 30), (0, 20)].map(|(blocks, carried)| {
            let registration = registry.register(PEER, now).unwrap();
            registration.note(true, blocks, carried);
            registration
        });
        first.note(true, 0, 70);
        assert_eq!((shed(&good), shed(&first), shed(&second)), (None, Some(Shed::Memory), None));
        // The first has not ended yet.
        good.note(true, 0, 80);
        assert_eq!((shed(&good), shed(&second)), (None, None));
        good.note(true, 0, 90);
        assert_eq!((shed(&good), shed(&second)), (None, Some(Shed::Memory)));
    }

    #[tokio::test]
    async fn reading_waits_until_those_have_gone_that_were_told_to() {
        let registry = registry(10, 100);
        let [first, second] = [0, 1].map(|_| registry.register(PEER, Instant::now()).unwrap());
        first.note(true, 0, 90);
        assert!(second.has_room());
        second.note(true, 0, 20);
        assert_eq!((shed(&first), shed(&second)), (Some(Shed::Memory), None));
        assert!(!second.has_room());
        let mut room = std::pin::pin!(second.room());
        tokio::select! {
            biased;
            () = &mut room => panic!("the first still holds what it held"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        room.await;
    }

    /// Lets `future` do what there is to do. Says whether it has to wait for more.
    fn waits(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        future.poll(&mut cx).is_pending()
    }

    fn set_carried_max(set: &watch::Sender<Config>, carried_max: usize) {
        set.send_modify(|config| config.memory_limit = carried_max * CARRIED_PART);
    }

    #[tokio::test]
    async fn where_less_may_be_held_than_is_somebody_goes_though_nobody_reads() {
        let (set, registry) = settable(10, 100);
        let mut follow = std::pin::pin!(registry.follow());
        assert!(waits(follow.as_mut()));
        let [good, bad] = [(1, 30), (0, 60)].map(|(blocks, carried)| {
            let registration = registry.register(PEER, Instant::now()).unwrap();
            registration.note(true, blocks, carried);
            registration
        });
        set_carried_max(&set, 50);
        assert!(!good.has_room());
        assert!(waits(follow.as_mut()));
        assert_eq!((shed(&good), shed(&bad)), (None, Some(Shed::Memory)));
        drop(bad);
        good.room().await;
    }

    #[tokio::test]
    async fn who_waits_for_room_has_it_once_more_may_be_held() {
        let (set, registry) = settable(10, 100);
        let mut follow = std::pin::pin!(registry.follow());
        assert!(waits(follow.as_mut()));
        let [first, second] = [0, 1].map(|_| registry.register(PEER, Instant::now()).unwrap());
        first.note(true, 0, 90);
        second.note(true, 0, 20);
        let mut room = std::pin::pin!(second.room());
        assert!(waits(room.as_mut()));
        set_carried_max(&set, 110);
        assert!(waits(follow.as_mut()));
        assert!(!waits(room));
        assert_eq!(registry.carried(), 110, "the first has not gone");
    }

    #[test]
    fn who_has_sent_most_is_shown_first() {
        let registry = registry(10, 100);
        let senders = [10, 30, 20].map(|bytes| {
            let registration = registry.register(PEER, Instant::now()).unwrap();
            registration.count(1, bytes);
            registration.count(1, bytes);
            registration
        });
        let shown =
            |most| registry.senders(most).iter().map(|sender| (sender.connection, sender.bytes)).collect();
        let shown_two: Vec<_> = shown(2);
        assert_eq!(shown_two, [(1, 60), (2, 40)]);
        drop(senders);
        let shown_after: Vec<_> = shown(2);
        assert_eq!(shown_after, []);
    }

    #[test]
    fn a_good_session_goes_for_memory_only_where_no_other_holds_anything() {
        let registry = registry(10, 100);
        let now = Instant::now();
        let [small, large, idle] = [(1, 40), (1, 50), (0, 0)].map(|(blocks, carried)| {
            let registration = registry.register(PEER, now).unwrap();
            registration.note(true, blocks, carried);
            registration
        });
        large.note(true, 0, 70);
        assert_eq!((shed(&small), shed(&large), shed(&idle)), (None, Some(Shed::Memory), None));
    }

    #[test]
    fn where_there_may_be_fewer_good_sessions_stay_and_the_others_make_room() {
        let (set, registry) = settable(5, 1000);
        let now = Instant::now();
        let good = [(); 2].map(|()| registry.register(PEER, now).unwrap());
        for session in &good {
            session.note(true, 1, 0);
        }
        let silent = [(); 3].map(|()| registry.register(PEER, now).unwrap());
        set.send_modify(|config| config.connections_max = 3.try_into().unwrap());
        assert!(silent.iter().chain(&good).all(|one| shed(one).is_none()), "nobody goes without need");
        let new = registry.register(PEER, now).unwrap();
        assert!(silent.iter().all(|one| shed(one).is_some()) && good.iter().all(|one| shed(one).is_none()));
        drop(silent);
        new.note(true, 1, 0);
        set.send_modify(|config| config.connections_max = 2.try_into().unwrap());
        assert!(registry.register(PEER, now).is_none());
        assert!(shed(&new).is_none());
        set.send_modify(|config| config.connections_max = 4.try_into().unwrap());
        assert!(registry.register(PEER, now).is_some());
    }
}
