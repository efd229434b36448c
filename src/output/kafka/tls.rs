//! TLS to a broker for the probe, as the producer does it. It is made of the producer's own properties, so that what an
//! operator sets with `kafka-property` counts here too, and in librdkafka's order: where a thing is given twice, both
//! take the same one.
//!
//! What only librdkafka can do, such as lists of certificates that were called back, or a key behind an engine, makes no connection here: the caller doubts and goes on.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, HandshakeError, Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslOptions,
    SslStream, SslVerifyMode,
};
use openssl::x509::X509;
use openssl::x509::store::X509Lookup;
use rdkafka::ClientConfig;

use super::abilities::Abilities;
use super::producer::client_config;
use super::settings::Config;

/// What follows here from properties whose names begin with `ssl.`; any other is beyond us.
const KNOWN: [&str; 14] = [
    "ssl.ca.certificate.stores",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.sigalgs.list",
];

/// The producer's properties, of which those of TLS are used.
#[derive(Clone)]
pub struct TlsProperties(ClientConfig);

impl TlsProperties {
    /// Those of a producer with these settings; none where it uses no TLS.
    pub(super) fn of(config: &Config) -> Option<TlsProperties> {
        config.security.tls.as_ref()?;
        Some(TlsProperties(client_config(config, &Abilities::CURRENT)))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    /// Whether certificates are held against the authorities.
    fn verifies(&self) -> bool {
        let off = |value: &str| ["false", "f", "0"].iter().any(|word| value.eq_ignore_ascii_case(word));
        !self.get("enable.ssl.certificate.verification").is_some_and(off)
    }

    /// Whether a certificate has to be of the host that was asked for.
    fn names_host(&self) -> bool {
        let none = |value: &str| value.eq_ignore_ascii_case("none");
        !self.get("ssl.endpoint.identification.algorithm").is_some_and(none)
    }
}

/// A connection with TLS. None: the peer hung up or was silent.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn handshake(
    stream: TcpStream,
    host: &str,
    properties: &TlsProperties,
) -> Result<Option<SslStream<TcpStream>>, String> {
    let context = context(properties)?;
    let mut ssl = Ssl::new(&context).map_err(text)?;
    let ip = host.parse::<IpAddr>().ok();
    if ip.is_none() {
        ssl.set_hostname(host).map_err(text)?;
    }
    if properties.names_host() {
        match ip {
            Some(ip) => ssl.param_mut().set_ip(ip),
            None => ssl.param_mut().set_host(host),
        }
        .map_err(text)?;
    }
    match ssl.connect(stream) {
        Ok(stream) => Ok(Some(stream)),
        Err(HandshakeError::Failure(failure)) if failure.error().code() == ErrorCode::SSL => {
            Err(failure.error().to_string())
        }
        Err(HandshakeError::Failure(_) | HandshakeError::WouldBlock(_)) => Ok(None),
        Err(HandshakeError::SetupFailure(error)) => Err(error.to_string()),
    }
}

/// Whether an error of reading or writing is how OpenSSL says what is wrong between the two, after the handshake.
pub(super) fn is_tls(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<openssl::ssl::Error>());
    inner.is_some_and(|error| error.code() == ErrorCode::SSL)
}

/// The producer's authorities, certificate and key. Files are read here: OpenSSL's own way panics at paths that are no
/// text.
fn context(properties: &TlsProperties) -> Result<SslContext, String> {
    let names = properties.0.config_map().into_keys();
    if let Some(name) = names.into_iter().find(|name| name.starts_with("ssl.") && !KNOWN.contains(name)) {
        return Err(format!("with kafka-property {name} there is TLS in the producer alone"));
    }
    let mut builder = SslContext::builder(SslMethod::tls_client()).map_err(text)?;
    builder.set_options(SslOptions::NO_SSLV3 | SslOptions::IGNORE_UNEXPECTED_EOF);
    builder.set_verify(if properties.verifies() { SslVerifyMode::PEER } else { SslVerifyMode::NONE });
    if let Some(suites) = properties.get("ssl.cipher.suites") {
        builder.set_cipher_list(suites).map_err(text)?;
    }
    if let Some(curves) = properties.get("ssl.curves.list") {
        builder.set_groups_list(curves).map_err(text)?;
    }
    if let Some(algorithms) = properties.get("ssl.sigalgs.list") {
        builder.set_sigalgs_list(algorithms).map_err(text)?;
    }
    trust(&mut builder, properties)?;
    identify(&mut builder, properties)?;
    Ok(builder.build())
}

