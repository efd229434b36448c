//! What handlers answer instead: one closed list of status and code. What the guard refuses is in `reason`.

use axum::http::StatusCode;

/// An error of an answer. Programs rely on both; neither ever changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) status: StatusCode,
    pub(super) name: &'static str,
}

/// There is no such path.
pub(super) const NOT_FOUND: Code = code(StatusCode::NOT_FOUND, "not_found");
/// The path has no such method.
pub(super) const METHOD_NOT_ALLOWED: Code = code(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
/// The query is none of those that there are.
pub(super) const BAD_QUERY: Code = code(StatusCode::BAD_REQUEST, "bad_query");
/// The body is not what it should be.
pub(super) const MALFORMED_BODY: Code = code(StatusCode::BAD_REQUEST, "malformed_body");
/// Somebody else has made a change meanwhile.
pub(super) const STALE: Code = code(StatusCode::PRECONDITION_FAILED, "stale");
/// There is no such key.
pub(super) const UNKNOWN_KEY: Code = code(StatusCode::NOT_FOUND, "unknown_key");
/// Nothing was set for the key.
pub(super) const NOT_SET: Code = code(StatusCode::NOT_FOUND, "not_set");
/// Nobody of this name is dialled, connected or has a place.
pub(super) const UNKNOWN_PARTNER: Code = code(StatusCode::NOT_FOUND, "unknown_partner");
/// A file that a key names does not answer.
pub(super) const SLOW_FILE: Code = code(StatusCode::SERVICE_UNAVAILABLE, "slow_file");
/// The configuration would be a bad one.
pub(super) const INVALID_CONFIG: Code = code(StatusCode::UNPROCESSABLE_ENTITY, "invalid_config");
/// As many streams are open as may be.
pub(super) const STREAM_LIMIT: Code = code(StatusCode::SERVICE_UNAVAILABLE, "stream_limit");
/// As many watch as may.
pub(super) const VIEWER_LIMIT: Code = code(StatusCode::SERVICE_UNAVAILABLE, "viewer_limit");
/// The line has had no turn of its thread for long.
pub(super) const STUCK: Code = code(StatusCode::SERVICE_UNAVAILABLE, "stuck");
/// The collector is ending.
pub(super) const ENDING: Code = code(StatusCode::SERVICE_UNAVAILABLE, "ending");

pub(super) const fn code(status: StatusCode, name: &'static str) -> Code {
    Code { status, name }
}
