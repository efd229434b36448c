//! Errors as the client sees them: `application/problem+json` (RFC 9457) with a stable `code`.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::reason::Reason;

/// Media type of every error.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// An error. `code` is for programs and never changes; `detail` is for people and may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) detail: &'static str,
}

/// The members of RFC 9457, and ours. The type is always `about:blank`: the title is the status' own, and what is
/// special stands in `code`.
#[derive(Serialize)]
struct Members<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
}

impl Problem {
    /// The problem as JSON text with a line feed at its end.
    pub(super) fn text(&self) -> String {
        text(self.status, self.code, self.detail)
    }
}

fn text(status: StatusCode, code: &'static str, detail: &str) -> String {
    let members = Members {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
        code,
    };
    let mut text = serde_json::to_string_pretty(&members).expect("texts and a number are JSON");
    text.push('\n');
    text
}

/// The answer to a request that asks for what cannot be asked for; `detail` says why.
pub(super) fn bad_request(code: &'static str, detail: &str) -> Response {
    answer(StatusCode::BAD_REQUEST, text(StatusCode::BAD_REQUEST, code, detail))
}

fn answer(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

impl Problem {
    /// The answer to what is refused for `reason`, if that has one.
    pub(super) fn of(reason: Reason) -> Option<Problem> {
        let (status, detail) = reason.answer()?;
        Some(Problem { status, code: reason.name(), detail })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = answer(self.status, self.text());
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"metrics-collector\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
