//! The brokers of a framework are found, by whatever the cluster has, and found again.

use std::path::Path;

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::iam::Iam;
use crate::support::kafka::{Broker, unique};
use crate::support::mesos_dns::{self, MesosDns};
use crate::support::producer::{Agent, Producer};
use crate::support::scheduler::{Fault, Generation, Scheduler};
use crate::support::serve::Server;
use crate::support::{consumer, eventually, ocf, once, record};

/// A place where nobody is.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A collector that has to look for its brokers, each second, and finds nobody but by what `more` says.
fn looking(more: &[&str]) -> Collector {
    let nowhere = [
        ["--kafka-scheduler-url", NOWHERE],
        ["--admin-router-url", NOWHERE],
        ["--marathon-url", NOWHERE],
        ["--mesos-dns-url", NOWHERE],
        ["--dns-server", "127.0.0.1:1"],
        ["--kafka-discovery-period", "1s"],
    ];
    Collector::start("", &[nowhere.as_flattened(), more].concat())
}

/// Sends a record, and waits until it is the `n`th that was delivered.
fn check_delivers(collector: &Collector, n: u64) {
    collector.send(&ocf::stream(&record::numbered(&unique("found"), 0..1)));
    collector.wait_delivered(n);
}

fn discovery(collector: &Collector) -> Value {
    collector.status()["discovery"].clone()
}

/// Waits until `/v1/status` says so of the look for brokers.
fn wait_until(collector: &Collector, what: &str, so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let status = discovery(collector);
        once(so(&status), || status.to_string())?;
        Ok(status)
    })
}

/// Waits until `/-/ready` says this of the look for brokers, and gives the whole sentence.
fn wait_not_ready(collector: &Collector, words: &str) -> String {
    eventually(words, || {
        let sentence = collector.why_not_ready("discovery");
        once(sentence.contains(words), || sentence.clone())?;
        Ok(sentence)
    })
}

#[test]
fn the_real_mesos_dns_leads_to_the_brokers() {
    let scheduler = Scheduler::start(Generation::Endpoints, &[Broker::shared().bootstrap()]);
    let old = Scheduler::start(Generation::Connection, &[Broker::shared().bootstrap()]);
    let mesos_dns = MesosDns::start(&[("kafka", scheduler.port()), ("kafka.prod", old.port())]);
    let (dns, url) = (mesos_dns.dns(), mesos_dns.url());
    for (framework, way) in [
        ("kafka", "dns-srv"),
        ("/prod/kafka", "dns-srv"),
        ("kafka", "mesos-dns"),
        ("prod/kafka", "mesos-dns"),
    ] {
        let place = if way == "dns-srv" { ["--dns-server", &dns] } else { ["--mesos-dns-url", &url] };
        let collector = looking(&[&["--kafka-framework", framework], &place[..]].concat());
        check_delivers(&collector, 1);
        let status = discovery(&collector);
        assert_eq!(status["way"], way, "{framework}: {status}");
        assert_eq!(status["brokers"][0], Broker::shared().bootstrap(), "{framework}: {status}");
        assert_eq!(collector.terminate().status.code(), Some(0));
    }
    let collector = looking(&["--kafka-framework", "kafak", "--dns-server", &dns, "--mesos-dns-url", &url]);
    wait_not_ready(
        &collector,
        "the cluster knows no framework \"kafak\"; install Kafka, or set kafka-framework",
    );
}

