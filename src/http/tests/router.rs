//! Every route and every refusal, asked without a socket.

use std::sync::atomic::Ordering;

use axum::http::Request;
use serde_json::json;

use super::super::guard::Access;
use super::super::operation::Place;
use super::super::reason::Reason;
use super::super::routes::table;
use super::fixture::{ELSEWHERE, HERE, HOSTILE, Server, TOKEN, ended, get, path_of};

/// The paths that can be read with nothing else said, of this access.
fn paths(access: Access) -> impl Iterator<Item = &'static str> {
    table()
        .into_iter()
        .filter(move |route| route.is_linked() && route.access == access)
        .map(|route| route.path)
}

fn every_path() -> impl Iterator<Item = &'static str> {
    paths(Access::Open).chain(paths(Access::Closed))
}

#[tokio::test]
async fn every_route_answers_with_its_content_type() {
    let server = Server::new(None);
    let cases = [
        ("/", "text/html; charset=utf-8"),
        ("/-/healthy", "text/plain; charset=utf-8"),
        ("/-/ready", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/v1/config", "application/json"),
        ("/v1/config/schema", "application/schema+json"),
        ("/v1/endpoints", "application/json"),
        ("/v1/events", "text/event-stream"),
        ("/v1/ledger", "application/json"),
        ("/v1/openapi.json", "application/json"),
        ("/v1/partners", "application/json"),
        ("/v1/status", "application/json"),
        ("/v1/stream", "avro/binary"),
        ("/v1/topics", "application/json"),
    ];
    assert_eq!(cases.len(), every_path().count());
    for (path, kind) in cases {
        let answer = server.ask(HERE, get(&ended(path))).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind), "{path}");
        assert!(answer.text.ends_with('\n'), "{path}");
        assert_eq!(server.metrics.answers(path, "200"), 1, "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::new(None);
    // The metrics page counts the request before, so that no two are the same; how long a stream is nobody knows.
    let is_known = |path: &&str| !["/metrics", "/v1/stream", "/v1/events"].contains(path);
    for path in every_path().filter(is_known) {
        let whole = server.ask(HERE, get(path)).await;
        let head = server.ask(HERE, get(path).method("HEAD")).await;
        assert_eq!((head.status, head.text.as_str()), (whole.status, ""), "{path}");
        assert_eq!(head.header("content-length"), whole.text.len().to_string(), "{path}");
        assert_eq!(head.header("content-type"), whole.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn ready_names_every_part_and_says_503_when_one_is_not() {
    let server = Server::new(None);
    let answer = server.ask(HERE, get("/-/ready")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["ready"]), (200, &json!(true)));

    server.stages.ready.store(false, Ordering::Relaxed);
    let answer = server.ask(HERE, get("/-/ready")).await;
    assert_eq!(answer.status, 503);
    let expected = json!({
        "ready": false,
        "parts": [
            { "name": "input", "ready": true, "detail": "listening" },
            { "name": "kafka", "ready": false, "detail": format!("broker says {HOSTILE}") },
        ],
    });
    assert_eq!(answer.json(), expected);

    let answer = server.ask(HERE, get("/-/ready").header("accept", "text/plain")).await;
    assert_eq!(answer.status, 503);
    let expected = format!("not ready\ninput: ready: listening\nkafka: not ready: broker says {HOSTILE}\n");
    assert_eq!(answer.text, expected);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_has_no_turn_is_not_healthy_and_one_that_has_it_again_is() {
    let server = Server::new(None);
    server.stages.is_stuck.store(true, Ordering::Relaxed);
    let answer = server.ask(HERE, get("/-/healthy")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (503, &json!("stuck")));
    server.stages.is_stuck.store(false, Ordering::Relaxed);
    assert_eq!(server.ask(HERE, get("/-/healthy")).await.status, 200);
}

#[tokio::test]
async fn the_ledger_has_the_sum_that_has_to_be_0() {
    let answer = Server::new(None).ask(HERE, get("/v1/ledger")).await;
    let expected = json!({
        "accepted": 10,
        "outputs": {
            "kafka": {
                "accepted": 10,
                "delivered": 6,
                "waiting": 2,
                "lost": { "spool_full": 1 },
                "set_aside": {},
                "not_wanted": 0,
                "imbalance": 1,
            },
        },
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn status_and_endpoints_are_what_the_stages_say() {
    let server = Server::new(None);
    let status = server.ask(HERE, get("/v1/status")).await.json();
    assert_eq!(status["input"]["accepted_records"], 77);
    let broker = json!({ "version": "0.10", "known_by": "broker", "off": ["headers", "zstd"] });
    assert_eq!(status["kafka"]["broker"], broker);
    let endpoints = server.ask(HERE, get("/v1/endpoints")).await.json();
    assert_eq!(endpoints["inputs"][0]["address"], "127.0.0.1:8124");
    let partners = server.ask(HERE, get("/v1/partners")).await.json();
    assert_eq!(
        (&partners["partners"][0]["name"], &partners["partners"][0]["sent_records"]),
        (&json!("p"), &json!(7))
    );
}

#[tokio::test]
async fn a_stream_is_given_piece_by_piece_or_refused_with_a_code() {
    let server = Server::new(None);
    let answer = server.ask(HERE, get("/v1/stream?format=ndjson")).await;
    assert_eq!((answer.text.as_str(), answer.header("content-type")), ("a\nb\n", "application/x-ndjson"));
    assert_eq!(server.ask(HERE, get("/v1/stream")).await.header("content-type"), "avro/binary");
    for (query, expected) in [
        ("from=yesterday", (400, "bad_query")),
        ("topics=a", (400, "bad_query")),
        ("from=busy", (503, "stream_limit")),
    ] {
        let (status, code) = server.ask(HERE, get(&format!("/v1/stream?{query}"))).await.problem();
        assert_eq!((status, code.as_str()), expected, "{query}");
    }
}

#[tokio::test]
async fn topics_are_those_that_were_asked_for() {
    let server = Server::new(None);
    let page = server.ask(HERE, get("/v1/topics?after=6&limit=5&state=blocked")).await.json();
    let topic = &page["topics"][0];
    assert_eq!((&page["next"], &topic["number"]), (&json!(7), &json!(7)));
    assert_eq!((&topic["accepted_records"], &topic["kafka"]["state"]), (&json!(5), &json!("blocked")));
    for query in ["limit=0", "state=", "page=2"] {
        let answer = server.ask(HERE, get(&format!("/v1/topics?{query}"))).await;
        assert_eq!(answer.problem(), (400, "bad_query".to_owned()), "{query}");
    }
}

#[tokio::test]
async fn the_metrics_page_starts_with_every_reason_at_0() {
    let server = Server::new(None);
    server.ask(ELSEWHERE, get("/v1/status")).await;
    let page = server.ask(ELSEWHERE, get("/metrics")).await.text;
    for reason in Reason::ALL {
        let count = u64::from(reason == Reason::NoTokenConfigured);
        let line = format!("metrics_collector_http_refused_total{{reason=\"{}\"}} {count}\n", reason.name());
        assert!(page.contains(&line), "{line} in {page}");
    }
    let line = "metrics_collector_http_requests_total{code=\"403\",route=\"/v1/status\"} 1\n";
    assert!(page.contains(line), "{page}");
}

#[tokio::test]
async fn from_elsewhere_only_health_and_metrics_answer_without_the_token() {
    let server = Server::new(Some(TOKEN));
    let with = |path, token: &str| get(&ended(path)).header("authorization", format!("Bearer {token}"));
    for path in paths(Access::Open) {
        let by_name = Request::builder().uri(path).header("host", "agent-7.example:8128");
        assert_eq!(server.ask(ELSEWHERE, by_name).await.status, 200, "{path}");
    }
    // What is not there is closed too: a stranger cannot find out what is.
    for path in paths(Access::Closed).chain(["/v1/nothing"]) {
        for request in [get(path), with(path, "guess"), with(path, "")] {
            let answer = server.ask(ELSEWHERE, request).await;
            assert_eq!(answer.problem(), (401, "unauthorized".to_owned()), "{path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"metrics-collector\"");
        }
    }
    for path in paths(Access::Closed) {
        assert_eq!(server.ask(ELSEWHERE, with(path, TOKEN)).await.status, 200, "{path}");
    }
    let refused = 3 * (paths(Access::Closed).count() as u64 + 1);
    assert_eq!(server.metrics.refusals(Reason::Unauthorized), refused);
}

#[tokio::test]
async fn without_a_configured_token_nothing_opens_from_elsewhere() {
    let server = Server::new(None);
    for token in ["", "guess", TOKEN] {
        let request = get("/v1/status").header("authorization", format!("Bearer {token}"));
        let answer = server.ask(ELSEWHERE, request).await;
        assert_eq!(answer.problem(), (403, "no_token_configured".to_owned()));
        // This machine's own address is elsewhere too, which who asks there must be able to tell.
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("127.0.0.1") && detail.contains("http-token-file"), "{detail}");
    }
}

#[tokio::test]
async fn an_empty_token_opens_nothing() {
    let request = get("/v1/status").header("authorization", "Bearer ");
    let answer = Server::new(Some("")).ask(ELSEWHERE, request).await;
    assert_eq!(answer.problem(), (401, "unauthorized".to_owned()));
}

#[tokio::test]
async fn refusals_of_the_guard_are_problems_with_their_code() {
    let server = Server::new(Some(TOKEN));
    let long = format!("/{}", "x".repeat(3000));
    let cases = [
        (Request::builder().uri("/v1/status").header("host", "evil.example"), 403, "host_not_allowed"),
        (Request::builder().uri("/").header("host", "evil.example:8128"), 403, "host_not_allowed"),
        (Request::builder().uri("/metrics").header("host", "evil.example"), 403, "host_not_allowed"),
        (Request::builder().uri("/-/ready").header("host", "evil.example"), 403, "host_not_allowed"),
        (Request::builder().uri("/"), 400, "host_invalid"),
        (get("/").header("origin", "http://evil.example"), 403, "cross_site"),
        (get("/metrics").header("sec-fetch-site", "cross-site"), 403, "cross_site"),
        (get(&long), 414, "uri_too_long"),
        (get("/").header("content-length", "70000"), 413, "body_too_large"),
        (get("/").header("transfer-encoding", "chunked"), 411, "length_required"),
    ];
    for (request, status, code) in cases {
        let text = format!("{request:?}");
        assert_eq!(server.ask(HERE, request).await.problem(), (status, code.to_owned()), "{text}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_one_label() {
    let server = Server::new(None);
    for path in ["/nothing", "/v1", "/v1/status/", "//", "/metrics/x", "/%2e%2e/v1/status"] {
        assert_eq!(server.ask(HERE, get(path)).await.problem(), (404, "not_found".to_owned()), "{path}");
    }
    assert_eq!(server.metrics.answers("other", "404"), 6);
}

#[tokio::test]
async fn a_wrong_method_is_405_and_says_which_are_right() {
    let server = Server::new(None);
    for route in table() {
        let path = path_of(&route);
        let mut allowed: Vec<&str> = Vec::new();
        for operation in &route.operations {
            allowed.push(operation.method);
            allowed.extend((operation.method == "GET").then_some("HEAD"));
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if allowed.contains(&method) {
                continue;
            }
            let answer = server.ask(HERE, get(&path).method(method)).await;
            assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()), "{method} {path}");
            assert_eq!(answer.header("allow"), allowed.join(","), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_document_has_every_route_and_every_method() {
    let server = Server::new(None);
    let document = server.ask(HERE, get("/v1/openapi.json")).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for route in table() {
        let methods = document["paths"][route.path].as_object().unwrap();
        assert_eq!(methods.len(), route.operations.len(), "{}", route.path);
        for operation in &route.operations {
            let described = &methods[&operation.method.to_ascii_lowercase()];
            assert_eq!(described["summary"], operation.about);
            assert!(!operation.answers.is_empty(), "{} {} answers nothing", operation.method, route.path);
            let names: Vec<_> = route.path.split('/').filter_map(|part| part.strip_prefix('{')).collect();
            let in_path = operation.parameters.iter().filter(|parameter| parameter.place == Place::Path);
            assert!(in_path.map(|parameter| format!("{}}}", parameter.name)).eq(names), "{}", route.path);
        }
    }
    assert_eq!(document["paths"].as_object().map(serde_json::Map::len), Some(table().len()));
    // Nothing in it refers to what is not there.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    assert!(document["components"]["schemas"]["ConfigChange"].is_object());
    // It is made once.
    assert_eq!(server.ask(HERE, get("/v1/openapi.json")).await.json(), document);
}

#[tokio::test]
async fn every_answer_has_the_safe_header_fields_and_none_of_cors() {
    let server = Server::new(None);
    let preflight = get("/v1/status")
        .method("OPTIONS")
        .header("origin", "http://127.0.0.1:8128")
        .header("access-control-request-method", "PUT");
    let requests = every_path().map(|path| get(&ended(path))).chain([
        get("/nothing"),
        get("/metrics").method("POST"),
        get("/").header("origin", "null"),
        preflight,
    ]);
    for request in requests {
        let text = format!("{request:?}");
        let answer = server.ask(HERE, request).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{text}");
        assert_eq!(answer.header("cache-control"), "no-store", "{text}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none';"), "{text}");
        let cors = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
        assert_eq!(cors, None, "{text}");
    }
}
