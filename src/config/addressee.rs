//! Whom secrets go to, and how, is said by those who know them.
//!
//! Whoever may write over HTTP need not know the password that stands in a file. If they could name brokers, it would be
//! sent to whomever they like. So a key that decides where a secret goes, or how, has no value that was set at runtime
//! while such a secret counts, unless that was set at runtime itself.
//!
//! What counts as a secret here is what the other side is shown or can try guesses on: the password of SASL, and the
//! service account's token. The key of a certificate stays where it is, and the agent's token goes to the agent alone,
//! whose address is the file's in any case.

use super::fault::Origin;
use super::settings::Settings;
use super::stages::Builder;
use super::value::is_secret;

/// Where and how a password is shown to Kafka, however brokers are known.
const KAFKA: [&str; 4] = ["kafka-brokers", "kafka-security-protocol", "kafka-sasl-mechanism", "kafka-ssl-ca"];

/// Who is asked where brokers are, and gets the service account's token if that may go there. Admin Router hands it on to
/// the framework.
const ASKED: [&str; 6] = [
    "kafka-framework",
    "kafka-scheduler-url",
    "dns-server",
    "admin-router-url",
    "marathon-url",
    "mesos-dns-url",
];

/// Which of the answers counts.
const ANSWERS: [&str; 2] = ["kafka-discovery", "kafka-broker-address"];

const PASSWORD: &str = "kafka-sasl-password";
const PASSWORD_FILE: &str = "kafka-sasl-password-file";
const ACCOUNTS: [&str; 2] = ["dcos-service-account", "iam-config-path"];

/// A secret that counts, and that was not set at runtime.
struct Held<'a> {
    what: String,
    origin: &'a Origin,
    /// The keys that decide where it goes.
    deciding: Vec<&'static str>,
    /// What else whoever changes these may do.
    way_out: &'static str,
}

/// Keys that may not keep the value that was set at runtime, and why.
pub(super) fn misplaced(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for Held { what, origin, deciding, way_out } in held(settings) {
        for key in deciding {
            if *settings.origin(key) == Origin::Runtime && found.iter().all(|(known, _)| *known != key) {
                let why = format!(
                    "decides where {what} ({origin}) goes, or how, so it is not changed over HTTP; set it in the file, \
                     and have that read again{way_out}"
                );
                found.push((key, why));
            }
        }
    }
    found
}

impl Builder<'_> {
    /// Each of them is a fault.
    pub(super) fn addressees(&mut self) {
        for (key, why) in misplaced(self.settings) {
            self.fault(key, &[], why);
        }
    }
}

fn held(settings: &Settings) -> Vec<Held<'_>> {
    if !settings.switch("kafka") {
        return Vec::new();
    }
    let is_looked_for = !settings.is_set("kafka-brokers");
    let looking = |keys: &[&'static str]| if is_looked_for { keys.to_vec() } else { Vec::new() };
    let password = password(settings).map(|(what, origin, way_out)| {
        let deciding = [&KAFKA[..], &looking(&ASKED), &looking(&ANSWERS)].concat();
        Held { what, origin, deciding, way_out }
    });
    let account = ACCOUNTS.into_iter().find(|name| settings.is_set(name)).map(|name| Held {
        what: format!("the token of {name}"),
        origin: settings.origin(name),
        deciding: looking(&ASKED),
        way_out: "",
    });
    password.into_iter().chain(account).collect()
}

/// The password that Kafka is shown, its origin, and what whoever knows it may do.
fn password(settings: &Settings) -> Option<(String, &Origin, &'static str)> {
    let properties = settings.pairs("kafka-property");
    // Properties win over keys, and of two of one name the last.
    let protocol = properties.iter().rfind(|(name, _)| name == "security.protocol");
    let protocol = protocol.map_or(settings.word("kafka-security-protocol"), |(_, protocol)| protocol);
    if !protocol.to_ascii_lowercase().starts_with("sasl") {
        return None;
    }
    if let Some((name, _)) = properties.iter().find(|(name, value)| is_sasl_secret(name, value)) {
        return Some((format!("{name} of kafka-property"), settings.origin("kafka-property"), ""));
    }
    let name = [PASSWORD_FILE, PASSWORD].into_iter().find(|name| settings.is_set(name))?;
    let origin = settings.origin(name);
    let way_out = if name == PASSWORD { ", or set kafka-sasl-password with it" } else { "" };
    (*origin != Origin::Runtime).then(|| (format!("the password of {name}"), origin, way_out))
}

fn is_sasl_secret(name: &str, value: &str) -> bool {
    name.to_ascii_lowercase().starts_with("sasl.") && is_secret(name, value)
}
