//! A stand-in for DC/OS's Cosmos, by `ci/cosmos-up`: its own libraries render templates and check JSON against schemas.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::lines::Lines;
use super::repository;

/// Where packages say that they come from.
pub(crate) const SOURCE: &str = "http://universe.example/repository.json";

/// Killed when dropped. Else it ends with this process, because then its standard input closes.
struct Cosmos {
    process: Child,
    requests: ChildStdin,
    answers: Lines,
}

impl Cosmos {
    fn start() -> Cosmos {
        let mut process = Command::new(repository("ci/cosmos-up"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ci/cosmos-up can be started");
        let requests = process.stdin.take().expect("piped");
        let answers = Lines::of(process.stdout.take().expect("piped"));
        Cosmos { process, requests, answers }
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests, "{request}").expect("the stand-in for Cosmos reads");
        let line = self.answers.next().expect("the stand-in for Cosmos answers");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("the stand-in for Cosmos said {line:?}: {e}"))
    }
}

impl Drop for Cosmos {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The one that all tests ask, one after the other.
static SHARED: Mutex<Option<Cosmos>> = Mutex::new(None);

fn ask(request: &Value) -> Value {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    // Where it does not answer in time, its answer would be taken for that to the next request: the next one who asks
    // starts another.
    let mut cosmos = shared.take().unwrap_or_else(Cosmos::start);
    let answer = cosmos.ask(request);
    *shared = Some(cosmos);
    answer
}

/// The app that an install of `package`, an entry of a repository document, gives to Marathon; or the error that the
/// operator gets.
pub(crate) fn render(package: &Value, options: &Value) -> Result<Value, Value> {
    let answer = ask(&json!({"package": package, "options": options, "source": SOURCE}));
    match answer.get("app") {
        Some(app) => Ok(app.clone()),
        None => Err(answer["error"].clone()),
    }
}

/// What is wrong with `instance` by `schema`, which is a schema or the URL of one.
pub(crate) fn problems(schema: &Value, instance: &Value) -> Vec<Value> {
    let answer = ask(&json!({"schema": schema, "instance": instance}));
    answer["problems"].as_array().unwrap_or_else(|| panic!("not checked: {answer}")).clone()
}
