//! The agent's statistics of its executors (`/monitor/statistics`), and how they become records.
//!
//! The answer is a JSON array with an object for each executor. Its members that are texts become the record's tags,
//! and the numbers inside its members that are objects become datapoints:
//!
//! ```json
//! [{"executor_id": "web.1", "framework_id": "f-0", "statistics": {"cpus_limit": 1.1, "timestamp": 1456.5}}]
//! ```
//!
//! gives one record with tags `executor_id` and `framework_id` and the datapoint `cpus_limit` at 1,456,500 ms.
//! Nothing is left out silently: see [`Statistics::left_out`] and [`Statistics::not_numbers`].

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use serde_json::value::RawValue;

use super::client::{self, Client};
use crate::record::{Datapoint, Members, MetricList, Tag, tag_key};

/// Names of the route: the first is gone since Mesos 1.8, the second is there since 0.25.
const ROUTES: [&str; 2] = ["/monitor/statistics.json", "/monitor/statistics"];

/// Where an agent's statistics are asked for. Remembers under which name they were found.
#[derive(Clone, Debug)]
pub struct Source {
    base: String,
    route: usize,
}

impl Source {
    /// The agent at `host` (an IP address or a name) and `port`.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Source {
        let base = match host.parse() {
            Ok(IpAddr::V6(address)) => format!("http://[{address}]:{port}"),
            Ok(IpAddr::V4(_)) | Err(_) => format!("http://{host}:{port}"),
        };
        Source { base, route: 0 }
    }

    /// The address that is asked next.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.base, ROUTES[self.route])
    }

    /// Asks the agent; where it does not know the route, under its other name.
    ///
    /// # Errors
    /// [`client::Error`]: of the name that is asked first where the agent knows neither, else of the one that it knows
    /// or that it could not be asked for.
    pub async fn get(&mut self, client: &Client) -> Result<Vec<u8>, client::Error> {
        let first = match client.get(&self.url()).await {
            Err(error) if error.is_not_found() => error,
            answer => return answer,
        };
        let before = self.route;
        self.route = (before + 1) % ROUTES.len();
        match client.get(&self.url()).await {
            Err(error) if error.is_not_found() => {
                self.route = before;
                Err(first)
            }
            answer => answer,
        }
    }
}

/// What one answer held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// A record for each executor, in the answer's order.
    pub records: Vec<MetricList>,
    /// Executors in the answer.
    pub executors: usize,
    /// Executors that gave no record.
    pub left_out: Vec<LeftOut>,
    /// Names of members that were skipped because they are no numbers (or, beside the objects, no texts).
    pub not_numbers: BTreeSet<String>,
}

/// An executor that gave no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its `executor_id`, or its place in the array.
    pub executor: String,
    /// Why.
    pub reason: Reason,
}

/// Why an executor gave no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is no JSON object, or one with text that cannot be read.
    NotAnObject,
    /// None of its objects has a `timestamp` that is a time.
    NoTimestamp,
    /// It has no numbers.
    NoNumbers,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NotAnObject => "no readable object",
            Reason::NoTimestamp => "no timestamp",
            Reason::NoNumbers => "no numbers",
        })
    }
}

/// The answer is no JSON array.
#[derive(Debug, thiserror::Error)]
#[error(
    "the answer is no JSON array of executors, it begins with \"{begins}\"; check that this is a Mesos agent"
)]
pub struct NotStatistics {
    begins: String,
    #[source]
    source: serde_json::Error,
}

impl Statistics {
    /// Makes records of `body`, each with this topic.
    ///
    /// # Errors
    /// [`NotStatistics`] where it is no JSON array. One odd executor costs itself alone.
    pub fn parse(body: &[u8], topic: &[u8]) -> Result<Statistics, NotStatistics> {
        // Not always UTF-8: the agent cuts an executor's name in the middle of a character.
        let text = String::from_utf8_lossy(body);
        let executors: Vec<&RawValue> = serde_json::from_str(&text)
            .map_err(|source| NotStatistics { begins: shown(&text, 60), source })?;
        let mut statistics = Statistics { executors: executors.len(), ..Statistics::default() };
        for (place, executor) in executors.into_iter().enumerate() {
            let mut record = MetricList { topic: topic.to_vec(), ..MetricList::default() };
            match statistics.read_executor(executor, &mut record) {
                Ok(()) => statistics.records.push(record),
                Err(reason) => statistics.left_out.push(LeftOut { executor: name(&record, place), reason }),
            }
        }
        Ok(statistics)
    }

