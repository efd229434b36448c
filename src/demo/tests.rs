//! The whole demonstration, without a terminal.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::screen::{Screen, Style};
use super::*;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was shown, and a word when there is more.
#[derive(Clone, Default)]
struct Shown(Arc<(Mutex<String>, Condvar)>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shown {
    fn screen(&self) -> Screen {
        Screen::new(Box::new(self.clone()), Style { colours: false })
    }

    fn text(&self) -> String {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until all of `words` are there. Blocks.
    fn wait_for(&self, words: &[&str]) {
        let lacks = |text: &mut String| !words.iter().all(|word| text.contains(word));
        let (text, timeout) = self.0.1.wait_timeout_while(self.0.0.lock().unwrap(), PATIENCE, lacks).unwrap();
        assert!(!timeout.timed_out(), "{words:?} within {PATIENCE:?} in\n{text}");
    }
}

#[tokio::test]
async fn all_counts_agree_with_a_visitors_record_among_them() {
    let shown = Shown::default();
    let watched = shown.clone();
    let stop = async {
        let visit = move || {
            watched.wait_for(&["\necho ", "metrics-orders  partition", "sample_metrics  partition"]);
            let text = watched.text();
            let line = text.lines().find(|line| line.starts_with("echo ")).unwrap();
            assert!(Command::new("sh").arg("-c").arg(line).stdin(Stdio::null()).status().unwrap().success());
            watched.wait_for(&["metrics-hello  partition", "answer 42", "<- yours"]);
        };
        tokio::task::spawn_blocking(visit).await.unwrap();
        "seen enough"
    };
    let report = stage::play(None, &shown.screen(), &Log::default(), stop).await.unwrap();
    assert_eq!(report.disagreements(), [""; 0], "{}", shown.text());
    let sent: u64 = report.sent.iter().map(|sent| sent.records.clone().unwrap()).sum();
    assert!(sent > 0);
    assert!(report.polled > 0, "the agent is polled");
    let all = sent + report.polled + 1;
    assert_eq!((report.ledger.accepted, report.ledger.delivered), (all, all));
    assert_eq!(report.tally.records("metrics-"), all);
    assert!(report.tally.topic("metrics-agent").records > 0);
    assert_eq!(report.tally.topic("metrics-hello").records, 1);
    assert!(shown.text().contains("seen enough: senders stop"));
}

#[tokio::test]
async fn a_stop_at_once_still_closes_the_books() {
    let shown = Shown::default();
    let mut report =
        stage::play(None, &shown.screen(), &Log::default(), std::future::ready("at once")).await.unwrap();
    assert_eq!(report.disagreements(), [""; 0], "{}", shown.text());
    assert_eq!(code(&report), ExitCode::SUCCESS);
    report.ledger.delivered += 1;
    assert_eq!(code(&report), ExitCode::from(1));
}

/// Plays in the Kafka at `brokers` until messages of every part have come.
async fn play_a_while(brokers: Vec<String>) {
    let shown = Shown::default();
    let watched = shown.clone();
    let stop = async {
        let wait = move || watched.wait_for(&["metrics-demo-orders  p", "sample_metrics_demo  p"]);
        tokio::task::spawn_blocking(wait).await.unwrap();
        "seen enough"
    };
    let report = stage::play(Some(brokers), &shown.screen(), &Log::default(), stop).await.unwrap();
    assert_eq!(report.disagreements(), [""; 0], "{}", shown.text());
    assert!(report.ledger.delivered > 0);
    // Messages of others with the same numbers would pass for repeated ones.
    assert!(report.tally.topics.values().all(|topic| topic.repeats == 0), "{:?}", report.tally);
}

#[tokio::test]
async fn what_others_have_in_the_same_kafka_is_not_counted() {
    let cluster = rdkafka::mocking::MockCluster::new(1).unwrap();
    let brokers = || vec![cluster.bootstrap_servers()];
    play_a_while(brokers()).await;
    tokio::join!(play_a_while(brokers()), play_a_while(brokers()));
}

#[tokio::test]
async fn a_kafka_that_does_not_answer_is_named() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = vec![nobody.local_addr().unwrap().to_string()];
    let screen = Shown::default().screen();
    let failure = stage::play(Some(brokers.clone()), &screen, &Log::default(), std::future::pending())
        .await
        .unwrap_err();
    let text = failure.to_string();
    assert!(text.starts_with(&format!("no answer from Kafka at {}: ", brokers[0])), "{text}");
}
