//! Addresses of Kafka brokers and of partners, as people and schedulers write them.

use std::net::Ipv6Addr;

/// Port of a broker that is given without one.
const BROKER_PORT: u16 = 9092;

/// Brokers as `host:port` each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brokers {
    /// Each once, in the order they were given.
    pub list: Vec<String>,
    /// What of the text was passed over, a line each.
    pub passed_over: Vec<String>,
}

/// Reads a list of brokers between commas. Empty and repeated entries are passed over, since lists are put together by
/// scripts; there may be none left.
///
/// # Errors
/// What is wrong with each bad one, in one text.
pub fn parse_brokers(text: &str) -> Result<Brokers, String> {
    let mut brokers = Brokers::default();
    let mut reasons = Vec::new();
    for part in text.split(',').map(str::trim) {
        let note = match parse_broker(part) {
            _ if part.is_empty() => "an empty entry is passed over".to_owned(),
            Err(reason) => {
                reasons.push(format!("\"{part}\" {reason}"));
                continue;
            }
            Ok(broker) if !brokers.list.iter().any(|known| known.eq_ignore_ascii_case(&broker)) => {
                brokers.list.push(broker);
                continue;
            }
            Ok(_) => format!("\"{part}\" stands there twice and counts once"),
        };
        if !brokers.passed_over.contains(&note) {
            brokers.passed_over.push(note);
        }
    }
    if reasons.is_empty() {
        Ok(brokers)
    } else {
        Err(format!("expected host:port between commas, but {}", reasons.join(", ")))
    }
}

/// Reads one broker. The port is 9092 where none is given.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn parse_broker(text: &str) -> Result<String, &'static str> {
    let (host, port) = split_host(text)?;
    Ok(format!("{host}:{}", port.unwrap_or(BROKER_PORT)))
}

/// Reads a host, which may be an IPv6 address in brackets, and its port.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn parse_host_port(text: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = split_host(text)?;
    Ok((host, port.ok_or("has no port")?))
}

/// A host, IPv6 addresses in their brackets, and the port if there is one.
fn split_host(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or("has no closing bracket")?;
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("has no IPv6 address in its brackets");
        }
        match port.strip_prefix(':') {
            Some(port) => (format!("[{address}]"), Some(port)),
            None if port.is_empty() => (format!("[{address}]"), None),
            None => return Err("has something other than :port after its bracket"),
        }
    } else if text.contains("://") {
        return Err("has a protocol, and needs none");
    } else if text.matches(':').count() > 1 {
        return Err("has several colons; an IPv6 address stands in brackets");
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        }
    };
    if !host.starts_with('[') && !is_host_name(&host) {
        return Err("has no host name before its port");
    }
    match port.map(parse_port) {
        None => Ok((host, None)),
        Some(Some(port)) if port != 0 => Ok((host, Some(port))),
        Some(_) => Err("has no port from 1 to 65535"),
    }
}

fn is_host_name(host: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !host.is_empty() && host.len() <= 253 && host.chars().all(legal)
}

/// Reads a port. Digits only: `u16::from_str` would take a plus sign as well.
pub fn parse_port(text: &str) -> Option<u16> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers() {
        for (text, expected) in [
            ("a:1", "a:1"),
            (" a:1 , b ", "a:1 b:9092"),
            ("broker-0.kafka.mesos:9092", "broker-0.kafka.mesos:9092"),
            ("10.0.0.1", "10.0.0.1:9092"),
            ("[::1]:9093,[fe80::1]", "[::1]:9093 [fe80::1]:9092"),
            ("", ""),
            (" ,", ""),
            ("a:1,,b:2,", "a:1 b:2"),
            ("a:1,A:1", "a:1"),
            ("a,a:9092", "a:9092"),
        ] {
            let brokers = parse_brokers(text);
            assert_eq!(brokers.map(|brokers| brokers.list.join(" ")), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_host_that_needs_a_port() {
        for (text, expected) in [
            ("a.example:9000", Ok(("a.example", 9000))),
            ("[::1]:9000", Ok(("[::1]", 9000))),
            ("127.0.0.1", Err("has no port")),
            ("a:0", Err("has no port from 1 to 65535")),
            ("tcp://a:1", Err("has a protocol, and needs none")),
        ] {
            let got = parse_host_port(text);
            assert_eq!(
                got.as_ref().map(|(host, port)| (host.as_str(), *port)).map_err(|e| *e),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_passed_over_is_said_once() {
        let lines = parse_brokers("a:1,,A:1,").unwrap().passed_over;
        assert_eq!(lines, ["an empty entry is passed over", "\"A:1\" stands there twice and counts once"]);
        assert_eq!(parse_brokers("a:1, b").unwrap().passed_over, [""; 0]);
    }

    #[test]
    fn bad_brokers_are_refused_with_the_reason() {
        for (text, reason) in [
            ("a:0", "no port from 1 to 65535"),
            ("a:65536", "no port from 1 to 65535"),
            ("a:x", "no port from 1 to 65535"),
            ("a:", "no port from 1 to 65535"),
            (":9092", "no host name"),
            ("a b:1", "no host name"),
            ("::1", "several colons"),
            ("[::1", "no closing bracket"),
            ("[a]:1", "no IPv6 address"),
            ("[::1]x", "after its bracket"),
            ("SSL://a:1", "a protocol"),
            ("a:x,b:1,:2", "\"a:x\" has no port from 1 to 65535, \":2\" has no host name before its port"),
        ] {
            let got = parse_brokers(text);
            assert!(got.as_ref().is_err_and(|e| e.contains(reason)), "{text}: {got:?}");
        }
    }
}
