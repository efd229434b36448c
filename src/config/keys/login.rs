//! Rows: logging in at the cluster, and whom to trust there.

use super::{Key, Kind};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "dcos-ca",
        Kind::File,
        "PEM file of the authorities that may have signed the certificates of the cluster's own APIs. They are trusted \
         beside those of the system. Not set: $MESOS_SANDBOX/.ssl/ca-bundle.crt, and where that is not there, \
         /run/dcos/pki/CA/ca-bundle.crt; clusters without an authority have neither. Other contents are noticed within \
         a minute.",
    )
    .by_reload(),
    Key::new(
        "dcos-service-account",
        Kind::Account,
        "Service account to log in with where the cluster asks for it. It is the JSON itself, or the path of a file \
         with it. Not set: requests carry no token. A file is read again within a minute of its change, and when a login is refused. The token goes with TLS to \
         the login's host, the masters, the agent and names under .mesos and .thisdcos.directory; in clear text to the \
         agent of this machine alone, and to the login's host if its own address is http. With an account, nobody sets over HTTP who is asked for the brokers: \
         kafka-framework, dns-server and the addresses of the cluster's APIs.",
    )
    .env(&["DCOS_SERVICE_ACCOUNT_CREDENTIAL"])
    .hidden()
    .by_reload(),
    Key::new(
        "iam-config-path",
        Kind::File,
        "File with the service account, by the name that dcos-metrics gave the key. The same as dcos-service-account \
         with a path, and only one of the two may be set.",
    )
    .by_reload(),
    Key::new(
        "dcos-auth-hosts",
        Kind::Text,
        "Further hosts that get the service account's token, between commas. host or *.domain means with TLS, \
         http://host or http://*.domain in clear text too, where whoever listens on the way can take it. Of use for \
         proxies in front of a cluster, and for clusters without TLS.",
    )
    .by_reload(),
    Key::new(
        "auth-credential",
        Kind::Token,
        "Token that goes to the Mesos agent of this machine and nowhere else, as it did with the Go collector. The \
         agent gets it instead of the service account's. It never changes, so prefer dcos-service-account, which logs \
         in again before a token ends.",
    )
    .env(&["AUTH_CREDENTIAL"])
    .hidden()
    .by_reload(),
];
