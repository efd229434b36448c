//! The stream of looks, on a paused clock.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::super::events::VIEWERS_MAX;
use super::fixture::{Answer, ELSEWHERE, HERE, Server, TOKEN, get};

/// Somebody who watches.
struct Viewer(Response);

impl Viewer {
    async fn new(server: &Server, path: &str) -> Viewer {
        let response = server.open(HERE, get(path), Body::empty()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut viewer = Viewer(response);
        assert_eq!(viewer.next().await, "retry: 1000\n\n");
        viewer
    }

    /// The next piece as it is sent.
    async fn next(&mut self) -> String {
        let frame = self.0.body_mut().frame().await.expect("the stream goes on").unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    /// The next look.
    async fn look(&mut self) -> Value {
        let event = self.next().await;
        let data = event.strip_prefix("event: status\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        serde_json::from_str(data).unwrap()
    }

    /// The number of the next look.
    async fn number(&mut self) -> u64 {
        self.look().await["status"]["incarnation"].as_str().unwrap().parse().unwrap()
    }
}

fn looks(server: &Server) -> u64 {
    server.stages.asked.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_look_comes_at_once_and_then_each_second() {
    let server = Server::new(None);
    let mut viewer = Viewer::new(&server, "/v1/events").await;
    let start = Instant::now();
    for second in 0..5 {
        assert_eq!(viewer.number().await, second + 1);
        assert_eq!(start.elapsed().as_secs(), second);
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_is_taken_once_for_all_and_not_at_all_for_nobody() {
    let server = Server::new(None);
    let mut viewers = Vec::new();
    for n in 0..50 {
        let path = if n % 2 == 0 { "/v1/events" } else { "/v1/events?view=page" };
        viewers.push(Viewer::new(&server, path).await);
    }
    for _ in 0..10 {
        for viewer in &mut viewers {
            viewer.next().await;
        }
    }
    assert_eq!(looks(&server), 10);
    drop(viewers);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(looks(&server), 10);
    let mut late = Viewer::new(&server, "/v1/events").await;
    assert_eq!(late.number().await, 11, "what is old is not shown");
    assert_eq!(late.number().await, 12);
}

#[tokio::test(start_paused = true)]
async fn one_that_asks_in_between_gets_the_look_that_there_is() {
    let server = Server::new(None);
    let mut viewer = Viewer::new(&server, "/v1/events").await;
    viewer.next().await;
    sleep(Duration::from_millis(500)).await;
    let mut other = Viewer::new(&server, "/v1/events").await;
    assert_eq!(other.number().await, 1);
    server.ask(HERE, get("/")).await;
    assert_eq!(looks(&server), 1);
    assert_eq!((viewer.number().await, other.number().await), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_slow_viewer_misses_looks_and_keeps_none_waiting() {
    let server = Server::new(None);
    let mut quick = Viewer::new(&server, "/v1/events").await;
    let mut slow = Viewer::new(&server, "/v1/events").await;
    for _ in 0..100 {
        quick.next().await;
    }
    let numbers = [slow.number().await, slow.number().await, slow.number().await];
    assert!(numbers[1] < 4, "what was on its way when it stopped: {numbers:?}");
    assert!(numbers[2] >= 100, "{numbers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_look_has_all_in_its_documented_places() {
    let server = Server::new(None);
    let look = Viewer::new(&server, "/v1/events").await.look().await;
    assert_eq!((look["version"].as_u64(), look["ready"].as_bool()), (Some(1), Some(true)));
    for (place, expected) in [
        ("/parts/0/name", Value::from("input")),
        ("/outputs/0/name", "kafka".into()),
        ("/outputs/0/waiting", 2.into()),
        ("/outputs/0/waiting_bytes", 4000.into()),
        ("/outputs/0/lost/spool_full", 1.into()),
        ("/outputs/0/imbalance", 1.into()),
        ("/senders/0/bytes", 12_345.into()),
        ("/partners/0/name", "p".into()),
        ("/status/input/accepted_records", 77.into()),
        ("/status/problems/0/kind", "kafka_unreachable".into()),
    ] {
        assert_eq!(look.pointer(place), Some(&expected), "{place} of {look:#}");
    }
    for rate in ["over_seconds", "records", "datapoints", "received_bytes", "kafka_bytes", "partner_bytes"] {
        assert!(look["rates"][rate].is_number(), "{rate} of {look:#}");
    }
    assert!(look["at_ms"].as_u64().is_some_and(|ms| ms > 1_700_000_000_000), "{look:#}");
}

#[tokio::test(start_paused = true)]
async fn a_viewer_of_the_page_gets_what_the_page_has() {
    let server = Server::new(None);
    let page = server.ask(HERE, get("/")).await.text;
    let event = Viewer::new(&server, "/v1/events?view=page").await.next().await;
    let lines: Vec<_> = event.lines().collect();
    assert_eq!((lines[0], lines.last()), ("event: page", Some(&"")));
    let data: Option<Vec<_>> =
        lines[1..lines.len() - 1].iter().map(|line| line.strip_prefix("data: ")).collect();
    let view = data.unwrap().join("\n");
    assert!(view.starts_with("<div id=\"view\"") && view.ends_with("</div>"), "{view}");
    assert!(page.contains(&view), "{view}\n\n{page}");
}

#[tokio::test(start_paused = true)]
async fn one_viewer_too_many_is_refused_until_another_leaves() {
    let server = Server::new(None);
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS_MAX {
        viewers.push(Viewer::new(&server, "/v1/events").await);
    }
    let refused = server.open(HERE, get("/v1/events"), Body::empty()).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(Answer::of(refused).await.problem(), (503, "viewer_limit".to_owned()));
    viewers.pop();
    // Its task hears of it.
    sleep(Duration::from_millis(1)).await;
    let mut late = Viewer::new(&server, "/v1/events").await;
    assert_eq!(late.number().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_after_as_many_events_as_were_asked_for() {
    let server = Server::new(None);
    let answer = server.ask(HERE, get("/v1/events?limit=3")).await;
    assert_eq!(answer.text.matches("event: status\n").count(), 3, "{}", answer.text);
    assert!(answer.text.ends_with("\n\n"), "{}", answer.text);
    let page = server.ask(HERE, get("/v1/events?limit=1&view=page")).await.text;
    assert_eq!((page.matches("event: ").count(), page.matches("event: page\n").count()), (1, 1), "{page}");
}

#[tokio::test]
async fn other_questions_are_bad_ones() {
    let server = Server::new(None);
    for query in ["view=json", "view=page&view=page", "x", "view", "limit=0", "limit=-1", "limit=", "limit=x"]
    {
        let answer = server.ask(HERE, get(&format!("/v1/events?{query}"))).await;
        assert_eq!(answer.problem(), (400, "bad_query".to_owned()), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn from_elsewhere_watching_needs_the_token() {
    let server = Server::new(Some(TOKEN));
    let refused = server.ask(ELSEWHERE, get("/v1/events")).await.problem();
    assert_eq!(refused, (401, "unauthorized".to_owned()));
    let with_token = get("/v1/events").header("authorization", format!("Bearer {TOKEN}"));
    assert_eq!(server.open(ELSEWHERE, with_token, Body::empty()).await.status(), 200);
    let of_another_site = get("/v1/events").header("sec-fetch-site", "cross-site");
    assert_eq!(server.ask(HERE, of_another_site).await.problem(), (403, "cross_site".to_owned()));
    let rebound = Request::builder().uri("/v1/events").header("host", "evil.example");
    assert_eq!(server.ask(HERE, rebound).await.problem(), (403, "host_not_allowed".to_owned()));
}
