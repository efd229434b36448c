//! The output's task: waits, routes what the spool shows to topics, and looks at each topic when it is due.
//!
//! One look at a topic either sends its next message, or sets a timer, or finds that it must wait for something to come
//! back. Sending is in `sending`, what comes back in `returns`, what is asked of the cluster besides in `asking`, and
//! what others may know in `notes`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use tokio::sync::{Notify, mpsc, watch};
use tracing::warn;

use super::asking::{Asking, Told};
use super::batch::Press;
use super::brokers::Brokers;
use super::fit::Fit;
use super::flow::{Flow, HoldReason};
use super::lend::Wired;
use super::metrics::Metrics;
use super::naming::Route;
use super::notes::NOTES_PAUSE_QUIET;
use super::producer::Context;
use super::queue::{Due, Queue};
use super::settings::Config;
use super::state::Board;
use crate::output::message::Envelope;
use crate::pause;
use crate::record::{Budget, TopicName};
use crate::spool::{AsideReason, FrameRef, Outcome, Reader, Topic};
use crate::telemetry::LogBudget;
use crate::telemetry::problems::Kind;

/// Above this fullness of the spool, messages are closed before they are full.
const PRESSURE: f64 = 0.75;

/// Pause before a producer that failed for good is replaced; twice as long each time, up to the second.
pub(super) const REPLACE_PAUSE: Duration = Duration::from_secs(2);
pub(super) const REPLACE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Each kind of error is logged once in this time, and so many kinds are told apart.
const LOG_PERIOD: Duration = Duration::from_secs(60);
const LOG_KINDS: usize = 256;

/// What helpers may have told and the task has not heard; they wait when it is full.
const TOLD_MAX: usize = 64;

/// The task's state.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Task {
    /// `brokers` in it are those of the producer, or of the next one.
    pub(super) config: Config,
    /// Where it is told what else is set, and what of that waits for the next producer.
    pub(super) settings: watch::Receiver<Config>,
    /// There is something that was set and not heard.
    pub(super) is_set: bool,
    pub(super) next: Option<Config>,
    pub(super) brokers: Brokers,
    pub(super) reader: Reader,
    pub(super) board: Arc<Board>,
    pub(super) metrics: Metrics,
    /// Notified by librdkafka when it has something for us.
    pub(super) wake: Arc<Notify>,
    /// None while a producer is replaced.
    pub(super) link: Option<Arc<Wired<Context>>>,
    pub(super) replacing: Replacing,
    /// A producer that gives way may take as long as it takes brokers to answer.
    pub(super) gives_time: bool,
    pub(super) fit: Fit,
    pub(super) press: Press,
    pub(super) queues: Vec<Queue>,
    /// By id of the record topic.
    pub(super) routes: HashMap<u32, Route>,
    /// Topics to look at now.
    pub(super) ready: VecDeque<usize>,
    /// Topics to look at when something has come back.
    pub(super) starved: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    pub(super) in_flight_messages: usize,
    pub(super) in_flight_bytes: usize,
    /// What `global-limit-...` leaves, and until when nothing is sent because of it.
    pub(super) budget: Option<Budget>,
    pub(super) paused_until: Option<Instant>,
    told: mpsc::Receiver<Told>,
    pub(super) tell: mpsc::Sender<Told>,
    /// What the helpers in the background do.
    pub(super) asking: Asking,
    /// When the cluster is asked for next; none while it is reached, or being asked.
    pub(super) next_probe: Option<Instant>,
    /// The last producer failed for good, and nothing has been acknowledged since. How long until the next one.
    pub(super) failed: bool,
    pub(super) replace_pause: Duration,
    /// Which producer this is, counted from 1.
    pub(super) generation: u64,
    /// Topics that are stalled: their bytes under way do not count against the others'.
    pub(super) stalled: usize,
    /// When messages close before they are full, because the spool is.
    pressed: bool,
    pub(super) next_notes: Option<Instant>,
    pub(super) next_shrink: Option<Instant>,
    pub(super) draining: bool,
    /// Where the grid of due times begins.
    epoch: Instant,
    pub(super) incarnation: String,
    /// Where the agent's id is told, once known.
    pub(super) agent_id: Option<watch::Receiver<Option<Arc<str>>>>,
    /// By kind of error.
    pub(super) log_budget: LogBudget,
}

