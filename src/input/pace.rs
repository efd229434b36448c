//! How often a connection is read. A busy one at once; one on which little comes, and often, a few times a second, all
//! of them together: on a quiet node each wake-up costs more than the bytes it brings.
//!
//! What a quiet connection's sender writes waits in the socket, which the kernel is told by `SO_RCVLOWAT`: it wakes us for
//! [`MUCH`] bytes (or when its window is about to close, or the sender is done), and a tick each `input-linger` picks
//! up what is less. So a burst is read as promptly as ever, and no sender ever meets a full socket for it. When ticks
//! find nothing the connection is read at once again, and an idle one costs nothing. So it is as long as something has
//! come only in part, since the time for the rest is running; and as long as somebody wants records the moment that they
//! arrive, see [`Spool::hurry`](crate::spool::Spool::hurry), which a connection that was quiet before hears with its next
//! tick.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::settings::Config;
use super::socket::Socket;

/// So many bytes wake us even on a quiet connection, and it takes fewer for one to become quiet.
const MUCH: usize = 64 << 10;

/// So many ticks that find nothing end it: a sender may just have paused, or have filled the socket before its tick.
const EMPTY_TICKS: u32 = 2;

/// The one clock of all quiet connections. It stands still while there are none.
#[derive(Debug)]
pub(super) struct Ticker {
    settings: watch::Receiver<Config>,
    quiet: AtomicUsize,
    begun: Notify,
    tick: Notify,
}

impl Ticker {
    /// A clock that ticks every `linger` of the settings; zero: no connection becomes quiet, and none stays so.
    pub(super) fn new(settings: watch::Receiver<Config>) -> Ticker {
        Ticker { settings, quiet: AtomicUsize::new(0), begun: Notify::new(), tick: Notify::new() }
    }

    fn linger(&self) -> Duration {
        self.settings.borrow().linger
    }

    /// Whether any connection is quiet.
    #[cfg(test)]
    pub(super) fn has_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed) > 0
    }

    /// Ticks, for ever.
    pub(super) async fn run(&self) {
        let mut settings = self.settings.clone();
        loop {
            if self.quiet.load(Ordering::Relaxed) == 0 {
                self.begun.notified().await;
            }
            tokio::select! {
                () = tokio::time::sleep(self.linger()) => {}
                // It may be shorter now.
                Ok(()) = settings.changed() => {}
            }
            self.tick.notify_waiters();
        }
    }
}

/// The pace of one connection.
#[derive(Debug)]
pub(super) struct Pace<'a> {
    ticker: &'a Ticker,
    /// The last read that brought little.
    last_little: Option<Instant>,
    /// While it is quiet: how many ticks in a row have found nothing.
    quiet: Option<u32>,
}

