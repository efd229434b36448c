//! A stand-in for the Mesos agent: containers that come and go, and answers that go wrong on demand.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::time::Interval;

/// The agent's id.
pub(crate) const ID: &str = "stand-in-S0";

/// What the agent does with a request in place of answering.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It answers this.
    Status(u16),
    /// It says this, whatever it was asked.
    Body(String),
    /// It never answers.
    Hang,
    /// Its answer is blanks, one each few milliseconds, for ever.
    Drip,
    /// Its answer begins with this, and then the connection breaks.
    Break(String),
}

#[derive(Default)]
struct Inner {
    containers: Vec<Container>,
    nested: Vec<(String, String)>,
    /// By route; the empty one is for all.
    faults: Vec<(String, Fault)>,
    /// Routes that were asked for.
    asked: Vec<String>,
    /// Its id, where that is another one now.
    id: Option<String>,
}

/// A container of a task of Marathon.
#[derive(Clone)]
struct Container {
    id: String,
    framework: String,
    application: String,
}

/// The stand-in, serving until its process ends.
#[derive(Clone)]
pub(crate) struct Agent {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Agent {
    pub(crate) fn start() -> Agent {
        Agent::on(std::net::TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    /// One on this socket.
    pub(crate) fn on(listener: std::net::TcpListener) -> Agent {
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let agent = Agent { address, inner: Arc::default() };
        let router = Router::new().fallback(answer).with_state(agent.clone());
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, router).await.expect("axum serves for ever");
            });
        });
        agent
    }

    /// Arguments of a collector that polls it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let port = self.address.port();
        ["--agent-polling=true", "--agent-ip=127.0.0.1", "--agent-poll-period=1"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("--agent-port={port}")])
            .collect()
    }

    /// A task's container comes. Its framework is called `marathon`.
    pub(crate) fn add(&self, container: &str, framework: &str, application: &str) {
        let (id, framework, application) = (container.into(), framework.into(), application.into());
        self.inner().containers.push(Container { id, framework, application });
    }

    /// A container inside of another comes.
    pub(crate) fn nest(&self, container: &str, parent: &str) {
        self.inner().nested.push((container.into(), parent.into()));
    }

    /// A container goes.
    pub(crate) fn remove(&self, container: &str) {
        self.inner().containers.retain(|known| known.id != container);
    }

    /// It has another id from now on, as after the loss of its work directory.
    pub(crate) fn rename(&self, id: &str) {
        self.inner().id = Some(id.into());
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on a route goes wrong; the empty route is every one.
    pub(crate) fn fault(&self, route: &str, fault: Fault) {
        self.inner().faults.insert(0, (route.into(), fault));
    }

    /// All is well again.
    pub(crate) fn heal(&self) {
        self.inner().faults.clear();
    }

    /// How often a route was asked for.
    pub(crate) fn asked(&self, route: &str) -> usize {
        self.inner().asked.iter().filter(|asked| *asked == route).count()
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no code panics under this lock")
    }
}

async fn answer(State(agent): State<Agent>, uri: Uri) -> Response {
    let route = uri.path().to_owned();
    let fault = {
        let mut inner = agent.inner();
        inner.asked.push(route.clone());
        inner
            .faults
            .iter()
            .find(|(faulty, _)| faulty.is_empty() || *faulty == route)
            .map(|(_, fault)| fault.clone())
    };
    match fault {
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Drip) => {
            let drops = tokio::time::interval(Duration::from_millis(20));
            return Body::new(Faulty { begins: None, drops: Some(drops) }).into_response();
        }
        Some(Fault::Break(begins)) => {
            return Body::new(Faulty { begins: Some(begins.into()), drops: None }).into_response();
        }
        Some(Fault::Body(body)) => return body.into_response(),
        Some(Fault::Status(status)) => {
            return (StatusCode::from_u16(status).expect("a status"), "the stand-in refuses").into_response();
        }
        None => {}
    }
    let inner = agent.inner();
    let body = match route.as_str() {
        "/state" => inner.state(),
        "/containers" => inner.statistics(true),
        "/monitor/statistics" => inner.statistics(false),
        "/metrics/snapshot" => json!({"slave/cpus_total": 4.0, "system/load_1min": 0.25}),
        "/api/v1" => inner.nested(),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    body.to_string().into_response()
}

impl Inner {
    fn state(&self) -> Value {
        let framework = |of: &Container| {
            json!({"id": of.framework, "name": "marathon", "completed_executors": [], "executors": [{
                "id": format!("e-{}", of.id), "container": of.id, "source": "", "resources": {"cpus": 1.0},
                "labels": [{"key": "MARATHON_APP_ID", "value": format!("/{}", of.application)}], "tasks": [],
            }]})
        };
        let frameworks: Vec<Value> = self.containers.iter().map(framework).collect();
        let id = self.id.as_deref().unwrap_or(ID);
        json!({"version": "1.0.1", "id": id, "flags": {}, "frameworks": frameworks, "completed_frameworks": []})
    }

    fn statistics(&self, with_id: bool) -> Value {
        let one = |of: &Container| {
            let mut one = json!({
                "executor_id": format!("e-{}", of.id), "executor_name": "", "framework_id": of.framework, "source": "",
                "statistics": {"cpus_limit": 1.5, "mem_rss_bytes": 1024, "timestamp": 1_472_647_303.047,
                    "net_traffic_control_statistics": [{"id": "bw_limit", "drops": 3}]},
            });
            if with_id {
                one["container_id"] = json!(of.id);
            }
            one
        };
        self.containers.iter().map(one).collect()
    }

    /// As agents since Mesos 1.10 have it: whose they are stands at the outer ones, where they are at the inner ones.
    fn nested(&self) -> Value {
        let outer = |of: &Container| {
            json!({
                "container_id": {"value": of.id}, "container_status": {"container_id": {"value": of.id}},
                "executor_id": {"value": format!("e-{}", of.id)}, "framework_id": {"value": of.framework},
                "resource_statistics": {"cpus_limit": 1.5, "timestamp": 1_472_647_303.047},
            })
        };
        let inner = |(id, parent): &(String, String)| {
            json!({
                "container_id": {"value": id},
                "container_status": {"container_id": {"value": id, "parent": {"value": parent}}},
                "resource_statistics": {"mem_rss_bytes": 512, "timestamp": 1_472_647_303.048},
            })
        };
        let containers: Vec<Value> =
            self.nested.iter().map(inner).chain(self.containers.iter().map(outer)).collect();
        json!({"type": "GET_CONTAINERS", "get_containers": {"containers": containers}})
    }
}

/// A body that goes wrong: it has a beginning, and then it drips blanks or breaks.
struct Faulty {
    begins: Option<Bytes>,
    drops: Option<Interval>,
}

impl hyper::body::Body for Faulty {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(begins) = self.begins.take() {
            return Poll::Ready(Some(Ok(Frame::data(begins))));
        }
        match &mut self.drops {
            Some(drops) => drops.poll_tick(context).map(|_| Some(Ok(Frame::data(" ".into())))),
            None => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
        }
    }
}
