//! The ways, with stand-ins at their ends.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};

use super::*;
use crate::dcos::testing::{DnsServer, closed_port, raw_server, serve};

/// What answers are made of, and some of what stands in them.
pub(super) const WORDS: &[&str] = &[
    "dns",
    "address",
    "vip",
    "app",
    "tasks",
    "host",
    "ports",
    "ip",
    "port",
    "broker",
    "broker:9092",
    "[10.0.0.1, fd01::1]:1025",
    "[]:1",
    "b-0.kafka.mesos:",
    "http://a:1",
    "7",
];

const BROKER: &str = r#"{"address":["10.0.0.1:1025"],"dns":["kafka-0-broker.kafka.autoip.dcos.thisdcos.directory:1025"],"vip":"broker.kafka.l4lb.thisdcos.directory:9092"}"#;
const CONNECTION: &str = r#"{"address":["10.0.0.211:9843"],"dns":["broker-0.kafka.mesos:9843"],"zookeeper":"master.mesos:2181/dcos-service-kafka"}"#;

/// Somebody who answers each path with a status and a text, and all others with 404.
async fn answering(answers: &[(&str, u16, &str)]) -> String {
    let answers: HashMap<String, (u16, String)> = answers
        .iter()
        .map(|(path, status, body)| ((*path).to_owned(), (*status, (*body).to_owned())))
        .collect();
    serve(Router::new().fallback(move |uri: Uri| {
        let (status, body) = answers.get(uri.path()).cloned().unwrap_or((404, "not here".to_owned()));
        std::future::ready((StatusCode::from_u16(status).unwrap(), body))
    }))
    .await
}

fn url(text: &str) -> BaseUrl {
    BaseUrl::parse(text).unwrap()
}

/// Settings of a cluster in which nobody is anywhere.
fn nowhere() -> Config {
    let closed = "http://127.0.0.1:1";
    Config {
        dns_server: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
        scheduler: Some(url(closed)),
        admin_router: url(closed),
        marathon: url(closed),
        mesos_dns: url(closed),
        ..Config::of(FrameworkName::parse("prod/kafka").unwrap())
    }
}

/// What is found, as `way: brokers (said)`, or else the cause and what is said of it.
async fn found(config: Config) -> Result<String, (Cause, String)> {
    let found = Discovery::new(config, Client::new(LIMITS).unwrap()).find().await;
    found
        .map(|found| format!("{}: {} ({})", found.way, found.brokers.join(" "), found.said))
        .map_err(|not_found| (not_found.cause(), not_found.to_string()))
}

/// What a scheduler with these answers leads to.
async fn of_scheduler(config: Config, answers: &[(&str, u16, &str)]) -> String {
    let base = answering(answers).await;
    let config = Config { scheduler: Some(url(&base)), pinned: Some(Way::SchedulerVip), ..config };
    match found(config).await {
        Ok(text) => text.replace(&base, "").replace("scheduler-vip: ", ""),
        Err((cause, text)) => format!("{}: {}", cause.name(), text.replace(&base, "")),
    }
}

