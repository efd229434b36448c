//! A Marathon task as the Mesos agent of DC/OS runs it: fetched, unpacked, with the environment that it gets and no other,
//! in a cgroup of exactly its size where one can be had, and killed as the executor kills.

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::Host;
use super::http;

/// Ids as long as those of a cluster: the path of a sandbox has some 240 characters.
const AGENT_ID: &str = "8b4e6d80-0271-4be0-9f08-0aeff7f0d751-S12";
const FRAMEWORK_ID: &str = "8b4e6d80-0271-4be0-9f08-0aeff7f0d751-0001";
const RUN_ID: &str = "52bdce71-04b0-4440-bb71-cb826f0635c6";

/// User and group `nobody`.
const NOBODY: u32 = 65_534;

/// A task that runs.
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) host: usize,
    /// The app that it was started with.
    pub(crate) app: Value,
    pub(crate) healthy: bool,
    child: Child,
    sandbox: PathBuf,
    cgroup: Option<Cgroup>,
    started: Instant,
    killed: Option<Instant>,
    checked: Option<Instant>,
    failures: u64,
}

/// A task that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Whether Marathon had asked for it.
    pub(crate) wanted: bool,
    /// Its standard error.
    pub(crate) log: String,
    pub(crate) usage: Option<Usage>,
}

impl Task {
    /// Fetches, unpacks and starts what the app says.
    pub(crate) fn launch(id: &str, host: usize, machine: &Host, app: &Value, base: &Path) -> Task {
        let sandbox = base.join(format!(
            "{}/slave/slaves/{AGENT_ID}/frameworks/{FRAMEWORK_ID}/executors/{id}/runs/{RUN_ID}",
            machine.name()
        ));
        std::fs::create_dir_all(&sandbox).expect("a sandbox can be made");
        for item in app["fetch"].as_array().expect("a list") {
            fetch(machine, item, &sandbox);
        }
        for volume in app["container"]["volumes"].as_array().into_iter().flatten() {
            let file = sandbox.join(volume["containerPath"].as_str().expect("a text"));
            std::fs::create_dir_all(file.parent().expect("it is below the sandbox"))
                .expect("a sandbox takes folders");
            std::fs::write(file, secret(volume["secret"].as_str().expect("a text"))).expect("and files");
        }
        let user = app.get("user").and_then(Value::as_str);
        let mut line = Vec::new();
        let cgroup =
            Cgroup::make(id, app["cpus"].as_f64().expect("a number"), app["mem"].as_f64().expect("a number"));
        if let Some(cgroup) = &cgroup {
            line.extend([
                "sh",
                "-e",
                "-c",
                "c=$1; shift; for f in $c; do echo $$ >\"$f\"; done; exec \"$@\"",
                "sh",
            ]);
            line.push(cgroup.entrances());
        }
        let mut line: Vec<String> = line.into_iter().map(str::to_owned).collect();
        line.extend(machine.entrance());
        // Where this machine's users have namespaces of their own there is no nobody in them.
        if user == Some("nobody") && chown(&sandbox, Some(NOBODY), Some(NOBODY)).is_ok() {
            line.extend([format!("--setuid={NOBODY}"), format!("--setgid={NOBODY}")]);
        }
        line.extend(["--", "/bin/sh", "-c", app["cmd"].as_str().expect("a text")].map(str::to_owned));
        let output = |name: &str| File::create(sandbox.join(name)).expect("a sandbox can be written to");
        let child = Command::new(&line[0])
            .args(&line[1..])
            .env_clear()
            .envs(environment(id, machine, app, &sandbox))
            .current_dir(&sandbox)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .expect("a task can be started");
        Task {
            id: id.to_owned(),
            host,
            app: app.clone(),
            healthy: false,
            child,
            sandbox,
            cgroup,
            started: Instant::now(),
            killed: None,
            checked: None,
            failures: 0,
        }
    }

