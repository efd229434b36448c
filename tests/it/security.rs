//! Brokers that ask who is there: with the right papers records arrive; with wrong ones they wait, the cause is named,
//! and the input goes on.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::http::request;
use crate::support::kafka::{Broker, USER, unique};
use crate::support::{consumer, eventually, ocf, once, record};

/// A collector at a listener of the strict broker, which sends to `topic`.
fn start(listener: &str, topic: &str, args: &[&str]) -> Collector {
    let broker = Broker::strict();
    broker.create_topic(topic, 1, &[]);
    let protocol = if listener == "SASL_SSL" { "sasl_ssl" } else { "ssl" };
    let common = ["--kafka-topic-prefix", "", "--kafka-security-protocol", protocol];
    Collector::start(broker.listener(listener), &[&common, args].concat())
}

fn check_let_in(listener: &str, args: &[&str]) {
    let topic = unique("secure");
    let collector = start(listener, &topic, args);
    let records = record::numbered(&topic, 0..50);
    collector.send(&ocf::stream(&records));
    collector.wait_delivered(50);
    // What it can do was asked over the same TLS, or it would only be assumed.
    assert_eq!(collector.status()["kafka"]["broker"]["known_by"], "broker");
    let arrived = consumer::records(&consumer::read(Broker::strict().bootstrap(), &topic, 50));
    assert_eq!(arrived.iter().map(record::Record::number).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
}

/// Checks that all is kept and the cause is named by one of `words`.
fn check_kept_out(collector: &Collector, topic: &str, words: &[&str]) {
    collector.send(&ocf::stream(&record::numbered(topic, 0..50)));
    collector.wait_accepted(50);
    let mut why = String::new();
    eventually("/-/ready names the cause", || {
        why = collector.why_not_ready("kafka").to_lowercase();
        once(words.iter().any(|word| why.contains(word)), || why.clone())
    });
    assert!(!why.contains(USER.1), "a password in {why:?}");
    // The cause is known, and the input goes on.
    collector.send(&ocf::stream(&record::numbered(topic, 50..80)));
    collector.wait_accepted(80);
    let ledger = collector.ledger();
    assert_eq!((ledger.kafka("waiting"), ledger.kafka("imbalance")), (80, 0), "{ledger:?}");
}

fn sasl<'a>(ca: &'a str, mechanism: &'a str, name: &'a str, password: &'a str) -> Vec<&'a str> {
    vec![
        "--kafka-ssl-ca",
        ca,
        "--kafka-sasl-mechanism",
        mechanism,
        "--kafka-sasl-username",
        name,
        "--kafka-sasl-password",
        password,
    ]
}

#[test]
fn tls_delivers() {
    check_let_in("SSL", &["--kafka-ssl-ca", &Broker::strict().certificate("ca.pem")]);
}

#[test]
fn mutual_tls_delivers() {
    let file = |name| Broker::strict().certificate(name);
    let (ca, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let args = ["--kafka-ssl-ca", &ca, "--kafka-ssl-certificate", &certificate, "--kafka-ssl-key", &key];
    check_let_in("MTLS", &args);
}

#[test]
fn tls_that_is_set_by_properties_delivers_and_the_brokers_are_asked_over_it() {
    let file = |name| Broker::strict().certificate(name);
    let properties = [
        format!("ssl.ca.location={}", file("ca.pem")),
        format!("ssl.certificate.location={}", file("client.pem")),
        format!("ssl.key.location={}", file("client.key")),
    ];
    let args: Vec<&str> = properties.iter().flat_map(|property| ["--kafka-property", property]).collect();
    check_let_in("MTLS", &args);
    // The authority that the key names signed nobody, and the property wins.
    let stranger = file("stranger.pem");
    check_let_in("MTLS", &[&["--kafka-ssl-ca", &stranger], &args[..]].concat());
    check_let_in(
        "SSL",
        &["--kafka-ssl-ca", &stranger, "--kafka-property", "enable.ssl.certificate.verification=false"],
    );
}

#[test]
fn sasl_plain_delivers() {
    check_let_in("SASL_SSL", &sasl(&Broker::strict().certificate("ca.pem"), "PLAIN", USER.0, USER.1));
}

#[test]
fn sasl_scram_sha_256_delivers() {
    check_let_in("SASL_SSL", &sasl(&Broker::strict().certificate("ca.pem"), "SCRAM-SHA-256", USER.0, USER.1));
}

#[test]
fn sasl_scram_sha_512_delivers() {
    check_let_in("SASL_SSL", &sasl(&Broker::strict().certificate("ca.pem"), "SCRAM-SHA-512", USER.0, USER.1));
}

#[test]
fn a_wrong_password_waits_and_is_named() {
    let topic = unique("secure");
    let ca = Broker::strict().certificate("ca.pem");
    let collector = start("SASL_SSL", &topic, &sasl(&ca, "PLAIN", USER.0, "not-the-password"));
    check_kept_out(&collector, &topic, &["authentication"]);
}

#[test]
fn an_unknown_authority_waits_and_is_named() {
    let topic = unique("secure");
    let stranger = Broker::strict().certificate("stranger.pem");
    let collector = start("SSL", &topic, &["--kafka-ssl-ca", &stranger]);
    check_kept_out(&collector, &topic, &["certificate"]);
}

#[test]
fn a_missing_client_certificate_waits_and_is_named() {
    let topic = unique("secure");
    let ca = Broker::strict().certificate("ca.pem");
    let collector = start("MTLS", &topic, &["--kafka-ssl-ca", &ca]);
    check_kept_out(&collector, &topic, &["certificate", "ssl"]);
}

#[test]
fn records_that_waited_for_a_login_are_delivered_once_the_broker_knows_it() {
    let topic = unique("secure");
    let (name, ca) = (unique("late"), Broker::strict().certificate("ca.pem"));
    let collector = start("SASL_SSL", &topic, &sasl(&ca, "SCRAM-SHA-256", &name, "now-it-does"));
    check_kept_out(&collector, &topic, &["authentication"]);
    let password = "SCRAM-SHA-256=[password=now-it-does]";
    let user = ["--alter", "--add-config", password, "--entity-type", "users", "--entity-name", &name];
    Broker::strict().tool("kafka.admin.ConfigCommand", &user);
    collector.wait_delivered(80);
}

#[test]
fn the_password_of_the_file_is_sent_to_nobody_who_is_named_over_http() {
    let [theirs, ours] = [(); 2].map(|()| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (password, brokers) = (file("password", USER.1), format!("@{}", file("brokers", "127.0.0.1:1")));
    let arguments = [
        ["--kafka-security-protocol", "sasl_ssl"],
        ["--kafka-sasl-mechanism", "SCRAM-SHA-512"],
        ["--kafka-sasl-username", USER.0],
        ["--kafka-sasl-password-file", &password],
    ];
    let collector = Collector::start(&brokers, &arguments.concat());
    let answer = collector.patch(&json!({
        "kafka-brokers": address(&theirs), "kafka-security-protocol": "sasl_plaintext", "kafka-sasl-mechanism": "PLAIN",
    }));
    assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("invalid_config")), "{answer:?}");
    assert!(!answer.body.contains(USER.1), "{answer:?}");
    let faults = answer.json()["faults"].as_array().cloned().unwrap_or_default();
    let told = |fault: &Value| {
        let expected = fault["expected"].as_str().unwrap_or_default();
        assert!(expected.contains("the password of kafka-sasl-password-file (flag --"), "{fault}");
        assert!(
            expected.contains("not changed over HTTP; set it in the file, and have that read again"),
            "{fault}"
        );
        fault["key"].clone()
    };
    let keys: Vec<Value> = faults.iter().map(told).collect();
    assert_eq!(keys, ["kafka-brokers", "kafka-security-protocol", "kafka-sasl-mechanism"]);
    // Whoever may write the file names others, which are gone to in place of those.
    file("brokers", &address(&ours));
    assert_eq!(request(collector.http(), "POST", "/-/reload", &[]).status, 200);
    eventually("the brokers of the file are connected to", || {
        once(ours.accept().is_ok(), || collector.status().to_string())
    });
    collector.kill();
    let nobody = theirs.accept().map_err(|error| error.kind());
    assert!(matches!(nobody, Err(ErrorKind::WouldBlock)), "{nobody:?}");
}
