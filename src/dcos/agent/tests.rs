//! What the agent says, read.

use proptest::prelude::*;

use super::testing::json;
use super::*;
use crate::dcos;
use crate::dcos::testing::serve;
use crate::record::Secret;
use crate::telemetry::Problems;

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

/// The golden file beside a state has a line for each container.
#[test]
fn states_become_the_golden_names() {
    for name in ["state-dcos", "state-mesos101", "state-nested"] {
        let path = |ending: &str| format!("{}/tests/data/agent/{name}.{ending}", env!("CARGO_MANIFEST_DIR"));
        let state = state(&std::fs::read(path("json")).unwrap()).unwrap();
        let lines = lines(&state).join("\n") + "\n";
        if std::env::var_os("GOLDEN").is_some() {
            std::fs::write(path("names"), &lines).unwrap();
        }
        let golden = std::fs::read_to_string(path("names")).expect("GOLDEN=1 writes the file anew");
        assert_eq!(lines, golden, "{name}; GOLDEN=1 writes the file anew");
    }
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
fn ids_without_end_and_numbers_without_end_are_passed_over() {
    let good = r#"{"id":"e","container":"c","labels":[{"key":"MARATHON_APP_ID","value":"/a"}]}"#;
    let long = "x".repeat(2000);
    for odd in [
        format!(r#"{{"id":"f2","name":"{long}","executors":[]}}"#),
        format!(r#"{{"id":"{long}","executors":[{{"id":"e","container":"other"}}]}}"#),
        format!(r#"{{"id":"f2","executors":[{{"id":"{long}","container":"{long}"}}]}}"#),
        format!(
            r#"{{"id":"f2","executors":[{{"tasks":[{{"labels":[{{"key":"DCOS_SPACE","value":"{long}"}}]}}]}}]}}"#
        ),
    ] {
        let body =
            format!(r#"{{"id":"A","frameworks":[{odd},{{"id":"f","executors":[{good}],"name":"n"}}]}}"#);
        let state = state(body.as_bytes()).unwrap();
        assert_eq!(lines(&state), [r#"c f Some("n") e Some("a")"#]);
        assert!(!format!("{state:?}").contains(&long));
    }
    let frameworks = vec![r#"{"id":"f"}"#; CONTAINERS_MAX + 3].join(",");
    let found = state(format!(r#"{{"frameworks":[{frameworks}]}}"#).as_bytes()).unwrap();
    assert_eq!((found.frameworks.len(), found.too_many), (CONTAINERS_MAX, 3));
    let executors = vec![r#"{"id":"e","container":"c"}"#; CONTAINERS_MAX + 3].join(",");
    let found =
        state(format!(r#"{{"frameworks":[{{"id":"f","executors":[{executors}]}}]}}"#).as_bytes()).unwrap();
    assert_eq!(
        (found.executors.len(), found.containers.len(), found.too_many),
        (CONTAINERS_MAX, CONTAINERS_MAX, 3)
    );
    let long = "x".repeat(1000);
    let executors = vec![format!(r#"{{"id":"{long}","container":"{long}"}}"#); 10_000].join(",");
    let found =
        state(format!(r#"{{"frameworks":[{{"id":"f","executors":[{executors}]}}]}}"#).as_bytes()).unwrap();
    assert!((8_000..8_500).contains(&found.executors.len()), "{}", found.executors.len());
}

#[test]
fn what_is_no_state_is_none() {
    for body in ["[]", "7", "{}", r#"{"message":"no"}"#, r#"{"id":5}"#] {
        assert_eq!(state(body.as_bytes()), None, "{body}");
    }
}

fn nested(body: &[u8]) -> NestedContainers {
    let (mut cutter, mut sink) = (Cutter::default(), NestedSink::default());
    cutter.push(body, &mut sink).unwrap();
    sink.finish()
}

#[test]
fn nested_containers_name_their_parents() {
    let body = br#"{"type":"GET_CONTAINERS","get_containers":{"containers":[
        {"container_id":{"value":"c"}}, 5, {"container_id":{"parent":{"value":"c"}}},
        {"container_id":{"value":"x","parent":{"value":"m","parent":{"value":"c"}}}},
        {"container_id":{"value":"y"},"container_status":{"container_id":{"value":"y","parent":{"value":"c"}}}}]}}"#;
    let found: Vec<String> = nested(body).nested.iter().map(Nested::dotted).collect();
    assert_eq!(found, ["c.m.x", "c.y"]);
    assert_eq!(nested(br#"{"type":"GET_CONTAINERS","get_containers":[7]}"#).nested, []);
}

#[test]
fn what_a_nested_container_uses_is_its_outermost_ones() {
    let body = include_bytes!("../../../tests/data/agent/get-containers-nested.json");
    let found = nested(body);
    let names: Vec<String> = found.nested.iter().map(Nested::dotted).collect();
    let pod = "5d1e1a1c-2f7b-4b43-9d0f-1d3c0a6f2a10";
    assert_eq!(names, ["web", "sidecar", "web.check-1"].map(|name| format!("{pod}.{name}")));
    let usages: Vec<_> = found
        .usages
        .iter()
        .map(|usage| (&*usage.container_id, &*usage.parent_id, &*usage.framework_id))
        .collect();
    let framework = "f30a6a22-9a3c-4f5e-8f64-7a6f8f6a3a6a-0001";
    assert_eq!(usages, [("web", pod, framework), ("sidecar", pod, framework)]);
    assert_eq!(found.usages[0].executor_id.as_deref(), Some("instance-shop_pod.1"));
    let deep = format!(
        r#"{{"value":"x","parent":{}null{}}}"#,
        r#"{"value":"p","parent":"#.repeat(40),
        "}".repeat(40)
    );
    let deep = format!(r#"{{"get_containers":{{"containers":[{{"container_id":{deep}}}]}}}}"#);
    assert_eq!(nested(deep.as_bytes()).nested, []);
    // Of a container that nobody owns nothing can be said.
    let nobody = br#"{"get_containers":{"containers":[{"container_id":{"value":"x","parent":{"value":"c"}},
        "resource_statistics":{"processes":1}}]}}"#;
    assert_eq!((nested(nobody).nested.len(), nested(nobody).usages.len()), (1, 0));
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
        let (topic, files) = ("agent".to_owned(), Files::default());
        watch::channel(Config { is_polled: true, place, port, scheme: "http", period, topic, files }).1
    };
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let host = Agent::new(fixed(Place::Given("127.0.0.1".into())), &authority, metrics.clone()).unwrap();
    let command = ["echo".to_owned(), "127.0.0.1".to_owned()].into();
    let command = Agent::new(fixed(Place::Command(command)), &authority, metrics).unwrap();
    for agent in [host, command] {
        let answer = agent.open(What::State).await.unwrap().chunk().await.unwrap();
        assert_eq!(answer.as_deref(), Some(&b"token=fixed"[..]));
    }
}

#[tokio::test]
async fn a_question_in_vain_is_a_problem_until_all_that_is_needed_answers() {
    let problems = Problems::default();
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap().telling(&problems);
    let place = Place::Given("127.0.0.1".into());
    let period = Duration::from_secs(15);
    let topic = "agent".to_owned();
    let files = Files::default();
    let config = Config { is_polled: true, topic, place, port: 1, scheme: "http", period, files };
    let authority = Authority::new(&dcos::Config::default()).unwrap();
    let agent = Agent::new(watch::channel(config).1, &authority, metrics).unwrap();
    let is_now = || problems.lately().first().map(|seen| (seen.kind, seen.is_now()));
    let failed = || Err((Outcome::NoConnection, "no connection".to_owned()));
    agent.note(What::Nested, failed());
    assert_eq!(is_now(), None, "the operator API is not always there");
    agent.note(What::State, failed());
    agent.note(What::System, failed());
    agent.note(What::State, Ok(()));
    assert_eq!(is_now(), Some((Kind::Agent, true)), "one of two answers");
    agent.note(What::System, Ok(()));
    assert_eq!(is_now(), Some((Kind::Agent, false)));
}
