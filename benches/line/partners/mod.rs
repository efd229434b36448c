//! What partners get: how late records are, how many a partner takes while Kafka takes the same, and what two hundred of
//! them cost, whether they read or not. Everything is counted at both ends.
//!
//! At full rate the sender is faster than this machine can feed Kafka and partners together, and a partner never holds the
//! input. So what it could not take in time is lost to it, and told to it: what it took and what it was told come to
//! what was sent.

mod stream;
mod take;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::Part;
use crate::data::Shape;
use crate::proc;
use crate::report;
use crate::systems::{self, CEILING, Running, Setup, System};

pub(crate) use take::{Plan, Use, run as take};

/// Partners of a crowd.
const MANY: usize = 200;
const MANY_MAX_FLAG: &str = "--partners-max=256";

/// The one that counts, and its row in the books.
const HELLO: &str = r#"{"name":"counted"}"#;
const HELLO_NDJSON: &str = r#"{"name":"counted","format":"ndjson"}"#;
const ROW: &str = "partner:counted";

/// How long those may take to connect, and to take what is left.
const CONNECT: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_secs(30);

/// Rates are measured between the first and the last second.
const EDGE: Duration = Duration::from_secs(1);

/// More datapoints than any machine sends in this time.
const ENDLESS: &str = "1000000000";

/// Records a second of the part that looks how late they are, one datapoint each, in blocks of so many.
const PACED_RECORDS: u64 = 10_000;
const PACED_BLOCK: u64 = 100;

/// Who takes beside Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    Nobody,
    One,
    OneOfNdjson,
    /// One that counts, and many that take what they can.
    ManyReading,
    /// One that counts, and many that never read.
    ManyStuck,
}

impl Company {
    const ALL: [Company; 5] =
        [Company::Nobody, Company::One, Company::OneOfNdjson, Company::ManyReading, Company::ManyStuck];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Company::Nobody => "nobody",
            Company::One => "one",
            Company::OneOfNdjson => "one, NDJSON",
            Company::ManyReading => "one, and 200 that read",
            Company::ManyStuck => "one, and 200 stuck",
        }
    }

    fn hello(self) -> Option<&'static str> {
        match self {
            Company::Nobody => None,
            Company::OneOfNdjson => Some(HELLO_NDJSON),
            _ => Some(HELLO),
        }
    }

    fn crowd(self) -> Option<&'static str> {
        match self {
            Company::ManyReading => Some("take"),
            Company::ManyStuck => Some("nothing"),
            _ => None,
        }
    }
}

/// What one run at full rate came to. Counts are records.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Bytes a second that came to Kafka, to the partner that counts, and to all others.
    pub(crate) kafka: f64,
    pub(crate) partner: f64,
    pub(crate) others: f64,
    /// Cores that all of it had, the senders and the ends included.
    pub(crate) cores: f64,
    /// Highest resident memory in bytes.
    pub(crate) peak: u64,
    sent: u64,
    arrived: u64,
    /// What the partner took, and what it was told that it lost.
    taken: u64,
    told: u64,
    /// Came more than once, or came and was never sent.
    strange: u64,
    /// The partner's books say the same, and balance.
    balanced: bool,
    ended: bool,
}

impl Outcome {
    pub(crate) fn good(&self, company: Company) -> bool {
        self.is_whole(company) && self.peak <= CEILING
    }

    fn is_whole(&self, company: Company) -> bool {
        let partner = company == Company::Nobody || self.taken + self.told == self.sent;
        self.arrived == self.sent && partner && self.strange == 0 && self.balanced && self.ended
    }

    /// What came to Kafka, what came to the partner, and all that is wrong.
    pub(crate) fn verdict(&self, company: Company) -> String {
        let mut parts = vec![report::counts(self.sent, self.arrived)];
        if company != Company::Nobody {
            let share = self.taken as f64 * 100.0 / self.sent as f64;
            parts.push(format!("partner {} and {} told lost ({share:.1} % taken)", self.taken, self.told));
        }
        if self.peak > CEILING {
            parts.push("OVER THE CEILING".to_owned());
        }
        if !self.is_whole(company) {
            parts.push(format!("WRONG: {}", self.json(company)));
        }
        parts.join(", ")
    }

