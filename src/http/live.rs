//! What viewers see: one look at everything, made for all of them together.
//!
//! # What it promises
//! * While somebody watches a look is taken once a second, however many watch; its texts are made once each, and all get
//!   the same bytes. While nobody watches nothing is done.
//! * Who asks once, as for the page, gets the look of the last second if there is one.
//! * Rates are over the last ten seconds. The first look after a pause has them over the pause, the very first one since
//!   the start; each look says over how long. A sender's begins with the first look within that time that knows what it had
//!   sent: looks see only those that have sent most.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::answers::{OutputBooks, Readiness};
use crate::control::{Control, Ledger, OutputLedger, PartnerStatus, SenderStatus, Status, Watched};
use crate::telemetry::unix_ms;

/// Between two looks.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// Rates are over so long where somebody has watched so long.
const RATES_OVER: Duration = Duration::from_secs(10);

/// Takes looks.
pub(super) struct Live {
    control: Control,
    state: Mutex<State>,
}

struct State {
    samples: VecDeque<Sample>,
    last: Option<Arc<View>>,
    /// Where the task that looks each second tells of it, while it runs.
    told: Option<watch::Receiver<Arc<View>>>,
}

/// What was counted at some time.
#[derive(Default)]
struct Sample {
    /// None: at the start, when all was 0.
    at: Option<Instant>,
    /// The same in Unix time in milliseconds.
    at_ms: u64,
    records: u64,
    datapoints: u64,
    received_bytes: u64,
    kafka_bytes: u64,
    partner_bytes: u64,
    delivered: BTreeMap<String, u64>,
    senders: HashMap<u64, u64>,
}

/// One look.
#[derive(Serialize)]
pub(super) struct View {
    /// Version of this shape: 1.
    version: u32,
    /// Unix time in milliseconds.
    pub(super) at_ms: u64,
    #[serde(flatten)]
    pub(super) readiness: Readiness,
    pub(super) rates: Rates,
    pub(super) outputs: Vec<Output>,
    pub(super) senders: Vec<Sender>,
    pub(super) partners: Vec<PartnerStatus>,
    pub(super) status: Status,
    #[serde(skip)]
    made: Option<Instant>,
    #[serde(skip)]
    texts: [OnceLock<Bytes>; 2],
}

/// How much a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rates {
    /// Over how long they are, in seconds.
    pub(super) over_seconds: f64,
    /// Accepted records and datapoints, and received bytes.
    pub(super) records: f64,
    pub(super) datapoints: f64,
    pub(super) received_bytes: f64,
    /// Bytes that Kafka acknowledged, and that partners and streams took.
    pub(super) kafka_bytes: f64,
    pub(super) partner_bytes: f64,
}

/// An output: its books, how far behind it is, and how fast it goes.
#[derive(Serialize)]
pub(super) struct Output {
    pub(super) name: String,
    /// Delivered records a second.
    pub(super) records_rate: f64,
    pub(super) waiting_bytes: usize,
    #[serde(flatten)]
    pub(super) books: OutputBooks,
}

/// A sender, and how fast it sends.
#[derive(Serialize)]
pub(super) struct Sender {
    #[serde(flatten)]
    pub(super) status: SenderStatus,
    /// Received bytes a second; null until two looks know of it.
    pub(super) bytes_rate: Option<f64>,
}

/// Which text of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The look as JSON.
    Json,
    /// What the page shows, as HTML.
    Page,
}

impl Live {
    pub(super) fn new(control: Control) -> Live {
        let state = State { samples: VecDeque::from([Sample::default()]), last: None, told: None };
        Live { control, state: Mutex::new(state) }
    }

    /// The look of the last second, or a new one.
    pub(super) fn view(&self) -> Arc<View> {
        let mut state = self.lock();
        let now = Instant::now();
        match &state.last {
            Some(view) if view.made.is_some_and(|made| now - made < PERIOD) => view.clone(),
            _ => self.look(&mut state, now),
        }
    }

    /// Looks from now on, one a second, until the receiver is dropped.
    pub(super) fn watch(self: &Arc<Live>) -> watch::Receiver<Arc<View>> {
        let first = self.view();
        let mut state = self.lock();
        // Whoever runs it has not ended where its receiver is there, unless it panicked.
        if let Some(told) = state.told.as_ref().filter(|told| told.has_changed().is_ok()) {
            return told.clone();
        }
        let (tell, told) = watch::channel(first);
        state.told = Some(told.clone());
        drop(state);
        tokio::spawn(self.clone().run(tell));
        told
    }

