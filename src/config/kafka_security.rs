//! TLS and SASL towards Kafka, and the rules between their keys.

use std::path::PathBuf;

use super::stages::Builder;
use super::value::one_of;
use crate::output::kafka::{Sasl, SaslMechanism, Security, Tls};
use crate::record::{Fingerprint, Secret};

const PROTOCOL: &str = "kafka-security-protocol";

const TLS_KEYS: [&str; 4] =
    ["kafka-ssl-ca", "kafka-ssl-certificate", "kafka-ssl-key", "kafka-ssl-key-password"];

const TLS_FILES: [&str; 3] = ["kafka-ssl-ca", "kafka-ssl-certificate", "kafka-ssl-key"];

const SASL_KEYS: [&str; 4] =
    ["kafka-sasl-mechanism", "kafka-sasl-username", "kafka-sasl-password", "kafka-sasl-password-file"];

/// Makes the settings. Where a fault is added they are those of `plaintext`, so that nobody complains of it again.
pub(super) fn build(builder: &mut Builder<'_>) -> Security {
    let before = builder.faults.len();
    let protocol = builder.settings.word(PROTOCOL);
    let tls = protocol.ends_with("ssl");
    let sasl = protocol.starts_with("sasl_");
    builder.must_be_used(tls, TLS_KEYS, "ssl or sasl_ssl");
    builder.must_be_used(sasl, SASL_KEYS, "sasl_ssl or sasl_plaintext");
    let security =
        Security { tls: Some(builder.tls()).filter(|_| tls), sasl: builder.sasl(sasl).filter(|_| sasl) };
    let plain = security.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == SaslMechanism::Plain);
    if plain && !tls {
        let line = "kafka-sasl-mechanism PLAIN without TLS sends the password in the clear; use sasl_ssl";
        builder.warnings.push(line.to_owned());
    }
    if builder.faults.len() == before { security } else { Security::default() }
}

impl Builder<'_> {
    /// A key that does nothing would be believed in, so it is a fault.
    fn must_be_used(&mut self, used: bool, names: [&'static str; 4], protocols: &str) {
        for name in names {
            if !used && self.settings.is_set(name) {
                let protocol = self.settings.word(PROTOCOL);
                let expected =
                    format!("has no effect while {PROTOCOL} is {protocol}; set that to {protocols}");
                self.fault(name, &[PROTOCOL], expected);
            }
        }
    }

    fn tls(&mut self) -> Tls {
        let (certificate, key, password) =
            ("kafka-ssl-certificate", "kafka-ssl-key", "kafka-ssl-key-password");
        for (name, other) in [(certificate, key), (key, certificate), (password, key)] {
            if self.settings.is_set(name) && !self.settings.is_set(other) {
                self.fault(name, &[other], format!("needs {other} as well"));
            }
        }
        Tls {
            ca: self.file("kafka-ssl-ca"),
            certificate: self.file(certificate),
            key: self.file(key),
            key_password: self.settings.owned(password).map(Secret::new),
        }
    }

    /// What is in the files that the client is told of for TLS, by their keys or as properties.
    pub(super) fn tls_files(&mut self) -> Fingerprint {
        let named = TLS_FILES.map(|name| (name, self.settings.path(name)));
        let is_file = |name: &str| name.starts_with("ssl.") && name.ends_with(".location");
        let properties = self.settings.pairs("kafka-property").iter().filter(|(name, _)| is_file(name));
        let properties = properties.map(|(_, path)| ("kafka-property", Some(PathBuf::from(path))));
        let all: Vec<_> = named.into_iter().chain(properties).collect();
        let contents = all.into_iter().map(|(key, path)| self.note_file(key, &path?));
        Fingerprint::of_all(&contents.collect::<Vec<_>>())
    }

    /// What SASL needs; whatever is missing is a fault where it is used.
    fn sasl(&mut self, used: bool) -> Option<Sasl> {
        let (named, file) = ("kafka-sasl-mechanism", "kafka-sasl-password-file");
        let (name_key, direct) = ("kafka-sasl-username", "kafka-sasl-password");
        let word = self.settings.text(named);
        let mechanism = SaslMechanism::ALL.into_iter().find(|mechanism| Some(mechanism.name()) == word);
        let username = self.settings.owned(name_key);
        let password = self.secret(direct, file);
        if used {
            let not_set = format!("not set, but {PROTOCOL} is {}", self.settings.word(PROTOCOL));
            if mechanism.is_none() {
                let words = one_of(&SaslMechanism::ALL.map(SaslMechanism::name));
                self.fault(named, &[PROTOCOL], format!("{not_set}; {words}"));
            }
            if username.is_none() {
                self.fault(name_key, &[PROTOCOL], &*not_set);
            }
            if password.is_none() && !self.settings.is_set(file) {
                self.fault(direct, &[PROTOCOL, file], format!("{not_set}; set it or {file}"));
            }
        }
        Some(Sasl { mechanism: mechanism?, username: username?, password: password? })
    }
}
