//! Addresses to listen on, and of the DNS server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::record::parse_port;

/// Port of a DNS server that is given without one.
const DNS_PORT: u16 = 53;

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

/// Reads the address of a DNS server: an IP address, and a port unless it is 53.
pub fn parse_dns_server(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().map(|ip| SocketAddr::new(ip, DNS_PORT)).or_else(|_| text.parse()).ok();
    address.filter(|address| address.port() != 0)
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

    #[test]
    fn dns_servers() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1:53")),
            (" 127.0.0.1:15053 ", Some("127.0.0.1:15053")),
            ("::1", Some("[::1]:53")),
            ("[::1]", Some("[::1]:53")),
            ("[::1]:5353", Some("[::1]:5353")),
            ("10.0.0.1:0", None),
            ("localhost:53", None),
            (":53", None),
            ("", None),
        ] {
            assert_eq!(parse_dns_server(text).map(|a| a.to_string()).as_deref(), expected, "{text}");
        }
    }
}
