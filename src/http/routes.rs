//! Every route, on one screen, and what all of them have in common.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use tokio::sync::{Semaphore, watch};

use super::guard::{self, Access};
use super::metrics::Metrics;
use super::problem::Problem;
use super::settings::Config;
use super::{answers, config, page, stream};
use crate::control::Control;

/// The routes. Each says itself who may read it.
fn table() -> [Route; 13] {
    use Access::{Closed, Open};
    [
        route("/", Closed, "this page", get(page::show)),
        route("/-/healthy", Open, "200 while the process serves", get(answers::healthy)),
        route(
            "/-/ready",
            Open,
            "200 when every part does its work, else 503; and what is missing",
            get(answers::ready),
        ),
        route("/-/reload", Closed, "POST: the configuration is read again", post(config::reload)).unlinked(),
        route("/metrics", Open, "counters for Prometheus", get(answers::metrics)),
        route("/v1/config", Closed, "every key; PATCH: change some", get(config::show).patch(config::patch)),
        route("/v1/config/schema", Closed, "JSON Schema of a change", get(config::schema)),
        route("/v1/config/{key}", Closed, "DELETE: what was set at runtime", delete(config::remove))
            .unlinked(),
        route(
            "/v1/endpoints",
            Closed,
            "where local processes send to and take from",
            get(answers::endpoints),
        ),
        route("/v1/ledger", Closed, "what became of every record", get(answers::ledger)),
        route("/v1/partners", Closed, "who takes records as they arrive", get(answers::partners)),
        route("/v1/stream", Closed, "records as they arrive, for a moment's look", get(stream::show)),
        route("/v1/status", Closed, "what runs, and what it waits for", get(answers::status)),
    ]
}

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
}

/// A route as people see it.
pub(super) struct Signpost {
    pub(super) path: &'static str,
    pub(super) about: &'static str,
}

struct Route {
    signpost: Signpost,
    access: Access,
    /// Whether a link leads there.
    is_linked: bool,
    methods: MethodRouter<Arc<Shared>>,
}

fn route(
    path: &'static str,
    access: Access,
    about: &'static str,
    methods: MethodRouter<Arc<Shared>>,
) -> Route {
    Route { signpost: Signpost { path, about }, access, is_linked: true, methods }
}

impl Route {
    fn unlinked(mut self) -> Route {
        self.is_linked = false;
        self
    }
}

/// The routes with everything around them. Each request needs a [`guard::Peer`] among its extensions, or it is
/// taken for one from elsewhere.
pub(super) fn router(control: Control, settings: watch::Receiver<Config>, metrics: Metrics) -> Router {
    let mut router = Router::new();
    let (mut signposts, mut all) = (Vec::new(), Vec::new());
    for Route { signpost, access, is_linked, methods } in table() {
        router = router.route(signpost.path, methods);
        all.push((signpost.path, access));
        if is_linked {
            signposts.push(signpost);
        }
    }
    let bodies = Semaphore::new(config::BODIES_MAX);
    let shared = Arc::new(Shared { control, signposts, access: all, settings, metrics, bodies });
    router
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here; / lists what there is")
        })
        .method_not_allowed_fallback(async || {
            let detail = "the field Allow lists the methods that there are";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
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

/// Header fields of every answer: nothing of it is code, a frame, or for keeping.
const ON_EVERY_ANSWER: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
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
        response.headers_mut().insert(name, value);
    }
    response
}
