//! Stages that answer the same each time, and short ways to ask.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use prometheus::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use super::super::guard::Peer;
use super::super::metrics::Metrics;
use super::super::operation::Route;
use super::super::routes;
use super::super::settings::{Config, Writes};
use super::described;
use crate::control::steering::{Change, Changing, ConfigView, Fault, NotChanged, Order, Outcome, Steering};
use crate::control::{
    AgentStatus, AskedStatus, BrokerStatus, Control, DiscoveryStatus, Endpoint, Endpoints, EnrichmentStatus,
    InputStatus, KafkaStatus, KafkaTopic, Ledger, MemoryStatus, NoStream, OutputLedger, Part, PartnerStatus,
    Piece, Pieces, Problem, SenderStatus, SpoolStatus, Stages, Status, StreamQuery, TopicStatus, TopicView,
    Topics, TopicsQuery, Watched,
};
use crate::record::Secret;
use crate::spool::LossReason;
use crate::telemetry::page;

pub(super) const HERE: &str = "127.0.0.1:40000";
pub(super) const ELSEWHERE: &str = "10.0.0.9:40000";
pub(super) const TOKEN: &str = "a-token-for-tests";

/// What others could have sent, and what must not reach a browser as it is.
pub(super) const HOSTILE: &str = "</td><script>alert('x' & \"y\")</script>";

/// Topic of a stream that goes on, a half of a line each second.
pub(super) const ENDLESS: &str = "endless";

/// Stages whose last part is ready or not.
pub(super) struct Fake {
    pub(super) ready: AtomicBool,
    /// Whether the line has no turn any more.
    pub(super) is_stuck: Arc<AtomicBool>,
    /// Whether something went wrong.
    pub(super) has_problem: AtomicBool,
    /// How often somebody asked for the status, which has the number as its incarnation.
    pub(super) asked: AtomicU64,
    registry: Registry,
}

impl Stages for Fake {
    fn endpoints(&self) -> Endpoints {
        let input = Endpoint {
            protocol: "tcp",
            address: "127.0.0.1:8124".to_owned(),
            format: "avro-ocf",
            schema: "dcos.metrics.MetricList",
            topic: None,
        };
        Endpoints { version: 1, inputs: vec![input], outputs: Vec::new(), http: "127.0.0.1:8128".into() }
    }

