//! Changes of the configuration, and everybody who may not make one.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use hyper::body::{Bytes, Frame};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::config::BODIES_MAX;
use super::super::reason::Reason;
use super::super::settings::Writes;
use super::fixture::{ELSEWHERE, ETAG, HERE, Server, TOKEN, get};
use crate::control::steering::{Change, Expected};
use crate::record::Secret;

/// A change of `/v1/config`, as a program would send it.
fn patch(body: &str) -> (Builder, Body) {
    let request = get("/v1/config")
        .method("PATCH")
        .header("content-type", "application/json")
        .header("content-length", body.len());
    (request, Body::from(body.to_owned()))
}

fn write(method: &str, path: &str) -> Builder {
    get(path).method(method)
}

/// The dialled partner of this name, as a program would put it.
fn put(name: &str, body: &str) -> (Builder, Body) {
    let request = write("PUT", &format!("/v1/partners/{name}"))
        .header("content-type", "application/json")
        .header("content-length", body.len());
    (request, Body::from(body.to_owned()))
}

/// Every way to write.
fn every_write() -> [(Builder, Body); 5] {
    [
        patch("{}"),
        put("dialled", "{}"),
        (write("DELETE", "/v1/partners/dialled"), Body::empty()),
        (write("DELETE", "/v1/config/kafka-key"), Body::empty()),
        (write("POST", "/-/reload"), Body::empty()),
    ]
}

/// A body of which nothing comes. It counts that somebody reads it.
#[derive(Default)]
struct Never(Option<Arc<AtomicUsize>>);

impl Never {
    fn counted(read: Arc<AtomicUsize>) -> Never {
        Never(Some(read))
    }
}

impl hyper::body::Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(read) = self.0.take() {
            read.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Pending
    }
}

fn wanted(server: &Server) -> Vec<Change> {
    server.wheel.orders.lock().unwrap().iter().map(|order| order.change.clone()).collect()
}

#[tokio::test]
async fn the_configuration_is_shown_with_its_version() {
    let answer = Server::new(None).ask(HERE, get("/v1/config")).await;
    assert_eq!(answer.header("etag"), ETAG);
    let view = answer.json();
    assert_eq!((&view["version"], &view["kept"]), (&json!(1), &json!(false)));
    assert_eq!(view["not_kept_because"], "data-dir is not set");
    assert_eq!(view["keys"]["kafka-key"]["value"], "agent");
}

#[tokio::test]
async fn each_write_is_handed_on_with_who_wants_it() {
    let server = Server::new(None);
    let (request, body) = patch("{\"kafka-key\": \"none\", \"kafka-verbose\": null}");
    let answer = server.send(HERE, request, body).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, ETAG));
    assert_eq!(answer.json()["changed"], json!(["kafka-key"]));
    assert_eq!(answer.json()["keys"]["kafka-key"]["value"], "agent");
    for request in [write("DELETE", "/v1/config/kafka-key"), write("POST", "/-/reload")] {
        assert_eq!(server.ask(HERE, request).await.status, 200);
    }
    let values = json!({ "kafka-key": "none", "kafka-verbose": null });
    let expected = [
        Change::Set(values.as_object().cloned().unwrap()),
        Change::Remove("kafka-key".into()),
        Change::Reload,
    ];
    assert_eq!(wanted(&server), expected);
    let orders = server.wheel.orders.lock().unwrap();
    assert!(orders.iter().all(|order| order.by == format!("HTTP from {HERE}")), "{orders:?}");
    assert!(orders.iter().all(|order| order.expected == Expected::Any), "{orders:?}");
}

