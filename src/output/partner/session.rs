//! One partner's connection: from the feed to its socket, until either is over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::bell::Listener;
use super::board::Progress;
use super::end::End;
use super::metrics::Metrics;
use super::pack::{Packed, Packer};
use super::receipts::Receipts;
use super::socket::{Held, Outbox, Socket};
use crate::pause;
use crate::spool::Follower;
use crate::telemetry::problems::Kind;
use crate::telemetry::unix_ms;

/// A partner that takes nothing for so long is gone, or as good as gone: what it holds is needed.
const STALL_TIME: Duration = Duration::from_secs(60);

/// How long one waits whose next record is larger than what others have left; then it looks again.
const ROOM_PAUSE: Duration = Duration::from_millis(100);

/// How long the system may take to tell what a partner said that has gone.
const LAST_WORD_TIME: Duration = Duration::from_secs(1);

/// Longest acknowledgement: the digits of a number.
const ACK_BYTES_MAX: usize = 20;

/// A connection, past its greeting.
pub(super) struct Session {
    pub(super) socket: Socket,
    pub(super) follower: Follower,
    pub(super) packer: Packer,
    pub(super) held: Held,
    /// Whose turn it is of those that cost more than a write: behind each of theirs all others have one.
    pub(super) costly: Arc<Semaphore>,
    /// The partner says what it is done with.
    pub(super) ack: bool,
    /// It ends then.
    pub(super) until: Option<Instant>,
    /// The beginning of an acknowledgement.
    pub(super) heard: Vec<u8>,
    /// It could have said a hello and has said nothing yet.
    pub(super) silent: bool,
    pub(super) signals: Signals,
    pub(super) metrics: Metrics,
    pub(super) progress: Arc<Progress>,
    /// How the partner is called where somebody is told of it.
    pub(super) called: String,
}

/// What a session listens to.
pub(super) struct Signals {
    /// There is news in the feed, or an end to it.
    pub(super) news: Listener,
    pub(super) orders: Orders,
}

/// From whom a session hears that it is to end.
pub(super) struct Orders {
    /// The connection is to go: why.
    pub(super) sent_away: oneshot::Receiver<End>,
    /// The collector ends now.
    pub(super) deadline: watch::Receiver<bool>,
}

impl Orders {
    /// Why the session is to end, as soon as it is: the deadline is given, or whoever could give it is gone; or the
    /// connection is sent away. Cancel safe.
    async fn next(&mut self) -> End {
        tokio::select! {
            biased;
            _ = self.deadline.wait_for(|given| *given) => End::Drain,
            end = &mut self.sent_away => end.unwrap_or(End::Removed),
        }
    }
}

impl Session {
    /// Serves the partner until it leaves, or is to. Gives the follower back.
    pub(super) async fn run(mut self) -> (End, Follower) {
        let mut receipts = Receipts::default();
        let end = self.serve(&mut receipts).await;
        // Whoever comes next in this place hears of it.
        self.follower.untell(receipts.untold());
        (end, self.follower)
    }