/// Whether the producer is being replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replacing {
    No,
    /// It gets nothing any more; what is not acknowledged by then is taken back.
    Flushing(Instant),
    /// It has been purged, and gives everything back.
    Returning,
    /// A new one is made then, or when brokers are known.
    At(Instant),
    /// A new one is made when a broker has said what it can do.
    Asking,
}

impl Task {
    pub(super) fn new(
        mut settings: watch::Receiver<Config>,
        mut brokers: Brokers,
        reader: Reader,
        envelope: Envelope,
        incarnation: String,
        board: Arc<Board>,
        metrics: Metrics,
    ) -> Task {
        let mut config = settings.borrow_and_update().clone();
        config.brokers = brokers.list();
        let press = Press::new(envelope);
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let now = Instant::now();
        Task {
            budget: config.limit.map(|rate| Budget::new(rate, now)),
            paused_until: None,
            config,
            settings,
            is_set: false,
            next: None,
            brokers,
            reader,
            board,
            metrics,
            wake: Arc::new(Notify::new()),
            link: None,
            replacing: Replacing::At(now),
            gives_time: false,
            fit: Fit::default(),
            press,
            queues: Vec::new(),
            routes: HashMap::new(),
            ready: VecDeque::new(),
            starved: Vec::new(),
            timers: BinaryHeap::new(),
            in_flight_messages: 0,
            in_flight_bytes: 0,
            told,
            tell,
            asking: Asking::default(),
            next_probe: Some(now),
            failed: false,
            replace_pause: REPLACE_PAUSE,
            generation: 0,
            stalled: 0,
            pressed: false,
            next_notes: None,
            next_shrink: None,
            draining: false,
            epoch: now,
            incarnation,
            agent_id: None,
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
                more = self.reader.changed(), if !self.draining => self.draining = !more,
                () = wake.notified() => {}
                Some(told) = self.told.recv() => self.hear(told),
                // Both are heard as all that is done begins.
                () = self.brokers.changed() => {}
                Ok(()) = self.settings.changed() => self.is_set = true,
                () = pause::until(timer) => {}
                _ = deadline.wait_for(|over| *over) => break,
            }
        }
        self.end().await
    }

    /// Everything that can be done now.
    fn work(&mut self, now: Instant) {
        // First what was acknowledged: a change that makes the producer give way must not have it sent again.
        self.serve(now);
        // What was set and found before a record came counts for it.
        self.hear_settings(now);
        if self.brokers.has_changed() {
            self.take_brokers(now);
        }
        self.see(now);
        self.fire_timers(now);
        self.pressed = self.draining || self.reader.fullness() > PRESSURE;
        if self.pressed {
            for topic in 0..self.queues.len() {
                self.look_soon(topic);
            }
        }
        // Each look takes a topic off the list; one that has more comes back behind the others.
        while let Some(topic) = self.ready.pop_front() {
            self.queues[topic].listed = false;
            self.look(topic, now);
        }
    }

    // --- from the spool to a topic ---

    /// Hears what is new in the spool.
    pub(super) fn see(&mut self, now: Instant) {
        // Topics that were shown a frame and have yet to hear that it was opened.
        let mut ahead = Vec::new();
        while let Some(frame) = self.reader.show() {
            ahead.extend(self.route(&frame, now).filter(|topic| self.queues[*topic].is_ahead()));
        }
        for open in self.reader.opened() {
            if let Route::To(topic) = self.route_of(&open.topic, now) {
                self.queues[topic].opened(now);
                self.note_soon(now, NOTES_PAUSE_QUIET);
                if self.queues[topic].timer.is_none() {
                    self.look_soon(topic);
                }
            } else {
                // It is shown then, and set aside.
                self.reader.close(open.topic.id);
            }
        }
        for topic in ahead {
            self.queues[topic].settle();
        }
        // Frames that had to leave the spool before their turn.
        for frame in self.reader.gone() {
            if let Some(Route::To(topic)) = self.routes.get(&frame.topic.id) {
                self.queues[*topic].forget(&frame);
            }
        }
    }

    /// Gives the topic that it goes to.
    fn route(&mut self, frame: &FrameRef, now: Instant) -> Option<usize> {
        match self.route_of(&frame.topic, now) {
            Route::To(topic) => {
                let queue = &mut self.queues[topic];
                queue.push(frame.clone(), now);
                // Looked at when it may have become full, and once to set its timer.
                if queue.timer.is_none() || queue.is_full(&self.config.batch, self.press.envelope.overhead())
                {
                    self.look_soon(topic);
                }
                self.note_soon(now, NOTES_PAUSE_QUIET);
                Some(topic)
            }
            Route::Aside(reason) => {
                let (_, ticket) = self.reader.take([frame]);
                self.board.topics.note(frame.topic.id, |news| {
                    (news.kafka, news.state) = (None, reason.name());
                    news.set_aside += ticket.records();
                });
                ticket.finish(Outcome::SetAside(reason));
                None
            }
        }
    }

    fn route_of(&mut self, source: &Arc<Topic>, now: Instant) -> Route {
        if let Some(route @ Route::To(_)) = self.routes.get(&source.id) {
            return *route;
        }
        // Others may have set something since.
        self.hear_settings(now);
        if let Some(route) = self.routes.get(&source.id) {
            return *route;
        }
        let route = match self.topic_for(source, now) {
            Ok(topic) if !source.is_all && self.told_apart() >= self.config.topics_max.get() => {
                if let Some(suppressed) = self.log_budget.take("topic limit", now) {
                    warn!(%topic, suppressed, "records set aside: more Kafka topics than kafka-topics-max");
                }
                self.metrics.problems.note(Kind::TopicLimit, &topic);
                Route::Aside(AsideReason::TopicLimit)
            }
            Ok(topic) => Route::To(self.add_queue(topic, source, now)),
            Err(reason) => Route::Aside(reason),
        };
        self.routes.insert(source.id, route);
        route
    }

    // --- when ---

    pub(super) fn look_soon(&mut self, topic: usize) {
        let queue = &mut self.queues[topic];
        if !queue.listed {
            queue.listed = true;
            self.ready.push_back(topic);
        }
    }

    /// Looks at the topics that wait for permits.
    pub(super) fn look_at_starved(&mut self) {
        for topic in std::mem::take(&mut self.starved) {
            self.queues[topic].starved = false;
            self.look_soon(topic);
        }
    }

    fn look(&mut self, topic: usize, now: Instant) {
        let overhead = self.press.envelope.overhead();
        let queue = &mut self.queues[topic];
        let at = match queue.due(&self.config.batch, overhead, self.pressed, self.epoch) {
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
        match self.replacing {
            Replacing::At(at) if at <= now && !self.config.brokers.is_empty() => self.connect(now),
            Replacing::Flushing(until) if until <= now => self.end_flush(now),
            _ => {}
        }
        if self.paused_until.is_some_and(|at| at <= now) {
            self.paused_until = None;
            self.look_at_starved();
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
            self.reader.shrink();
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let topics = self.timers.peek().map(|Reverse((at, _))| *at);
        let replace = match self.replacing {
            Replacing::At(at) => Some(at).filter(|_| !self.config.brokers.is_empty()),
            Replacing::Flushing(until) => Some(until),
            Replacing::No | Replacing::Returning | Replacing::Asking => None,
        };
        let others = [self.next_probe, self.next_notes, self.next_shrink, self.paused_until];
        others.into_iter().chain([topics, replace]).flatten().min()
    }
}
