//! Rows: how brokers are found in a DC/OS cluster.

use std::time::Duration;

use super::{Key, Kind};
use crate::dcos::discovery::Config;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "kafka-framework",
        Kind::Framework,
        "Name of the Kafka framework whose brokers are used where kafka-brokers is not set. A service in a folder is \
         prod/kafka or /prod/kafka. Its scheduler is asked at the start, again and again, and when all brokers fail; an \
         answer without brokers never replaces one with some.",
    )
    .or("kafka")
    .env(&["KAFKA_FRAMEWORK"])
    .live(),
    Key::new(
        "kafka-discovery",
        Kind::Choice(&["auto", "dns-srv", "scheduler-vip", "admin-router", "marathon", "mesos-dns"]),
        "The way to the framework's scheduler. auto tries each in the order of this list. Pin one where the others cost \
         time or are not to be used; /v1/status says which one led to the brokers.",
    )
    .or("auto")
    .live(),
    Key::new(
        "kafka-discovery-period",
        Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
        "Time after which the framework's scheduler is asked again, give or take a tenth. While no brokers are known it is \
         asked after 1 s, 2 s and so on up to a minute. No reason to shorten it is known: brokers that all fail are asked \
         for at once.",
    )
    .or("5m")
    .live(),
    Key::new(
        "kafka-broker-address",
        Kind::Choice(&["dns", "address", "vip"]),
        "Which addresses of the brokers are used of those that the scheduler lists. dns are names, address is IP \
         addresses, vip one virtual address for all. Where it lists none of that form, the first of the others that it has is used. Take address where this \
         host cannot resolve the cluster's names.",
    )
    .or("dns")
    .live(),
    Key::new(
        "kafka-scheduler-url",
        Kind::Url,
        "Address of the scheduler's API, for the way scheduler-vip. Not set: its virtual address, which follows from \
         kafka-framework, as http://api.kafka.marathon.l4lb.thisdcos.directory:80.",
    )
    .live(),
    Key::new(
        "dns-server",
        Kind::DnsServer,
        "DNS server that is asked for SRV records and for the hosts that they name. An IP address, and a port unless it \
         is 53. Not set: those of /etc/resolv.conf, which every DC/OS agent has right. All other names are looked up by \
         the system and not there: the hosts of HTTP addresses and those of the brokers. So where the system does not \
         know the cluster's names, set kafka-broker-address to address as well.",
    )
    .live(),
    Key::new(
        "admin-router-url",
        Kind::Url,
        "Address of Admin Router on a master. A service is behind /service/ and its name there.",
    )
    .or(Config::ADMIN_ROUTER)
    .live(),
    Key::new(
        "marathon-url",
        Kind::Url,
        "Address of Marathon's API, which knows the ports of the scheduler's task. A second Marathon has another one.",
    )
    .or(Config::MARATHON)
    .live(),
    Key::new(
        "mesos-dns-url",
        Kind::Url,
        "Address of Mesos-DNS's HTTP API, which gives SRV records to those who cannot ask DNS. It runs on the masters.",
    )
    .or(Config::MESOS_DNS)
    .live(),
];
