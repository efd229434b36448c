//! The benchmark: the collector beside a bare pump, on the same data, counted datapoint by datapoint.
//!
//! `ci/bench` builds and runs it; `cargo bench --bench line -- --help` lists the options. Six roles, each a process
//! of its own so that CPU and memory can be told apart, all this one program:
//!
//! ```text
//! send ──TCP, OCF──▶ collector or pump ──Kafka──▶ sink          driver: starts them, reads clocks, prints tables
//!                            └──TCP, OCF or NDJSON──▶ partners
//! ```
//!
//! - `send` sends numbered datapoints in two shapes: `20x6` (20 datapoints and 6 tags a record, blocks of 64 KiB) and
//!   `1x6` (one datapoint a record, blocks of 100, as the Mesos module sends).
//! - `pump` is the floor: it reads TCP and lends the same bytes to librdkafka in messages of 512 KiB. A message closes
//!   when it is full or, where little comes, after one to two seconds.
//! - `sink` is a Kafka broker that acknowledges and counts. It decodes what the collector produces and keeps one bit
//!   for each number, so *lost* and *repeated* are exact. The pump's messages are cut anywhere; of them it counts bytes.
//! - the part `outage` takes the sink away while records come, in two loads and two ways to be full, watches the memory, and
//!   holds the collector's books against the sink's counts when it is back.
//! - the part `agent` polls a stand-in for the Mesos agent with no, 50 and 10,000 containers, and counts what the names of
//!   10,000 cost each record; `benches/line/agent` says how.
//! - the part `partners` reads the partner output: how late records are at a steady rate, and at full rate what one
//!   partner gets beside Kafka, and what two hundred cost that read or are stuck; `benches/line/partners` says how.
//! - the part `http` asks for pages and changes the configuration at full rate, scrapes the metrics of very many topics, and
//!   looks at the status page with fifty viewers.
//! - `attack` (a mode of its own, see `ci/attack`) sends hostile bytes while a well-behaved sender sends beside it.
//!
//! What the columns mean:
//!
//! - **CPU s/Mdp**: user and system time of the process under test, all threads, from the first byte sent to the last
//!   datapoint arrived, per million datapoints. Start and end of the process are left out.
//! - **Mdp/s, MB/s**: arrival between the first and the last tenth, with sender and sink on the same cores; bytes as
//!   they were sent. The sink decodes the collector's messages and not the pump's, which costs the collector cores.
//! - **peak MB**: the highest resident memory of the process in its life.
//! - **wakes/s**: voluntary context switches of all threads.
//!
//! Pump and collector run in turns, so that whatever else the machine does hits both. Both use all acks and
//! idempotence; the collector has its default settings but for compression, as named, and (at full rate) one second
//! instead of fifteen for closing the last messages. Behind each part stands what is aimed at and what was reached.
//! Exit code 1: something was lost, the books were wrong, the memory of an outage, partners or an attack passed the ceiling, or
//! a part failed. Times are printed, never asserted.

#![expect(clippy::cast_precision_loss, reason = "rates and sums are printed with few digits")]
#![expect(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "own data, far from the edges")]

mod agent;
mod attack;
mod child;
mod cli;
mod data;
mod full;
mod http;
mod lend;
mod number;
mod outage;
mod partners;
mod proc;
mod pump;
mod quiet;
mod report;
mod send;
mod sink;
mod systems;
mod targets;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("line: {error}");
            ExitCode::FAILURE
        }
    }
}
