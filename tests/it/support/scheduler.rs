//! The scheduler of a Kafka framework: both generations of its API, and faults on demand.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::serve::Server;
use super::{eventually, once};

/// Which API it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// `/v1/connection`, until 2017.
    Connection,
    /// `/v1/endpoints` and what is below it.
    Endpoints,
}

/// What is wrong with its answers.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Nothing,
    /// This status and no more.
    Status(u16),
    /// This text in place of JSON.
    Text(&'static str),
    /// It has lost sight of its brokers.
    EmptyLists,
    /// It does not answer.
    Hang,
    /// It does not end.
    Huge,
    /// It sends whoever asks there.
    Redirect(String),
}

/// A running scheduler.
pub(crate) struct Scheduler {
    server: Server,
    state: Arc<Mutex<State>>,
}

struct State {
    generation: Generation,
    brokers: Vec<String>,
    fault: Fault,
    n_asked: usize,
}

impl Scheduler {
    /// One that lists these brokers by name and by address, and has no virtual address for them.
    pub(crate) fn start(generation: Generation, brokers: &[&str]) -> Scheduler {
        Scheduler::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), generation, brokers)
    }

    /// The same on this socket.
    pub(crate) fn on(socket: TcpListener, generation: Generation, brokers: &[&str]) -> Scheduler {
        let state = State { generation, brokers: Vec::new(), fault: Fault::Nothing, n_asked: 0 };
        let state = Arc::new(Mutex::new(state));
        let asked = Arc::clone(&state);
        let router = Router::new().fallback(move |uri: Uri| {
            let asked = Arc::clone(&asked);
            async move {
                let answer = asked.lock().expect("no answer panics").answer(uri.path());
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        });
        let scheduler = Scheduler { server: Server::on(socket, router), state };
        scheduler.list(brokers);
        scheduler
    }

    /// From now on it lists these.
    pub(crate) fn list(&self, brokers: &[&str]) {
        self.with(|state| state.brokers = brokers.iter().map(ToString::to_string).collect());
    }

    /// From now on this is wrong.
    pub(crate) fn fail(&self, fault: Fault) {
        self.with(|state| state.fault = fault);
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// Waits until it was asked so many times more.
    pub(crate) fn wait_asked(&self, n_times: usize) {
        let before = self.with(|state| state.n_asked);
        eventually("the scheduler is asked", || {
            let n_asked = self.with(|state| state.n_asked) - before;
            once(n_asked >= n_times, || format!("{n_asked} of {n_times} times"))
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().expect("no answer panics"))
    }
}

impl State {
    /// None: no answer.
    fn answer(&mut self, path: &str) -> Option<Response> {
        self.n_asked += 1;
        let brokers = match &self.fault {
            Fault::Nothing => &self.brokers[..],
            Fault::EmptyLists => &[],
            Fault::Status(status) => {
                return Some(StatusCode::from_u16(*status).expect("a status").into_response());
            }
            Fault::Text(text) => return Some(text.into_response()),
            Fault::Hang => return None,
            Fault::Huge => return Some(Body::from(vec![b' '; 4 << 20]).into_response()),
            Fault::Redirect(to) => return Some(Redirect::temporary(&format!("{to}{path}")).into_response()),
        };
        let mut lists = json!({ "address": brokers, "dns": brokers });
        let body = match (self.generation, path) {
            (Generation::Endpoints, "/v1/endpoints") => json!(["broker", "zookeeper"]),
            (Generation::Endpoints, "/v1/endpoints/broker") => lists,
            (Generation::Connection, "/v1/connection") => {
                lists["zookeeper"] = json!("master.mesos:2181/dcos-service-kafka");
                lists
            }
            _ => return Some(StatusCode::NOT_FOUND.into_response()),
        };
        Some(body.to_string().into_response())
    }
}
