//! What `Host` and `Origin` say, read strictly.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The port that a URL of `http` means when it has none.
const DEFAULT_PORT: u16 = 80;

/// A host and port as in `Host: 127.0.0.1:8128`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    host: &'a str,
    port: u16,
}

impl<'a> Authority<'a> {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`. None for anything else, user names too.
    pub(super) fn parse(text: &'a str) -> Option<Authority<'a>> {
        let colon = match text.strip_prefix('[') {
            Some(inside) => {
                let closing = inside.find(']')? + 2;
                (closing < text.len()).then_some(closing)
            }
            None => text.find(':'),
        };
        let Some(colon) = colon else {
            return Authority { host: text, port: DEFAULT_PORT }.checked();
        };
        let digits = text[colon..].strip_prefix(':')?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Authority { host: &text[..colon], port: digits.parse().ok()? }.checked()
    }

    /// Itself, if the host is one that can stand in a URL.
    fn checked(self) -> Option<Authority<'a>> {
        let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let legal = match self.v6() {
            Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
            None => !self.host.is_empty() && self.host.bytes().all(name),
        };
        legal.then_some(self)
    }

    /// What is between the brackets.
    fn v6(&self) -> Option<&'a str> {
        self.host.strip_prefix('[')?.strip_suffix(']')
    }

    /// Whether nobody can have made a name of their own mean this: an address, or `localhost`.
    ///
    /// A page at `http://evil.example` may let that name resolve to 127.0.0.1 the second time it is looked up; the
    /// browser then lets the page read our answers as its own. It cannot do so with an address.
    pub(super) fn is_unforgeable(&self) -> bool {
        self.v6().is_some()
            || self.host.parse::<Ipv4Addr>().is_ok()
            || self.host.eq_ignore_ascii_case("localhost")
    }

    /// Whether a page from `origin`, as browsers write it, is a page of this host and port.
    pub(super) fn is_origin(&self, origin: &str) -> bool {
        let Some(other) = origin.strip_prefix("http://").and_then(Authority::parse) else { return false };
        self.port == other.port && self.host.eq_ignore_ascii_case(other.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_cannot_be_forged() {
        let cases: &[(&str, Option<bool>)] = &[
            ("127.0.0.1", Some(true)),
            ("127.0.0.1:8128", Some(true)),
            ("10.0.0.7:80", Some(true)),
            ("[::1]", Some(true)),
            ("[::1]:8128", Some(true)),
            ("[::ffff:127.0.0.1]:8128", Some(true)),
            ("localhost", Some(true)),
            ("LocalHost:8128", Some(true)),
            ("evil.example", Some(false)),
            ("evil.example:8128", Some(false)),
            ("localhost.evil.example", Some(false)),
            ("localhost.", Some(false)),
            ("127.0.0.1.evil.example", Some(false)),
            ("127.0.0.1.", Some(false)),
            // Forms of 127.0.0.1 that only some resolvers know are names to us.
            ("127.1", Some(false)),
            ("0x7f.0.0.1", Some(false)),
            ("2130706433", Some(false)),
            ("", None),
            (":8128", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]8128", None),
            ("[evil.example]", None),
            ("[fe80::1%eth0]", None),
            ("localhost:", None),
            ("localhost:x", None),
            ("localhost:+80", None),
            ("localhost:65536", None),
            ("localhost:80:80", None),
            ("user@localhost", None),
            ("localhost/", None),
            ("localhost evil", None),
            ("localhost,evil.example", None),
        ];
        for (text, expected) in cases {
            let found = Authority::parse(text).map(|authority| authority.is_unforgeable());
            assert_eq!(found, *expected, "{text:?}");
        }
    }

    #[test]
    fn an_origin_is_ours_only_with_scheme_host_and_port() {
        let cases: &[(&str, &str, bool)] = &[
            ("127.0.0.1:8128", "http://127.0.0.1:8128", true),
            ("[::1]:8128", "http://[::1]:8128", true),
            ("localhost", "http://LOCALHOST", true),
            ("localhost", "http://localhost:80", true),
            ("127.0.0.1:8128", "http://127.0.0.1", false),
            ("127.0.0.1:8128", "http://127.0.0.1:8129", false),
            ("127.0.0.1:8128", "http://localhost:8128", false),
            ("127.0.0.1:8128", "https://127.0.0.1:8128", false),
            ("127.0.0.1:8128", "http://evil.example", false),
            ("127.0.0.1:8128", "null", false),
            ("127.0.0.1:8128", "", false),
            ("127.0.0.1:8128", "http://127.0.0.1:8128/", false),
        ];
        for (host, origin, expected) in cases {
            let found = Authority::parse(host).unwrap().is_origin(origin);
            assert_eq!(found, *expected, "{host} {origin}");
        }
    }
}
