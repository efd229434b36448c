//! Taking connections from the listener, whatever the kernel says.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use crate::accept::is_about_one_connection;

/// How long the first failure of a row keeps us from trying again; each further one twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The longest we wait.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A listener that survives its errors: one that is about a single connection costs that connection; any other,
/// such as no free file descriptor, is waited out, and said once until it is over.
pub(super) struct Acceptor {
    listener: TcpListener,
    trouble: Trouble,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener) -> Acceptor {
        Acceptor { listener, trouble: Trouble::default() }
    }

    /// The next connection. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if let Some(until) = self.trouble.until {
                sleep_until(until).await;
            }
            match self.listener.accept().await {
                Ok(accepted) => {
                    if self.trouble.end() {
                        tracing::info!("accepting HTTP connections again");
                    }
                    return accepted;
                }
                Err(error) if is_about_one_connection(&error) => {
                    tracing::debug!(error = %error, "an HTTP connection was gone before it was accepted");
                }
                Err(error) => {
                    if self.trouble.add(Instant::now()) {
                        tracing::warn!(error = %error, "cannot accept HTTP connections, trying on");
                    }
                }
            }
        }
    }
}

/// A row of failures, and until when to leave the listener alone.
#[derive(Default)]
struct Trouble {
    pause: Option<Duration>,
    until: Option<Instant>,
}

impl Trouble {
    /// One more failure. Says whether it is the first of its row.
    fn add(&mut self, now: Instant) -> bool {
        let pause = self.pause.map_or(PAUSE_FIRST, |pause| (pause * 2).min(PAUSE_MAX));
        self.until = Some(now + pause);
        self.pause.replace(pause).is_none()
    }

    /// A success. Says whether there was trouble before.
    fn end(&mut self) -> bool {
        self.until = None;
        self.pause.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trouble_is_said_once_and_waits_longer_each_time() {
        let mut trouble = Trouble::default();
        let now = Instant::now();
        let row: Vec<_> = (0..7)
            .map(|_| {
                let said = trouble.add(now);
                (said, trouble.until.map(|until| (until - now).as_millis()))
            })
            .collect();
        let pauses: Vec<_> = row.iter().filter_map(|(_, pause)| *pause).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(row.iter().filter(|(said, _)| *said).count(), 1);
        assert!(row[0].0);
        assert!(trouble.end());
        assert!(!trouble.end());
        assert!(trouble.add(now), "after a success trouble is news again");
    }
}
