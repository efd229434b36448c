//! The sender: numbered records over one or many connections, flat out or at a steady pace.
//!
//! It connects, prints what it is going to send, waits for a line on its standard input, sends, prints how long it
//! took and how many datapoints it were, and keeps its connections open until its input ends.

use std::io::{self, BufRead, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::child;
use crate::data::{self, Block, Shape};

/// Senders of a quiet node; each writes a block of [`QUIET_BLOCK_BYTES`] every [`QUIET_EVERY_MS`]: half a megabyte a
/// second in all.
const QUIET_SENDERS: &str = "4";
const QUIET_BLOCK_BYTES: &str = "12500";
const QUIET_EVERY_MS: &str = "100";

/// Datapoints a second that come of this, nearly.
pub(crate) const QUIET_DATAPOINTS_PER_SECOND: u64 = 11_400;

/// Starts the senders of a quiet node, as one process.
pub(crate) fn quiet(to: &str, datapoints: u64) -> io::Result<child::Part> {
    let datapoints = datapoints.to_string();
    let mut arguments = vec!["--to", to, "--shape", "20x6", "--connections", QUIET_SENDERS];
    arguments.extend(["--block-bytes", QUIET_BLOCK_BYTES, "--every-ms", QUIET_EVERY_MS]);
    arguments.extend(["--datapoints", &datapoints]);
    child::Part::role("send", &arguments, true)
}

/// What to send.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where to: `host:port`.
    pub(crate) to: String,
    pub(crate) shape: Shape,
    pub(crate) connections: usize,
    /// Datapoints in all, at least; only whole blocks are sent.
    pub(crate) datapoints: u64,
    /// Time between two blocks of a connection; none: flat out.
    pub(crate) every: Option<Duration>,
    /// When to stop though not all is sent.
    pub(crate) lasting: Option<Duration>,
    /// Topics of the records.
    pub(crate) topics: usize,
    /// Datapoints have for a time when they were written, see [`data::stamp`].
    pub(crate) stamped: bool,
}

/// One connection's part.
struct Part {
    stream: TcpStream,
    blocks: Vec<Block>,
    n_blocks: usize,
    /// Number of its first datapoint.
    first: u64,
    every: Option<Duration>,
    /// How long after the others it begins, so that paced writes do not all come at once.
    after: Duration,
    lasting: Option<Duration>,
    stamped: bool,
}

/// Sends it all.
pub(crate) fn run(plan: &Plan) -> io::Result<()> {
    // Few blocks, so that they stay in the cache and sending costs little more than the system call.
    let blocks = data::blocks(plan.shape, if plan.connections > 4 { 2 } else { 8 }, plan.topics);
    let share = plan.datapoints.div_ceil(plan.connections as u64);
    let (mut n_blocks, mut datapoints, mut bytes) = (0, 0, data::header().len());
    while datapoints < share {
        let block = &blocks[n_blocks % blocks.len()];
        datapoints += block.datapoints();
        bytes += block.bytes.len();
        n_blocks += 1;
    }
    let mut parts = Vec::with_capacity(plan.connections);
    for i in 0..plan.connections {
        let stream = TcpStream::connect(&plan.to)?;
        stream.set_nodelay(true)?;
        parts.push(Part {
            stream,
            blocks: blocks.clone(),
            n_blocks,
            first: datapoints * i as u64,
            every: plan.every,
            after: plan.every.unwrap_or_default() * i as u32 / plan.connections as u32,
            lasting: plan.lasting,
            stamped: plan.stamped,
        });
    }
    let all = plan.connections as u64;
    println!("{}", json!({ "datapoints": datapoints * all, "bytes": bytes as u64 * all }));

    let mut input = io::stdin().lock().lines();
    if input.next().transpose()?.is_none() {
        return Ok(());
    }
    let began = Instant::now();
    let done = Barrier::new(plan.connections + 1);
    let outcome = thread::scope(|scope| {
        let senders: Vec<_> = parts
            .into_iter()
            .map(|part| {
                let done = &done;
                scope.spawn(move || {
                    let outcome = part.send();
                    done.wait();
                    outcome
                })
            })
            .collect();
        done.wait();
        senders
            .into_iter()
            .map(|sender| sender.join().expect("senders do not panic"))
            .collect::<io::Result<Vec<_>>>()
    });
    match outcome {
        // Held until the end of our input: closing is not part of what is measured.
        Ok(parts) => {
            let datapoints: u64 = parts.iter().map(|(_stream, datapoints)| datapoints).sum();
            println!("{}", json!({ "seconds": began.elapsed().as_secs_f64(), "datapoints": datapoints }));
            input.next();
        }
        Err(error) => println!("{}", json!({ "error": error.to_string() })),
    }
    Ok(())
}

impl Part {
    /// Gives the stream and how many datapoints it had.
    fn send(mut self) -> io::Result<(TcpStream, u64)> {
        let until = self.lasting.map(|lasting| Instant::now() + lasting);
        thread::sleep(self.after);
        self.stream.write_all(&data::header())?;
        let mut next = self.first;
        let mut due = Instant::now();
        for i in 0..self.n_blocks {
            if until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            if let Some(every) = self.every {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                due += every;
            }
            let turn = i % self.blocks.len();
            let block = &mut self.blocks[turn];
            next = block.number(next, self.stamped.then(data::stamp));
            self.stream.write_all(&block.bytes)?;
        }
        Ok((self.stream, next - self.first))
    }
}
