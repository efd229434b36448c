//! Every route, in one table, and what all of them have in common.

use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::answers::{Books, JSON, PROMETHEUS, Readiness, TEXT};
use super::events::VIEWERS_MAX;
use super::guard::{self, Access};
use super::live::Live;
use super::metrics::Metrics;
use super::operation::{Body, Content, Operation, Route, delete, get, patch, post, put, route};
use super::partners::Partners;
use super::problem::Problem;
use super::settings::Config;
use super::{answers, code, config, events, page, partners, stream, topics};
use crate::control::steering::{ConfigView, Outcome};
use crate::control::{Control, Endpoints, PartnerStatus, Status, Topics};
use crate::telemetry::LogBudget;

/// The routes. Each says itself who may read it, and each method what it takes and all that it may answer.
pub(super) fn table() -> Vec<Route> {
    use Access::{Closed, Open};
    let as_asked = [Content::of::<Readiness>(JSON), Content::text(TEXT)];
    vec![
        route("/", Closed).with(get(page::show, "the status page, for a person").text(page::HTML)),
        route("/-/healthy", Open).with(
            get(answers::healthy, "200 while the process serves and its line moves")
                .text(TEXT)
                .may([code::STUCK]),
        ),
        route("/-/ready", Open).with(
            get(answers::ready, "200 when every part does its work, else 503; and what is missing")
                .gives(as_asked)
                .or(StatusCode::SERVICE_UNAVAILABLE, "a part does not do its work", as_asked),
        ),
        route("/-/reload", Closed).with(change(post(config::reload, "the configuration is read again"))),
        route("/metrics", Open).with(get(answers::metrics, "counters for Prometheus").text(PROMETHEUS)),
        route("/v1/config", Closed)
            .with(get(config::show, "every key, its value and whence that is").json::<ConfigView>().tagged())
            .with(
                change(patch(config::patch, "changes keys, all of them or none"))
                    .takes_body(Body::ConfigChange)
                    .may([code::MALFORMED_BODY]),
            ),
        route("/v1/config/schema", Closed).with(
            get(config::schema, "JSON Schema of a change").gives([Content::of::<Document>(config::SCHEMA)]),
        ),
        route("/v1/config/{key}", Closed).with(
            change(delete(config::remove, "removes what was set at runtime"))
                .takes([config::key()])
                .may([code::UNKNOWN_KEY, code::NOT_SET]),
        ),
        route("/v1/endpoints", Closed)
            .with(get(answers::endpoints, "where local processes send to and take from").json::<Endpoints>()),
        route("/v1/events", Closed).with(
            get(events::show, "a look at everything each second, as server-sent events")
                .takes(events::parameters())
                .gives([Content::text(events::STREAM)])
                .may([code::BAD_QUERY, code::VIEWER_LIMIT]),
        ),
        route("/v1/ledger", Closed).with(get(answers::ledger, "what became of every record").json::<Books>()),
        route("/v1/openapi.json", Closed)
            .with(get(answers::openapi, "these routes for programs, as OpenAPI 3.1").json::<Document>()),
        route("/v1/partners", Closed)
            .with(get(partners::all, "who takes records as they arrive").json::<Partners>()),
        route("/v1/partners/{name}", Closed)
            .with(
                get(partners::one, "one of them")
                    .takes([partners::name()])
                    .json::<PartnerStatus>()
                    .may([code::UNKNOWN_PARTNER]),
            )
            .with(
                change(put(
                    partners::put,
                    "connects to a partner, from now on or to something else than before",
                ))
                .takes([partners::name()])
                .takes_body(Body::Partner)
                .or(StatusCode::CREATED, "it was not there before", [Content::of::<Outcome>(JSON)])
                .may([code::MALFORMED_BODY]),
            )
            .with(
                change(delete(
                    partners::remove,
                    "ends a partner's place and its connection, for good if it is dialled",
                ))
                .takes([partners::name()])
                .may([code::UNKNOWN_PARTNER]),
            ),
        route("/v1/stream", Closed).with(
            get(stream::show, "records as they arrive, for a moment's look")
                .takes(stream::parameters())
                .gives([Content::text(stream::OCF), Content::text(stream::NDJSON)])
                .may([code::BAD_QUERY, code::STREAM_LIMIT, code::ENDING]),
        ),
        route("/v1/status", Closed)
            .with(get(answers::status, "what runs, and what it waits for").json::<Status>()),
        route("/v1/topics", Closed).with(
            get(topics::show, "record topics, and what becomes of them")
                .takes(topics::parameters())
                .json::<Topics>()
                .may([code::BAD_QUERY]),
        ),
    ]
}

