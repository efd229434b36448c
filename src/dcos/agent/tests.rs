//! What the agent says, read.

use proptest::prelude::*;

use super::*;
use crate::dcos;
use crate::dcos::testing::serve;
use crate::record::Secret;

fn state(body: &[u8]) -> Option<State> {
    let (mut cutter, mut sink) = (Cutter::default(), StateSink::default());
    cutter.push(body, &mut sink).ok()?;
    cutter.finish(&mut sink).ok()?;
    sink.finish()
}

/// A line for each container: id, framework id and name, executor, application.
fn lines(state: &State) -> Vec<String> {
    let line = |container: &Container| {
        let executor = &state.executors[container.executor];
        let (framework, name) = &state.frameworks[executor.framework];
        let application = container.application.as_ref().or(executor.application.as_ref());
        format!("{} {framework} {name:?} {} {application:?}", container.id, executor.id)
    };
    state.containers.iter().map(line).collect()
}

#[test]
fn an_agent_of_dcos_tells_frameworks_and_applications() {
    let state = state(include_bytes!("../../../tests/data/agent/state-dcos.json")).unwrap();
    assert_eq!(state.agent_id.as_deref(), Some("8b4e6d80-0271-4be0-9f08-0aeff7f0d751-S5"));
    let lines = lines(&state);
    for line in [
        "0e98aff8-32e9-4aac-b613-1d08f2a33ca6 8b4e6d80-0271-4be0-9f08-0aeff7f0d751-0002 Some(\"kafka\") \
         broker-2__14e944ef-760b-4675-8557-52eede2acf19 None",
        "4b387500-38c3-4877-9383-7331bb81da75 8b4e6d80-0271-4be0-9f08-0aeff7f0d751-0001 Some(\"marathon\") \
         metrics-collector.eb3127e0-6f76-11e6-92e2-ee20dd7354ad Some(\"metrics-collector\")",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
    }
}

#[test]
fn a_real_agent_tells_command_tasks() {
    let state = state(include_bytes!("../../../tests/data/agent/state-mesos101.json")).unwrap();
    assert_eq!(
        lines(&state),
        [
            "24603a9b-fa0a-40bd-adb2-e7c7f0b8f3a4 9ba9c88e-3f77-4d7c-8413-27c29af34eee-0004 Some(\"marathon\") \
             shop_cart.38436e68-e719-11f1-a346-02fc00000001 Some(\"shop/cart\")",
            "8013c6da-ac73-4e59-8e41-6e3ac874eaa7 9ba9c88e-3f77-4d7c-8413-27c29af34eee-0003 Some(\"chronos\") \
             ct.nightly None",
        ]
    );
}