impl Pace<'_> {
    /// A connection that is read at once.
    pub(super) fn new(ticker: &Ticker) -> Pace<'_> {
        Pace { ticker, last_little: None, quiet: None }
    }

    /// Returns when what is in the socket is to be read though it does not call. Cancel safe.
    pub(super) async fn tick(&self) {
        match self.quiet {
            Some(_) => self.ticker.tick.notified().await,
            None => pending().await,
        }
    }

    /// Notes what a read brought that the socket called for, or a tick; `None`: there was nothing.
    pub(super) fn note(&mut self, received: Option<usize>, was_tick: bool, socket: &Socket) {
        match (self.quiet, received) {
            (None, Some(MUCH..)) => self.last_little = None,
            (None, Some(_)) => {
                let now = Instant::now();
                let before = self.last_little.replace(now);
                let is_often = before.is_some_and(|before| now.duration_since(before) < self.ticker.linger());
                if is_often && socket.wake_at(MUCH) {
                    self.quiet = Some(0);
                    self.ticker.quiet.fetch_add(1, Ordering::Relaxed);
                    self.ticker.begun.notify_one();
                }
            }
            (Some(_), _) if self.ticker.linger().is_zero() => self.hurry(socket),
            (Some(_), Some(_)) => self.quiet = Some(0),
            (Some(empty), None) if was_tick => {
                self.quiet = Some(empty + 1);
                if empty + 1 == EMPTY_TICKS {
                    self.hurry(socket);
                }
            }
            // A socket that was read to its end may call once more.
            (_, None) => {}
        }
    }

    /// More is to be read at once: something has come in part.
    pub(super) fn hurry(&mut self, socket: &Socket) {
        if self.quiet.is_some() {
            self.end();
            socket.wake_at(1);
        }
    }

    fn end(&mut self) {
        if self.quiet.take().is_some() {
            self.ticker.quiet.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Pace<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream, UnixStream};

    /// A second is long enough for two reads to come within it.
    const LINGER: Duration = Duration::from_secs(1);

    fn ticker(linger: Duration) -> (watch::Sender<Config>, Ticker) {
        let (set, settings) = watch::channel(Config { linger, ..Config::for_tests() });
        (set, Ticker::new(settings))
    }

    async fn pair() -> (TcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        (sender, Socket::Tcp(socket))
    }

    #[tokio::test]
    async fn a_quiet_socket_calls_for_much_and_ticks_for_little() {
        let (mut sender, socket) = pair().await;
        let ticker = ticker(LINGER).1;
        let mut pace = Pace::new(&ticker);
        let mut buffer = vec![0; 4 * MUCH];
        for _ in 0..2 {
            pace.note(Some(10), false, &socket);
        }
        assert_eq!(pace.quiet, Some(0));
        assert_eq!(ticker.quiet.load(Ordering::Relaxed), 1);
        sender.write_all(&[1; 10]).await.unwrap();
        // It was announced before, or never: either way the bytes are there for a tick.
        tokio::select! {
            biased;
            () = ticker.run() => unreachable!(),
            () = pace.tick() => {}
        }
        assert_eq!(socket.read_now(&mut buffer).unwrap(), Some(10));
        pace.note(Some(10), true, &socket);
        _ = socket.try_read(&mut buffer).unwrap();
        sender.write_all(&vec![1; MUCH]).await.unwrap();
        socket.readable().await.unwrap();
        for _ in 0..EMPTY_TICKS {
            assert!(pace.quiet.is_some());
            pace.note(None, true, &socket);
        }
        assert_eq!(pace.quiet, None, "ticks that find nothing end it");
        assert_eq!(ticker.quiet.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn the_end_of_a_quiet_stream_is_announced_at_once() {
        let (mut sender, socket) = pair().await;
        assert!(socket.wake_at(MUCH));
        sender.write_all(&[1; 10]).await.unwrap();
        drop(sender);
        socket.readable().await.unwrap();
        assert_eq!(socket.try_read(&mut [0; 20]).unwrap(), Some(10));
    }

    #[tokio::test]
    async fn busy_sockets_and_sockets_that_cannot_wait_are_read_at_once() {
        let (_sender, tcp) = pair().await;
        let (unix, _other) = UnixStream::pair().unwrap();
        let ticker = ticker(LINGER).1;
        let never = self::ticker(Duration::ZERO).1;
        for (socket, received, ticker) in
            [(&tcp, MUCH, &ticker), (&Socket::Unix(unix), 10, &ticker), (&tcp, 10, &never)]
        {
            let mut pace = Pace::new(ticker);
            for _ in 0..3 {
                pace.note(Some(received), false, socket);
            }
            assert_eq!(pace.quiet, None);
        }
    }

    #[tokio::test]
    async fn another_linger_counts_for_the_wait_that_is_going_on_and_none_ends_the_quiet() {
        let (mut sender, socket) = pair().await;
        let (set, ticker) = ticker(Duration::from_secs(3600));
        let mut pace = Pace::new(&ticker);
        for _ in 0..2 {
            pace.note(Some(10), false, &socket);
        }
        assert_eq!(pace.quiet, Some(0));
        let ticks = async {
            pace.tick().await;
            pace.tick().await;
        };
        let changes = async {
            tokio::task::yield_now().await;
            set.send_modify(|config| config.linger = Duration::from_millis(1));
            ticks.await;
        };
        tokio::select! {
            () = ticker.run() => unreachable!(),
            () = changes => {}
        }
        set.send_modify(|config| config.linger = Duration::ZERO);
        pace.note(None, true, &socket);
        assert_eq!(pace.quiet, None);
        sender.write_all(&[1; 10]).await.unwrap();
        socket.readable().await.unwrap();
    }
}