    async fn run(self: Arc<Live>, tell: watch::Sender<Arc<View>>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first comes at once, and the first look is there.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let mut state = self.lock();
            // One of them is ours.
            if tell.receiver_count() <= 1 {
                state.told = None;
                return;
            }
            let view = self.look(&mut state, Instant::now());
            drop(state);
            tell.send_replace(view);
        }
    }

    fn look(&self, state: &mut State, now: Instant) -> Arc<View> {
        let control = &self.control;
        let (status, ledger, watched) = (control.status(), control.ledger(), control.watched());
        let at_ms = unix_ms();
        let sample = Sample::of(&status, &ledger, &watched, (now, at_ms));
        state.forget(now);
        let before = state.before();
        // Since the start, by the clock of those who read it.
        let since_start = Duration::from_millis(at_ms.saturating_sub(status.started_seconds * 1000));
        let since = |sample: &Sample| sample.at.map_or(since_start, |at| now - at);
        let over = since(before);
        let view = View {
            version: 1,
            at_ms,
            readiness: Readiness::of(control.readiness()),
            rates: sample.rates(before, over),
            outputs: before.outputs(over, ledger, &watched.waiting_bytes),
            senders: state.senders(since, watched.senders),
            partners: control.partners(),
            status,
            made: Some(now),
            texts: [const { OnceLock::new() }; 2],
        };
        state.samples.push_back(sample);
        let view = Arc::new(view);
        state.last = Some(view.clone());
        view
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics under this lock")
    }
}

impl State {
    /// Forgets samples that no rate of a look at `now` begins with: those before its time, but for the newest there is.
    fn forget(&mut self, now: Instant) {
        let is_old = |sample: &Sample| sample.at.is_none_or(|at| now - at > RATES_OVER);
        while self.samples.len() > 1 && self.samples.front().is_some_and(is_old) {
            self.samples.pop_front();
        }
    }

    /// What rates begin with.
    fn before(&self) -> &Sample {
        self.samples.front().expect("the newest sample stays")
    }

    /// The senders of a look that is taken so long after each sample. Whoever sends most now comes first.
    fn senders(&self, since: impl Fn(&Sample) -> Duration, senders: Vec<SenderStatus>) -> Vec<Sender> {
        let sender = |status: SenderStatus| {
            let mut rates = self.samples.iter().filter_map(|sample| {
                let then = sample.sent_by(&status)?;
                Some(rate(status.bytes, then, since(sample)))
            });
            Sender { bytes_rate: rates.next(), status }
        };
        let mut senders: Vec<Sender> = senders.into_iter().map(sender).collect();
        let order = |sender: &Sender| sender.bytes_rate.unwrap_or(-1.0);
        senders.sort_by(|a, b| order(b).total_cmp(&order(a)));
        senders
    }
}

impl Sample {
    fn of(status: &Status, ledger: &Ledger, watched: &Watched, (at, at_ms): (Instant, u64)) -> Sample {
        let delivered = ledger.outputs.iter().map(|(name, books)| (name.clone(), books.delivered));
        let senders = watched.senders.iter().map(|sender| (sender.connection, sender.bytes));
        Sample {
            at: Some(at),
            at_ms,
            records: status.input.accepted_records,
            datapoints: status.input.accepted_datapoints,
            received_bytes: status.input.received_bytes,
            kafka_bytes: status.kafka.as_ref().map_or(0, |kafka| kafka.acknowledged_bytes),
            partner_bytes: watched.partner_bytes,
            delivered: delivered.collect(),
            senders: senders.collect(),
        }
    }

    fn rates(&self, before: &Sample, over: Duration) -> Rates {
        Rates {
            over_seconds: over.as_secs_f64(),
            records: rate(self.records, before.records, over),
            datapoints: rate(self.datapoints, before.datapoints, over),
            received_bytes: rate(self.received_bytes, before.received_bytes, over),
            kafka_bytes: rate(self.kafka_bytes, before.kafka_bytes, over),
            partner_bytes: rate(self.partner_bytes, before.partner_bytes, over),
        }
    }

