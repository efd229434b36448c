//! An HTTPS server with an authority of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

/// Answers each request with 200 and tells its `Authorization`.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    /// The authority's certificate in PEM.
    pub(crate) ca: Vec<u8>,
    pub(crate) seen: mpsc::Receiver<Option<String>>,
}

impl TlsServer {
    /// Its certificate is one for 127.0.0.1.
    pub(crate) fn start() -> TlsServer {
        let (ca_key, key) = (new_key(), new_key());
        let ca = certificate("authority", &ca_key, None);
        let own = certificate("server", &key, Some((&ca, &ca_key)));
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_private_key(&key).unwrap();
        acceptor.set_certificate(&own).unwrap();
        let acceptor = acceptor.build();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Whoever does not trust us ends the handshake.
                let Ok(stream) = acceptor.accept(stream) else { continue };
                let mut reader = BufReader::new(stream);
                let mut header = None;
                for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty())
                {
                    if let Some((name, value)) = line.split_once(": ")
                        && name.eq_ignore_ascii_case("authorization")
                    {
                        header = Some(value.to_owned());
                    }
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                reader.get_mut().write_all(answer).unwrap();
                if tell.send(header).is_err() {
                    break;
                }
            }
        });
        TlsServer { address, ca: ca.to_pem().unwrap(), seen }
    }
}

fn new_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

/// A certificate that `issuer` signs, or that signs itself and may sign others.
fn certificate(name: &str, key: &PKey<Private>, issuer: Option<(&X509, &PKey<Private>)>) -> X509 {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(u32::from(issuer.is_some()) + 1).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(issuer.map_or(&*subject, |(ca, _)| ca.subject_name())).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    if issuer.is_some() {
        let name =
            SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(name).unwrap();
    } else {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    }
    builder.sign(issuer.map_or(key, |(_, ca_key)| ca_key), MessageDigest::sha256()).unwrap();
    builder.build()
}