#[test]
fn each_other_way_leads_to_the_brokers() {
    let scheduler = Scheduler::start(Generation::Endpoints, &[Broker::shared().bootstrap()]);
    let mesos_dns = mesos_dns::stand_in(&[("_api._kafka._tcp.marathon.mesos.", scheduler.port())]);
    let app = format!(r#"{{"app":{{"tasks":[{{"host":"127.0.0.1","ports":[{}]}}]}}}}"#, scheduler.port());
    let app = axum::routing::get(move || std::future::ready(app.clone()));
    let marathon = Server::start(axum::Router::new().route("/v2/apps/kafka", app));
    for (way, key, url) in [
        ("scheduler-vip", "--kafka-scheduler-url", scheduler.url()),
        ("marathon", "--marathon-url", marathon.url()),
        ("mesos-dns", "--mesos-dns-url", mesos_dns.url()),
    ] {
        for pinned in ["auto", way] {
            let collector = looking(&[key, &url, "--kafka-discovery", pinned]);
            check_delivers(&collector, 1);
            assert_eq!(discovery(&collector)["way"], way);
        }
    }
}

#[test]
fn brokers_that_move_are_followed_and_faults_of_the_scheduler_change_nothing() {
    let broker = Broker::shared().bootstrap();
    let scheduler = Scheduler::start(Generation::Endpoints, &["127.0.0.1:1"]);
    let collector =
        looking(&["--kafka-discovery", "scheduler-vip", "--kafka-scheduler-url", &scheduler.url()]);
    wait_until(&collector, "the first brokers", |status| status["brokers"][0] == "127.0.0.1:1");
    scheduler.list(&[broker]);
    check_delivers(&collector, 1);
    let mut delivered = 1;
    for (fault, said) in [
        (Fault::EmptyLists, "lists no brokers"),
        (Fault::Status(500), "500 Internal Server Error"),
        (Fault::Text("master.mesos:2181/dcos-service-kafka"), "no JSON object"),
        (Fault::Huge, "larger than 1048576 bytes"),
        (Fault::Redirect(scheduler.url()), "which is not followed"),
        (Fault::Hang, "no whole answer within"),
        (Fault::Status(404), "404 Not Found"),
    ] {
        scheduler.fail(fault.clone());
        let status = wait_until(&collector, said, |status| {
            status["last_error"][1].as_str().is_some_and(|error| error.contains(said))
        });
        assert_eq!(status["brokers"][0], broker, "{fault:?}");
        delivered += 1;
        check_delivers(&collector, delivered);
    }
    scheduler.fail(Fault::Nothing);
    wait_until(&collector, "all is well again", |status| status["answered"] == true);
    let log = collector.log();
    let news = log.iter().filter(|line| line.contains("found the Kafka brokers")).count();
    assert_eq!(news, 2, "each list is told once: {log:#?}");
}

#[test]
fn a_start_without_dns_has_the_brokers_of_the_last_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder: &Path = folder.path();
    let scheduler = Scheduler::start(Generation::Connection, &[Broker::shared().bootstrap()]);
    let url = scheduler.url();
    let args = ["--data-dir", folder.to_str().unwrap(), "--kafka-scheduler-url", &url];
    let collector = looking(&args);
    check_delivers(&collector, 1);
    eventually("the list is kept", || once(folder.join("brokers.json").exists(), || "no file".to_owned()));
    collector.kill();
    scheduler.fail(Fault::Status(500));

    // What others told is not begun with.
    let others = looking(&args[..2]);
    let status = wait_until(&others, "others were asked in vain", |status| !status["last_error"].is_null());
    assert_eq!((&status["way"], &status["brokers"]), (&Value::Null, &Value::Array(Vec::new())), "{status}");
    others.terminate();

    let collector = looking(&args);
    check_delivers(&collector, 1);
    let status =
        wait_until(&collector, "somebody was asked in vain", |status| !status["last_error"].is_null());
    assert_eq!(
        (&status["way"], &status["answered"]),
        (&Value::from("file"), &Value::from(false)),
        "{status}"
    );
    collector.terminate();

    std::fs::write(folder.join("brokers.json"), "{").unwrap();
    let collector = looking(&args);
    wait_not_ready(&collector, "does not tell its brokers");
    let log = collector.log();
    let told = log.iter().filter(|line| line.contains("brokers.json is damaged")).count();
    assert_eq!(told, 1, "{log:#?}");
    assert!(folder.join("brokers.json.damaged").exists());
}

#[test]
fn where_nobody_is_readiness_says_in_one_line_what_to_do() {
    let collector = looking(&["--shutdown-grace", "1s"]);
    let expected = "nobody tells the brokers of the framework \"kafka\"; check this host's DNS and network, or name the \
                    brokers with kafka-brokers";
    assert_eq!(wait_not_ready(&collector, "nobody tells"), expected);
    let why = collector.why_not_ready("kafka");
    assert!(why.contains("no brokers are known yet"), "{why}");
    let error = discovery(&collector)["last_error"][1].as_str().unwrap().to_owned();
    for way in ["dns-srv: ", "scheduler-vip: ", "admin-router: ", "marathon: ", "mesos-dns: "] {
        assert!(error.contains(way) && !error.contains('\n'), "{way} in {error}");
    }
    // What comes meanwhile is accounted for, and the end is not held up.
    collector.send(&ocf::stream(&record::numbered("kept", 0..1)));
    collector.wait_accepted(1);
    let ended = collector.terminate();
    assert_eq!(ended.status.code(), Some(0));
    let told = |words: &str| ended.log.iter().filter(|line| line.contains(words)).count();
    assert_eq!(told("not delivered within the shutdown grace"), 1, "{ended:#?}");
    assert_eq!(told("no Kafka brokers found"), 1, "asked again and again, and told once: {ended:#?}");
}

#[test]
fn a_scheduler_that_comes_later_is_found() {
    let scheduler = Scheduler::start(Generation::Endpoints, &[Broker::shared().bootstrap()]);
    scheduler.fail(Fault::EmptyLists);
    let collector =
        looking(&["--kafka-discovery", "scheduler-vip", "--kafka-scheduler-url", &scheduler.url()]);
    wait_not_ready(&collector, "lists no brokers; see its deploy plan");
    collector.send(&ocf::stream(&record::numbered(&unique("early"), 0..3)));
    collector.wait_accepted(3);
    scheduler.fail(Fault::Nothing);
    collector.wait_delivered(3);
    scheduler.wait_asked(1);
}

