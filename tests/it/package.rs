//! The package for DC/OS: every key is an option or has a reason not to be, every option does what it says, and what
//! Cosmos and Marathon get is what they take.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::LazyLock;

use metrics_collector::config::{ENVIRONMENT_PREFIX, Key, Kind};
use metrics_collector::sample_producer::args;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::collector::run;
use crate::support::cosmos::{problems, render};
use crate::support::iam::Iam;
use crate::support::repository;
use crate::support::tls::TlsServer;
use crate::support::universe::{NO_PLACE, json_file, pack, package, text};

/// Keys that are options by another name, since DC/OS has to know a part of their value or keeps it as a secret.
const BY_ANOTHER_NAME: &[(&str, &[&str])] = &[
    ("listen-endpoint", &["input.listen-address", "input.listen-port"]),
    ("partner-endpoint", &["partner.partner-port"]),
    ("http-endpoint", &["http.http-port"]),
    ("http-token-file", &["security.http-token-secret"]),
    ("dcos-service-account", &["security.service-account-secret"]),
    ("kafka-ssl-certificate", &["security.kafka-ssl-certificate-secret"]),
    ("kafka-ssl-key", &["security.kafka-ssl-key-secret"]),
    ("kafka-sasl-password-file", &["security.kafka-sasl-password-secret"]),
];

/// Keys that are deliberately not offered, and why.
const NOT_OFFERED: &[(&str, &str)] = &[
    ("config", "options take the place of a file"),
    ("http-profile", "retired"),
    ("input-header-bytes-max", "no reason to touch it is known"),
    ("input-header-entries-max", "no reason to touch it is known"),
    ("input-record-tags-max", "no reason to touch it is known"),
    ("input-record-datapoints-max", "no reason to touch it is known"),
    ("record-input-log", "for a look at one collector, not for every agent at once"),
    ("record-input-hexdump", "for a look at one collector, not for every agent at once"),
    ("record-output-log", "for a look at one collector, not for every agent at once"),
    ("record-output-hexdump", "for a look at one collector, not for every agent at once"),
    ("agent-id", "it would be the same on every agent; the Mesos agent tells its own"),
    ("framework-name", "it would be the same for all senders of the cluster"),
    ("application-name", "it would be the same for all senders of the cluster"),
    ("agent-ip", "Marathon sets HOST, which is the agent's address"),
    ("agent-ip-command", "Marathon sets HOST, which is the agent's address"),
    ("agent-port", "5051 on every agent of DC/OS"),
    ("agent-remember", "no reason to touch it is known"),
    ("agent-test-state-file", "for tests"),
    ("agent-test-system-file", "for tests"),
    ("agent-test-containers-file", "for tests"),
    ("kafka", "without Kafka every agent would throw its records away"),
    ("kafka-compress-snappy", "the old name of a value of kafka-compression"),
    ("kafka-require-all-acks", "false loses what counts as delivered"),
    ("kafka-flush-ms", "retired"),
    ("kafka-ssl-key-password", "a secret holds the key without a pass phrase"),
    ("kafka-sasl-password", "a secret; kafka-sasl-password-file reads it"),
    ("http-token", "a secret; http-token-file reads it"),
    ("iam-config-path", "another name of dcos-service-account"),
    ("auth-credential", "a secret that never changes; dcos-service-account is better"),
];

/// Options whose default is not their key's, and why.
const OTHER_DEFAULTS: &[(&str, &str, &str)] =
    &[("http-writes", "token", "every task with the host's network is on the collector's loopback")];

/// The default that an option should have.
fn default_of(key: &Key) -> Option<&'static str> {
    let other = OTHER_DEFAULTS.iter().find(|(name, ..)| *name == key.name);
    other.map_or(key.default, |(_, default, _)| Some(default))
}

/// Sizes and times are numbers as options, since Cosmos holds numbers against bounds and texts against none; in these units.
const UNITS: &[(&str, &str)] = &[
    ("memory-limit", "MiB"),
    ("spool-memory", "MiB"),
    ("kafka-queue-max", "MiB"),
    ("input-block-bytes-max", "KiB"),
    ("input-decompressed-bytes-max", "KiB"),
    ("input-record-bytes-max", "KiB"),
    ("shutdown-grace", "s"),
    ("input-block-timeout", "s"),
    ("input-linger", "ms"),
    ("enrich-wait", "ms"),
    ("kafka-discovery-period", "s"),
];

