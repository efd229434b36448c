//! A stand-in for Marathon and its agents: keeps as many tasks of each app as are wanted, no two of an app on one agent and
//! no port twice, starts them again when they end, replaces all at once when the app changes, and tells Prometheus where
//! they are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use super::cluster::{Host, MASTER};
use super::serve::Server;
use super::task::{Ended, Task, Usage, ports};
use super::{eventually, once};

/// The port of its API, as in DC/OS.
pub(crate) const PORT: u16 = 8080;

/// How often it looks after its tasks.
const TICK: Duration = Duration::from_millis(20);

/// The stand-in. Tasks end with it.
pub(crate) struct Marathon {
    state: Arc<Mutex<State>>,
    _server: Server,
}

struct State {
    hosts: Arc<Vec<Host>>,
    base: PathBuf,
    apps: BTreeMap<String, Value>,
    tasks: Vec<Task>,
    ended: Vec<Ended>,
    /// Hosts that nobody reaches.
    lost: BTreeSet<usize>,
    n_launched: usize,
    closed: bool,
}

impl Marathon {
    /// One with these agents; sandboxes are below `base`.
    pub(crate) fn start(hosts: Arc<Vec<Host>>, base: PathBuf) -> Marathon {
        let state = State {
            hosts,
            base,
            apps: BTreeMap::new(),
            tasks: Vec::new(),
            ended: Vec::new(),
            lost: BTreeSet::new(),
            n_launched: 0,
            closed: false,
        };
        let state = Arc::new(Mutex::new(state));
        let shown = Arc::clone(&state);
        let router = Router::new().route("/v2/apps/", get(async move || lock(&shown).shown().to_string()));
        let kept = Arc::clone(&state);
        thread::spawn(move || {
            while lock(&kept).look_after() {
                thread::park_timeout(TICK);
            }
        });
        let socket = TcpListener::bind((MASTER, PORT)).expect("nobody else is on the masters");
        Marathon { state, _server: Server::on(socket, router) }
    }

    /// The app is as it is here from now on.
    pub(crate) fn put(&self, app: &Value) {
        let id = app["id"].as_str().expect("an app has an id").to_owned();
        self.state().apps.insert(id, app.clone());
    }

    /// The app is no more. Waits until its last task has ended.
    pub(crate) fn delete(&self, id: &str) {
        self.state().apps.remove(id);
        eventually(&format!("the last task of {id} ends"), || {
            let left = self.state().tasks.iter().filter(|task| task.app["id"] == id).count();
            once(left == 0, || format!("{left} are left"))
        });
    }

    /// Waits until the app runs as it is now, healthy, on so many agents, and has no other task.
    pub(crate) fn wait_healthy(&self, id: &str, n_tasks: usize) {
        eventually(&format!("{id} has {n_tasks} healthy tasks"), || {
            let state = self.state();
            let app = state.apps.get(id).expect("the app is there");
            let tasks: Vec<&Task> = state.tasks.iter().filter(|task| task.app["id"] == id).collect();
            let good = tasks.iter().filter(|task| task.healthy && is_same(&task.app, app)).count();
            once(good == n_tasks && tasks.len() == n_tasks, || {
                format!("{good} of {} are; ended so far: {:#?}", tasks.len(), state.ended)
            })
        });
    }

    /// Which agents have a task of the app.
    pub(crate) fn places(&self, id: &str) -> Vec<usize> {
        let state = self.state();
        let mut places: Vec<usize> =
            state.tasks.iter().filter(|task| task.app["id"] == id).map(|task| task.host).collect();
        places.sort_unstable();
        places
    }

    /// How many tasks are wanted and have no agent to be on.
    pub(crate) fn waiting(&self, id: &str) -> usize {
        let state = self.state();
        let wanted = state.apps.get(id).map_or(0, instances);
        wanted - state.tasks.iter().filter(|task| task.app["id"] == id).count()
    }

    /// Ends the app's task on this agent with SIGKILL.
    pub(crate) fn crash(&self, id: &str, host: usize) {
        self.state().task(id, host).expect("there is a task").crash();
    }

    /// Has the app's task on this agent do nothing more, whatever it is asked.
    pub(crate) fn hang(&self, id: &str, host: usize) {
        self.state().task(id, host).expect("there is a task").hang();
    }

