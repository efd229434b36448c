//! Errors as the client sees them: `application/problem+json` (RFC 9457) with a stable `code`.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::reason::Reason;
use crate::control::steering::Fault;

/// Media type of every error.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// An error. `code` is for programs and never changes; `detail` is for people and may.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) detail: Cow<'static, str>,
    /// What is wrong with a change of the configuration.
    pub(super) faults: Vec<Fault>,
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
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    faults: &'a [Fault],
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Problem {
        Problem { status, code, detail: detail.into(), faults: Vec::new() }
    }

    /// The problem as JSON text with a line feed at its end.
    pub(super) fn text(&self) -> String {
        let members = Members {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            faults: &self.faults,
        };
        let mut text = serde_json::to_string_pretty(&members).expect("texts and a number are JSON");
        text.push('\n');
        text
    }
}

impl Problem {
    /// The answer to what is refused for `reason`, if that has one.
    pub(super) fn of(reason: Reason) -> Option<Problem> {
        let (status, detail) = reason.answer()?;
        Some(Problem::new(status, reason.name(), detail))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.text()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"metrics-collector\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
