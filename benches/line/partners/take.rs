//! The role of partners: many connections, each of which counts what comes, only takes it, or does not read at all.
//!
//! It prints a line when all are connected, and answers each line on its standard input with one: `expect N` (so many
//! datapoints with numbers), `await RECORDS MS` (until so many records have come or were told to be lost, or nothing more
//! came for that long; then the counts), `totals` (the counts), `late` (how late records were that had stamps, in ms).

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stream::{Counts, Form, Stream};
use crate::sink::numbers::Numbers;

/// Stack of each thread that reads.
const STACK: usize = 256 << 10;

/// How often it is looked whether all has come.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a partner does with its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Counts records.
    Count,
    /// Takes the bytes, and counts them alone.
    Take,
    /// Does not read.
    Nothing,
}

impl Use {
    pub(crate) fn named(name: &str) -> Option<Use> {
        match name {
            "count" => Some(Use::Count),
            "take" => Some(Use::Take),
            "nothing" => Some(Use::Nothing),
            _ => None,
        }
    }
}

/// Who connects.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where to: `host:port`.
    pub(crate) to: String,
    pub(crate) connections: usize,
    /// What each says first.
    pub(crate) hello: String,
    pub(crate) does: Use,
    /// Records have stamps.
    pub(crate) stamped: bool,
}

type Shared = Arc<Mutex<Counts>>;

/// Connects and takes, until its standard input ends.
pub(crate) fn run(plan: &Plan) -> io::Result<()> {
    let counts = Shared::default();
    let mut held = Vec::new();
    for _ in 0..plan.connections {
        let mut stream = TcpStream::connect(&plan.to)?;
        stream.write_all(format!("{}\n", plan.hello).as_bytes())?;
        if plan.does == Use::Nothing {
            held.push(stream);
            continue;
        }
        let (plan, counts) = (plan.clone(), counts.clone());
        thread::Builder::new().stack_size(STACK).spawn(move || {
            if let Err(error) = take(stream, &plan, &counts) {
                eprintln!("partner: {error}");
            }
        })?;
    }
    println!("{}", json!({ "connected": plan.connections }));
    for line in io::stdin().lock().lines() {
        println!("{}", command(&line?, &counts));
    }
    Ok(())
}

fn take(mut stream: TcpStream, plan: &Plan, counts: &Shared) -> io::Result<()> {
    if plan.does == Use::Take {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                bytes => lock(counts).bytes += bytes as u64,
            }
        }
    }
    let form = if plan.hello.contains("ndjson") { Form::Ndjson } else { Form::Ocf };
    let mut taken = Stream::new(form, plan.stamped);
    loop {
        match stream.read(taken.room())? {
            0 => return Ok(()),
            bytes => taken.take(bytes, &mut lock(counts))?,
        }
    }
}

fn lock(counts: &Shared) -> MutexGuard<'_, Counts> {
    counts.lock().expect("no thread panics while it counts")
}

fn command(line: &str, counts: &Shared) -> Value {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |word: &str| word.parse::<u64>().unwrap_or(0);
    match words.as_slice() {
        ["expect", n] => {
            lock(counts).numbers = Numbers::expect(number(n));
            json!("ok")
        }
        ["await", records, ms] => await_all(counts, number(records), Duration::from_millis(number(ms))),
        ["totals"] => lock(counts).json(),
        ["late"] => late(&lock(counts).late),
        _ => json!(format!("no such command: {line:?}")),
    }
}

fn await_all(counts: &Shared, all: u64, patience: Duration) -> Value {
    let (mut before, mut since) = (0, Instant::now());
    loop {
        let counts = lock(counts);
        let done = counts.records + counts.lost;
        if done != before {
            (before, since) = (done, Instant::now());
        }
        if done >= all || since.elapsed() > patience {
            return counts.json();
        }
        drop(counts);
        thread::sleep(LOOK_EVERY);
    }
}

/// How late they were, in ms. The first tenth is left out: connections, first messages.
fn late(all: &[u64]) -> Value {
    let mut late = all[all.len() / 10..].to_vec();
    late.sort_unstable();
    let ms = |share: f64| {
        let at = (late.len() as f64 * share) as usize;
        late.get(at.min(late.len().saturating_sub(1))).map(|micros| *micros as f64 / 1e3)
    };
    json!({ "records": late.len(), "p50": ms(0.5), "p99": ms(0.99), "max": ms(1.0) })
}
