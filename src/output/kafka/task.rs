//! The output's task: waits, routes what the spool shows to topics, and looks at each topic when it is due.
//!
//! One look at a topic either sends its next message, or sets a timer, or finds that it must wait for something to come
//! back. Sending is in `sending`, what comes back in `returns`, what is asked of the
//! cluster besides in `asking`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use tokio::sync::{Notify, mpsc, watch};
use tracing::warn;

use super::asking::Told;
use super::batch::{Numbering, Press};
use super::lend::Wired;
use super::metrics::Metrics;
use super::producer::Context;
use super::queue::{Due, Flow, HoldReason, Queue};
use super::settings::{Config, Naming};
use super::state::{Board, Link};
use crate::output::message::Envelope;
use crate::record::{RecordTopic, TopicName};
use crate::spool::{AsideReason, FrameRef, Outcome, Reader};
use crate::telemetry::LogBudget;

/// A topic that has something and no acknowledgement for so long is stalled: a full spool does not wait for it.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// Above this fullness of the spool, messages are closed before they are full.
const PRESSURE: f64 = 0.75;

/// A look at the spool that finds less than this is followed by another after the pause, and not for each chunk.
const MUCH: usize = 64 << 10;
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// How often the status is written down while there is work, and the buffers are let go when there is none.
const NOTES_PAUSE: Duration = Duration::from_secs(1);
const SHRINK_AFTER: Duration = Duration::from_secs(20);

/// Each kind of error is logged once in this time, and so many kinds are told apart.
const LOG_PERIOD: Duration = Duration::from_secs(60);
const LOG_KINDS: usize = 256;

/// What helpers may have told and the task has not heard; they wait when it is full.
const TOLD_MAX: usize = 64;

/// The task's state.
pub(super) struct Task {
    pub(super) config: Config,
    pub(super) reader: Reader,
    pub(super) board: Arc<Board>,
    pub(super) metrics: Metrics,
    /// Notified by librdkafka when it has something for us.
    pub(super) wake: Arc<Notify>,
    /// None while a producer is replaced.
    pub(super) link: Option<Arc<Wired<Context>>>,
    pub(super) replacing: Replacing,
    pub(super) press: Press,
    pub(super) queues: Vec<Queue>,
    by_name: HashMap<TopicName, usize>,
    /// By id of the record topic.
    routes: HashMap<u32, Route>,
    /// Topics to look at now.
    pub(super) ready: VecDeque<usize>,
    /// Topics to look at when something has come back.
    pub(super) starved: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    pub(super) in_flight_messages: usize,
    pub(super) in_flight_bytes: usize,
    told: mpsc::Receiver<Told>,
    pub(super) tell: mpsc::Sender<Told>,
    /// When the cluster is asked for next; none while it is reached, or being asked.
    pub(super) next_probe: Option<Instant>,
    /// When to look for chunks that were too little to be woken for, and how many bytes are enough.
    next_look: Option<Instant>,
    wake_at: usize,
    next_notes: Option<Instant>,
    next_shrink: Option<Instant>,
    draining: bool,
    /// Where the grid of due times begins.
    epoch: Instant,
    pub(super) incarnation: String,
    /// By kind of error.
    pub(super) log_budget: LogBudget,
}

/// Whether the producer is being replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replacing {
    No,
    /// It has been purged, and gives everything back.
    Returning,
    /// A new one is made then.
    At(Instant),
}

/// Where a record topic's records go.
#[derive(Clone, Copy, Debug)]
enum Route {
    To(usize),
    Aside(AsideReason),
}

impl Task {
    pub(super) fn new(
        config: Config,
        reader: Reader,
        envelope: Envelope,
        incarnation: String,
        board: Arc<Board>,
        metrics: Metrics,
    ) -> Task {
        let numbering = match config.naming {
            Naming::Prefix(_) => Numbering::Topic,
            Naming::Single(_) => Numbering::All,
        };
        let press = Press::new(envelope, numbering, config.batch.bytes);
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let now = Instant::now();
        Task {
            config,
            reader,
            board,
            metrics,
            wake: Arc::new(Notify::new()),
            link: None,
            replacing: Replacing::At(now),
            press,
            queues: Vec::new(),
            by_name: HashMap::new(),
            routes: HashMap::new(),
            ready: VecDeque::new(),
            starved: Vec::new(),
            timers: BinaryHeap::new(),
            in_flight_messages: 0,
            in_flight_bytes: 0,
            told,
            tell,
            next_probe: Some(now),
            next_look: None,
            wake_at: 1,
            next_notes: None,
            next_shrink: None,
            draining: false,
            epoch: now,
            incarnation,
            log_budget: LogBudget::new(1, LOG_PERIOD, LOG_KINDS),
        }
    }

