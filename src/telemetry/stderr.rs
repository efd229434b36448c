//! Standard error, as long as somebody takes what is written to it.
//!
//! Whoever reads the log may stop reading without closing it: a supervisor that hangs, a terminal that is held. A pipe
//! that is full then makes every write wait, and with it the one thread that does all the work. So it is asked first. A
//! line for which there is no room waits a little, since most readers are only late; but no more than a small part of the
//! time is spent on that. Then lines are dropped and counted, each by itself: the next is tried anew.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{IntCounter, Opts};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that can be written to takes this much at once (pipe(7), `PIPE_BUF` on Linux).
const PIECE: usize = 4096;

/// How long is waited for a reader at most in one go, and of which part of the time.
const PATIENCE: Duration = Duration::from_millis(200);
const PATIENCE_PART: u32 = 20;

/// Writes to a descriptor that must not make us wait for long.
#[derive(Clone, Debug)]
pub(super) struct Unhurried<W> {
    to: W,
    line: Arc<Line>,
}

/// What all who write to it share.
#[derive(Debug)]
pub(super) struct Line {
    dropped: IntCounter,
    /// Held while something is written, so that lines of several threads do not take each other's room.
    patience: Mutex<Patience>,
}

/// How long a reader may still take.
#[derive(Debug)]
struct Patience {
    most: Duration,
    left: Duration,
    seen: Instant,
}

impl Line {
    pub(super) fn new() -> Line {
        Line::with_patience(PATIENCE)
    }

    fn with_patience(most: Duration) -> Line {
        let opts = Opts::new(
            "metrics_collector_log_lines_dropped_total",
            "Log lines that nobody read from standard error in time.",
        );
        let dropped = IntCounter::with_opts(opts).expect("the name is good");
        Line { dropped, patience: Mutex::new(Patience { most, left: most, seen: Instant::now() }) }
    }

    /// Counts what nobody took.
    pub(super) fn dropped(&self) -> IntCounter {
        self.dropped.clone()
    }
}

impl Patience {
    /// Whether there is room for a piece now or soon. A write that fails does not wait either.
    fn allows(&mut self, to: &impl AsFd) -> bool {
        let now = Instant::now();
        self.left = self.most.min(self.left + now.duration_since(self.seen) / PATIENCE_PART);
        let mut asked = [PollFd::new(to, PollFlags::OUT)];
        let wait = Timespec::try_from(self.left).expect("patience is short");
        let answer = poll(&mut asked, Some(&wait));
        self.seen = Instant::now();
        self.left = self.left.saturating_sub(self.seen.duration_since(now));
        answer.is_err() || !asked[0].revents().is_empty()
    }
}

impl<W> Unhurried<W> {
    pub(super) fn new(to: W, line: Arc<Line>) -> Unhurried<W> {
        Unhurried { to, line }
    }
}

impl<W: Write + AsFd> Write for Unhurried<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut patience = self.line.patience.lock().unwrap_or_else(PoisonError::into_inner);
        if patience.allows(&self.to) {
            return self.to.write(&line[..line.len().min(PIECE)]);
        }
        self.line.dropped.inc();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::thread;

    use super::*;

    fn log() -> (io::PipeReader, Unhurried<io::PipeWriter>, IntCounter) {
        log_of(Line::new())
    }

    fn log_of(line: Line) -> (io::PipeReader, Unhurried<io::PipeWriter>, IntCounter) {
        let (reader, writer) = io::pipe().unwrap();
        let dropped = line.dropped();
        (reader, Unhurried::new(writer, line.into()), dropped)
    }

    #[test]
    fn a_line_that_nobody_has_room_for_is_dropped_and_later_ones_come() {
        let (mut reader, mut log, dropped) = log();
        let line = vec![b'x'; 1000];
        // More than any pipe has room for, unless its size was raised by root.
        (0..5000).for_each(|_| log.write_all(&line).unwrap());
        let lost = dropped.get() as usize;
        assert!(lost > 0);
        let mut taken = vec![0; (5000 - lost) * line.len()];
        reader.read_exact(&mut taken).unwrap();
        log.write_all(b"again").unwrap();
        drop(log);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!((String::from_utf8(rest).unwrap().as_str(), dropped.get() as usize), ("again", lost));
    }

    #[test]
    fn a_reader_that_is_only_late_gets_every_line() {
        // On a busy machine the thread that reads may be later than any reader should be.
        let (mut reader, mut log, dropped) = log_of(Line::with_patience(Duration::from_secs(60)));
        let reader = thread::spawn(move || {
            let (mut all, mut piece) = (0, [0; 1000]);
            loop {
                match reader.read(&mut piece).unwrap() {
                    0 => return all,
                    n => all += n,
                }
            }
        });
        (0..1000).for_each(|_| log.write_all(&[b'x'; 1000]).unwrap());
        drop(log);
        assert_eq!((reader.join().unwrap(), dropped.get()), (1_000_000, 0));
    }

    #[test]
    fn a_line_longer_than_a_piece_comes_whole() {
        let (mut reader, mut log, _) = log();
        let line: Vec<u8> = (0..3 * PIECE + 7).map(|i| i as u8).collect();
        log.write_all(&line).unwrap();
        drop(log);
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert_eq!(got, line);
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error() {
        let (reader, mut log, _) = log();
        drop(reader);
        assert_eq!(log.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
