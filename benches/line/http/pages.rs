//! Pages while records come at full rate, and a scrape of very many topics.
//!
//! Both are beside an echo: a byte that goes to a thread of this process and back in the same pauses. What that takes is the
//! machine's own time for two processes to have their turn, without which no page can be had.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::{SETTLE, at_share, full_rate, number};
use crate::child::Part;
use crate::data::Shape;
use crate::systems::{self, Setup, System};

/// Pages that are asked for, in turns, and the pause between two.
const PATHS: [&str; 2] = ["/metrics", "/v1/status"];
const PAUSE: Duration = Duration::from_millis(5);

/// What stands in their place for the echo.
pub(crate) const ECHO: &str = "(an echo)";

/// Topics of the scrape. Of Kafka's topics so many have series of their own, and the others share one.
const TOPICS: u64 = 1_000;
const OWN_SERIES: usize = 200;

/// Scrapes that are made.
const SCRAPES: usize = 100;

/// How fast a page is. Times in ms.
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) asked: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// Each was answered with 200, and all records arrived.
    pub(crate) whole: bool,
}

impl Page {
    fn of(path: &'static str, mut taken: Vec<Duration>, whole: bool) -> Page {
        taken.sort_unstable();
        Page {
            path,
            asked: taken.len(),
            p50: at_share(&taken, 0.5),
            p99: at_share(&taken, 0.99),
            max: at_share(&taken, 1.0),
            whole,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "path": self.path,
            "asked": self.asked,
            "p50_ms": self.p50,
            "p99_ms": self.p99,
            "max_ms": self.max,
            "whole": self.whole,
        })
    }
}

/// The scrape. Times in ms.
pub(crate) struct Scrape {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Of the echo.
    pub(crate) echo_p99: f64,
    pub(crate) bytes: u64,
    /// Topics with series of their own, of those that there are.
    pub(crate) series: usize,
    pub(crate) topics: u64,
    pub(crate) whole: bool,
}

impl Scrape {
    pub(super) fn json(&self) -> Value {
        json!({
            "p50_ms": self.p50,
            "p99_ms": self.p99,
            "echo_p99_ms": self.echo_p99,
            "bytes": self.bytes,
            "series": self.series,
            "topics": self.topics,
            "whole": self.whole,
        })
    }
}

/// Asks for the pages as long as records come.
pub(super) fn under_load(setup: &Setup, lasting: Duration) -> io::Result<Vec<Page>> {
    let (mut sink, kafka) = systems::sink()?;
    let running = setup.start(System::Collector, &kafka, "none", &["--kafka-produce-period-ms", "1000"])?;
    // Longer than is asked, so that the last answers are made under load too.
    let (mut sender, plan) = full_rate(&running, lasting + Duration::from_secs(1))?;
    sink.ask(&System::Collector.expectation(&plan), Duration::from_secs(1))?;
    let (mut client, mut echo) = (Client::connect(&running)?, Echo::start()?);
    sender.tell("go")?;
    let mut taken: [Vec<Duration>; 2] = Default::default();
    let mut echoed = Vec::new();
    let mut answered = true;
    let began = Instant::now();
    while began.elapsed() < lasting {
        for (path, taken) in PATHS.iter().zip(&mut taken) {
            let answer = client.get(path)?;
            answered &= answer.status == 200;
            taken.push(answer.took);
            thread::sleep(PAUSE);
        }
        echoed.push(echo.ask()?);
        thread::sleep(PAUSE);
    }
    let sent = number(&sender.answer(SETTLE)?["datapoints"]);
    running.settled(sent / Shape::WIDE.datapoints as u64, &["kafka"], SETTLE)?;
    let (ended, _) = running.end()?;
    let arrived = number(&sink.ask("totals", Duration::from_secs(5))?["distinct"]);
    let whole = answered && ended && arrived == sent;
    let paths = PATHS.into_iter().zip(taken).chain([(ECHO, echoed)]);
    Ok(paths.map(|(path, taken)| Page::of(path, taken, whole)).collect())
}

/// Sends a byte to and fro.
struct Echo(TcpStream);

impl Echo {
    fn start() -> io::Result<Echo> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (mut other, _) = listener.accept()?;
        thread::spawn(move || {
            let mut byte = [0];
            // Until this side is dropped.
            while other.read_exact(&mut byte).is_ok() && other.write_all(&byte).is_ok() {}
        });
        Ok(Echo(stream))
    }

    fn ask(&mut self) -> io::Result<Duration> {
        let began = Instant::now();
        self.0.write_all(&[7])?;
        self.0.read_exact(&mut [0])?;
        Ok(began.elapsed())
    }
}

/// Asks for the metrics of a collector that has delivered records of very many topics.
pub(super) fn scrape(setup: &Setup) -> io::Result<Scrape> {
    let (mut sink, kafka) = systems::sink()?;
    let running = setup.start(System::Collector, &kafka, "none", &["--kafka-produce-period-ms", "100"])?;
    let topics = TOPICS.to_string();
    // Several records of each.
    let datapoints = (TOPICS * 5).to_string();
    let arguments = ["--to", &running.input, "--shape", Shape::NARROW.name(), "--topics", &topics];
    let mut sender = Part::role("send", &[&arguments[..], &["--datapoints", &datapoints]].concat(), true)?;
    let plan = sender.ready()?;
    sink.ask(&System::Collector.expectation(&plan), Duration::from_secs(1))?;
    sender.tell("go")?;
    let sent = number(&sender.answer(SETTLE)?["datapoints"]);
    running.settled(sent, &["kafka"], SETTLE)?;
    let (mut client, mut echo) = (Client::connect(&running)?, Echo::start()?);
    let (mut taken, mut echoed) = (Vec::new(), Vec::new());
    let (mut answered, mut page) = (true, String::new());
    for _ in 0..SCRAPES {
        let answer = client.get("/metrics")?;
        answered &= answer.status == 200;
        taken.push(answer.took);
        page = answer.body;
        thread::sleep(PAUSE);
        echoed.push(echo.ask()?);
        thread::sleep(PAUSE);
    }
    taken.sort_unstable();
    echoed.sort_unstable();
    let of_topic = |line: &&str| line.starts_with("metrics_collector_kafka_topic_records_total{");
    let series = page.lines().filter(of_topic).filter(|line| !line.contains("\"other\"")).count();
    let (ended, _) = running.end()?;
    let totals = sink.ask("totals", Duration::from_secs(5))?;
    let topics = number(&totals["n_topics"]);
    Ok(Scrape {
        p50: at_share(&taken, 0.5),
        p99: at_share(&taken, 0.99),
        echo_p99: at_share(&echoed, 0.99),
        bytes: page.len() as u64,
        series,
        topics,
        whole: answered && ended && totals["distinct"] == sent && topics >= TOPICS && series == OWN_SERIES,
    })
}
