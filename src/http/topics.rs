//! `GET /v1/topics`: record topics and what becomes of them, page by page.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::answers;
use super::code;
use super::operation::{Parameter, query};
use super::problem::Problem;
use super::query::Query;
use super::routes::Shared;
use crate::control::{TopicState, TopicsQuery};

/// Topics of a page, where nothing is said, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// What topics are asked for by.
pub(super) fn parameters() -> [Parameter; 3] {
    [
        query(
            "after",
            "Only those that came behind the topic of this number: `next` of the page before.",
            json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        ),
        query(
            "limit",
            "So many at most; 100 where nothing is said.",
            json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX }),
        ),
        query("state", "Only those in this state.", json!({ "enum": TopicState::ALL.map(TopicState::name) })),
    ]
}

/// The answer.
pub(super) async fn show(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    match read(query.as_deref()) {
        Ok(query) => answers::json(&shared.control.topics(&query)),
        Err(why) => Problem::new(code::BAD_QUERY, why).into_response(),
    }
}

/// Reads a query string.
fn read(text: Option<&str>) -> Result<TopicsQuery, String> {
    let query = Query::read(text, &parameters())?;
    let after = query.once("after")?.map(|text| text.parse().map_err(|_| "after is the number of a topic"));
    let limit = match query.once("limit")? {
        None => LIMIT,
        Some(text) => {
            let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
            limit.ok_or_else(|| format!("limit is a number of topics, 1 to {LIMIT_MAX}"))?
        }
    };
    let state = query.once("state")?.map(|text| {
        let state = TopicState::ALL.into_iter().find(|state| state.name() == text);
        state.ok_or_else(|| format!("state is one of {}", TopicState::ALL.map(TopicState::name).join(", ")))
    });
    Ok(TopicsQuery { after: after.transpose()?, limit, state: state.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        assert_eq!(read(None), Ok(TopicsQuery { after: None, limit: 100, state: None }));
        let full = TopicsQuery { after: Some(7), limit: 1000, state: Some(TopicState::SetAside) };
        assert_eq!(read(Some("after=7&limit=1000&state=set_aside")), Ok(full));
        for (text, expected) in [
            ("after=x", "after is"),
            ("after=-1", "after is"),
            ("after=4294967296", "after is"),
            ("limit=0", "limit is"),
            ("limit=1001", "limit is"),
            ("limit=", "limit is"),
            ("state=Held", "state is one of flowing, held"),
            ("limit=1&limit=1", "limit stands there twice"),
            ("topic=t", "nothing in it but after, limit, state"),
        ] {
            assert!(read(Some(text)).is_err_and(|why| why.contains(expected)), "{text}");
        }
    }
}
