//! DNS, for what the system's own look-up cannot ask: SRV records, and one given server.
//!
//! Names are fully qualified and nothing is kept between look-ups. Each server is asked twice and has a second each
//! time. Without a server in the settings those of `/etc/resolv.conf` are asked, which is read each time, since it may
//! be written after we start; where it names none, the one on this machine is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

/// How long one server may take for one question.
const ANSWER: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 2;

/// The system's servers that are asked; glibc does not ask more.
const SERVERS_MAX: usize = 3;

const PORT: u16 = 53;

/// A host and a port, as an SRV record names them. The host is a DNS name.
pub(super) type Service = (String, u16);

/// Asks DNS.
#[derive(Clone, Debug)]
pub(super) struct Dns {
    /// None: the system's.
    pub(super) server: Option<SocketAddr>,
}

/// Why DNS gave no answer. That it knows no such name is an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer from DNS at {servers} ({cause})")]
pub(super) struct NoDns {
    servers: String,
    cause: NetError,
}

impl Dns {
    /// The SRV records of `name`, best first; none where it is not known.
    pub(super) async fn services(&self, name: &str) -> Result<Vec<Service>, NoDns> {
        let servers = self.servers();
        let asked = match resolver(&servers) {
            Ok(resolver) => resolver.srv_lookup(name).await,
            Err(error) => Err(error),
        };
        let found = match asked {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(cause) => return Err(NoDns { servers: shown(&servers), cause }),
        };
        let mut records: Vec<_> = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv.clone()),
                _ => None,
            })
            .filter(|srv| srv.port != 0 && !srv.target.is_root())
            .collect();
        records.sort_by_key(|srv| (srv.priority, std::cmp::Reverse(srv.weight)));
        Ok(records.into_iter().map(|srv| (srv.target.to_ascii(), srv.port)).collect())
    }

    /// The addresses of `host`; none where it is not known.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NoDns> {
        let servers = self.servers();
        let asked = match resolver(&servers) {
            Ok(resolver) => resolver.lookup_ip(host).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(cause) => Err(NoDns { servers: shown(&servers), cause }),
        }
    }

    fn servers(&self) -> Vec<SocketAddr> {
        match self.server {
            Some(server) => vec![server],
            None => of_resolv_conf(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()),
        }
    }
}

fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let servers = servers.iter().map(|server| {
        let ports = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, ports.into())
    });
    let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = ANSWER;
    options.attempts = ATTEMPTS;
    options.cache_size = 0;
    builder.build()
}

fn of_resolv_conf(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let ip: IpAddr = (words.next()? == "nameserver").then(|| words.next()?.parse().ok())??;
        Some(SocketAddr::new(ip, PORT))
    };
    let servers: Vec<_> = text.lines().filter_map(server).take(SERVERS_MAX).collect();
    if servers.is_empty() { vec![(Ipv4Addr::LOCALHOST, PORT).into()] } else { servers }
}

fn shown(servers: &[SocketAddr]) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_servers() {
        for (text, expected) in [
            ("search mesos\nnameserver 198.51.100.1\n nameserver\t::1 # mine\n", "198.51.100.1:53, [::1]:53"),
            (
                "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4",
                "1.1.1.1:53, 1.1.1.2:53, 1.1.1.3:53",
            ),
            ("#nameserver 1.1.1.1\nnameserver\nnameserver x\nnameservers 1.1.1.1", "127.0.0.1:53"),
            ("", "127.0.0.1:53"),
        ] {
            assert_eq!(shown(&of_resolv_conf(text)), expected, "{text}");
        }
    }
}