    pub(crate) fn json(&self, company: Company) -> Value {
        json!({
            "partners": company.name(),
            "kafka_bytes_per_second": self.kafka,
            "partner_bytes_per_second": self.partner,
            "other_partners_bytes_per_second": self.others,
            "cores": self.cores,
            "peak_resident_bytes": self.peak,
            "sent": self.sent,
            "arrived": self.arrived,
            "taken": self.taken,
            "told_lost": self.told,
            "strange": self.strange,
            "balanced": self.balanced,
            "ended": self.ended,
        })
    }
}

/// The runs of one company.
pub(crate) struct Runs {
    pub(crate) company: Company,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Every company at full rate for `lasting`, in turns, so many rounds.
pub(crate) fn run(setup: &Setup, lasting: Duration, rounds: u64) -> io::Result<Vec<Runs>> {
    let mut all = Company::ALL.map(|company| Runs { company, outcomes: Vec::new() });
    for _ in 0..rounds {
        for Runs { company, outcomes } in &mut all {
            outcomes.push(at_full_rate(setup, *company, lasting)?);
        }
    }
    Ok(all.into())
}

fn at_full_rate(setup: &Setup, company: Company, lasting: Duration) -> io::Result<Outcome> {
    let (mut sink, kafka) = systems::sink()?;
    let flags = ["--kafka-produce-period-ms", "1000", MANY_MAX_FLAG];
    let running = setup.start(System::Collector, &kafka, "none", &flags)?;
    let mut crowd =
        company.crowd().map(|does| start(&running, MANY, r#"{"from":"now"}"#, does, &[])).transpose()?;
    let mut partner = company.hello().map(|hello| start(&running, 1, hello, "count", &[])).transpose()?;
    wait_connected(&running, usize::from(partner.is_some()) + if crowd.is_some() { MANY } else { 0 })?;
    let ms = lasting.as_millis().to_string();
    let how_much = ["--connections", "4", "--datapoints", ENDLESS, "--ms", &ms];
    let mut sender = Part::role(
        "send",
        &[&["--to", &running.input, "--shape", Shape::WIDE.name()], &how_much[..]].concat(),
        true,
    )?;
    let plan = sender.ready()?;
    sink.ask(&System::Collector.expectation(&plan), Duration::from_secs(1))?;
    if let Some(partner) = &mut partner {
        partner.ask(&format!("expect {}", plan["datapoints"]), Duration::from_secs(1))?;
    }
    sender.tell("go")?;
    thread::sleep(EDGE);
    let mut ends = [Some(&mut sink), partner.as_mut(), crowd.as_mut()];
    let mut pids: Vec<u32> = ends.iter().flatten().map(|part| part.pid()).collect();
    pids.extend([running.part.pid(), sender.pid()]);
    let cpu = || pids.iter().map(|pid| proc::cpu(*pid)).sum::<Duration>();
    let (began, before) = (Instant::now(), cpu());
    let first = sample(&mut ends)?;
    thread::sleep(lasting.saturating_sub(EDGE * 2));
    let second = sample(&mut ends)?;
    let cores = cpu().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
    let rate = |i: usize| {
        let ((from, few), (to, many)) = (first[i], second[i]);
        (many - few) as f64 / (to - from).as_secs_f64()
    };
    let rates: [f64; 3] = std::array::from_fn(rate);

    let record = Shape::WIDE.datapoints as u64;
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let sent = number(&sender.answer(SETTLE)?["datapoints"]) / record;
    let outputs: &[&str] = if partner.is_some() { &["kafka", ROW] } else { &["kafka"] };
    let books = running.settled(sent, outputs, SETTLE)?;
    let mut taken = Value::Null;
    if let Some(partner) = &mut partner {
        taken = partner.ask(&format!("await {sent} 2000"), SETTLE)?;
    }
    let (ended, peak) = running.end()?;
    let totals = sink.ask("totals", Duration::from_secs(5))?;
    let of_kafka =
        number(&totals["repeated"]) + number(&totals["unnumbered"]) + number(&totals["unreadable"]);
    let (records, told) = (number(&taken["records"]), number(&taken["lost"]));
    Ok(Outcome {
        kafka: rates[0],
        partner: rates[1],
        others: rates[2],
        cores,
        peak,
        sent,
        arrived: number(&totals["distinct"]) / record,
        taken: records,
        told,
        strange: of_kafka + number(&taken["repeated"]) + number(&taken["unnumbered"]),
        balanced: partner.is_none() || is_balanced(&books["outputs"][ROW], sent, records, told),
        ended,
    })
}

/// How late records come to a partner at a steady rate.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    pub(crate) connections: u64,
    /// In ms, from the moment before a block is written by its sender to the moment when the partner has read it.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    pub(crate) sent: u64,
    pub(crate) taken: u64,
    arrived: u64,
    ended: bool,
}

impl Late {
    pub(crate) fn is_whole(&self) -> bool {
        self.taken == self.sent && self.arrived == self.sent && self.ended
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "connections": self.connections,
            "p50_ms": self.p50,
            "p99_ms": self.p99,
            "max_ms": self.max,
            "sent": self.sent,
            "taken": self.taken,
            "arrived": self.arrived,
            "ended": self.ended,
        })
    }
}

