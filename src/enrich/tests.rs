//! Decisions, by what is known.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Mutex;

use proptest::prelude::*;

use super::book::Book;
use super::*;
use crate::dcos;
use crate::dcos::agent::{self, Agent, CONTAINERS_MAX, Container, Executor, Files, Nested, Place, State};
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
    assert_eq!(ruling.decision.add, tags(expected).all(), "{config:?} {origin:?}");
    assert_eq!(ruling.may_improve, may_improve, "{config:?} {origin:?}");
}

#[test]
fn nothing_known_adds_nothing() {
    let config = Config::default();
    let snapshot = Snapshot::new(&config, &Book::default());
    let decision = snapshot.decide(&Origin::default()).decision;
    assert_eq!(decision.add, tags(&[]).all());
    assert_eq!(decision.enrichment(AddedTags::default()), Enrichment::None);
    assert_eq!(decision.enrichment(AddedTags::AGENT_ID), Enrichment::Partial);
}

#[test]
fn every_choice_of_tags_is_added_in_the_old_order() {
    let all = [
        (AddedTags::FRAMEWORK_NAME, ("framework_name", "f")),
        (AddedTags::APPLICATION_NAME, ("application_name", "p")),
        (AddedTags::AGENT_ID, ("agent_id", "a")),
    ];
    for known in (0..AddedTags::SETS).map(AddedTags::from_index) {
        let value = |tag, value: &str| known.contains(tag).then(|| value.to_owned());
        let config = Config {
            framework_name: value(AddedTags::FRAMEWORK_NAME, "f"),
            application_name: value(AddedTags::APPLICATION_NAME, "p"),
            agent_id: value(AddedTags::AGENT_ID, "a"),
            ..Config::default()
        };
        for present in (0..AddedTags::SETS).map(AddedTags::from_index) {
            let wanted = |tag: AddedTags| known.contains(tag) && !present.contains(tag);
            let expected: Vec<_> = all.iter().filter(|(tag, _)| wanted(*tag)).map(|(_, tag)| *tag).collect();
            let snapshot = Snapshot::new(&config, &Book::default());
            let decision = snapshot.decide(&Origin { present, ..Origin::default() }).decision;
            assert_eq!(decision.add, tags(&expected).all(), "{known:?} {present:?}");
            assert_eq!(decision.gives.count() as usize, expected.len());
        }
    }
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
    let decision = |id: &str| snapshot.decide(&of_container(id)).decision.add.bytes().as_ptr();
    assert_eq!(decision("c1"), decision("c999"));
}

#[test]
fn ids_that_are_new_each_time_do_not_add_up() {
    let mut book = Book::default();
    for round in 0..4 {
        let new = |kind: &'static str| (0..10_000).map(move |n| format!("{kind}-{round}-{n}").into());
        let frameworks = new("f").map(|id| (id, Some("marathon".into()))).collect();
        let executor = |id| Executor { framework: 0, id, application: None };
        let container = |id| Container { executor: 0, id, application: None };
        let (executors, containers) = (new("e").map(executor).collect(), new("c").map(container).collect());
        let state = State { agent_id: None, frameworks, executors, containers, ..State::default() };
        book.take(state, Instant::now(), MINUTE);
        for known in [book.frameworks.len(), book.executors.len(), book.containers.len()] {
            assert!((10_000..=CONTAINERS_MAX).contains(&known), "{known}");
        }
    }
    let of_long = |round: usize| State {
        frameworks: vec![("f".into(), None)],
        executors: vec![Executor { framework: 0, id: "e".into(), application: None }],
        containers: (0..10_000)
            .map(|n| Container { executor: 0, id: format!("{round}{n:01000}").into(), application: None })
            .collect(),
        ..State::default()
    };
    for round in 0..3 {
        book.take(of_long(round), Instant::now(), MINUTE);
    }
    assert_eq!(book.containers.len(), 10_000);
}