    async fn serve(&mut self, receipts: &mut Receipts) -> End {
        let mut outbox = Outbox::new(self.held.clone());
        let mut stalled_at = None;
        let mut is_busy = false;
        // When the first of what is in the outbox was accepted.
        let mut accepted_ms = None;
        outbox.push([self.packer.head(self.follower.next())]);
        let early = std::mem::take(&mut self.heard);
        if let Err(end) = self.take_acks(&early, receipts) {
            return end;
        }
        loop {
            let mut needs_room = false;
            match outbox.write(&self.socket) {
                Ok(0) => {}
                Ok(bytes) => {
                    self.metrics.sent_bytes.inc_by(bytes as u64);
                    stalled_at = None;
                }
                Err(_) => return self.left(receipts).await,
            }
            if outbox.is_empty() {
                stalled_at = None;
                if let Some(accepted_ms) = accepted_ms.take().filter(|_| !self.socket.is_stream()) {
                    self.metrics.taken(accepted_ms, unix_ms());
                }
                // What a socket has taken its partner has, whatever is heard next.
                self.note(receipts);
                // Only here: over a wait, what is packed would keep memory that the feed has let go, for each partner its own.
                if std::mem::take(&mut is_busy) {
                    if let Some(end) = self.breathe(receipts).await {
                        return end;
                    }
                    self.note(receipts);
                }
                let packed = if receipts.has_room() { self.pack().await } else { Ok(None) };
                let packed = match packed {
                    Ok(packed) => packed,
                    Err(end) => return end,
                };
                if let Some(packed) = packed {
                    self.progress.lost(packed.lost);
                    if packed.lost > 0 {
                        let told = format_args!("{}: {} records", self.called, packed.lost);
                        self.metrics.problems.note(Kind::PartnerSlow, told);
                    }
                    receipts.add(packed.runs);
                    accepted_ms = packed.accepted_ms;
                    outbox.push(packed.buffers);
                    is_busy = true;
                    continue;
                }
                if self.packer.left == Some(0) {
                    return End::Enough;
                }
                let is_over = self.follower.is_closed() && self.follower.is_at_end();
                if is_over && receipts.done == receipts.sent {
                    return End::Drain;
                }
                needs_room = receipts.has_room() && !self.follower.is_at_end();
            } else if stalled_at.get_or_insert_with(Instant::now).elapsed() >= STALL_TIME {
                // Here, too: one that never stops speaking leaves no time to wait.
                return self.stalled();
            }
            let stalled = stalled_at.map(|since: Instant| since + STALL_TIME);
            tokio::select! {
                biased;
                end = self.signals.orders.next() => return end,
                ready = self.socket.readable() => {
                    if let Err(end) = ready.map_err(|_| End::Left).and_then(|()| self.hear(receipts)) {
                        return end;
                    }
                    // One that never stops speaking must not keep others from being served.
                    tokio::task::yield_now().await;
                }
                ready = self.socket.writable(), if !outbox.is_empty() => {
                    if ready.is_err() {
                        return self.left(receipts).await;
                    }
                }
                news = self.signals.news.heard(), if outbox.is_empty() => {
                    if news.is_err() {
                        return End::Drain;
                    }
                }
                () = pause::rest(needs_room.then_some(ROOM_PAUSE)) => {}
                // What has begun goes out whole.
                () = pause::until(self.until), if outbox.is_empty() => return End::Enough,
                () = pause::until(stalled) => return self.stalled(),
            }
        }
    }

    /// Books what the partner is done with by now.
    fn note(&mut self, receipts: &mut Receipts) {
        let done = if self.ack { receipts.done } else { receipts.sent };
        receipts.settle(done, &mut self.follower).expect("it is not more than was sent");
        self.progress.note(receipts, &self.follower);
    }

    /// Why one ends that takes nothing: where its time is over it was only to take what had begun.
    fn stalled(&self) -> End {
        if self.until.is_some_and(|until| until <= Instant::now()) { End::Enough } else { End::Stalled }
    }

    /// Packs what comes next, if anything; where that costs more than a write, when it is its turn.
    async fn pack(&mut self) -> Result<Option<Packed>, End> {
        let _turn = if self.packer.is_costly() {
            tokio::select! {
                biased;
                end = self.signals.orders.next() => return Err(end),
                turn = self.costly.acquire() => Some(turn),
            }
        } else {
            None
        };
        let grant = self.held.grant(&self.socket);
        Ok(self.packer.pack(&mut self.follower, grant, unix_ms()))
    }