/// Ten thousand records a second for `lasting`, over few connections and over many.
pub(crate) fn late(setup: &Setup, lasting: Duration) -> io::Result<Vec<Late>> {
    [4, 40].into_iter().map(|connections| late_by(setup, connections, lasting)).collect()
}

fn late_by(setup: &Setup, connections: u64, lasting: Duration) -> io::Result<Late> {
    let (mut sink, kafka) = systems::sink()?;
    let running = setup.start(System::Collector, &kafka, "none", &["--kafka-produce-period-ms", "1000"])?;
    let mut partner = start(&running, 1, HELLO, "count", &["--stamped"])?;
    wait_connected(&running, 1)?;
    let [many, every, datapoints] =
        [connections, 1_000 * connections * PACED_BLOCK / PACED_RECORDS, PACED_RECORDS * lasting.as_secs()]
            .map(|number| number.to_string());
    let arguments = ["--to", &running.input, "--shape", Shape::NARROW.name(), "--stamped"];
    let how_much = ["--connections", &many, "--every-ms", &every, "--datapoints", &datapoints];
    let mut sender = Part::role("send", &[&arguments[..], &how_much].concat(), true)?;
    let plan = sender.ready()?;
    sink.ask(&System::Collector.expectation(&plan), Duration::from_secs(1))?;
    partner.ask(&format!("expect {}", plan["datapoints"]), Duration::from_secs(1))?;
    sender.tell("go")?;
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let sent = number(&sender.answer(lasting + SETTLE)?["datapoints"]);
    partner.ask(&format!("await {sent} 2000"), SETTLE)?;
    running.settled(sent, &["kafka", ROW], SETTLE)?;
    let (taken, late) = (partner.ask("totals", SETTLE)?, partner.ask("late", SETTLE)?);
    let (ended, _) = running.end()?;
    let ms = |name: &str| late[name].as_f64().unwrap_or(f64::NAN);
    Ok(Late {
        connections,
        p50: ms("p50"),
        p99: ms("p99"),
        max: ms("max"),
        sent,
        taken: number(&taken["distinct"]),
        arrived: number(&sink.ask("totals", Duration::from_secs(5))?["distinct"]),
        ended,
    })
}

/// Starts partners.
fn start(running: &Running, connections: usize, hello: &str, does: &str, more: &[&str]) -> io::Result<Part> {
    let at = running.partner.as_ref().ok_or_else(|| io::Error::other("nothing listens for partners"))?;
    let connections = connections.to_string();
    let arguments = ["--to", at, "--connections", &connections, "--hello", hello, "--does", does];
    let partners = Part::role("partners", &[&arguments[..], more].concat(), true)?;
    partners.ready()?;
    Ok(partners)
}

/// Waits until so many partners are served.
fn wait_connected(running: &Running, n: usize) -> io::Result<()> {
    let until = Instant::now() + CONNECT;
    loop {
        let connected = running.ask("/v1/partners")?["partners"].as_array().map_or(0, Vec::len);
        if connected == n {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(io::Error::other(format!("{connected} of {n} partners are served")));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// When it was asked, and how many bytes had come: to Kafka, to the partner, to the others.
fn sample(ends: &mut [Option<&mut Part>; 3]) -> io::Result<[(Instant, u64); 3]> {
    let mut samples = [(Instant::now(), 0); 3];
    for (sample, end) in samples.iter_mut().zip(ends) {
        if let Some(end) = end {
            let bytes = end.ask("totals", Duration::from_secs(5))?["bytes"].as_u64().unwrap_or(0);
            *sample = (Instant::now(), bytes);
        }
    }
    Ok(samples)
}

/// Whether the partner's books balance, and say what it says.
fn is_balanced(books: &Value, sent: u64, taken: u64, told: u64) -> bool {
    let lost: u64 = books["lost"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    books["accepted"] == sent && books["delivered"] == taken && lost == told && books["imbalance"] == 0
}
