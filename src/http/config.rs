//! The configuration: shown, changed and read again.
//!
//! A change is a JSON object of keys and values, null to remove what was set; it is made as a whole or not at all. `ETag`
//! names the version that was shown, and `If-Match` ties a change to one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answers;
use super::code;
use super::guard::{BODY_BYTES_MAX, Peer};
use super::operation::{Parameter, Place};
use super::problem::Problem;
use super::reason::Reason;
use super::routes::Shared;
use super::segment::Segment;
use crate::control::steering::{Change, Expected, NotChanged, Order, Outcome};
use crate::record::Members;

/// How long a body may take to arrive. Its connection is waited for so long, and nobody takes its place.
const BODY_TIME: Duration = Duration::from_secs(5);

/// Bodies that are read at once: a megabyte of them. Others wait, within their time.
pub(super) const BODIES_MAX: usize = 16;

/// Media type of a JSON Schema.
pub(super) const SCHEMA: &str = "application/schema+json";

/// The version that a change is made to.
pub(super) fn if_match() -> Parameter {
    let about = "The change is made only if this is the `ETag` of the configuration as it is, or one of several; \
                 else 412.";
    Parameter { place: Place::Header, name: "If-Match", about, schema: json!({ "type": "string" }) }
}

/// The key in a path.
pub(super) fn key() -> Parameter {
    let schema = json!({ "type": "string", "pattern": "^[a-z0-9-]+$" });
    Parameter { place: Place::Path, name: "key", about: "Name of a key.", schema }
}

/// `GET /v1/config`.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Response {
    let view = shared.control.config();
    tagged(answers::json(&*view), &view.etag)
}

/// `GET /v1/config/schema`.
pub(super) async fn schema(State(shared): State<Arc<Shared>>) -> Response {
    let mut response = answers::json(&shared.control.config_schema());
    let kind = HeaderValue::from_static(SCHEMA);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// `PATCH /v1/config`.
pub(super) async fn patch(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let asker = Asker::of(&request);
    match object(&shared, request.into_body(), "keys and values").await {
        Ok(values) => change(&shared, asker, Change::Set(values)).await,
        Err(refusal) => refusal,
    }
}

/// `DELETE /v1/config/{key}`.
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Segment(key): Segment,
    request: Request,
) -> Response {
    change(&shared, Asker::of(&request), Change::Remove(key)).await
}

/// `POST /-/reload`.
pub(super) async fn reload(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    change(&shared, Asker::of(&request), Change::Reload).await
}

/// Who wants a change, and of which version.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) by: String,
    pub(super) expected: Expected,
}

impl Asker {
    pub(super) fn of(request: &Request) -> Asker {
        let peer = request.extensions().get::<Peer>();
        let by = peer.map_or_else(|| "HTTP".to_owned(), |Peer(address)| format!("HTTP from {address}"));
        Asker { by, expected: expected(request.headers()) }
    }
}

/// What `If-Match` says (RFC 9110 §13.1.1). Our tags have no commas in them.
fn expected(headers: &HeaderMap) -> Expected {
    let mut tags = Vec::new();
    for field in headers.get_all(header::IF_MATCH) {
        // One that is no text matches nothing.
        let text = field.to_str().unwrap_or_default();
        if text.trim() == "*" {
            return Expected::Any;
        }
        tags.extend(text.split(',').map(|tag| tag.trim().to_owned()));
    }
    if tags.is_empty() { Expected::Any } else { Expected::OneOf(tags) }
}

async fn change(shared: &Shared, asker: Asker, change: Change) -> Response {
    made(try_change(shared, asker, change).await)
}

pub(super) async fn try_change(shared: &Shared, asker: Asker, change: Change) -> Result<Outcome, NotChanged> {
    let Asker { by, expected } = asker;
    shared.control.change(Order { change, expected, by }).await
}

/// The answer to a change.
pub(super) fn made(result: Result<Outcome, NotChanged>) -> Response {
    match result {
        Ok(outcome) => {
            let mut response = tagged(answers::json(&outcome), &outcome.view.etag);
            if outcome.created {
                *response.status_mut() = StatusCode::CREATED;
            }
            response
        }
        Err(why) => problem(why).into_response(),
    }
}

