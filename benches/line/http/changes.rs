//! The configuration changes again and again while records come at full rate, and the sink counts what that costs: nothing
//! may be lost, and nothing may come twice but what was under way to brokers that were changed for others.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::{SETTLE, full_rate, number};
use crate::data::Shape;
use crate::systems::{self, Setup, System};

/// Pause between two changes.
const PAUSE: Duration = Duration::from_millis(250);

/// What may be under way to brokers, in bytes of messages: the default of `kafka-queue-max`.
const UNDER_WAY_MAX: u64 = 16 << 20;

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Keys that no producer ends for.
    Keys,
    /// The list of brokers, between two names of the same one.
    Brokers,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            What::Keys => "live keys",
            What::Brokers => "brokers",
        }
    }
}

/// What came of the changes. Counts are records.
pub(crate) struct Changed {
    pub(crate) what: What,
    pub(crate) changes: u64,
    /// Bytes a second that came to Kafka meanwhile.
    pub(crate) rate: f64,
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
    pub(crate) repeated: u64,
    /// As many as may have been under way at all changes together.
    pub(crate) repeated_max: u64,
    lost: u64,
    unreadable: u64,
    /// Each change was answered with 200, and the collector ended as it should.
    fine: bool,
}

impl Changed {
    pub(crate) fn is_whole(&self) -> bool {
        self.arrived == self.sent
            && self.repeated <= self.repeated_max
            && self.lost + self.unreadable == 0
            && self.fine
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "what": self.what.name(),
            "changes": self.changes,
            "bytes_per_second": self.rate,
            "sent": self.sent,
            "arrived": self.arrived,
            "repeated": self.repeated,
            "repeated_max": self.repeated_max,
            "lost": self.lost,
            "unreadable": self.unreadable,
            "fine": self.fine,
        })
    }
}

pub(super) fn run(setup: &Setup, lasting: Duration) -> io::Result<Vec<Changed>> {
    [What::Keys, What::Brokers].into_iter().map(|what| under_load(setup, what, lasting)).collect()
}

/// The changes that are made over and over, in this order.
fn changes(what: What, kafka: &str) -> Vec<Value> {
    match what {
        What::Keys => vec![
            json!({ "kafka-produce-count": 500, "kafka-produce-kbytes": 256 }),
            json!({ "kafka-topic-prefix": "other-" }),
            json!({ "input-header-bytes-max": "32KiB", "input-record-tags-max": 100 }),
            json!({ "log-level": "warn" }),
            json!({ "kafka-produce-count": null, "kafka-produce-kbytes": null, "kafka-topic-prefix": null }),
            json!({ "input-header-bytes-max": null, "input-record-tags-max": null, "log-level": null }),
        ],
        What::Brokers => vec![
            json!({ "kafka-brokers": kafka.replace("127.0.0.1", "localhost") }),
            json!({ "kafka-brokers": kafka }),
        ],
    }
}

fn under_load(setup: &Setup, what: What, lasting: Duration) -> io::Result<Changed> {
    let (mut sink, kafka) = systems::sink()?;
    let running = setup.start(System::Collector, &kafka, "none", &["--kafka-produce-period-ms", "1000"])?;
    let (mut sender, plan) = full_rate(&running, lasting + Duration::from_secs(1))?;
    sink.ask(&System::Collector.expectation(&plan), Duration::from_secs(1))?;
    let mut client = Client::connect(&running)?;
    sender.tell("go")?;
    thread::sleep(PAUSE);
    let began = Instant::now();
    let bytes = number(&sink.ask("totals", Duration::from_secs(5))?["bytes"]);
    let (mut n, mut fine) = (0, true);
    for change in changes(what, &kafka).iter().cycle() {
        if began.elapsed() >= lasting {
            break;
        }
        let answer = client.send("PATCH", "/v1/config", &change.to_string())?;
        if answer.status != 200 {
            println!("{change}: {} {}", answer.status, answer.body);
            fine = false;
        }
        n += 1;
        thread::sleep(PAUSE);
    }
    let totals = sink.ask("totals", Duration::from_secs(5))?;
    let rate = (number(&totals["bytes"]) - bytes) as f64 / began.elapsed().as_secs_f64();
    let record = Shape::WIDE.datapoints as u64;
    let sent = number(&sender.answer(SETTLE)?["datapoints"]) / record;
    let books = running.settled(sent, &["kafka"], SETTLE)?;
    let lost = books["outputs"]["kafka"]["lost"].as_object().into_iter().flatten();
    let lost = lost.map(|(_, records)| number(records)).sum();
    let (ended, _) = running.end()?;
    let totals = sink.ask("totals", Duration::from_secs(5))?;
    let record_bytes = number(&totals["bytes"]) / number(&totals["records"]).max(1);
    let repeated_max = if what == What::Brokers { n * UNDER_WAY_MAX / record_bytes.max(1) } else { 0 };
    Ok(Changed {
        what,
        changes: n,
        rate,
        sent,
        arrived: number(&totals["distinct"]) / record,
        repeated: number(&totals["repeated"]) / record,
        repeated_max,
        lost,
        unreadable: number(&totals["unreadable"]) + number(&totals["unnumbered"]),
        fine: fine && ended,
    })
}
