//! Viewers of the status page: two quiet nodes side by side, one of which many look at by the page's stream of events.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::SETTLE;
use super::client::Client;
use crate::child::Part;
use crate::systems::{self, Running, Setup, System};
use crate::{proc, send};

/// What the page's script asks for, and how many pages are open.
pub(crate) const ROUTE: &str = "/v1/events";
const VIEWERS: u64 = 50;

/// Time before the clock starts: connections, metadata, first messages.
const WARM_UP: Duration = Duration::from_secs(3);

/// What the viewers cost.
pub(crate) enum Viewed {
    /// There is no such route: what was answered. Nothing was measured.
    Missing(u16),
    /// They were served.
    Served(Cost),
}

pub(crate) struct Cost {
    pub(crate) viewers: u64,
    /// Events and bytes that each viewer got, in the middle.
    pub(crate) events: f64,
    pub(crate) bytes: f64,
    /// Share of a core without them, and with them.
    pub(crate) without: f64,
    pub(crate) with: f64,
    /// All of them were served to the end, and both collectors ended as they should.
    pub(crate) whole: bool,
}

impl Viewed {
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Viewed::Served(cost) if cost.whole)
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Viewed::Missing(status) => json!({ "route": ROUTE, "missing": true, "status": status }),
            Viewed::Served(cost) => json!({
                "route": ROUTE,
                "viewers": cost.viewers,
                "events_each": cost.events,
                "bytes_each": cost.bytes,
                "cpu_share_of_a_core_without": cost.without,
                "cpu_share_of_a_core_with": cost.with,
                "whole": cost.whole,
            }),
        }
    }
}

/// A quiet node.
struct Node {
    running: Running,
    sender: Part,
    _sink: Part,
}

/// What a viewer has seen.
#[derive(Default)]
struct Seen {
    events: AtomicU64,
    bytes: AtomicU64,
    ended: AtomicBool,
}

pub(super) fn run(setup: &Setup, lasting: Duration) -> io::Result<Viewed> {
    let mut nodes = [Node::start(setup, lasting)?, Node::start(setup, lasting)?];
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS {
        let mut client = Client::connect(&nodes[1].running)?;
        match client.begin("GET", ROUTE, "")? {
            (200, None) => viewers.push(look(client)),
            (status, _) => return Ok(Viewed::Missing(status)),
        }
    }
    for node in &mut nodes {
        node.sender.tell("go")?;
    }
    thread::sleep(WARM_UP);
    let cpu = |node: &Node| proc::cpu(node.running.part.pid());
    let seen = |what: fn(&Seen) -> &AtomicU64| {
        let sum: u64 = viewers.iter().map(|seen| what(seen).load(Ordering::Relaxed)).sum();
        sum as f64 / VIEWERS as f64
    };
    let counts = || (seen(|seen| &seen.events), seen(|seen| &seen.bytes));
    let before = (Instant::now(), nodes.each_ref().map(cpu), counts());
    thread::sleep(lasting);
    let after = (before.0.elapsed().as_secs_f64(), nodes.each_ref().map(cpu), counts());
    let served = viewers.iter().all(|seen| !seen.ended.load(Ordering::Relaxed));
    let [without, with] = [0, 1].map(|i| after.1[i].saturating_sub(before.1[i]).as_secs_f64() / after.0);
    let mut whole = served && after.2.0 > before.2.0;
    for Node { running, sender, .. } in nodes {
        sender.answer(SETTLE)?;
        whole &= running.end()?.0;
    }
    Ok(Viewed::Served(Cost {
        viewers: VIEWERS,
        events: after.2.0 - before.2.0,
        bytes: after.2.1 - before.2.1,
        without,
        with,
        whole,
    }))
}

impl Node {
    fn start(setup: &Setup, lasting: Duration) -> io::Result<Node> {
        let (sink, kafka) = systems::sink()?;
        let running = setup.start(System::Collector, &kafka, "none", &[])?;
        let seconds = (WARM_UP + lasting).as_secs() + 1;
        let sender = send::quiet(&running.input, send::QUIET_DATAPOINTS_PER_SECOND * seconds)?;
        sender.ready()?;
        Ok(Node { running, sender, _sink: sink })
    }
}

/// Reads events on a thread of its own.
fn look(client: Client) -> Arc<Seen> {
    let seen = Arc::new(Seen::default());
    let theirs = seen.clone();
    thread::spawn(move || {
        for line in client.into_body().lines().map_while(Result::ok) {
            theirs.bytes.fetch_add(line.len() as u64 + 1, Ordering::Relaxed);
            if line.starts_with("data:") {
                theirs.events.fetch_add(1, Ordering::Relaxed);
            }
        }
        theirs.ended.store(true, Ordering::Relaxed);
    });
    seen
}
