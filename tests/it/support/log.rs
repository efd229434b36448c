//! What a program writes to standard error, line by line.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::process::ChildStderr;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};

/// How much a program may write while the thread that takes it gets no time: the collector drops what nobody takes soon,
/// and one that is told to log much writes more in a moment than the usual 64 KiB. Linux gives anybody up to 1 MiB in a
/// pipe and 64 MiB in all of theirs (`pipe-max-size` and `pipe-user-pages-soft`): so many collectors may run at once.
const PIPE_BYTES: libc::c_int = 512 << 10;

/// Takes all that is written as soon as it is, so that nobody waits for us.
pub(crate) struct Log {
    taken: Arc<Mutex<Taken>>,
    reader: JoinHandle<()>,
}

struct Taken {
    from: ChildStderr,
    lines: Vec<String>,
    /// Of a line that has not ended.
    begun: Vec<u8>,
}

impl Log {
    pub(crate) fn of(from: ChildStderr) -> Log {
        rustix::io::ioctl_fionbio(&from, true).expect("a pipe need not block");
        // Where it is not to be had the usual room has to do.
        // SAFETY: no memory is involved, and the descriptor is open.
        unsafe { libc::fcntl(from.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
        let pipe = from.as_fd().try_clone_to_owned().expect("a pipe has a second descriptor");
        let taken = Arc::new(Mutex::new(Taken { from, lines: Vec::new(), begun: Vec::new() }));
        let shared = Arc::clone(&taken);
        let reader = thread::spawn(move || {
            loop {
                // A signal may end the wait, and then nothing is there.
                _ = poll(&mut [PollFd::new(&pipe, PollFlags::IN)], None);
                if shared.lock().expect("nobody panics under this lock").take().is_none() {
                    return;
                }
            }
        });
        Log { taken, reader }
    }

    /// All lines that were written by now.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut taken = self.taken.lock().expect("nobody panics under this lock");
        taken.take();
        taken.lines.clone()
    }

    /// All lines, once nobody writes any more.
    pub(crate) fn end(self) -> Vec<String> {
        self.reader.join().expect("the reader of the log does not panic");
        self.taken.lock().expect("nobody panics under this lock").lines.clone()
    }
}

impl Taken {
    /// Takes what is there. None: nobody writes any more.
    fn take(&mut self) -> Option<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.from.read(&mut buffer) {
                Ok(0) => {
                    if !self.begun.is_empty() {
                        self.lines
                            .push(String::from_utf8_lossy(&std::mem::take(&mut self.begun)).into_owned());
                    }
                    return None;
                }
                Ok(n) => self.begun.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Some(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => panic!("standard error is readable: {e}"),
            }
            let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else { continue };
            let rest = self.begun.split_off(end + 1);
            let whole = std::mem::replace(&mut self.begun, rest);
            self.lines.extend(String::from_utf8_lossy(&whole).lines().map(str::to_owned));
        }
    }
}
