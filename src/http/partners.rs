//! The partners: shown, and those that are dialled set and removed one by one.
//!
//! What is dialled is the key `partners` of the configuration, so that each change here is one of that: held against the
//! same rules, kept and told like it, and tied to its version by `If-Match`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::answers::json;
use super::config::{Asker, made, object, try_change};
use super::routes::Shared;
use crate::control::PartnerStatus;
use crate::control::steering::{Change, NotChanged};

/// `GET /v1/partners`.
pub(super) async fn all(State(shared): State<Arc<Shared>>) -> Response {
    json(&Partners { partners: shared.control.partners() })
}

/// `GET /v1/partners/{name}`.
pub(super) async fn one(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    match shared.control.partner(&name) {
        Some(partner) => json(&partner),
        None => made(Err(NotChanged::NoPartner)),
    }
}

/// `PUT /v1/partners/{name}`.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
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
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let asker = Asker::of(&request);
    let by = asker.by.clone();
    match try_change(&shared, asker, Change::RemovePartner(name.clone())).await {
        Err(NotChanged::NoPartner) if shared.control.forget_partner(&name, &by) => {
            StatusCode::NO_CONTENT.into_response()
        }
        result => made(result),
    }
}

#[derive(Serialize)]
struct Partners {
    partners: Vec<PartnerStatus>,
}
