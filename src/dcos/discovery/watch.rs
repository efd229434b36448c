//! The task that keeps the brokers fresh. What it promises stands in the page of `discovery`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::schedule::{Outcome, Schedule};
use super::store::Store;
use super::{Config, Discovery, Found, FrameworkName, Metrics, NotFound, Timing, Way};
use crate::disk;
use crate::pause::dice;
use crate::telemetry::problems::Kind;
use crate::telemetry::{LogBudget, chain};

/// Failures of one kind are logged once in this time.
const LOG_PERIOD: Duration = Duration::from_secs(300);
/// The kinds, and the data directory's.
const LOG_KINDS: usize = 8;

/// Keeps asking. The task owns its state; others have a [`Handle`].
pub struct Watch {
    discovery: Discovery,
    timing: watch::Receiver<Timing>,
    metrics: Metrics,
    store: Option<Store>,
    alarm: Arc<Notify>,
    brokers: watch::Sender<Option<Arc<[String]>>>,
    status: watch::Sender<Status>,
    /// The list is that of another look: nobody has confirmed it to this one.
    is_taken_over: bool,
    log: LogBudget,
}

/// What the task publishes, and how it is called.
#[derive(Clone, Debug)]
pub struct Handle {
    config: Arc<Config>,
    brokers: watch::Receiver<Option<Arc<[String]>>>,
    status: watch::Receiver<Status>,
    alarm: Arc<Notify>,
}

/// Where the list that is published comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Somebody answered.
    Answer {
        /// The way that led to them.
        way: Way,
        /// Who said what.
        said: String,
    },
    /// The file of the last run; nobody has answered yet.
    File,
}

/// How the discovery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whose brokers are looked for.
    pub framework: FrameworkName,
    /// Where the list comes from; none: there is no list yet.
    pub kept: Option<Kept>,
    /// Since when the list is as it is.
    pub since: Option<SystemTime>,
    /// What went wrong the last time somebody was asked in vain, and when. It stays after a success.
    pub last_error: Option<(SystemTime, NotFound)>,
    /// Whether the last question was answered.
    pub answered: bool,
    /// When somebody is asked next; none: now.
    pub next: Option<SystemTime>,
}

impl Watch {
    /// A task for this discovery, which follows `timing`. `folder` is the data directory, if there is one.
    #[must_use]
    pub fn new(
        discovery: Discovery,
        timing: watch::Receiver<Timing>,
        folder: Option<&Path>,
        metrics: Metrics,
    ) -> Watch {
        let config = discovery.config();
        let status = Status {
            framework: config.framework.clone(),
            kept: None,
            since: None,
            last_error: None,
            answered: false,
            next: None,
        };
        Watch {
            store: folder.map(|folder| Store::new(folder, config)),
            discovery,
            timing,
            metrics,
            alarm: Arc::new(Notify::new()),
            brokers: watch::Sender::new(None),
            status: watch::Sender::new(status),
            is_taken_over: false,
            log: LogBudget::new(1, LOG_PERIOD, LOG_KINDS),
        }
    }

    /// The same, beginning with what another look knew last, if it was for the same brokers. Those who follow
    /// [`Handle::brokers`] hear of it when somebody has confirmed it.
    #[must_use]
    pub fn taking_over(mut self, before: &Handle) -> Watch {
        let Some(brokers) = before.known() else { return self };
        if self.discovery.config().looks_for_the_same(&before.config) {
            let Status { kept, since, .. } = before.status();
            self.brokers.send_replace(Some(brokers));
            self.status.send_modify(|status| (status.kept, status.since) = (kept, since));
            self.is_taken_over = true;
        }
        self
    }