#[tokio::test]
async fn partners_are_put_and_removed_by_name() {
    let server = Server::new(None);
    for (name, status) in [("new", 201), ("dialled", 200)] {
        let (request, body) = put(name, r#"{"address":"a:1"}"#);
        let answer = server.send(HERE, request, body).await;
        assert_eq!((answer.status.as_u16(), answer.header("etag")), (status, ETAG), "{name}");
    }
    let fields = json!({ "address": "a:1" }).as_object().cloned().unwrap();
    let put = |name: &str| Change::PutPartner { name: name.to_owned(), fields: fields.clone() };
    assert_eq!(wanted(&server), [put("new"), put("dialled")]);
    // One that is dialled, one that only has a place, and nobody.
    for (name, status) in [("dialled", 200), ("p", 200), ("nobody", 404)] {
        let answer = server.ask(HERE, write("DELETE", &format!("/v1/partners/{name}"))).await;
        assert_eq!(answer.status, status, "{name}");
        if status == 404 {
            assert_eq!(answer.problem().1, "unknown_partner");
        }
    }
    let shown = server.ask(HERE, get("/v1/partners/p")).await;
    assert_eq!((&shown.json()["name"], &shown.json()["sent_records"]), (&json!("p"), &json!(7)));
    let nobody = server.ask(HERE, get("/v1/partners/nobody")).await;
    assert_eq!(nobody.problem(), (404, "unknown_partner".to_owned()));
}

#[tokio::test]
async fn what_is_no_text_in_a_path_is_a_name_like_any_other() {
    let server = Server::new(None);
    for (request, expected) in [
        (get("/v1/partners/%ff"), "unknown_partner"),
        (write("DELETE", "/v1/partners/%ff"), "unknown_partner"),
        (write("DELETE", "/v1/config/%ff"), "unknown_key"),
    ] {
        assert_eq!(server.ask(HERE, request).await.problem(), (404, expected.to_owned()));
    }
    let (request, body) = put("%ff", r#"{"address":"a:1"}"#);
    assert_eq!(server.send(HERE, request, body).await.status, 201, "the stages' own rules decide");
    let fields = json!({ "address": "a:1" }).as_object().cloned().unwrap();
    let put = Change::PutPartner { name: "%ff".to_owned(), fields };
    assert_eq!(wanted(&server).last(), Some(&put));
}

#[tokio::test]
async fn a_change_of_another_version_is_412() {
    let server = Server::new(None);
    for (tag, status) in [(ETAG, 200), ("*", 200), ("\"f00-0\"", 412), ("W/\"f00-1\"", 412)] {
        for (request, body) in every_write() {
            let text = format!("{tag} {request:?}");
            let answer = server.send(HERE, request.header("if-match", tag), body).await;
            assert_eq!(answer.status, status, "{text}");
            if status == 412 {
                assert_eq!(answer.problem().1, "stale", "{text}");
            }
        }
    }
}

#[tokio::test]
async fn all_faults_of_a_change_are_in_the_answer() {
    let server = Server::new(None);
    let (request, body) = patch("{\"bad\": 1}");
    let answer = server.send(HERE, request, body).await;
    assert_eq!(answer.problem(), (422, "invalid_config".to_owned()));
    let fault = |key| json!({ "key": key, "value": "1", "place": "runtime", "expected": "expected 2" });
    assert_eq!(answer.json()["faults"], json!([fault("bad"), fault("worse")]));
    for (key, status, code) in
        [("gone", 404, "unknown_key"), ("unset", 404, "not_set"), ("slow", 503, "slow_file")]
    {
        let answer = server.ask(HERE, write("DELETE", &format!("/v1/config/{key}"))).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{key}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_changes_nothing() {
    let server = Server::new(None);
    for text in ["", "[]", "{", "\"x\"", "{\"agent-id\": \"a\", \"agent-id\": \"b\"}"] {
        for (request, body) in [patch(text), put("dialled", text)] {
            let answer = server.send(HERE, request, body).await;
            assert_eq!(answer.problem(), (400, "malformed_body".to_owned()), "{text}");
        }
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let request = write("PATCH", "/v1/config").header("content-type", kind).header("content-length", 2);
        let answer = server.send(HERE, request, Body::from("{}")).await;
        assert_eq!(answer.problem(), (415, "not_json".to_owned()), "{kind}");
    }
    let (request, body) = patch(&format!("{{\"kafka-property\": \"{}\"}}", "x".repeat(70_000)));
    let answer = server.send(HERE, request, body).await;
    assert_eq!(answer.problem(), (413, "body_too_large".to_owned()));
    assert_eq!(wanted(&server), []);
}

#[tokio::test]
async fn nobody_changes_anything_who_may_not() {
    let as_page = ("origin", "http://evil.example");
    let with_token = ("authorization", &*format!("Bearer {TOKEN}"));
    let refused = [
        (Writes::Loopback, ELSEWHERE, None, 401, "unauthorized"),
        (Writes::Loopback, HERE, Some(as_page), 403, "cross_site"),
        (Writes::Loopback, HERE, Some(("sec-fetch-site", "same-site")), 403, "cross_site"),
        (Writes::Loopback, HERE, Some(("x-forwarded-for", "10.0.0.9")), 401, "unauthorized"),
        (Writes::Token, HERE, None, 401, "unauthorized"),
        (Writes::Token, ELSEWHERE, None, 401, "unauthorized"),
        (Writes::Off, HERE, Some(with_token), 403, "writes_off"),
        (Writes::Off, ELSEWHERE, Some(with_token), 403, "writes_off"),
    ];
    for (writes, peer, field, status, code) in refused {
        let server = Server::with(Some(TOKEN), writes);
        for (mut request, body) in every_write() {
            if let Some((name, value)) = field {
                request = request.header(name, value);
            }
            let text = format!("{writes:?} {request:?}");
            let answer = server.send(peer, request, body).await;
            assert_eq!(answer.problem(), (status, code.to_owned()), "{text}");
        }
        assert_eq!(wanted(&server), [], "{writes:?} {peer}");
        // Reads are another matter.
        let read = server.ask(HERE, get("/v1/config")).await;
        assert_eq!(read.status, 200, "{writes:?}");
    }
    for (writes, peer) in [(Writes::Token, HERE), (Writes::Token, ELSEWHERE), (Writes::Loopback, ELSEWHERE)] {
        let server = Server::with(Some(TOKEN), writes);
        for (request, body) in every_write() {
            let answer = server.send(peer, request.header(with_token.0, with_token.1), body).await;
            assert_eq!(answer.status, 200, "{writes:?} {peer}");
        }
    }
}

#[tokio::test]
async fn a_name_as_host_changes_nothing() {
    let server = Server::new(None);
    let request = Request::builder().uri("/-/reload").method("POST").header("host", "evil.example");
    assert_eq!(server.ask(HERE, request).await.problem(), (403, "host_not_allowed".to_owned()));
    assert_eq!(wanted(&server), []);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::new(None);
    let request =
        write("PATCH", "/v1/config").header("content-type", "application/json").header("content-length", 10);
    let begun = Instant::now();
    let answer = server.send(HERE, request, Body::new(Never::default())).await;
    assert_eq!(answer.problem(), (408, "body_timeout".to_owned()));
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert_eq!(server.metrics.refusals(Reason::BodyTimeout), 1);
    assert_eq!(wanted(&server), []);
}

#[tokio::test(start_paused = true)]
async fn few_bodies_are_read_at_once_and_the_others_have_their_turn() {
    let (server, read) = (Arc::new(Server::new(None)), Arc::new(AtomicUsize::new(0)));
    let mut slow = JoinSet::new();
    for _ in 0..40 {
        let (server, read) = (server.clone(), read.clone());
        slow.spawn(async move {
            let (request, _) = patch("0123456789");
            server.send(HERE, request, Body::new(Never::counted(read))).await.status
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(read.load(Ordering::Relaxed), BODIES_MAX);
    // One that comes behind them all.
    let (request, body) = patch("{}");
    assert_eq!(server.send(HERE, request, body).await.status, 200);
    assert!(slow.join_all().await.iter().all(|status| *status == 408));
}

#[tokio::test]
async fn who_may_write_and_with_which_token_changes_with_the_next_request() {
    let server = Server::with(Some(TOKEN), Writes::Token);
    let write = async |token: &str| {
        let (request, body) = patch("{}");
        let request = request.header("authorization", format!("Bearer {token}"));
        server.send(HERE, request, body).await.status.as_u16()
    };
    assert_eq!((write(TOKEN).await, write("another").await), (200, 401));
    server.settings.send_modify(|config| config.token = Some(Secret::new("another".to_owned())));
    assert_eq!((write(TOKEN).await, write("another").await), (401, 200));
    server.settings.send_modify(|config| config.writes = Writes::Off);
    assert_eq!(write("another").await, 403);
    server.settings.send_modify(|config| (config.writes, config.token) = (Writes::Loopback, None));
    assert_eq!(write("whatever").await, 200);
    assert_eq!(server.ask(ELSEWHERE, get("/v1/config")).await.status.as_u16(), 403);
}
