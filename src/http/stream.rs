//! `GET /v1/stream`: records as they arrive, until there are as many as were asked for, the client leaves, the connection
//! is too old, or the collector ends.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::code::{self, Code};
use super::operation::{Parameter, query};
use super::problem::Problem;
use super::query::Query;
use super::routes::Shared;
use super::streaming::{self, Closing};
use crate::control::{
    GLOB_BYTES_MAX, GLOBS_MAX, NoStream, STREAM_RECORDS_MAX, STREAM_SECONDS_MAX, StreamQuery,
};

/// Media types of the two forms.
pub(super) const OCF: &str = "avro/binary";
pub(super) const NDJSON: &str = "application/x-ndjson";

/// What a stream is asked for by.
pub(super) fn parameters() -> [Parameter; 7] {
    let globs = |name, about| {
        let glob = json!({ "type": "string", "maxLength": GLOB_BYTES_MAX });
        query(name, about, json!({ "type": "array", "items": glob, "maxItems": GLOBS_MAX }))
    };
    [
        globs(
            "topic",
            "Globs (`*`, `?`) of record topics, of which one must match; may stand there several times.",
        ),
        globs("framework", "Globs of the framework, by name or id, of which one must match."),
        query(
            "tag",
            "Tags as `key=glob`, all of which must match.",
            json!({
                "type": "array",
                "items": { "type": "string", "maxLength": GLOB_BYTES_MAX, "pattern": "=" },
                "maxItems": GLOBS_MAX,
            }),
        ),
        query(
            "from",
            "Where to begin: with what comes now, which is the default, or with the oldest that is there.",
            json!({ "enum": ["now", "oldest"] }),
        ),
        query(
            "format",
            "An Avro object container stream, which is the default, or a line of JSON a record.",
            json!({ "enum": ["ocf", "ndjson"] }),
        ),
        query(
            "limit",
            "The stream ends after so many records.",
            json!({ "type": "integer", "minimum": 1, "maximum": STREAM_RECORDS_MAX }),
        ),
        query(
            "seconds",
            "The stream ends after so long. Without either it goes on until the client leaves, at most ten minutes.",
            json!({ "type": "number", "minimum": 0, "maximum": STREAM_SECONDS_MAX }),
        ),
    ]
}

/// The answer.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    closing: Option<Extension<Closing>>,
) -> Response {
    let opened = read(query.as_deref()).map_err(NoStream::Bad).and_then(|query| {
        let kind = if query.format.as_deref() == Some("ndjson") { NDJSON } else { OCF };
        Ok((kind, shared.control.stream(query)?))
    });
    match opened {
        Ok((kind, pieces)) => streaming::answer(kind, pieces, closing),
        Err(NoStream::Bad(why)) => Problem::new(code::BAD_QUERY, why).into_response(),
        Err(NoStream::Limit) => refused(code::STREAM_LIMIT, "as many streams are open as may be; try again"),
        Err(NoStream::Ending) => refused(code::ENDING, "the collector is ending"),
    }
}

fn refused(code: Code, detail: &'static str) -> Response {
    Problem::new(code, detail).into_response()
}

/// Reads a query string.
fn read(text: Option<&str>) -> Result<StreamQuery, String> {
    let query = Query::read(text, &parameters())?;
    Ok(StreamQuery {
        topics: query.all("topic"),
        frameworks: query.all("framework"),
        tags: query.all("tag"),
        from: query.once("from")?,
        format: query.once("format")?,
        limit: query.once("limit")?,
        seconds: query.once("seconds")?,
    })
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
            limit: Some("5".to_owned()),
            seconds: Some("0.5".to_owned()),
        };
        let text = "topic=a*&topic=b+c&framework=f&tag=k%3Dv&from=oldest&format=ndjson&limit=5&seconds=0.5";
        assert_eq!(read(Some(text)), Ok(expected));
        assert_eq!(read(None), Ok(StreamQuery::default()));
        for (text, expected) in
            [("topics=a", "nothing in it but topic"), ("from=now&from=now", "from stands there twice")]
        {
            assert!(read(Some(text)).is_err_and(|why| why.contains(expected)), "{text}");
        }
    }
}
