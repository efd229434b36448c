//! Rows: the input.

use std::time::Duration;

use super::{Key, Kind, MIB};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "listen-endpoint",
        Kind::Endpoint,
        "TCP address where local processes send Avro OCF streams. An IP address or localhost, and a port; :8124 \
         means all IPv4 addresses, port 0 any free port. Nothing on this port is authenticated, so keep it on loopback \
         unless containers have networks of their own. The misspelling listen-endpont of the Go collector is \
         accepted.",
    )
    .or("127.0.0.1:8124")
    .alias(&["listen-endpont"])
    .env(&["LISTEN_ENDPONT", "LISTEN_ENDPOINT"]),
    Key::new(
        "listen-socket",
        Kind::Path,
        "Unix socket to listen on besides the TCP address. Not set: none. Of use for containers that share a \
         directory with the host and not its network.",
    ),
    Key::new(
        "input-connections-max",
        Kind::Integer { min: 1, max: 65_536 },
        "Connections at once. When it is reached a new one takes the place of the one that has gone longest without \
         a whole header or block; those with good blocks are never closed for it, also where it is lowered. Raise it together with \
         the process's limit of open files.",
    )
    .or("4096")
    .live(),
    Key::new(
        "input-header-bytes-max",
        Kind::Size { min: 1024, max: 16 * MIB },
        "Largest header of a stream. A larger one ends its connection. Senders' headers have well under 2 KiB; no \
         reason to touch it is known.",
    )
    .or("64KiB")
    .live(),
    Key::new(
        "input-header-entries-max",
        Kind::Integer { min: 2, max: 65_536 },
        "Most metadata entries in a stream's header. More end the connection. Two are usual: the schema and the \
         codec.",
    )
    .or("64")
    .live(),
    Key::new(
        "input-block-bytes-max",
        Kind::Size { min: 1024, max: 64 * MIB },
        "Largest block as it is sent. A larger one is skipped where its sender's framing allows, else ends the \
         connection. The Mesos module stays under 256 KiB; raise it for senders with larger blocks, and memory-limit \
         with it.",
    )
    .or("1MiB")
    .live(),
    Key::new(
        "input-decompressed-bytes-max",
        Kind::Size { min: 1024, max: 256 * MIB },
        "Largest block after decompression. A larger one is skipped. It bounds what a few hostile bytes can make of \
         memory-limit, so raise both together.",
    )
    .or("4MiB")
    .live(),
    Key::new(
        "input-record-bytes-max",
        Kind::Size { min: 256, max: 64 * MIB },
        "Largest record, after decompression. A larger one is skipped and counted. Kafka messages have at most \
         1,000,000 bytes, so records near that are set aside later in any case.",
    )
    .or("1MiB")
    .live(),
    Key::new(
        "input-record-tags-max",
        Kind::Integer { min: 0, max: 1 << 20 },
        "Most tags on a record, before ours are added. A record with more is skipped and counted. Senders have well \
         under a hundred.",
    )
    .or("4096")
    .live(),
    Key::new(
        "input-record-datapoints-max",
        Kind::Integer { min: 1, max: 1 << 24 },
        "Most datapoints in a record. A record with more is skipped and counted. The Mesos module sends at most 100.",
    )
    .or("65536")
    .live(),
    Key::new(
        "input-block-timeout",
        Kind::Time { min: Duration::from_millis(100), max: Duration::from_secs(86_400) },
        "How long a header or block may stay half sent. After that the connection ends. Silence between blocks \
         has no limit. Lower it only where senders are local and prompt.",
    )
    .or("60s")
    .live(),
    Key::new(
        "input-linger",
        Kind::Time { min: Duration::ZERO, max: Duration::from_secs(5) },
        "How long bytes may wait in the socket of a connection on which little comes. So many small writes cost one \
         wake-up. A connection with 64 KiB waiting is read at once, and so is one that was silent before or is in the \
         middle of a block. While a partner is connected nothing waits. 0ms reads everything at once, at two to three \
         times the CPU on a quiet node.",
    )
    .or("250ms")
    .live(),
    Key::new(
        "input-limit-amount-kbytes",
        Kind::Integer { min: 0, max: i32::MAX as u64 },
        "KiB that a connection may bring in each input-limit-period. 0: as many as it likes. A connection over it is \
         not read until its time has come, and nothing of it is dropped here (the Go collector dropped); its sender \
         may drop what it cannot write, as the Mesos module does. Of use against a sender that floods.",
    )
    .or("0")
    .env(&["INPUT_LIMIT_AMOUNT_KBYTES"])
    .live(),
    Key::new(
        "input-limit-period",
        Kind::Seconds { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
        "Time of input-limit-amount-kbytes, in seconds. A time with a unit, as 60s, is accepted too. No effect while \
         that is 0.",
    )
    .or("60")
    .env(&["INPUT_LIMIT_PERIOD"])
    .live(),
    Key::new(
        "record-input-log",
        Kind::Bool,
        "Log every accepted record, decoded. For a look at what a sender sends, never for production: it slows the \
         input to the speed of the log.",
    )
    .or("false")
    .env(&["RECORD_INPUT_LOG"])
    .live(),
    Key::new(
        "record-input-hexdump",
        Kind::Bool,
        "Log the bytes of every read in hexadecimal. For those who write a sender, never for production: it slows the \
         input to the speed of the log.",
    )
    .or("false")
    .env(&["RECORD_INPUT_HEXDUMP"])
    .live(),
];
