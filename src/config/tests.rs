//! Sources in, settings or faults out.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::dcos::BaseUrl;
use crate::dcos::discovery as looked_for;
use crate::dcos::discovery::{BrokerAddress, FrameworkName, Way};
use crate::output::kafka::{Compression, MESSAGE_BYTES_MAX, Naming, SaslMechanism};

/// What a test starts the program with.
#[derive(Default)]
struct Start {
    sources: Sources,
    dir: Option<TempDir>,
}

impl Start {
    fn flag(mut self, name: &'static str, value: &str) -> Start {
        self.sources.flags.push((name, value.into()));
        self
    }

    fn env(mut self, name: &str, value: &str) -> Start {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    /// A configuration file, given with a flag.
    fn file(self, text: &str) -> Start {
        let (start, path) = self.beside("mc.toml", text);
        start.flag("config", path.to_str().unwrap())
    }

    /// Any file.
    fn beside(mut self, name: &str, text: &str) -> (Start, PathBuf) {
        let dir = self.dir.take().unwrap_or_else(|| tempfile::tempdir().unwrap());
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        self.dir = Some(dir);
        (self, path)
    }

    fn load(&self) -> Result<(Config, Settings), Faults> {
        load(&self.sources, &|_| Vec::new())
    }

    fn config(&self) -> Config {
        self.load().map_err(|faults| faults.to_string()).unwrap().0
    }

    fn kafka(&self) -> output::kafka::Config {
        self.config().kafka.unwrap()
    }

    /// The faults' lines, with the directory cut off.
    fn faults(&self) -> Vec<String> {
        let faults = self.load().err().map_or(Vec::new(), |faults| faults.0);
        let dir = self.dir.as_ref().map_or(String::from("//"), |dir| format!("{}/", dir.path().display()));
        faults.iter().map(|fault| fault.to_string().replace(&dir, "")).collect()
    }

    /// Exactly these faults, each by its beginning.
    fn check_faults(&self, expected: &[&str]) {
        let faults = self.faults();
        let fits = faults.iter().zip(expected).all(|(fault, expected)| fault.starts_with(expected));
        assert!(faults.len() == expected.len() && fits, "got {faults:#?}\nexpected {expected:#?}");
    }
}

fn start() -> Start {
    Start::default()
}

fn with_brokers() -> Start {
    start().flag("kafka-brokers", "a:1")
}

#[test]
fn defaults_are_the_stages_own() {
    let config = with_brokers().config();
    assert_eq!(config.input.limits, crate::ocf::Limits::default());
    assert_eq!(config.memory_limit, 64 << 20);
    assert_eq!(config.shutdown_grace, Duration::from_secs(10));
    assert_eq!(config.input.listen.to_string(), "127.0.0.1:8124");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8128");
    assert_eq!(config.spool.memory_bytes, 32 << 20);
    assert_eq!(config.spool.topics_max, 2000);
    let kafka = config.kafka.unwrap();
    assert_eq!(kafka.naming, Naming::prefix("metrics-"));
    assert_eq!(kafka.batch.bytes, 512 << 10);
    assert_eq!(kafka.batch.age, Duration::from_secs(15));
    assert_eq!(kafka.compression, Compression::Snappy);
    assert!(kafka.require_all_acks);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn no_key_is_without_effect() {
    let settings = with_brokers().load().unwrap().1;
    // What is printed asks for every key, so look before that.
    let asked = settings.asked.borrow().clone();
    let unused: Vec<_> = Key::all().map(|key| key.name).filter(|name| !asked.contains(name)).collect();
    // Reading the sources deals with the file itself.
    assert_eq!(unused, ["config"]);
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let value = |start: Start| start.kafka().batch.records.get();
    assert_eq!(value(with_brokers()), 1024);
    let file = || with_brokers().file("kafka-produce-count = 2");
    assert_eq!(value(file()), 2);
    let environment = || file().env("KAFKA_PRODUCE_COUNT", "3");
    assert_eq!(value(environment()), 3);
    assert_eq!(value(environment().flag("kafka-produce-count", "4")), 4);
}

#[test]
fn origins_say_where_the_value_comes_from() {
    let start = with_brokers()
        .file("log-level = \"warn\"\n\nlisten-endpont = \":1\"")
        .env("METRICS_COLLECTOR_AGENT_ID", "id")
        .env("KAFKA_VERBOSE", "t");
    let settings = start.load().unwrap().1;
    let dir = start.dir.as_ref().unwrap().path().display();
    for (name, expected) in [
        ("kafka-brokers", "flag --kafka-brokers".to_owned()),
        ("agent-id", "environment METRICS_COLLECTOR_AGENT_ID".to_owned()),
        ("kafka-verbose", "environment KAFKA_VERBOSE".to_owned()),
        ("log-level", format!("{dir}/mc.toml:1")),
        ("listen-endpoint", format!("{dir}/mc.toml:3")),
        ("log-format", "default".to_owned()),
    ] {
        assert_eq!(settings.origin(name).to_string(), expected);
    }
}

#[test]
fn of_a_flag_given_twice_the_last_counts_and_properties_add_up() {
    let start = with_brokers().flag("kafka-brokers", "b:2");
    let start = start.flag("kafka-property", "linger.ms=5").flag("kafka-property", "debug=broker,topic");
    let kafka = start.kafka();
    assert_eq!(kafka.brokers, ["b:2"]);
    let expected = [("linger.ms", "5"), ("debug", "broker,topic")];
    assert_eq!(kafka.properties, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn every_fault_of_every_source_is_told_at_once() {
    let start = start()
        .flag("log-level", "inof")
        .env("KAFKA_PRODUCE_COUNT", "abc")
        .env("METRICS_COLLECTOR_KAFKA_BROKER", "x")
        .env("KAFKA_SINGLE_TOPIC", "a/b")
        .file("memory-limt = 5\nlog-format = 3\n[kafka-x]\nspool-full = \"drop\"\n");
    start.check_faults(&[
        "environment METRICS_COLLECTOR_KAFKA_BROKER: no key has this environment name; did you mean \
         \"METRICS_COLLECTOR_KAFKA_BROKERS\"?",
        "mc.toml:1: there is no key \"memory-limt\"; did you mean \"memory-limit\"?",
        "mc.toml:3: keys stand at the top level of the file, not in a table [kafka-x]",
        "flag --log-level: log-level = \"inof\": expected off",
        "environment KAFKA_SINGLE_TOPIC: kafka-single-topic = \"a/b\": expected a legal Kafka topic name",
        "environment KAFKA_PRODUCE_COUNT: kafka-produce-count = \"abc\": expected a whole number",
        "mc.toml:2: log-format: expected a text in quotes, but it is a whole number",
        "mc.toml:4: spool-full = \"drop\": expected auto, drop-oldest or hold",
    ]);
}

#[test]
fn brokers_are_looked_for_where_none_are_named() {
    let config = start().config();
    assert!(config.kafka.unwrap().brokers.is_empty());
    assert_eq!(config.discovery, Some(looked_for::Config::of(FrameworkName::parse("kafka").unwrap())));
    assert_eq!((config.discovery_period, config.data_dir), (Duration::from_secs(300), None));
    for named in [with_brokers(), start().flag("kafka", "false")] {
        assert_eq!(named.flag("kafka-framework", "other").config().discovery, None);
    }
}

#[test]
fn the_look_for_brokers_has_its_keys() {
    let start = start()
        .env("KAFKA_FRAMEWORK", "/prod/kafka")
        .flag("kafka-discovery", "marathon")
        .flag("kafka-discovery-period", "90s")
        .flag("kafka-broker-address", "vip")
        .flag("kafka-scheduler-url", "http://s:1")
        .flag("dns-server", "127.0.0.1:15053")
        .flag("admin-router-url", "https://a/")
        .flag("marathon-url", "http://m:8080")
        .flag("mesos-dns-url", "http://d:8123")
        .flag("data-dir", "/var/lib/x");
    let config = start.config();
    let url = |text| BaseUrl::parse(text).unwrap();
    let expected = looked_for::Config {
        framework: FrameworkName::parse("prod/kafka").unwrap(),
        pinned: Some(Way::Marathon),
        address: BrokerAddress::Vip,
        tls: false,
        dns_server: Some(([127, 0, 0, 1], 15053).into()),
        scheduler: Some(url("http://s:1")),
        admin_router: url("https://a"),
        marathon: url("http://m:8080"),
        mesos_dns: url("http://d:8123"),
    };
    assert_eq!(config.discovery, Some(expected));
    assert_eq!(config.discovery_period, Duration::from_secs(90));
    assert_eq!(config.data_dir.as_deref(), Some(Path::new("/var/lib/x")));
}

#[test]
fn the_endpoint_with_tls_is_asked_for_where_brokers_are_spoken_to_with_tls() {
    for (protocol, tls) in
        [("plaintext", false), ("ssl", true), ("sasl_plaintext", false), ("sasl_ssl", true)]
    {
        let mut start = start().flag("kafka-security-protocol", protocol);
        if protocol.starts_with("sasl") {
            start = start
                .flag("kafka-sasl-username", "u")
                .flag("kafka-sasl-password", "p")
                .flag("kafka-sasl-mechanism", "PLAIN");
        }
        assert_eq!(start.config().discovery.unwrap().tls, tls, "{protocol}");
    }
}

#[test]
fn a_bad_value_is_a_fault_also_where_another_one_wins() {
    let start = with_brokers().flag("kafka-produce-count", "1").env("KAFKA_PRODUCE_COUNT", "abc");
    start.check_faults(&["environment KAFKA_PRODUCE_COUNT"]);
}

#[test]
fn a_fault_brings_no_second_one_of_its_own_making() {
    start().flag("kafka-brokers", "a:x").check_faults(&["flag --kafka-brokers"]);
    with_brokers().flag("memory-limit", "1").check_faults(&["flag --memory-limit"]);
    with_brokers()
        .flag("kafka-security-protocol", "sasl")
        .flag("kafka-sasl-username", "u")
        .check_faults(&["flag --kafka-security-protocol"]);
}

#[test]
fn toml_faults_have_their_lines_and_do_not_hide_each_other() {
    let start = with_brokers().file("a = = 1\nkafka = 1\n\nlog-level = debug\nkafka-key = \"x\"\n");
    start.check_faults(&[
        "mc.toml:1: no valid TOML",
        "mc.toml:4: no valid TOML",
        "mc.toml:2: kafka: expected true or false, without quotes, but it is a whole number",
        "mc.toml:5: kafka-key = \"x\": expected agent or none",
    ]);
}

#[test]
fn keys_in_a_table_are_looked_at_all_the_same() {
    start()
        .file("[kafka]\nkafka-brokers = \"a:1\"\nkafka-brokrs = 1\n[kafka.tls]\nlog-format = \"x\"\n")
        .check_faults(&[
            "mc.toml:1: keys stand at the top level of the file, not in a table [kafka]",
            "mc.toml:3: there is no key \"kafka-brokrs\"; did you mean \"kafka-brokers\"?",
            "mc.toml:4: keys stand at the top level of the file, not in a table [tls]",
            "mc.toml:5: log-format = \"x\": expected text or json",
        ]);
    start()
        .file("[[kafka]]\nkafka-brokers = \"a:1\"\n")
        .check_faults(&["mc.toml:1: keys stand at the top level of the file, not in a table [kafka]"]);
}

#[test]
fn what_a_file_could_have_said_is_not_missed() {
    start().file("kafka-brokers = a:1\n").check_faults(&["mc.toml:1: no valid TOML"]);
    // A budget that the file could have had, and a mechanism too.
    let start = || start().flag("spool-memory", "1GiB").flag("kafka-security-protocol", "sasl_ssl");
    start().file("memory-limit = 2GiB\n").check_faults(&["mc.toml:1: no valid TOML"]);
    let unreadable =
        "environment METRICS_COLLECTOR_CONFIG: config = \"/nonexistent/mc.toml\": expected a read";
    start().env("METRICS_COLLECTOR_CONFIG", "/nonexistent/mc.toml").check_faults(&[unreadable]);
    // What is certain is told.
    start()
        .flag("kafka-security-protocol", "plaintext")
        .flag("kafka-sasl-username", "u")
        .file("= 1\n")
        .check_faults(&["mc.toml:1", "flag --kafka-sasl-username"]);
}

#[test]
fn toml_types_are_those_of_the_kind() {
    let good = "kafka = true\nmemory-limit = 0x8000000\nspool-memory = \"32MiB\"\nkafka-produce-count = 1_000\n\
                kafka-produce-period-ms = 250\nshutdown-grace = \"1m\"\nkafka-brokers = [\"a:1\", \"b:2\"]\n\
                kafka-property = [\"linger.ms=1\", \"debug=a,b\"]\n";
    let config = start().file(good).config();
    let kafka = config.kafka.unwrap();
    assert_eq!(config.memory_limit, 128 << 20);
    assert_eq!(config.shutdown_grace, Duration::from_secs(60));
    assert_eq!(kafka.brokers, ["a:1", "b:2"]);
    assert_eq!(kafka.batch.records.get(), 1000);
    assert_eq!(kafka.batch.age, Duration::from_millis(250));
    assert_eq!(kafka.properties.len(), 2);
    let bad = "kafka = \"true\"\nmemory-limit = 1.5\nkafka-produce-count = \"5\"\nshutdown-grace = 10\n\
               kafka-brokers = [1]\nagent-id = 2024-01-01\nlog-level = [\"info\"]\n";
    let lines: Vec<String> = start().file(bad).faults();
    let told: BTreeSet<_> = lines.iter().filter_map(|line| line.split(':').nth(1)).collect();
    assert_eq!(told, BTreeSet::from(["1", "2", "3", "4", "5", "6", "7"]), "{lines:#?}");
}

#[test]
fn the_file_has_each_key_once_and_not_itself() {
    let start = with_brokers()
        .file("config = \"x\"\nlisten-endpont = \":1\"\nlisten-endpoint = \":1\"\n")
        .env("METRICS_COLLECTOR_CONFIG", "unused, the flag wins");
    start.check_faults(&[
        "mc.toml:1: the key \"config\" cannot",
        "mc.toml:3: \"listen-endpoint\" sets the key",
    ]);
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let start = with_brokers().env("METRICS_COLLECTOR_CONFIG", "/nonexistent/mc.toml");
    start.check_faults(&[
        "environment METRICS_COLLECTOR_CONFIG: config = \"/nonexistent/mc.toml\": expected a read",
    ]);
}

#[test]
fn two_environment_names_of_a_key_must_agree() {
    let start =
        |other: &str| start().env("KAFKA_BROKERS", "a:1").env("METRICS_COLLECTOR_KAFKA_BROKERS", other);
    assert_eq!(start("a:1").kafka().brokers, ["a:1"]);
    let same = with_brokers().env("KAFKA_VERBOSE", "1").env("METRICS_COLLECTOR_KAFKA_VERBOSE", "true");
    assert!(same.kafka().verbose);
    with_brokers()
        .env("KAFKA_VERBOSE", "1")
        .env("METRICS_COLLECTOR_KAFKA_VERBOSE", "yes")
        .check_faults(&["environment METRICS_COLLECTOR_KAFKA_VERBOSE: kafka-verbose = \"yes\""]);
    start("b:1").check_faults(&[
        "environment METRICS_COLLECTOR_KAFKA_BROKERS: kafka-brokers: differs from KAFKA_BROKERS",
    ]);
}

#[test]
fn an_empty_variable_counts_as_not_set_and_foreign_names_do_not_matter() {
    let start = with_brokers().env("KAFKA_PRODUCE_COUNT", "").env("METRICS_COLLECTOR_AGENT_ID", "");
    let config = start.env("KAFKA_FRAMEWORK", "x").env("METRICS_COLLECTOR_REVISION", "abc").config();
    assert_eq!(config.enrich.agent_id, None);
}

#[test]
fn an_empty_flag_unsets_what_the_file_sets() {
    let start = with_brokers()
        .file("agent-id = \"a\"\nkafka-property = \"linger.ms=5\"")
        .flag("agent-id", "")
        .flag("kafka-property", "");
    let config = start.config();
    assert_eq!(config.enrich.agent_id, None);
    assert_eq!(config.kafka.unwrap().properties, []);
}

#[test]
fn empty_and_repeated_brokers_are_passed_over_and_that_is_said() {
    let config = start().flag("kafka-brokers", "a:1, ,b,A:1,b:9092,").config();
    assert_eq!(config.kafka.unwrap().brokers, ["a:1", "b:9092"]);
    let said = config.warnings.join("\n");
    for part in
        ["kafka-brokers: an empty entry is passed over", "\"A:1\" stands there twice", "\"b:9092\" stands"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    start()
        .flag("kafka-brokers", " ,")
        .check_faults(&["flag --kafka-brokers: kafka-brokers = \" ,\": expected host"]);
}

#[test]
fn a_list_tells_all_its_faults_at_once() {
    let faults = start()
        .flag("kafka-brokers", "a:x,b:1,c d")
        .flag("kafka-property", "linger.ms")
        .flag("kafka-property", "Debug=a")
        .faults();
    let expected = [&["\"a:x\" has no port", "\"c d\" has no host name"], &["name=value", "a-z 0-9"]];
    assert_eq!(faults.len(), 2, "{faults:#?}");
    for (fault, parts) in faults.iter().zip(expected) {
        assert!(parts.iter().all(|part| fault.contains(part)), "{parts:?} in {fault}");
    }
}

#[test]
fn values_that_are_no_text_are_faults() {
    let mut start = with_brokers();
    start.sources.environment.push(("METRICS_COLLECTOR_AGENT_ID".into(), OsString::from_vec(vec![0xff])));
    start.check_faults(&["environment METRICS_COLLECTOR_AGENT_ID: agent-id: expected UTF-8 text"]);
}

#[test]
fn kafka_false_needs_no_brokers() {
    assert!(start().flag("kafka", "false").config().kafka.is_none());
}

#[test]
fn the_predecessors_switches_keep_their_meaning() {
    let compression = |snappy: &str| with_brokers().env("KAFKA_COMPRESS_SNAPPY", snappy).kafka().compression;
    assert_eq!(compression("true"), Compression::Snappy);
    assert_eq!(compression("false"), Compression::None);
    let settings = with_brokers().env("KAFKA_COMPRESS_SNAPPY", "false").load().unwrap().1;
    assert!(
        to_toml(&settings).contains("kafka-compression = \"none\"  # environment KAFKA_COMPRESS_SNAPPY\n")
    );
    for (snappy, named, good) in
        [("false", "lz4", true), ("true", "snappy", true), ("true", "lz4", false), ("false", "snappy", false)]
    {
        let start = with_brokers().flag("kafka-compress-snappy", snappy).flag("kafka-compression", named);
        assert_eq!(start.load().is_ok(), good, "{snappy} {named}");
    }
    let config = with_brokers().env("KAFKA_REQUIRE_ALL_ACKS", "0").env("KAFKA_FLUSH_MS", "5000").config();
    assert!(!config.kafka.unwrap().require_all_acks);
    let expected = ["kafka-require-all-acks is false", "kafka-flush-ms is retired"];
    assert!(config.warnings.iter().zip(expected).all(|(line, start)| line.starts_with(start)));
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
}

#[test]
fn messages_are_cut_to_what_old_consumers_take_and_that_is_said() {
    for (kbytes, bytes, warned) in
        [("976", 976 << 10, false), ("977", MESSAGE_BYTES_MAX, true), ("2147483647", MESSAGE_BYTES_MAX, true)]
    {
        let config = with_brokers().flag("kafka-produce-kbytes", kbytes).config();
        assert_eq!(config.kafka.unwrap().batch.bytes, bytes);
        assert_eq!(!config.warnings.is_empty(), warned, "{kbytes}");
    }
}

#[test]
fn one_topics_max_feeds_spool_and_kafka() {
    let config = with_brokers().flag("kafka-topics-max", "7").config();
    assert_eq!((config.spool.topics_max, config.kafka.unwrap().topics_max.get()), (7, 7));
}

#[test]
fn the_memory_budget_must_hold_its_parts() {
    let fault = "flag --memory-limit: memory-limit = \"55MiB\": expected at least 56MiB";
    with_brokers().flag("memory-limit", "55MiB").check_faults(&[fault]);
    with_brokers().flag("memory-limit", "56MiB").check_faults(&[]);
    start().flag("kafka", "false").flag("memory-limit", "40MiB").check_faults(&[]);
    with_brokers()
        .flag("input-decompressed-bytes-max", "16MiB")
        .check_faults(&["memory-limit = \"64MiB\": expected at least 65MiB"]);
}

#[test]
fn limits_of_the_input_must_fit_into_each_other() {
    with_brokers().flag("input-record-bytes-max", "2MiB").check_faults(&[
        "flag --input-record-bytes-max: input-record-bytes-max = \"2MiB\": expected at most",
    ]);
    with_brokers()
        .flag("input-block-bytes-max", "5MiB")
        .check_faults(&["flag --input-block-bytes-max: input-block-bytes-max = \"5MiB\": expected at most"]);
    with_brokers().flag("spool-memory", "2MiB").check_faults(&["flag --spool-memory"]);
}

#[test]
fn input_and_http_need_addresses_of_their_own() {
    with_brokers().flag("http-endpoint", "localhost:8124").check_faults(&["flag --http-endpoint"]);
    with_brokers().flag("http-endpoint", ":0").flag("listen-endpoint", ":0").check_faults(&[]);
}

#[test]
fn unix_sockets_need_short_paths_of_their_own() {
    let both = |path: &str| with_brokers().flag("listen-socket", path).flag("partner-socket", path);
    both("/run/m.sock").check_faults(&["flag --partner-socket: "]);
    let path = "/run/".to_owned() + &"m".repeat(103);
    with_brokers().flag("listen-socket", &path).check_faults(&["flag --listen-socket: "]);
    with_brokers().flag("listen-socket", &path[..107]).config();
}

#[test]
fn topic_shapes_need_creation() {
    with_brokers().flag("kafka-topic-partitions", "3").check_faults(&["flag --kafka-topic-partitions"]);
    let start = with_brokers().flag("kafka-topic-partitions", "3").flag("kafka-create-topics", "true");
    let topic = start.kafka().create_topics.unwrap();
    assert_eq!((topic.partitions.map(std::num::NonZero::get), topic.replication), (Some(3), None));
}

#[test]
fn tls_and_sasl_come_whole_or_not_at_all() {
    let protocol = |name: &str| with_brokers().flag("kafka-security-protocol", name);
    protocol("SASL_SSL").check_faults(&[
        "kafka-sasl-mechanism: not set, but kafka-security-protocol is sasl_ssl; expected PLAIN, SCRAM-SHA-256 or",
        "kafka-sasl-username: not set",
        "kafka-sasl-password: not set, but kafka-security-protocol is sasl_ssl; set it or kafka-sasl-password-file",
    ]);
    protocol("plaintext").flag("kafka-sasl-username", "u").check_faults(&["flag --kafka-sasl-username"]);
    let (start, pem) = protocol("ssl").beside("a.pem", "x");
    let pem = pem.to_str().unwrap();
    start.flag("kafka-ssl-certificate", pem).check_faults(&["flag --kafka-ssl-certificate"]);
    let (start, pem) = protocol("ssl").beside("a.pem", "x");
    let pem = pem.to_str().unwrap();
    let security = start.flag("kafka-ssl-ca", pem).kafka().security;
    assert!(security.sasl.is_none() && security.tls.is_some_and(|tls| tls.ca.is_some()));
}

#[test]
fn files_that_keys_name_are_looked_at() {
    with_brokers()
        .flag("kafka-security-protocol", "ssl")
        .flag("kafka-ssl-ca", "/nonexistent/ca.pem")
        .flag("http-token-file", "/nonexistent/token")
        .check_faults(&[
            "flag --http-token-file: http-token-file = \"/nonexistent/token\": expected a readable file",
            "flag --kafka-ssl-ca: kafka-ssl-ca = \"/nonexistent/ca.pem\": expected a readable file",
        ]);
}

#[test]
fn passwords_and_tokens_come_from_files() {
    let (start, password) = with_brokers().beside("password", "sesame\n");
    let (start, token) = start.beside("token", "sixteen-bytes-ok\n");
    let config = start
        .flag("kafka-security-protocol", "sasl_plaintext")
        .flag("kafka-sasl-mechanism", "scram-sha-512")
        .flag("kafka-sasl-username", "u")
        .flag("kafka-sasl-password-file", password.to_str().unwrap())
        .flag("http-token-file", token.to_str().unwrap())
        .config();
    let sasl = config.kafka.unwrap().security.sasl.unwrap();
    assert_eq!((sasl.mechanism, sasl.password.expose()), (SaslMechanism::ScramSha512, "sesame"));
    assert_eq!(config.http.token.unwrap().expose(), "sixteen-bytes-ok");
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn a_short_token_is_warned_about() {
    let config = with_brokers().env("METRICS_COLLECTOR_HTTP_TOKEN", "fifteen-bytes-x").config();
    let warned = config.warnings.len() == 1 && config.warnings[0].contains("fewer than 16 bytes");
    assert!(warned, "{:?}", config.warnings);
}

#[test]
fn secrets_given_as_flags_are_warned_about_with_one_advice() {
    let config = with_brokers()
        .flag("http-token", "sixteen-bytes-ok")
        .flag("kafka-property", "linger.ms=5")
        .flag("kafka-property", "ssl.keystore.password=a")
        .config();
    let advice = |what| format!("{what} was given as a flag, which shows in the process list; use a file");
    assert_eq!(config.warnings, ["http-token", "kafka-property ssl.keystore.password"].map(advice));
    let in_file = with_brokers().file("kafka-property = \"ssl.keystore.password=a\"").config();
    assert_eq!(in_file.warnings, [""; 0]);
}

#[test]
fn a_secret_and_its_file_are_one_too_many() {
    let (start, token) = with_brokers().beside("token", "abc");
    let start = start.env("METRICS_COLLECTOR_HTTP_TOKEN", "abc");
    start.flag("http-token-file", token.to_str().unwrap()).check_faults(&["flag --http-token-file"]);
}

#[test]
fn the_kafka_clients_faults_come_with_the_others_and_without_secrets() {
    let start = start().flag("kafka-property", "ssl.keystore.password=sesame").flag("log-format", "x");
    let check = |kafka: &output::kafka::Config| vec![format!("kafka-property no: {}", kafka.properties[0].1)];
    let faults = load(&start.sources, &check).err().unwrap().to_string();
    assert!(faults.contains("flag --kafka-property: kafka-property no: <hidden>"), "{faults}");
    assert!(faults.contains("log-format"), "{faults}");
}

#[test]
fn the_client_is_asked_without_brokers_of_our_making() {
    let start = start().flag("log-format", "x");
    let check = |kafka: &output::kafka::Config| kafka.brokers.iter().map(|b| format!("saw {b}")).collect();
    let faults = load(&start.sources, &check).err().unwrap().to_string();
    assert!(!faults.contains("saw"), "{faults}");
}

#[test]
fn the_client_is_not_asked_without_kafka() {
    let start = start().flag("kafka", "false");
    assert!(load(&start.sources, &|_| unreachable!("Kafka is off")).is_ok());
}

/// Every secret in every place, good and bad.
#[test]
fn secrets_are_in_no_output() {
    const SECRET: &str = "sesame";
    let good = with_brokers()
        .flag("kafka-security-protocol", "sasl_ssl")
        .flag("kafka-sasl-mechanism", "PLAIN")
        .flag("kafka-sasl-username", "u")
        .flag("kafka-sasl-password", SECRET)
        .env("METRICS_COLLECTOR_HTTP_TOKEN", SECRET)
        .file("kafka-property = [\"ssl.keystore.password=sesame\"]");
    let (config, settings) = good.load().unwrap();
    let shown = [format!("{config:#?}"), to_toml(&settings), to_json(&settings).to_string()];
    for text in shown.iter().chain(&config.warnings) {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert_eq!(config.warnings.len(), 2, "a flag and a short token are warned about: {:?}", config.warnings);
    let bad = [
        start().flag("kafka-sasl-password", "sesame\n").flag("http-token", "sesame sesame"),
        start().env("METRICS_COLLECTOR_HTTP_TOKEN", "sesame sesame"),
        start().env("METRICS_COLLECTOR_KAFKA_SASL_PASWORD", SECRET),
        start().flag("kafka-sasl-password", SECRET).flag("kafka-ssl-key-password", SECRET),
        start().flag("kafka-property", "ssl.keystore.password:sesame"),
        start().flag("kafka-property", "ssl.keystore.password=sesame").flag("kafka-property", "x"),
        start().flag("kafka-property", "SSL.Keystore.Password=sesame"),
        start().flag("kafka-property", "sasl.jaas.config=\"sesame\"").flag("kafka-property", "sesame"),
        start().flag("kafka-property", "ssl.key.password=a").flag("kafka-property", "b=sesame\n"),
        start().env("METRICS_COLLECTOR_KAFKA_PROPERTY", "ssl.keystore.password=abc,sesame"),
        start().env("METRICS_COLLECTOR_KAFKA_PROPERTY", "ssl.keystore.password=abc,sesame=x"),
        start().env("METRICS_COLLECTOR_KAFKA_PROPERTY", "SSL.KEYSTORE.PASSWORD=abc,sesame,x"),
        start().env("METRICS_COLLECTOR_KAFKA_PROPERTY", "linger.ms=1,ssl.keystore.password:a,sesame"),
        start().file("kafka-sasl-password = sesame\n"),
        start().file("kafka-sasl-password = \"sesame\n"),
        start().file("kafka-sasl-password = [\"sesame\"]\nkafka-sasl-pasword = \"sesame\"\n"),
        start()
            .file("sesame = 1 kafka-sasl-password = sesame\n\"sasl\" = \"sesame\" \"sesame\"\n")
            .flag("http-token", "\u{e9}sesame"),
    ];
    let n_bad = bad.len();
    for (i, start) in bad.into_iter().enumerate() {
        // Some have no fault of their own.
        let start = start.flag("kafka-key", "x");
        let faults = start.load().err().unwrap();
        let text = faults.to_string().replace("\"sesame\"; did", "");
        // A key that nobody knows is named, so the last case has its name in the text once.
        let last = i + 1 == n_bad;
        let allowed = usize::from(last && text.contains("there is no key \"sesame\""));
        assert!(text.matches(SECRET).count() <= allowed, "{i}: {text}");
        assert!(format!("{faults:?}").matches(SECRET).count() <= allowed, "{i}: {faults:?}");
    }
}

/// What comes after a comma may be the rest of a password, which would be taken for a property's name.
#[test]
fn an_environment_list_with_a_secret_in_it_is_refused_whole() {
    let name = "METRICS_COLLECTOR_KAFKA_PROPERTY";
    let fault = "environment METRICS_COLLECTOR_KAFKA_PROPERTY: kafka-property: expected no secret in a list";
    with_brokers().env(name, "linger.ms=1,ssl.keystore.password=abc").check_faults(&[fault]);
    with_brokers().env(name, "ssl.keystore.password=abc").check_faults(&[]);
    with_brokers().env(name, "linger.ms=1,debug=broker").check_faults(&[]);
}

const PARTNERS: &str = "[[partners]]\nname = \"a\"\naddress = \"h:1\"\ntopics = [\"x*\"]\nack = true\n\
                        [[partners]]\nname = \"b\"\naddress = \"unix:/run/b\"\n";

#[test]
fn partners_are_tables_in_the_file_and_json_elsewhere() {
    let file = start().file(PARTNERS).config().partner.dialled;
    assert_eq!(file.iter().map(|target| target.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(file[0].hello.ack && !file[0].hello.filter.wants_topic(b"y"));
    let json =
        r#"[{"name":"a","address":"h:1","topics":["x*"],"ack":true},{"name":"b","address":"unix:/run/b"}]"#;
    let inline = r#"partners = [{name = "a", address = "h:1", topics = ["x*"], ack = true},
        {name = "b", address = "unix:/run/b"}]"#;
    for same in [
        start().flag("partners", json),
        start().env("METRICS_COLLECTOR_PARTNERS", json),
        start().file(inline),
        start().file(&format!("partners = '{json}'")),
    ] {
        assert_eq!(same.config().partner.dialled, file);
    }
    assert_eq!(start().file("partners = []").config().partner.dialled, []);
    assert_eq!(start().file(PARTNERS).flag("partners", "").config().partner.dialled, []);
}

#[test]
fn faults_of_partners_have_their_places() {
    start()
        .file(
            "log-format = \"text\"\n[[partners]]\nname = \"a\"\nport = 1\n[[partners]]\nname = 2024-01-01\naddress = 1.5\n",
        )
        .check_faults(&[
            "mc.toml:2: partners.a.port: a partner has no such field",
            "mc.toml:2: partners.a.address: expected a text, but it is missing",
            "mc.toml:2: partners[1].name: expected a text, but it is none",
            "mc.toml:2: partners[1].address: expected a text, but it is none",
        ]);
    let expected =
        "mc.toml:1: partners: expected a list of tables, as [[partners]], or its JSON as a text, but it is";
    start().file("[partners]\nname = \"a\"\n").check_faults(&[expected]);
    start().file("partners = 7\n").check_faults(&[expected]);
    start().file("partners = \"a:1\"\n").check_faults(&["mc.toml:1: partners = \"a:1\": expected a list of"]);
    let ourselves = start().flag("listen-socket", "/run/in");
    ourselves.env("METRICS_COLLECTOR_PARTNERS", r#"[{"name":"a","address":"unix:/run/in"}]"#).check_faults(
        &["environment METRICS_COLLECTOR_PARTNERS: partners.a.address = \"unix:/run/in\": expected the \
                         address of somebody else, but listen-socket has the same"],
    );
}

#[test]
fn what_is_printed_is_a_file_again_with_the_same_values() {
    let given = with_brokers()
        .flag(
            "partners",
            r#"[{"name":"a","address":"h:1","tags":["k=\"v\\"]},{"name":"b","address":"[::1]:2"}]"#,
        )
        .flag("agent-id", "quote \" and \\ and # and 'x'")
        .flag("kafka-property", "debug=broker,topic")
        .flag("kafka-topic-prefix", "")
        .flag("shutdown-grace", "59m")
        .env("KAFKA_PRODUCE_PERIOD_MS", "1m")
        .env("LISTEN_ENDPONT", ":8124")
        .env("KAFKA_COMPRESS_SNAPPY", "false");
    let (config, settings) = given.load().unwrap();
    let again = start().file(&to_toml(&settings)).config();
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
}

#[test]
fn a_hidden_secret_is_not_taken_for_one() {
    let start = with_brokers().file("http-token = \"<hidden>\"");
    start.check_faults(&["mc.toml:1: http-token = \"<hidden>\": expected the secret itself"]);
    let start = with_brokers().file("kafka-property = [\"linger.ms=1\", \"ssl.keystore.password=<hidden>\"]");
    let faults = start.faults();
    let told = faults.len() == 1 && faults[0].contains("expected the secret itself");
    assert!(told && faults[0].contains("ssl.keystore.password"), "{faults:?}");
}

#[test]
fn json_has_value_origin_and_default_of_every_key() {
    let settings = with_brokers().load().unwrap().1;
    let json = to_json(&settings);
    assert_eq!(json.as_object().unwrap().len(), Key::all().count());
    assert_eq!(json["kafka-brokers"]["value"], "a:1");
    assert_eq!(json["kafka-brokers"]["origin"], "flag --kafka-brokers");
    assert_eq!(json["memory-limit"]["default"], "64MiB");
    assert_eq!(json["http-token"]["secret"], true);
}

/// The JSON of a service account.
fn account(endpoint: &str) -> String {
    dcos::testing::secret(endpoint)
}

#[test]
fn a_service_account_is_read_from_the_environment_and_from_files() {
    let good = account("https://master.mesos/acs/api/v1/auth/login");
    let (start, path) = with_brokers().beside("sa.json", &good);
    let path = path.to_str().unwrap().to_owned();
    let uid = |start: &Start| start.config().dcos.account.unwrap().1.uid().to_owned();
    let start = start.flag("iam-config-path", &path);
    assert_eq!(uid(&start), "sa");
    for text in [&good, &path, &format!("file://{path}")] {
        let other = with_brokers().env("DCOS_SERVICE_ACCOUNT_CREDENTIAL", text);
        assert_eq!(uid(&other), "sa");
        assert_eq!(other.config().warnings, Vec::<String>::new());
    }
    let start = with_brokers().env("DCOS_SERVICE_ACCOUNT_CREDENTIAL", &account("http://leader.mesos/login"));
    assert!(start.config().warnings[0].contains("logs in at http://leader.mesos/login"));
}

#[test]
fn a_bad_service_account_is_named_with_its_place_and_not_shown() {
    let key = "DCOS_SERVICE_ACCOUNT_CREDENTIAL";
    let begin = "environment DCOS_SERVICE_ACCOUNT_CREDENTIAL: dcos-service-account = \"<hidden>\": expected a \
                 service account in JSON, but ";
    for (text, expected) in [
        ("{\"uid\": sesame}", "it is no JSON, see line 1, column 9"),
        ("{\"scheme\": \"sesame\"}", "its member \"scheme\" is not RS256"),
        ("sesame", "it cannot be read: No such file"),
    ] {
        let start = with_brokers().env(key, text);
        start.check_faults(&[&format!("{begin}{expected}")]);
        assert!(!start.faults()[0].contains("sesame"));
    }
    let (start, path) = with_brokers().beside("sa.json", "{}");
    start.flag("iam-config-path", path.to_str().unwrap()).check_faults(&[
        "flag --iam-config-path: iam-config-path = \"sa.json\": expected a service account in JSON, but sa.json: its \
         member \"scheme\" is missing",
    ]);
    let (start, path) = with_brokers().env(key, "{}").beside("sa.json", "{}");
    start.flag("iam-config-path", path.to_str().unwrap()).check_faults(&["flag --iam-config-path: "]);
}

#[test]
fn nothing_of_a_login_is_shown() {
    let start = with_brokers()
        .env("DCOS_SERVICE_ACCOUNT_CREDENTIAL", &account("https://master.mesos/login"))
        .env("AUTH_CREDENTIAL", "sesame")
        .flag("dcos-auth-hosts", "proxy, http://*.mesos");
    let (config, settings) = start.load().ok().unwrap();
    let shown = format!("{config:?} {} {}", to_toml(&settings), to_json(&settings));
    assert!(!shown.contains("sesame") && !shown.contains("PRIVATE"), "{shown}");
    assert_eq!(config.dcos.hosts.len(), 2);
}

#[test]
fn token_hosts_must_be_hosts_and_of_use() {
    let account = account("https://master.mesos/login");
    // Without a folder of its own the fault's text would lose its slashes.
    let start = |hosts: &str| with_brokers().flag("dcos-auth-hosts", hosts).beside("unused", "").0;
    start("a").check_faults(&["flag --dcos-auth-hosts: dcos-auth-hosts = \"a\": has no effect without"]);
    start("a,b:1,ftp://c").env("DCOS_SERVICE_ACCOUNT_CREDENTIAL", &account).check_faults(&[
        "flag --dcos-auth-hosts: dcos-auth-hosts = \"a,b:1,ftp://c\": expected host, *.domain, http://host or \
         http://*.domain, without port and path, but there is [\"b:1\", \"ftp://c\"]",
    ]);
}

#[test]
fn certificates_that_are_named_must_be_good_and_those_in_the_sandbox_may_be() {
    let (start, path) = with_brokers().beside("ca.crt", "nonsense");
    start.flag("dcos-ca", path.to_str().unwrap()).check_faults(&[
        "flag --dcos-ca: dcos-ca = \"ca.crt\": expected a PEM file of certificates, but it has no certificate",
    ]);
    let sandbox = tempfile::tempdir().unwrap();
    let start = || with_brokers().env("MESOS_SANDBOX", sandbox.path().to_str().unwrap());
    assert_eq!(start().config().warnings, Vec::<String>::new());
    std::fs::create_dir(sandbox.path().join(".ssl")).unwrap();
    std::fs::write(sandbox.path().join(".ssl/ca-bundle.crt"), "nonsense").unwrap();
    let warnings = start().config().warnings;
    assert!(warnings[0].contains("ca-bundle.crt are not used, since it has no certificate"), "{warnings:?}");
}

#[test]
fn the_predecessors_throttles_are_off_and_hold_when_they_are_set() {
    let config = with_brokers().config();
    assert_eq!((config.input.limit, config.kafka.unwrap().limit), (None, None));
    let start = with_brokers()
        .env("INPUT_LIMIT_AMOUNT_KBYTES", "20480")
        .env("INPUT_LIMIT_PERIOD", "60")
        .env("GLOBAL_LIMIT_AMOUNT_KBYTES", "40960")
        .file("global-limit-period = 30\n");
    let config = start.config();
    let rate = config.input.limit.unwrap();
    assert_eq!((rate.bytes.get(), rate.period), (20480 << 10, Duration::from_secs(60)));
    let rate = config.kafka.unwrap().limit.unwrap();
    assert_eq!((rate.bytes.get(), rate.period), (40960 << 10, Duration::from_secs(30)));
    let expected = [
        "input-limit-amount-kbytes is 20480: a connection over it is not read",
        "global-limit-amount-kbytes is 40960: what is over it waits",
    ];
    assert!(config.warnings.iter().zip(expected).all(|(line, start)| line.starts_with(start)));
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    with_brokers().env("INPUT_LIMIT_PERIOD", "0").check_faults(&[
        "environment INPUT_LIMIT_PERIOD: input-limit-period = \"0\": expected seconds from 1",
    ]);
}

#[test]
fn statsd_is_off_without_a_host_and_needs_a_port_with_it() {
    assert_eq!(with_brokers().env("STATSD_UDP_PORT", "8125").config().statsd, None);
    let start = |host: &str| with_brokers().env("STATSD_UDP_HOST", host).env("STATSD_PERIOD", "7");
    let config = start("statsd.example.com").env("STATSD_UDP_PORT", "8125").config();
    let expected = telemetry::StatsdConfig {
        host: "statsd.example.com".into(),
        port: 8125,
        period: Duration::from_secs(7),
    };
    assert_eq!(config.statsd, Some(expected));
    start("fd00::1").env("STATSD_UDP_PORT", "8125").check_faults(&[]);
    start("a").check_faults(&["statsd-udp-port = \"0\": expected a port"]);
    for host in ["a:8125", "udp://a", "a b"] {
        let faults = start(host).env("STATSD_UDP_PORT", "8125").faults();
        assert!(faults[0].contains("expected a host name or an IP address"), "{faults:?}");
    }
}

#[test]
fn the_retired_profiler_is_warned_about_where_it_is_wanted() {
    let warnings = |value: &str| with_brokers().env("HTTP_PROFILE", value).config().warnings;
    assert_eq!(warnings("false"), Vec::<String>::new());
    assert!(warnings("true")[0].starts_with("http-profile is retired"));
}
