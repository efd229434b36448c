//! Parts run as processes of their own, so that each one's CPU and memory can be told apart. They are spoken to line
//! by line; what they print is JSON.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::proc;

/// How long a part may take to say that it is ready.
const START: Duration = Duration::from_secs(10);

/// A running part. It is killed when this is dropped.
pub(crate) struct Part {
    name: &'static str,
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// The highest resident memory that was seen while it ended.
    peak: u64,
}

impl Part {
    /// Starts this very program in another role; with `loud` its standard error is ours.
    pub(crate) fn role(name: &'static str, arguments: &[&str], loud: bool) -> io::Result<Part> {
        let program = std::env::current_exe()?;
        let mut all = vec![name];
        all.extend(arguments);
        Part::start(name, &program, &all, loud)
    }

    /// Starts a program; with `loud` its standard error is ours.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        loud: bool,
    ) -> io::Result<Part> {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if loud { Stdio::inherit() } else { Stdio::null() })
            .spawn()
            .map_err(|error| io::Error::other(format!("cannot start {}: {error}", program.display())))?;
        let output = process.stdout.take().expect("it was asked for");
        let (tx, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Part { name, input: process.stdin.take(), process, lines, peak: 0 })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The next line it prints, as JSON, or as a string where it is none.
    pub(crate) fn answer(&self, patience: Duration) -> io::Result<Value> {
        let line = self.lines.recv_timeout(patience).map_err(|_| {
            io::Error::other(format!("{} said nothing for {} s, or ended", self.name, patience.as_secs()))
        })?;
        Ok(serde_json::from_str(&line).unwrap_or(Value::String(line)))
    }

    /// The first line it prints: that it is ready.
    pub(crate) fn ready(&self) -> io::Result<Value> {
        self.answer(START)
    }

    /// Tells it something.
    pub(crate) fn tell(&mut self, line: &str) -> io::Result<()> {
        match &mut self.input {
            Some(input) => input.write_all(format!("{line}\n").as_bytes()),
            None => Ok(()),
        }
    }

    /// Tells it something and waits for the answer.
    pub(crate) fn ask(&mut self, line: &str, patience: Duration) -> io::Result<Value> {
        self.tell(line)?;
        self.answer(patience)
    }

    /// The highest resident memory so far in bytes; of one that ended, nearly.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.max(proc::resident(self.pid()).0)
    }

    /// Still runs.
    pub(crate) fn alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Asks it to end by SIGTERM, and waits. `None`: it does not.
    pub(crate) fn terminate(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        if self.alive() {
            // SAFETY: a signal to our own child, which has not been waited for.
            unsafe { libc::kill(self.process.id().cast_signed(), libc::SIGTERM) };
        }
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(Some(status));
            }
            self.peak = self.peak.max(proc::resident(self.pid()).0);
            if Instant::now() > until {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Both fail only where it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