    /// Runs until the spool is closed and everything is delivered, or until `deadline` says that the grace is over.
    /// Gives the records that were not delivered, by topic.
    pub(super) async fn run(mut self, mut deadline: watch::Receiver<bool>) -> Vec<(TopicName, u64)> {
        let wake = self.wake.clone();
        loop {
            self.work(Instant::now());
            if self.draining && self.queues.iter().all(Queue::is_empty) {
                break;
            }
            let timer = self.next_timer();
            tokio::select! {
                more = self.reader.changed(self.wake_at), if !self.draining => self.draining = !more,
                () = wake.notified() => {}
                Some(told) = self.told.recv() => self.hear(&told),
                () = sleep_until(timer) => {}
                _ = deadline.wait_for(|over| *over) => break,
            }
        }
        self.end().await
    }

    /// Everything that can be done now.
    fn work(&mut self, now: Instant) {
        self.serve(now);
        self.forget_gone();
        let mut seen = 0;
        while let Some(frame) = self.reader.show() {
            seen += frame.bytes;
            self.route(&frame, now);
        }
        // Where much comes, the next chunk wakes us; where little comes, we look by ourselves.
        self.wake_at = if seen > 0 && seen < MUCH { MUCH } else { 1 };
        self.next_look = (self.wake_at > 1).then(|| now + LOOK_PAUSE);
        self.fire_timers(now);
        if self.draining || self.reader.fullness() > PRESSURE {
            for topic in 0..self.queues.len() {
                self.look_soon(topic);
            }
        }
        // Each look takes a topic off the list; one that has more comes back behind the others.
        while let Some(topic) = self.ready.pop_front() {
            self.queues[topic].listed = false;
            self.look(topic, now);
        }
        self.next_notes.get_or_insert(now + NOTES_PAUSE);
    }

    // --- from the spool to a topic ---

    /// Forgets frames that had to leave the spool before their turn, and says so.
    fn forget_gone(&mut self) {
        let gone = self.reader.gone();
        for frame in &gone {
            if let Some(Route::To(topic)) = self.routes.get(&frame.topic.id) {
                self.queues[*topic].forget(frame);
            }
        }
    }

    fn route(&mut self, frame: &FrameRef, now: Instant) {
        let route = match self.routes.get(&frame.topic.id) {
            Some(route) => *route,
            None => self.add_route(frame, now),
        };
        match route {
            Route::To(topic) => {
                let queue = &mut self.queues[topic];
                queue.push(frame.clone(), now);
                // Looked at when it may have become full, and once to set its timer.
                if queue.timer.is_none() || queue.is_full(&self.config.batch, self.press.envelope.overhead())
                {
                    self.look_soon(topic);
                }
            }
            Route::Aside(reason) => {
                let (_, ticket) = self.reader.take([frame]);
                ticket.finish(Outcome::SetAside(reason));
            }
        }
    }

    fn add_route(&mut self, frame: &FrameRef, now: Instant) -> Route {
        let route = match self.topic_for(frame.topic.name.as_ref()) {
            Ok(name) => match self.by_name.get(&name) {
                Some(topic) => Route::To(*topic),
                None if self.queues.len() >= self.config.topics_max.get() => {
                    warn!(topic = %name, "records set aside: more Kafka topics than kafka-topics-max");
                    Route::Aside(AsideReason::TopicLimit)
                }
                None => Route::To(self.add_queue(name, now)),
            },
            Err(reason) => Route::Aside(reason),
        };
        self.routes.insert(frame.topic.id, route);
        route
    }