    fn pulse(&self) -> JoinHandle<()> {
        let is_stuck = self.is_stuck.clone();
        tokio::spawn(async move {
            while is_stuck.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
    }

    fn readiness(&self) -> Vec<Part> {
        let kafka = self.ready.load(Ordering::Relaxed);
        vec![
            Part { name: "input", ready: true, detail: "listening".to_owned() },
            Part { name: "kafka", ready: kafka, detail: format!("broker says {HOSTILE}") },
        ]
    }

    fn partners(&self) -> Vec<PartnerStatus> {
        vec![PartnerStatus { name: Some("p".to_owned()), sent_records: 7, ..PartnerStatus::default() }]
    }

    fn forget_partner(&self, name: &str, _: &str) -> bool {
        name == "p"
    }

    fn stream(&self, query: StreamQuery) -> Result<Pieces, NoStream> {
        match query.from.as_deref() {
            None => {}
            Some("busy") => return Err(NoStream::Limit),
            Some(_) => return Err(NoStream::Bad("from is now or oldest".to_owned())),
        }
        let (sender, pieces) = tokio::sync::mpsc::channel(2);
        let piece = |text: &'static str| Piece { bytes: text.into(), is_whole: text.ends_with('\n') };
        for text in ["a\n", "b\n"] {
            sender.try_send(piece(text)).unwrap();
        }
        if query.topics == [ENDLESS] {
            tokio::spawn(async move {
                for text in ["c", "d\n"].into_iter().cycle() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if sender.send(piece(text)).await.is_err() {
                        return;
                    }
                }
            });
        }
        Ok(pieces)
    }

    fn status(&self) -> Status {
        let topic =
            TopicStatus { topic: HOSTILE.to_owned(), state: "not_authorized", ..TopicStatus::default() };
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        Status {
            version: "1.2.3",
            revision: "abc",
            incarnation: asked.to_string(),
            started_seconds: 1,
            pid: 2,
            input: InputStatus {
                accepted_records: 77,
                apart_records: 5,
                apart_bytes: 600,
                enrichment: EnrichmentStatus { full: 70, partial: 4, none: 3 },
                ..InputStatus::default()
            },
            spool: SpoolStatus { kind: "memory", ..SpoolStatus::default() },
            kafka: Some(KafkaStatus {
                brokers: vec![HOSTILE.to_owned()],
                state: "down",
                broker: Some(BrokerStatus {
                    version: "0.10",
                    known_by: "broker",
                    off: vec!["headers", "zstd"],
                }),
                last_error: Some((3, HOSTILE.to_owned())),
                topics: vec![topic],
                acknowledged_bytes: 5_000_000,
                ..KafkaStatus::default()
            }),
            discovery: Some(DiscoveryStatus {
                framework: "kafka".to_owned(),
                brokers: vec![HOSTILE.to_owned()],
                way: Some("dns-srv"),
                said: Some(HOSTILE.to_owned()),
                last_error: Some((3, HOSTILE.to_owned())),
                ..DiscoveryStatus::default()
            }),
            agent: Some(agent()),
            memory: MemoryStatus::default(),
            problems: self.has_problem.load(Ordering::Relaxed).then(problem).into_iter().collect(),
        }
    }

    fn ledger(&self) -> Ledger {
        let kafka = OutputLedger {
            accepted: 10,
            delivered: 6,
            waiting: 2,
            lost: BTreeMap::from([(LossReason::SpoolFull, 1)]),
            ..OutputLedger::default()
        };
        Ledger { accepted: 10, outputs: BTreeMap::from([("kafka".to_owned(), kafka)]) }
    }

    fn watched(&self) -> Watched {
        let sender = SenderStatus { peer: HOSTILE.to_owned(), bytes: 12_345, ..SenderStatus::default() };
        Watched {
            senders: vec![sender],
            waiting_bytes: BTreeMap::from([("kafka".to_owned(), 4000)]),
            partner_bytes: 0,
        }
    }

    fn topics(&self, query: &TopicsQuery) -> Topics {
        let kafka = KafkaTopic {
            topic: Some("metrics-t".to_owned()),
            state: query.state.unwrap_or_default(),
            reason: Some("creating".to_owned()),
            oldest_ms: Some(1),
            ..KafkaTopic::default()
        };
        let number = query.after.map_or(0, |after| after + 1);
        let view = TopicView {
            number,
            topic: Some(HOSTILE.to_owned()),
            accepted_records: query.limit as u64,
            kafka: Some(kafka),
        };
        Topics { total: 2, topics: vec![view], next: Some(number) }
    }

    fn metrics(&self) -> String {
        page::encode(&self.registry)
    }
}

/// Something that goes wrong, and is told in strange words.
fn problem() -> Problem {
    Problem {
        part: "kafka",
        kind: "kafka_unreachable",
        what: "Kafka cannot be reached",
        advice: "See that the brokers run.",
        detail: HOSTILE.to_owned(),
        now: true,
        times: 3,
        first_ms: 1000,
        last_ms: 2000,
        over_ms: None,
    }
}

/// An agent that answered once, and is strange in all that it says.
fn agent() -> AgentStatus {
    let state = AskedStatus {
        what: "state",
        route: "/state",
        result: Some("denied"),
        error: Some(HOSTILE.to_owned()),
        answered_seconds: Some(4),
        age_seconds: Some(61),
    };
    AgentStatus {
        address: Some(HOSTILE.to_owned()),
        found_by: "HOST",
        agent_id: Some(HOSTILE.to_owned()),
        containers: 12,
        frameworks: 3,
        asked: vec![
            state,
            AskedStatus {
                what: "nested",
                route: "/api/v1",
                result: Some("ok"),
                age_seconds: Some(2),
                ..Default::default()
            },
            AskedStatus { what: "system", route: "/metrics/snapshot", ..Default::default() },
        ],
    }
}

/// A configuration that notes who wants what changed. Changes of `bad` are at fault, of `slow` slow; `gone` is no key, nor
/// is `%ff`, and `unset` has no runtime value. There is one dialled partner, called `dialled`; `new` is one that was not
/// there, and so is `%ff`.
#[derive(Default)]
pub(super) struct Wheel {
    pub(super) orders: Mutex<Vec<Order>>,
}

/// The version of the configuration that everybody sees.
pub(super) const ETAG: &str = "\"f00-1\"";

impl Steering for Wheel {
    fn view(&self) -> Arc<ConfigView> {
        let keys = serde_json::json!({
            "kafka-key": {
                "value": "agent",
                "default": "agent",
                "origin": "default",
                "place": "default",
                "change": "live",
                "secret": false,
                "doc": "What messages are keyed by.",
            },
        });
        Arc::new(ConfigView {
            version: 1,
            etag: ETAG.to_owned(),
            kept: false,
            not_kept_because: Some("data-dir is not set".to_owned()),
            keys: keys.as_object().cloned().unwrap(),
        })
    }

    fn schema(&self) -> serde_json::Value {
        serde_json::json!({ "type": "object" })
    }

    fn partner_schema(&self) -> serde_json::Value {
        serde_json::json!({ "type": "object" })
    }

