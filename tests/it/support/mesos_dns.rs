//! Mesos-DNS: the real one, by `ci/mesos-dns`, with a stand-in master to ask; and a stand-in for its HTTP API.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use axum::Router;
use axum::http::Uri;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::serve::Server;
use super::{eventually, http, once, repository};

/// The real Mesos-DNS. Killed when dropped.
pub(crate) struct MesosDns {
    process: Child,
    dns: SocketAddr,
    http: SocketAddr,
    _master: Server,
    _folder: TempDir,
}

impl MesosDns {
    /// One that knows these tasks of Marathon by name, each with one port. A name without a dot has its port called
    /// `api`; one with a dot, which is a service in a folder, has no more than Mesos knows by itself.
    pub(crate) fn start(tasks: &[(&str, u16)]) -> MesosDns {
        let tasks: Vec<Value> = tasks.iter().map(|(name, port)| task(name, *port)).collect();
        let known = tasks[0]["name"].as_str().expect("a name").to_owned();
        // Its answers name the address that was asked.
        let router = Router::new().fallback(move |headers: axum::http::HeaderMap| {
            let leader = headers["host"].to_str().expect("an address").to_owned();
            let state = json!({
                "leader": format!("master@{leader}"),
                "slaves": [{ "id": "S1", "hostname": "127.0.0.1", "pid": "slave(1)@127.0.0.1:5051" }],
                "frameworks": [{ "name": "marathon", "tasks": tasks }],
            });
            std::future::ready(state.to_string())
        });
        let master = Server::start(router);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (process, dns, http) = eventually("Mesos-DNS has ports to itself", || {
            let (dns, http) = (free_port(), free_port());
            let config = json!({
                "masters": [master.address().to_string()], "refreshSeconds": 1,
                "listener": "127.0.0.1", "port": dns.port(), "httplistener": "127.0.0.1", "httpport": http.port(),
                "externalon": false, "IPSources": ["host", "netinfo"],
            });
            let path = folder.path().join("config.json");
            std::fs::write(&path, config.to_string()).expect("a temporary file");
            let log = std::fs::File::create(folder.path().join("log")).expect("a temporary file");
            let mut process = Command::new(program())
                .arg(format!("-config={}", path.display()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("the program can be started");
            wait_until_it_knows(&mut process, http, &known)?;
            Ok((process, dns, http))
        });
        MesosDns { process, dns, http, _master: master, _folder: folder }
    }

    /// `ip:port` of DNS.
    pub(crate) fn dns(&self) -> String {
        self.dns.to_string()
    }

    /// `http://host:port` of its HTTP API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }
}

impl Drop for MesosDns {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn task(name: &str, port: u16) -> Value {
    let mut task = json!({
        "id": format!("{name}.1"), "name": name, "slave_id": "S1", "state": "TASK_RUNNING",
        "resources": { "ports": format!("[{port}-{port}]") },
    });
    if !name.contains('.') {
        let ports = json!([{ "number": port, "name": "api", "protocol": "tcp" }]);
        task["discovery"] = json!({ "name": name, "ports": { "ports": ports } });
    }
    task
}

/// The program's path; built the first time.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let made = Command::new(repository("ci/mesos-dns")).stderr(Stdio::inherit()).output();
        let made = made.expect("ci/mesos-dns can be started");
        assert!(made.status.success(), "ci/mesos-dns: {}", made.status);
        String::from_utf8(made.stdout).expect("a path").trim().to_owned()
    })
}

/// A port that is free for UDP and TCP now. It may be taken before it is used; then there is another.
fn free_port() -> SocketAddr {
    eventually("a port is free for UDP and TCP", || {
        let tcp = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
        let address = tcp.local_addr().map_err(|e| e.to_string())?;
        UdpSocket::bind(address).map_err(|e| e.to_string())?;
        Ok(address)
    })
}

/// Waits until it has read the master's state. `Err`: it has ended, as it does where its port is taken.
fn wait_until_it_knows(process: &mut Child, http: SocketAddr, task: &str) -> Result<(), String> {
    let label: Vec<&str> = task.split('.').collect();
    let path = format!("/v1/services/_{}._tcp.marathon.mesos.", label.join("-"));
    eventually("Mesos-DNS knows its tasks", || {
        if let Some(status) = process.try_wait().expect("it is our child") {
            return Ok(Err(format!("it ended: {status}")));
        }
        let answer = http::try_get(http, &path)?;
        once(answer.body.contains("127.0.0.1"), || answer.body).map(Ok)
    })
}

/// A stand-in for its HTTP API that knows these names, each at a port of loopback.
pub(crate) fn stand_in(services: &[(&str, u16)]) -> Server {
    let services: Vec<(String, u16)> =
        services.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect();
    Server::start(Router::new().fallback(move |uri: Uri| {
        let name = uri.path().trim_start_matches("/v1/services/");
        let of_name = services.iter().filter(|(known, _)| known == name);
        let mut records: Vec<Value> = of_name
            .map(|(name, port)| {
                json!({ "service": name, "host": "kafka-s1.marathon.mesos.", "ip": "127.0.0.1", "port": port.to_string() })
            })
            .collect();
        if records.is_empty() {
            records.push(json!({ "service": "", "host": "", "ip": "", "port": "" }));
        }
        std::future::ready(Value::from(records).to_string())
    }))
}