    /// Lets others have their turn, and hears what there is to hear, in the middle of much work.
    async fn breathe(&mut self, receipts: &mut Receipts) -> Option<End> {
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            end = self.signals.orders.next() => Some(end),
            () = pause::until(self.until) => Some(End::Enough),
            ready = self.socket.readable() => {
                ready.map_err(|_| End::Left).and_then(|()| self.hear(receipts)).err()
            }
            () = std::future::ready(()) => None,
        }
    }

    /// The other side has gone. What it said before is there still, and counts: it need not come again.
    async fn left(&mut self, receipts: &mut Receipts) -> End {
        let all = async {
            loop {
                let heard = self.socket.readable().await.map_err(|_| End::Left);
                if let Err(end) = heard.and_then(|()| self.hear(receipts)) {
                    return end;
                }
            }
        };
        timeout(LAST_WORD_TIME, all).await.unwrap_or(End::Left)
    }

    /// Takes in what the partner says.
    fn hear(&mut self, receipts: &mut Receipts) -> Result<(), End> {
        let mut buffer = [0; 1024];
        match self.socket.try_read(&mut buffer) {
            // A side that is closed cannot be told from a partner that is gone, which would be served until something is
            // written to it, and where it wants nothing for ever.
            Ok(0) => Err(End::Left),
            Ok(received) => {
                let is_first = std::mem::take(&mut self.silent);
                // A hello that was late: what it asks for is not what it gets, and it has no other way to know.
                if is_first && buffer[0] == b'{' {
                    return Err(End::BadHello);
                }
                self.take_acks(&buffer[..received], receipts)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(())
            }
            Err(_) => Err(End::Left),
        }
    }

    /// Takes acknowledgements: numbers, a line each. What a partner says that does not acknowledge is passed over.
    fn take_acks(&mut self, bytes: &[u8], receipts: &mut Receipts) -> Result<(), End> {
        if !self.ack {
            return Ok(());
        }
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.heard);
                    let text = line.strip_suffix(b"\r").unwrap_or(&line);
                    let done = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                    let done: u64 = done.ok_or(End::BadAck)?;
                    receipts.settle(done, &mut self.follower).map_err(|_| End::BadAck)?;
                }
                _ if self.heard.len() > ACK_BYTES_MAX => return Err(End::BadAck),
                byte => self.heard.push(*byte),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::super::bell::Bell;
    use super::super::filter::Filter;
    use super::super::hello::Format;
    use super::super::pack::Stamp;
    use super::super::queued;
    use super::*;
    use crate::ocf::encode::encode_record;
    use crate::record::MetricList;
    use crate::spool::{Config, Framing, From, Spool, WhenFull};

    /// Who could give the deadline, or send the connection away.
    type Givers = (watch::Sender<bool>, oneshot::Sender<End>);

    /// A session, and what keeps it going while it is there.
    fn session(
        socket: UnixStream,
        follower: Follower,
        filter: Filter,
        costly: &Arc<Semaphore>,
    ) -> (Session, Arc<Bell>, Givers) {
        let bell = Arc::new(Bell::default());
        let deadline = watch::Sender::new(false);
        let (never, sent_away) = oneshot::channel();
        let stamp = Stamp { incarnation: "i".into(), marker: [1; 16] };
        let session = Session {
            socket: Socket::Unix(socket),
            follower,
            packer: Packer::new(filter, Format::Ocf, stamp),
            held: Held::default(),
            costly: costly.clone(),
            ack: false,
            until: None,
            heard: Vec::new(),
            silent: false,
            signals: Signals {
                news: bell.listen(),
                orders: Orders { sent_away, deadline: deadline.subscribe() },
            },
            metrics: Metrics::register(&prometheus::Registry::new()).unwrap(),
            progress: Arc::default(),
            called: "unix".to_owned(),
        };
        (session, bell, (deadline, never))
    }

    /// The same of one that gets everything of a spool, which is empty, and the other side of its socket.
    fn session_of(spool: &Spool) -> (UnixStream, Session, Arc<Bell>, Givers) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let follower = spool.follow("p", From::Now);
        let (session, bell, kept) = session(ours, follower, Filter::default(), &Arc::new(Semaphore::new(1)));
        (theirs, session, bell, kept)
    }

    fn spool() -> Spool {
        let config = Config { memory_bytes: 32 << 20, when_full: WhenFull::Auto, topics_max: 1 };
        Spool::in_memory(config, Framing::default())
    }

    fn append(spool: &Spool, topic: &[u8], record: &[u8]) {
        let written: Result<_, ()> = spool.append(0, |append| {
            append.record(topic, 1, record.len(), |out| out.extend_from_slice(record));
            Ok(())
        });
        assert_eq!(written.unwrap().records, 1);
    }

    #[tokio::test]
    async fn over_a_wait_a_partner_keeps_nothing_of_the_feed() {
        let spool = spool();
        let [follower, mut other] = [From::Now, From::Now].map(|from| spool.follow("p", from));
        // Each has a piece and a segment of its own, and is more than a socket takes.
        for _ in 0..3 {
            append(&spool, b"t", &vec![7; 200 << 10]);
        }
        let (socket, _reads_nothing) = UnixStream::pair().unwrap();
        let costly = Arc::new(Semaphore::new(1));
        let (session, _bell, _kept) = session(socket, follower, Filter::default(), &costly);
        let mut run = std::pin::pin!(session.run());
        for _ in 0..10 {
            tokio::select! {
                biased;
                _ = &mut run => unreachable!("nobody ends it"),
                () = std::future::ready(()) => {}
            }
            // Whenever it waits.
            let (piece, _) = other.read().unwrap();
            assert!(piece.body.is_unique(), "the feed alone has it");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn those_with_a_filter_take_turns_and_nobody_else_waits_for_them() {
        let spool = spool();
        let costly = Arc::new(Semaphore::new(1));
        let mut theirs = Vec::new();
        let mut kept = Vec::new();
        for topics in [&["t*".to_owned()][..], &[]] {
            let (ours, other_side) = UnixStream::pair().unwrap();
            let filter = Filter::new(topics, &[], &[]).unwrap();
            let (session, bell, keeps) = session(ours, spool.follow("p", From::Now), filter, &costly);
            tokio::spawn(session.run());
            theirs.push(other_side);
            kept.push((bell, keeps));
        }
        let record = MetricList { topic: b"t".into(), tags: Vec::new(), datapoints: Vec::new() };
        let mut bytes = Vec::new();
        encode_record(&record, &mut bytes);
        append(&spool, b"t", &bytes);
        let another_turn = costly.acquire().await.unwrap();
        let mut received = [0; 2];
        for turn in [Some(another_turn), None] {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            for (received, socket) in received.iter_mut().zip(&theirs) {
                socket.readable().await.unwrap();
                *received += socket.try_read(&mut [0; 4096]).unwrap_or(0);
            }
            let [filtered, all] = received;
            assert_eq!(filtered < all, turn.is_some(), "{received:?}");
        }
    }

    #[tokio::test]
    async fn one_that_never_stops_speaking_gets_one_turn_at_a_time() {
        let spool = spool();
        let (theirs, mut session, _bell, _kept) = session_of(&spool);
        session.ack = true;
        let said = b"0\n".repeat(64 << 10);
        theirs.writable().await.unwrap();
        let waiting = theirs.try_write(&said).unwrap();
        tokio::spawn(session.run());
        let mut turns = 0;
        while turns < 3 {
            tokio::task::yield_now().await;
            turns += 1;
        }
        theirs.writable().await.unwrap();
        let taken = waiting - (queued::bytes(&theirs).unwrap()).min(waiting);
        assert!(taken < waiting / 2, "{taken} of {waiting} in {turns} turns");
    }

    #[tokio::test]
    async fn a_loss_that_a_partner_is_not_done_with_hearing_is_told_to_who_comes_next() {
        let spool = spool();
        let (theirs, mut session, _bell, _kept) = session_of(&spool);
        session.ack = true;
        // More than the feed keeps for those who are slow.
        for _ in 0..300 {
            append(&spool, b"t", &vec![7; 200 << 10]);
        }
        let lost = || spool.ledger().outputs["p"].lost.values().sum::<u64>();
        // Their notice stands before the first of the others, which are 200 KB each.
        let heard = async {
            let mut bytes = Vec::new();
            while bytes.len() < 64 << 10 {
                theirs.readable().await.unwrap();
                _ = theirs.try_read_buf(&mut bytes);
            }
        };
        let mut run = std::pin::pin!(session.run());
        tokio::select! {
            _ = &mut run => unreachable!("nobody ends it"),
            () = heard => {}
        }
        drop(theirs);
        let (end, mut follower) = run.await;
        assert_eq!((end, follower.lost()), (End::Left, lost()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_speaks_and_never_reads_is_stalled_like_any_other() {
        let spool = spool();
        let (theirs, session, bell, _kept) = session_of(&spool);
        for _ in 0..20 {
            append(&spool, b"t", &vec![7; 100_000]);
        }
        bell.ring();
        let running = tokio::spawn(session.run());
        let speaking = tokio::spawn(async move {
            loop {
                _ = theirs.try_write(&[b'0'; 4096]);
                tokio::task::yield_now().await;
            }
        });
        for _ in 0..100 {
            tokio::time::advance(STALL_TIME).await;
            tokio::task::yield_now().await;
        }
        assert!(running.is_finished(), "it is served for ever");
        speaking.abort();
        assert_eq!(running.await.unwrap().0, End::Stalled);
    }

    #[tokio::test]
    async fn what_the_socket_has_taken_does_not_come_again_to_one_that_is_sent_away() {
        let spool = spool();
        let (_theirs, session, _bell, (_deadline, order)) = session_of(&spool);
        session.socket.writable().await.unwrap();
        append(&spool, b"t", &[0; 3]);
        order.send(End::Changed).unwrap();
        let (end, mut follower) = session.run().await;
        follower.rewind();
        assert_eq!((end, spool.ledger().outputs["p"].delivered), (End::Changed, 1));
        assert!(follower.is_at_end());
    }

    #[tokio::test]
    async fn what_was_acknowledged_last_counts_also_where_the_connection_breaks() {
        let spool = spool();
        let (theirs, mut session, bell, _kept) = session_of(&spool);
        session.ack = true;
        let mut run = std::pin::pin!(session.run());
        append(&spool, b"t", &[0; 3]);
        tokio::select! {
            biased;
            _ = &mut run => unreachable!("nobody ends it"),
            () = std::future::ready(()) => {}
        }
        theirs.writable().await.unwrap();
        assert_eq!(theirs.try_write(b"1\n").unwrap(), 2);
        drop(theirs);
        // It writes before the system tells it of either.
        append(&spool, b"t", &[0; 3]);
        bell.ring();
        let (end, _follower) = run.await;
        assert_eq!((end, spool.ledger().outputs["p"].delivered), (End::Left, 1));
    }
}