/// A collector that knows its brokers by nobody but this Admin Router, and has this account.
fn behind(iam: &Iam, account: &Path, pinned: &str) -> Collector {
    let (url, account) = (iam.url(""), account.to_str().unwrap());
    looking(&["--admin-router-url", &url, "--iam-config-path", account, "--kafka-discovery", pinned])
}

/// The lines of the log with these words.
fn said(collector: &Collector, words: &str) -> Vec<String> {
    collector.log().into_iter().filter(|line| line.contains(words)).collect()
}

#[test]
fn a_strict_admin_router_leads_to_the_brokers_with_a_token_that_is_renewed_when_it_has_ended() {
    let broker = Broker::shared().bootstrap();
    let by_name = format!("localhost:{}", broker.rsplit_once(':').unwrap().1);
    let folder = tempfile::tempdir().unwrap();
    let account = folder.path().join("sa.json");
    for generation in [Generation::Endpoints, Generation::Connection] {
        let (iam, scheduler) = (Iam::start(), Scheduler::start(generation, &[broker]));
        iam.stand_before(scheduler.address());
        iam.write_secret(&account);
        let collector = behind(&iam, &account, "auto");
        check_delivers(&collector, 1);
        assert_eq!((&discovery(&collector)["way"], iam.logins()), (&Value::from("admin-router"), 1));

        // The token has ended, and only a new one brings the news.
        iam.revoke();
        scheduler.list(&[&by_name]);
        wait_until(&collector, "the new list", |status| status["brokers"][0] == *by_name);
        check_delivers(&collector, 2);
        assert_eq!(iam.logins(), 2, "{generation:?}");
        assert!(discovery(&collector)["last_error"].is_null(), "{}", discovery(&collector));
        let tokens = [said(&collector, "token="), said(&collector, "PRIVATE")].concat();
        assert_eq!(tokens, [""; 0], "nothing secret is logged");
    }
}

#[test]
fn a_login_that_is_refused_is_told_in_one_line_with_what_to_do() {
    let scheduler = Scheduler::start(Generation::Endpoints, &[Broker::shared().bootstrap()]);
    let folder = tempfile::tempdir().unwrap();
    let account = folder.path().join("sa.json");
    let iam = Iam::start();
    iam.stand_before(scheduler.address());
    iam.write_secret(&account);
    let secret = std::fs::read_to_string(&account).unwrap();
    // The account has another key by now.
    iam.rotate();
    let advice = "whoever knows the brokers of the framework \"kafka\" wants a login that may ask; set \
                  dcos-service-account, or name the brokers with kafka-brokers";
    for pinned in ["auto", "admin-router"] {
        std::fs::write(&account, &secret).unwrap();
        let collector = behind(&iam, &account, pinned);
        let sentence = wait_not_ready(&collector, advice);
        assert!(!sentence.contains('\n'), "{sentence}");
        let login = collector.why_not_ready("login");
        let refused = "cannot log in: POST http://127.0.0.1";
        assert!(login.contains(refused) && login.contains("it answered 401 Unauthorized"), "{login}");
        assert!(login.contains("it wants a login or permissions") && !login.contains('\n'), "{login}");
        let lines = said(&collector, "no Kafka brokers found");
        assert!(lines.len() == 1 && lines[0].contains("there is no token: cannot log in"), "{lines:#?}");
        assert_eq!(said(&collector, "PRIVATE"), [""; 0]);

        // The secret is mended where it lies, and is read again.
        iam.write_secret(&account);
        check_delivers(&collector, 1);
    }
}

#[test]
fn without_an_account_a_strict_admin_router_is_told_with_what_to_do() {
    let iam = Iam::start();
    let collector = looking(&["--admin-router-url", &iam.url("")]);
    wait_not_ready(&collector, "wants a login that may ask; set dcos-service-account");
    assert_eq!(said(&collector, "no Kafka brokers found").len(), 1);
}

#[test]
fn the_sample_producer_finds_the_brokers_of_a_framework() {
    let scheduler = Scheduler::start(Generation::Connection, &[Broker::shared().bootstrap()]);
    let mesos_dns = MesosDns::start(&[("kafka", scheduler.port())]);
    let agent = Agent::start(Some(include_str!("../data/monitor_statistics.json")));
    let (topic, dns) = (unique("polls"), mesos_dns.dns());
    let of_agent = agent.args();
    let mut args: Vec<&str> = of_agent.iter().map(String::as_str).collect();
    args.extend(["-framework", "kafka", "-dns-server", &dns, "-brokers", "127.0.0.1:1", "-topic", &topic]);
    args.extend(["-period", "1"]);
    let producer = Producer::start(&args, &[("KAFKA_PEERS", "127.0.0.1:1")]);
    let messages = consumer::read(Broker::shared().bootstrap(), &topic, 2);
    assert_eq!(messages[0].records().len(), 3);
    let ended = producer.terminate();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.log.contains("found the brokers by dns-srv"), "{ended:#?}");
}
