//! The first moments of a connection: what the partner says, if anything, and what it is told if that is no good.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::end::End;
use super::hello::{Hello, LINE_BYTES_MAX};
use super::socket::Socket;

/// Whoever has not begun to speak by then wants everything from now on.
const SILENCE: Duration = Duration::from_millis(250);

/// What there is to say of a hello that comes later.
pub(super) const LATE: &str = "its hello came when the stream had begun; one that is to count comes within a quarter of a \
                               second of the connection";

/// A line that has begun must have ended by then.
const LINE_TIME: Duration = Duration::from_secs(10);

/// What a partner began with.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    pub(super) hello: Hello,
    /// What came behind the line.
    pub(super) rest: Vec<u8>,
    /// Nothing was said in the time for it.
    pub(super) silent: bool,
}

/// A partner that is not served, and what it is told.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) end: End,
    pub(super) why: String,
}

impl Refusal {
    fn new(end: End, why: impl Into<String>) -> Refusal {
        Refusal { end, why: why.into() }
    }

    /// A partner that went before it was served.
    fn left(error: &io::Error) -> Refusal {
        Refusal::new(End::Left, error.to_string())
    }

    /// As many are connected as may be.
    pub(super) fn limit() -> Refusal {
        Refusal::new(End::Limit, "as many partners are connected as partners-max allows; try again")
    }

    /// The name is a dialled partner's.
    pub(super) fn dialled() -> Refusal {
        let why =
            "the collector connects to the partner of this name itself, see /v1/partners; take another one";
        Refusal::new(End::NameDialled, why)
    }

    /// The collector ends.
    pub(super) fn ending() -> Refusal {
        Refusal::new(End::Drain, "the collector is ending; try again")
    }

    /// As many names have a place as may.
    pub(super) fn names(max: usize) -> Refusal {
        Refusal::new(End::TooManyNames, format!("{max} names have a place, and none of them has run out"))
    }

    /// A line of JSON for the partner, where it can still be reached.
    pub(super) fn tell(&self, socket: &Socket) {
        if self.end != End::Left {
            let line = serde_json::json!({ "error": self.why, "code": self.end.name() });
            // Nobody may be reading any more.
            _ = socket.try_write_now(format!("{line}\n").as_bytes());
        }
    }
}

/// Hears what the partner has to say.
pub(super) async fn hear(socket: &Socket) -> Result<Greeting, Refusal> {
    let mut line = Vec::new();
    let mut until = Instant::now() + SILENCE;
    loop {
        let Ok(ready) = timeout_at(until, socket.readable()).await else {
            if line.is_empty() {
                return Ok(Greeting { silent: true, ..Greeting::default() });
            }
            return Err(Refusal::new(End::BadHello, "the line did not end in time"));
        };
        ready.map_err(|error| Refusal::left(&error))?;
        let mut buffer = [0; 1024];
        match socket.try_read(&mut buffer) {
            Ok(0) => return Err(Refusal::new(End::Left, "it closed its side of the connection")),
            Ok(received) => {
                if line.is_empty() {
                    until = Instant::now() + LINE_TIME;
                }
                line.extend_from_slice(&buffer[..received]);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(Refusal::left(&error)),
        }
        if line.first().is_some_and(|first| *first != b'{') {
            return Err(Refusal::new(End::BadHello, "the line does not begin with \"{\""));
        }
        if let Some(end) = memchr::memchr(b'\n', &line) {
            return parse(&line[..end], &line[end + 1..]);
        }
        if line.len() > LINE_BYTES_MAX {
            let why = format!("the line has more than {LINE_BYTES_MAX} bytes");
            return Err(Refusal::new(End::BadHello, why));
        }
    }
}

fn parse(line: &[u8], rest: &[u8]) -> Result<Greeting, Refusal> {
    match Hello::parse(line) {
        Ok(hello) => Ok(Greeting { hello, rest: rest.to_vec(), silent: false }),
        Err(error) => Err(Refusal::new(End::BadHello, error.to_string())),
    }
}
