//! The brokers of a Kafka that runs as a framework of this cluster, found by the framework's name.
//!
//! ```text
//!            ┌─ dns-srv        SRV records of the scheduler's task ─┐
//!            ├─ scheduler-vip  its virtual address                  ├─▶ the scheduler's API ─▶ brokers
//!  name ─▶ ──┼─ admin-router   the master's proxy                   │   /v1/endpoints/broker[-tls]
//!            ├─ marathon       Marathon's list of its ports         │   /v1/connection, before 2017
//!            └─ mesos-dns      SRV records over HTTP               ─┘
//! ```
//! A cluster has some of these ways and not others, depending on its age and on where we run. They are tried in this
//! order until one gives brokers; an operator can pin one. Each leads to the scheduler, which alone knows its brokers.
//!
//! # What it promises
//! * [`Discovery::find`] gives brokers, each a checked `host:port` and at least one, or [`NotFound`]: what each way said,
//!   and in one sentence what to do. It never panics, whatever anybody answers.
//! * [`Watch`] keeps them fresh. A good list is only ever replaced by another good one: an answer that is empty, odd or
//!   missing changes nothing but the status.
//! * Who asks others for the same brokers begins with those that are known, and what is known of them.
//! * The last good list outlives the process, in `brokers.json` of the data directory, and is used until somebody
//!   answers: a start needs no DNS. A list that was found by asking others than now is not used: they may have named
//!   brokers that must not be shown the password of now.
//!
//! # When things go wrong
//! * **Full**: nothing is queued. An answer is at most 1 MiB, of which at most 200 brokers are kept; at most 8 places are
//!   tried for each way.
//! * **Slow**: each request has [`Limits`] of its own and each way 15 s in all, then the next has its turn.
//! * **Gone**: asked again after 1 s, then twice as long each time up to 60 s, while nothing is known; each period, or
//!   each minute if that is shorter, once something is. A data directory that does not answer is left alone after 5 s. All brokers failing asks at once, but not within 10 s of the last time.
//! * **Lied to**: names and addresses out of answers are parsed before they are put into an address; redirects are not
//!   followed; nothing secret is sent. Whoever can forge DNS in the cluster can send our records elsewhere: against that
//!   there is TLS to the brokers.

mod answers;
mod dns;
mod framework;
mod metrics;
mod reasons;
mod schedule;
mod scheduler;
mod store;
mod watch;
mod ways;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use framework::{BadName, FrameworkName};
pub use metrics::Metrics;
pub use reasons::{Cause, Miss, NotFound};
pub use schedule::Timing;
pub use watch::{Handle, Kept, Status, Watch};

use super::base_url::BaseUrl;
use super::{Client, Limits};
use dns::Dns;

/// What an answer may cost: a scheduler is near and says little.
pub const LIMITS: Limits =
    Limits { connect: Duration::from_secs(2), total: Duration::from_secs(4), body_bytes: 1 << 20 };

/// How long one way may take in all.
const WAY_PATIENCE: Duration = Duration::from_secs(15);

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whose brokers (`kafka-framework`).
    pub framework: FrameworkName,
    /// The only way to go; none: each in turn (`kafka-discovery`).
    pub pinned: Option<Way>,
    /// Which of the addresses that the scheduler lists are taken (`kafka-broker-address`).
    pub address: BrokerAddress,
    /// Ask for the endpoint with TLS (follows `kafka-security-protocol`).
    pub tls: bool,
    /// The DNS server; none: the system's (`dns-server`).
    pub dns_server: Option<SocketAddr>,
    /// The scheduler's API; none: its virtual address (`kafka-scheduler-url`).
    pub scheduler: Option<BaseUrl>,
    /// Admin Router on a master (`admin-router-url`).
    pub admin_router: BaseUrl,
    /// Marathon's API (`marathon-url`).
    pub marathon: BaseUrl,
    /// Mesos-DNS's HTTP API (`mesos-dns-url`).
    pub mesos_dns: BaseUrl,
}