    /// What became of it, if it has ended. The rest of the container ends then too.
    pub(crate) fn ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().expect("the child is ours")?;
        self.signal(libc::SIGKILL);
        let log = std::fs::read_to_string(self.sandbox.join("stderr")).unwrap_or_default();
        let usage = self.cgroup.take().map(|cgroup| cgroup.usage());
        Some(Ended { status, wanted: self.killed.is_some(), log, usage })
    }

    /// Asks it to end, once; after its grace it is ended.
    pub(crate) fn kill(&mut self) {
        let grace = self.app["taskKillGracePeriodSeconds"].as_u64().unwrap_or(3);
        match self.killed {
            None => {
                self.killed = Some(Instant::now());
                self.signal(libc::SIGTERM);
            }
            Some(asked) if asked.elapsed() > Duration::from_secs(grace) => self.signal(libc::SIGKILL),
            Some(_) => {}
        }
    }

    /// As if the machine had lost it.
    pub(crate) fn crash(&self) {
        self.signal(libc::SIGKILL);
    }

    /// As if it hung: it does nothing more, and what comes to its ports waits.
    pub(crate) fn hang(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// What its cgroup says, where it has one.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.cgroup.as_ref().map(Cgroup::usage)
    }

    /// Asks for its health when it is time to. Whether it has failed for good.
    pub(crate) fn check(&mut self, machine: &Host) -> bool {
        let check = &self.app["healthChecks"][0];
        if check.is_null() {
            self.healthy = true;
            return false;
        }
        let seconds = |name: &str| Duration::from_secs(check[name].as_u64().expect("a number of seconds"));
        let due = match self.checked {
            None => self.started.elapsed() >= seconds("delaySeconds"),
            Some(last) => last.elapsed() >= seconds("intervalSeconds"),
        };
        if due && self.killed.is_none() {
            self.checked = Some(Instant::now());
            // On this machine's loopback, as the executor asks.
            let index = check["portIndex"].as_u64().expect("a number") as usize;
            let port = ports(&self.app)[index];
            let path = check["path"].as_str().expect("a text");
            let answer = machine
                .connect(port)
                .map_err(|e| e.to_string())
                .and_then(|socket| http::get_within(socket, path, seconds("timeoutSeconds")));
            if answer.is_ok_and(|answer| (200..400).contains(&answer.status)) {
                self.healthy = true;
                self.failures = 0;
            } else if self.healthy || self.started.elapsed() > seconds("gracePeriodSeconds") {
                self.failures += 1;
            }
        }
        self.failures >= check["maxConsecutiveFailures"].as_u64().expect("a number")
    }

    fn signal(&self, signal: libc::c_int) {
        let group = -libc::pid_t::try_from(self.child.id()).expect("process ids fit");
        // SAFETY: no memory is involved. The group is the child's own; that it is gone is fine.
        unsafe { libc::kill(group, signal) };
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.signal(libc::SIGKILL);
        _ = self.child.wait();
    }
}

/// What is in the secret of this name.
pub(crate) fn secret(name: &str) -> String {
    format!("content-of-the-secret-{name}")
}

