//! The sink: a Kafka broker as far as a producer can tell. It acknowledges at once and counts what it was given.
//!
//! It is told what to do on its standard input, and answers each line with one line:
//! `expect datapoints N` or `expect bytes N` (start from zero), `await MS` (until all has come, or nothing more came
//! for that long; then the counts), `totals` (the counts), `down` and `up` (no broker answers in between; the counts go
//! on). It ends when its input does.

mod api;
mod batch;
mod door;
pub(crate) mod numbers;
mod tally;
pub(crate) mod walk;
mod wire;

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;

use door::Door;
pub(crate) use tally::RAW_TOPIC;
use tally::{Tally, Target};

/// Larger requests than this are no producer's.
const REQUEST_MAX: usize = 128 << 20;

/// The counts, and a bell that rings when they are complete.
#[derive(Default)]
struct Shared {
    tally: Mutex<Tally>,
    complete: Condvar,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("no thread panics while it counts")
    }
}

/// Runs the sink until its standard input ends.
pub(crate) fn run(partitions: i32) -> io::Result<()> {
    let shared = Arc::new(Shared::default());
    let counts = Arc::clone(&shared);
    let mut door = Door::open_at_any(|address| {
        let broker = api::Broker { address, partitions };
        move |client| {
            if let Err(error) = serve(client, &broker, &counts)
                && error.kind() == io::ErrorKind::InvalidData
            {
                eprintln!("sink: {error}");
            }
        }
    })?;
    println!("{}", json!({ "kafka": door.address().to_string() }));
    for line in io::stdin().lock().lines() {
        println!("{}", command(&line?, &shared, &mut door));
    }
    Ok(())
}

/// One connection, request after request.
fn serve(mut stream: TcpStream, broker: &api::Broker, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    loop {
        let mut size = [0; 4];
        stream.read_exact(&mut size)?;
        let size = u32::from_be_bytes(size) as usize;
        if size > REQUEST_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a request of {size} bytes")));
        }
        if request.len() < size {
            request.resize(size, 0);
        }
        let request = &mut request[..size];
        stream.read_exact(request)?;
        let answer = broker.answer(request, |topic, batches| {
            let mut tally = shared.tally();
            let before = tally.complete();
            tally.produced(topic, batches);
            if tally.complete() && !before {
                shared.complete.notify_all();
            }
        });
        let Some(answer) = answer else {
            let head = &request[..size.min(4)];
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("cannot answer request {head:?}"),
            ));
        };
        stream.write_all(&answer)?;
    }
}

fn command(line: &str, shared: &Shared, door: &mut Door) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |word: &str| word.parse::<u64>().ok();
    match words.as_slice() {
        ["expect", what, n] => {
            let target = match (*what, number(n)) {
                ("datapoints", Some(n)) => Target::Datapoints(n),
                ("bytes", Some(n)) => Target::Bytes(n),
                _ => return format!("cannot expect {line:?}"),
            };
            *shared.tally() = Tally::expect(target);
            "ok".to_owned()
        }
        ["await", ms] => await_all(shared, Duration::from_millis(number(ms).unwrap_or(1_000))),
        ["totals"] => shared.tally().json().to_string(),
        ["down"] => done(door.shut()),
        ["up"] => done(door.open()),
        _ => format!("no such command: {line:?}"),
    }
}

fn done(result: io::Result<()>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

/// Waits until all has come, or nothing more came for `patience`.
fn await_all(shared: &Shared, patience: Duration) -> String {
    let mut tally = shared.tally();
    while !tally.complete() {
        let before = tally.progress();
        let (next, timeout) =
            shared.complete.wait_timeout(tally, patience).expect("no thread panics while it counts");
        tally = next;
        if timeout.timed_out() && tally.progress() == before {
            break;
        }
    }
    tally.json().to_string()
}
