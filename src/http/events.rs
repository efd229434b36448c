//! `GET /v1/events`: a look at everything each second, as server-sent events, until the client leaves, its connection is
//! too old, or the collector ends.
//!
//! Each viewer has a task, which hands the newest look on when the last one was taken: one that is slow misses some, and
//! keeps nothing that the others do not have anyway. One that takes nothing loses its connection as any other does.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::code;
use super::live::{Form, View};
use super::operation::{Parameter, query};
use super::problem::Problem;
use super::query::Query;
use super::routes::Shared;
use super::streaming::{self, Closing};
use crate::control::Piece;

/// Viewers at once.
pub(super) const VIEWERS_MAX: usize = 64;

/// Most events that somebody may ask for.
const LIMIT_MAX: u64 = 1_000_000_000;

/// Looks that were handed on and not taken.
const LOOKS_MAX: usize = 1;

/// How soon a browser asks again where a stream has ended, in milliseconds.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// Media type of the answer.
pub(super) const STREAM: &str = "text/event-stream";

/// What events are asked for by.
pub(super) fn parameters() -> [Parameter; 2] {
    [
        query(
            "limit",
            "The stream ends after so many events. Without it, it goes on until the client leaves, at most ten minutes.",
            json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX }),
        ),
        query(
            "view",
            "Has what the status page shows, as HTML, instead of JSON.",
            json!({ "enum": ["page"] }),
        ),
    ]
}

/// The answer.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    closing: Option<Extension<Closing>>,
) -> Response {
    let asked = match read(query.as_deref()) {
        Ok(asked) => asked,
        Err(why) => return Problem::new(code::BAD_QUERY, why).into_response(),
    };
    let Ok(permit) = shared.viewers.clone().try_acquire_owned() else {
        let why = "as many watch as may; try again, or ask for /v1/status";
        return Problem::new(code::VIEWER_LIMIT, why).into_response();
    };
    let (sender, pieces) = mpsc::channel(LOOKS_MAX);
    tokio::spawn(attend(shared.live.watch(), asked, sender, permit));
    streaming::answer(STREAM, pieces, closing)
}

/// What a viewer asks for.
struct Asked {
    form: Form,
    /// Events after which the stream ends.
    limit: u64,
}

/// Reads a query string.
fn read(text: Option<&str>) -> Result<Asked, String> {
    let query = Query::read(text, &parameters())?;
    let form = match query.once("view")?.as_deref() {
        None => Form::Json,
        Some("page") => Form::Page,
        Some(_) => return Err("view is page, or left out".to_owned()),
    };
    let limit = match query.once("limit")? {
        None => u64::MAX,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| format!("limit is a number from 1 to {LIMIT_MAX}"))?,
    };
    Ok(Asked { form, limit })
}

/// Serves a viewer.
async fn attend(
    mut looks: watch::Receiver<Arc<View>>,
    asked: Asked,
    viewer: mpsc::Sender<Piece>,
    _permit: OwnedSemaphorePermit,
) {
    let whole = |bytes| Piece { bytes, is_whole: true };
    let goes_on = async {
        if viewer.send(whole(Bytes::from_static(RETRY))).await.is_err() {
            return;
        }
        looks.mark_changed();
        for _ in 0..asked.limit {
            if looks.changed().await.is_err() {
                return;
            }
            let event = looks.borrow_and_update().event(asked.form);
            if viewer.send(whole(event)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = goes_on => {}
        () = viewer.closed() => {}
    }
}
