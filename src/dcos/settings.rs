//! What an operator sets of the way to the cluster's own APIs.

use std::fmt;
use std::path::Path;

use openssl::x509::X509;
use reqwest::{Certificate, Url};

use super::account::{Account, Source};
use crate::record::{Fingerprint, Secret};

/// Where DC/OS keeps the certificates of its authorities on a host.
pub const HOST_CA: &str = "/run/dcos/pki/CA/ca-bundle.crt";

/// Where they are below a task's sandbox.
pub const SANDBOX_CA: &str = ".ssl/ca-bundle.crt";

/// Settings of the HTTP client for the cluster. All of them may change while the program runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Authorities that are trusted beside the system's (`dcos-ca`).
    pub authorities: Authorities,
    /// The account to log in with (`dcos-service-account`, `iam-config-path`), and where it can be read again.
    pub account: Option<(Source, Account)>,
    /// A token for the Mesos agent that never changes (`auth-credential`).
    pub agent_token: Option<Secret>,
    /// Hosts that get the account's token, beside those that the cluster is known to have (`dcos-auth-hosts`).
    pub hosts: Vec<TokenHost>,
}

/// Certificates of authorities.
#[derive(Clone, Default)]
pub struct Authorities {
    pub(super) certificates: Vec<Certificate>,
    /// Of the file that has them.
    fingerprint: Option<Fingerprint>,
}

/// A host, or all names under one, that the account's token may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHost {
    name: String,
    /// All names that end so.
    is_suffix: bool,
    /// Also in clear text.
    plain: bool,
}

impl Authorities {
    /// Reads a file of certificates in PEM.
    ///
    /// # Errors
    /// Why there are none.
    pub fn read(path: &Path) -> Result<Authorities, String> {
        if !std::fs::metadata(path).map_err(|e| e.to_string())?.is_file() {
            return Err("it is no regular file".to_owned());
        }
        let pem = std::fs::read(path).map_err(|e| e.to_string())?;
        let stack = X509::stack_from_pem(&pem).map_err(|_| "it is no PEM file of certificates".to_owned())?;
        let convert = |certificate: &X509| {
            let der = certificate.to_der().map_err(|e| e.to_string())?;
            Certificate::from_der(&der).map_err(|e| e.to_string())
        };
        let certificates: Vec<Certificate> = stack.iter().map(convert).collect::<Result<_, String>>()?;
        if certificates.is_empty() {
            Err("it has no certificate".to_owned())
        } else {
            Ok(Authorities { certificates, fingerprint: Some(Fingerprint::of(&pem)) })
        }
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Authorities) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.certificates.len())
    }
}

impl TokenHost {
    /// Reads `host`, `*.domain`, or either behind `https://` or `http://`; only the last allows clear text.
    #[must_use]
    pub fn parse(text: &str) -> Option<TokenHost> {
        let (plain, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => (false, text),
        };
        let (is_suffix, host) = rest.strip_prefix("*.").map_or((false, rest), |host| (true, host));
        let url = Url::parse(&format!("https://{host}/")).ok()?;
        let name = host_of(&url)?;
        // What the address parser took for something else than the host must not be lost without a word.
        let whole = name.trim_matches(['[', ']']) == host.trim_matches(['[', ']', '.']).to_ascii_lowercase();
        (whole && !name.contains('*')).then_some(TokenHost { name, is_suffix, plain })
    }

    pub(super) fn fits(&self, host: &str, is_tls: bool) -> bool {
        let named = if self.is_suffix { is_under(host, &self.name) } else { host == self.name };
        named && (is_tls || self.plain)
    }
}

/// The host of an address in one spelling: small letters, no dot at the end.
pub(super) fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// Whether `host` is a name under `domain`.
pub(super) fn is_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).and_then(|front| front.strip_suffix('.')).is_some_and(|front| !front.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_every_form_and_nothing_else_is() {
        let host = |name: &str, is_suffix, plain| Some(TokenHost { name: name.into(), is_suffix, plain });
        for (text, expected) in [
            ("Proxy.Example.com.", host("proxy.example.com", false, false)),
            ("https://proxy.example.com", host("proxy.example.com", false, false)),
            ("http://10.0.0.1", host("10.0.0.1", false, true)),
            ("[::1]", host("[::1]", false, false)),
            ("*.mesos", host("mesos", true, false)),
            ("http://*.marathon.mesos", host("marathon.mesos", true, true)),
            ("", None),
            ("*", None),
            ("*.", None),
            ("a.*.b", None),
            ("a:80", None),
            ("a/b", None),
            ("u@a", None),
            ("a?b", None),
            ("a b", None),
            ("ftp://a", None),
        ] {
            assert_eq!(TokenHost::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_suffix_is_one_of_whole_labels() {
        let under = TokenHost::parse("*.mesos").unwrap();
        for (host, fits) in [("a.mesos", true), ("a.b.mesos", true), ("mesos", false), ("amesos", false)] {
            assert_eq!(under.fits(host, true), fits, "{host}");
            assert!(!under.fits(host, false), "{host} in clear text");
        }
    }

    #[test]
    fn what_is_no_bundle_is_refused_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.crt");
        for (content, expected) in [
            ("", "no certificate"),
            ("nonsense", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no PEM file"),
        ] {
            std::fs::write(&path, content).unwrap();
            let got = Authorities::read(&path).unwrap_err();
            assert!(got.contains(expected), "{content:?}: {got}");
        }
        assert!(Authorities::read(dir.path()).unwrap_err().contains("no regular file"));
    }
}