    fn read_executor(&mut self, executor: &RawValue, record: &mut MetricList) -> Result<(), Reason> {
        let members: Members = serde_json::from_str(executor.get()).map_err(|_| Reason::NotAnObject)?;
        let mut timed = false;
        for (name, value) in members.0 {
            if let Ok(text) = serde_json::from_str::<String>(value.get()) {
                record.tags.push(Tag::new(name, text));
            } else if let Ok(members) = serde_json::from_str::<Members>(value.get()) {
                match members.time_ms() {
                    Some(time_ms) => {
                        timed = true;
                        self.read_numbers(members, time_ms, &mut record.datapoints);
                    }
                    None => self.skip(&name),
                }
            } else {
                self.skip(&name);
            }
        }
        match (timed, record.datapoints.is_empty()) {
            (false, _) => Err(Reason::NoTimestamp),
            (true, true) => Err(Reason::NoNumbers),
            (true, false) => Ok(()),
        }
    }

    fn read_numbers(&mut self, members: Members, time_ms: i64, datapoints: &mut Vec<Datapoint>) {
        for (name, value) in members.0 {
            match number(value) {
                _ if name == TIMESTAMP => {}
                Some(value) => {
                    datapoints.push(Datapoint { name: name.into_bytes(), time_ms, value });
                }
                None => self.skip(&name),
            }
        }
    }

    fn skip(&mut self, name: &str) {
        self.not_numbers.insert(shown(name, 64));
    }

    /// What was left out, in one sentence; `None` where nothing was.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        /// Names in each list of the sentence.
        const NAMES: usize = 12;
        let list = |names: &mut dyn Iterator<Item = String>| {
            let mut text = names.take(NAMES).collect::<Vec<_>>().join(", ");
            let more = names.count();
            if more > 0 {
                let _ = write!(text, " and {more} more");
            }
            text
        };
        let mut parts = Vec::new();
        if !self.left_out.is_empty() {
            let each = list(&mut self.left_out.iter().map(|one| format!("{}: {}", one.executor, one.reason)));
            parts.push(format!("left out {} of {} executors ({each})", self.left_out.len(), self.executors));
        }
        if !self.not_numbers.is_empty() {
            let each = list(&mut self.not_numbers.iter().cloned());
            parts.push(format!("skipped members that are no numbers ({each})"));
        }
        if parts.is_empty() { None } else { Some(parts.join("; ")) }
    }
}

/// Name of the member that is the time of the others, in seconds.
pub const TIMESTAMP: &str = "timestamp";

impl Members<'_> {
    /// The timestamp, from seconds to whole milliseconds.
    #[must_use]
    pub fn time_ms(&self) -> Option<i64> {
        /// Any time of the calendar, far inside of what a long holds.
        const MILLISECONDS_MAX: f64 = 1e17;
        let (_, value) = self.0.iter().rev().find(|(name, _)| name == TIMESTAMP)?;
        let milliseconds = number(value)? * 1000.0;
        (milliseconds.abs() <= MILLISECONDS_MAX).then_some(milliseconds.trunc() as i64)
    }
}

/// A JSON number that a double can hold. `1e999` is none.
#[must_use]
pub fn number(value: &RawValue) -> Option<f64> {
    serde_json::from_str(value.get()).ok()
}

fn name(record: &MetricList, place: usize) -> String {
    match record.tags.iter().find(|tag| tag.key == tag_key::EXECUTOR_ID) {
        Some(tag) => shown(&String::from_utf8_lossy(&tag.value), 64),
        None => format!("number {place}"),
    }
}