/// Ports of an app, in the order of its definitions.
pub(crate) fn ports(app: &Value) -> Vec<u16> {
    let port = |definition: &Value| definition["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    app["portDefinitions"].as_array().into_iter().flatten().filter_map(port).collect()
}

/// Everything that is in the environment of a task of DC/OS.
fn environment(id: &str, machine: &Host, app: &Value, sandbox: &Path) -> Vec<(String, String)> {
    let sandbox = sandbox.to_str().expect("a path that is text");
    let host = machine.address().to_string();
    let app_id = app["id"].as_str().expect("a text");
    let mut all: Vec<(String, String)> = [
        ("PATH", "/usr/bin:/bin"),
        ("SHELL", "/usr/bin/bash"),
        ("LIBPROCESS_NUM_WORKER_THREADS", "8"),
        ("LIBPROCESS_IP", &host),
        ("MESOS_AGENT_ENDPOINT", &format!("{host}:5051")),
        ("MESOS_CHECKPOINT", "1"),
        ("MESOS_CONTAINER_IP", &host),
        ("MESOS_DIRECTORY", sandbox),
        ("MESOS_EXECUTOR_ID", id),
        ("MESOS_FRAMEWORK_ID", FRAMEWORK_ID),
        ("MESOS_SANDBOX", sandbox),
        ("MESOS_SLAVE_ID", AGENT_ID),
        ("MESOS_TASK_ID", id),
        ("HOST", &host),
        ("MARATHON_APP_ID", app_id),
        ("MARATHON_APP_VERSION", "2020-01-01T00:00:00.000Z"),
        ("MARATHON_APP_RESOURCE_CPUS", &app["cpus"].to_string()),
        ("MARATHON_APP_RESOURCE_MEM", &app["mem"].to_string()),
        ("MARATHON_APP_RESOURCE_DISK", "0.0"),
        ("MARATHON_APP_RESOURCE_GPUS", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let all_ports = ports(app);
    for (n, (port, definition)) in
        all_ports.iter().zip(app["portDefinitions"].as_array().into_iter().flatten()).enumerate()
    {
        all.push((format!("PORT{n}"), port.to_string()));
        all.push((format!("PORT_{port}"), port.to_string()));
        let name = definition["name"].as_str().expect("ports have names").to_uppercase();
        all.push((format!("PORT_{name}"), port.to_string()));
    }
    if let Some(first) = all_ports.first() {
        all.push(("PORT".to_owned(), first.to_string()));
        let list: Vec<String> = all_ports.iter().map(ToString::to_string).collect();
        all.push(("PORTS".to_owned(), list.join(",")));
    }
    let labels = app["labels"].as_object().into_iter().flatten();
    let labels: Vec<(&String, &str)> = labels
        .filter_map(|(name, value)| Some((name, value.as_str().filter(|text| text.len() < 512)?)))
        .collect();
    let names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
    all.push(("MARATHON_APP_LABELS".to_owned(), names.join(" ")));
    all.extend(
        labels.iter().map(|(name, value)| (format!("MARATHON_APP_LABEL_{name}"), (*value).to_owned())),
    );
    let own = app["env"].as_object().into_iter().flatten();
    all.extend(own.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned())));
    all
}

/// As Mesos's fetcher does: into the sandbox, and unpacked beside the archive.
fn fetch(machine: &Host, item: &Value, sandbox: &Path) {
    let uri = item["uri"].as_str().expect("a text");
    let (server, path) =
        uri.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a plain URI");
    let SocketAddr::V4(server) = server.parse().expect("an address and a port") else { panic!("{uri}") };
    let mut socket = machine.connect_to(*server.ip(), server.port()).expect("agents reach the web server");
    write!(socket, "GET /{path} HTTP/1.0\r\n\r\n").expect("the web server reads");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("the web server answers");
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer with a head") + 4;
    assert!(answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"), "{uri} is not there");
    let file = sandbox.join(path.rsplit('/').next().expect("a name"));
    std::fs::write(&file, &answer[body..]).expect("a sandbox can be written to");
    if item["extract"] != false && file.to_str().is_some_and(|name| name.ends_with(".tar.gz")) {
        let status = Command::new("tar").arg("-C").arg(sandbox).arg("-xzf").arg(&file).status();
        assert!(status.is_ok_and(|status| status.success()), "{} is no archive", file.display());
    }
}

/// What a cgroup has counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Most memory at once, in bytes.
    pub(crate) memory: u64,
    /// Processor time, in seconds.
    pub(crate) cpu: f64,
    /// Periods of 100 ms in which there was not enough of it.
    pub(crate) throttled: u64,
}

/// A cgroup of exactly a task's size: memory, and a quota of processor time. Gone when it is dropped.
struct Cgroup {
    folders: Vec<PathBuf>,
    entrances: String,
}

impl Cgroup {
    /// None where this process may not make one.
    fn make(id: &str, cpus: f64, mem: f64) -> Option<Cgroup> {
        let root = Path::new("/sys/fs/cgroup");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sizes of tasks are small"
        )]
        let (quota, memory) = ((cpus * 100_000.0) as u64, (mem * 1_048_576.0) as u64);
        let mut limits: Vec<(PathBuf, Vec<(&str, String)>)> = Vec::new();
        if root.join("cgroup.controllers").exists() {
            _ = std::fs::write(root.join("cgroup.subtree_control"), "+cpu +memory");
            let limit = vec![("cpu.max", format!("{quota} 100000")), ("memory.max", memory.to_string())];
            limits.push((root.join(id), limit));
        } else {
            let cpu =
                vec![("cpu.cfs_period_us", "100000".to_owned()), ("cpu.cfs_quota_us", quota.to_string())];
            limits.push((root.join("cpu").join(id), cpu));
            limits.push((root.join("cpuacct").join(id), Vec::new()));
            limits.push((root.join("memory").join(id), vec![("memory.limit_in_bytes", memory.to_string())]));
        }
        let mut cgroup = Cgroup { folders: Vec::new(), entrances: String::new() };
        for (folder, files) in limits {
            std::fs::create_dir(&folder).ok()?;
            cgroup.folders.push(folder.clone());
            for (file, value) in files {
                std::fs::write(folder.join(file), value).ok()?;
            }
        }
        let procs =
            |folder: &PathBuf| folder.join("cgroup.procs").to_str().expect("a path that is text").to_owned();
        cgroup.entrances = cgroup.folders.iter().map(procs).collect::<Vec<_>>().join(" ");
        Some(cgroup)
    }

    fn entrances(&self) -> &str {
        &self.entrances
    }

    fn usage(&self) -> Usage {
        let read = |name: &str| {
            self.folders.iter().find_map(|folder| std::fs::read_to_string(folder.join(name)).ok())
        };
        let number = |name: &str| read(name).and_then(|text| text.trim().parse::<u64>().ok());
        let stat = read("cpu.stat").unwrap_or_default();
        let of =
            |word: &str| stat.lines().find_map(|line| line.strip_prefix(word)?.trim().parse::<u64>().ok());
        let microseconds =
            of("usage_usec").or_else(|| number("cpuacct.usage").map(|ns| ns / 1000)).unwrap_or(0);
        Usage {
            memory: number("memory.peak").or_else(|| number("memory.max_usage_in_bytes")).unwrap_or(0),
            cpu: Duration::from_micros(microseconds).as_secs_f64(),
            throttled: of("nr_throttled").unwrap_or(0),
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            // One that was just emptied may be busy for a moment.
            for _ in 0..50 {
                if std::fs::remove_dir(folder).is_ok() {
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
    }
}

impl Ended {
    /// The exit code, or the signal's name.
    pub(crate) fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, signal) => format!("signal {signal:?}"),
        }
    }
}