/// What stands behind the number of an option: nothing for most.
fn unit_of(key: &Key) -> &'static str {
    let unit = UNITS.iter().find(|(name, _)| *name == key.name);
    assert!(
        unit.is_some() == matches!(key.kind, Kind::Size { .. } | Kind::Time { .. })
            || option_of(key).is_none(),
        "{}: sizes and times have a unit in this test, and nothing else has",
        key.name
    );
    unit.map_or("", |(_, unit)| unit)
}

/// Bytes, or milliseconds.
fn amount(text: &str) -> u64 {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => panic!("{text} has no unit"),
    };
    number.parse::<u64>().unwrap() * factor
}

/// Options that stand for no key.
const NO_KEY: &[&str] = &[
    "service.name",
    "service.instances",
    "service.cpus",
    "service.mem",
    "service.user",
    "service.public-agents",
    "service.gpu-agents",
    "service.all-regions",
    "security.kafka-ssl-ca-secret",
    "metrics.dcos-metrics",
];

/// The options: `group.name` and the property in `config.json`.
fn options() -> BTreeMap<String, Value> {
    let config = &package()["config"];
    let mut found = BTreeMap::new();
    for (group, schema) in config["properties"].as_object().unwrap() {
        for (name, property) in schema["properties"].as_object().unwrap() {
            found.insert(format!("{group}.{name}"), property.clone());
        }
    }
    found
}

/// The option of a key's own name.
fn option_of(key: &Key) -> Option<(String, Value)> {
    options().into_iter().find(|(path, _)| path.split_once('.').is_some_and(|(_, name)| name == key.name))
}

/// What `config.json` should have for a key.
fn expected(key: &Key) -> Value {
    let default = default_of(key);
    let title = key.name.replace('-', " ");
    let title = title[..1].to_uppercase() + &title[1..];
    let unit = unit_of(key);
    let description = match unit {
        "" => key.doc.to_owned(),
        "s" => format!("{} In seconds.", key.doc),
        "ms" => format!("{} In milliseconds.", key.doc),
        _ => format!("{} In {unit}.", key.doc),
    };
    let mut property = json!({"title": title, "description": description});
    let in_units = |min: u64, max: u64| {
        let one = amount(&format!("1{unit}"));
        let default = default.map(|text| amount(text) / one);
        json!({"type": "integer", "minimum": min.div_ceil(one), "maximum": max / one, "default": default})
    };
    let number = || default.map(|text| text.parse::<u64>().unwrap());
    let shape = match key.kind {
        Kind::Bool => json!({"type": "boolean", "default": default.map(|text| text == "true")}),
        Kind::Integer { min, max } => {
            json!({"type": "integer", "minimum": min, "maximum": max, "default": number()})
        }
        Kind::Seconds { min, max } => {
            json!({"type": "integer", "minimum": min.as_secs(), "maximum": max.as_secs(), "default": number()})
        }
        Kind::Milliseconds { min, max } => {
            let (min, max) = (min.as_millis() as u64, max.as_millis() as u64);
            json!({"type": "integer", "minimum": min, "maximum": max, "default": number()})
        }
        Kind::Choice(words) => {
            // The empty word is not set, which is a choice only where there is no default.
            let none = default.is_none().then_some("");
            let words: Vec<&str> = none.into_iter().chain(words.iter().copied()).collect();
            json!({"type": "string", "enum": words, "default": default.unwrap_or("")})
        }
        Kind::Size { min, max } => in_units(min, max),
        Kind::Time { min, max } => in_units(min.as_millis() as u64, max.as_millis() as u64),
        _ => json!({"type": "string", "default": default.unwrap_or("")}),
    };
    for (name, value) in shape.as_object().unwrap() {
        if !value.is_null() {
            property[name] = value.clone();
        }
    }
    property
}

