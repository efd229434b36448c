//! Certificates that are renewed under their names: a reload notices it, and acts as on other credentials.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::collector::Collector;
use crate::support::kafka::{Broker, unique};
use crate::support::load::under_load;
use crate::support::record::Record;
use crate::support::{consumer, eventually, ocf, once, record};

/// A certificate and its key, which are put in the place of others as whoever renews them does.
struct Certificate(TempDir);

impl Certificate {
    /// That of the test certificates by this name.
    fn of(name: &str) -> Certificate {
        let certificate = Certificate(tempfile::tempdir().unwrap());
        certificate.renew(name);
        certificate
    }

    fn renew(&self, name: &str) {
        for (kind, path) in [("pem", self.pem()), ("key", self.key())] {
            let new = path.with_extension("new");
            std::fs::copy(Broker::strict().certificate(&format!("{name}.{kind}")), &new).unwrap();
            std::fs::rename(new, path).unwrap();
        }
    }

    fn pem(&self) -> PathBuf {
        self.0.path().join("client.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("client.key")
    }

    /// A collector that shows it to the broker, which wants one.
    fn start(&self, topic: &str) -> Collector {
        let broker = Broker::strict();
        broker.create_topic(topic, 1, &[]);
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (ca, pem, key) = (broker.certificate("ca.pem"), text(&self.pem()), text(&self.key()));
        let args = ["--kafka-topic-prefix", "", "--kafka-security-protocol", "ssl", "--kafka-ssl-ca", &ca];
        let own = ["--kafka-ssl-certificate", &pem, "--kafka-ssl-key", &key];
        Collector::start(broker.listener("MTLS"), &[&args[..], &own].concat())
    }
}

fn producers(collector: &Collector) -> u64 {
    collector.metric("metrics_collector_kafka_producers_total")
}

/// Lines of the log that tell of a renewed file, by their keys.
fn told(collector: &Collector) -> Vec<String> {
    let lines = collector.log();
    let renewed = lines.iter().filter(|line| line.contains("the file has other contents"));
    let key = |line: &String| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["key"].as_str().unwrap().to_owned()
    };
    renewed.map(key).collect()
}

#[test]
fn records_that_a_certificate_kept_back_go_once_it_is_renewed() {
    let topic = unique("renewed");
    let certificate = Certificate::of("stranger");
    let collector = certificate.start(&topic);
    collector.send(&ocf::stream(&record::numbered(&topic, 0..50)));
    collector.wait_accepted(50);
    let why = collector.why_not_ready("kafka");
    assert_eq!(collector.ledger().kafka("delivered"), 0, "{why}");
    certificate.renew("client");
    collector.hang_up();
    collector.wait_delivered(50);
    assert_eq!(told(&collector), ["kafka-ssl-certificate", "kafka-ssl-key"]);
    // Nothing is another then, and no producer gives way for it.
    let before = producers(&collector);
    collector.hang_up();
    eventually("the second reload is told", || {
        let log = collector.log().join("\n");
        once(log.contains("nothing is changed"), || log.clone())
    });
    assert_eq!(producers(&collector), before);
}

#[test]
fn a_certificate_is_renewed_under_load_and_nothing_is_lost() {
    let topic = unique("renewed");
    let certificate = Certificate::of("client");
    let collector = certificate.start(&topic);
    let sent = under_load(&collector, &topic, 0, || {
        let delivers = |producer: u64| {
            let before = collector.ledger().kafka("delivered");
            eventually("the next producer delivers", || {
                let (delivered, made) = (collector.ledger().kafka("delivered"), producers(&collector));
                let so = made == producer && delivered > before + 100;
                once(so, || format!("{delivered} delivered, {made} producers; {:#?}", collector.log()))
            });
        };
        delivers(1);
        for (producer, name) in (2..).zip(["renewed", "client", "renewed"]) {
            certificate.renew(name);
            collector.hang_up();
            delivers(producer);
        }
    });
    let ledger = collector.wait_delivered(sent.into());
    assert_eq!((ledger.kafka("lost"), ledger.kafka("set_aside")), (0, 0), "{ledger:?}");
    let messages = consumer::read(Broker::strict().bootstrap(), &topic, sent as usize);
    let all: Vec<u32> = consumer::records(&messages).iter().map(Record::number).collect();
    let missing = (0..sent).filter(|number| !all.contains(number)).count();
    println!("{sent} records, {} of them repeats", all.len() - sent as usize);
    assert_eq!(missing, 0);
}

#[test]
fn a_certificate_without_its_key_changes_nothing() {
    let topic = unique("renewed");
    let certificate = Certificate::of("client");
    let collector = certificate.start(&topic);
    collector.send(&ocf::stream(&record::numbered(&topic, 0..10)));
    collector.wait_delivered(10);
    std::fs::copy(Broker::strict().certificate("renewed.pem"), certificate.pem()).unwrap();
    collector.hang_up();
    eventually("it is told", || {
        let log = collector.log().join("\n");
        once(log.contains("librdkafka refuses the Kafka settings"), || log.clone())
    });
    collector.send(&ocf::stream(&record::numbered(&topic, 10..20)));
    collector.wait_delivered(20);
    assert_eq!((told(&collector).len(), producers(&collector)), (0, 1));
    certificate.renew("renewed");
    collector.hang_up();
    collector.wait_metric("metrics_collector_kafka_producers_total", 2);
}
