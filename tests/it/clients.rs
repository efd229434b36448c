//! The programs of `docs/clients.md`, run as they stand there, but for the port.

use std::process::{Child, Command, Stdio};

use crate::support::collector::Collector;
use crate::support::kafka::{Broker, unique};
use crate::support::lines::Lines;
use crate::support::load::under_load;
use crate::support::random::Random;
use crate::support::receiver::Port;
use crate::support::{consumer, eventually, once, python, repository};

/// The first text in `language` below a heading of the page.
fn text_of(heading: &str, language: &str) -> String {
    let page = std::fs::read_to_string(repository("docs/clients.md")).unwrap();
    let (_, below) = page.split_once(&format!("# {heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    let (_, text) = below.split_once(&format!("```{language}\n")).expect("a text");
    text.split_once("\n```").expect("its end").0.to_owned()
}

/// The same with another address, which stands there once.
fn at_home(text: &str, address: &str, here: &str) -> String {
    assert_eq!(text.matches(address).count(), 1, "{text}");
    text.replace(address, here)
}

/// Runs the sender below `heading`; what it says that it sends arrives.
fn check_sender(heading: &str) {
    const ADDRESS: &str = "(\"127.0.0.1\", 8124)";
    let program = text_of(heading, "python");
    let prefix = unique("clients");
    let collector = Collector::start(Broker::shared().bootstrap(), &["--kafka-topic-prefix", &prefix]);
    let program = at_home(&program, ADDRESS, &format!("(\"127.0.0.1\", {})", collector.input().port()));
    let ran = Command::new(python::interpreter()).args(["-c", &program]).output().unwrap();
    assert!(ran.status.success(), "{ran:#?}");
    collector.wait_accepted(3);
    collector.wait_delivered(3);
    let records =
        consumer::records(&consumer::read(Broker::shared().bootstrap(), &format!("{prefix}example"), 3));
    let values: Vec<f64> = records.iter().map(|record| record.datapoints[0].value).collect();
    assert_eq!(values, [20.5, 21.5, 22.5]);
    let names: Vec<&str> = records.iter().map(|record| record.datapoints[0].name.as_str()).collect();
    assert_eq!(names, ["temperature"; 3]);
    assert_eq!(records[0].tags[0].key, "container_id");
}

#[test]
fn the_sender_without_libraries_sends_what_it_says() {
    check_sender("A sender without libraries");
}

#[test]
fn the_sender_with_fastavro_sends_what_it_says() {
    check_sender("A sender with fastavro");
}

/// A receiver of the page, which prints what it takes.
struct Printer {
    child: Child,
    printed: Lines,
}

impl Printer {
    fn start(program: &str) -> Printer {
        let mut child =
            Command::new(python::interpreter()).args(["-c", program]).stdout(Stdio::piped()).spawn().unwrap();
        let printed = Lines::of(child.stdout.take().unwrap());
        Printer { child, printed }
    }

    /// The number of the record that it prints next; none: it has been killed.
    fn next(&mut self) -> Option<u64> {
        let line = self.printed.next()?;
        let (_, value) = line.split_once("'value': ").unwrap_or_else(|| panic!("no record: {line}"));
        let (whole, _) = value.split_once('.').unwrap_or_else(|| panic!("no number: {line}"));
        Some(whole.parse().unwrap())
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Runs a receiver that prints and then acknowledges, again and again, and kills it in the middle of it, while records come
/// in. Each begins with the first record that was not acknowledged, and none is missing.
fn check_killed_at_random(collector: &Collector, program: &str) {
    const LEAST: u64 = 1000;
    const LIVES: u32 = 4;
    let mut random = Random::new();
    // Gives it a place, so that all of the load is for it.
    let mut printers = vec![Printer::start(program)];
    eventually("it is connected", || {
        let shown = collector.get("/v1/partners/printer");
        once(shown.status == 200 && shown.json()["connected"] == true, || format!("{shown:?}"))
    });
    let (mut done, mut lives, mut repeated) = (0, 0, 0);
    let sent = under_load(collector, "t", 0, || {
        while done < LEAST || lives < LIVES {
            let mut printer = printers.pop().unwrap_or_else(|| Printer::start(program));
            let mut n = 0;
            for _ in 0..random.up_to(120) {
                assert_eq!(printer.next(), Some(done + n), "life {lives}: behind what was acknowledged");
                n += 1;
            }
            printer.child.kill().unwrap();
            // What it had printed by then.
            while let Some(number) = printer.next() {
                assert_eq!(number, done + n, "life {lives}");
                n += 1;
            }
            drop(printer);
            eventually("it is gone", || {
                let shown = collector.get("/v1/partners/printer").json();
                once(shown["connected"] == false, || shown.to_string())
            });
            let ledger = collector.ledger();
            let acknowledged = ledger.of("partner:printer", "delivered");
            assert!((done..=done + n).contains(&acknowledged), "{ledger:?}");
            repeated += done + n - acknowledged;
            done = acknowledged;
            lives += 1;
        }
    });
    let mut printer = Printer::start(program);
    for number in done..sent.into() {
        assert_eq!(printer.next(), Some(number));
    }
    let ledger = collector.wait_books("partner:printer", "delivered", sent.into());
    assert_eq!((ledger.of("partner:printer", "lost"), ledger.of("partner:printer", "not_wanted")), (0, 0));
    println!("{sent} records, {lives} lives, {repeated} printed again");
}

#[test]
fn the_receiver_that_connects_loses_nothing_when_it_is_killed() {
    let collector = Collector::start("127.0.0.1:1", &["--kafka=false", "--spool-memory=40MiB"]);
    let program = text_of("A receiver with fastavro", "python");
    let here = format!("(\"127.0.0.1\", {})", collector.partner().port());
    check_killed_at_random(&collector, &at_home(&program, "(\"127.0.0.1\", 8126)", &here));
}

#[test]
fn the_receiver_that_is_connected_to_loses_nothing_when_it_is_killed() {
    let port = Port::reserve();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mc.toml");
    let settings = text_of("Being connected to", "toml");
    let here = format!("127.0.0.1:{}", port.number());
    std::fs::write(&file, at_home(&settings, "127.0.0.1:9000", &here)).unwrap();
    let arguments = ["--kafka=false", "--spool-memory=40MiB", "--config", file.to_str().unwrap()];
    let collector = Collector::start("127.0.0.1:1", &arguments);
    let program = text_of("A receiver that is connected to", "python");
    let here = format!("(\"127.0.0.1\", {})", port.number());
    check_killed_at_random(&collector, &at_home(&program, "(\"127.0.0.1\", 9000)", &here));
}