/// A directory of an agent that is asked for by `place`, with this file for its `/state`.
fn directory(place: Place, port: u16, state: Option<PathBuf>) -> (Directory, Enricher, Agent) {
    let files = Files { state, ..Files::default() };
    let period = Duration::from_secs(15);
    let topic = "agent".to_owned();
    let config = agent::Config { is_polled: true, place, port, scheme: "http", period, topic, files };
    let (_, settings) = watch::channel(config);
    let authority = dcos::Authority::new(&dcos::Config::default()).unwrap();
    let metrics = agent::Metrics::register(&prometheus::Registry::new()).unwrap();
    let agent = Agent::new(settings, &authority, metrics).unwrap();
    let knowledge = Knowledge::new(Config::default(), true);
    let enricher = knowledge.enricher();
    (Directory::new(knowledge, agent.clone()), enricher, agent)
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_all_the_time_has_the_agent_asked_every_five_seconds() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/agent/state-dcos.json");
    let (directory, mut enricher, _) = directory(Place::Command(Vec::new()), 1, Some(file.into()));
    let begun = tokio::time::Instant::now();
    tokio::spawn(directory.run());
    let mut asked = Vec::new();
    while asked.len() < 4 {
        enricher.ask();
        tokio::select! {
            () = enricher.changed() => asked.push(begun.elapsed().as_secs()),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    // The wish that came before the first answer is of the past then.
    assert_eq!(asked, [0, 5, 10, 15]);
    // Nobody asks any more: the one wish that is left is heard, and then it is the period's turn.
    asked.clear();
    while asked.len() < 3 {
        enricher.changed().await;
        asked.push(begun.elapsed().as_secs());
    }
    assert_eq!(asked, [20, 35, 50]);
}

/// A real server, in place of whose answers any JSON comes.
#[test]
fn any_json_in_place_of_any_answer_loses_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = Arc::new(Mutex::new(String::new()));
    let says = answer.clone();
    let router = axum::Router::new().fallback(move || async move { says.lock().unwrap().clone() });
    let base = runtime.block_on(dcos::testing::serve(router));
    let port = base.rsplit_once(':').unwrap().1.parse().unwrap();
    let (directory, enricher, agent) = directory(Place::Given("127.0.0.1".into()), port, None);
    let directory = RefCell::new(directory);
    let ask = |json: &str| {
        json.clone_into(&mut answer.lock().unwrap());
        runtime.block_on(directory.borrow_mut().refresh());
        enricher.view().snapshot
    };
    ask(r#"{"id":"agent","frameworks":[{"id":"f","name":"marathon","executors":[{"id":"e","container":"c",
        "labels":[{"key":"MARATHON_APP_ID","value":"/shop"}]}]}]}"#);
    proptest!(ProptestConfig::with_cases(200), |(json in agent::testing::json())| {
        let snapshot = ask(&json);
        let agent_id = snapshot.agent_id().expect("it was known before").to_string();
        let expected = tags(&[SHOP[0], SHOP[1], ("agent_id", agent_id.as_str())]);
        prop_assert_eq!(snapshot.decide(&of_container("c")).decision.add, expected.all());
        prop_assert_eq!(snapshot.containers() >= 1, true);
        let _ = agent.take_usages();
    });
}

#[test]
fn other_rules_count_at_once_for_what_is_known_and_without_an_agent_nothing_is() {
    let knowledge = Knowledge::new(Config::default(), true);
    let (enricher, id) = (knowledge.enricher(), knowledge.agent_id());
    let added = || enricher.view().snapshot.decide(&of_container("c")).decision.add.bytes().to_vec();
    let expected = |these: &[(&str, &str)]| tags(these).all().bytes().to_vec();
    knowledge.take(state(), Instant::now());
    assert_eq!(knowledge.learned(Instant::now(), true), 1);
    assert_eq!((added(), id.borrow().as_deref()), (expected(SHOP), Some("agent")));
    knowledge.set(Config { agent_id: Some("fixed".into()), ..Config::default() });
    let fixed = [SHOP[0], SHOP[1], ("agent_id", "fixed")];
    assert_eq!((added(), id.borrow().as_deref()), (expected(&fixed), Some("fixed")));
    assert!(enricher.view().asked.is_some() && enricher.view().hope, "that it was asked is as it was");
    knowledge.forget();
    assert_eq!((added(), enricher.view().hope), (expected(&fixed[2..]), false));
    knowledge.set(Config::default());
    assert_eq!((added(), id.borrow().as_deref()), (Vec::new(), None));
    knowledge.hope();
    assert!(enricher.view().hope && enricher.view().asked.is_none());
}
