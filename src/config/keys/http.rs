//! Rows: the HTTP server.

use super::{Key, Kind};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "http-endpoint",
        Kind::Endpoint,
        "Address of the HTTP server: health, status and metrics of the collector. An IP address or localhost, and a \
         port; :8128 means all IPv4 addresses, port 0 any free port. Other hosts get only /metrics and /-/ reads \
         without a token.",
    )
    .or("127.0.0.1:8128"),
    Key::new(
        "http-connections-max",
        Kind::Integer { min: 1, max: 65_536 },
        "HTTP connections at once. When it is reached a new one takes the place of the one that has waited longest for \
         its peer's next request; where none waits, it is refused. At least a quarter is kept for this machine, so \
         that its health check gets through whatever comes from outside; of 1 nothing is left for other hosts.",
    )
    .or("256")
    .live(),
    Key::new(
        "http-writes",
        Kind::Choice(&["loopback", "token", "off"]),
        "Who may change the configuration over HTTP. loopback: whoever is on this machine, pages in browsers excepted, and \
         who has the token. token: who has the token, which every task with the host's network should not be taken for. \
         off: nobody; the file and SIGHUP remain.",
    )
    .or("loopback")
    .by_reload(),
    Key::new(
        "http-token",
        Kind::Token,
        "Bearer token that opens the whole HTTP interface to other hosts, and to writers where http-writes is token. Not set, and http-token-file not either: \
         they get only /metrics and /-/ reads. It travels in the clear, since HTTP has no TLS here. Prefer \
         http-token-file, since flags and environment show in the process list; fewer than 16 bytes are warned about. \
         Another one counts from the next request on, and the one before no more.",
    )
    .hidden()
    .by_reload(),
    Key::new(
        "http-token-file",
        Kind::File,
        "File with the token of http-token. White space at its end does not count. Other contents are noticed within a \
         minute, and with each change of the configuration; only one of the two keys may be set.",
    )
    .by_reload(),
];
