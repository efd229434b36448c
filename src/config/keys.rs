//! The one table of keys. Flags, environment names, the file's keys, `print-config`, the help and
//! `docs/configuration.md` all come from here.
//!
//! A key has one name, spelled alike as a flag (`--kafka-brokers`), in the file (`kafka-brokers = ...`) and, in
//! capitals, in the environment (`METRICS_COLLECTOR_KAFKA_BROKERS`). Names that the Go collector of 2016 had in the
//! environment are accepted bare as well (`KAFKA_BROKERS`).

mod agent;
mod dcos;
mod general;
mod http;
mod input;
mod kafka;
mod kafka_security;
mod login;
mod partner;
mod spool;

use std::borrow::Cow;
use std::time::Duration;

/// Prefix of the environment name that every key has.
pub const ENVIRONMENT_PREFIX: &str = "METRICS_COLLECTOR_";

/// Bytes in a mebibyte, in which rows state bounds.
const MIB: u64 = 1 << 20;

/// Keys that belong together, under one heading.
#[derive(Debug)]
pub struct Group {
    /// The heading in the help and in the documentation.
    pub title: &'static str,
    /// Rows in the order they are shown.
    pub keys: &'static [Key],
}

/// One row: everything that is to be known of a key but its value.
#[derive(Debug)]
pub struct Key {
    /// Name in the file, and the flag without its dashes.
    pub name: &'static str,
    /// Other spellings of the flag and of the file's key.
    pub aliases: &'static [&'static str],
    /// Environment names beside the one with the prefix.
    pub bare_environment: &'static [&'static str],
    /// What values there are.
    pub kind: Kind,
    /// The default, written as an operator would. None: not set.
    pub default: Option<&'static str>,
    /// The value is never shown.
    pub secret: bool,
    /// It can be changed while the program runs; any other counts from the next start on.
    pub live: bool,
    /// It is changed by a reload alone: it decides who may change anything, whom credentials go to, or what is run, which is
    /// not for everybody who may write over HTTP. What decides so only while a secret counts, as the brokers do, is live
    /// without one: see `addressee`.
    pub by_reload: bool,
    /// One paragraph. The first sentence says what the key does and is the short help; then edge values, and who
    /// should touch it.
    pub doc: &'static str,
}

/// What values a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`; as a flag alone `true`.
    Bool,
    /// A whole number.
    Integer {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A size in bytes.
    Size {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A time with its unit.
    Time {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A time with its unit, or bare milliseconds.
    Milliseconds {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A time with its unit, or bare seconds.
    Seconds {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// One of some words, in any case.
    Choice(&'static [&'static str]),
    /// Any text without control characters.
    Text,
    /// Text of visible ASCII characters, as in an HTTP header.
    Token,
    /// The JSON of a service account, or the path of a file with it.
    Account,
    /// `tracing` directives: a level, or `target=level`, between commas.
    LogFilter,
    /// A path that need not exist.
    Path,
    /// A file that must be readable.
    File,
    /// `address:port` to listen on.
    Endpoint,
    /// IP address and port of a DNS server.
    DnsServer,
    /// `http` or `https` address without a login.
    Url,
    /// Name of a framework, maybe in folders.
    Framework,
    /// `host:port` between commas, or `@` and the file that has them.
    Brokers,
    /// A legal Kafka topic name.
    TopicName,
    /// Beginning of legal Kafka topic names; may be empty.
    TopicPrefix,
    /// `name=value`, repeatable.
    Properties,
    /// Partners that are dialled: a list of tables, or its JSON.
    Partners,
}

impl Group {
    /// Every group, in the order they are shown.
    pub const ALL: [Group; 12] = [
        Group { title: "General", keys: general::KEYS },
        Group { title: "Input", keys: input::KEYS },
        Group { title: "Tags", keys: general::TAG_KEYS },
        Group { title: "Mesos agent", keys: agent::KEYS },
        Group { title: "Spool", keys: spool::KEYS },
        Group { title: "Kafka", keys: kafka::KEYS },
        Group { title: "Kafka security", keys: kafka_security::KEYS },
        Group { title: "Partners", keys: partner::KEYS },
        Group { title: "DC/OS", keys: dcos::KEYS },
        Group { title: "HTTP", keys: http::KEYS },
        Group { title: "Statsd", keys: general::STATSD_KEYS },
        Group { title: "DC/OS log-in", keys: login::KEYS },
    ];
}

impl Key {
    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Key {
        Key {
            name,
            aliases: &[],
            bare_environment: &[],
            kind,
            default: None,
            secret: false,
            live: false,
            by_reload: false,
            doc,
        }
    }

    const fn or(mut self, default: &'static str) -> Key {
        self.default = Some(default);
        self
    }

    const fn alias(mut self, aliases: &'static [&'static str]) -> Key {
        self.aliases = aliases;
        self
    }

    const fn env(mut self, names: &'static [&'static str]) -> Key {
        self.bare_environment = names;
        self
    }

    const fn hidden(mut self) -> Key {
        self.secret = true;
        self
    }

    const fn live(mut self) -> Key {
        self.live = true;
        self
    }

    const fn by_reload(mut self) -> Key {
        (self.live, self.by_reload) = (true, true);
        self
    }

    /// When another value counts: `live`, `reload` (when the file is read again) or `restart`.
    #[must_use]
    pub fn change(&self) -> &'static str {
        match (self.live, self.by_reload) {
            (true, false) => "live",
            (true, true) => "reload",
            (false, _) => "restart",
        }
    }

    /// Every key, in the order they are shown.
    pub fn all() -> impl Iterator<Item = &'static Key> {
        Group::ALL.iter().flat_map(|group| group.keys)
    }

    /// The key of this name or alias.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Key> {
        Key::all().find(|key| key.names().any(|known| known == name))
    }

    /// Name and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Environment names, the one that every key has first.
    pub fn environment(&self) -> impl Iterator<Item = String> {
        let own = format!("{ENVIRONMENT_PREFIX}{}", self.name.to_uppercase().replace('-', "_"));
        std::iter::once(own).chain(self.bare_environment.iter().map(ToString::to_string))
    }

    /// Whether giving the flag again adds a value instead of replacing it.
    #[must_use]
    pub fn repeatable(&self) -> bool {
        matches!(self.kind, Kind::Properties)
    }

    /// The first sentence of [`Key::doc`].
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.doc.split_once(". ").map_or(self.doc.trim_end_matches('.'), |(first, _)| first)
    }
}

