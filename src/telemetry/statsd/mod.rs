//! The program's own metrics for those who listen by statsd, as the Go collector of 2016 sent them.
//!
//! Each period every gauge has what was counted since the last round that went out, so that a round which could not be
//! sent is in the next one. What UDP loses on the way is lost. Nothing here holds anything else up, and nothing that goes
//! wrong here ends the program: the name is looked up again, and the log says so once in a while.

mod names;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use prometheus::Registry;
use prometheus::proto::MetricFamily;
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::watch;
use tracing::{debug, warn};

pub use names::{PREFIX, ROWS, Row};

use super::{LogBudget, StatsdConfig};
use crate::pause;

/// What the Go collector kept to, and what passes any network in one piece.
const PACKET_BYTES_MAX: usize = 512;

/// How long a look-up and a round may take.
const ROUND_TIME: Duration = Duration::from_secs(5);

/// The name is looked up this often though nothing failed: nobody answers to UDP when a host has moved.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);

/// Trouble is logged once in this time.
const LOG_PERIOD: Duration = Duration::from_secs(300);

/// Sums since the start, by statsd name without the prefix.
type Sums = BTreeMap<String, u64>;

/// The emitter.
pub struct Statsd {
    settings: watch::Receiver<Option<StatsdConfig>>,
    registry: Registry,
    target: Option<Target>,
    /// As of the last round that went out.
    told: Sums,
    log_budget: LogBudget,
}

struct Target {
    socket: UdpSocket,
    since: Instant,
}

impl Statsd {
    /// An emitter of what is in `registry`, under the old names, to whom `settings` say: none is nobody.
    #[must_use]
    pub fn new(settings: watch::Receiver<Option<StatsdConfig>>, registry: Registry) -> Statsd {
        let log_budget = LogBudget::new(1, LOG_PERIOD, 1);
        Statsd { settings, registry, target: None, told: Sums::new(), log_budget }
    }

    /// Sends a round each period, and a last one at the end.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut last = tokio::time::Instant::now();
        loop {
            let config = self.settings.borrow_and_update().clone();
            let is_over = tokio::select! {
                () = pause::until(config.as_ref().map(|config| last + config.period)) => false,
                () = &mut stop => true,
                Ok(()) = self.settings.changed() => {
                    if config.is_none() {
                        // Nobody was to hear of what was counted until now.
                        self.told = sums(&self.registry.gather());
                        last = tokio::time::Instant::now();
                    }
                    // It may be another host.
                    self.target = None;
                    continue;
                }
            };
            last = tokio::time::Instant::now();
            if let Some(config) = &config {
                self.round(config).await;
            }
            if is_over {
                return;
            }
        }
    }

    async fn round(&mut self, config: &StatsdConfig) {
        let sums = sums(&self.registry.gather());
        let packets = packets(&differences(&sums, &self.told));
        let sent = tokio::time::timeout(ROUND_TIME, self.send(config, &packets)).await;
        match sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(()) => {
                debug!(packets = packets.len(), "sent to statsd");
                self.told = sums;
            }
            Err(error) => {
                self.target = None;
                if let Some(suppressed) = self.log_budget.take("", Instant::now()) {
                    let StatsdConfig { host, port, .. } = config;
                    warn!(
                        host,
                        port, suppressed, "cannot send to statsd: {error}; tried again with all of it"
                    );
                }
            }
        }
    }

    async fn send(&mut self, config: &StatsdConfig, packets: &[String]) -> io::Result<()> {
        let target = match self.target.take().filter(|target| target.since.elapsed() < LOOK_UP_AGAIN) {
            Some(target) => target,
            None => look_up(config).await?,
        };
        for packet in packets {
            target.socket.send(packet.as_bytes()).await?;
        }
        self.target = Some(target);
        Ok(())
    }
}

