//! Every route and every refusal, asked without a socket.

use std::sync::atomic::Ordering;

use axum::http::Request;
use serde_json::json;

use super::super::reason::Reason;
use super::fixture::{ELSEWHERE, HERE, HOSTILE, Server, TOKEN, get};

const OPEN: [&str; 3] = ["/-/healthy", "/-/ready", "/metrics"];
const CLOSED: [&str; 6] =
    ["/", "/v1/config", "/v1/config/schema", "/v1/endpoints", "/v1/ledger", "/v1/status"];

fn every_route() -> impl Iterator<Item = &'static str> {
    OPEN.into_iter().chain(CLOSED)
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
        ("/v1/ledger", "application/json"),
        ("/v1/status", "application/json"),
    ];
    assert_eq!(cases.len(), every_route().count());
    for (path, kind) in cases {
        let answer = server.ask(HERE, get(path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind), "{path}");
        assert!(answer.text.ends_with('\n'), "{path}");
        assert_eq!(server.metrics.answers(path, "200"), 1, "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::new(None);
    // The metrics page counts the request before, so that no two are the same.
    for path in every_route().filter(|path| *path != "/metrics") {
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
    let with = |path, token: &str| get(path).header("authorization", format!("Bearer {token}"));
    for path in OPEN {
        let by_name = Request::builder().uri(path).header("host", "agent-7.example:8128");
        assert_eq!(server.ask(ELSEWHERE, by_name).await.status, 200, "{path}");
    }
    // What is not there is closed too: a stranger cannot find out what is.
    for path in CLOSED.into_iter().chain(["/v1/nothing"]) {
        for request in [get(path), with(path, "guess"), with(path, "")] {
            let answer = server.ask(ELSEWHERE, request).await;
            assert_eq!(answer.problem(), (401, "unauthorized".to_owned()), "{path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"metrics-collector\"");
        }
    }
    for path in CLOSED {
        assert_eq!(server.ask(ELSEWHERE, with(path, TOKEN)).await.status, 200, "{path}");
    }
    assert_eq!(server.metrics.refusals(Reason::Unauthorized), 21);
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
    for path in every_route() {
        let allowed = if path == "/v1/config" { "GET,HEAD,PATCH" } else { "GET,HEAD" };
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if allowed.contains(method) {
                continue;
            }
            let answer = server.ask(HERE, get(path).method(method)).await;
            assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()), "{method} {path}");
            assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        }
    }
    for (path, allowed) in [("/-/reload", "POST"), ("/v1/config/kafka-key", "DELETE")] {
        let answer = server.ask(HERE, get(path)).await;
        assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()), "{path}");
        assert_eq!(answer.header("allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn every_answer_has_the_safe_header_fields_and_none_of_cors() {
    let server = Server::new(None);
    let preflight = get("/v1/status")
        .method("OPTIONS")
        .header("origin", "http://127.0.0.1:8128")
        .header("access-control-request-method", "PUT");
    let requests = every_route().map(get).chain([
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
