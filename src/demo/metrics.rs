//! Believable metrics: numbers that move as those of a web shop do. Pure; the time is told.

use super::cast::{Cast, FRAMEWORK_ID, SERVICE_TOPIC, Task};
use crate::record::{Datapoint, MetricList, Tag};

/// What one emitter has to say.
#[derive(Clone, Debug)]
pub enum Metrics {
    /// Tasks in containers, as the Mesos module passes on what they say in statsd.
    Module(Module),
    /// A process of the host that speaks to the collector itself.
    Service(Service),
}

impl Metrics {
    /// The records since the last call. Never none.
    pub fn records(&mut self, now_ms: i64) -> Vec<MetricList> {
        match self {
            Metrics::Module(module) => module.records(now_ms),
            Metrics::Service(service) => vec![service.record(now_ms)],
        }
    }
}

/// The containers' metrics: one record of what has no tags of its own for each container, and one record for each
/// datapoint that has.
#[derive(Clone, Debug)]
pub struct Module {
    tasks: Vec<Task>,
    random: Random,
    round: u32,
}

impl Module {
    /// Of the tasks of `cast`.
    #[must_use]
    pub fn new(cast: &Cast, seed: u64) -> Module {
        Module { tasks: cast.tasks[..2].to_vec(), random: Random::new(seed), round: 0 }
    }

    fn records(&mut self, now_ms: i64) -> Vec<MetricList> {
        self.round = self.round.wrapping_add(1);
        let load = wave(self.round);
        let mut records = Vec::new();
        for task in &self.tasks {
            let random = &mut self.random;
            let mut datapoints = Vec::new();
            // No aggregation in the module: each line of statsd is a datapoint.
            for earlier_ms in [1200, 700, 150] {
                let mut say =
                    |name: &str, value| datapoints.push(datapoint(name, now_ms - earlier_ms, value));
                say("requests", random.near(40.0 * load, 0.2).round());
                say("latency_ms", random.near(12.0 + 9.0 * load, 0.4));
            }
            datapoints.push(datapoint("sessions", now_ms - 20, random.near(300.0 * load, 0.05).round()));
            let tags = vec![
                Tag::new("framework_id", FRAMEWORK_ID),
                Tag::new("executor_id", task.executor_id.as_str()),
                Tag::new("container_id", task.container_id.as_str()),
            ];
            let mut tagged = tags.clone();
            tagged.push(Tag::new("status", if self.round.is_multiple_of(5) { "503" } else { "200" }));
            let answers = datapoint("answers", now_ms - 20, random.near(118.0 * load, 0.2).round());
            records.push(record(FRAMEWORK_ID, tags, datapoints));
            records.push(record(FRAMEWORK_ID, tagged, vec![answers]));
        }
        records
    }
}

/// A service that reports on itself.
#[derive(Clone, Debug)]
pub struct Service {
    pid: u32,
    random: Random,
    round: u32,
    orders: f64,
    cpu_seconds: f64,
}

impl Service {
    /// A service that has just started.
    #[must_use]
    pub fn new(pid: u32, seed: u64) -> Service {
        Service { pid, random: Random::new(seed), round: 0, orders: 0.0, cpu_seconds: 0.0 }
    }

    fn record(&mut self, now_ms: i64) -> MetricList {
        self.round = self.round.wrapping_add(1);
        let load = wave(self.round);
        self.orders += self.random.near(3.0 * load, 0.5).round();
        self.cpu_seconds += self.random.near(0.2 * load, 0.3);
        let values = [
            ("orders.accepted_total", self.orders),
            ("orders.value_mean", self.random.near(48.5, 0.2)),
            ("queue.length", self.random.near(6.0 * load, 0.6).round()),
            ("db.pool.in_use", self.random.near(8.0 * load, 0.3).round()),
            ("process.cpu_seconds_total", self.cpu_seconds),
            ("process.resident_bytes", self.random.near(71e6, 0.03).round()),
        ];
        let tags = vec![
            Tag::new("service", SERVICE_TOPIC),
            Tag::new("hostname", "localhost"),
            Tag::new("pid", self.pid.to_string()),
        ];
        let datapoints = values.map(|(name, value)| datapoint(name, now_ms, value));
        record(SERVICE_TOPIC, tags, datapoints.into())
    }
}

/// Load between a third and one, up and down in 30 rounds.
fn wave(round: u32) -> f64 {
    let turn = f64::from(round % 30) / 30.0;
    2.0 / 3.0 + (turn * std::f64::consts::TAU).sin() / 3.0
}

fn record(topic: &str, tags: Vec<Tag>, datapoints: Vec<Datapoint>) -> MetricList {
    MetricList { topic: topic.into(), tags, datapoints }
}

/// To three places: nobody reads more.
fn datapoint(name: &str, time_ms: i64, value: f64) -> Datapoint {
    Datapoint { name: name.into(), time_ms, value: (value * 1e3).round() / 1e3 }
}

/// Numbers that look like chance (xorshift64): enough for a show.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        // A state of 0 would stay 0.
        Random(seed | 1)
    }

    /// A number around `middle`, off by at most `part` of it.
    pub(super) fn near(&mut self, middle: f64, part: f64) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let from_0_to_1 = f64::from((self.0 >> 32) as u32) / f64::from(u32::MAX);
        middle * (1.0 + part * (2.0 * from_0_to_1 - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_groups_as_the_real_one() {
        let cast = Cast::new(7, false);
        let mut module = Module::new(&cast, 1);
        let records = module.records(10_000);
        assert_eq!(records.len(), 4);
        for pair in records.chunks(2) {
            let keys: Vec<&[u8]> = pair[0].tags.iter().map(|tag| tag.key.as_slice()).collect();
            assert_eq!(keys, [&b"framework_id"[..], b"executor_id", b"container_id"]);
            assert_eq!(pair[0].datapoints.len(), 7);
            assert_eq!((pair[1].tags.len(), pair[1].datapoints.len()), (4, 1));
        }
        assert!(records.iter().all(|record| record.topic == FRAMEWORK_ID.as_bytes()));
        assert_ne!(module.records(12_000)[0].datapoints, records[0].datapoints);
    }

    #[test]
    fn totals_of_the_service_only_rise() {
        let mut service = Service::new(1, 3);
        let mut last = 0.0;
        for round in 0..100 {
            let record = service.record(round);
            assert!(record.datapoints.iter().all(|datapoint| datapoint.value >= 0.0));
            assert!(record.datapoints[0].value >= last);
            last = record.datapoints[0].value;
        }
        assert!(last > 0.0);
    }
}