async fn look_up(config: &StatsdConfig) -> io::Result<Target> {
    let found = lookup_host((config.host.as_str(), config.port)).await?.next();
    let address = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Connected, so that the system tells us when nobody listens there.
    socket.connect(address).await?;
    Ok(Target { socket, since: Instant::now() })
}

/// The sums of all rows: 0 where nothing was counted, and one more for each value of a row's label.
fn sums(families: &[MetricFamily]) -> Sums {
    let mut sums = Sums::new();
    for row in ROWS {
        let total: u64 = row.sources.iter().map(|source| source.sum(families)).sum();
        sums.insert(row.name.to_owned(), total);
        let Some(label) = row.by else { continue };
        for (value, count) in row.sources.iter().flat_map(|source| source.by(label, families)) {
            *sums.entry(format!("{}.{value}", row.name)).or_default() += count;
        }
    }
    sums
}

fn differences(sums: &Sums, told: &Sums) -> Vec<String> {
    let line = |(name, sum): (&String, &u64)| {
        let since = sum.saturating_sub(told.get(name).copied().unwrap_or(0));
        format!("{PREFIX}{name}:{since}|g")
    };
    sums.iter().map(line).collect()
}

/// Lines together in as few packets as hold them.
fn packets(lines: &[String]) -> Vec<String> {
    let mut packets: Vec<String> = Vec::new();
    for line in lines.iter().filter(|line| line.len() <= PACKET_BYTES_MAX) {
        match packets.last_mut().filter(|packet| packet.len() + 1 + line.len() <= PACKET_BYTES_MAX) {
            Some(packet) => {
                packet.push('\n');
                packet.push_str(line);
            }
            None => packets.push(line.clone()),
        }
    }
    packets
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounter, IntCounterVec, Opts};

    use super::*;

    struct Rig {
        opened: IntCounter,
        topics: IntCounterVec,
        registry: Registry,
        receiver: UdpSocket,
    }

    impl Rig {
        async fn new() -> Rig {
            let registry = Registry::new();
            let opened = IntCounter::new("metrics_collector_input_connections_opened_total", "x").unwrap();
            let opts = Opts::new("metrics_collector_kafka_topic_records_total", "x");
            let topics = IntCounterVec::new(opts, &["topic"]).unwrap();
            registry.register(Box::new(opened.clone())).unwrap();
            registry.register(Box::new(topics.clone())).unwrap();
            let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            Rig { opened, topics, registry, receiver }
        }

        fn config(&self, host: &str) -> StatsdConfig {
            let port = self.receiver.local_addr().unwrap().port();
            StatsdConfig { host: host.into(), port, period: Duration::from_secs(15) }
        }

        fn statsd(&self) -> Statsd {
            let config = self.config("127.0.0.1");
            Statsd::new(watch::channel(Some(config)).1, self.registry.clone())
        }

        /// All lines of a round.
        async fn read(&self) -> BTreeMap<String, u64> {
            let (mut lines, mut buffer) = (BTreeMap::new(), [0; 2000]);
            // The last name of the alphabet ends the round.
            while !lines.contains_key("topic_sorter.records_throttled") {
                let n = self.receiver.recv(&mut buffer).await.unwrap();
                assert!(n <= PACKET_BYTES_MAX, "{n}");
                for line in std::str::from_utf8(&buffer[..n]).unwrap().split('\n') {
                    let (name, value) = line.strip_suffix("|g").unwrap().split_once(':').unwrap();
                    let name = name.strip_prefix("dcos.metrics.collector.").unwrap();
                    lines.insert(name.to_owned(), value.parse().unwrap());
                }
            }
            lines
        }
    }

    #[tokio::test]
    async fn a_round_has_every_name_with_what_was_counted_since_the_last() {
        let rig = Rig::new().await;
        let (mut statsd, config) = (rig.statsd(), rig.config("127.0.0.1"));
        rig.opened.inc_by(3);
        rig.topics.with_label_values(&["metrics-a"]).inc_by(5);
        rig.topics.with_label_values(&["metrics-b"]).inc_by(7);
        statsd.round(&config).await;
        let first = rig.read().await;
        for row in ROWS {
            assert!(first.contains_key(row.name), "{}", row.name);
        }
        assert_eq!(first["tcp_input.tcp_sessions_opened"], 3);
        assert_eq!(first["kafka_output.avro_records_sent"], 12);
        assert_eq!(first["kafka_output.avro_records_sent.metrics-b"], 7);
        rig.opened.inc();
        statsd.round(&config).await;
        let second = rig.read().await;
        assert_eq!(second["tcp_input.tcp_sessions_opened"], 1);
        assert_eq!(second["kafka_output.avro_records_sent.metrics-b"], 0);
        assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_could_not_be_sent_is_in_the_next_round_and_the_name_is_looked_up_again() {
        let rig = Rig::new().await;
        let mut statsd = rig.statsd();
        rig.opened.inc_by(3);
        // No resolver can be asked for a name with such a part.
        statsd.round(&rig.config(&format!("{}.invalid", "x".repeat(64)))).await;
        assert!(statsd.target.is_none() && statsd.told.is_empty());
        rig.opened.inc_by(4);
        statsd.round(&rig.config("127.0.0.1")).await;
        assert_eq!(rig.read().await["tcp_input.tcp_sessions_opened"], 7);
    }

    #[tokio::test]
    async fn a_host_where_nobody_listens_ends_nothing() {
        // Nobody else has a port of this address meanwhile.
        const HOST: &str = "127.0.0.3";
        let receiver = UdpSocket::bind((HOST, 0)).await.unwrap();
        let rig = Rig { receiver, ..Rig::new().await };
        let (mut statsd, config) = (rig.statsd(), rig.config(HOST));
        let address = rig.receiver.local_addr().unwrap();
        let Rig { opened, topics, registry, receiver } = rig;
        drop(receiver);
        for _ in 0..3 {
            statsd.round(&config).await;
        }
        let receiver = UdpSocket::bind(address).await.unwrap();
        let rig = Rig { opened, topics, registry, receiver };
        rig.opened.inc();
        statsd.round(&config).await;
        statsd.round(&config).await;
        assert!(rig.read().await.contains_key("tcp_input.records"));
    }

    #[tokio::test]
    async fn the_last_round_is_sent_at_the_end() {
        let rig = Rig::new().await;
        rig.opened.inc_by(2);
        rig.statsd().run(std::future::ready(())).await;
        assert_eq!(rig.read().await["tcp_input.tcp_sessions_opened"], 2);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_named_later_hears_of_what_is_counted_from_then_on() {
        let rig = Rig::new().await;
        let (set, settings) = watch::channel(None);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let statsd = Statsd::new(settings, rig.registry.clone());
        let running = tokio::spawn(statsd.run(async move {
            _ = stopped.await;
        }));
        // It has its turn behind each of ours.
        tokio::task::yield_now().await;
        rig.opened.inc_by(5);
        set.send_replace(Some(rig.config("127.0.0.1")));
        tokio::task::yield_now().await;
        rig.opened.inc_by(2);
        assert_eq!(rig.read().await["tcp_input.tcp_sessions_opened"], 2);
        set.send_replace(None);
        drop(stop);
        running.await.unwrap();
    }

    #[test]
    fn packets_are_as_full_as_may_be_and_never_over() {
        let lines: Vec<String> = (1..400).map(|n| "x".repeat(n * 7 % 511 + 1)).collect();
        let packets = packets(&lines);
        assert_eq!(packets.join("\n"), lines.join("\n"));
        assert!(packets.iter().all(|packet| packet.len() <= 512));
        assert!(packets.windows(2).all(|pair| pair[0].len() + 1 + first_line(&pair[1]) > 512));
        assert_eq!(super::packets(&["y".repeat(513)]), Vec::<String>::new());
    }

    fn first_line(packet: &str) -> usize {
        packet.split('\n').next().unwrap().len()
    }
}
