//! What the running program answers to those who ask.

use std::net::SocketAddr;
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

use super::parts::{KAFKA, Notices};
use super::{looking, topics};
use crate::control::{
    Endpoint, Endpoints, MemoryStatus, NoStream, Part, PartnerStatus, Pieces, Problem, SpoolStatus, Stages,
    Status, StreamQuery, Topics, TopicsQuery, Watched,
};
use crate::dcos::Authority;
use crate::dcos::agent::Agent;
use crate::dcos::discovery;
use crate::enrich::Enricher;
use crate::input;
use crate::ocf::METRIC_LIST_NAME;
use crate::output::kafka::{self, Naming};
use crate::output::partner;
use crate::spool::{Ledger, Spool};
use crate::telemetry::problems::{Row, Seen};
use crate::telemetry::{build_info, page, process, unix_seconds};

/// Handles of everything that runs.
pub(super) struct Program {
    pub(super) incarnation: String,
    pub(super) started: SystemTime,
    pub(super) notices: Notices,
    pub(super) input: input::Handle,
    pub(super) spool: Spool,
    pub(super) kafka: Option<(kafka::Handle, watch::Receiver<kafka::Config>)>,
    pub(super) partners: partner::Handle,
    /// The agent, while it is asked, and what was learned of it.
    pub(super) agent: (watch::Receiver<Option<Agent>>, Enricher),
    pub(super) authority: Authority,
    /// Whoever looks for brokers; none while they are named.
    pub(super) discovery: Option<watch::Receiver<Option<discovery::Handle>>>,
    pub(super) http: SocketAddr,
    /// What the line runs on.
    pub(super) line: Handle,
}

/// Senders that are shown.
const SENDERS_SHOWN: usize = 10;

impl Program {
    fn discovery(&self) -> Option<discovery::Handle> {
        self.discovery.as_ref()?.borrow().clone()
    }

    fn agent(&self) -> Option<Agent> {
        self.agent.0.borrow().clone()
    }
}

impl Stages for Program {
    fn endpoints(&self) -> Endpoints {
        let endpoint = |protocol, address: String, topic| Endpoint {
            protocol,
            address,
            format: "avro-ocf",
            schema: METRIC_LIST_NAME,
            topic,
        };
        let mut inputs = vec![endpoint("tcp", self.input.listen().to_string(), None)];
        if let Some(path) = self.input.socket() {
            inputs.push(endpoint("unix", path.display().to_string(), None));
        }
        let outputs = self.kafka.iter().map(|(kafka, settings)| {
            let topic = match &settings.borrow().naming {
                Naming { single: Some(name), .. } => name.to_string(),
                Naming { prefix, .. } => format!("{prefix}<topic>"),
            };
            endpoint("kafka", kafka.status().brokers.join(","), Some(topic))
        });
        let mut outputs: Vec<_> = outputs.collect();
        outputs.extend(self.partners.listen().map(|at| endpoint("tcp", at.to_string(), None)));
        let socket = self.partners.socket().map(|path| path.display().to_string());
        outputs.extend(socket.map(|path| endpoint("unix", path, None)));
        Endpoints { version: 1, inputs, outputs, http: self.http.to_string() }
    }

    fn pulse(&self) -> JoinHandle<()> {
        self.line.spawn(async {})
    }

    fn readiness(&self) -> Vec<Part> {
        let spool = self.spool.snapshot();
        let is_stopping = self.input.is_stopping();
        let input = if is_stopping {
            "closed: the collector stops, and delivers what was accepted".to_owned()
        } else if spool.held {
            "held: the spool is full and its outputs are behind; see spool-memory and spool-full".to_owned()
        } else {
            format!("reading at {}", self.input.listen())
        };
        let fill = format!("{} of {} bytes wait for an output", spool.bytes, spool.bytes_max);
        let detail = if spool.drops {
            format!("{fill}; records were dropped in the last minute, see /v1/ledger and spool-full")
        } else {
            fill
        };
        let mut parts = vec![
            Part { name: "input", ready: !spool.held && !is_stopping, detail: input },
            Part { name: "spool", ready: !spool.drops, detail },
        ];
        parts.extend(self.discovery().as_ref().map(looking::part));
        parts.extend(self.kafka.iter().map(|(kafka, _)| kafka.part()));
        parts.extend(self.agent().map(|agent| input::agent::part(&agent, &self.agent.1)));
        let login = self.authority.status();
        parts.extend(login.map(|login| Part { name: "login", ready: login.ready, detail: login.detail }));
        parts
    }

    fn partners(&self) -> Vec<PartnerStatus> {
        self.partners.partners()
    }

    fn forget_partner(&self, name: &str, by: &str) -> bool {
        let was_there = self.partners.forget(name);
        if was_there {
            info!(partner = name, by, "the place of a partner is over, and its connection");
        }
        was_there
    }

    fn stream(&self, query: StreamQuery) -> Result<Pieces, NoStream> {
        self.partners.stream(query)
    }

    fn status(&self) -> Status {
        let spool = self.spool.snapshot();
        Status {
            version: build_info::VERSION,
            revision: build_info::REVISION,
            incarnation: self.incarnation.clone(),
            started_seconds: unix_seconds(self.started),
            pid: std::process::id(),
            input: self.input.status(),
            memory: MemoryStatus {
                limit_bytes: self.input.memory_limit(),
                buffers_bytes: spool.bytes + self.input.carried_bytes(),
                resident_bytes: process::resident_bytes(),
            },
            spool: SpoolStatus {
                kind: "memory",
                accepted_records: spool.accepted,
                chunks: spool.frames,
                bytes: spool.bytes,
                bytes_max: spool.bytes_max,
                oldest_ms: spool.oldest_ms,
            },
            kafka: self.kafka.as_ref().map(|(kafka, _)| kafka.status()),
            discovery: self.discovery().as_ref().map(looking::status),
            agent: self.agent().map(|agent| input::agent::status(&agent, &self.agent.1)),
            problems: self.notices.problems.lately().into_iter().map(problem).collect(),
        }
    }

    fn ledger(&self) -> Ledger {
        self.spool.ledger()
    }

    fn watched(&self) -> Watched {
        Watched {
            senders: self.input.senders(SENDERS_SHOWN),
            waiting_bytes: self.spool.waiting_bytes(),
            partner_bytes: self.partners.sent_bytes(),
        }
    }

    fn topics(&self, query: &TopicsQuery) -> Topics {
        // What has left the spool since is counted twice for a moment, and never not at all.
        let books = self.spool.topics(KAFKA);
        let news = self.kafka.as_ref().map(|(kafka, _)| kafka.topics());
        topics::page(&books, news.as_deref(), query)
    }

    fn metrics(&self) -> String {
        page::encode(&self.notices.registry)
    }
}

/// A problem, with what the table says of its kind.
fn problem(seen: Seen) -> Problem {
    let Row { part, name, what, advice, .. } = *seen.kind.row();
    Problem {
        part,
        kind: name,
        what,
        advice,
        now: seen.is_now(),
        detail: seen.detail,
        times: seen.times,
        first_ms: seen.first_ms,
        last_ms: seen.last_ms,
        over_ms: seen.over_ms,
    }
}
