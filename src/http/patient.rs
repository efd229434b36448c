//! A socket whose reader must not go to sleep.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::seats::Place;

/// Passes everything through, but ends a write that has made no progress for as long as we are willing to wait, and
/// tells the connection's `place` how far its answers are.
///
/// Without it a client that asks and never reads would keep its connection, and the answer, for good.
pub(super) struct Patient<I> {
    io: I,
    patience: Duration,
    place: Arc<Place>,
    /// Runs while the other side takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether something came in since we last wrote.
    unanswered: bool,
}

impl<I> Patient<I> {
    pub(super) fn new(io: I, patience: Duration, place: Arc<Place>) -> Patient<I> {
        Patient { io, patience, place, stalled: None, unanswered: false }
    }

    /// Whether the other side has sent something, a part of a request at least, that got no answer.
    pub(super) fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    fn judge_write(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if matches!(outcome, Poll::Ready(Ok(_))) {
            self.place.wrote();
        }
        self.judge(cx, outcome)
    }

    /// Holds the time against what the socket said of a write.
    fn judge<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let (patience, place) = (self.patience, &self.place);
        let timer = self.stalled.get_or_insert_with(|| {
            place.stalled(Instant::now());
            Box::pin(sleep(patience))
        });
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not being read")))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Patient<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(cx, buf);
        self.unanswered |= buf.filled().len() > before;
        outcome
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Patient<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.unanswered = false;
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        self.judge_write(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unanswered = false;
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.judge_write(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        if matches!(outcome, Poll::Ready(Ok(()))) {
            self.place.flushed(Instant::now());
        }
        self.judge(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_shutdown(cx);
        self.judge(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use prometheus::IntGauge;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::super::seats::Seats;
    use super::*;

    fn patient<I>(io: I) -> Patient<I> {
        let seats = Seats::new(NonZeroUsize::MIN, IntGauge::new("open", "open").unwrap());
        let place = seats.take(true, Instant::now()).map(|admission| admission.seat.place);
        Patient::new(io, Duration::from_secs(7), place.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_reads_ends_when_patience_does() {
        let (ours, _theirs) = duplex(4);
        let mut ours = patient(ours);
        let start = Instant::now();
        let error = ours.write_all(b"12345").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_goes_on_reading_is_waited_for() {
        let (ours, mut theirs) = duplex(1);
        let mut ours = patient(ours);
        let reader = async {
            let mut read = 0;
            while read < 5 {
                sleep(Duration::from_secs(6)).await;
                read += theirs.read(&mut [0]).await.unwrap();
            }
            read
        };
        let (written, read) = tokio::join!(ours.write_all(b"12345"), reader);
        assert!(written.is_ok());
        assert_eq!(read, 5);
    }
}