    /// The outputs of a look that is taken so long after this.
    fn outputs(&self, over: Duration, ledger: Ledger, waiting: &BTreeMap<String, usize>) -> Vec<Output> {
        let output = |(name, books): (String, OutputLedger)| {
            let then = self.delivered.get(&name).copied().unwrap_or(0);
            Output {
                records_rate: rate(books.delivered, then, over),
                waiting_bytes: waiting.get(&name).copied().unwrap_or(0),
                name,
                books: books.into(),
            }
        };
        ledger.outputs.into_iter().map(output).collect()
    }

    /// What a sender had sent by then, if that is known.
    fn sent_by(&self, sender: &SenderStatus) -> Option<u64> {
        let seen = self.senders.get(&sender.connection).copied();
        seen.or_else(|| (sender.since_ms >= self.at_ms).then_some(0))
    }
}

/// How much more a second; 0 where no time has passed.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(now: u64, before: u64, over: Duration) -> f64 {
    let more = now.saturating_sub(before) as f64;
    if over.is_zero() { 0.0 } else { more / over.as_secs_f64() }
}

impl View {
    /// The text of this form, as an event of a stream: made once.
    pub(super) fn event(&self, form: Form) -> Bytes {
        let make = || match form {
            Form::Json => {
                let json = serde_json::to_string(self).expect("a look is structs with texts as keys");
                event("status", &json)
            }
            Form::Page => event("page", &super::page::view(self)),
        };
        self.texts[form as usize].get_or_init(make).clone()
    }
}

/// An event of a stream: each line of `data` has a line.
fn event(name: &str, data: &str) -> Bytes {
    let mut text = format!("event: {name}\n");
    for line in data.lines() {
        text.extend(["data: ", line, "\n"]);
    }
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: Instant, records: u64) -> Sample {
        Sample { at: Some(at), records, ..Sample::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_over_ten_seconds_or_over_the_pause_before() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let samples = VecDeque::from([Sample::default()]);
        let mut state = State { samples, last: None, told: None };
        let mut begins = |now: u64| {
            state.forget(at(now));
            let before = state.before().at.map(|at| (at - start).as_secs());
            state.samples.push_back(sample(at(now), 0));
            before
        };
        assert_eq!(begins(0), None, "since the start");
        assert_eq!((1..=10).map(&mut begins).collect::<Vec<_>>(), [Some(0); 10]);
        assert_eq!((11..=13).map(&mut begins).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
        assert_eq!(begins(100), Some(13), "over the pause");
        assert_eq!(begins(101), Some(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_senders_rate_begins_with_the_first_look_that_knows_it() {
        const START_MS: u64 = 1_000_000;
        let start = Instant::now();
        let seen = |seconds: u64, senders: &[(u64, u64)]| Sample {
            at: Some(start + Duration::from_secs(seconds)),
            at_ms: START_MS + seconds * 1000,
            senders: senders.iter().copied().collect(),
            ..Sample::default()
        };
        let now = start + Duration::from_secs(10);
        let since = |sample: &Sample| sample.at.map_or(Duration::ZERO, |at| now - at);
        // Of those that were there before, the second came into sight after the first look, and the third now.
        let samples = VecDeque::from([seen(0, &[(1, 100)]), seen(6, &[(1, 160), (2, 5000)])]);
        let state = State { samples, last: None, told: None };
        let before = START_MS - 1;
        let senders = [(3, before, 4900), (1, before, 200), (2, before, 5200), (4, START_MS + 3000, 300)]
            .map(|(connection, since_ms, bytes)| SenderStatus {
                connection,
                since_ms,
                bytes,
                ..SenderStatus::default()
            });
        let shown = state.senders(since, senders.to_vec());
        let rates: Vec<_> =
            shown.iter().map(|sender| (sender.status.connection, sender.bytes_rate)).collect();
        assert_eq!(rates, [(2, Some(50.0)), (4, Some(30.0)), (1, Some(10.0)), (3, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_what_came_by_the_time_that_it_took() {
        let now = Instant::now();
        let rates = sample(now, 500).rates(&sample(now, 100), Duration::from_secs(8));
        assert!((rates.records - 50.0).abs() < 1e-9, "{rates:?}");
        assert!((rates.over_seconds - 8.0).abs() < 1e-9, "{rates:?}");
        let at_once = sample(now, 500).rates(&Sample::default(), Duration::ZERO);
        assert!(at_once.records == 0.0, "{at_once:?}");
    }

    #[test]
    fn each_line_of_an_event_is_marked() {
        assert_eq!(event("page", "a\n\nb"), "event: page\ndata: a\ndata: \ndata: b\n\n");
    }
}