    /// For those who use the brokers, and those who ask.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            config: self.discovery.config().clone().into(),
            brokers: self.brokers.subscribe(),
            status: self.status.subscribe(),
            alarm: Arc::clone(&self.alarm),
        }
    }

    /// Asks again and again until `stop` becomes true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            // It ends by the stop alone.
            () = self.ask_for_ever() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn ask_for_ever(&mut self) {
        if !self.is_taken_over {
            self.recall().await;
        }
        let mut timing = self.timing.clone();
        let mut schedule = Schedule::new(*timing.borrow_and_update());
        loop {
            self.status.send_modify(|status| status.next = None);
            // A call from before the question is answered by it.
            let called = Arc::clone(&self.alarm);
            let outcome = match self.discovery.find().await {
                Ok(found) => self.take(found).await,
                Err(not_found) => self.miss(not_found),
            };
            schedule.asked(outcome);
            let (asked, dice) = (Instant::now(), dice());
            loop {
                let pause = schedule.pause(dice);
                let next = SystemTime::now() + (asked + pause).duration_since(Instant::now());
                self.status.send_modify(|status| status.next = Some(next));
                tokio::select! {
                    () = tokio::time::sleep_until(asked + pause) => break,
                    () = called.notified() => {
                        let soon = asked + timing.borrow().alarm_pause.min(pause);
                        tokio::time::sleep_until(soon).await;
                        break;
                    }
                    Ok(()) = timing.changed() => schedule.set(*timing.borrow_and_update()),
                }
            }
        }
    }

    /// Publishes the list of the last run.
    async fn recall(&mut self) {
        let Some(store) = self.store.clone() else { return };
        match disk::patiently(move || store.read()).await {
            Some(Ok(Some(brokers))) => {
                info!(brokers = brokers.join(","), "beginning with the Kafka brokers of the last run");
                self.publish(brokers.into(), Kept::File);
            }
            Some(Ok(None)) => {}
            Some(Err(error)) => warn!("{}", chain(&error)),
            None => warn!("data-dir does not answer; starting without the brokers of the last run"),
        }
    }

    async fn take(&mut self, found: Found) -> Outcome {
        self.metrics.problems.over(Kind::Discovery);
        let Found { brokers, way, said } = found;
        let is_news = !is_known(self.brokers.borrow().as_deref(), &brokers);
        let was_lost = !self.status.borrow().answered;
        if is_news {
            info!(brokers = brokers.join(","), way = way.name(), "found the Kafka brokers: {said}");
        } else if was_lost {
            info!(way = way.name(), "the Kafka brokers are the known ones: {said}");
        }
        self.publish(Arc::clone(&brokers), Kept::Answer { way, said });
        if is_news || was_lost {
            self.keep(brokers).await;
        }
        Outcome::Found
    }

    fn publish(&mut self, brokers: Arc<[String]>, kept: Kept) {
        self.metrics.published(&kept, brokers.len());
        let (mut is_news, is_confirmed) = (false, std::mem::take(&mut self.is_taken_over));
        self.brokers.send_if_modified(|known| {
            is_news = !is_known(known.as_deref(), &brokers);
            if is_news {
                *known = Some(brokers);
            }
            is_news || is_confirmed
        });
        self.status.send_modify(|status| {
            status.answered = matches!(kept, Kept::Answer { .. });
            status.kept = Some(kept);
            if is_news {
                status.since = Some(SystemTime::now());
            }
        });
    }

    /// Writes the list down for the next run.
    async fn keep(&mut self, brokers: Arc<[String]>) {
        let Some(store) = self.store.clone() else { return };
        let error = match disk::patiently(move || store.write(&brokers)).await {
            Some(Ok(())) => return,
            Some(Err(error)) => error.to_string(),
            None => disk::NO_ANSWER.to_owned(),
        };
        self.metrics.problems.note(Kind::DataDirectory, format_args!("the Kafka brokers: {error}"));
        if let Some(suppressed) = self.log.take("data-dir", std::time::Instant::now()) {
            warn!(suppressed, "cannot keep the Kafka brokers for the next start in data-dir: {error}");
        }
    }

    fn miss(&mut self, not_found: NotFound) -> Outcome {
        self.metrics.missed(not_found.cause());
        self.metrics.problems.note(Kind::Discovery, &not_found);
        let known = self.brokers.borrow().is_some();
        if let Some(suppressed) = self.log.take(not_found.cause().name(), std::time::Instant::now()) {
            let goes_on = if known { "the known brokers stay in use" } else { "it is asked again" };
            warn!(suppressed, "no Kafka brokers found, {goes_on}: {not_found}");
        }
        self.status.send_modify(|status| {
            status.answered = false;
            status.last_error = Some((SystemTime::now(), not_found));
        });
        if known { Outcome::Kept } else { Outcome::Nothing }
    }
}

/// Whether both lists have the same brokers. Schedulers list them in any order.
fn is_known(known: Option<&[String]>, brokers: &[String]) -> bool {
    known.is_some_and(|known| {
        known.len() == brokers.len() && brokers.iter().all(|broker| known.contains(broker))
    })
}

