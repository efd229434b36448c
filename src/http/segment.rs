//! The part of a path that is a name.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

/// A path's last part, decoded. One that is no UTF-8 stays as it was sent, percent signs and all: nothing is called so, and
/// whoever asks sees what was asked for.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Segment, Infallible> {
        let decoded = Path::from_request_parts(parts, state).await;
        let as_sent = || parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Segment(decoded.map_or_else(|_| as_sent(), |Path(name)| name)))
    }
}
