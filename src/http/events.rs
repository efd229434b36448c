//! `GET /v1/events`: a look at everything each second, as server-sent events, until the client leaves, its connection is
//! too old, or the collector ends.
//!
//! Each viewer has a task, which hands the newest look on when the last one was taken: one that is slow misses some, and
//! keeps nothing that the others do not have anyway. One that takes nothing loses its connection as any other does.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::live::{Form, View};
use super::problem::Problem;
use super::routes::Shared;
use super::stream::{Streaming, unavailable};

/// Viewers at once.
pub(super) const VIEWERS_MAX: usize = 64;

/// Looks that were handed on and not taken.
const LOOKS_MAX: usize = 1;

/// How soon a browser asks again where a stream has ended, in milliseconds.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// Becomes true when a request's connection is to end; its answer should then come to an end. Put into each request by the
/// connection.
#[derive(Clone, Debug)]
pub(super) struct Closing(pub(super) watch::Receiver<bool>);

/// The answer. `view=page` has what the page shows, instead of JSON.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let form = match query.as_deref() {
        None | Some("") => Form::Json,
        Some("view=page") => Form::Page,
        Some(_) => {
            let why = "events are asked for as they are, or with view=page";
            return Problem::new(StatusCode::BAD_REQUEST, "bad_query", why).into_response();
        }
    };
    let Ok(permit) = shared.viewers.clone().try_acquire_owned() else {
        return unavailable("viewer_limit", "as many watch as may; try again, or ask for /v1/status");
    };
    let closing = request.extensions().get::<Closing>().cloned();
    let (sender, pieces) = mpsc::channel(LOOKS_MAX);
    tokio::spawn(attend(shared.live.watch(), form, sender, closing, permit));
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(Streaming(pieces))).into_response()
}

/// Serves a viewer.
async fn attend(
    mut looks: watch::Receiver<Arc<View>>,
    form: Form,
    viewer: mpsc::Sender<Bytes>,
    closing: Option<Closing>,
    _permit: OwnedSemaphorePermit,
) {
    let goes_on = async {
        if viewer.send(Bytes::from_static(RETRY)).await.is_err() {
            return;
        }
        looks.mark_changed();
        while looks.changed().await.is_ok() {
            let event = looks.borrow_and_update().event(form);
            if viewer.send(event).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = goes_on => {}
        () = viewer.closed() => {}
        () = closed(closing) => {}
    }
}

async fn closed(closing: Option<Closing>) {
    match closing {
        // A connection that is gone is as good as one that says so.
        Some(Closing(mut closing)) => _ = closing.wait_for(|closing| *closing).await,
        None => std::future::pending().await,
    }
}