#[tokio::test]
async fn schedulers_of_both_generations_and_their_odd_answers() {
    const NEW: &str = "/v1/endpoints/broker";
    const OLD: &str = "/v1/connection";
    let empty = r#"{"address":[],"dns":[]}"#;
    for (answers, expected) in [
        (
            &[(NEW, 200, BROKER)][..],
            "kafka-0-broker.kafka.autoip.dcos.thisdcos.directory:1025 (dns of /v1/endpoints/broker)",
        ),
        (&[(OLD, 200, CONNECTION)], "broker-0.kafka.mesos:9843 (dns of /v1/connection)"),
        (&[(NEW, 200, "text"), (OLD, 200, CONNECTION)], "broker-0.kafka.mesos:9843 (dns"),
        (&[(NEW, 500, "no"), (OLD, 200, CONNECTION)], "broker-0.kafka.mesos:9843 (dns"),
        (
            &[(NEW, 200, r#"{"address":["10.0.0.1:7","x"]}"#)],
            "10.0.0.1:7 (address of /v1/endpoints/broker, without 1 entries that are no host:port)",
        ),
        (&[(NEW, 200, empty), (OLD, 200, CONNECTION)], "empty: "),
        (&[(OLD, 200, empty)], "empty: "),
        (&[(NEW, 200, r#"{"dns":["x"]}"#)], "empty: "),
        (&[("/v1/endpoints", 200, r#"["broker-tls","zookeeper"]"#)], "other_security: "),
        (&[("/v1/endpoints", 200, r#"["zookeeper"]"#)], "unknown: "),
        (&[(NEW, 200, "master.mesos:2181/dcos-service-kafka")], "silent: "),
        (&[(NEW, 200, "{}")], "silent: "),
        (&[(NEW, 500, "ZooKeeper is away")], "silent: "),
        (&[(NEW, 401, "")], "denied: "),
        (&[(NEW, 403, "")], "denied: "),
        (&[(NEW, 302, "")], "silent: "),
        (&[], "unknown: "),
    ] {
        let got = of_scheduler(nowhere(), answers).await;
        assert!(got.starts_with(expected), "{answers:?}: {got}");
    }
}

#[tokio::test]
async fn with_tls_the_other_endpoint_is_asked_for() {
    let tls = Config { tls: true, ..nowhere() };
    let other =
        [("/v1/endpoints/broker-tls", 200, r#"{"dns":["t:1026"]}"#), ("/v1/endpoints/broker", 200, BROKER)];
    let got = of_scheduler(tls.clone(), &other).await;
    assert!(got.starts_with("t:1026 (dns of /v1/endpoints/broker-tls)"), "{got}");
    let got = of_scheduler(tls, &[("/v1/endpoints", 200, r#"["broker","zookeeper"]"#)]).await;
    assert!(got.starts_with("other_security: ") && got.contains("has no brokers with TLS"), "{got}");
}

#[tokio::test]
async fn the_form_of_the_addresses_is_a_setting() {
    for (address, expected) in [
        (BrokerAddress::Address, "10.0.0.1:1025"),
        (BrokerAddress::Vip, "broker.kafka.l4lb.thisdcos.directory:9092"),
    ] {
        let config = Config { address, ..nowhere() };
        let got = of_scheduler(config, &[("/v1/endpoints/broker", 200, BROKER)]).await;
        assert!(got.starts_with(expected), "{got}");
    }
}

#[tokio::test]
async fn redirects_huge_endless_and_broken_answers_are_no_answers() {
    let elsewhere = answering(&[("/v1/endpoints/broker", 200, BROKER)]).await;
    let redirect: Response = Redirect::temporary(&format!("{elsewhere}/v1/endpoints/broker")).into_response();
    let location = redirect.headers()["location"].clone();
    let redirecting = serve(Router::new().fallback(move || {
        std::future::ready((StatusCode::TEMPORARY_REDIRECT, [("location", location.clone())]))
    }));
    let chunk = format!("{:x}\r\n{}\r\n", 65536, " ".repeat(65536));
    let endless =
        raw_server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), chunk.into_bytes());
    let broken = raw_server(b"SSH-2.0\r\n".to_vec(), Vec::new());
    for (base, expected) in [
        (redirecting.await, "307 Temporary Redirect, which is not followed"),
        (endless.await, "larger than 1048576 bytes"),
        (broken.await, "is no HTTP"),
    ] {
        let config = Config { scheduler: Some(url(&base)), pinned: Some(Way::SchedulerVip), ..nowhere() };
        let (_, text) = found(config).await.expect_err(expected);
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_never_answers_is_given_up() {
    let base = serve(Router::new().fallback(std::future::pending::<&str>)).await;
    let config = Config { scheduler: Some(url(&base)), pinned: Some(Way::SchedulerVip), ..nowhere() };
    let (cause, text) = found(config).await.expect_err("no answer");
    assert!(cause == Cause::Failed && text.contains("within "), "{text}");
}

#[tokio::test]
async fn admin_router_has_the_folders_in_its_path() {
    let base = answering(&[("/service/prod/kafka/v1/endpoints/broker", 200, BROKER)]).await;
    let config = Config { admin_router: url(&base), ..nowhere() };
    let got = found(config.clone()).await.unwrap();
    assert!(got.starts_with("admin-router: kafka-0-broker."), "{got}");
    let base = answering(&[("/service/prod/kafka/v1/endpoints/broker", 401, "")]).await;
    let config = Config { admin_router: url(&base), pinned: Some(Way::AdminRouter), ..config };
    let (cause, text) = found(config).await.unwrap_err();
    assert!(cause == Cause::Denied && text.contains("; it wants a login or permissions"), "{text}");
}

/// `host:port` of an address.
fn place(base: &str) -> (&str, &str) {
    base.trim_start_matches("http://").rsplit_once(':').unwrap()
}

#[tokio::test]
async fn marathons_and_mesos_dnss_places_are_tried_each() {
    let scheduler = answering(&[("/v1/endpoints/broker", 200, BROKER)]).await;
    let health = answering(&[]).await;
    let (_closed, closed) = closed_port();
    let [(_, health), (_, closed), (host, port)] = [&health, &closed, &scheduler].map(|base| place(base));
    let app = format!(r#"{{"app":{{"tasks":[{{"host":"{host}","ports":[{health},{closed},{port}]}}]}}}}"#);
    let marathon = answering(&[("/v2/apps/prod/kafka", 200, &app)]).await;
    let got = found(Config { marathon: url(&marathon), ..nowhere() }).await.unwrap();
    assert!(got.starts_with("marathon: kafka-0-broker."), "{got}");

    let records = format!(r#"[{{"ip":"{host}","port":"{health}"}},{{"ip":"{host}","port":"{port}"}}]"#);
    let unknown = r#"[{"service":"","host":"","ip":"","port":""}]"#;
    let mesos_dns = answering(&[
        ("/v1/services/_api._kafka-prod._tcp.marathon.mesos.", 200, unknown),
        ("/v1/services/_kafka-prod._tcp.marathon.mesos.", 200, &records),
    ])
    .await;
    let got = found(Config { mesos_dns: url(&mesos_dns), ..nowhere() }).await.unwrap();
    assert!(got.starts_with("mesos-dns: kafka-0-broker."), "{got}");
}

#[tokio::test]
async fn registers_that_know_nothing_or_talk_nonsense_are_named() {
    let unknown = r#"[{"service":"","host":"","ip":"","port":""}]"#;
    let huge = " ".repeat(2 << 20);
    let names = ["_api._kafka-prod", "_kafka-prod", "_kafka.prod"];
    let paths = names.map(|name| format!("/v1/services/{name}._tcp.marathon.mesos."));
    for (way, status, body, expected) in [
        (Way::Marathon, 404, r#"{"message":"App '/kafka' does not exist"}"#, Cause::Unknown),
        (Way::Marathon, 200, r#"{"app":{"tasks":[]}}"#, Cause::Unknown),
        (Way::Marathon, 200, "<html>", Cause::Failed),
        (Way::Marathon, 500, "", Cause::Failed),
        (Way::Marathon, 307, "", Cause::Failed),
        (Way::Marathon, 200, &huge, Cause::Failed),
        (Way::Marathon, 401, "", Cause::Denied),
        (Way::MesosDns, 200, unknown, Cause::Unknown),
        (Way::MesosDns, 200, "[]", Cause::Unknown),
        (Way::MesosDns, 404, "", Cause::Unknown),
        (Way::MesosDns, 200, "{}", Cause::Failed),
        (Way::MesosDns, 500, "", Cause::Failed),
        (Way::MesosDns, 307, "", Cause::Failed),
        (Way::MesosDns, 200, &huge, Cause::Failed),
        (Way::MesosDns, 403, "", Cause::Denied),
    ] {
        let answers: Vec<_> = paths.iter().map(|path| (path.as_str(), status, body)).collect();
        let base = url(&answering(&[&answers[..], &[("/v2/apps/prod/kafka", status, body)]].concat()).await);
        let config = Config { marathon: base.clone(), mesos_dns: base, pinned: Some(way), ..nowhere() };
        let (cause, text) = found(config).await.unwrap_err();
        assert_eq!(cause, expected, "{way} {body}: {text}");
    }
}

#[tokio::test]
async fn dns_leads_to_each_port_until_one_is_the_schedulers() {
    let scheduler = answering(&[("/v1/connection", 200, CONNECTION)]).await;
    let other = answering(&[]).await;
    let port = |base: &str| place(base).1.parse::<u16>().unwrap();
    let dns = DnsServer::start(
        &[
            ("_kafka-prod._tcp.marathon.mesos.", "gone.marathon.mesos.", 25001),
            ("_kafka-prod._tcp.marathon.mesos.", "kafka.marathon.mesos.", port(&other)),
            ("_kafka-prod._tcp.marathon.mesos.", "kafka.marathon.mesos.", 0),
            ("_kafka-prod._tcp.marathon.mesos.", "kafka.marathon.mesos.", port(&scheduler)),
        ],
        &[("kafka.marathon.mesos.", [127, 0, 0, 1])],
    )
    .await;
    let config = Config { dns_server: Some(dns), ..nowhere() };
    let got = found(config.clone()).await.unwrap();
    assert!(got.starts_with("dns-srv: broker-0.kafka.mesos:9843 (dns of http://127.0.0.1:"), "{got}");

    let config =
        Config { framework: FrameworkName::parse("kafak").unwrap(), pinned: Some(Way::DnsSrv), ..config };
    let (cause, text) = found(config).await.unwrap_err();
    assert_eq!(cause, Cause::Unknown, "{text}");
    assert!(text.contains("no SRV records of _api._kafak._tcp.marathon.mesos."), "{text}");
}

#[tokio::test]
async fn dns_that_talks_nonsense_or_not_at_all_is_no_answer() {
    for dns in [DnsServer::nonsense().await, nowhere().dns_server.unwrap()] {
        let config = Config { dns_server: Some(dns), pinned: Some(Way::DnsSrv), ..nowhere() };
        let (cause, text) = found(config).await.unwrap_err();
        assert!(cause == Cause::Failed && text.contains(&format!("no answer from DNS at {dns}")), "{text}");
    }
}

#[tokio::test]
async fn with_nobody_anywhere_each_way_is_named() {
    let (cause, text) = found(nowhere()).await.unwrap_err();
    assert_eq!(cause, Cause::Failed);
    for way in Way::ALL {
        assert!(text.contains(&format!("{way}: ")), "{way} in {text}");
    }
    assert!(!text.contains('\n'), "{text}");
}
