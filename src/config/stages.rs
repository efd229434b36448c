//! From settings to the stages' types, and the rules between keys.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;

use super::fault::{Fault, Origin};
use super::keys::Key;
use super::settings::Settings;
use super::units::format_size;
use super::value::is_secret;
use super::{CheckKafka, Config, NamedFile, Sources, agent, discovery, kafka, login, secret_file};
use crate::output::partner::{Address, SOCKET_PATH_BYTES_MAX};
use crate::record::{Rate, Secret};
use crate::{http, input, ocf, output, spool, telemetry};

/// What must remain of `memory-limit` for reading, batches, HTTP and the program itself.
const REST_BYTES_MIN: u64 = 8 << 20;

/// A shorter token is warned about: whoever reaches the port may try as many as they like.
const TOKEN_BYTES_GOOD: usize = 16;

/// What is built with: the settings, and what was found wrong with them so far.
pub(super) struct Builder<'a> {
    pub settings: &'a Settings,
    pub faults: &'a mut Vec<Fault>,
    pub warnings: Vec<String>,
    pub files: Vec<NamedFile>,
}

/// Makes the stages' settings. The result is of use only if no fault was added.
pub(super) fn build(
    settings: &Settings,
    sources: &Sources,
    check_kafka: CheckKafka<'_>,
    faults: &mut Vec<Fault>,
) -> Config {
    let mut builder = Builder { settings, faults, warnings: Vec::new(), files: Vec::new() };
    let limits = builder.limits();
    let limit = builder.rate(
        "input-limit-amount-kbytes",
        "input-limit-period",
        "a connection over it is not read for a while; the Go collector dropped what was over it",
    );
    let spool = builder.spool();
    let statsd = builder.statsd();
    let http = builder.http();
    let dcos = login::build(&mut builder, sources.sandbox().as_deref());
    let kafka = kafka::build(&mut builder, check_kafka);
    let agent = agent::build(&mut builder, sources);
    if settings.switch("http-profile") {
        let line = "http-profile is retired and has no effect: there is no profiler; see /metrics";
        builder.warnings.push(line.to_owned());
    }
    builder.memory();
    builder.endpoints();
    builder.addressees();
    builder.shown_secrets();
    Config {
        telemetry: telemetry::Config {
            filter: settings.word("log-level").to_owned(),
            format: match settings.word("log-format") {
                "json" => telemetry::Format::Json,
                _ => telemetry::Format::Text,
            },
        },
        statsd,
        memory_limit: settings.size("memory-limit"),
        shutdown_grace: settings.time("shutdown-grace"),
        input: input::Config {
            listen: settings.endpoint("listen-endpoint"),
            socket: settings.path("listen-socket"),
            memory_limit: settings.size("memory-limit"),
            connections_max: settings.nonzero("input-connections-max"),
            block_timeout: settings.time("input-block-timeout"),
            linger: settings.time("input-linger"),
            apart_wait: settings.time("enrich-wait"),
            limit,
            limits,
            record_log: settings.switch("record-input-log"),
            hexdump: settings.switch("record-input-hexdump"),
        },
        enrich: agent::enrich(settings),
        agent,
        spool,
        kafka,
        partner: output::partner::Config {
            listen: settings.endpoint("partner-endpoint"),
            socket: settings.path("partner-socket"),
            partners_max: settings.size("partners-max"),
            data_dir: settings.path("data-dir"),
            dialled: settings.partners("partners").to_vec(),
        },
        dcos,
        discovery: discovery::build(settings),
        discovery_period: settings.time("kafka-discovery-period"),
        data_dir: settings.path("data-dir"),
        http,
        warnings: builder.warnings,
        files: builder.files,
    }
}

