//! One attempt to connect to a partner.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;

use super::socket::Socket;
use super::target::Address;

/// How long an address may take to answer. So many of a name's addresses are tried.
const CONNECT_TIME: Duration = Duration::from_secs(5);
const ADDRESSES_MAX: usize = 4;

/// A silent connection is asked so often whether the other side is there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);

/// The other side is gone when it has not answered for so many milliseconds. Longer than a session is patient with one that
/// is there and does not read.
const DEAD_MS: u32 = 75_000;

/// What an attempt to connect came to. The name is the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialling {
    /// Somebody answered.
    Connected,
    /// The name has no address, or nobody knows.
    Unresolved,
    /// Nobody listens there.
    Refused,
    /// Nobody answered in time.
    TimedOut,
    /// Anything else that the system says; or it is this process that answered.
    Failed,
}

impl Dialling {
    /// Every result, for series that start at 0.
    pub(super) const ALL: [Dialling; 5] =
        [Dialling::Connected, Dialling::Unresolved, Dialling::Refused, Dialling::TimedOut, Dialling::Failed];

    /// The metric label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Dialling::Connected => "connected",
            Dialling::Unresolved => "unresolved",
            Dialling::Refused => "refused",
            Dialling::TimedOut => "timeout",
            Dialling::Failed => "failed",
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) result: Dialling,
    why: String,
}

