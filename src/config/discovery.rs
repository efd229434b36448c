//! The settings of the look for brokers.

use super::settings::Settings;
use crate::dcos::BaseUrl;
use crate::dcos::discovery::{BrokerAddress, Config, FrameworkName, Way};

/// Makes them; none where brokers are named or no Kafka is wanted.
pub(super) fn build(settings: &Settings) -> Option<Config> {
    let url =
        |name| settings.text(name).map(|text| BaseUrl::parse(text).expect("the key holds a good address"));
    let of_cluster = |name| url(name).expect("the key has a default");
    let framework = settings.word("kafka-framework");
    let (way, address) = (settings.word("kafka-discovery"), settings.word("kafka-broker-address"));
    let config = Config {
        framework: FrameworkName::parse(framework).expect("the key holds a good name"),
        pinned: Way::ALL.into_iter().find(|known| known.name() == way),
        address: BrokerAddress::ALL
            .into_iter()
            .find(|known| known.name() == address)
            .expect("the key's words are the forms' names"),
        tls: settings.word("kafka-security-protocol").ends_with("ssl"),
        dns_server: settings.optional_endpoint("dns-server"),
        scheduler: url("kafka-scheduler-url"),
        admin_router: of_cluster("admin-router-url"),
        marathon: of_cluster("marathon-url"),
        mesos_dns: of_cluster("mesos-dns-url"),
    };
    (settings.switch("kafka") && !settings.is_set("kafka-brokers")).then_some(config)
}
