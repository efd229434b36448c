//! Rows: the process as a whole, and tags.

use std::time::Duration;

use super::{Key, Kind, MIB};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "config",
        Kind::File,
        "Configuration file in TOML. Its keys are the flags of this table without dashes in front, at the top level; \
         a key that is not in this table is a fault. Flags and environment win over it. This key itself cannot \
         stand in the file.",
    ),
    Key::new(
        "data-dir",
        Kind::Path,
        "Folder for what is to outlive the process. It is made where it is missing. The brokers that were found last are \
         kept there, so that a start that looks for them in the same way needs no DNS, and what was set at runtime. \
         Not set: nothing is kept. Each collector of a host needs one of its own.",
    ),
    Key::new(
        "memory-limit",
        Kind::Size { min: 16 * MIB, max: 1 << 40 },
        "Budget for the buffers of the process; its code and its allocator come on top. With the defaults resident \
         memory stays under it in all measured cases but those that the README names under Cost. spool-memory and \
         kafka-queue-max come out of it, and what is left (at least 8 MiB, and one whole input block) is for reading, \
         batches and the program itself. Raise it together with spool-memory to live through longer Kafka outages.",
    )
    .or("64MiB")
    .live(),
    Key::new(
        "log-level",
        Kind::LogFilter,
        "What goes to the log, on standard error: off, error, warn, info, debug or trace. Parts can have levels of \
         their own, as in info,metrics_collector::input=debug. debug has a line for each connection; trace is for \
         developers.",
    )
    .or("info")
    .live(),
    Key::new(
        "log-format",
        Kind::Choice(&["text", "json"]),
        "How a log line looks. text is for people, json is one object a line for log shippers.",
    )
    .or("text")
    .live(),
    Key::new(
        "shutdown-grace",
        Kind::Time { min: Duration::ZERO, max: Duration::from_secs(3600) },
        "How long to wait at the end for Kafka to acknowledge what was accepted. SIGTERM stops the input, closes \
         all batches and waits this long; what is left then is counted as lost and named in the log. 0s does not \
         wait. Keep it below the time after which your supervisor sends SIGKILL.",
    )
    .or("10s")
    .live(),
    Key::new(
        "http-profile",
        Kind::Bool,
        "Retired. The Go collector opened a profiler on a random port of all addresses; nothing is opened here, and \
         true is warned about. /metrics has what there is to know.",
    )
    .or("false")
    .env(&["HTTP_PROFILE"]),
];

pub(super) const STATSD_KEYS: &[Key] = &[
    Key::new(
        "statsd-udp-host",
        Kind::Text,
        "Host that gets the collector's own metrics as statsd gauges over UDP. They have the names that the Go \
         collector gave them. Not set: nobody does. New set-ups read /metrics, which has more and loses nothing.",
    )
    .env(&["STATSD_UDP_HOST"])
    .live(),
    Key::new(
        "statsd-udp-port",
        Kind::Integer { min: 0, max: 65_535 },
        "Port of statsd-udp-host. Must be set with it; 0 is no port. 8125 is what statsd listens on as a rule.",
    )
    .or("0")
    .env(&["STATSD_UDP_PORT"])
    .live(),
    Key::new(
        "statsd-period",
        Kind::Seconds { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
        "How often the gauges are sent, in seconds. A time with a unit, as 15s, is accepted too. Each has what was \
         counted since the last time.",
    )
    .or("15")
    .env(&["STATSD_PERIOD"])
    .live(),
];

pub(super) const TAG_KEYS: &[Key] = &[
    Key::new(
        "agent-id",
        Kind::Text,
        "Value of the tag agent_id on records that have none, and the key of Kafka messages. Not set: no tag, and \
         messages have no key. It should be the Mesos agent's id, so set it once for each host.",
    )
    .live(),
    Key::new(
        "framework-name",
        Kind::Text,
        "Value of the tag framework_name on records that have none. Not set: no tag. Of use where all senders of a \
         host belong to one framework.",
    )
    .live(),
    Key::new(
        "application-name",
        Kind::Text,
        "Value of the tag application_name on records that have none. Not set: no tag. Of use where all senders of \
         a host belong to one application.",
    )
    .live(),
];