#[test]
fn odd_executors_and_frameworks_cost_themselves_alone() {
    let good = r#"{"id":"e","container":"c","labels":[{"key":"MARATHON_APP_ID","value":"/a/b"}]}"#;
    let expected = [r#"c f Some("n") e Some("a/b")"#];
    for odd in ["7", "null", "[]", "{}", r#"{"container":8}"#, r#"{"id":"x","id":"y"}"#, "\"\u{1}\\ud800\""] {
        let body =
            format!(r#"{{"id":"A","frameworks":[{{"id":"f","executors":[{odd},{good}],"name":"n"}}]}}"#);
        assert_eq!(lines(&state(body.as_bytes()).unwrap()), expected, "{odd}");
    }
    for odd in ["7", "[]", "{}", r#"{"id":5,"executors":[{"id":"e","container":"other"}]}"#] {
        let body = format!(
            r#"{{"id":"A","frameworks":[{odd}],"completed_frameworks":[{{"id":"f","name":"n","completed_executors":[{good}]}}]}}"#
        );
        assert_eq!(lines(&state(body.as_bytes()).unwrap()), expected, "{odd}");
    }
}

#[test]
fn applications_come_from_labels_of_executor_or_task() {
    for (fields, expected) in [
        (r#""labels":[{"key":"DCOS_SPACE","value":"/s"},{"key":"MARATHON_APP_ID","value":"/m"}]"#, Some("m")),
        (r#""labels":[{"key":"DCOS_SPACE","value":"//s"}]"#, Some("/s")),
        (r#""labels":[7,{"key":"MARATHON_APP_ID"},{"key":"DCOS_SPACE","value":"s"}]"#, Some("s")),
        (r#""labels":[{"key":"MARATHON_APP_ID","value":"/"}]"#, None),
        (r#""tasks":[{},{"labels":[{"key":"MARATHON_APP_ID","value":"/t"}]}]"#, Some("t")),
        (r#""queued_tasks":[{"labels":[{"key":"MARATHON_APP_ID","value":"/q"}]}]"#, Some("q")),
        (r#""completed_tasks":[{"labels":[{"key":"MARATHON_APP_ID","value":"/d"}]}]"#, Some("d")),
        (r#""labels":{"labels":[]},"tasks":5"#, None),
    ] {
        let body = format!(r#"{{"frameworks":[{{"id":"f","executors":[{{"id":"e",{fields}}}]}}]}}"#);
        let state = state(body.as_bytes()).unwrap();
        assert_eq!(state.executors[0].application.as_deref(), expected, "{fields}");
    }
}

#[test]
fn tasks_name_containers_of_their_own() {
    let body = br#"{"frameworks":[{"id":"f","name":"n","executors":[{"id":"pod","container":"c","tasks":[
        {"labels":[{"key":"DCOS_SPACE","value":"/x"}],
         "statuses":[{},{"container_status":{"container_id":{"value":"inner","parent":{"value":"c"}}}}]},
        {"statuses":[{"container_status":7}]}]}]}]}"#;
    let found = lines(&state(body).unwrap());
    assert_eq!(found, [r#"c f Some("n") pod Some("x")"#, r#"inner f Some("n") pod Some("x")"#]);
}

#[test]
fn what_is_no_state_is_none() {
    for body in ["[]", "7", "{}", r#"{"message":"no"}"#, r#"{"id":5}"#] {
        assert_eq!(state(body.as_bytes()), None, "{body}");
    }
}

fn nested(body: &[u8]) -> Vec<Nested> {
    let (mut cutter, mut sink) = (Cutter::default(), NestedSink::default());
    cutter.push(body, &mut sink).unwrap();
    sink.nested
}

#[test]
fn nested_containers_name_their_parents() {
    let body = br#"{"type":"GET_CONTAINERS","get_containers":{"containers":[
        {"container_id":{"value":"c"}}, 5, {"container_id":{"parent":{"value":"c"}}},
        {"container_id":{"value":"x","parent":{"value":"m","parent":{"value":"c"}}}}]}}"#;
    let found = nested(body);
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].id, found[0].dotted().as_str()), ("x", "c.m.x"));
    assert_eq!(nested(br#"{"type":"GET_CONTAINERS","get_containers":[7]}"#), []);
}

fn json() -> impl Strategy<Value = String> {
    let text =
        prop::sample::select(vec!["id", "name", "container", "labels", "key", "value", "MARATHON_APP_ID"]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i32>().prop_map(|n| n.to_string()),
        text.clone().prop_map(|text| format!("{text:?}")),
    ];
    let key = prop::sample::select(vec![
        "id",
        "name",
        "frameworks",
        "completed_frameworks",
        "executors",
        "container",
        "labels",
        "key",
        "value",
        "tasks",
        "statuses",
        "container_status",
        "container_id",
        "parent",
        "get_containers",
        "containers",
    ]);
    leaf.prop_recursive(6, 64, 4, move |inner| {
        let member = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("{key:?}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_borne(body in json()) {
        if let Some(state) = state(body.as_bytes()) {
            prop_assert!(state.executors.iter().all(|executor| executor.framework < state.frameworks.len()));
            prop_assert!(state.containers.iter().all(|container| container.executor < state.executors.len()));
        }
        let _ = nested(body.as_bytes());
    }
}

#[tokio::test]
async fn the_agents_token_reaches_it() {
    let echo = axum::routing::get(|headers: axum::http::HeaderMap| async move {
        headers.get("authorization").map_or_else(String::new, |token| token.to_str().unwrap().to_owned())
    });
    let base = serve(axum::Router::new().route("/state", echo)).await;
    let port = base.rsplit_once(':').unwrap().1.parse().unwrap();
    let tokens = dcos::Config { agent_token: Some(Secret::new("fixed".into())), ..dcos::Config::default() };
    let authority = Authority::new(&tokens).unwrap();
    let fixed = |place| {
        let period = Duration::from_secs(15);
        watch::channel(Config { place, port, scheme: "http", period, files: Files::default() }).1
    };
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let host = Agent::new(fixed(Place::Host("127.0.0.1".into())), &authority, metrics.clone()).unwrap();
    let command = ["echo".to_owned(), "127.0.0.1".to_owned()].into();
    let command = Agent::new(fixed(Place::Command(command)), &authority, metrics).unwrap();
    for agent in [host, command] {
        let answer = agent.open(What::State).await.unwrap().chunk().await.unwrap();
        assert_eq!(answer.as_deref(), Some(&b"token=fixed"[..]));
    }
}
