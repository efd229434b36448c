//! The old collector's throttles: what is over them is held and not dropped.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

use crate::support::collector::Collector;
use crate::support::http;
use crate::support::kafka::{Broker, unique};
use crate::support::{eventually, ocf, once, record};

/// What `/metrics` says of a counter without labels.
fn counter(collector: &Collector, name: &str) -> u64 {
    let page = http::get(collector.http(), "/metrics").body;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {page}"))
}

const INPUT_PAUSES: &str = "metrics_collector_input_limit_pauses_total ";

#[test]
fn a_connection_over_its_limit_is_held_alone_and_read_out_at_the_end() {
    const RECORDS: u32 = 2000;
    let limit = ["--input-limit-amount-kbytes=64", "--input-limit-period=1h", "--kafka=false"];
    let collector = Collector::start("127.0.0.1:1", &limit);
    // Over the limit, and so little over it that the rest is one read: there is not much time for it at the end.
    let stream = ocf::stream(&record::numbered("t", 0..RECORDS));
    let limit_bytes = 64 << 10;
    assert!((limit_bytes + 1000..2 * limit_bytes).contains(&stream.len()), "{} bytes", stream.len());
    let mut greedy = collector.sender();
    greedy.send(&stream);
    eventually("the connection is held", || {
        once(counter(&collector, INPUT_PAUSES) == 1, || format!("{}", collector.status()))
    });
    let held = collector.ledger().accepted();
    assert!(held < u64::from(RECORDS), "{held} accepted");
    let mut modest = collector.sender();
    modest.send(&ocf::stream(&record::numbered("u", 0..10)));
    collector.wait_accepted(held + 10);
    assert!(!greedy.is_closed(), "the held connection was closed");
    let log = collector.log().join("\n");
    assert!(log.contains("input-limit-amount-kbytes is 64: a connection over it is not read"), "{log}");
    assert!(log.contains("it is over input-limit-amount-kbytes"), "{log}");
    // It hears of the end, and what it has sent is taken in.
    assert_eq!(collector.terminate().last_word("accepted"), u64::from(RECORDS) + 10);
}

#[test]
fn a_held_connection_goes_on_when_its_time_has_come() {
    let limit = ["--input-limit-amount-kbytes=64", "--input-limit-period=1", "--kafka=false"];
    let collector = Collector::start("127.0.0.1:1", &limit);
    let mut sender = collector.sender();
    sender.send(&ocf::stream(&record::numbered("t", 0..2000)));
    collector.wait_accepted(2000);
    assert!(counter(&collector, INPUT_PAUSES) > 0);
    assert!(!sender.is_closed());
}

#[test]
fn the_global_limit_holds_what_is_over_it_until_the_end() {
    let topic = unique("limits");
    let args = ["--kafka-topic-prefix=", "--global-limit-amount-kbytes=1", "--global-limit-period=1h"];
    let collector = Collector::start(Broker::shared().bootstrap(), &args);
    let mut sender = collector.sender();
    // Much over the limit, in one message: what is in one block is not cut in two by how it is read.
    let much = ocf::block(&record::numbered(&topic, 0..1000));
    sender.send(&[ocf::header(ocf::SCHEMA, Some("null")), much].concat());
    collector.wait_delivered(1000);
    sender.send(&ocf::block(&record::numbered(&topic, 1000..1100)));
    collector.wait_accepted(1100);
    eventually("nothing is sent", || {
        let pauses = counter(&collector, "metrics_collector_kafka_limit_pauses_total ");
        once(pauses == 1, || format!("{}", collector.status()))
    });
    assert_eq!(collector.ledger().kafka("waiting"), 100);
    let ended = collector.terminate();
    let log = ended.log.join("\n");
    assert!(log.contains("it would be over global-limit-amount-kbytes"), "{log}");
    assert!(log.contains(r#"\"delivered\":1100"#), "{log}");
}

/// Somebody who listens to statsd, and the arguments that lead there.
fn statsd() -> (UdpSocket, [String; 3]) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let port = format!("--statsd-udp-port={}", receiver.local_addr().unwrap().port());
    (receiver, ["--statsd-udp-host=127.0.0.1".to_owned(), port, "--statsd-period=1".to_owned()])
}

/// Adds up what comes, by name, until it is enough.
fn told(receiver: &UdpSocket, enough: impl Fn(&BTreeMap<String, u64>) -> bool) -> BTreeMap<String, u64> {
    let (mut sums, mut buffer) = (BTreeMap::new(), [0; 2000]);
    while !enough(&sums) {
        let n = receiver.recv(&mut buffer).unwrap_or_else(|e| panic!("no more comes ({e}) after {sums:?}"));
        assert!(n <= 512, "{n}");
        for line in std::str::from_utf8(&buffer[..n]).unwrap().split('\n') {
            let (name, value) = line.strip_suffix("|g").unwrap().split_once(':').unwrap();
            let name = name.strip_prefix("dcos.metrics.collector.").unwrap();
            *sums.entry(name.to_owned()).or_default() += value.parse::<u64>().unwrap();
        }
    }
    sums
}

#[test]
fn statsd_hears_the_old_names() {
    let (receiver, [host, port, period]) = statsd();
    let collector = Collector::start("127.0.0.1:1", &["--kafka=false", &host, &port, &period]);
    collector.send(&ocf::stream(&record::numbered("t", 0..7)));
    let records = |sums: &BTreeMap<String, u64>| sums.get("tcp_input.records").copied().unwrap_or(0);
    assert_eq!(records(&told(&receiver, |sums| records(sums) >= 7)), 7);
}

#[test]
fn statsd_hears_of_lookups_that_come_to_nothing() {
    for (command, failed, other) in [
        ("true", "agent_poll.ip_lookup_empties", "agent_poll.ip_lookup_failures"),
        ("false", "agent_poll.ip_lookup_failures", "agent_poll.ip_lookup_empties"),
    ] {
        let (receiver, [host, port, period]) = statsd();
        let args = [
            "--agent-polling=true",
            "--agent-ip-command",
            command,
            "--kafka-discovery=scheduler-vip",
            "--kafka-scheduler-url=http://127.0.0.1:1",
            &host,
            &port,
            &period,
        ];
        let collector = Collector::start("", &args);
        let frameworks = "kafka_output.framework_lookup_failures";
        let named = "kafka_output.framework_lookup_failures.kafka";
        let some = [failed, frameworks, named];
        let sums = told(&receiver, |sums| some.iter().all(|name| sums.get(*name).is_some_and(|n| *n > 0)));
        collector.kill();
        assert_eq!(sums[failed], sums["agent_poll.ip_lookups"], "{sums:?}");
        assert_eq!((sums[other], sums[frameworks]), (0, sums[named]), "{sums:?}");
    }
}
