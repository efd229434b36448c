//! Tells the sessions that there is news in the feed, at a pace: what comes meanwhile goes out together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;

use crate::spool::Spool;

/// Pause after partners were told of news, and how many that heard of it make it a millisecond longer: two hundred small
/// writes take as long as that.
const PACE: Duration = Duration::from_millis(1);
const PACE_PARTNERS: usize = 64;

/// Rings for all who listen.
#[derive(Debug, Default)]
pub(super) struct Bell {
    news: watch::Sender<()>,
    /// How many have heard it lately.
    heard: AtomicUsize,
}

/// Hears it.
#[derive(Debug)]
pub(super) struct Listener {
    bell: Arc<Bell>,
    news: watch::Receiver<()>,
}

impl Bell {
    /// Somebody who hears it from now on.
    pub(super) fn listen(self: &Arc<Bell>) -> Listener {
        Listener { bell: self.clone(), news: self.news.subscribe() }
    }

    /// Rings once.
    pub(super) fn ring(&self) {
        self.news.send_replace(());
    }

    /// Rings when there is news, until there will be no more.
    pub(super) async fn ring_for(&self, spool: &Spool) {
        let mut news = spool.news();
        while !spool.is_closed() {
            news.wait().await;
            self.ring();
            tokio::time::sleep(PACE).await;
            // Who is stuck, or still at work, has not heard it.
            let more = self.heard.swap(0, Ordering::Relaxed) / PACE_PARTNERS;
            if more > 0 {
                tokio::time::sleep(Duration::from_millis(more as u64)).await;
            }
        }
    }
}

impl Listener {
    /// Returns when it has rung since the last time. Cancel safe.
    ///
    /// # Errors
    /// It is gone.
    pub(super) async fn heard(&mut self) -> Result<(), RecvError> {
        self.news.changed().await?;
        self.bell.heard.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::spool::{Config, Framing, From, WhenFull};

    /// The time between two rings where so many hear each, and so many more are stuck.
    async fn pause(at_rest: usize, stuck: usize) -> Duration {
        let config = Config { memory_bytes: 1 << 20, when_full: WhenFull::Auto, topics_max: 1 };
        let spool = Spool::in_memory(config, Framing::default());
        let _follower = spool.follow("p", From::Now);
        let bell = Arc::new(Bell::default());
        let _stuck: Vec<_> = (0..stuck).map(|_| bell.listen()).collect();
        for _ in 0..at_rest {
            let mut listener = bell.listen();
            tokio::spawn(async move { while listener.heard().await.is_ok() {} });
        }
        let mut listener = bell.listen();
        let (theirs, of) = (bell.clone(), spool.clone());
        let ringing = tokio::spawn(async move { theirs.ring_for(&of).await });
        let mut ring = async || {
            let written: Result<_, ()> = spool.append(0, |append| {
                append.record(b"t", 1, 1, |out| out.push(7));
                Ok(())
            });
            assert_eq!(written.unwrap().records, 1);
            listener.heard().await.unwrap();
            Instant::now()
        };
        let first = ring().await;
        let pause = ring().await - first;
        ringing.abort();
        pause
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_with_those_who_hear_and_not_with_those_who_are_stuck() {
        let alone = pause(0, 0).await;
        assert_eq!(pause(0, 4 * PACE_PARTNERS).await, alone);
        assert_eq!(pause(4 * PACE_PARTNERS, 0).await, alone + Duration::from_millis(4));
    }
}