    fn topic_for(&self, topic: Option<&RecordTopic>) -> Result<TopicName, AsideReason> {
        let prefix = match &self.config.naming {
            Naming::Single(name) => return Ok(name.clone()),
            Naming::Prefix(prefix) => prefix,
        };
        let Some(topic) = topic else {
            warn!("records set aside: they have more topics than kafka-topics-max");
            return Err(AsideReason::TopicLimit);
        };
        TopicName::with_prefix(prefix, topic).map_err(|error| {
            warn!(prefix, %topic, "records set aside: no Kafka topic can be called so: {error}");
            AsideReason::IllegalTopic
        })
    }

    fn add_queue(&mut self, name: TopicName, now: Instant) -> usize {
        let topic = self.queues.len();
        self.queues.push(Queue::new(name.clone(), now));
        self.by_name.insert(name, topic);
        self.metrics.topics.inc();
        if self.config.create_topics.is_some() {
            self.ask(topic, HoldReason::Creating);
        }
        topic
    }

    // --- when ---

    pub(super) fn look_soon(&mut self, topic: usize) {
        let queue = &mut self.queues[topic];
        if !queue.listed {
            queue.listed = true;
            self.ready.push_back(topic);
        }
    }

    fn look(&mut self, topic: usize, now: Instant) {
        let overhead = self.press.envelope.overhead();
        let at_once = self.draining || self.reader.fullness() > PRESSURE;
        let queue = &mut self.queues[topic];
        let at = match queue.due(&self.config.batch, overhead, at_once, self.epoch) {
            Due::Never => return,
            Due::Now => return self.send_next(topic, now),
            Due::At(at) => at,
        };
        if at > now {
            if queue.timer.is_none_or(|known| at < known) {
                queue.timer = Some(at);
                self.timers.push(Reverse((at, topic)));
            }
            return;
        }
        match queue.flow {
            Flow::Held(HoldReason::Retry, _) => {
                queue.flow = Flow::Flowing;
                self.send_next(topic, now);
            }
            Flow::Held(reason, _) => self.ask(topic, reason),
            Flow::Flowing | Flow::Asking(_) => self.send_next(topic, now),
        }
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, topic))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            if self.queues[topic].timer == Some(at) {
                self.queues[topic].timer = None;
                self.look_soon(topic);
            }
        }
        if let Replacing::At(at) = self.replacing
            && at <= now
        {
            self.connect(now);
        }
        if self.next_probe.is_some_and(|at| at <= now) {
            self.probe();
        }
        if self.next_notes.is_some_and(|at| at <= now) {
            self.next_notes = None;
            self.take_notes(now);
        }
        if self.next_shrink.is_some_and(|at| at <= now) {
            self.next_shrink = None;
            self.press.shrink();
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let topics = self.timers.peek().map(|Reverse((at, _))| *at);
        let replace = match self.replacing {
            Replacing::At(at) => Some(at),
            Replacing::No | Replacing::Returning => None,
        };
        let timers = [topics, replace, self.next_look, self.next_probe, self.next_notes, self.next_shrink];
        timers.into_iter().flatten().min()
    }

    /// Writes down how things are, and tells the spool which topics it must not wait for.
    pub(super) fn take_notes(&mut self, now: Instant) {
        let mut held = 0;
        for queue in &mut self.queues {
            let stuck = !queue.is_empty() && now.duration_since(queue.last_ack) > STALLED_AFTER;
            let stalled = stuck && (queue.flow != Flow::Flowing || queue.in_flight_messages > 0);
            held += i64::from(queue.flow != Flow::Flowing);
            if stalled != queue.stalled {
                queue.stalled = stalled;
                for source in &queue.sources {
                    self.reader.set_stalled(*source, stalled);
                }
            }
        }
        self.metrics.topics_held.set(held);
        self.metrics.up.set(i64::from(self.board.link() == Link::Up));
        self.board.update(&self.queues, self.in_flight_messages, self.in_flight_bytes);
        // Stalling and its end come with time, not with an event.
        if self.queues.iter().any(|queue| !queue.is_empty()) {
            self.next_notes = Some(now + NOTES_PAUSE);
        }
        if self.in_flight_messages == 0 && self.press.holds_buffers() {
            self.next_shrink.get_or_insert(now + SHRINK_AFTER);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
