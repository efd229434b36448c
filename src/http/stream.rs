//! `GET /v1/stream`: records as they arrive, until the client leaves, the connection is too old, or the collector ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame};

use super::problem::Problem;
use super::routes::Shared;
use crate::control::{NoStream, Pieces, StreamQuery};

/// The answer: `topic`, `framework` and `tag` may stand there several times, `from` and `format` once.
pub(super) async fn show(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let opened = read(query.as_deref().unwrap_or_default()).map_err(NoStream::Bad).and_then(|query| {
        let kind =
            if query.format.as_deref() == Some("ndjson") { "application/x-ndjson" } else { "avro/binary" };
        Ok((kind, shared.control.stream(query)?))
    });
    match opened {
        Ok((kind, pieces)) => ([(header::CONTENT_TYPE, kind)], Body::new(Streaming(pieces))).into_response(),
        Err(NoStream::Bad(why)) => Problem::new(StatusCode::BAD_REQUEST, "bad_query", why).into_response(),
        Err(NoStream::Limit) => unavailable("stream_limit", "as many streams are open as may be; try again"),
        Err(NoStream::Ending) => unavailable("ending", "the collector is ending"),
    }
}

pub(super) fn unavailable(code: &'static str, detail: &'static str) -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).into_response()
}

/// Reads a query string.
fn read(text: &str) -> Result<StreamQuery, String> {
    let mut query = StreamQuery::default();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let value = value.into_owned();
        let once = |place: &mut Option<String>| match place.replace(value.clone()) {
            Some(_) => Err(format!("{name} stands there twice")),
            None => Ok(()),
        };
        match &*name {
            "topic" => query.topics.push(value),
            "framework" => query.frameworks.push(value),
            "tag" => query.tags.push(value),
            "from" => once(&mut query.from)?,
            "format" => once(&mut query.format)?,
            _ => return Err("a stream is asked for by topic, framework, tag, from and format".to_owned()),
        }
    }
    Ok(query)
}

/// An answer that goes on.
pub(super) struct Streaming(pub(super) Pieces);

impl hyper::body::Body for Streaming {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = ready!(self.0.poll_recv(cx));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let expected = StreamQuery {
            topics: texts(&["a*", "b c"]),
            frameworks: texts(&["f"]),
            tags: texts(&["k=v"]),
            from: Some("oldest".to_owned()),
            format: Some("ndjson".to_owned()),
        };
        let text = "topic=a*&topic=b+c&framework=f&tag=k%3Dv&from=oldest&format=ndjson";
        assert_eq!(read(text), Ok(expected));
        assert_eq!(read(""), Ok(StreamQuery::default()));
        for (text, expected) in
            [("topics=a", "asked for by topic"), ("from=now&from=now", "from stands there twice")]
        {
            assert!(read(text).is_err_and(|why| why.contains(expected)), "{text}");
        }
    }
}
