//! From flags, environment and file to the settings of every stage, or to every fault at once.
//!
//! [`Key`] is the one table that all of it hangs on. [`Sources`] are read into [`Settings`] (which value counts, and
//! where it comes from), and those into [`Config`], whose types cannot hold a bad value. A stage sees its own part
//! alone and checks nothing again. [`Live`] is the same while the program runs.

mod address;
mod addressee;
mod agent;
mod discovery;
mod fault;
mod file;
mod files;
mod kafka;
mod kafka_security;
mod keys;
mod live;
mod login;
mod partners;
mod print;
mod reference;
mod secret_file;
mod settings;
mod source;
mod stages;
mod units;
mod value;
mod view;
mod written;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use address::parse_dns_server;
pub use fault::{Fault, Faults, Origin};
pub use files::NamedFile;
pub use keys::{ENVIRONMENT_PREFIX, Group, Key, Kind};
pub use live::{Changed, Live, Loaded, Next, NotRemoved};
pub use partners::schema_of_one as partner_schema;
pub use print::{to_json, to_toml};
pub use reference::markdown;
pub use settings::Settings;
pub use source::Sources;
pub use units::parse_time;
pub use view::schema;

pub use crate::record::{Brokers, parse_brokers};
use crate::{dcos, enrich, http, input, output, spool, telemetry};

/// The settings of every stage.
#[derive(Clone)]
pub struct Config {
    /// The log.
    pub telemetry: telemetry::Config,
    /// Who gets the program's own metrics by statsd; none: nobody.
    pub statsd: Option<telemetry::StatsdConfig>,
    /// Budget for the buffers of the process, in bytes (`memory-limit`); its code and its allocator come on top. With
    /// the defaults resident memory stays under it in all measured cases but those that the README names under Cost.
    pub memory_limit: usize,
    /// How long to wait at the end for what is under way (`shutdown-grace`).
    pub shutdown_grace: Duration,
    /// The input.
    pub input: input::Config,
    /// Tags that are known without asking, and the rules of tags.
    pub enrich: enrich::Config,
    /// The Mesos agent.
    pub agent: dcos::agent::Config,
    /// The spool.
    pub spool: spool::Config,
    /// The Kafka output; none with `--kafka=false`.
    pub kafka: Option<output::kafka::Config>,
    /// The partner outputs.
    pub partner: output::partner::Config,
    /// Whom to trust at the cluster, and how to log in there.
    pub dcos: dcos::Config,
    /// Where the brokers are looked for; none where they are named, or with `--kafka=false`.
    pub discovery: Option<dcos::discovery::Config>,
    /// Time after which they are looked for again (`kafka-discovery-period`).
    pub discovery_period: Duration,
    /// Folder for what is to outlive the process (`data-dir`).
    pub data_dir: Option<PathBuf>,
    /// The HTTP server.
    pub http: http::Config,
    /// What is allowed and yet unwise, a line each.
    pub warnings: Vec<String>,
    /// Files whose contents count, as they were read.
    pub files: Vec<NamedFile>,
}

/// Says what is wrong with the Kafka settings in the eyes of the Kafka client, a line each.
pub type CheckKafka<'a> = &'a dyn Fn(&output::kafka::Config) -> Vec<String>;

/// Reads `sources` and checks all of it. Files that keys name are looked at, and the usual places of the cluster's
/// certificates; nothing else outside is touched.
///
/// # Errors
/// Every fault there is.
pub fn load(sources: &Sources, check_kafka: CheckKafka<'_>) -> Result<(Config, Settings), Faults> {
    let Loaded { config, live } = Live::load(sources.clone(), check_kafka)?;
    Ok((config, live.settings().clone()))
}

impl fmt::Debug for Config {
    /// Hides the values of librdkafka properties that may be secrets; the other secrets hide themselves.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kafka = self.kafka.clone();
        for (name, property) in kafka.iter_mut().flat_map(|kafka| &mut kafka.properties) {
            *property = value::shown_value(name, property).to_owned();
        }
        f.debug_struct("Config")
            .field("telemetry", &self.telemetry)
            .field("statsd", &self.statsd)
            .field("memory_limit", &self.memory_limit)
            .field("shutdown_grace", &self.shutdown_grace)
            .field("input", &self.input)
            .field("enrich", &self.enrich)
            .field("agent", &self.agent)
            .field("spool", &self.spool)
            .field("kafka", &kafka)
            .field("partner", &self.partner)
            .field("dcos", &self.dcos)
            .field("discovery", &self.discovery)
            .field("discovery_period", &self.discovery_period)
            .field("data_dir", &self.data_dir)
            .field("http", &self.http)
            .field("warnings", &self.warnings)
            .field("files", &self.files)
            .finish()
    }
}
