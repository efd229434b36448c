//! What the routes answer: snapshots of [`Control`](crate::control::Control) as JSON or text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::timeout;

use super::operation::Body;
use super::problem::Problem;
use super::routes::{Shared, table};
use super::{code, openapi};
use crate::control::{Ledger, OutputLedger, Part};

/// Media types.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
/// Prometheus' text format, with the version that it is.
pub(super) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long the line may take until it has a turn. With all that there can be to do it is a matter of milliseconds.
const TURN_TIME: Duration = Duration::from_secs(5);

/// The header field of a media type.
fn kind(kind: &'static str) -> [(HeaderName, &'static str); 1] {
    [(header::CONTENT_TYPE, kind)]
}

/// `GET /-/healthy`. That it comes says that the server runs; whether the line does is asked. No more than that: a Kafka
/// that is gone is nothing that a new process would mend.
pub(super) async fn healthy(State(shared): State<Arc<Shared>>) -> Response {
    if timeout(TURN_TIME, turn(&shared)).await.unwrap_or(false) {
        return (kind(TEXT), "healthy\n").into_response();
    }
    let why = format!("the line has had no turn of its thread for {} s", TURN_TIME.as_secs());
    if let Some(suppressed) =
        shared.stuck_log.lock().expect("nobody panics under it").take("", Instant::now())
    {
        tracing::error!(
            suppressed,
            "not healthy: {why}: nothing is taken in or sent, until it ends or is ended"
        );
    }
    Problem::new(code::STUCK, why).into_response()
}

/// Waits until the line has had a turn. However many ask, it is asked once at a time.
async fn turn(shared: &Shared) -> bool {
    let mut asked = shared.pulse.lock().await;
    let pulse = asked.get_or_insert_with(|| shared.control.pulse());
    let had = pulse.await.is_ok();
    *asked = None;
    had
}

/// `GET /-/ready`.
pub(super) async fn ready(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let readiness = Readiness::of(shared.control.readiness());
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if wants_text(&headers) {
        return (status, kind(TEXT), readiness.text()).into_response();
    }
    (status, json(&readiness)).into_response()
}

/// `GET /metrics`.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    (kind(PROMETHEUS), shared.control.metrics()).into_response()
}

/// `GET /v1/endpoints`.
pub(super) async fn endpoints(State(shared): State<Arc<Shared>>) -> Response {
    json(&shared.control.endpoints())
}

/// `GET /v1/status`.
pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Response {
    json(&shared.control.status())
}

/// `GET /v1/openapi.json`. It is made for the first who asks, and kept: few ever do.
pub(super) async fn openapi(State(shared): State<Arc<Shared>>) -> Response {
    let document = shared.openapi.get_or_init(|| {
        let schema_of = |body| match body {
            Body::ConfigChange => shared.control.config_schema(),
            Body::Partner => shared.control.partner_schema(),
        };
        let mut text = openapi::document(&table(), schema_of).to_string();
        text.push('\n');
        text.into()
    });
    (kind(JSON), document.clone()).into_response()
}

/// `GET /v1/ledger`.
pub(super) async fn ledger(State(shared): State<Arc<Shared>>) -> Response {
    json(&Books::of(shared.control.ledger()))
}

/// Indented, with a line feed at its end: people read this with curl.
pub(super) fn json(value: &impl Serialize) -> Response {
    let mut text = serde_json::to_string_pretty(value).expect("snapshots are structs with texts as keys");
    text.push('\n');
    (kind(JSON), text).into_response()
}

/// Whether the client asks for text by name, and not for JSON.
fn wants_text(headers: &HeaderMap) -> bool {
    let named = |wanted: &str| {
        let fields = headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
        let mut types = fields.flat_map(|field| field.split(','));
        types.any(|kind| kind.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(wanted)))
    };
    named("text/plain") && !named("application/json")
}

/// Whether the collector does its work: ready is what all parts together are.
#[derive(Serialize, JsonSchema)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    pub(super) parts: Vec<Part>,
}

impl Readiness {
    pub(super) fn of(parts: Vec<Part>) -> Readiness {
        Readiness { ready: parts.iter().all(|part| part.ready), parts }
    }

    /// One line for the whole, one for each part. Details quote what others sent us, so that control characters are
    /// made blanks: a part has one line.
    fn text(&self) -> String {
        let word = |ready| if ready { "ready" } else { "not ready" };
        let mut text = format!("{}\n", word(self.ready));
        for part in &self.parts {
            let detail = part.detail.replace(char::is_control, " ");
            writeln!(text, "{}: {}: {detail}", part.name, word(part.ready)).expect("a String takes all");
        }
        text
    }
}

/// What became of every record: the books, each with the sum that has to be 0.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Ledger")]
pub(super) struct Books {
    /// Records accepted since start.
    accepted: u64,
    /// By output.
    outputs: BTreeMap<String, OutputBooks>,
}

/// The books of one output.
#[derive(Serialize, JsonSchema)]
pub(super) struct OutputBooks {
    #[serde(flatten)]
    pub(super) ledger: OutputLedger,
    /// What they do not explain: 0, or there is a bug.
    pub(super) imbalance: i64,
}

impl From<OutputLedger> for OutputBooks {
    fn from(ledger: OutputLedger) -> OutputBooks {
        OutputBooks { imbalance: ledger.imbalance(), ledger }
    }
}

impl Books {
    fn of(ledger: Ledger) -> Books {
        let outputs = ledger.outputs.into_iter().map(|(name, ledger)| (name, ledger.into()));
        Books { accepted: ledger.accepted, outputs: outputs.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_given_to_those_who_name_it_and_not_json() {
        let cases: &[(&[&str], bool)] = &[
            (&[], false),
            (&["*/*"], false),
            (&["text/plain"], true),
            (&["Text/Plain; charset=utf-8"], true),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], false),
            (&["application/json, text/plain, */*"], false),
            (&["text/html", "text/plain"], true),
            (&["text/plainer"], false),
        ];
        for (fields, expected) in cases {
            let mut headers = HeaderMap::new();
            for field in *fields {
                headers.append(header::ACCEPT, field.parse().unwrap());
            }
            assert_eq!(wants_text(&headers), *expected, "{fields:?}");
        }
    }

    #[test]
    fn a_part_has_one_line_of_text_whatever_its_detail_says() {
        let part = Part { name: "kafka", ready: false, detail: "no broker\r\nspool: ready: lie".to_owned() };
        let text = Readiness::of(vec![part]).text();
        assert_eq!(text, "not ready\nkafka: not ready: no broker  spool: ready: lie\n");
    }
}
