//! At full rate: the same data through the pump and through the collector, in turns, counted at the sink.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::child::Part;
use crate::data::Shape;
use crate::proc;
use crate::systems::{self, Setup, System};

/// If nothing arrives for this long, nothing more will.
const STALL_MS: u64 = 5_000;

/// One row's conditions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) shape: Shape,
    pub(crate) connections: usize,
    pub(crate) compression: &'static str,
}

impl Case {
    /// Every combination, none first.
    pub(crate) fn all() -> Vec<Case> {
        let mut cases = Vec::new();
        for compression in ["none", "snappy"] {
            for shape in [Shape::WIDE, Shape::NARROW] {
                for connections in [1, 64] {
                    cases.push(Case { shape, connections, compression });
                }
            }
        }
        cases
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {:>2} conn. {}", self.shape.name(), self.connections, self.compression)
    }
}

/// What one run came to.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) datapoints_per_second: f64,
    /// Of what was sent.
    pub(crate) bytes_per_second: f64,
    /// CPU seconds of the system, from the first byte sent to the last arrived, a million datapoints.
    pub(crate) cpu: f64,
    /// The same of the sink.
    pub(crate) sink_cpu: f64,
    /// Highest resident memory in bytes.
    pub(crate) resident: u64,
    /// Sent and arrived: datapoints, or for the pump bytes.
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
    pub(crate) repeated: u64,
    pub(crate) unreadable: u64,
    /// It ended as it should.
    pub(crate) ended: bool,
}

impl Outcome {
    /// Nothing was lost or spoilt.
    pub(crate) fn whole(&self) -> bool {
        self.arrived == self.sent && self.unreadable == 0 && self.ended
    }

    pub(crate) fn json(&self, case: &Case, system: System) -> Value {
        json!({
            "shape": case.shape.name(),
            "connections": case.connections,
            "compression": case.compression,
            "system": system.name(),
            "datapoints_per_second": self.datapoints_per_second,
            "bytes_per_second": self.bytes_per_second,
            "cpu_seconds_per_million_datapoints": self.cpu,
            "sink_cpu_seconds_per_million_datapoints": self.sink_cpu,
            "peak_resident_bytes": self.resident,
            "sent": self.sent,
            "arrived": self.arrived,
            "repeated": self.repeated,
            "unreadable": self.unreadable,
            "ended": self.ended,
        })
    }
}

/// Runs one system once, all processes fresh. `datapoints` are sent at least.
pub(crate) fn run(setup: &Setup, system: System, case: &Case, datapoints: u64) -> io::Result<Outcome> {
    let (mut sink, kafka) = systems::sink()?;
    // Messages close when they are full, as by default; the last ones after one second instead of fifteen, for
    // nobody learns anything from waiting.
    let flags = ["--kafka-produce-period-ms", "1000"];
    let running = setup.start(system, &kafka, case.compression, &flags)?;
    let (connections, datapoints) = (case.connections.to_string(), datapoints.to_string());
    let mut sender = Part::role(
        "send",
        &[
            "--to",
            &running.input,
            "--shape",
            case.shape.name(),
            "--connections",
            &connections,
            "--datapoints",
            &datapoints,
        ],
        true,
    )?;
    let plan = sender.ready()?;
    sink.ask(&system.expectation(&plan), Duration::from_secs(1))?;

    let pid = running.part.pid();
    let before = (proc::cpu(pid), proc::cpu(sink.pid()));
    sender.tell("go")?;
    let arrived = sink.ask(&format!("await {STALL_MS}"), Duration::from_secs(120))?;
    let cpu = (proc::cpu(pid).saturating_sub(before.0), proc::cpu(sink.pid()).saturating_sub(before.1));

    let (ended, resident) = running.end()?;
    // What came once more while it ended counts too.
    let totals = sink.ask("totals", Duration::from_secs(1))?;
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let (sent, arrived_key) = match system {
        System::Pump => (number(&plan["bytes"]), "bytes"),
        System::Collector => (number(&plan["datapoints"]), "distinct"),
    };
    let share = arrived["share_per_second"].as_f64().unwrap_or(0.0);
    let millions = number(&plan["datapoints"]) as f64 / 1e6;
    Ok(Outcome {
        datapoints_per_second: share * number(&plan["datapoints"]) as f64,
        bytes_per_second: share * number(&plan["bytes"]) as f64,
        cpu: cpu.0.as_secs_f64() / millions,
        sink_cpu: cpu.1.as_secs_f64() / millions,
        resident,
        sent,
        arrived: number(&totals[arrived_key]),
        repeated: number(&totals["repeated"]),
        unreadable: number(&totals["unreadable"]),
        ended,
    })
}
