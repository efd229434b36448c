//! The status page in a real browser, beside a line that works, or does not.

use serde_json::json;

use crate::support::browser::Browser;
use crate::support::collector::Collector;
use crate::support::kafka::{Broker, OwnBroker, unique};
use crate::support::record::numbered;
use crate::support::{eventually, ocf, once};

/// A browser that has the collector's page open.
fn open(collector: &Collector) -> Browser {
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/", collector.http()));
    browser.wait_text("Live: each second anew.");
    browser
}

/// Nothing came from elsewhere, and the browser found no fault.
fn check_clean(browser: &mut Browser, collector: &Collector) {
    let ours = format!("http://{}/", collector.http());
    let elsewhere = |url: &String| !url.starts_with(&ours) && !url.starts_with("data:");
    let requests = browser.requests();
    assert!(requests.iter().any(|url| url.ends_with("/v1/events?view=page")), "{requests:?}");
    assert_eq!(requests.into_iter().filter(elsewhere).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(browser.faults(), Vec::<String>::new());
}

/// An expression: texts whose contrast with what is behind them is below 4.5, WCAG's AA.
const FAINT: &str = r"(() => {
  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parts(color).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if ((parts(backgroundColor)[3] ?? 1) > 0) return backgroundColor;
    }
    throw new Error('no ground');
  };
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return [...document.body.querySelectorAll('*')].filter((e) => hasText(e) && e.checkVisibility()).flatMap((element) => {
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return contrast < 4.5 ? [`${element.textContent.trim()}: ${contrast}`] : [];
  });
})()";

#[test]
fn the_page_follows_the_records_without_being_loaded_again() {
    let topic = unique("page");
    let collector = Collector::start(Broker::shared().bootstrap(), &["--kafka-topic-prefix", ""]);
    collector.send(&ocf::stream(&numbered(&topic, 0..10)));
    collector.wait_delivered(10);
    let mut browser = open(&collector);
    browser.value("window.first = document; window.stage = document.querySelector('.stage')");
    let accepted = "[...document.querySelectorAll('.stage tr')].find((row) => row.innerText.startsWith('Accepted'))\
                    .lastChild.innerText";
    browser.wait("10 records are shown", &format!("{accepted} == '10'"));
    collector.send(&ocf::stream(&numbered(&topic, 10..1244)));
    collector.wait_delivered(1244);
    browser.wait("all records are shown", &format!("{accepted} == '1,244'"));
    let rate = "[...document.querySelectorAll('.stage td')].some((cell) => /^[1-9][\\d,.]* records.s$/.test(cell.innerText))";
    browser.wait("their rate is shown", rate);
    browser.wait("and goes back to nothing", &format!("!{rate}"));
    let same = browser.value("window.first === document && window.stage.isConnected");
    assert_eq!(same, true, "what did not change stays what it was");
    check_clean(&mut browser, &collector);
}

#[test]
fn an_outage_is_told_with_advice_and_told_to_be_over() {
    let mut broker = OwnBroker::started();
    let topic = unique("page");
    let collector = Collector::start(broker.bootstrap(), &["--kafka-topic-prefix", ""]);
    collector.send(&ocf::stream(&numbered(&topic, 0..10)));
    collector.wait_delivered(10);
    let mut browser = open(&collector);
    browser.wait_text("✔ Ready: every part does its work.");
    browser.wait_text("✔ delivering");
    broker.stop();
    collector.send(&ocf::stream(&numbered(&topic, 10..30)));
    browser.wait_text("✖ Not ready: kafka.");
    browser.wait_text("✖ Now: Kafka cannot be reached");
    browser.wait_text("What to do: See that the brokers run");
    browser.wait("the tab says so too", "document.title.startsWith('✖')");
    browser.wait("what waits is shown", "/Waiting\\s+20\\s/.test(document.body.innerText)");
    broker.start();
    browser.wait_text("✔ Ready: every part does its work.");
    browser.wait_text("· Over: Kafka cannot be reached");
    collector.wait_delivered(30);
    browser.wait("the tab says so too", "document.title.startsWith('✔')");
    check_clean(&mut browser, &collector);
}

#[test]
fn it_fits_and_can_be_read_at_every_width_and_by_day_and_night() {
    let collector = Collector::start(Broker::shared().bootstrap(), &[]);
    // A topic as long as Kafka takes them, and something that goes wrong, in words without a blank.
    collector.send(&ocf::stream(&numbered(&"t".repeat(230), 0..10)));
    collector.send(&ocf::stream(&numbered(&"/".repeat(300), 0..10)));
    collector.wait_delivered(10);
    let mut browser = open(&collector);
    browser.wait_text("Records were set aside");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for width in [360, 768, 1440] {
            browser.resize(width);
            browser.wait("it is drawn anew", &format!("innerWidth == {width}"));
            let over = browser.value("document.documentElement.scrollWidth - innerWidth");
            assert!(over.as_i64().is_some_and(|over| over <= 0), "{over} pixels too wide at {width}");
        }
        assert_eq!(browser.value(FAINT), json!([]), "{scheme}");
    }
    check_clean(&mut browser, &collector);
}

#[test]
fn what_others_wrote_does_not_run() {
    let evil = "<img src=x onerror=window.evil=1><script>window.evil=1</script>";
    let collector = Collector::start(Broker::shared().bootstrap(), &[]);
    let mut browser = open(&collector);
    // While the page is open, and before it is opened.
    collector.send(&ocf::stream(&numbered(evil, 0..10)));
    browser.wait_text(evil);
    let mut other = open(&collector);
    other.wait_text(evil);
    for browser in [&mut browser, &mut other] {
        let found = browser
            .value("[typeof window.evil, document.querySelectorAll('#view img, #view script').length]");
        assert_eq!(found, json!(["undefined", 0]));
        check_clean(browser, &collector);
    }
}

#[test]
fn it_says_that_the_collector_is_gone_and_holds_nobody_up() {
    let collector = Collector::start(Broker::shared().bootstrap(), &[]);
    let mut browser = open(&collector);
    check_clean(&mut browser, &collector);
    let ended = collector.terminate();
    assert!(ended.status.success(), "{ended:?}");
    browser.wait_text("✖ No answer since ");
    browser.wait("the tab says so too", "document.title.startsWith('?')");
}

#[test]
fn what_senders_do_wrong_is_told_with_advice() {
    let collector = Collector::start(Broker::shared().bootstrap(), &[]);
    collector.send(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n");
    let problem = eventually("the problem is told", || {
        let status = collector.status();
        let problems = status["problems"].as_array().cloned().unwrap_or_default();
        problems
            .into_iter()
            .find(|problem| problem["kind"] == "input_not_avro")
            .ok_or_else(|| status.to_string())
    });
    assert_eq!(
        (&problem["part"], &problem["now"], &problem["times"]),
        (&json!("input"), &json!(false), &json!(1))
    );
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.starts_with("127.0.0.1:")), "{problem}");
    assert!(problem["advice"].as_str().is_some_and(|advice| advice.len() > 40), "{problem}");
    once(problem["last_ms"] == problem["first_ms"], || problem.to_string()).expect("it was once");
}
