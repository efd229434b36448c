//! The life of the package on a cluster of three agents, from install to uninstall: what Cosmos renders is fetched, run,
//! checked, killed, changed, upgraded and removed as Marathon and Mesos do it, and a real Kafka receives from all three.
//!
//! The agents are network namespaces of this machine, which takes root or user namespaces. `ci/rehearse` runs it with the
//! artifact that is shipped and prints what was measured; as one of the tests it runs with the programs that are tested.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::cluster::{Host, Inside, MASTER};
use crate::support::cosmos::render;
use crate::support::kafka::Broker;
use crate::support::marathon::{self, Marathon};
use crate::support::prometheus::Prometheus;
use crate::support::record::{Datapoint, Record, Tag};
use crate::support::scheduler::{Generation, Scheduler};
use crate::support::sender::Sender;
use crate::support::serve::Server;
use crate::support::task::secret;
use crate::support::universe::{json_file, pack};
use crate::support::{consumer, eventually, http, ocf, once, repository};

/// Port of the web server with the package's files.
const FILES_PORT: u16 = 8081;

/// The broker's address, as the scheduler lists it.
const BROKER: &str = "10.77.0.1:9092";

/// Media type by which Cosmos takes a repository document.
const REPOSITORY_TYPE: &str = "application/vnd.dcos.universe.repo+json;charset=utf-8;version=v4";

/// The service's id.
const ID: &str = "/metrics-collector";

/// The topic of the records that are sent here, as records name it.
const TOPIC: &str = "rehearsal";

#[test]
fn the_package_lives_from_install_to_uninstall() {
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os("REHEARSAL_INSIDE").is_none() {
        make_package(&folder.path().join("package"));
    }
    let test = "rehearsal::the_package_lives_from_install_to_uninstall";
    let Some(inside) = Inside::enter(test, folder.path()) else { return };
    let mut rehearsal = Rehearsal::prepare(&inside);
    rehearsal.installs();
    rehearsal.prometheus_finds_all_three(inside.folder());
    rehearsal.a_default_share_is_enough();
    rehearsal.a_crash_is_started_again();
    rehearsal.one_that_hangs_is_replaced();
    rehearsal.options_change();
    rehearsal.a_new_version_takes_over();
    rehearsal.it_scales();
    rehearsal.an_agent_is_lost_and_comes_back();
    rehearsal.the_sample_producer_runs();
    rehearsal.uninstalls();
}

