//! Standard error, as long as somebody takes what is written to it.
//!
//! Whoever reads the log may stop reading without closing it: a supervisor that hangs, a terminal that is held. A pipe
//! that is full then makes every write wait, and with it the one thread that does all the work. So it is asked first: a
//! line that there is no room for is dropped and counted, and the next is tried anew.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use prometheus::{IntCounter, Opts};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that can be written to takes this much at once (pipe(7), `PIPE_BUF` on Linux).
const PIECE: usize = 4096;

/// Lines that are written by several threads do not take each other's room.
static TURN: Mutex<()> = Mutex::new(());

/// Writes to a descriptor that must not make us wait.
#[derive(Clone, Debug)]
pub(super) struct Unhurried<W> {
    to: W,
    dropped: IntCounter,
}

/// Counts what nobody took.
pub(super) fn dropped() -> IntCounter {
    let opts = Opts::new(
        "metrics_collector_log_lines_dropped_total",
        "Log lines that nobody read from standard error in time.",
    );
    IntCounter::with_opts(opts).expect("the name is good")
}

impl<W> Unhurried<W> {
    pub(super) fn new(to: W, dropped: IntCounter) -> Unhurried<W> {
        Unhurried { to, dropped }
    }
}

impl<W: Write + AsFd> Write for Unhurried<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if has_room(&self.to) {
            return self.to.write(&line[..line.len().min(PIECE)]);
        }
        self.dropped.inc();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Whether a write would not wait. One that fails does not wait either.
fn has_room(to: &impl AsFd) -> bool {
    let mut asked = [PollFd::new(to, PollFlags::OUT)];
    poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_err() || !asked[0].revents().is_empty()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_line_that_nobody_has_room_for_is_dropped_and_later_ones_come() {
        let (mut reader, writer) = io::pipe().unwrap();
        let dropped = dropped();
        let mut log = Unhurried::new(writer, dropped.clone());
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
    fn a_line_longer_than_a_piece_comes_whole() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut log = Unhurried::new(writer, dropped());
        let line: Vec<u8> = (0..3 * PIECE + 7).map(|i| i as u8).collect();
        log.write_all(&line).unwrap();
        drop(log);
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert_eq!(got, line);
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let error = Unhurried::new(writer, dropped()).write(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