impl Handle {
    /// The brokers: none until the first are known, never empty. It is news where somebody confirmed what was taken over.
    #[must_use]
    pub fn brokers(&self) -> watch::Receiver<Option<Arc<[String]>>> {
        self.brokers.clone()
    }

    /// Whoever finds that all brokers fail calls here.
    #[must_use]
    pub fn alarm(&self) -> Arc<Notify> {
        Arc::clone(&self.alarm)
    }

    /// Who is asked for what.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.clone()
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The brokers of now.
    #[must_use]
    pub fn known(&self) -> Option<Arc<[String]>> {
        self.brokers.borrow().clone()
    }
}

impl Status {
    /// Whether there are brokers to use, and in one sentence how that is.
    #[must_use]
    pub fn sentence(&self) -> (bool, String) {
        let framework = &self.framework;
        let failure = self.last_error.as_ref().filter(|_| !self.answered).map(|(_, error)| error);
        match (&self.kept, failure) {
            (Some(Kept::Answer { way, .. }), None) => {
                (true, format!("the brokers of the framework \"{framework}\" are known by {way}"))
            }
            (Some(Kept::Answer { way, .. }), Some(failure)) => {
                (true, format!("using the brokers known by {way}, but now {}", failure.short()))
            }
            (Some(Kept::File), Some(failure)) => {
                (true, format!("using the brokers of the last run, but {}", failure.short()))
            }
            (Some(Kept::File), None) => {
                (true, "using the brokers of the last run until somebody answers".to_owned())
            }
            (None, Some(failure)) => (false, failure.short()),
            (None, None) => {
                (false, format!("asking for the brokers of the framework \"{framework}\" for the first time"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::http::StatusCode;

    use prometheus::Registry;
    use proptest::prelude::*;

    use super::super::tests::WORDS;
    use super::super::{Client, LIMITS};
    use super::*;
    use crate::dcos::BaseUrl;
    use crate::dcos::testing::{json, serve};
    use crate::record::parse_broker;

    fn watch(config: Config, timing: Timing, folder: Option<&Path>, registry: &Registry) -> Watch {
        let metrics = Metrics::register(registry).unwrap().of(&config.framework);
        let timing = watch::channel(timing).1;
        Watch::new(Discovery::new(config, Client::new(LIMITS).unwrap()), timing, folder, metrics)
    }

    /// For what never happens.
    const LONG: Duration = Duration::from_secs(60);

    /// A scheduler whose answer to every question can be changed, and that knows when it was asked.
    #[derive(Clone)]
    struct Scheduler {
        base: String,
        answer: Arc<Mutex<(u16, String)>>,
        asked: Arc<Mutex<Vec<Instant>>>,
        news: Arc<Notify>,
    }

    impl Scheduler {
        async fn start(status: u16, body: &str) -> Scheduler {
            let answer = Arc::new(Mutex::new((status, body.to_owned())));
            let (asked, news) = (Arc::<Mutex<Vec<Instant>>>::default(), Arc::new(Notify::new()));
            let (given, times, told) = (Arc::clone(&answer), Arc::clone(&asked), Arc::clone(&news));
            let router = Router::new().route(
                "/v1/endpoints/broker",
                axum::routing::get(move || {
                    times.lock().unwrap().push(Instant::now());
                    told.notify_waiters();
                    let (status, body) = given.lock().unwrap().clone();
                    std::future::ready((StatusCode::from_u16(status).unwrap(), body))
                }),
            );
            Scheduler { base: serve(router).await, answer, asked, news }
        }

        fn say(&self, status: u16, body: &str) {
            *self.answer.lock().unwrap() = (status, body.to_owned());
        }

        /// Waits until it was asked `n` times more.
        async fn asked_again(&self, n: usize) {
            let before = self.asked.lock().unwrap().len();
            self.asked(before + n).await;
        }

        /// Waits until it was asked `until` times.
        async fn asked(&self, until: usize) {
            let wait = async {
                while self.asked.lock().unwrap().len() < until {
                    tokio::select! {
                        () = self.news.notified() => {}
                        () = tokio::time::sleep(Duration::from_millis(5)) => {}
                    }
                }
            };
            tokio::time::timeout(LONG, wait).await.expect("it is asked again");
        }

        fn config(&self) -> Config {
            Config {
                scheduler: Some(BaseUrl::parse(&self.base).unwrap()),
                pinned: Some(Way::SchedulerVip),
                ..Config::of(FrameworkName::parse("kafka").unwrap())
            }
        }

        /// A running watch of it.
        fn watched(&self, timing: Timing, folder: Option<&Path>) -> (Handle, watch::Sender<bool>) {
            let watch = watch(self.config(), timing, folder, &Registry::new());
            let handle = watch.handle();
            let (stop, stopped) = watch::channel(false);
            tokio::spawn(watch.run(stopped));
            (handle, stop)
        }
    }

    fn quick() -> Timing {
        let pause = Duration::from_millis(5);
        Timing { period: pause, pause_min: pause, pause_max: pause, alarm_pause: pause }
    }

    async fn next(brokers: &mut watch::Receiver<Option<Arc<[String]>>>) -> String {
        tokio::time::timeout(LONG, brokers.changed()).await.expect("a list").expect("the watch runs");
        brokers.borrow_and_update().as_deref().expect("never taken back").join(" ")
    }

    /// Waits until the status is as wanted.
    async fn until(handle: &Handle, so: impl Fn(&Status) -> bool) -> Status {
        let mut status = handle.status.clone();
        let found = tokio::time::timeout(LONG, status.wait_for(|status| so(status))).await;
        found.expect("in time").expect("the watch runs").clone()
    }

    #[tokio::test]
    async fn brokers_that_move_are_published_once_and_failures_keep_the_old() {
        let scheduler = Scheduler::start(200, r#"{"dns":["a:1","b:1"]}"#).await;
        let (handle, _stop) = scheduler.watched(quick(), None);
        let mut brokers = handle.brokers();
        assert_eq!(next(&mut brokers).await, "a:1 b:1");
        for (status, body) in [
            (500, ""),
            (200, r#"{"dns":[],"address":[]}"#),
            (200, "text"),
            (404, ""),
            (200, r#"{"dns":["b:1","a:1"]}"#),
        ] {
            scheduler.say(status, body);
            scheduler.asked_again(3).await;
            assert!(!brokers.has_changed().unwrap(), "{status} {body}");
            assert_eq!(handle.known().unwrap().join(" "), "a:1 b:1");
        }
        scheduler.say(503, "");
        let (ready, sentence) = until(&handle, |status| !status.answered).await.sentence();
        assert!(
            ready && sentence.starts_with("using the brokers known by scheduler-vip, but now"),
            "{sentence}"
        );
        scheduler.say(200, r#"{"dns":["c:1"]}"#);
        assert_eq!(next(&mut brokers).await, "c:1");
        scheduler.asked_again(3).await;
        assert!(!brokers.has_changed().unwrap(), "the same answer is no news");
        assert!(until(&handle, |status| status.answered).await.last_error.is_some(), "it can be read later");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_json_in_place_of_the_brokers_leaves_the_known_ones_or_brings_others(answer in json(WORDS)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let scheduler = Scheduler::start(200, r#"{"dns":["a:1"]}"#).await;
                let (handle, _stop) = scheduler.watched(quick(), None);
                let mut brokers = handle.brokers();
                next(&mut brokers).await;
                scheduler.say(200, &answer.to_string());
                scheduler.asked_again(2).await;
                let known = handle.known().expect("never taken back");
                prop_assert!(!known.is_empty());
                for broker in &*known {
                    prop_assert_eq!(parse_broker(broker), Ok(broker.clone()));
                }
                prop_assert!(handle.status().sentence().0, "{:?}", handle.status());
                scheduler.say(200, r#"{"dns":["b:1"]}"#);
                // The other list may be news, too.
                while next(&mut brokers).await != "b:1" {}
                Ok(())
            })?;
        }
    }

    #[tokio::test]
    async fn nothing_is_published_until_something_is_known() {
        let scheduler = Scheduler::start(404, "").await;
        let (handle, _stop) = scheduler.watched(quick(), None);
        let status = until(&handle, |status| status.last_error.is_some()).await;
        let (ready, sentence) = status.sentence();
        assert!(!ready && sentence.contains("knows no framework \"kafka\"; install Kafka"), "{sentence}");
        assert_eq!(handle.known(), None);
        let mut brokers = handle.brokers();
        scheduler.say(200, r#"{"dns":["a:1"]}"#);
        assert_eq!(next(&mut brokers).await, "a:1");
    }

    #[tokio::test]
    async fn the_page_says_which_way_and_how_often_in_vain() {
        let registry = Registry::new();
        let shown = || {
            let page = crate::telemetry::page::encode(&registry);
            let nonzero = page.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
            let plain = |line: &str| line.trim_start_matches("metrics_collector_discovery_").to_owned();
            nonzero.map(plain).collect::<Vec<_>>()
        };
        let scheduler = Scheduler::start(200, r#"{"dns":["a:1","b:1"]}"#).await;
        let timing = Timing { period: LONG, alarm_pause: Duration::ZERO, ..quick() };
        let watch = watch(scheduler.config(), timing, None, &registry);
        let handle = watch.handle();
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(watch.run(stopped));
        assert_eq!(shown(), [""; 0], "nothing yet");
        until(&handle, |status| status.answered && status.next.is_some()).await;
        let [brokers, last, asked, up, way] = &shown()[..] else { panic!("{:?}", shown()) };
        assert_eq!(brokers, "brokers 2");
        assert_eq!(asked, r#"lookups_total{framework="kafka",result="found"} 1"#);
        let last: u64 = last.strip_prefix("last_success_timestamp_seconds ").unwrap().parse().unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert!((now - 60..=now).contains(&last), "{last} at {now}");
        assert_eq!((up.as_str(), way.as_str()), ("up 1", r#"way{way="scheduler-vip"} 1"#));
        scheduler.say(200, r#"{"dns":[],"address":[]}"#);
        handle.alarm().notify_one();
        until(&handle, |status| !status.answered && status.next.is_some()).await;
        let [brokers, _, in_vain, found, way] = &shown()[..] else { panic!("{:?}", shown()) };
        assert_eq!(brokers, "brokers 2", "the known ones stay in use");
        assert_eq!(in_vain, r#"lookups_total{framework="kafka",result="empty"} 1"#);
        assert_eq!(found, r#"lookups_total{framework="kafka",result="found"} 1"#);
        assert_eq!(way, r#"way{way="scheduler-vip"} 1"#);
    }

    #[tokio::test]
    async fn a_call_asks_before_the_period_is_over() {
        let scheduler = Scheduler::start(200, r#"{"dns":["a:1"]}"#).await;
        let timing =
            Timing { alarm_pause: Duration::from_millis(5), ..Timing::every(Duration::from_secs(3600)) };
        let (handle, _stop) = scheduler.watched(timing, None);
        let mut brokers = handle.brokers();
        next(&mut brokers).await;
        scheduler.say(200, r#"{"dns":["b:1"]}"#);
        handle.alarm().notify_one();
        assert_eq!(next(&mut brokers).await, "b:1");
    }

    #[tokio::test]
    async fn many_calls_are_one_question() {
        const PAUSE: Duration = Duration::from_millis(100);
        let scheduler = Scheduler::start(200, r#"{"dns":["a:1"]}"#).await;
        let timing = Timing { alarm_pause: PAUSE, ..Timing::every(Duration::from_secs(3600)) };
        let (handle, _stop) = scheduler.watched(timing, None);
        next(&mut handle.brokers()).await;
        until(&handle, |status| status.next.is_some()).await;
        for _ in 0..100 {
            handle.alarm().notify_one();
            tokio::task::yield_now().await;
        }
        scheduler.asked(2).await;
        // There is a third where the calls took longer than a pause.
        let asked = scheduler.asked.lock().unwrap();
        assert!(
            asked.is_sorted_by(|one, next| *next - *one >= PAUSE),
            "not before a pause is over: {asked:?}"
        );
    }

    #[tokio::test]
    async fn a_start_without_anybody_begins_with_the_brokers_of_the_last_run() {
        let folder = tempfile::tempdir().unwrap();
        let scheduler = Scheduler::start(200, r#"{"dns":["a:1"]}"#).await;
        let (handle, stop) = scheduler.watched(quick(), Some(folder.path()));
        next(&mut handle.brokers()).await;
        scheduler.asked_again(2).await;
        stop.send_replace(true);

        scheduler.say(500, "");
        let (handle, _stop) = scheduler.watched(quick(), Some(folder.path()));
        let mut brokers = handle.brokers();
        assert_eq!(next(&mut brokers).await, "a:1");
        let status = until(&handle, |status| status.last_error.is_some()).await;
        assert_eq!(status.kept, Some(Kept::File));
        let (ready, sentence) = status.sentence();
        assert!(ready && sentence.starts_with("using the brokers of the last run, but"), "{sentence}");
        scheduler.say(200, r#"{"dns":["b:1"]}"#);
        assert_eq!(next(&mut brokers).await, "b:1");
    }

    #[tokio::test]
    async fn a_list_that_others_told_is_not_begun_with() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] =
            [Scheduler::start(200, r#"{"dns":["a:1"]}"#).await, Scheduler::start(503, "").await];
        let (handle, stop) = first.watched(quick(), Some(folder.path()));
        next(&mut handle.brokers()).await;
        first.asked_again(2).await;
        stop.send_replace(true);

        let (handle, _stop) = second.watched(quick(), Some(folder.path()));
        let status = until(&handle, |status| status.last_error.is_some()).await;
        assert_eq!((status.kept, handle.known()), (None, None));
    }

    #[tokio::test]
    async fn another_period_counts_for_the_wait_that_is_going_on() {
        let scheduler = Scheduler::start(200, r#"{"dns":["a:1"]}"#).await;
        let (timing, told) = watch::channel(Timing::every(Duration::from_secs(3600)));
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let discovery = Discovery::new(scheduler.config(), Client::new(LIMITS).unwrap());
        let watch = Watch::new(discovery, told, None, metrics);
        let handle = watch.handle();
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(watch.run(stopped));
        let long = until(&handle, |status| status.next.is_some()).await.next.unwrap();
        timing.send_replace(Timing::every(Duration::from_secs(1800)));
        until(&handle, |status| status.next.is_some_and(|next| next < long - Duration::from_secs(600))).await;
        assert_eq!(scheduler.asked.lock().unwrap().len(), 1, "a shorter wait is no question");
        timing.send_replace(quick());
        scheduler.asked_again(2).await;
    }

    #[tokio::test]
    async fn who_looks_for_the_same_elsewhere_begins_with_what_is_known() {
        let [first, second] =
            [Scheduler::start(200, r#"{"dns":["a:1"]}"#).await, Scheduler::start(503, "").await];
        let (before, stop) = first.watched(quick(), None);
        until(&before, |status| status.answered).await;
        stop.send_replace(true);
        let folder = tempfile::tempdir().unwrap();
        let taking_over = |config: Config| {
            let watch = watch(config, quick(), Some(folder.path()), &Registry::new()).taking_over(&before);
            let handle = watch.handle();
            let (stop, stopped) = watch::channel(false);
            tokio::spawn(watch.run(stopped));
            (handle, stop)
        };
        let (handle, _stop) = taking_over(second.config());
        assert_eq!(handle.known().unwrap().join(" "), "a:1");
        let (ready, sentence) = handle.status().sentence();
        assert!(ready && sentence.contains("known by scheduler-vip"), "{sentence}");
        let status = until(&handle, |status| status.last_error.is_some()).await;
        assert_eq!((status.kept, status.since), (before.status().kept, before.status().since));
        assert!(handle.status().sentence().0);
        // That they are the same is news to those who wait for somebody to say so, once.
        let mut brokers = handle.brokers();
        assert!(!brokers.has_changed().unwrap());
        second.say(200, r#"{"dns":["a:1"]}"#);
        assert_eq!(next(&mut brokers).await, "a:1");
        second.asked_again(3).await;
        assert!(!brokers.has_changed().unwrap());
        let others = [
            Config { framework: FrameworkName::parse("other").unwrap(), ..second.config() },
            Config { tls: true, ..second.config() },
            Config { address: crate::dcos::discovery::BrokerAddress::Vip, ..second.config() },
        ];
        for other in others {
            assert_eq!(taking_over(other.clone()).0.known(), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_keeps_nobody_from_finding() {
        let folder = tempfile::NamedTempFile::new().unwrap();
        let scheduler = Scheduler::start(200, r#"{"dns":["a:1"]}"#).await;
        let (handle, _stop) = scheduler.watched(quick(), Some(folder.path()));
        assert_eq!(next(&mut handle.brokers()).await, "a:1");
        scheduler.asked_again(2).await;
    }

    #[tokio::test]
    async fn a_stop_is_heard_while_nobody_answers() {
        let hanging = serve(Router::new().fallback(std::future::pending::<&str>)).await;
        let config = Config {
            scheduler: Some(BaseUrl::parse(&hanging).unwrap()),
            pinned: Some(Way::SchedulerVip),
            ..Config::of(FrameworkName::parse("kafka").unwrap())
        };
        let watch = watch(config, quick(), None, &Registry::new());
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(watch.run(stopped));
        stop.send_replace(true);
        tokio::time::timeout(LONG, running).await.expect("it ends").expect("no panic");
    }
}