impl Failure {
    fn of(error: &io::Error) -> Failure {
        let result = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Dialling::Refused,
            io::ErrorKind::TimedOut => Dialling::TimedOut,
            _ => Dialling::Failed,
        };
        Failure { result, why: error.to_string() }
    }

    fn unresolved(why: impl Into<String>) -> Failure {
        Failure { result: Dialling::Unresolved, why: why.into() }
    }

    fn timed_out() -> Failure {
        Failure { result: Dialling::TimedOut, why: format!("no answer within {CONNECT_TIME:?}") }
    }

    fn ourselves() -> Failure {
        let why = "the collector itself listens there: what it takes in would go out again, for ever";
        Failure { result: Dialling::Failed, why: why.to_owned() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// A connection to somebody else who listens at `address`, and who that is. `input` is where this process takes in
/// records.
pub(super) async fn connect(address: &Address, input: SocketAddr) -> Result<(Socket, String), Failure> {
    match address {
        Address::Unix(path) => {
            let stream = within(UnixStream::connect(path)).await?;
            let listener = stream.peer_cred().map_err(|error| Failure::of(&error))?;
            if listener.pid().is_some_and(|pid| u32::try_from(pid) == Ok(std::process::id())) {
                return Err(Failure::ourselves());
            }
            Ok((Socket::Unix(stream), path.display().to_string()))
        }
        Address::Tcp(host, port) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            // The system bounds this itself. Only one look-up of a partner is under way.
            let found = lookup_host((host, *port)).await;
            let found = found.map_err(|error| Failure::unresolved(error.to_string()))?;
            let mut last = Failure::unresolved("the name has no address");
            for at in found.take(ADDRESSES_MAX) {
                match connect_to(at, input).await {
                    Ok(stream) => return Ok((Socket::tcp(stream), at.to_string())),
                    Err(failure) => last = failure,
                }
            }
            Err(last)
        }
    }
}

async fn connect_to(at: SocketAddr, input: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = within(TcpStream::connect(at)).await?;
    let addresses = stream.local_addr().and_then(|from| Ok((from, stream.peer_addr()?)));
    // Where that is another than was asked for, it is the one that counts: 0.0.0.0 leads to this host.
    let (from, to) = addresses.map_err(|error| Failure::of(&error))?;
    // A port of this host that nobody listens at may be the one that the connection itself was given.
    if from == to {
        return Err(Failure::of(&io::ErrorKind::ConnectionRefused.into()));
    }
    if is_taken_by(input, to, from.ip()) {
        return Err(Failure::ourselves());
    }
    prepare(&stream).map_err(|error| Failure::of(&error))?;
    Ok(stream)
}

/// Whether what listens at `listener` takes connections to `at`, where one of them comes from `from`.
fn is_taken_by(listener: SocketAddr, at: SocketAddr, from: IpAddr) -> bool {
    let (ip, from) = (at.ip().to_canonical(), from.to_canonical());
    let is_covered = match listener.ip().to_canonical() {
        all if all.is_unspecified() => {
            (ip.is_loopback() || ip == from) && (listener.is_ipv6() || ip.is_ipv4())
        }
        one => one == ip,
    };
    listener.port() == at.port() && is_covered
}

async fn within<T>(connecting: impl Future<Output = io::Result<T>>) -> Result<T, Failure> {
    match timeout(CONNECT_TIME, connecting).await {
        Ok(connected) => connected.map_err(|error| Failure::of(&error)),
        Err(_) => Err(Failure::timed_out()),
    }
}

/// Has a few records go out at once, and a partner that is gone without a word noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_EVERY)?;
    sockopt::set_tcp_user_timeout(stream, DEAD_MS)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody connects to it here.
    const INPUT: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn the_collector_is_no_partner_of_its_own() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let input = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.sock");
        let _socket = tokio::net::UnixListener::bind(&path).unwrap();
        let port = input.port();
        let unix = format!("unix:{}", path.display());
        for address in [format!("localhost:{port}"), format!("0.0.0.0:{port}"), format!("0:{port}"), unix] {
            let failure = connect(&Address::parse(&address).unwrap(), input).await.unwrap_err();
            assert!(failure.to_string().contains("itself"), "{address}: {failure}");
        }
        // Somebody else, at the same host.
        let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = Address::parse(&other.local_addr().unwrap().to_string()).unwrap();
        assert!(connect(&other, input).await.is_ok());
    }

    #[test]
    fn a_listener_takes_what_comes_to_its_addresses() {
        for (listener, at, from, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1", true),
            ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1", false),
            ("127.0.0.1:1", "127.0.0.2:1", "127.0.0.1", false),
            ("127.0.0.1:1", "[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", true),
            ("0.0.0.0:1", "127.0.0.2:1", "127.0.0.1", true),
            ("0.0.0.0:1", "192.0.2.1:1", "192.0.2.1", true),
            ("0.0.0.0:1", "192.0.2.2:1", "192.0.2.1", false),
            ("0.0.0.0:1", "[::1]:1", "::1", false),
            ("[::]:1", "[::1]:1", "::1", true),
            ("[::]:1", "192.0.2.1:1", "192.0.2.1", true),
            ("[::]:1", "192.0.2.2:1", "192.0.2.1", false),
        ] {
            let taken = is_taken_by(listener.parse().unwrap(), at.parse().unwrap(), from.parse().unwrap());
            assert_eq!(taken, expected, "{at} from {from}, where {listener} listens");
        }
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_without_a_word_is_noticed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect_to(listener.local_addr().unwrap(), INPUT).await.unwrap();
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), KEEPALIVE_IDLE);
        assert_eq!(sockopt::tcp_keepintvl(&stream).unwrap(), KEEPALIVE_EVERY);
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), DEAD_MS);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn why_nobody_answers_is_told_apart() {
        let free = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        free.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let port = free.local_addr().unwrap().as_socket().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(64);
        for (address, expected) in [
            (format!("127.0.0.1:{port}"), Dialling::Refused),
            (format!("unix:{}/none", folder.path().display()), Dialling::Refused),
            (format!("unix:{}", folder.path().display()), Dialling::Refused),
            (format!("{long}.invalid:1"), Dialling::Unresolved),
        ] {
            let failure = connect(&Address::parse(&address).unwrap(), INPUT).await.unwrap_err();
            assert_eq!(failure.result, expected, "{address}: {failure}");
        }
    }
}
