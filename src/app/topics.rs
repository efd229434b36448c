//! Record topics, put together from what the spool and the Kafka output know of each.

use crate::control::{KafkaTopic, TopicState, TopicView, Topics, TopicsQuery};
use crate::output::kafka::TopicNews;
use crate::spool::TopicBooks;

/// The topics of `books` that are asked for. `news`: what Kafka says of each, where there is a Kafka.
pub(super) fn page(books: &[TopicBooks], news: Option<&[TopicNews]>, query: &TopicsQuery) -> Topics {
    let total = books.len();
    let mut views = books
        .iter()
        .filter(|books| query.after.is_none_or(|after| books.topic.id > after))
        .map(|books| view(books, news))
        .filter(|view| query.state.is_none_or(|state| state_of(view) == Some(state)));
    let topics: Vec<TopicView> = views.by_ref().take(query.limit).collect();
    let next = topics.last().map(|view| view.number).filter(|_| views.next().is_some());
    Topics { total, topics, next }
}

fn state_of(view: &TopicView) -> Option<TopicState> {
    view.kafka.as_ref().map(|kafka| kafka.state)
}

fn view(books: &TopicBooks, news: Option<&[TopicNews]>) -> TopicView {
    let topic = books.topic.name.as_ref();
    TopicView {
        number: books.topic.id,
        topic: topic.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()),
        accepted_records: books.accepted,
        // One that it has not looked at yet is as all topics begin.
        kafka: news.map(|news| kafka(books, &news.get(books.topic.id as usize).cloned().unwrap_or_default())),
    }
}

fn kafka(books: &TopicBooks, news: &TopicNews) -> KafkaTopic {
    let (state, reason) = state(news.state);
    KafkaTopic {
        topic: news.kafka.as_ref().map(ToString::to_string),
        state,
        reason: reason.map(str::to_owned),
        waiting_records: books.waiting + news.in_hands,
        in_flight_records: news.in_hands,
        delivered_records: news.delivered,
        set_aside_records: news.set_aside,
        lost_records: books.dropped,
        oldest_ms: books.oldest_ms,
    }
}

/// What the output's word for a topic means, and the word where it is a reason.
fn state(word: &str) -> (TopicState, Option<&str>) {
    match word {
        "" | "flowing" => (TopicState::Flowing, None),
        "message_too_large" => (TopicState::Flowing, Some(word)),
        "not_authorized" => (TopicState::Blocked, Some(word)),
        "illegal_topic" | "topic_limit" => (TopicState::SetAside, Some(word)),
        _ => (TopicState::Held, Some(word)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::{RecordTopic, TopicName};
    use crate::spool::Topic;

    fn books(id: u32, name: Option<&[u8]>) -> TopicBooks {
        let topic = Arc::new(Topic { id, name: name.map(RecordTopic::new), is_all: false });
        TopicBooks { topic, accepted: 10, waiting: 2, dropped: 6, oldest_ms: Some(7) }
    }

    fn news(state: &'static str) -> TopicNews {
        let kafka = Some(TopicName::parse(b"metrics-t").unwrap());
        TopicNews { kafka, state, in_hands: 3, delivered: 4, set_aside: 1 }
    }

    fn query() -> TopicsQuery {
        TopicsQuery { after: None, limit: 100, state: None }
    }

    #[test]
    fn what_waits_is_in_the_spool_or_in_the_outputs_hands() {
        let topics = page(&[books(0, Some(b"t\xff"))], Some(&[news("unknown_topic")]), &query());
        let view = &topics.topics[0];
        assert_eq!((view.topic.as_deref(), view.accepted_records), (Some("t\u{fffd}"), 10));
        let expected = KafkaTopic {
            topic: Some("metrics-t".to_owned()),
            state: TopicState::Held,
            reason: Some("unknown_topic".to_owned()),
            waiting_records: 5,
            in_flight_records: 3,
            delivered_records: 4,
            set_aside_records: 1,
            lost_records: 6,
            oldest_ms: Some(7),
        };
        assert_eq!(view.kafka, Some(expected));
    }

    #[test]
    fn a_topic_that_the_output_has_not_seen_yet_flows() {
        let topics = page(&[books(0, None)], Some(&[]), &query());
        assert_eq!(topics.topics[0].topic, None);
        assert_eq!(topics.topics[0].kafka.as_ref().map(|kafka| kafka.state), Some(TopicState::Flowing));
        let without = page(&[books(0, None)], None, &query());
        assert_eq!(without.topics[0].kafka, None);
    }

    #[test]
    fn pages_are_as_long_as_asked_and_follow_each_other() {
        let all: Vec<TopicBooks> = (0..7).map(|id| books(id, Some(b"t"))).collect();
        let states =
            ["flowing", "not_authorized", "retrying", "illegal_topic", "", "not_authorized", "flowing"];
        let known: Vec<TopicNews> = states.into_iter().map(news).collect();
        let numbers = |query: &TopicsQuery| {
            let page = page(&all, Some(&known), query);
            assert_eq!(page.total, 7);
            (page.topics.iter().map(|view| view.number).collect::<Vec<_>>(), page.next)
        };
        let of = |after, limit, state| numbers(&TopicsQuery { after, limit, state });
        assert_eq!(of(None, 3, None), (vec![0, 1, 2], Some(2)));
        assert_eq!(of(Some(2), 3, None), (vec![3, 4, 5], Some(5)));
        assert_eq!(of(Some(5), 3, None), (vec![6], None));
        assert_eq!(of(Some(6), 3, None), (vec![], None));
        assert_eq!(of(None, 7, None).1, None);
        assert_eq!(of(None, 1, Some(TopicState::Blocked)), (vec![1], Some(1)));
        assert_eq!(of(Some(1), 1, Some(TopicState::Blocked)), (vec![5], None));
        assert_eq!(of(None, 9, Some(TopicState::SetAside)), (vec![3], None));
        assert_eq!(of(None, 9, Some(TopicState::Held)), (vec![2], None));
        assert_eq!(of(None, 9, Some(TopicState::Flowing)), (vec![0, 4, 6], None));
    }
}
