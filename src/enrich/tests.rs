//! Decisions, by what is known.

use proptest::prelude::*;

use super::*;
use crate::dcos::agent::{Container, Executor, Nested, State, StateSink};
use crate::dcos::cut::Cutter;
use crate::dcos::testing::json;
use crate::ocf::{AddedTags, EncodedTags, Origin};

const MINUTE: Duration = Duration::from_secs(60);

/// An agent with a container `c` of an executor `e`.
fn state() -> State {
    State {
        agent_id: Some("agent".into()),
        frameworks: vec![("f".into(), Some("marathon".into()))],
        executors: vec![Executor { framework: 0, id: "e".into(), application: Some("shop".into()) }],
        containers: vec![Container { executor: 0, id: "c".into(), application: None }],
        ..State::default()
    }
}

fn book() -> Book {
    let mut book = Book::default();
    book.take(state(), Instant::now(), MINUTE);
    book
}

fn tags(tags: &[(&str, &str)]) -> EncodedTags {
    let mut encoded = EncodedTags::default();
    for (key, value) in tags {
        encoded.push(key.as_bytes(), value.as_bytes());
    }
    encoded
}

const SHOP: &[(&str, &str)] =
    &[("framework_name", "marathon"), ("application_name", "shop"), ("agent_id", "agent")];

fn of_container(id: &str) -> Origin<'_> {
    Origin { container_id: Some(id.as_bytes()), ..Origin::default() }
}

fn check(config: &Config, book: &Book, origin: &Origin<'_>, expected: &[(&str, &str)], may_improve: bool) {
    let snapshot = Snapshot::new(config, book);
    let ruling = snapshot.decide(origin);
    assert_eq!(ruling.decision.add, tags(expected), "{config:?} {origin:?}");
    assert_eq!(ruling.may_improve, may_improve, "{config:?} {origin:?}");
}

#[test]
fn nothing_known_adds_nothing() {
    let config = Config::default();
    let snapshot = Snapshot::new(&config, &Book::default());
    let decision = snapshot.decide(&Origin::default()).decision;
    assert_eq!(decision.add, tags(&[]));
    assert_eq!(decision.enrichment(AddedTags::default()), Enrichment::None);
    assert_eq!(decision.enrichment(AddedTags::AGENT_ID), Enrichment::Partial);
}

#[test]
fn fixed_tags_are_added_in_the_old_order_and_never_doubled() {
    let config = Config {
        agent_id: Some("a".into()),
        framework_name: Some("f".into()),
        application_name: Some("p".into()),
        ..Config::default()
    };
    let all = [("framework_name", "f"), ("application_name", "p"), ("agent_id", "a")];
    let with = |present| Origin { present, ..Origin::default() };
    let nothing = Book::default();
    check(&config, &nothing, &with(AddedTags::default()), &all, false);
    check(&config, &nothing, &with(AddedTags::FRAMEWORK_NAME), &all[1..], false);
    check(&config, &nothing, &with(AddedTags::from_index(7)), &[], false);
}

#[test]
fn a_known_container_gets_its_tags_whatever_it_says_itself() {
    let (config, book) = (Config::default(), book());
    check(&config, &book, &of_container("c"), SHOP, false);
    let forged = Origin { present: AddedTags::from_index(7), ..of_container("c") };
    check(&config, &book, &forged, SHOP, false);
    let sender = Config { tag_clash: TagClash::Sender, ..Config::default() };
    check(&sender, &book, &forged, &[], false);
}

#[test]
fn other_senders_keep_their_own_tags() {
    let book = book();
    let says = Origin { present: AddedTags::AGENT_ID, ..Origin::default() };
    check(&Config::default(), &book, &says, &[], false);
    check(&Config::default(), &book, &Origin::default(), &SHOP[2..], false);
    let collector = Config { tag_clash: TagClash::Collector, ..Config::default() };
    check(&collector, &book, &says, &SHOP[2..], false);
}

#[test]
fn an_unknown_container_may_yet_be_known_and_gets_what_its_framework_says() {
    let (config, book) = (Config::default(), book());
    check(&config, &book, &of_container("x"), &SHOP[2..], true);
    let of_framework = Origin { framework_id: Some(b"f"), ..of_container("x") };
    check(&config, &book, &of_framework, &[SHOP[0], SHOP[2]], true);
    let of_executor = Origin { container_id: None, executor_id: Some(b"e"), ..of_framework };
    check(&config, &book, &of_executor, SHOP, false);
    check(&config, &Book::default(), &Origin::default(), &[], true);
}