/// Whom to believe.
fn trust(builder: &mut SslContextBuilder, properties: &TlsProperties) -> Result<(), String> {
    let location = properties.get("ssl.ca.location").filter(|location| *location != "probe").map(Path::new);
    let pem = properties.get("ssl.ca.pem");
    let mut authorities = Vec::new();
    match location {
        Some(folder) if folder.is_dir() => {
            let lookup = builder.cert_store_mut().add_lookup(X509Lookup::hash_dir()).map_err(text)?;
            let folder = folder.to_str().expect("a property is a text");
            lookup.add_dir(folder, SslFiletype::PEM).map_err(text)?;
        }
        Some(file) => authorities.push(read(file)?),
        None if pem.is_none() && properties.verifies() => {
            let file = openssl_probe::probe().cert_file.ok_or("the system has no file of authorities")?;
            authorities.push(read(&file)?);
        }
        None => {}
    }
    authorities.extend(pem.map(|pem| pem.as_bytes().to_vec()));
    for authority in authorities {
        for certificate in X509::stack_from_pem(&authority).map_err(text)? {
            builder.cert_store_mut().add_cert(certificate).map_err(text)?;
        }
    }
    Ok(())
}

/// Who we are, if anybody wants to know.
fn identify(builder: &mut SslContextBuilder, properties: &TlsProperties) -> Result<(), String> {
    let given = |location: &str, pem: &str| match (properties.get(pem), properties.get(location)) {
        (Some(pem), _) => Ok(Some(pem.as_bytes().to_vec())),
        (None, Some(file)) => read(Path::new(file)).map(Some),
        (None, None) => Ok(None),
    };
    if let Some(pem) = given("ssl.certificate.location", "ssl.certificate.pem")? {
        let mut chain = X509::stack_from_pem(&pem).map_err(text)?.into_iter();
        if let Some(own) = chain.next() {
            builder.set_certificate(&own).map_err(text)?;
        }
        for other in chain {
            builder.add_extra_chain_cert(other).map_err(text)?;
        }
    }
    if let Some(pem) = given("ssl.key.location", "ssl.key.pem")? {
        // A pass phrase is always given, if an empty one: or OpenSSL would ask for it at the terminal.
        let password = properties.get("ssl.key.password").unwrap_or_default();
        let key = PKey::private_key_from_pem_passphrase(&pem, password.as_bytes()).map_err(text)?;
        builder.set_private_key(&key).map_err(text)?;
    }
    if let Some(file) = properties.get("ssl.keystore.location") {
        let password = properties.get("ssl.keystore.password").unwrap_or_default();
        let store = Pkcs12::from_der(&read(Path::new(file))?).map_err(text)?;
        let store = store.parse2(password).map_err(text)?;
        if let (Some(own), Some(key)) = (store.cert, store.pkey) {
            builder.set_certificate(&own).map_err(text)?;
            builder.set_private_key(&key).map_err(text)?;
        }
        for other in store.ca.into_iter().flatten() {
            builder.add_extra_chain_cert(other).map_err(text)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn text(error: ErrorStack) -> String {
    error.to_string()
}

#[cfg(test)]
impl TlsProperties {
    /// No more than these.
    pub(super) fn only(properties: &[(&str, &str)]) -> TlsProperties {
        let mut client = ClientConfig::new();
        for (name, value) in properties {
            client.set(*name, *value);
        }
        TlsProperties(client)
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Security, Tls};
    use super::*;

    fn of(tls: Option<Tls>, property: Option<(&str, &str)>) -> Option<TlsProperties> {
        let sources = crate::config::Sources {
            flags: vec![("kafka-brokers", "127.0.0.1:1".into())],
            environment: Vec::new(),
        };
        let (loaded, _) = crate::config::load(&sources, &|_| Vec::new()).unwrap();
        let properties =
            property.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let security = Security { tls, sasl: None };
        TlsProperties::of(&Config { security, properties, ..loaded.kafka.unwrap() })
    }

    #[test]
    fn what_an_operator_sets_wins_as_it_does_in_the_producer() {
        let tls = || Some(Tls { ca: Some("key.pem".into()), ..Tls::default() });
        let authority = |tls, property| of(tls, property)?.get("ssl.ca.location").map(str::to_owned);
        assert_eq!(authority(tls(), None).as_deref(), Some("key.pem"));
        assert_eq!(authority(tls(), Some(("ssl.ca.location", "x.pem"))).as_deref(), Some("x.pem"));
        assert!(of(None, Some(("ssl.ca.location", "x.pem"))).is_none(), "without TLS there are none");
    }

    #[test]
    fn switches_are_read_as_librdkafka_reads_them() {
        for (name, value, expected) in [
            ("client.id", "x", (true, true)),
            ("enable.ssl.certificate.verification", "False", (false, true)),
            ("enable.ssl.certificate.verification", "0", (false, true)),
            ("enable.ssl.certificate.verification", "true", (true, true)),
            ("ssl.endpoint.identification.algorithm", "none", (true, false)),
            ("ssl.endpoint.identification.algorithm", "https", (true, true)),
        ] {
            let tls = TlsProperties::only(&[(name, value)]);
            assert_eq!((tls.verifies(), tls.names_host()), expected, "{name}={value}");
        }
    }
}
