//! The partners: shown, and those that are dialled set and removed one by one.
//!
//! What is dialled is the key `partners` of the configuration, so that each change here is one of that: held against the
//! same rules, kept and told like it, and tied to its version by `If-Match`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::answers;
use super::config::{Asker, made, object, try_change};
use super::operation::{Parameter, Place};
use super::routes::Shared;
use super::segment::Segment;
use crate::control::PartnerStatus;
use crate::control::steering::{Change, ConfigView, NotChanged, Outcome};

/// The name in a path.
pub(super) fn name() -> Parameter {
    let schema =
        json!({ "type": "string", "pattern": "^[a-zA-Z0-9._-]{1,64}$", "not": { "enum": [".", ".."] } });
    Parameter { place: Place::Path, name: "name", about: "Name of a partner.", schema }
}

/// `GET /v1/partners`.
pub(super) async fn all(State(shared): State<Arc<Shared>>) -> Response {
    answers::json(&Partners { partners: shared.control.partners() })
}

/// `GET /v1/partners/{name}`.
pub(super) async fn one(State(shared): State<Arc<Shared>>, Segment(name): Segment) -> Response {
    match shared.control.partner(&name) {
        Some(partner) => answers::json(&partner),
        None => made(Err(NotChanged::NoPartner)),
    }
}

/// `PUT /v1/partners/{name}`.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    Segment(name): Segment,
    request: Request,
) -> Response {
    let asker = Asker::of(&request);
    match object(&shared, request.into_body(), "a partner's fields").await {
        Ok(fields) => made(try_change(&shared, asker, Change::PutPartner { name, fields }).await),
        Err(refusal) => refusal,
    }
}

/// `DELETE /v1/partners/{name}`: one that is dialled is not any more; of any other the place ends, and the connection.
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Segment(name): Segment,
    request: Request,
) -> Response {
    let asker = Asker::of(&request);
    match try_change(&shared, asker.clone(), Change::RemovePartner(name.clone())).await {
        Err(NotChanged::NoPartner) => made(forget(&shared, &name, &asker)),
        result => made(result),
    }
}

/// Ends the place of one that connects, which is no part of the configuration.
fn forget(shared: &Shared, name: &str, asker: &Asker) -> Result<Outcome, NotChanged> {
    let view = ConfigView::clone(&shared.control.config());
    if shared.control.partner(name).is_some() && !asker.expected.admits(&view.etag) {
        return Err(NotChanged::Stale);
    }
    if !shared.control.forget_partner(name, &asker.by) {
        return Err(NotChanged::NoPartner);
    }
    let (changed, renewed, pending, dropped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    Ok(Outcome { changed, renewed, pending, dropped, created: false, view })
}

/// Who takes records as they arrive.
#[derive(Serialize, JsonSchema)]
pub(super) struct Partners {
    partners: Vec<PartnerStatus>,
}
