//! A stand-in for DC/OS's Cosmos, by `ci/cosmos-up`: its own libraries render templates and check JSON against schemas.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

use super::lines::Lines;
use super::repository;

/// Where packages say that they come from.
pub(crate) const SOURCE: &str = "http://universe.example/repository.json";

struct Cosmos {
    _process: Child,
    requests: ChildStdin,
    answers: Lines,
}

/// It ends with this process, because then its standard input closes.
static SHARED: LazyLock<Mutex<Cosmos>> = LazyLock::new(|| {
    let mut process = Command::new(repository("ci/cosmos-up"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ci/cosmos-up can be started");
    let requests = process.stdin.take().expect("piped");
    let answers = Lines::of(process.stdout.take().expect("piped"));
    Mutex::new(Cosmos { _process: process, requests, answers })
});

fn ask(request: &Value) -> Value {
    // Each request is answered before the next one is sent, so that another test's failure leaves nothing half done.
    let mut cosmos = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(cosmos.requests, "{request}").expect("the stand-in for Cosmos reads");
    let line = cosmos.answers.next().expect("the stand-in for Cosmos answers");
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("the stand-in for Cosmos said {line:?}: {e}"))
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