/// What all changes of the configuration have in common.
fn change(operation: Operation) -> Operation {
    let operation = operation.takes([config::if_match()]).json::<Outcome>().tagged();
    operation.may([code::STALE, code::SLOW_FILE, code::INVALID_CONFIG])
}

/// A JSON document that is no answer of ours alone.
type Document = Map<String, Value>;

/// What handlers share.
pub(super) struct Shared {
    pub(super) control: Control,
    /// For the page: path and what it is.
    pub(super) signposts: Vec<Signpost>,
    /// Who may read each route.
    access: Vec<(&'static str, Access)>,
    settings: watch::Receiver<Config>,
    pub(super) metrics: Metrics,
    /// Who has a permit may read a body.
    pub(super) bodies: Semaphore,
    /// What `/v1/openapi.json` answers, once somebody has asked.
    pub(super) openapi: OnceLock<Bytes>,
    pub(super) live: Arc<Live>,
    /// The question whether the line has a turn, while it has no answer.
    pub(super) pulse: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    pub(super) stuck_log: Mutex<LogBudget>,
    /// Who has a permit may watch.
    pub(super) viewers: Arc<Semaphore>,
}

/// A route as people see it.
pub(super) struct Signpost {
    pub(super) path: &'static str,
    pub(super) about: String,
}

/// The routes with everything around them. Each request needs a [`guard::Peer`] among its extensions, or it is
/// taken for one from elsewhere.
pub(super) fn router(control: Control, settings: watch::Receiver<Config>, metrics: Metrics) -> Router {
    let mut router = Router::new();
    let (mut signposts, mut all) = (Vec::new(), Vec::new());
    for route in table() {
        all.push((route.path, route.access));
        if route.is_linked() {
            signposts.push(Signpost { path: route.path, about: route.about() });
        }
        router = router.route(route.path, route.handler());
    }
    let bodies = Semaphore::new(config::BODIES_MAX);
    let (live, viewers) = (Arc::new(Live::new(control.clone())), Arc::new(Semaphore::new(VIEWERS_MAX)));
    let shared = Arc::new(Shared {
        control,
        signposts,
        access: all,
        settings,
        metrics,
        bodies,
        openapi: OnceLock::new(),
        live,
        pulse: tokio::sync::Mutex::default(),
        stuck_log: Mutex::default(),
        viewers,
    });
    router
        .fallback(async || Problem::new(code::NOT_FOUND, "there is nothing here; / lists what there is"))
        .method_not_allowed_fallback(async || {
            let detail = "the field Allow lists the methods that there are";
            Problem::new(code::METHOD_NOT_ALLOWED, detail)
        })
        .layer(from_fn_with_state(Arc::clone(&shared), admit))
        .layer(from_fn_with_state(Arc::clone(&shared), finish))
        .with_state(shared)
}

/// Lets a request go on only if the guard does. Unknown paths are closed, so that strangers cannot tell what exists.
async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let access = request.extensions().get::<MatchedPath>().and_then(|path| {
        shared.access.iter().find(|(known, _)| *known == path.as_str()).map(|(_, access)| *access)
    });
    let access = access.unwrap_or(Access::Closed);
    let checked = {
        let settings = shared.settings.borrow();
        guard::check(&request, access, settings.token.as_ref(), settings.writes)
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(reason) => {
            shared.metrics.refused(reason);
            tracing::debug!(
                reason = reason.name(),
                peer = ?request.extensions().get::<guard::Peer>(),
                "refused an HTTP request"
            );
            Problem::of(reason).expect("what the guard refuses is answered").into_response()
        }
    }
}

/// Header fields of every answer that does not have them already: nothing of it is code, a frame, or for keeping.
const ON_EVERY_ANSWER: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Counts each answer and gives it the header fields that every answer has.
async fn finish(
    State(shared): State<Arc<Shared>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let route = path.as_ref().map_or("other", MatchedPath::as_str);
    shared.metrics.answered(route, response.status().as_str());
    for (name, value) in ON_EVERY_ANSWER {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
