//! A real Apache Kafka on loopback, by `ci/kafka-up`.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tempfile::TempDir;

use super::lines::Lines;
use super::{eventually, repository};

/// Name and password of the one who may log in at a strict broker's SASL listeners.
pub(crate) const USER: (&str, &str) = ("collector", "plain-secret");

/// How long `ci/kafka-up` may take until a broker is there. It gives up itself before.
const START_WITHIN: Duration = Duration::from_secs(240);

/// A running broker. It ends with this process at the latest, because then its standard input closes.
pub(crate) struct Broker {
    process: Child,
    line: Bootstrap,
}

/// What `ci/kafka-up` prints: `bootstrap HOST:PORT LISTENER=HOST:PORT ... dir=DIR`.
struct Bootstrap {
    plain: String,
    named: BTreeMap<String, String>,
}

impl Bootstrap {
    fn parse(line: &str) -> Option<Bootstrap> {
        let mut words = line.strip_prefix("bootstrap ")?.split_whitespace();
        let plain = words.next()?.to_owned();
        let named = words.map(|w| w.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())));
        Some(Bootstrap { plain, named: named.collect::<Option<_>>()? })
    }
}

impl Broker {
    /// The broker of all tests that have no wishes: plain text, topics made on first use.
    pub(crate) fn shared() -> &'static Broker {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| Broker::start(None, &[]))
    }

    /// The broker that asks who is there: TLS, client certificates, SASL with [`USER`], access rules, and topics
    /// only where somebody makes them. At its plain listener everybody may do everything.
    pub(crate) fn strict() -> &'static Broker {
        static STRICT: OnceLock<Broker> = OnceLock::new();
        let user = format!("{}={}", USER.0, USER.1);
        let properties = [
            "auto.create.topics.enable=false",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS",
            "allow.everyone.if.no.acl.found=true",
        ];
        let mut options = vec!["--listener", "SSL", "--listener", "MTLS", "--listener", "SASL_SSL"];
        options.extend(["--user", &user]);
        options.extend(properties.iter().flat_map(|p| ["--property", p]));
        STRICT.get_or_init(|| Broker::start(None, &options))
    }

    /// One with lines of its own in its configuration.
    pub(crate) fn with_properties(properties: &[&str]) -> Broker {
        let options: Vec<&str> = properties.iter().flat_map(|property| ["--property", property]).collect();
        Broker::start(None, &options)
    }

    fn start(dir: Option<&Path>, options: &[&str]) -> Broker {
        let mut process = kafka_up(dir, options)
            .arg("--until-stdin-closes")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ci/kafka-up can be started");
        let said = Lines::of(process.stdout.take().expect("piped")).next_within(START_WITHIN);
        let line = match &said {
            Ok(Some(line)) => Bootstrap::parse(line),
            // With this process's end of its standard input it ends, and what it has started.
            Ok(None) | Err(_) => None,
        };
        let line = line.unwrap_or_else(|| panic!("ci/kafka-up: {said:?}; see its words above"));
        Broker { process, line }
    }

    /// `host:port` of the plain listener.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.line.plain
    }

    /// `host:port` of a listener by its name: `SSL`, `MTLS`, `SASL_SSL`.
    pub(crate) fn listener(&self, name: &str) -> &str {
        &self.line.named[name]
    }

    /// A file of the test certificates, for a command line; see `ci/kafka-certs`.
    pub(crate) fn certificate(&self, file: &str) -> String {
        self.dir().join("certs").join(file).to_str().expect("temporary paths are text").to_owned()
    }

    fn dir(&self) -> PathBuf {
        PathBuf::from(&self.line.named["dir"])
    }

    /// The folder of one partition, such as `topic-0`.
    pub(crate) fn data(&self, partition: &str) -> PathBuf {
        self.dir().join("data").join(partition)
    }

    /// Makes a topic. `settings` are Kafka's topic properties.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            .create()
            .expect("an admin client needs no more than brokers");
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let made = block_on(admin.create_topics([&topic], &options));
        assert!(matches!(made.as_deref(), Ok([Ok(_)])), "topic {name} was not made: {made:?}");
    }

    /// Forbids [`USER`] to write to `topic`.
    pub(crate) fn deny_write(&self, topic: &str) {
        let principal = format!("User:{}", USER.0);
        let rule = ["--add", "--topic", topic, "--operation", "Write", "--deny-principal", &principal];
        self.tool("org.apache.kafka.tools.AclCommand", &rule);
    }

    /// Runs one of Kafka's own tools against the plain listener; `class` is its Java class.
    pub(crate) fn tool(&self, class: &str, args: &[&str]) {
        let jars = Command::new(repository("ci/kafka-up")).arg("--jars").output().expect("ci/kafka-up runs");
        let jars = String::from_utf8(jars.stdout).expect("a path that is text");
        let output = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-cp", &format!("{}/*", jars.trim()), class])
            .args(["--bootstrap-server", self.bootstrap()])
            .args(args)
            .output()
            .expect("java can be started");
        assert!(output.status.success(), "{class} {args:?}: {output:#?}");
    }
}

/// A broker of one test: it may be stopped, killed and started again with its data, at the same address or another. Only
/// one test at a time has one, or two of one cluster, so that a small machine is not full of brokers.
pub(crate) struct OwnBroker {
    running: Option<Broker>,
    bootstrap: String,
    dir: TempDir,
    /// None: it is the second of a cluster.
    _turn: Option<MutexGuard<'static, ()>>,
}

impl OwnBroker {
    /// A place for a broker: its address is fixed, but nothing runs yet.
    pub(crate) fn prepared() -> OwnBroker {
        OwnBroker::prepared_with(&[])
    }

    /// The same for another release of Kafka than that of the tests.
    pub(crate) fn prepared_of(version: Option<&str>) -> OwnBroker {
        let options: Vec<&str> = version.iter().flat_map(|version| ["--version", *version]).collect();
        OwnBroker::prepared_with(&options)
    }

    /// The same with options of `ci/kafka-up`.
    pub(crate) fn prepared_with(options: &[&str]) -> OwnBroker {
        static TURN: Mutex<()> = Mutex::new(());
        // Another test's failure is no reason to fail this one.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        OwnBroker { _turn: Some(turn), ..OwnBroker::at_a_new_place(options) }
    }

    /// A place for a second broker of this one's cluster. This one has to run when the other is started for the first
    /// time, and is the cluster's controller.
    pub(crate) fn second(&self, options: &[&str]) -> OwnBroker {
        let cluster = self.dir.path().to_str().expect("temporary paths are text");
        OwnBroker::at_a_new_place(&[&["--join", cluster], options].concat())
    }

    fn at_a_new_place(options: &[&str]) -> OwnBroker {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let bootstrap = prepare(dir.path(), options);
        OwnBroker { running: None, bootstrap, dir, _turn: None }
    }

    /// Gives it another address, at which it starts from now on. Nobody will be at the old one.
    pub(crate) fn relocate(&mut self) {
        assert!(self.running.is_none(), "it is stopped first");
        self.bootstrap = prepare(self.dir.path(), &["--move"]);
    }

    /// One that runs.
    pub(crate) fn started() -> OwnBroker {
        let mut broker = OwnBroker::prepared();
        broker.start();
        broker
    }

    /// `host:port`, also while it does not run.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Starts it, for the first time or again.
    pub(crate) fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        self.running = Some(Broker::start(Some(self.dir.path()), &[]));
    }

    /// Stops it as an operator would, and waits until it is gone.
    pub(crate) fn stop(&mut self) {
        drop(self.running.take().expect("it runs"));
    }

    /// Ends it with SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let mut broker = self.running.take().expect("it runs");
        let pid =
            std::fs::read_to_string(self.dir.path().join("pid")).expect("a running broker has a pid file");
        let pid: libc::pid_t = pid.trim().parse().expect("ci/kafka-up writes a number");
        // SAFETY: no memory is involved; the process is the broker that our own child started and still waits for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0, "the broker runs");
        broker.wait_end();
    }
}

impl Deref for OwnBroker {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        self.running.as_ref().expect("it runs")
    }
}

impl Broker {
    fn wait_end(&mut self) {
        eventually("the broker ends", || match self.process.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let ended = catch_unwind(AssertUnwindSafe(|| self.wait_end()));
        // A second panic of a test would end the others, and hide the first.
        if let Err(panic) = ended
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

/// A topic name that no other test and no earlier run has.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs a future of a client that has threads of its own.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Makes a folder for a broker, or changes it, and gives the broker's `host:port`.
fn prepare(dir: &Path, options: &[&str]) -> String {
    let options = [&["--prepare"], options].concat();
    let said = kafka_up(Some(dir), &options).output().expect("ci/kafka-up runs");
    let line = Bootstrap::parse(&String::from_utf8_lossy(&said.stdout));
    line.unwrap_or_else(|| panic!("ci/kafka-up {options:?}: {said:#?}")).plain
}

fn kafka_up(dir: Option<&Path>, options: &[&str]) -> Command {
    let mut command = Command::new(repository("ci/kafka-up"));
    command.args(options).args(dir).stdin(Stdio::null());
    command
}