    fn change(&self, order: Order) -> Changing<'_> {
        let names = |name: &str| match &order.change {
            Change::Set(values) => values.contains_key(name),
            Change::Remove(key) | Change::PutPartner { name: key, .. } => key == name,
            Change::RemovePartner(_) | Change::Reload | Change::Renew => false,
        };
        let fault = |key: &str| Fault {
            key: key.to_owned(),
            value: Some("1".to_owned()),
            place: "runtime".to_owned(),
            expected: "expected 2".to_owned(),
            nearest: None,
        };
        let result = if !order.expected.admits(ETAG) {
            Err(NotChanged::Stale)
        } else if names("bad") {
            Err(NotChanged::Faults(vec![fault("bad"), fault("worse")]))
        } else if names("slow") {
            Err(NotChanged::Slow)
        } else if names("gone") || matches!(&order.change, Change::Remove(key) if key == "%ff") {
            Err(NotChanged::NoKey)
        } else if names("unset") {
            Err(NotChanged::NotSet)
        } else if matches!(&order.change, Change::RemovePartner(name) if name != "dialled") {
            Err(NotChanged::NoPartner)
        } else {
            Ok(Outcome {
                changed: vec!["kafka-key"],
                renewed: Vec::new(),
                pending: Vec::new(),
                dropped: Vec::new(),
                created: names("new") || names("%ff"),
                view: ConfigView::clone(&self.view()),
            })
        };
        self.orders.lock().unwrap().push(order);
        Box::pin(std::future::ready(result))
    }
}

/// A server without sockets.
pub(super) struct Server {
    pub(super) router: Router,
    pub(super) metrics: Metrics,
    pub(super) stages: Arc<Fake>,
    pub(super) wheel: Arc<Wheel>,
    pub(super) settings: watch::Sender<Config>,
}

/// Settings of a server on a free port, with so many connections.
pub(super) fn config(connections_max: usize) -> Config {
    Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        connections_max: connections_max.try_into().unwrap(),
        writes: Writes::Loopback,
        token: None,
    }
}

impl Server {
    pub(super) fn new(token: Option<&str>) -> Server {
        Server::with(token, Writes::Loopback)
    }

    pub(super) fn with(token: Option<&str>, writes: Writes) -> Server {
        let (stages, wheel, metrics) = Fake::new();
        let control = Control::new(stages.clone(), wheel.clone());
        let token = token.map(|text| Secret::new(text.to_owned()));
        let config = Config { writes, token, ..config(8) };
        let (settings, followed) = watch::channel(config);
        let router = routes::router(control, followed, metrics.clone());
        Server { router, metrics, stages, wheel, settings }
    }

    /// The answer to `request` from `peer`.
    pub(super) async fn ask(&self, peer: &str, request: Builder) -> Answer {
        self.send(peer, request, Body::empty()).await
    }

    /// The answer to `request` with `body` from `peer`, which is one of those that the document has for it.
    pub(super) async fn send(&self, peer: &str, request: Builder, body: Body) -> Answer {
        let (method, uri) = (request.method_ref().unwrap(), request.uri_ref().unwrap());
        let (method, path) = (method.to_string(), uri.path().to_owned());
        let answer = Answer::of(self.open(peer, request, body).await).await;
        described::check(&method, &path, &answer);
        answer
    }

    /// The same with nothing of the answer's body read yet.
    pub(super) async fn open(&self, peer: &str, request: Builder, body: Body) -> Response {
        let mut request = request.body(body).unwrap();
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(Peer(peer));
        self.router.clone().oneshot(request).await.unwrap()
    }
}

impl Fake {
    /// Stages, a configuration, and the counters on the stages' page.
    fn new() -> (Arc<Fake>, Arc<Wheel>, Metrics) {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        (
            Arc::new(Fake {
                ready: AtomicBool::new(true),
                is_stuck: Arc::default(),
                has_problem: AtomicBool::new(true),
                asked: AtomicU64::new(0),
                registry,
            }),
            Arc::default(),
            metrics,
        )
    }
}

/// Somebody to ask, and the counters on their page.
pub(super) fn stages() -> (Control, Metrics) {
    let (stages, wheel, metrics) = Fake::new();
    (Control::new(stages, wheel), metrics)
}

/// A request for `path` as curl on this machine would send it.
pub(super) fn get(path: &str) -> Builder {
    Request::builder().uri(path).header("host", "127.0.0.1:8128")
}

/// A path of the route, with something in place of its parameters, whose answer has an end.
pub(super) fn path_of(route: &Route) -> String {
    ended(&route.path.replace("{key}", "kafka-key").replace("{name}", "p"))
}

/// The path with what gives its answer an end.
pub(super) fn ended(path: &str) -> String {
    let limit = if path == "/v1/events" { "?limit=1" } else { "" };
    format!("{path}{limit}")
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) async fn of(response: Response) -> Answer {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status and code, after a look at everything that a problem must have.
    pub(super) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let json = self.json();
        assert_eq!(json["type"], "about:blank");
        assert_eq!(json["status"], self.status.as_u16());
        assert_eq!(json["title"], self.status.canonical_reason().unwrap());
        assert!(json["detail"].as_str().unwrap().len() > 10);
        (self.status.as_u16(), json["code"].as_str().unwrap().to_owned())
    }
}
