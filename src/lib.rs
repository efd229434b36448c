//! `metrics-collector`: metrics of a Mesos agent's local processes, delivered to Kafka.
//!
//! # Bird's eye
//! ```text
//!  TCP, unix socket ─▶ frame ─▶ walk ─▶ enrich ─▶ chunk ─▶ SPOOL ─▶ batch ─▶ Kafka message ─▶ librdkafka ─▶ ack
//!  (input)             (ocf)      ▲     (enrich)  (input)  (spool)  (output::kafka)
//!                                 │                          └──▶ feed ─▶ filter ─▶ local partner, stream over HTTP
//!                                 │                               (spool)  (output::partner)
//!  Mesos agent, polled ───────────┘
//!  (input::agent)
//! ```
//! Data flows left to right. Left of the spool a connection's task owns its bytes from the socket to the chunk; right of it
//! each output is alone with its place in the spool. What flows are bytes: records are walked from length to length and
//! copied once with tags merged in, never decoded into objects.
//!
//! # Where things are
//! * [`record`]: the nouns. [`ocf`]: Avro's container format over bytes, pure. [`enrich`]: which tags a record gets.
//! * [`input`], [`spool`], [`output`]: the line.
//! * [`disk`]: small files that outlive the process. [`socket_file`]: a unix socket to listen at. [`accept`]: what it means
//!   where no connection can be accepted. [`pause`]: what is not to be done now, or not by all at once.
//! * [`dcos`]: the HTTP client for the cluster, its log-in, the look for Kafka's brokers, and what the Mesos agent says.
//!   [`mod@sample_producer`]: the second, small program.
//! * [`control`]: what an operator may ask; [`http`]: where. [`telemetry`]: logs and metrics of the program itself.
//! * [`config`] and [`cli`]: from flags, environment and file to each stage's settings. [`app`] puts all together.
//! * [`demo`]: everything in one process, with a Kafka.
//!
//! # Invariants
//! * A record is accepted when its chunk is in the spool, and from then on the ledger accounts for it. No stage holds an
//!   accepted record in a place that the ledger does not count.
//! * No count, size or nesting that came over a socket is used before it was held against a limit or the bytes present.
//! * No queue is unbounded, and none lies between a socket and the spool.
//! * No output, and nobody who asks over HTTP, can make the input wait, but for a full spool and Kafka.
//! * `unsafe` is in `output::kafka::lend`, `output::partner::queued`, `input::low_water` and `app::pages` alone.
//! * No module knows one to its right: `tests/it/architecture.rs` has the table of who may use whom.

pub mod accept;
pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod dcos;
pub mod demo;
pub mod disk;
pub mod enrich;
pub mod http;
pub mod input;
pub mod ocf;
pub mod output;
pub mod pause;
pub mod record;
pub mod sample_producer;
pub mod socket_file;
pub mod spool;
pub mod telemetry;