#[test]
fn every_key_is_an_option_or_has_a_reason_not_to_be() {
    let named = |path: &str| options().contains_key(path);
    for key in Key::all() {
        let elsewhere = BY_ANOTHER_NAME.iter().find(|(name, _)| *name == key.name);
        let not_offered = NOT_OFFERED.iter().any(|(name, _)| *name == key.name);
        let n_places = usize::from(option_of(key).is_some())
            + usize::from(elsewhere.is_some())
            + usize::from(not_offered);
        assert_eq!(
            n_places,
            1,
            "{}: offer it in universe/config.json and hand it on in universe/marathon.json.mustache, or say in this test \
             why not. As an option it is\n\"{}\": {:#}",
            key.name,
            key.name,
            expected(key)
        );
        assert!(!key.secret || not_offered || elsewhere.is_some(), "{} is a secret and an option", key.name);
        for path in elsewhere.iter().flat_map(|(_, paths)| *paths) {
            assert!(named(path), "{} is said to be the option {path}", key.name);
        }
    }
    for name in BY_ANOTHER_NAME.iter().map(|(name, _)| name).chain(NOT_OFFERED.iter().map(|(name, _)| name)) {
        assert!(Key::find(name).is_some(), "{name} is no key any more");
    }
    let of_keys: Vec<&str> = BY_ANOTHER_NAME.iter().flat_map(|(_, paths)| *paths).copied().collect();
    for path in options().keys() {
        let is_key = Key::all().any(|key| path.split_once('.').is_some_and(|(_, name)| name == key.name));
        let known = is_key || NO_KEY.contains(&path.as_str()) || of_keys.contains(&path.as_str());
        assert!(known, "{path} is no key and nothing of DC/OS's");
    }
}

#[test]
fn options_have_the_words_bounds_and_defaults_of_their_keys() {
    for key in Key::all() {
        let Some((path, property)) = option_of(key) else { continue };
        if key.name == "shutdown-grace" {
            // The time after which DC/OS kills bounds it.
            assert_eq!(property["type"], "integer");
            assert_eq!(format!("{}s", property["default"]), key.default.unwrap());
            continue;
        }
        assert_eq!(property, expected(key), "{path}; it should be\n\"{}\": {:#}", key.name, expected(key));
    }
}

#[test]
fn every_level_is_closed_and_every_option_explains_itself() {
    let config = &package()["config"];
    assert_eq!(config["additionalProperties"], false);
    for (group, schema) in config["properties"].as_object().unwrap() {
        assert_eq!(schema["additionalProperties"], false, "{group}");
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{group}");
        // Cosmos looks for defaults no further below one.
        assert!(schema.get("default").is_none(), "{group}");
    }
    for (path, option) in options() {
        assert!(option["title"].as_str().is_some_and(|title| !title.is_empty()), "{path}");
        assert!(option["description"].as_str().is_some_and(|text| text.ends_with('.')), "{path}");
        let may_be_unset = path.starts_with("kafka.kafka-topic-");
        assert!(option.get("default").is_some() || may_be_unset, "{path} has no default");
    }
}

