//! A stand-in for the Mesos agent, and the sample producer that polls it: both in a thread of their own, as they are
//! processes of their own elsewhere. The collector polls it too.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::cast::{Cast, FRAMEWORK_ID, Task};
use super::metrics::Random;
use crate::config::Brokers;
use crate::ocf::encode::Dialect;
use crate::sample_producer::args::Settings;
use crate::sample_producer::run::{Patience, run};
use crate::sample_producer::send::Totals;
use crate::telemetry::{chain, unix_ms};

/// Where the statistics are, on the stand-in as on an agent.
pub const ROUTE: &str = "/monitor/statistics.json";

/// The thread, seen from outside.
#[derive(Debug)]
pub struct Agent {
    /// Where the stand-in listens.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    totals: oneshot::Receiver<Result<Totals, String>>,
}

impl Agent {
    /// Starts both. The sample producer polls every `period`, in whole seconds, and sends to `brokers`.
    ///
    /// # Errors
    /// There is no port or no thread.
    pub fn start(cast: &Cast, brokers: Vec<String>, period: Duration, seed: u64) -> std::io::Result<Agent> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let settings = Settings {
            brokers: Brokers { list: brokers, ..Brokers::default() },
            discovery: None,
            topic: cast.sample_topic.clone(),
            directory: None,
            verbose: false,
            period,
            ip_command: vec!["echo".to_owned(), address.ip().to_string()],
            agent_port: address.port(),
            dialect: Dialect::Native,
        };
        let containers = Containers::new(cast, seed);
        let (stop, stopped) = oneshot::channel();
        let (done, totals) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("demo-agent".into()).spawn(move || {
            let ended = runtime.block_on(async {
                let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
                let server = tokio::spawn(async { axum::serve(listener, router(containers)).await });
                let until = async {
                    // Whoever would stop it may be gone, and then it is over as well.
                    _ = stopped.await;
                };
                let totals = run(settings, Patience::default(), until, &mut std::io::sink()).await;
                server.abort();
                totals.map(Option::unwrap_or_default).map_err(|error| chain(&error))
            });
            // Nobody may be waiting any more.
            _ = done.send(ended);
        })?;
        Ok(Agent { address, stop, totals })
    }

    /// Stops both, waits for acknowledgements and says what became of the messages.
    ///
    /// # Errors
    /// Why the sample producer did not run.
    pub async fn stop(self) -> Result<Totals, String> {
        // One that has ended by itself says so below.
        _ = self.stop.send(());
        self.totals.await.unwrap_or_else(|_| Err("its thread has failed".to_owned()))
    }
}

fn router(containers: Containers) -> Router {
    type Shared = State<Arc<Mutex<Containers>>>;
    let ask = |State(containers): Shared, question: fn(&mut Containers) -> Value| {
        Json(question(&mut containers.lock().unwrap_or_else(PoisonError::into_inner)))
    };
    let statistics = async move |state: Shared| {
        ask(state, |containers| containers.statistics(unix_ms().cast_signed(), false))
    };
    let with_ids = async move |state: Shared| {
        ask(state, |containers| containers.statistics(unix_ms().cast_signed(), true))
    };
    let state = async move |state: Shared| ask(state, |containers| containers.state());
    let system = async move |state: Shared| ask(state, Containers::system);
    Router::new()
        .route(ROUTE, get(statistics))
        .route("/containers", get(with_ids))
        .route("/state", get(state))
        .route("/metrics/snapshot", get(system))
        .with_state(Arc::new(Mutex::new(containers)))
}

/// What the containers have used since their start.
#[derive(Debug)]
struct Containers {
    agent_id: String,
    tasks: Vec<Task>,
    random: Random,
    /// Time of the last look, in milliseconds.
    last_ms: Option<i64>,
    /// CPU seconds in user mode and bytes received, of each task.
    used: Vec<(f64, f64)>,
}

impl Containers {
    fn new(cast: &Cast, seed: u64) -> Containers {
        let used = cast.tasks.iter().map(|_| (300.0, 9e9)).collect();
        let (agent_id, tasks) = (cast.agent_id.clone(), cast.tasks.clone());
        Containers { agent_id, tasks, random: Random::new(seed), last_ms: None, used }
    }

    /// Whose containers they are.
    fn state(&self) -> Value {
        let executor = |task: &Task| {
            json!({
                "id": task.executor_id,
                "container": task.container_id,
                "labels": [{"key": "MARATHON_APP_ID", "value": format!("/{}", task.name)}],
            })
        };
        let executors: Vec<Value> = self.tasks.iter().map(executor).collect();
        json!({
            "id": self.agent_id,
            "frameworks": [{"id": FRAMEWORK_ID, "name": "marathon", "executors": executors}],
        })
    }

    /// The agent's own metrics.
    fn system(&mut self) -> Value {
        json!({
            "slave/cpus_total": 4.0,
            "slave/tasks_running": self.tasks.len(),
            "system/load_1min": round(self.random.near(0.8, 0.5)),
        })
    }

    /// What they use, at `now_ms`; `with_ids` as at `/containers`.
    fn statistics(&mut self, now_ms: i64, with_ids: bool) -> Value {
        let passed = seconds((now_ms - self.last_ms.replace(now_ms).unwrap_or(now_ms)).max(0));
        let random = &mut self.random;
        let each = self.tasks.iter().zip(&mut self.used).map(|(task, (cpu, received))| {
            *cpu += random.near(0.4, 0.5) * passed;
            *received += random.near(250e3, 0.5).round() * passed;
            let mut one = json!({
                "executor_id": task.executor_id,
                "executor_name": format!("Command Executor (Task: {})", task.executor_id),
                "framework_id": FRAMEWORK_ID,
                "source": task.executor_id,
                "statistics": {
                    "cpus_limit": 1.1,
                    "cpus_system_time_secs": round(*cpu / 9.0),
                    "cpus_user_time_secs": round(*cpu),
                    "mem_limit_bytes": 570_425_344,
                    "mem_rss_bytes": random.near(214e6, 0.02).round(),
                    "net_rx_bytes": received.round(),
                    "net_tx_bytes": (*received * 1.2).round(),
                    "timestamp": seconds(now_ms),
                },
            });
            if with_ids {
                one["container_id"] = json!(task.container_id);
            }
            one
        });
        each.collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time in milliseconds is far below what a double holds")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dcos::statistics::Statistics;

    #[test]
    fn the_answer_is_an_agents_and_its_totals_rise_with_time() {
        let mut containers = Containers::new(&Cast::new(1, false), 1);
        let mut read = |now_ms| {
            let body = containers.statistics(now_ms, false).to_string();
            Statistics::parse(body.as_bytes(), b"t").unwrap()
        };
        let (first, later) = (read(5_000), read(9_000));
        assert_eq!((first.records.len(), first.complaint()), (3, None));
        for (first, later) in first.records.iter().zip(&later.records) {
            assert_eq!(first.tags, later.tags);
            let value = |record: &crate::record::MetricList, name: &str| {
                let found = record.datapoints.iter().find(|datapoint| datapoint.name == name.as_bytes());
                found.map(|datapoint| (datapoint.time_ms, datapoint.value)).unwrap()
            };
            for name in ["cpus_user_time_secs", "net_rx_bytes"] {
                assert_eq!((value(first, name).0, value(later, name).0), (5_000, 9_000));
                assert!(value(first, name).1 < value(later, name).1, "{name}");
            }
        }
    }
}