/// The beginning of a text on one line.
fn shown(text: &str, chars: usize) -> String {
    let more = if text.chars().nth(chars).is_some() { "..." } else { "" };
    let begins: String = text.chars().take(chars).flat_map(char::escape_debug).collect();
    begins + more
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use proptest::prelude::*;

    use super::*;
    use crate::dcos::client::Limits;
    use crate::dcos::testing::serve;

    const FIXTURE: &[u8] = include_bytes!("../../tests/data/monitor_statistics.json");

    fn parse(body: &str) -> Statistics {
        Statistics::parse(body.as_bytes(), b"t").expect("an array")
    }

    /// A record as `key=value ... | name=value@time ...`.
    fn line(record: &MetricList) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let tags = record.tags.iter().map(|tag| format!("{}={}", text(&tag.key), text(&tag.value)));
        let datapoint = |d: &Datapoint| format!("{}={}@{}", text(&d.name), d.value, d.time_ms);
        let words: Vec<String> =
            tags.chain(["|".to_owned()]).chain(record.datapoints.iter().map(datapoint)).collect();
        words.join(" ")
    }

    #[test]
    fn an_agents_answer_becomes_a_record_for_each_executor() {
        let statistics = Statistics::parse(FIXTURE, b"sample_metrics").expect("an array");
        assert!(statistics.records.iter().all(|record| record.topic == b"sample_metrics"));
        assert_eq!(
            line(&statistics.records[0]),
            "executor_id=orders_api.5b1f7c1e-0d52-11e6-a1aa-0242ac110002 \
             executor_name=Command Executor (Task: orders_api.5b1f7c1e-0d52-11e6-a1aa-0242ac110002) \
             (Command: sh -c './bin/serve...') \
             framework_id=3c54ae14-7a5a-4a43-8f6c-1d2b1f9d2a11-0000 \
             source=orders_api.5b1f7c1e-0d52-11e6-a1aa-0242ac110002 | \
             cpus_limit=1.1@1462531205123 cpus_system_time_secs=12.57@1462531205123 \
             cpus_user_time_secs=301.25@1462531205123 mem_limit_bytes=570425344@1462531205123 \
             mem_rss_bytes=214532096@1462531205123"
        );
        assert_eq!(statistics.records[1].datapoints.len(), 16);
        assert_eq!(
            line(&statistics.records[2]),
            "executor_id= executor_name= framework_id=3c54ae14-7a5a-4a43-8f6c-1d2b1f9d2a11-0001 source= | \
             mem_rss_bytes=9007199254740992@1462531205000 processes=4@1462531205000"
        );
        assert_eq!((statistics.executors, statistics.left_out.len()), (3, 0));
        assert_eq!(
            statistics.complaint().as_deref(),
            Some(
                "skipped members that are no numbers (disk_statistics, net_traffic_control_statistics, perf)"
            )
        );
    }

    #[test]
    fn an_odd_executor_costs_itself_alone() {
        let good = r#"{"executor_id":"good","s":{"a":1,"timestamp":2}}"#;
        for (odd, name, reason) in [
            ("7", "number 0", Reason::NotAnObject),
            ("[]", "number 0", Reason::NotAnObject),
            (r#"{"\ud800":1}"#, "number 0", Reason::NotAnObject),
            (r#"{"executor_id":"x"}"#, "x", Reason::NoTimestamp),
            (r#"{"executor_id":"x","s":{"a":1}}"#, "x", Reason::NoTimestamp),
            (r#"{"executor_id":"x","s":{"a":1,"timestamp":"2"}}"#, "x", Reason::NoTimestamp),
            (r#"{"executor_id":"x","s":{"a":1,"timestamp":1e99}}"#, "x", Reason::NoTimestamp),
            (r#"{"executor_id":"x","s":{"a":1,"timestamp":-1e999}}"#, "x", Reason::NoTimestamp),
            (r#"{"executor_id":"x","s":{"a":"1","timestamp":2}}"#, "x", Reason::NoNumbers),
            (r#"{"executor_id":"x","s":{"timestamp":2}}"#, "x", Reason::NoNumbers),
        ] {
            let statistics = parse(&format!("[{odd},{good}]"));
            assert_eq!(statistics.left_out, [LeftOut { executor: name.into(), reason }], "{odd}");
            assert_eq!(
                statistics.records.iter().map(line).collect::<Vec<_>>(),
                ["executor_id=good | a=1@2000"]
            );
        }
    }

    #[test]
    fn what_is_no_number_is_skipped_and_named() {
        let statistics = parse(
            r#"[{"t":"v","up":true,"n":5,"none":null,"list":[1],
                 "s":{"a":1,"b":"2","c":null,"d":1e999,"e":{"f":1},"timestamp":1.0009}}]"#,
        );
        assert_eq!(statistics.records.iter().map(line).collect::<Vec<_>>(), ["t=v | a=1@1000"]);
        let names: Vec<&str> = statistics.not_numbers.iter().map(String::as_str).collect();
        assert_eq!(names, ["b", "c", "d", "e", "list", "n", "none", "up"]);
    }

    #[test]
    fn a_torn_character_costs_nothing() {
        let body = b"[{\"executor_name\":\"sh -c '\xc3...'\",\"s\":{\"a\":1,\"timestamp\":2}}]";
        let statistics = Statistics::parse(body, b"t").expect("an array");
        assert_eq!(line(&statistics.records[0]), "executor_name=sh -c '\u{fffd}...' | a=1@2000");
    }

    #[test]
    fn what_is_no_array_is_refused_with_its_beginning() {
        for body in ["<html>\nhello", "{}", "", "[", "[1,]", "null"] {
            let error = Statistics::parse(body.as_bytes(), b"t").expect_err(body).to_string();
            let begins = format!("begins with \"{}\"", body.escape_debug());
            assert!(error.contains(&begins), "{error}");
        }
        assert_eq!(parse("[]"), Statistics::default());
    }

    #[test]
    fn a_long_complaint_is_cut() {
        let members: Vec<String> = (10..30).map(|i| format!("\"m{i}\":null")).collect();
        let text = parse(&format!("[{{{}}}]", members.join(","))).complaint().expect("a complaint");
        assert!(text.starts_with("left out 1 of 1 executors (number 0: no timestamp); skipped"), "{text}");
        assert!(text.ends_with("m20, m21 and 8 more)"), "{text}");
    }

    fn agent(json: StatusCode, plain: StatusCode) -> Router {
        Router::new()
            .route(ROUTES[0], get(move || async move { (json, "json") }))
            .route(ROUTES[1], get(move || async move { (plain, "plain") }))
    }

    async fn source(router: Router) -> Source {
        Source { base: serve(router).await, route: 0 }
    }

    #[tokio::test]
    async fn the_route_that_answers_is_found_and_remembered() {
        use StatusCode as S;
        let client = Client::new(Limits::default()).expect("TLS");
        // Statuses of both routes; the answer, and the route that is asked next.
        for (json, plain, expected, next) in [
            (S::OK, S::NOT_FOUND, Ok("json"), 0),
            (S::NOT_FOUND, S::OK, Ok("plain"), 1),
            (S::NOT_FOUND, S::NOT_FOUND, Err("statistics.json: it answered 404 Not Found; check"), 0),
            (S::NOT_FOUND, S::FORBIDDEN, Err("statistics: it answered 403 Forbidden; it wants"), 1),
            (S::INTERNAL_SERVER_ERROR, S::OK, Err("statistics.json: it answered 500"), 0),
        ] {
            let mut source = source(agent(json, plain)).await;
            match (source.get(&client).await, expected) {
                (Ok(body), Ok(expected)) => assert_eq!(body, expected.as_bytes()),
                (Err(error), Err(expected)) => {
                    let text = error.to_string();
                    assert!(text.contains(expected), "{text}");
                }
                (answer, _) => panic!("{answer:?}"),
            }
            assert!(source.url().ends_with(ROUTES[next]), "{}", source.url());
        }
    }

    #[test]
    fn hosts_of_every_kind_make_an_address() {
        for (host, expected) in [
            ("10.0.0.1", "http://10.0.0.1:5051/monitor/statistics.json"),
            ("agent.example", "http://agent.example:5051/monitor/statistics.json"),
            ("fe80::1", "http://[fe80::1]:5051/monitor/statistics.json"),
        ] {
            assert_eq!(Source::new(host, 5051).url(), expected);
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let name =
            prop::sample::select(vec!["executor_id", "statistics", "timestamp", "a", "\\ud800", "\\n"]);
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("1e999".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            prop::num::f64::NORMAL.prop_map(|value| value.to_string()),
            "[a-z]{0,4}".prop_map(|text| format!("\"{text}\"")),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let member =
                (name.clone(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_borne_and_every_executor_accounted_for(items in prop::collection::vec(json(), 0..6)) {
            let statistics = parse(&format!("[{}]", items.join(",")));
            prop_assert_eq!(statistics.executors, items.len());
            prop_assert_eq!(statistics.records.len() + statistics.left_out.len(), items.len());
            prop_assert!(statistics.records.iter().all(|record| !record.datapoints.is_empty()));
            let _ = statistics.complaint();
        }

        #[test]
        fn any_bytes_are_borne(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Statistics::parse(&body, b"t");
        }
    }
}