#[test]
fn all_is_plain_ascii_of_the_version_that_is_built() {
    for file in ["package.json", "config.json", "resource.json", "marathon.json.mustache"] {
        let text = text(file);
        assert!(text.is_ascii() && !text.contains("\\u"), "{file}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(package()["version"], version);
    let artifact = package()["resource"]["assets"]["uris"]["metrics-collector"].as_str().unwrap();
    assert_eq!(artifact, format!("{NO_PLACE}/metrics-collector-{version}-x86_64.tar.gz"));
    let notes = package()["preInstallNotes"].as_str().unwrap();
    assert!(notes.starts_with("This DC/OS Service is currently in preview."), "{notes}");
    for (image, size) in [("small", 48), ("medium", 96), ("large", 256_u32)] {
        let icon = std::fs::read(repository(&format!("universe/icon-{image}.png"))).unwrap();
        assert_eq!(icon[16..24], [size.to_be_bytes(), size.to_be_bytes()].concat(), "{image}");
    }
}

#[test]
fn sizes_and_times_fit_each_other_and_are_those_that_operators_read() {
    let options = options();
    let default = |path: &str| options[path]["default"].clone();
    let (cpus, mem, instances) =
        (default("service.cpus"), default("service.mem"), default("service.instances"));
    let (input, http) = (default("input.listen-port"), default("http.http-port"));
    let partner = default("partner.partner-port");
    // The program and its allocator come on top of the budget for its buffers.
    let limit = default("service.memory-limit");
    assert!(mem.as_u64().unwrap() >= limit.as_u64().unwrap() + 64);
    // The longest drain, and the second that the input takes to end, are over before DC/OS kills.
    let grace = app(&[])["taskKillGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= options["service.shutdown-grace"]["maximum"].as_u64().unwrap() + 10);

    let page = std::fs::read_to_string(repository("docs/operations.md")).unwrap();
    let before = package()["preInstallNotes"].as_str().unwrap();
    for words in [
        format!("{cpus} CPUs"),
        format!("{mem} MiB"),
        format!("{input}, {partner} and {http}"),
        format!("{instances} instances"),
    ] {
        assert!(before.contains(&words), "{words:?} is not in {before}");
        assert!(page.contains(&words), "{words:?} is not in docs/operations.md");
    }
    let after = package()["postInstallNotes"].as_str().unwrap();
    assert!(
        after.contains(&format!("127.0.0.1:{input}")) && after.contains(&format!("<agent>:{http}/-/ready"))
    );
    let gone = package()["postUninstallNotes"].as_str().unwrap();
    assert!(gone.contains(&format!("within {grace} seconds")) && page.contains(&format!("after {grace} s")));
}

/// `{"group": {"name": value}}` for each of `group.name`.
fn nested(values: &[(&str, Value)]) -> Value {
    let mut options = json!({});
    for (path, value) in values {
        let (group, name) = path.split_once('.').unwrap();
        options[group][name] = value.clone();
    }
    options
}

fn app(values: &[(&str, Value)]) -> Value {
    let options = nested(values);
    render(package(), &options).unwrap_or_else(|error| panic!("{options}: {error:#}"))
}

/// Members that differ, by their JSON pointers; those that Cosmos sets aside.
fn differences(one: &Value, other: &Value) -> BTreeMap<String, Value> {
    fn walk(path: &str, one: &Value, other: &Value, found: &mut BTreeMap<String, Value>) {
        match (one, other) {
            (Value::Object(a), Value::Object(b)) => {
                let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
                names.sort();
                names.dedup();
                for name in names {
                    let missing = &Value::Null;
                    let (a, b) = (a.get(name).unwrap_or(missing), b.get(name).unwrap_or(missing));
                    walk(&format!("{path}/{name}"), a, b, found);
                }
            }
            (one, other) if one != other => _ = found.insert(path.to_owned(), other.clone()),
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    walk("", one, other, &mut found);
    found.retain(|path, _| !path.starts_with("/labels/DCOS_PACKAGE_"));
    found
}

fn variable(key: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", key.to_uppercase().replace('-', "_"))
}

/// A value of an option that is not its default, and options without which the collector refuses it.
fn sample(name: &str, property: &Value) -> (Value, Vec<(&'static str, Value)>) {
    // A certificate, for the time of the tests.
    static CA: LazyLock<NamedTempFile> = LazyLock::new(|| {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), TlsServer::start().ca).unwrap();
        file
    });
    let tls = ("security.kafka-security-protocol", json!("ssl"));
    let sasl = [
        ("security.kafka-security-protocol", json!("sasl_plaintext")),
        ("security.kafka-sasl-password-secret", json!("metrics-collector/password")),
        ("security.kafka-sasl-username", json!("somebody")),
        ("security.kafka-sasl-mechanism", json!("SCRAM-SHA-256")),
    ];
    let text = |text: &str| (json!(text), Vec::new());
    match name {
        "log-level" => text("info,metrics_collector::input=debug"),
        "data-dir" => text("/var/lib/metrics-collector"),
        // No larger than a block may be.
        "input-record-bytes-max" => (json!(512), Vec::new()),
        "listen-socket" | "partner-socket" => text("/run/metrics-collector.sock"),
        "agent-metrics-topic" | "kafka-single-topic" => text("other"),
        "kafka-framework" => text("prod/kafka"),
        "kafka-brokers" => text("kafka-1:9092,kafka-2:9092"),
        "kafka-topic-prefix" => text("m-"),
        "dns-server" => text("198.51.100.1"),
        "kafka-scheduler-url" | "admin-router-url" | "marathon-url" | "mesos-dns-url" => {
            text("http://a.example:1")
        }
        "kafka-property" => text("socket.keepalive.enable=true"),
        "dcos-auth-hosts" => (
            json!("*.example"),
            vec![("security.service-account-secret", json!("metrics-collector/account"))],
        ),
        "dcos-ca" => (json!(CA.path()), Vec::new()),
        "kafka-ssl-ca" => (json!(CA.path()), vec![tls]),
        "kafka-security-protocol" => text("ssl"),
        "kafka-sasl-mechanism" => (json!("PLAIN"), sasl.to_vec()),
        "kafka-sasl-username" => (json!("else"), sasl.to_vec()),
        "kafka-topic-partitions" | "kafka-topic-replication" => {
            (json!(3), vec![("kafka.kafka-create-topics", json!(true))])
        }
        "partners" => text(r#"[{"name":"billing","address":"billing.example:9000","topics":["agent*"]}]"#),
        "statsd-udp-host" => (json!("localhost"), vec![("metrics.statsd-udp-port", json!(8125))]),
        "statsd-udp-port" => (json!(8126), vec![("metrics.statsd-udp-host", json!("localhost"))]),
        _ => {
            let default = &property["default"];
            let value = match (property["type"].as_str().unwrap(), property.get("enum")) {
                ("boolean", _) => json!(!default.as_bool().unwrap()),
                ("integer", _) => json!(default.as_u64().unwrap() + 1),
                (_, Some(words)) => {
                    words.as_array().unwrap().iter().find(|word| *word != default).unwrap().clone()
                }
                _ => panic!("give {name} a sample value in this test"),
            };
            (value, Vec::new())
        }
    }
}

/// Runs `check-config` with the environment of the app.
fn check_config(app: &Value) {
    // Secrets are files that DC/OS makes.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    let mut environment = Vec::new();
    for (name, value) in app["env"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let file = folder.path().join(value);
        if value == "secrets/service-account.json" {
            Iam::start().write_secret(&file);
        } else if value.starts_with("secrets/") {
            std::fs::write(&file, "x").unwrap();
        }
        let value = if value.starts_with("secrets/") { file.to_str().unwrap() } else { value };
        environment.push((name.as_str(), value.to_owned()));
    }
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let output = run(&["check-config"], &environment);
    assert_eq!(output.code, Some(0), "{output:#?}");
}

#[test]
fn every_option_of_a_key_reaches_the_collector_and_nothing_else() {
    for key in Key::all() {
        let Some((path, property)) = option_of(key) else { continue };
        let (value, more) = sample(key.name, &property);
        let with = [&more[..], &[(path.as_str(), value.clone())]].concat();
        let app_with = app(&with);
        let told = value.as_str().map_or_else(|| value.to_string(), str::to_owned) + unit_of(key);
        let expected = BTreeMap::from([(format!("/env/{}", variable(key.name)), json!(told))]);
        let without: Vec<_> = more.into_iter().filter(|(of, _)| *of != path).collect();
        assert_eq!(differences(&app(&without), &app_with), expected, "{path}");
        check_config(&app_with);
    }
}

#[test]
fn defaults_are_those_of_the_collector() {
    let app = app(&[]);
    let elsewhere = [
        ("listen-endpoint", "127.0.0.1:8124"),
        ("partner-endpoint", "127.0.0.1:8126"),
        ("http-endpoint", ":8128"),
    ];
    for key in Key::all() {
        let told = app["env"].get(variable(key.name)).and_then(Value::as_str);
        if let Some((_, expected)) = elsewhere.iter().find(|(name, _)| *name == key.name) {
            assert_eq!(told, Some(*expected), "{}", key.name);
        } else if let Some(told) = told.filter(|_| !unit_of(key).is_empty()) {
            assert_eq!(amount(told), key.default.map_or(0, amount), "{}", key.name);
        } else if let Some(told) = told {
            assert_eq!(told, default_of(key).unwrap_or(""), "{}", key.name);
        }
    }
    check_config(&app);
}

/// An option, its value, and what that changes.
type Case<'a> = (&'a str, Value, &'a [(&'a str, Value)]);

#[test]
fn options_of_dcos_change_the_app_where_they_should() {
    let ports = |http: u16, input: u16, partner: u16| {
        json!([
            {"port": http, "name": "http", "protocol": "tcp", "labels": {
                "DCOS_METRICS_FORMAT": "prometheus", "DCOS_METRICS_ENDPOINT": "/metrics", "METRICS_COLLECTOR": "http"}},
            {"port": input, "name": "input", "protocol": "tcp", "labels": {"METRICS_COLLECTOR": "input"}},
            {"port": partner, "name": "partner", "protocol": "tcp", "labels": {"METRICS_COLLECTOR": "partner"}},
        ])
    };
    let mut without_labels = ports(8128, 8124, 8126);
    without_labels[0]["labels"] = json!({"METRICS_COLLECTOR": "http"});
    let cases: &[Case] = &[
        ("service.name", json!("other"), &[("/id", json!("/other"))]),
        ("service.instances", json!(3), &[("/instances", json!(3))]),
        // 128.0 is an integer for Cosmos.
        ("service.instances", json!(128.0), &[("/instances", json!(128))]),
        ("service.cpus", json!(0.5), &[("/cpus", json!(0.5))]),
        ("service.mem", json!(256), &[("/mem", json!(256))]),
        ("service.user", json!("nobody"), &[("/user", json!("nobody"))]),
        ("service.public-agents", json!(false), &[("/acceptedResourceRoles", json!(["*"]))]),
        ("service.gpu-agents", json!(false), &[("/labels/GPU_SCHEDULING_BEHAVIOR", Value::Null)]),
        (
            "service.all-regions",
            json!(true),
            &[("/constraints", json!([["hostname", "UNIQUE"], ["@region", "UNLIKE", "none-such"]]))],
        ),
        (
            "input.listen-address",
            json!("0.0.0.0"),
            &[("/env/METRICS_COLLECTOR_LISTEN_ENDPOINT", json!("0.0.0.0:8124"))],
        ),
        (
            "input.listen-port",
            json!(9124),
            &[
                ("/env/METRICS_COLLECTOR_LISTEN_ENDPOINT", json!("127.0.0.1:9124")),
                ("/portDefinitions", ports(8128, 9124, 8126)),
            ],
        ),
        (
            "partner.partner-port",
            json!(9126),
            &[
                ("/env/METRICS_COLLECTOR_PARTNER_ENDPOINT", json!("127.0.0.1:9126")),
                ("/portDefinitions", ports(8128, 8124, 9126)),
            ],
        ),
        (
            "http.http-port",
            json!(9128),
            &[
                ("/env/METRICS_COLLECTOR_HTTP_ENDPOINT", json!(":9128")),
                ("/portDefinitions", ports(9128, 8124, 8126)),
            ],
        ),
        ("metrics.dcos-metrics", json!(false), &[("/portDefinitions", without_labels)]),
        (
            "kafka.kafka-topic-prefix",
            json!(""),
            &[
                ("/env/METRICS_COLLECTOR_KAFKA_TOPIC_PREFIX", json!("")),
                ("/cmd", json!("exec metrics-collector/bin/metrics-collector --kafka-topic-prefix=")),
            ],
        ),
    ];
    let default = app(&[]);
    for (path, value, expected) in cases {
        let expected = expected.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
        let changed = app(&[(path, value.clone())]);
        assert_eq!(differences(&default, &changed), expected, "{path} = {value}");
        check_takes(&changed);
    }
}

/// Options of secrets: the file, the key of the collector, and the secret's name in the app.
const SECRETS: [(&str, &str, &str, &str); 6] = [
    ("service-account-secret", "service-account.json", "dcos-service-account", "service-account"),
    ("kafka-ssl-ca-secret", "kafka-ca.pem", "kafka-ssl-ca", "kafka-ca"),
    ("kafka-ssl-certificate-secret", "kafka-certificate.pem", "kafka-ssl-certificate", "kafka-certificate"),
    ("kafka-ssl-key-secret", "kafka-key.pem", "kafka-ssl-key", "kafka-key"),
    ("kafka-sasl-password-secret", "kafka-password", "kafka-sasl-password-file", "kafka-password"),
    ("http-token-secret", "http-token", "http-token-file", "http-token"),
];

#[test]
fn any_choice_of_secrets_gives_files_that_the_collector_reads() {
    for choice in 0..1_u32 << SECRETS.len() {
        let chosen: Vec<_> =
            (0..).zip(SECRETS).filter(|(n, _)| choice >> n & 1 == 1).map(|(_, s)| s).collect();
        let has = |option: &str| chosen.iter().any(|(of, ..)| *of == option);
        if has("kafka-ssl-certificate-secret") != has("kafka-ssl-key-secret") {
            continue;
        }
        let paths: Vec<String> = chosen.iter().map(|(option, ..)| format!("security.{option}")).collect();
        let values: Vec<(&str, Value)> =
            paths.iter().map(|path| (path.as_str(), json!(format!("folder/{path}")))).collect();
        let app = app(&values);
        let volumes: Vec<Value> = chosen
            .iter()
            .map(|(_, file, _, name)| json!({"containerPath": format!("secrets/{file}"), "secret": name}))
            .collect();
        assert_eq!(app["container"], json!({"type": "MESOS", "volumes": volumes}));
        let mut secrets = json!({});
        for (option, _, _, name) in &chosen {
            secrets[*name] = json!({"source": format!("folder/security.{option}")});
        }
        assert_eq!(app["secrets"], secrets);
        for (option, file, key, _) in SECRETS {
            let told = if has(option) { format!("secrets/{file}") } else { String::new() };
            assert_eq!(app["env"][variable(key)], told, "{key}");
        }
        check_takes(&app);
    }
}

/// Checks the app as Marathon does: by a schema of our own, and by Marathon's where `DCOS_SCHEMAS` names a folder with it.
fn check_takes(app: &Value) {
    let own = json_file("tests/data/marathon-app.json");
    assert_eq!(problems(&own, app), Vec::<Value>::new(), "{app:#}");
    if let Some(schemas) = official_schemas() {
        let mut app = app.clone();
        // Files of secrets came with Marathon 1.5, and never into its schema.
        app["container"]["volumes"] = json!([]);
        let schema = json!(format!("{schemas}/marathon/AppDefinition-marathon-1.7.236.json"));
        assert_eq!(problems(&schema, &app), Vec::<Value>::new(), "{app:#}");
    }
}

/// URL of the folder with the schemas of Universe and Marathon, where there is one.
fn official_schemas() -> Option<String> {
    let folder = std::env::var("DCOS_SCHEMAS").ok().filter(|folder| !folder.is_empty())?;
    let folder = std::path::absolute(folder).expect("an absolute path");
    assert!(folder.is_dir(), "DCOS_SCHEMAS: {} is no folder", folder.display());
    Some(format!("file://{}", folder.display()))
}

#[test]
fn clusters_of_every_kind_get_an_app_that_their_marathon_takes() {
    let account = || ("security.service-account-secret", json!("metrics-collector/service-account"));
    let https = || ("agent.agent-scheme", json!("https"));
    let user = |name: &str| ("service.user", json!(name));
    for values in [
        vec![],
        vec![account()],
        vec![account(), https()],
        vec![account(), https(), user("nobody")],
        vec![account(), https(), user("root"), ("service.data-dir", json!("/var/lib/metrics-collector"))],
        vec![("service.all-regions", json!(true))],
    ] {
        let app = app(&values);
        check_takes(&app);
        // What Marathon 1.6 and later know, and 1.5 does not, is asked for alone.
        let has_region = app["constraints"].to_string().contains("@region");
        assert_eq!(has_region, values.iter().any(|(path, _)| *path == "service.all-regions"));
        check_config(&app);
        // All who reach the HTTP port from elsewhere get the open routes alone.
        assert_eq!(app["env"][variable("http-token-file")], "");
    }
}

/// What Universe takes in `package.json` of packaging version 4.0; those that it must have first.
const UNIVERSE_KEYS: [&str; 19] = [
    "packagingVersion",
    "name",
    "version",
    "maintainer",
    "description",
    "tags",
    "scm",
    "website",
    "framework",
    "preInstallNotes",
    "postInstallNotes",
    "postUninstallNotes",
    "selected",
    "licenses",
    "minDcosReleaseVersion",
    "hasKnownIssues",
    "lastUpdated",
    "upgradesFrom",
    "downgradesTo",
];

#[test]
fn the_package_keeps_the_rules_of_universe() {
    let package_json = json_file("universe/package.json");
    let keys: Vec<&String> = package_json.as_object().unwrap().keys().collect();
    assert!(keys.iter().all(|key| UNIVERSE_KEYS.contains(&key.as_str())), "{keys:?}");
    assert!(UNIVERSE_KEYS[..6].iter().all(|key| package_json.get(key).is_some()), "{keys:?}");
    assert_eq!(package_json["packagingVersion"], "4.0");
    // The meta-schema of draft 4 is part of the validator.
    let draft4 = json!("http://json-schema.org/draft-04/schema#");
    assert_eq!(problems(&draft4, &package()["config"]), Vec::<Value>::new());
    let Some(schemas) = official_schemas() else { return };
    let schema = |name: &str| json!(format!("{schemas}/universe-schema/{name}"));
    for (name, instance) in [
        ("package-schema.json", package_json),
        ("config-schema.json", json_file("universe/config.json")),
        ("v3-resource-schema.json", json_file("universe/resource.json")),
        ("v4-repo-schema.json", json!({"packages": [package()]})),
        ("v5-repo-schema.json", json!({"packages": [package()]})),
    ] {
        assert_eq!(problems(&schema(name), &instance), Vec::<Value>::new(), "{name}");
    }
    assert_ne!(problems(&schema("package-schema.json"), &json!({"name": "x"})), Vec::<Value>::new());
}

#[test]
fn versions_of_before_can_still_be_installed() {
    let folder = tempfile::tempdir().unwrap();
    let (out, kept) = (folder.path().join("files"), folder.path().join("kept.json"));
    let before = json!({"packages": [
        {"name": "another", "version": "0.1.0", "releaseVersion": 7},
        {"name": "metrics-collector", "version": "0.0.9", "releaseVersion": 3},
    ]});
    std::fs::write(&kept, before.to_string()).unwrap();
    let packed = pack("https://files.example", &out, Some(&kept));
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let read =
        |path: &std::path::Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let made = read(&out.join("repository.json"));
    let versions: Vec<_> = made["packages"].as_array().unwrap().iter().map(|of| &of["version"]).collect();
    let ours = package()["version"].clone();
    assert_eq!(versions, [&json!("0.1.0"), &json!("0.0.9"), &ours]);
    let mut expected = package().clone();
    expected["releaseVersion"] = json!(4);
    expected["resource"] = read(&out.join("repo/packages/M/metrics-collector/4/resource.json"));
    assert_eq!(made["packages"][2], expected);
    let artifact = expected["resource"]["assets"]["uris"]["metrics-collector"].as_str().unwrap();
    let file = artifact.strip_prefix("https://files.example/").expect("it is where the files are");
    assert!(out.join(file).is_file(), "{artifact}");

    // An artifact under the name of another would never reach the agents that have that one.
    for (after, why) in [(out.join("repository.json"), "already"), (out.join("none"), "No such file")] {
        let refused = pack("https://files.example", &folder.path().join("more"), Some(&after));
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(why), "{said}");
    }
}

#[test]
fn a_wrong_option_is_refused_with_its_place() {
    for (options, place, keyword) in [
        (json!({"servce": {}}), "", "additionalProperties"),
        (json!({"service": {"instances": "3"}}), "/service/instances", "type"),
        (json!({"service": {"instances": 0}}), "/service/instances", "minimum"),
        (json!({"service": {"name": "infra/metrics-collector"}}), "/service/name", "pattern"),
        (json!({"service": {"shutdown-grace": 61}}), "/service/shutdown-grace", "maximum"),
        (json!({"service": {"memory-limit": "64MiB"}}), "/service/memory-limit", "type"),
        (json!({"service": {"memory-limit": 8}}), "/service/memory-limit", "minimum"),
        (json!({"input": {"input-linger": 5001}}), "/input/input-linger", "maximum"),
        (json!({"kafka": {"brokers": "a:9092"}}), "/kafka", "additionalProperties"),
        (json!({"kafka": {"kafka-compression": "zip"}}), "/kafka/kafka-compression", "enum"),
        (json!({"kafka": {"kafka-create-topics": "true"}}), "/kafka/kafka-create-topics", "type"),
        (json!({"input": {"listen-port": 8080}}), "/input/listen-port", "not"),
        (json!({"http": {"http-port": 61_001}}), "/http/http-port", "maximum"),
        (json!({"input": {"listen-address": "localhost"}}), "/input/listen-address", "pattern"),
        (json!({"security": {"kafka-ssl-certificate-secret": "a"}}), "/security", "anyOf"),
        (json!({"security": {"kafka-sasl-password": "guess"}}), "/security", "additionalProperties"),
    ] {
        let error = render(package(), &options).expect_err(&options.to_string());
        assert_eq!(error["type"], "JsonSchemaMismatch", "{options}: {error:#}");
        assert_eq!(error["message"], "Options JSON failed validation");
        let first = &error["data"]["errors"][0];
        assert_eq!(
            (&first["instance"]["pointer"], &first["keyword"]),
            (&json!(place), &json!(keyword)),
            "{options}"
        );
    }
}

#[test]
fn text_of_any_kind_in_an_option_arrives_as_it_is() {
    let odd = "a\"b\\c'd $(e) `f`\n{{g}} ${h} <i> & \u{fc}";
    let app = app(&[("security.kafka-sasl-username", json!(odd))]);
    assert_eq!(app["env"][variable("kafka-sasl-username")], odd);
}

#[test]
fn the_app_without_the_package_is_the_same() {
    let mut app = app(&[]);
    app["labels"].as_object_mut().unwrap().retain(|name, _| !name.starts_with("DCOS_PACKAGE_"));
    let expected = format!("{app:#}\n");
    let file = std::fs::read_to_string(repository("marathon/metrics-collector.json")).unwrap();
    assert_eq!(file, expected, "marathon/metrics-collector.json should be\n{expected}");
}

#[test]
fn the_app_of_the_sample_producer_is_one_that_marathon_and_the_program_take() {
    let app = json_file("marathon/sample-producer.json");
    check_takes(&app);
    let words = app["cmd"].as_str().unwrap().split_whitespace();
    let mut words = words.skip_while(|word| *word == "exec");
    assert_eq!(words.next(), Some("metrics-collector/bin/sample-producer"));
    let words = ["sample-producer"].into_iter().chain(words).map(OsString::from);
    let settings = args::parse(words, None).unwrap();
    assert!(settings.discovery.is_some(), "{settings:?}");
    assert_eq!(app["fetch"], json_file("marathon/metrics-collector.json")["fetch"]);
}