impl Kind {
    /// What stands for the value in the help.
    #[must_use]
    pub fn placeholder(&self) -> Cow<'static, str> {
        let fixed = match self {
            Kind::Bool => "true|false",
            Kind::Integer { .. } => "NUMBER",
            Kind::Size { .. } => "SIZE",
            Kind::Time { .. } => "TIME",
            Kind::Milliseconds { .. } => "MS",
            Kind::Seconds { .. } => "SECONDS",
            Kind::Choice(words) => return words.join("|").into(),
            Kind::Text | Kind::Token => "TEXT",
            Kind::Account => "JSON|PATH",
            Kind::LogFilter => "FILTER",
            Kind::Path => "PATH",
            Kind::File => "FILE",
            Kind::Endpoint => "ADDRESS:PORT",
            Kind::DnsServer => "IP[:PORT]",
            Kind::Url => "URL",
            Kind::Framework => "NAME",
            Kind::Brokers => "HOST:PORT,...",
            Kind::TopicName => "TOPIC",
            Kind::TopicPrefix => "PREFIX",
            Kind::Properties => "NAME=VALUE",
            Kind::Partners => "JSON",
        };
        fixed.into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let mut seen = BTreeSet::new();
        for name in Key::all().flat_map(Key::names) {
            assert!(seen.insert(name), "{name} twice");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(plain), "{name}");
        }
    }

    #[test]
    fn environment_names_are_unique() {
        let mut seen = BTreeSet::new();
        for name in Key::all().flat_map(Key::environment) {
            assert!(seen.insert(name.clone()), "{name} twice");
        }
    }

    #[test]
    fn every_key_has_a_paragraph_of_documentation() {
        for key in Key::all() {
            assert!(key.doc.len() > 60, "{}: too little", key.name);
            assert!(key.doc.ends_with('.') && !key.doc.contains('\n'), "{}: no paragraph", key.name);
            assert!(key.summary().len() < 110, "{}: the first sentence is no short help", key.name);
        }
    }

    #[test]
    fn secrets_have_no_default() {
        for key in Key::all().filter(|key| key.secret) {
            assert!(key.default.is_none(), "{}", key.name);
        }
    }

    #[test]
    fn the_names_of_others_are_there() {
        let bare: BTreeSet<_> = Key::all().flat_map(|key| key.bare_environment).copied().collect();
        let expected = [
            "AGENT_IP_COMMAND",
            "AGENT_METRICS_TOPIC",
            "AGENT_POLLING",
            "AGENT_POLL_PERIOD",
            "AGENT_PORT",
            "AGENT_TEST_CONTAINERS_FILE",
            "AGENT_TEST_STATE_FILE",
            "AGENT_TEST_SYSTEM_FILE",
            "AUTH_CREDENTIAL",
            "DCOS_SERVICE_ACCOUNT_CREDENTIAL",
            "GLOBAL_LIMIT_AMOUNT_KBYTES",
            "GLOBAL_LIMIT_PERIOD",
            "HTTP_PROFILE",
            "INPUT_LIMIT_AMOUNT_KBYTES",
            "INPUT_LIMIT_PERIOD",
            "KAFKA",
            "KAFKA_BROKERS",
            "KAFKA_COMPRESS_SNAPPY",
            "KAFKA_FLUSH_MS",
            "KAFKA_FRAMEWORK",
            "KAFKA_PRODUCE_COUNT",
            "KAFKA_PRODUCE_KBYTES",
            "KAFKA_PRODUCE_PERIOD_MS",
            "KAFKA_REQUIRE_ALL_ACKS",
            "KAFKA_SINGLE_TOPIC",
            "KAFKA_TOPIC_PREFIX",
            "KAFKA_VERBOSE",
            "LISTEN_ENDPOINT",
            "LISTEN_ENDPONT",
            "RECORD_INPUT_HEXDUMP",
            "RECORD_INPUT_LOG",
            "RECORD_OUTPUT_HEXDUMP",
            "RECORD_OUTPUT_LOG",
            "STATSD_PERIOD",
            "STATSD_UDP_HOST",
            "STATSD_UDP_PORT",
        ];
        assert_eq!(bare, BTreeSet::from(expected));
    }
}
