//! What a program writes to standard output, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::PATIENCE;

/// Lines that are taken as soon as they are written, so that nobody waits for us.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(from: impl Read + Send + 'static) -> Lines {
        let (tx, rx) = mpsc::channel();
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            loop {
                let mut line = String::new();
                from.read_line(&mut line).expect("a program writes text");
                // What it was in the middle of when it ended is no line.
                let Some(line) = line.strip_suffix('\n') else { return };
                // Nobody may be waiting any more; then nobody misses it.
                _ = tx.send(line.to_owned());
            }
        });
        Lines(rx)
    }

    /// The next one, without its end. None: nobody writes any more.
    pub(crate) fn next(&self) -> Option<String> {
        self.next_within(PATIENCE).unwrap_or_else(|news| panic!("{news}"))
    }

    /// The same with a patience of its own, and news where that is at its end.
    pub(crate) fn next_within(&self, patience: Duration) -> Result<Option<String>, String> {
        match self.0.recv_timeout(patience) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(format!("no line within {} s", patience.as_secs())),
        }
    }
}