/// Packs the programs under test, or takes the package that `REHEARSE_PACKAGE` names.
fn make_package(folder: &Path) {
    if let Some(made) = std::env::var_os("REHEARSE_PACKAGE") {
        std::os::unix::fs::symlink(std::path::absolute(made).unwrap(), folder).unwrap();
        return;
    }
    let output = pack(&format!("http://{MASTER}:{FILES_PORT}"), folder, None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Serves the files of `folder`, as any web server that is told the media type of the repository.
fn serve_files(folder: PathBuf) -> Server {
    let router = Router::new().fallback(async move |uri: Uri| -> Response {
        let Ok(bytes) = std::fs::read(folder.join(uri.path().trim_start_matches('/'))) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let kind =
            if uri.path() == "/repository.json" { REPOSITORY_TYPE } else { "application/octet-stream" };
        ([(header::CONTENT_TYPE, kind)], Body::from(bytes)).into_response()
    });
    Server::on(TcpListener::bind((MASTER, FILES_PORT)).unwrap(), router)
}

/// All that is on the stage.
struct Rehearsal {
    hosts: Arc<Vec<Host>>,
    marathon: Marathon,
    /// The package, as Cosmos has it from the repository.
    package: Value,
    /// What the operator has chosen so far.
    options: Value,
    /// How many records each agent's sender has sent.
    sent: [u32; 3],
    // In the order in which they end.
    _files: Server,
    _scheduler: Scheduler,
    _kafka: Broker,
}

impl Rehearsal {
    /// The cluster before the install: a Kafka with its scheduler, three agents, and a web server with the repository.
    fn prepare(inside: &Inside) -> Rehearsal {
        let hosts = Arc::new((1..=3).map(Host::new).collect::<Vec<Host>>());
        for host in hosts.iter() {
            // Served until the process ends.
            let agent = Agent::on(host.listen(5051));
            agent.rename(host.name());
            agent.add("c-1", "framework", "shop");
        }
        let kafka = Broker::with_properties(&[
            &format!("listeners=PLAINTEXT://{BROKER},CONTROLLER://127.0.0.1:9093"),
            &format!("advertised.listeners=PLAINTEXT://{BROKER}"),
            "controller.quorum.voters=1@127.0.0.1:9093",
        ]);
        let api = TcpListener::bind((MASTER, 80)).unwrap();
        let scheduler = Scheduler::on(api, Generation::Endpoints, &[BROKER]);
        let files = serve_files(inside.folder().join("package"));
        let repository = http::get((MASTER, FILES_PORT).into(), "/repository.json");
        assert!(repository.head.contains(&format!("content-type: {REPOSITORY_TYPE}")), "{}", repository.head);
        let package = repository.json()["packages"][0].clone();
        let marathon = Marathon::start(Arc::clone(&hosts), inside.folder().join("agents"));
        let options = json!({});
        Rehearsal {
            hosts,
            marathon,
            package,
            options,
            sent: [0; 3],
            _files: files,
            _scheduler: scheduler,
            _kafka: kafka,
        }
    }

    /// What `dcos package install`, or a change of options, gives to Marathon.
    fn put(&self) {
        let app = render(&self.package, &self.options)
            .unwrap_or_else(|error| panic!("{}: {error:#}", self.options));
        self.marathon.put(&app);
    }

    fn http_port(&self) -> u16 {
        self.options["http"]["http-port"].as_u64().map_or(8128, |port| port.try_into().unwrap())
    }

    /// The books of one collector, which it shows on its own machine.
    fn ledger(&self, host: usize) -> Result<Value, String> {
        let socket = self.hosts[host].connect(self.http_port()).map_err(|e| e.to_string())?;
        Ok(http::get_over(socket, "/v1/ledger")?.json())
    }

    /// Asks the collector of an agent, on its own machine, for a change.
    fn write_on(&self, host: usize, headers: &[(&str, &str)]) -> http::Answer {
        let socket = self.hosts[host].connect(self.http_port()).unwrap();
        http::send_over(socket, "PATCH", "/v1/config", headers, &json!({"log-level": "debug"}))
    }

    /// Sends `n` records more on an agent, and waits until the collector there has accepted them.
    fn send(&mut self, host: usize, n: u32) {
        let accepted = || -> u64 {
            let page = self.hosts[host].connect(self.http_port()).map_err(|e| e.to_string());
            let page = page.and_then(|socket| http::get_over(socket, "/metrics")).unwrap().body;
            let records =
                page.lines().filter(|line| line.starts_with("metrics_collector_input_records_total"));
            records.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
        };
        let before = accepted();
        let first = self.sent[host];
        let mut sender = Sender::over(self.hosts[host].connect(8124).unwrap());
        sender.send(&ocf::stream(&numbered(host, first..first + n)));
        // Polled records are counted too, so that the number alone would not do.
        sender.half_close();
        sender.wait_ending();
        eventually("what was sent is accepted", || {
            let now = accepted();
            once(now >= before + u64::from(n), || format!("{now} after {before}"))
        });
        self.sent[host] += n;
    }

    /// Every record that was sent is in Kafka. None is there twice, as none had to be sent again.
    fn check_arrived(&self) {
        let n_sent: u32 = self.sent.iter().sum();
        let messages = consumer::read(BROKER, &format!("metrics-{TOPIC}"), n_sent as usize);
        let mut arrived: Vec<u32> = consumer::records(&messages).iter().map(Record::number).collect();
        arrived.sort_unstable();
        let mut expected: Vec<u32> = (0..3)
            .flat_map(|host| numbered(host, 0..self.sent[host]))
            .map(|record| record.number())
            .collect();
        expected.sort_unstable();
        assert_eq!(arrived, expected);
    }

    /// Tasks that have ended since the last time: as they were asked to, after a drain.
    fn check_ended(&self, n_tasks: usize) {
        let ended = self.marathon.take_ended();
        for task in &ended {
            assert!(task.wanted && task.status.code() == Some(0), "{}: {task:#?}", task.how());
            assert!(!task.log.contains("not delivered within"), "{task:#?}");
        }
        assert_eq!(ended.len(), n_tasks, "{ended:#?}");
        let most = ended.iter().filter_map(|task| task.usage).map(|usage| usage.memory).max();
        if let Some(most) = most {
            println!("rehearsal: most memory of a collector that has ended: {:.1} MiB", mib(most));
        }
    }

    // --- the acts ------------------------------------------------------------------------------------------------

    fn installs(&mut self) {
        let begun = Instant::now();
        self.put();
        let mut agents = Vec::new();
        eventually("all three agents are in Kafka", || {
            let messages = consumer::read_messages(BROKER, "metrics-agent", 1);
            agents = consumer::records(&messages).iter().filter_map(agent_of).collect();
            agents.sort();
            agents.dedup();
            once(agents.len() == 3, || format!("{agents:?}"))
        });
        println!(
            "rehearsal: from install to the first record in Kafka of all three agents: {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        assert_eq!(agents, ["agent-1", "agent-2", "agent-3"]);
        self.marathon.wait_healthy(ID, 3);
        assert_eq!(self.marathon.places(ID), [0, 1, 2]);
        // 256 are wanted, and the rest wait for agents that come later.
        assert_eq!(self.marathon.waiting(ID), 253);
        for host in 0..3 {
            self.send(host, 100);
            // From elsewhere the open routes answer, and no other.
            let address = (self.hosts[host].address(), 8128).into();
            eventually("it is ready", || {
                let ready = http::get(address, "/-/ready");
                once(ready.status == 200, || ready.body.clone())
            });
            assert_eq!(http::get(address, "/v1/status").status, 403);
            // Being on the same machine makes nobody a writer, and there is no token.
            let refused = self.write_on(host, &[]);
            assert!(refused.status == 403 && refused.body.contains("no_token_configured"), "{refused:?}");
            let input = (self.hosts[host].address(), 8124);
            assert!(
                self.hosts[(host + 1) % 3].connect_to(input.0, input.1).is_err(),
                "the input is for its agent alone"
            );
        }
        self.check_arrived();
    }

    fn prometheus_finds_all_three(&self, folder: &Path) {
        let prometheus = Prometheus::start(folder, MASTER.into(), &scrape_configs());
        let found = eventually("Prometheus has scraped all three", || {
            let series =
                prometheus.query("metrics_collector_output_delivered_records_total{output=\"kafka\"}");
            let found: Vec<(String, String)> = series
                .iter()
                .map(|series| {
                    let of = |label: &str| series["metric"][label].as_str().unwrap_or_default().to_owned();
                    (of("agent"), of("service"))
                })
                .collect();
            if found.len() == 3 { Ok(found) } else { Err(format!("{series:?}; {}", prometheus.said())) }
        });
        let mut expected: Vec<(String, String)> =
            self.hosts.iter().map(|host| (host.address().to_string(), ID.to_owned())).collect();
        let mut found = found;
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        // One target for each, at the port for HTTP, and none at the input's.
        let up = prometheus.query("up");
        let instances: Vec<&str> =
            up.iter().map(|series| series["metric"]["instance"].as_str().unwrap()).collect();
        assert!(instances.len() == 3 && instances.iter().all(|of| of.ends_with(":8128")), "{up:?}");
    }

    /// 10,000 datapoints a second for some seconds: all arrive, in the memory and processor time of the default.
    fn a_default_share_is_enough(&mut self) {
        const SECONDS: u32 = 10;
        const DATAPOINTS: u32 = 10_000;
        const IN_A_RECORD: u32 = 20;
        let before = self.marathon.usage(ID, 0);
        let begun = Instant::now();
        let mut sender = Sender::over(self.hosts[0].connect(8124).unwrap());
        sender.send(&ocf::header(ocf::SCHEMA, Some("null")));
        let a_tenth = DATAPOINTS / IN_A_RECORD / 10;
        for tenth in 0..SECONDS * 10 {
            let first = self.sent[0];
            let records: Vec<Record> = numbered(0, first..first + a_tenth)
                .into_iter()
                .map(|record| wide(record, IN_A_RECORD))
                .collect();
            sender.send(&ocf::block(&records));
            self.sent[0] += a_tenth;
            thread::park_timeout((Duration::from_millis(100) * (tenth + 1)).saturating_sub(begun.elapsed()));
        }
        let sent_in = begun.elapsed();
        self.check_arrived();
        let ledger = self.ledger(0).unwrap();
        let kafka = &ledger["outputs"]["kafka"];
        assert_eq!(kafka["imbalance"], 0, "{ledger}");
        assert!(kafka["lost"].as_object().unwrap().values().all(|n| *n == 0), "{ledger}");
        let rate = f64::from(SECONDS * DATAPOINTS) / sent_in.as_secs_f64();
        match (before, self.marathon.usage(ID, 0)) {
            (Some(before), Some(after)) => println!(
                "rehearsal: {rate:.0} datapoints/s for {SECONDS} s with cpus 0.1 and mem 128: {:.2} s of processor time, \
                 too little of it in {} periods of 100 ms, {} before; peak memory {:.1} MiB, start included",
                after.cpu - before.cpu,
                after.throttled - before.throttled,
                before.throttled,
                mib(after.memory)
            ),
            _ => println!(
                "rehearsal: {rate:.0} datapoints/s, not measured against cpus and mem: no cgroup to be had here"
            ),
        }
    }

    fn a_crash_is_started_again(&mut self) {
        self.marathon.crash(ID, 1);
        eventually("it has ended", || {
            let ended = self.marathon.take_ended();
            once(ended.len() == 1 && !ended[0].wanted, || format!("{ended:#?}"))
        });
        self.marathon.wait_healthy(ID, 3);
        self.send(1, 50);
        self.check_arrived();
    }

    /// One that fails its health checks is asked to end, then killed, and another takes its place.
    fn one_that_hangs_is_replaced(&mut self) {
        let mut app = render(&self.package, &self.options).unwrap();
        // The rules of the package take minutes; what is done by them is the same.
        let check = &mut app["healthChecks"][0];
        check["intervalSeconds"] = json!(1);
        check["timeoutSeconds"] = json!(2);
        check["maxConsecutiveFailures"] = json!(3);
        app["taskKillGracePeriodSeconds"] = json!(1);
        self.marathon.put(&app);
        self.marathon.wait_healthy(ID, 3);
        self.marathon.take_ended();
        self.send(1, 50);
        self.check_arrived();
        self.marathon.hang(ID, 1);
        eventually("it has been killed", || {
            let ended = self.marathon.take_ended();
            let killed = ended.iter().any(|task| task.wanted && task.status.signal() == Some(libc::SIGKILL));
            once(killed, || format!("{ended:#?}"))
        });
        self.marathon.wait_healthy(ID, 3);
        self.send(1, 50);
        self.check_arrived();
        self.put();
        self.marathon.wait_healthy(ID, 3);
        self.marathon.take_ended();
    }

    /// Ports, the user, who reaches the input: all collectors are replaced, and what they had accepted is delivered.
    fn options_change(&mut self) {
        for host in 0..3 {
            self.send(host, 50);
        }
        self.options = json!({
            "service": {"user": "nobody", "log-format": "json"},
            "http": {"http-port": 9128},
            "input": {"listen-address": "0.0.0.0"},
            "kafka": {"kafka-produce-period-ms": 500},
            "security": {"http-token-secret": "metrics-collector/token"},
        });
        self.put();
        self.marathon.wait_healthy(ID, 3);
        self.check_ended(3);
        for host in 0..3 {
            let old = (self.hosts[host].address(), 8128);
            assert!(self.hosts[host].connect_to(old.0, old.1).is_err(), "the old port is free");
            self.send(host, 50);
            assert!(
                self.hosts[(host + 1) % 3].connect_to(self.hosts[host].address(), 8124).is_ok(),
                "all reach the input"
            );
            // The secret is a file that the collector's user can read.
            let address = (self.hosts[host].address(), 9128).into();
            let token = format!("Bearer {}", secret("http-token"));
            assert_eq!(http::request(address, "GET", "/v1/status", &[]).status, 401);
            let bearer = [("Authorization", token.as_str())];
            assert_eq!(http::request(address, "GET", "/v1/status", &bearer).status, 200);
            assert_eq!(self.write_on(host, &[]).status, 401);
            let changed = http::send(address, "PATCH", "/v1/config", &bearer, &json!({"log-level": "debug"}));
            assert_eq!(
                (changed.status, &changed.json()["changed"]),
                (200, &json!(["log-level"])),
                "{changed:?}"
            );
        }
        self.check_arrived();
    }

    fn a_new_version_takes_over(&mut self) {
        for host in 0..3 {
            self.send(host, 50);
        }
        self.package["version"] = json!("99.0.0");
        self.put();
        self.marathon.wait_healthy(ID, 3);
        self.check_ended(3);
        self.send(2, 50);
        self.check_arrived();
    }

    fn it_scales(&mut self) {
        self.options["service"]["instances"] = json!(2);
        self.put();
        self.marathon.wait_healthy(ID, 2);
        self.options["service"]["instances"] = json!(3);
        self.put();
        self.marathon.wait_healthy(ID, 3);
        assert_eq!(self.marathon.waiting(ID), 0);
        self.marathon.take_ended();
    }

    fn an_agent_is_lost_and_comes_back(&mut self) {
        self.check_arrived();
        self.marathon.set_lost(2, true);
        self.marathon.wait_healthy(ID, 2);
        assert_eq!(self.marathon.places(ID), [0, 1]);
        assert_eq!(self.marathon.waiting(ID), 1, "nowhere else is there room for it");
        self.send(0, 20);
        self.marathon.set_lost(2, false);
        self.marathon.wait_healthy(ID, 3);
        self.send(2, 20);
        self.check_arrived();
        self.marathon.take_ended();
    }

    fn the_sample_producer_runs(&self) {
        let mut app = json_file("marathon/sample-producer.json");
        app["fetch"][0]["uri"] = self.package["resource"]["assets"]["uris"]["metrics-collector"].clone();
        self.marathon.put(&app);
        let messages = consumer::read(BROKER, "sample_metrics", 1);
        assert!(!messages.is_empty());
        self.marathon.delete("/sample-producer");
        self.check_ended(1);
    }

    fn uninstalls(&mut self) {
        for host in 0..3 {
            self.send(host, 50);
        }
        let begun = Instant::now();
        self.marathon.delete(ID);
        println!("rehearsal: uninstall, the last records delivered: {:.1} s", begun.elapsed().as_secs_f64());
        self.check_ended(3);
        for host in self.hosts.iter() {
            assert!(
                host.connect(8124).is_err() && host.connect(9128).is_err(),
                "nobody is left on {}",
                host.name()
            );
        }
        self.check_arrived();
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// Records of an agent's sender; no two agents have the same numbers.
fn numbered(host: usize, numbers: std::ops::Range<u32>) -> Vec<Record> {
    let first = u32::try_from(host).unwrap() * 10_000_000;
    numbers.map(|n| Record::numbered(TOPIC, first + n)).collect()
}

/// The same record with so many datapoints.
fn wide(mut record: Record, datapoints: u32) -> Record {
    let time_ms = record.datapoints[0].time_ms;
    record.datapoints.extend((1..datapoints).map(|n| Datapoint {
        name: format!("statistic.{n}"),
        time_ms,
        value: f64::from(n),
    }));
    record
}

fn agent_of(record: &Record) -> Option<String> {
    record.tags.iter().find(|Tag { key, .. }| key == "agent_id").map(|tag| tag.value.clone())
}

/// The scrape configuration of `docs/operations.md`, for the masters of this cluster.
fn scrape_configs() -> String {
    let page = std::fs::read_to_string(repository("docs/operations.md")).unwrap();
    let (_, job) = page.split_once("scrape_configs:\n").expect("the page has a scrape configuration");
    let (job, _) = job.split_once("```").expect("which ends");
    job.replace("marathon.mesos:8080", &format!("{MASTER}:{}", marathon::PORT)).replace("30s", "1s")
}