impl Config {
    /// Admin Router, Marathon and Mesos-DNS as every cluster has them.
    pub const ADMIN_ROUTER: &str = "https://leader.mesos";
    /// See [`Config::ADMIN_ROUTER`].
    pub const MARATHON: &str = "http://marathon.mesos:8080";
    /// See [`Config::ADMIN_ROUTER`].
    pub const MESOS_DNS: &str = "http://master.mesos:8123";

    /// The settings of a cluster on which nobody changed anything.
    ///
    /// # Panics
    /// Never: the addresses are constants.
    #[must_use]
    pub fn of(framework: FrameworkName) -> Config {
        let url = |text| BaseUrl::parse(text).expect("the constants are addresses");
        Config {
            framework,
            pinned: None,
            address: BrokerAddress::Dns,
            tls: false,
            dns_server: None,
            scheduler: None,
            admin_router: url(Config::ADMIN_ROUTER),
            marathon: url(Config::MARATHON),
            mesos_dns: url(Config::MESOS_DNS),
        }
    }

    /// Whether both look for the same brokers, whomever they ask: a list that one has found is one for the other.
    #[must_use]
    pub fn looks_for_the_same(&self, other: &Config) -> bool {
        (&self.framework, self.tls, self.address) == (&other.framework, other.tls, other.address)
    }
}

/// A way to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// SRV records.
    DnsSrv,
    /// Its virtual address.
    SchedulerVip,
    /// The master's proxy.
    AdminRouter,
    /// Marathon's list of the ports of its task.
    Marathon,
    /// SRV records over HTTP.
    MesosDns,
}

impl Way {
    /// Every way, in the order in which they are tried.
    pub const ALL: [Way; 5] =
        [Way::DnsSrv, Way::SchedulerVip, Way::AdminRouter, Way::Marathon, Way::MesosDns];

    /// The word for it in settings, log and status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Way::DnsSrv => "dns-srv",
            Way::SchedulerVip => "scheduler-vip",
            Way::AdminRouter => "admin-router",
            Way::Marathon => "marathon",
            Way::MesosDns => "mesos-dns",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A form in which a scheduler lists its brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerAddress {
    /// Names that follow a broker when it moves.
    Dns,
    /// IP addresses of the moment.
    Address,
    /// One virtual address for all.
    Vip,
}

impl BrokerAddress {
    /// Every form, in the order in which one stands in for another.
    pub const ALL: [BrokerAddress; 3] = [BrokerAddress::Dns, BrokerAddress::Address, BrokerAddress::Vip];

    /// The word for it in settings and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            BrokerAddress::Dns => "dns",
            BrokerAddress::Address => "address",
            BrokerAddress::Vip => "vip",
        }
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Brokers, and how they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Never empty; `host:port` each.
    pub brokers: Arc<[String]>,
    /// The way that led to them.
    pub way: Way,
    /// Who said what, in a few words.
    pub said: String,
}

/// Asks for the brokers.
#[derive(Clone, Debug)]
pub struct Discovery {
    config: Config,
    client: Client,
    dns: Dns,
}

impl Discovery {
    /// A discovery that has asked nobody yet, and asks by `client`, which is to have [`LIMITS`].
    #[must_use]
    pub fn new(config: Config, client: Client) -> Discovery {
        let dns = Dns { server: config.dns_server };
        Discovery { config, client, dns }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Goes each way until one gives brokers.
    ///
    /// # Errors
    /// What each way said where none did.
    pub async fn find(&self) -> Result<Found, NotFound> {
        let mut tried = Vec::new();
        let pinned = self.config.pinned;
        for way in Way::ALL.into_iter().filter(|way| pinned.is_none_or(|pinned| pinned == *way)) {
            let gone = tokio::time::timeout(WAY_PATIENCE, self.go(way)).await;
            match gone.unwrap_or_else(|_| Err(Miss::failed(format!("not done within {WAY_PATIENCE:?}")))) {
                Ok((brokers, said)) => return Ok(Found { brokers: brokers.into(), way, said }),
                Err(miss) => tried.push((way, miss)),
            }
        }
        Err(NotFound { framework: self.config.framework.clone(), tls: self.config.tls, tried })
    }
}

#[cfg(test)]
mod tests;