#[test]
fn sentinels_stand_for_what_is_unknown_where_they_are_wanted() {
    let config = Config { unknown_tags: UnknownTags::Sentinel, ..Config::default() };
    let stranger = Origin { framework_id: Some(b"other"), ..Origin::default() };
    check(&config, &book(), &stranger, &[("framework_name", "UNKNOWN_FRAMEWORK_ID"), SHOP[2]], false);
    let nothing = [("framework_name", "UNKNOWN_AGENT_STATE"), ("agent_id", "UNKNOWN_AGENT_STATE")];
    check(&config, &Book::default(), &stranger, &nothing, true);
    check(&config, &Book::default(), &Origin::default(), &nothing[1..], true);
}

#[test]
fn the_configured_agent_id_wins_over_the_agents() {
    let config = Config { agent_id: Some("fixed".into()), ..Config::default() };
    check(&config, &book(), &Origin::default(), &[("agent_id", "fixed")], false);
}

#[test]
fn what_has_ended_is_remembered_for_a_while() {
    let (mut book, begun) = (Book::default(), Instant::now());
    book.take(state(), begun, MINUTE);
    let empty = || State { agent_id: Some("agent".into()), ..State::default() };
    book.take(empty(), begun + MINUTE, MINUTE);
    check(&Config::default(), &book, &of_container("c"), SHOP, false);
    book.take(empty(), begun + MINUTE + Duration::from_secs(1), MINUTE);
    check(&Config::default(), &book, &of_container("c"), &SHOP[2..], true);
}

#[test]
fn nested_containers_belong_to_what_their_parents_belong_to() {
    let mut book = book();
    let nested = |id: &str, parents: &[&str]| Nested {
        id: id.into(),
        parents: parents.iter().map(|&parent| parent.into()).collect(),
    };
    book.take_nested(
        &[nested("n", &["c"]), nested("deep", &["c", "n2"]), nested("x", &["y"])],
        Instant::now(),
    );
    for id in ["n", "c.n", "deep", "c.n2.deep"] {
        check(&Config::default(), &book, &of_container(id), SHOP, false);
    }
    check(&Config::default(), &book, &of_container("x"), &SHOP[2..], true);
}

#[test]
fn containers_of_one_application_share_their_tags() {
    let mut many = state();
    many.containers =
        (0..1000).map(|n| Container { executor: 0, id: format!("c{n}").into(), application: None }).collect();
    let mut book = Book::default();
    book.take(many, Instant::now(), MINUTE);
    let snapshot = Snapshot::new(&Config::default(), &book);
    assert_eq!(snapshot.containers(), 1000);
    let decision = |id: &str| std::ptr::from_ref(snapshot.decide(&of_container(id)).decision);
    assert_eq!(decision("c1"), decision("c999"));
}

/// What an answer of the agent says, if it is one.
fn read(body: &str) -> Option<State> {
    let (mut cutter, mut sink) = (Cutter::default(), StateSink::default());
    cutter.push(body.as_bytes(), &mut sink).ok()?;
    cutter.finish(&mut sink).ok()?;
    sink.finish()
}

const WORDS: &[&str] = &[
    "id",
    "name",
    "frameworks",
    "completed_frameworks",
    "executors",
    "completed_executors",
    "container",
    "labels",
    "key",
    "value",
    "tasks",
    "statuses",
    "container_status",
    "container_id",
];

proptest! {
    #[test]
    fn any_json_in_place_of_the_state_leaves_what_is_known_of_a_container(odd in json(WORDS)) {
        let (mut book, id): (_, &[u8]) = (book(), b"c");
        let known = book.containers[id].value.clone();
        for body in [odd.to_string(), format!(r#"{{"id":"agent","frameworks":[{odd}]}}"#)] {
            if let Some(state) = read(&body) {
                book.take(state, Instant::now(), MINUTE);
            }
            prop_assert_eq!(book.containers.get(id).map(|known| &known.value), Some(&known), "{}", body);
            prop_assert!(book.agent_id.is_some());
        }
    }
}
