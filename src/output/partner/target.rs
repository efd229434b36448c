//! A partner that the collector connects to: where it is, and what it gets.

use std::fmt;
use std::path::PathBuf;

use super::hello::Hello;
use crate::record::parse_host_port;

/// Partners that are dialled, at most. Each needs a descriptor and has a place, also while it is away.
pub const TARGETS_MAX: usize = 32;

/// What stands before the path of a unix socket.
const UNIX: &str = "unix:";

/// Longest path of a unix socket, unix(7).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A partner that is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Under which its place is kept. One of [`is_name`](super::is_name).
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// What it would say if it had connected; without a name.
    pub hello: Hello,
}

/// Where a partner listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name, or an IP address, in brackets if it is one of IPv6; and a port.
    Tcp(String, u16),
    /// A unix socket.
    Unix(PathBuf),
}

impl Target {
    /// What it would say, its name included.
    pub(super) fn hello(&self) -> Hello {
        Hello { name: Some(self.name.clone()), ..self.hello.clone() }
    }
}

impl Address {
    /// Reads `host:port`, or `unix:` and an absolute path.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Address, &'static str> {
        let Some(path) = text.strip_prefix(UNIX) else {
            let (host, port) = parse_host_port(text)?;
            return Ok(Address::Tcp(host, port));
        };
        match path {
            _ if !path.starts_with('/') => Err("has no absolute path behind unix:"),
            _ if path.len() > SOCKET_PATH_BYTES_MAX => {
                Err("has more than the 107 bytes that a socket's path may have")
            }
            _ if path.contains('\0') => Err("has no path behind unix:"),
            _ => Ok(Address::Unix(path.into())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for text in ["a.example:9000", "127.0.0.1:1", "[::1]:9000", "unix:/run/x.sock"] {
            assert_eq!(Address::parse(text).map(|address| address.to_string()), Ok(text.to_owned()));
        }
        let long = format!("unix:/{}", "x".repeat(SOCKET_PATH_BYTES_MAX));
        for (text, expected) in [
            ("a", "no port"),
            ("", "no host name"),
            ("unix:", "no absolute path"),
            ("unix:x.sock", "no absolute path"),
            ("unix:/a\0", "no path"),
            (long.as_str(), "more than the 107 bytes"),
        ] {
            assert!(Address::parse(text).is_err_and(|why| why.contains(expected)), "{text:?}");
        }
    }
}