impl Builder<'_> {
    /// Adds a fault of key `name`, whose value is shown, unless it or one of `others` has a fault of its own already.
    pub(super) fn fault(&mut self, name: &'static str, others: &[&str], expected: impl Into<String>) {
        if self.settings.is_faulty(name) || others.iter().any(|other| self.settings.is_faulty(other)) {
            return;
        }
        let setting = self.settings.get(name);
        let key = Key::find(name).expect("faults are told of keys of the table");
        let value = setting.value.as_ref().map(|value| match value.shown(key) {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        });
        self.faults.push(Fault {
            origin: setting.origin.clone(),
            key: name.to_owned(),
            value,
            expected: expected.into(),
            nearest: None,
        });
    }

    /// The path of a file that is there. A fault if it is not.
    pub(super) fn file(&mut self, name: &'static str) -> Option<std::path::PathBuf> {
        let path = self.settings.path(name)?;
        if let Err(why) = secret_file::check_readable(&path) {
            self.fault(name, &[], format!("expected a readable file, but {why}"));
        }
        Some(path)
    }

    /// A secret that stands in the key `name` or in the file of key `file`; both are a fault.
    pub(super) fn secret(&mut self, name: &'static str, file: &'static str) -> Option<Secret> {
        let direct = self.settings.owned(name).map(Secret::new);
        let Some(path) = self.settings.path(file) else { return direct };
        self.note_file(file, &path);
        if direct.is_some() {
            self.fault(file, &[name], format!("only one of {name} and {file} may be set"));
        }
        match secret_file::read_secret(&path) {
            Ok(secret) => Some(secret),
            Err(why) => {
                self.fault(file, &[], format!("expected a readable file with one line, but {why}"));
                None
            }
        }
    }

    fn limits(&mut self) -> ocf::Limits {
        let settings = self.settings;
        let size = |name| settings.number(name);
        let (record, block) = ("input-record-bytes-max", "input-block-bytes-max");
        let decompressed = "input-decompressed-bytes-max";
        for (small, large) in [(record, block), (block, decompressed)] {
            if size(small) > size(large) {
                let bound = format_size(size(large));
                self.fault(small, &[large], format!("expected at most {large}, which is {bound}"));
            }
        }
        ocf::Limits {
            header_bytes: settings.size("input-header-bytes-max"),
            header_entries: settings.size("input-header-entries-max"),
            block_bytes: settings.size(block),
            decompressed_bytes: settings.size(decompressed),
            record_bytes: settings.size(record),
            record_tags: settings.small("input-record-tags-max"),
            record_datapoints: settings.small("input-record-datapoints-max"),
        }
    }

    /// A throttle of the Go collector's; none where the amount is 0. It does something else now, which is said.
    pub(super) fn rate(&mut self, amount: &'static str, period: &'static str, effect: &str) -> Option<Rate> {
        let kbytes = self.settings.number(amount);
        let period = self.settings.time(period);
        let bytes = NonZeroU64::new(kbytes * 1024)?;
        self.warnings.push(format!("{amount} is {kbytes}: {effect}"));
        Some(Rate { bytes, period })
    }

    fn statsd(&mut self) -> Option<telemetry::StatsdConfig> {
        let (host_key, port_key) = ("statsd-udp-host", "statsd-udp-port");
        let period = self.settings.time("statsd-period");
        let port = u16::try_from(self.settings.number(port_key)).expect("the table bounds the key to a port");
        let host = self.settings.owned(host_key)?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if !host.chars().all(is_host) || host.matches(':').count() == 1 {
            self.fault(
                host_key,
                &[],
                format!("expected a host name or an IP address; the port is {port_key}"),
            );
        }
        if port == 0 {
            self.fault(port_key, &[host_key], format!("expected a port, since {host_key} is set"));
        }
        Some(telemetry::StatsdConfig { host, port, period })
    }

    fn spool(&mut self) -> spool::Config {
        let settings = self.settings;
        let single_topic = settings.switch("kafka") && settings.text("kafka-single-topic").is_some();
        let block = "input-decompressed-bytes-max";
        if settings.number("spool-memory") < settings.number(block) {
            let bound = format_size(settings.number(block));
            self.fault("spool-memory", &[block], format!("expected room for one block: {block} is {bound}"));
        }
        spool::Config {
            memory_bytes: settings.size("spool-memory"),
            when_full: match settings.word("spool-full") {
                "drop-oldest" => spool::WhenFull::DropOldest,
                "hold" => spool::WhenFull::Hold,
                _ => spool::WhenFull::Auto,
            },
            // Messages of one Kafka topic have records of all record topics, in the order in which they came.
            topics_max: if single_topic { 0 } else { settings.size("kafka-topics-max") },
        }
    }

    fn http(&mut self) -> http::Config {
        let token = self.secret("http-token", "http-token-file");
        let visible = |token: &Secret| token.expose().bytes().all(|b| b.is_ascii_graphic());
        if token.as_ref().is_some_and(|token| !visible(token)) {
            let expected = "expected visible ASCII characters in the file, no blanks between them";
            self.fault("http-token-file", &["http-token"], expected);
        }
        if token.as_ref().is_some_and(|token| token.expose().len() < TOKEN_BYTES_GOOD) {
            let line = format!("the HTTP token has fewer than {TOKEN_BYTES_GOOD} bytes and can be guessed");
            self.warnings.push(format!("{line}; make a longer one, as with openssl rand -hex 16"));
        }
        http::Config {
            listen: self.settings.endpoint("http-endpoint"),
            connections_max: self.settings.nonzero("http-connections-max"),
            writes: match self.settings.word("http-writes") {
                "token" => http::Writes::Token,
                "off" => http::Writes::Off,
                _ => http::Writes::Loopback,
            },
            token,
        }
    }

    /// The one budget: what waits, what is under way, and enough for everything else.
    fn memory(&mut self) {
        let size = |name| self.settings.number(name);
        let queue = if self.settings.switch("kafka") { size("kafka-queue-max") } else { 0 };
        let block = size("input-block-bytes-max") + size("input-decompressed-bytes-max");
        let needed = size("spool-memory") + queue + REST_BYTES_MIN.max(block);
        if needed > size("memory-limit") {
            let expected = format!(
                "expected at least {}: spool-memory ({}), kafka-queue-max ({}) and {} for the rest",
                format_size(needed),
                format_size(size("spool-memory")),
                format_size(queue),
                format_size(REST_BYTES_MIN.max(block)),
            );
            let others =
                ["spool-memory", "kafka-queue-max", "input-block-bytes-max", "input-decompressed-bytes-max"];
            self.fault("memory-limit", &others, expected);
        }
    }

    fn endpoints(&mut self) {
        let mut taken = vec!["listen-endpoint"];
        let partners = (self.settings.size("partners-max") > 0).then_some("partner-endpoint");
        for name in ["http-endpoint"].into_iter().chain(partners) {
            let at = self.settings.endpoint(name);
            let other = taken.iter().find(|other| at.port() != 0 && self.settings.endpoint(other) == at);
            if let Some(other) = other.copied() {
                let expected = format!("expected an address of its own, but {other} has the same");
                self.fault(name, &[other], expected);
            }
            taken.push(name);
        }
        for name in ["listen-socket", "partner-socket"] {
            if self.settings.path(name).is_some_and(|path| path.as_os_str().len() > SOCKET_PATH_BYTES_MAX) {
                let expected = format!("expected a path of at most {SOCKET_PATH_BYTES_MAX} bytes");
                self.fault(name, &[], expected);
            }
        }
        let [input, partner] = ["listen-socket", "partner-socket"].map(|name| self.settings.path(name));
        if partner.is_some() && partner == input {
            self.fault("partner-socket", &[], "expected a path of its own, but listen-socket has the same");
        }
        self.not_ourselves();
    }

    /// A partner is somebody else: what came back to the input would go out again, for ever.
    fn not_ourselves(&mut self) {
        let input = (self.settings.endpoint("listen-endpoint"), self.settings.path("listen-socket"));
        for target in self.settings.partners("partners") {
            let taken = match &target.address {
                Address::Tcp(host, port) => is_here(input.0, host, *port).then_some("listen-endpoint"),
                Address::Unix(path) => (input.1.as_ref() == Some(path)).then_some("listen-socket"),
            };
            let Some(taken) = taken.filter(|taken| !self.settings.is_faulty(taken)) else { continue };
            self.faults.push(Fault {
                origin: self.settings.origin("partners").clone(),
                key: format!("partners.{}.address", target.name),
                value: Some(target.address.to_string()),
                expected: format!("expected the address of somebody else, but {taken} has the same"),
                nearest: None,
            });
        }
    }

    fn shown_secrets(&mut self) {
        let is_flag = |name: &'static str| matches!(self.settings.origin(name), Origin::Flag(_));
        let keys = Key::all().filter(|key| key.secret && is_flag(key.name)).map(|key| key.name.to_owned());
        let pairs = if is_flag("kafka-property") { self.settings.pairs("kafka-property") } else { &[] };
        let properties = pairs.iter().filter(|(name, value)| is_secret(name, value));
        for name in keys.chain(properties.map(|(name, _)| format!("kafka-property {name}"))) {
            let line = format!("{name} was given as a flag, which shows in the process list; use a file");
            self.warnings.push(line);
        }
    }
}

/// Whether a connection to this host and port comes to what listens at `at`, as far as that can be told without asking
/// anybody.
fn is_here(at: SocketAddr, host: &str, port: u16) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = match bare {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        _ => bare.parse::<IpAddr>().ok(),
    };
    let is_all = at.ip().is_unspecified();
    at.port() != 0 && at.port() == port && ip.is_some_and(|ip| ip == at.ip() || is_all && ip.is_loopback())
}
