//! Addresses to listen on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::record::parse_port;

/// Reads an address to listen on: an IP address or `localhost` and a port. Without a host, as `:8124`, it is all
/// IPv4 addresses.
pub(super) fn parse_endpoint(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = text.rsplit_once(':')?;
    let ip: IpAddr = match host {
        "" => Ipv4Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, parse_port(port)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (text, expected) in [
            ("127.0.0.1:8124", Some("127.0.0.1:8124")),
            (":8124", Some("0.0.0.0:8124")),
            ("localhost:0", Some("127.0.0.1:0")),
            ("[::1]:8124", Some("[::1]:8124")),
            ("[::]:8124", Some("[::]:8124")),
            ("8124", None),
            ("127.0.0.1", None),
            ("example.com:8124", None),
            ("127.0.0.1:65536", None),
            (":+1", None),
            (":", None),
            ("", None),
        ] {
            assert_eq!(parse_endpoint(text).map(|a| a.to_string()).as_deref(), expected, "{text}");
        }
    }
}