fn problem(why: NotChanged) -> Problem {
    match why {
        NotChanged::Stale => Problem::new(
            code::STALE,
            "somebody has changed the configuration since; look at it again, and change it then",
        ),
        NotChanged::NoKey => Problem::new(code::UNKNOWN_KEY, "there is no such key"),
        NotChanged::NotSet => Problem::new(code::NOT_SET, "nothing was set at runtime for this key"),
        NotChanged::NoPartner => {
            Problem::new(code::UNKNOWN_PARTNER, "nobody of this name is dialled, connected or has a place")
        }
        NotChanged::Slow => Problem::new(
            code::SLOW_FILE,
            "a file that the configuration names does not answer; nothing is changed",
        ),
        NotChanged::Faults(faults) => {
            let n = faults.len();
            let detail = format!("nothing is changed, since there {} at fault", are(n));
            Problem { faults, ..Problem::new(code::INVALID_CONFIG, detail) }
        }
    }
}

fn are(n: usize) -> String {
    if n == 1 { "is 1 thing".to_owned() } else { format!("are {n} things") }
}

/// The body, an object of `what`.
pub(super) async fn object(shared: &Shared, from: Body, what: &str) -> Result<Map<String, Value>, Response> {
    values(&body(shared, from).await?).map_err(|why| {
        let detail = format!("the body has to be a JSON object of {what}, but {why}");
        Problem::new(code::MALFORMED_BODY, detail).into_response()
    })
}

/// The body, which the guard has bounded.
async fn body(shared: &Shared, body: Body) -> Result<Bytes, Response> {
    let read = async {
        let _turn = shared.bodies.acquire().await.expect("the semaphore is never closed");
        to_bytes(body, BODY_BYTES_MAX).await
    };
    match tokio::time::timeout(BODY_TIME, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => {
            let detail = "the body broke off";
            Err(Problem::new(code::MALFORMED_BODY, detail).into_response())
        }
        Err(_) => {
            shared.metrics.refused(Reason::BodyTimeout);
            let problem = Problem::of(Reason::BodyTimeout).expect("it is answered");
            // The rest of it would be taken for a request.
            let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
            Err((close, problem).into_response())
        }
    }
}

fn values(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(_)) if !str::from_utf8(bytes).is_ok_and(is_distinct) => {
            Err("it names something twice".to_owned())
        }
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err("it is something else".to_owned()),
        // What is said has no byte of the body in it but a place.
        Err(error) => Err(format!("line {}, column {}: it is no JSON", error.line(), error.column())),
    }
}

/// Whether no object in this JSON names anything twice: nobody can say which value was meant, and the parser takes the last.
fn is_distinct(json: &str) -> bool {
    if let Ok(Members(members)) = serde_json::from_str(json) {
        let mut names = HashSet::new();
        return members.iter().all(|(name, value)| names.insert(name) && is_distinct(value.get()));
    }
    let list: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
    list.iter().all(|value| is_distinct(value.get()))
}

fn tagged(mut response: Response, etag: &str) -> Response {
    if let Ok(etag) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_names_versions() {
        let of = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::IF_MATCH, field.parse().unwrap());
            }
            expected(&headers)
        };
        for (fields, admits) in [
            (&[][..], true),
            (&["*"], true),
            (&["\"a-1\""], true),
            (&["\"b-1\", \"a-1\""], true),
            (&["\"b-1\"", "\"a-1\""], true),
            (&["\"a-2\""], false),
            // A weak tag never matches here.
            (&["W/\"a-1\""], false),
            (&["a-1"], false),
            (&[""], false),
        ] {
            assert_eq!(of(fields).admits("\"a-1\""), admits, "{fields:?}");
        }
    }

    #[test]
    fn a_change_is_an_object() {
        assert_eq!(values(b"{\"a\": [{\"a\": null}, {\"a\": 1}]}").unwrap().len(), 1);
        for bad in [
            "",
            "[]",
            "null",
            "{",
            "{\"a\": }",
            "\u{1}",
            "{\"a\": 1, \"b\": 2, \"\\u0061\": 1}",
            "{\"p\": [{}, {\"a\": 1, \"a\": 1}]}",
        ] {
            assert!(values(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
