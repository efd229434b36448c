//! Errors as the client sees them: `application/problem+json` (RFC 9457) with a stable `code`.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::code::Code;
use super::reason::Reason;
use crate::control::steering::Fault;

/// Media type of every error.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// An error. The code is for programs and never changes; `detail` is for people and may.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) detail: Cow<'static, str>,
    /// What is wrong with a change of the configuration.
    pub(super) faults: Vec<Fault>,
}

/// An error, with the members of RFC 9457 and `code`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Members<'a> {
    /// Always `about:blank`: the title is the status' own, and what is special stands in `code`.
    r#type: &'static str,
    /// What the status is called.
    title: &'static str,
    /// The answer's status.
    status: u16,
    /// For people, in one sentence: what is wrong, and what to do.
    detail: &'a str,
    /// For programs: which error this is. It never changes.
    code: &'static str,
    /// What is wrong with a change of the configuration, each thing for itself.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    faults: &'a [Fault],
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { code, detail: detail.into(), faults: Vec::new() }
    }

    /// The problem as JSON text with a line feed at its end.
    pub(super) fn text(&self) -> String {
        let Code { status, name } = self.code;
        let members = Members {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &self.detail,
            code: name,
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
        let (_, detail) = reason.answer()?;
        Some(Problem::new(reason.code()?, detail))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.text()));
        *response.status_mut() = self.code.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if self.code.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"metrics-collector\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
