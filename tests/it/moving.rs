//! Brokers move to other addresses while records come in, and the scheduler tells where: all records arrive. How long
//! nothing arrived is printed.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::collector::Collector;
use crate::support::kafka::{Broker, OwnBroker, unique};
use crate::support::load::under_load;
use crate::support::scheduler::{Generation, Scheduler};
use crate::support::{consumer, eventually, once, record};

/// Records that have to go through in each part of a test.
const PART: u64 = 1_000;

/// Records in a message at most.
const MESSAGE: u64 = 50;

/// How often the scheduler is asked.
const PERIOD: &str = "2s";

/// A broker writes down when it got a message; topics are on both, where there are two.
fn options(brokers: usize) -> Vec<String> {
    let replication = format!("default.replication.factor={brokers}");
    let properties = ["log.message.timestamp.type=LogAppendTime", &replication, "num.partitions=2"];
    properties.iter().flat_map(|property| ["--property".to_owned(), (*property).to_owned()]).collect()
}

fn as_str(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

/// A collector that knows its brokers by this scheduler.
fn looking(scheduler: &Scheduler) -> Collector {
    let (url, message) = (scheduler.url(), MESSAGE.to_string());
    // Messages are small and so many that some are always on their way. What waits for long holds the sender.
    let args = [
        ["--kafka-discovery", "scheduler-vip"],
        ["--kafka-scheduler-url", &url],
        ["--kafka-discovery-period", PERIOD],
        ["--kafka-topic-prefix", ""],
        ["--kafka-produce-count", &message],
        ["--spool-full", "hold"],
    ];
    Collector::start("", args.as_flattened())
}

fn unix_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(now.as_millis()).expect("the time fits")
}

/// Checks that all `sent` records are at the brokers, and gives how many of them are there more than once. `told` are the
/// times at which the scheduler had news.
fn check_arrived(collector: &Collector, brokers: &str, topic: &str, sent: u32, told: &[i64]) -> u64 {
    collector.wait_accepted(sent.into());
    let ledger = collector.wait_delivered(sent.into());
    assert_eq!(ledger.kafka("lost"), 0, "{ledger:?}");
    let messages = consumer::read(brokers, topic, sent as usize);
    let numbers: Vec<u32> = consumer::records(&messages).iter().map(record::Record::number).collect();
    let unique: BTreeSet<u32> = numbers.iter().copied().collect();
    assert_eq!(unique, (0..sent).collect());
    let repeats = (numbers.len() - unique.len()) as u64;
    assert_eq!(consumer::repeats_by_headers(&messages), repeats, "headers tell a consumer what came again");
    println!("{sent} records in {} messages, {repeats} repeats; asked each {PERIOD}", messages.len());
    let times: BTreeSet<i64> = messages.iter().map(|message| message.timestamp_ms).collect();
    for told in told {
        let (before, after) = (times.range(..told).next_back(), times.range(told..).next());
        let (Some(before), Some(after)) = (before, after) else { panic!("{told} is not within {times:?}") };
        println!("nothing came for {} ms, of which {} ms after the news", after - before, after - told);
    }
    repeats
}

#[test]
fn a_broker_that_moves_twice_under_load_is_followed_and_gets_every_record() {
    let mut broker = OwnBroker::prepared_with(&as_str(&options(1)));
    broker.start();
    let scheduler = Scheduler::start(Generation::Endpoints, &[broker.bootstrap()]);
    let collector = looking(&scheduler);
    let (topic, mut told) = (unique("moved"), Vec::new());
    let sent = under_load(&collector, &topic, 0, || {
        collector.wait_more(PART, "delivered");
        for _ in 0..2 {
            broker.stop();
            broker.relocate();
            broker.start();
            told.push(unix_ms());
            scheduler.list(&[broker.bootstrap()]);
            collector.wait_more(PART, "delivered");
        }
    });
    check_arrived(&collector, broker.bootstrap(), &topic, sent, &told);
    let log = collector.log();
    let taken = log.iter().filter(|line| line.contains("taking other Kafka brokers")).count();
    // The first list is one of them.
    assert_eq!(taken, 3, "{log:#?}");
}

#[test]
fn two_brokers_that_move_one_after_the_other_under_load_get_every_record() {
    let options = options(2);
    let mut first = OwnBroker::prepared_with(&as_str(&options));
    first.start();
    let mut second = first.second(&as_str(&options));
    second.start();
    let scheduler = Scheduler::start(Generation::Endpoints, &[first.bootstrap(), second.bootstrap()]);
    let collector = looking(&scheduler);
    let (topic, mut told) = (unique("moved"), Vec::new());
    let sent = under_load(&collector, &topic, 0, || {
        collector.wait_more(PART, "delivered");
        for moves_second in [true, false] {
            let broker = if moves_second { &mut second } else { &mut first };
            broker.stop();
            broker.relocate();
            broker.start();
            told.push(unix_ms());
            scheduler.list(&[first.bootstrap(), second.bootstrap()]);
            collector.wait_more(PART, "delivered");
        }
    });
    let all = format!("{},{}", first.bootstrap(), second.bootstrap());
    check_arrived(&collector, &all, &topic, sent, &told);
}

#[test]
fn a_new_list_of_brokers_that_all_live_costs_no_record_and_repeats_none_that_is_acknowledged_in_time() {
    let broker = Broker::shared().bootstrap();
    let port = broker.rsplit_once(':').expect("host:port").1;
    let by_name = format!("localhost:{port}");
    let scheduler = Scheduler::start(Generation::Endpoints, &[broker]);
    let collector = looking(&scheduler);
    let topic = unique("listed");
    let sent = under_load(&collector, &topic, 0, || {
        collector.wait_more(PART, "delivered");
        for (producers, list) in [(2, by_name.as_str()), (3, broker), (4, by_name.as_str())] {
            scheduler.list(&[list]);
            eventually("a producer is made for it", || {
                let made = collector.metric("metrics_collector_kafka_producers_total");
                once(made >= producers, || format!("{made} are made, not {producers}"))
            });
            collector.wait_more(PART, "delivered");
        }
    });
    let repeats = check_arrived(&collector, broker, &topic, sent, &[]);
    // What is not acknowledged within two seconds is sent again, and counts here with all of its time.
    let latency = "metrics_collector_kafka_delivery_latency_seconds";
    let in_time = collector.metric(&format!("{latency}_bucket{{le=\"1\"}}"));
    let late = collector.metric(&format!("{latency}_count")) - in_time;
    assert!(repeats <= late * MESSAGE, "{repeats} records came again, and {late} messages were late");
}