    /// An agent is lost with all its tasks; or is back.
    pub(crate) fn set_lost(&self, host: usize, lost: bool) {
        let mut state = self.state();
        if lost {
            state.lost.insert(host);
            state.tasks.iter().filter(|task| task.host == host).for_each(Task::crash);
        } else {
            state.lost.remove(&host);
        }
    }

    /// Takes the tasks that have ended since the last time.
    pub(crate) fn take_ended(&self) -> Vec<Ended> {
        std::mem::take(&mut self.state().ended)
    }

    /// What the task of the app on this agent has used, where that is counted.
    pub(crate) fn usage(&self, id: &str, host: usize) -> Option<Usage> {
        self.state().task(id, host)?.usage()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Marathon {
    fn drop(&mut self) {
        // The thread that looks after the tasks may have panicked.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.closed = true;
        state.tasks.clear();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("looking after tasks does not panic")
}

fn instances(app: &Value) -> usize {
    app["instances"].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a number of instances")
}

/// Whether tasks of one need not be replaced by the other's.
fn is_same(one: &Value, other: &Value) -> bool {
    let without_instances = |app: &Value| {
        let mut app = app.clone();
        app["instances"] = json!(0);
        app
    };
    without_instances(one) == without_instances(other)
}

impl State {
    fn task(&self, id: &str, host: usize) -> Option<&Task> {
        self.tasks.iter().find(|task| task.app["id"] == id && task.host == host)
    }

    /// Brings what is nearer to what is wanted. False when all is over.
    fn look_after(&mut self) -> bool {
        if self.closed {
            return false;
        }
        let (ended, running): (Vec<_>, Vec<_>) = std::mem::take(&mut self.tasks)
            .into_iter()
            .map(|mut task| (task.ended(), task))
            .partition(|(e, _)| e.is_some());
        self.ended.extend(ended.into_iter().filter_map(|(ended, _)| ended));
        self.tasks = running.into_iter().map(|(_, task)| task).collect();
        self.kill_unwanted();
        for task in &mut self.tasks {
            if task.check(&self.hosts[task.host]) {
                task.kill();
            }
        }
        let apps: Vec<Value> = self.apps.values().cloned().collect();
        for app in apps {
            self.launch(&app);
        }
        true
    }

    fn kill_unwanted(&mut self) {
        let mut n_kept: BTreeMap<String, usize> = BTreeMap::new();
        for task in &mut self.tasks {
            let id = task.app["id"].as_str().expect("an app has an id");
            let app = self.apps.get(id).filter(|app| is_same(app, &task.app));
            let n_kept = n_kept.entry(id.to_owned()).or_default();
            if app.is_some_and(|app| *n_kept < instances(app)) {
                *n_kept += 1;
            } else {
                task.kill();
            }
        }
    }

    /// One at most on each agent, where its ports are free.
    fn launch(&mut self, app: &Value) {
        let of_app = self.tasks.iter().filter(|task| task.app["id"] == app["id"]).count();
        let mut missing = instances(app).saturating_sub(of_app);
        for host in 0..self.hosts.len() {
            let taken = |task: &Task| {
                let ports_of_task = ports(&task.app);
                task.host == host
                    && (task.app["id"] == app["id"]
                        || ports(app).iter().any(|port| ports_of_task.contains(port)))
            };
            if missing == 0 || self.lost.contains(&host) || self.tasks.iter().any(taken) {
                continue;
            }
            missing -= 1;
            self.n_launched += 1;
            let time =
                SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_nanos();
            let name = app["id"].as_str().expect("an app has an id").trim_start_matches('/');
            let id = format!("{name}.instance-{time:x}._app.{}", self.n_launched);
            self.tasks.push(Task::launch(&id, host, &self.hosts[host], app, &self.base));
        }
    }

    /// The apps with their tasks, as `/v2/apps?embed=apps.tasks` has them.
    fn shown(&self) -> Value {
        let task = |task: &Task| {
            let host = self.hosts[task.host].address().to_string();
            json!({"id": task.id, "host": host, "ports": ports(&task.app), "state": "TASK_RUNNING"})
        };
        let app = |app: &Value| {
            let tasks: Vec<Value> =
                self.tasks.iter().filter(|t| t.app["id"] == app["id"]).map(task).collect();
            let mut app = app.clone();
            app["tasksRunning"] = json!(tasks.len());
            app["tasks"] = json!(tasks);
            app
        };
        json!({"apps": self.apps.values().map(app).collect::<Vec<Value>>()})
    }
}
