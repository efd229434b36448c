//! Asks the first broker that can be reached what it can do, before a producer is made. It blocks, within times.
//!
//! # The question
//! `ApiVersions` in its first version, which every broker since 0.10 answers before anything else, log-in included. It comes
//! with no client id: brokers of 0.9 hang up on that at once, where they stay silent at librdkafka's form of it.
//!
//! # No answer
//! A broker that hangs up or is silent is asked for metadata on a new connection, which is as old as Kafka. If that is
//! not answered either, nobody is there yet: it is starting or stopping, or its port expects something else, and the
//! caller asks again later. If it is, and again no answer to `ApiVersions` comes, the broker is from before 0.10. Twice,
//! because one that stops or is busy in between looks the same, and a young broker that is taken for an old one loses
//! its headers until the next producer is made.
//!
//! # Doubt
//! The probe must never stop what would work without it. Where TLS fails, or is set to something that only the producer
//! can do (`tls`), or an answer cannot be read, the broker is taken for one of this year, and what is wrong, if anything,
//! comes out when the producer connects.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::abilities::{ANSWER_MAX, API_VERSIONS, Abilities, METADATA, Unreadable, parse};
use super::tls::{TlsProperties, handshake, is_tls};

/// Marks our questions.
const CORRELATION: i32 = 7;

/// How often a broker has to leave `ApiVersions` unanswered, and answer a request for metadata, to count as old.
const TIMES: usize = 2;

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To connect to one address.
    pub connect: Duration,
    /// For each read and write.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { connect: Duration::from_secs(3), answer: Duration::from_secs(3) }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Who answered, as the list of brokers names it.
    pub broker: String,
    /// What it can do.
    pub abilities: Abilities,
    /// Why that is only taken for granted; none: it said so.
    pub doubt: Option<String>,
}

/// Nobody answered: of each broker, why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct NoAnswer(Vec<String>);

/// Why one broker did not say what it can do.
#[derive(Debug)]
enum Trouble {
    /// There is no connection to it.
    Unreachable(io::Error),
    /// It hung up or was silent, also when it was asked for metadata.
    Silent,
    /// TLS came to nothing.
    Tls(String),
    /// It said something else.
    Unreadable(Unreadable),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Unreachable(error) => write!(f, "{error}"),
            Trouble::Silent => {
                write!(
                    f,
                    "it takes connections and answers nothing; if a broker runs there, its port may expect TLS or SASL"
                )
            }
            Trouble::Tls(reason) => write!(f, "TLS failed: {reason}"),
            Trouble::Unreadable(reason) => write!(f, "its answer cannot be read: {reason}"),
        }
    }
}

/// Asks the brokers of a list, one after the other, until one has answered.
///
/// # Errors
/// No broker of the list answers.
pub fn ask(brokers: &[String], tls: Option<&TlsProperties>, patience: Patience) -> Result<Found, NoAnswer> {
    let mut silent = Vec::new();
    let mut doubtful = None;
    for broker in brokers {
        match ask_broker(broker, tls, patience) {
            Ok(abilities) => return Ok(Found { broker: broker.clone(), abilities, doubt: None }),
            Err(trouble @ (Trouble::Unreachable(_) | Trouble::Silent)) => {
                silent.push(format!("{broker}: {trouble}"));
            }
            Err(trouble) => doubtful = doubtful.or(Some((broker.clone(), trouble.to_string()))),
        }
    }
    let (broker, doubt) = doubtful.ok_or(NoAnswer(silent))?;
    Ok(Found { broker, abilities: Abilities::CURRENT, doubt: Some(doubt) })
}

fn ask_broker(broker: &str, tls: Option<&TlsProperties>, patience: Patience) -> Result<Abilities, Trouble> {
    let mut error = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in broker.to_socket_addrs().map_err(Trouble::Unreachable)? {
        let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
        let line = Line { address, host: host.trim_matches(['[', ']']), tls, patience };
        match line.ask() {
            Err(Trouble::Unreachable(cause)) => error = cause,
            other => return other,
        }
    }
    Err(Trouble::Unreachable(error))
}

/// Where one address of a broker is, and how it is spoken to.
struct Line<'a> {
    address: SocketAddr,
    host: &'a str,
    tls: Option<&'a TlsProperties>,
    patience: Patience,
}

impl Line<'_> {
    fn ask(&self) -> Result<Abilities, Trouble> {
        for _ in 0..TIMES {
            if let Some(answer) = self.request(API_VERSIONS, ANSWER_MAX)? {
                return parse(&answer, CORRELATION).map_err(Trouble::Unreadable);
            }
            // Its first bytes say enough: that somebody answers. It may be about all topics of a large cluster.
            match self.request(METADATA, 4)? {
                Some(answer) if answer == CORRELATION.to_be_bytes() => {}
                _ => return Err(Trouble::Silent),
            }
        }
        Ok(Abilities::old())
    }

    /// Puts a question on a connection of its own and gives up to `most` bytes of the answer, without its length. None: it
    /// was not answered.
    fn request(&self, number: i16, most: usize) -> Result<Option<Vec<u8>>, Trouble> {
        let stream = TcpStream::connect_timeout(&self.address, self.patience.connect)
            .and_then(|stream| {
                stream.set_read_timeout(Some(self.patience.answer))?;
                stream.set_write_timeout(Some(self.patience.answer))?;
                Ok(stream)
            })
            .map_err(Trouble::Unreachable)?;
        match self.tls {
            None => exchange(stream, number, most),
            Some(tls) => match handshake(stream, self.host, tls).map_err(Trouble::Tls)? {
                Some(stream) => exchange(stream, number, most),
                None => Ok(None),
            },
        }
    }
}

/// One question and its answer.
fn exchange(mut stream: impl Read + Write, number: i16, most: usize) -> Result<Option<Vec<u8>>, Trouble> {
    let mut question = Vec::new();
    question.extend(number.to_be_bytes());
    // Version 0, and a client without a name.
    question.extend(0i16.to_be_bytes());
    question.extend(CORRELATION.to_be_bytes());
    question.extend((-1i16).to_be_bytes());
    if number == METADATA {
        // Of no topics in particular: one that is named might be made.
        question.extend(0i32.to_be_bytes());
    }
    let length = u32::try_from(question.len()).expect("a question is short");
    question.splice(..0, length.to_be_bytes());
    let mut answer = || {
        match stream.write_all(&question) {
            Err(error) if is_tls(&error) => return Err(error),
            // One that lets nobody in without papers says so and closes, maybe before it is asked.
            _ => {}
        }
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        let mut answer = vec![0; length.min(most)];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    match answer() {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_tls(&error) => Err(Trouble::Tls(error.to_string())),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::pkcs12::Pkcs12;
    use openssl::pkey::{PKey, Private};
    use openssl::rsa::Rsa;
    use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode};
    use openssl::symm::Cipher;
    use openssl::x509::extension::SubjectAlternativeName;
    use openssl::x509::{X509, X509Name};
    use proptest::prelude::*;

    use super::*;
    use crate::dcos::testing::closed_port;

    /// What a stand-in broker does with the request of this number. None: it hangs up.
    type Answers = fn(i16) -> Option<Vec<u8>>;

    /// For one that is silent.
    const SHORT: Patience = Patience { connect: Duration::from_secs(10), answer: Duration::from_millis(100) };
    /// For one that is silent now and then, and has time for what it answers.
    const MEDIUM: Patience = Patience { connect: Duration::from_secs(10), answer: Duration::from_secs(2) };
    const LONG: Patience = Patience { connect: Duration::from_secs(10), answer: Duration::from_secs(10) };

    fn framed(answer: &[u8]) -> Vec<u8> {
        [&u32::try_from(answer.len()).unwrap().to_be_bytes(), answer].concat()
    }

    fn captured(version: &str) -> Vec<u8> {
        let file = format!("{}/tests/data/kafka/api-versions-{version}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(file).unwrap()
    }

    fn metadata() -> Vec<u8> {
        framed(&[0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Reads one question, and answers it or not.
    fn answer(mut stream: impl Read + Write, answers: impl Fn(i16) -> Option<Vec<u8>>) -> Option<()> {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut question = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut question).ok()?;
        let answer = answers(i16::from_be_bytes([question[0], question[1]]))?;
        stream.write_all(&answer).ok()?;
        // Until the peer has what it wants.
        _ = stream.read(&mut length);
        None
    }

    /// A broker in a thread, at the address that is given back. The thread ends with the tests.
    fn stand_in(answers: impl Fn(i16) -> Option<Vec<u8>> + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &answers);
            }
        });
        address
    }

    fn ask_one(broker: String, patience: Patience) -> Result<Found, NoAnswer> {
        ask(&[broker], None, patience)
    }

    fn abilities(answers: Answers, patience: Patience) -> Abilities {
        let found = ask_one(stand_in(answers), patience).unwrap();
        assert_eq!(found.doubt, None);
        found.abilities
    }

    #[test]
    fn a_broker_says_what_it_can_do() {
        let like = |found: &Abilities| found.version;
        assert_eq!(like(&abilities(|_| Some(captured("0.10.2.2")), LONG)), "0.10");
        assert_eq!(like(&abilities(|_| Some(captured("4.3.1")), LONG)), "4.1");
    }

    #[test]
    fn one_that_hangs_up_and_has_metadata_is_old() {
        assert_eq!(abilities(|number| (number == METADATA).then(metadata), LONG), Abilities::old());
    }

    #[test]
    fn one_that_is_silent_and_has_metadata_is_old() {
        let silent = |number| Some(if number == METADATA { metadata() } else { Vec::new() });
        assert_eq!(abilities(silent, MEDIUM), Abilities::old());
    }

    #[test]
    fn one_that_was_busy_once_is_not_old() {
        let asked = std::sync::atomic::AtomicU32::new(0);
        let broker = stand_in(move |number| match number {
            METADATA => Some(metadata()),
            _ if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => None,
            _ => Some(captured("4.3.1")),
        });
        assert_eq!(ask_one(broker, LONG).unwrap().abilities.version, "4.1");
    }

    #[test]
    fn one_that_answers_nothing_is_nobody() {
        for (answers, patience) in [((|_| None) as Answers, LONG), (|_| Some(Vec::new()), SHORT)] {
            let broker = stand_in(answers);
            let told = ask_one(broker.clone(), patience).unwrap_err().to_string();
            assert!(told.starts_with(&broker) && told.contains("TLS or SASL"), "{told}");
        }
    }

    #[test]
    fn everybody_who_cannot_be_reached_is_named_and_the_next_is_asked() {
        let gone = [(); 2].map(|()| closed_port());
        let mut brokers: Vec<String> =
            gone.iter().map(|(_, base)| base.trim_start_matches("http://").to_owned()).collect();
        let told = ask(&brokers, None, LONG).unwrap_err().to_string();
        assert!(brokers.iter().all(|broker| told.contains(broker)) && told.contains("refused"), "{told}");
        brokers.push(stand_in(|_| Some(captured("1.1.1"))));
        let found = ask(&brokers, None, LONG).unwrap();
        assert_eq!((found.broker, found.abilities.version), (brokers[2].clone(), "1.0"));
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_taken_for_a_broker_of_today() {
        let long = |_: i16| Some(framed(&vec![0; 100_000]));
        let error = |_: i16| Some(framed(&[0, 0, 0, 7, 0, 35, 0, 0, 0, 0]));
        for answers in [long as Answers, error] {
            let found = ask_one(stand_in(answers), LONG).unwrap();
            assert_eq!(found.abilities, Abilities::CURRENT);
            assert!(found.doubt.unwrap().contains("cannot be read"));
        }
    }

    /// A stream that has its bytes ready.
    struct Ready(io::Cursor<Vec<u8>>);

    impl Read for Ready {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Ready {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn any_bytes_cost_nothing(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let read = exchange(Ready(io::Cursor::new(bytes)), API_VERSIONS, ANSWER_MAX).unwrap();
            assert!(read.is_none_or(|answer| answer.len() <= ANSWER_MAX));
        }
    }

    /// A certificate that is its own authority, and its key.
    struct Papers {
        certificate: X509,
        key: PKey<Private>,
        _folder: tempfile::TempDir,
        /// Files of the two, and the folder of authorities as OpenSSL's tools make it.
        pem: String,
        key_pem: String,
        authorities: String,
    }

    impl Papers {
        /// Those of a host; an address if it is one.
        fn of(host: &str) -> Papers {
            let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
            let mut name = X509Name::builder().unwrap();
            name.append_entry_by_text("CN", host).unwrap();
            let name = name.build();
            let mut certificate = X509::builder().unwrap();
            certificate.set_version(2).unwrap();
            certificate.set_subject_name(&name).unwrap();
            certificate.set_issuer_name(&name).unwrap();
            certificate.set_pubkey(&key).unwrap();
            certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
            certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
            let mut alternative = SubjectAlternativeName::new();
            let is_address = host.parse::<std::net::IpAddr>().is_ok();
            if is_address {
                alternative.ip(host)
            } else {
                alternative.dns(host)
            };
            let alternative = alternative.build(&certificate.x509v3_context(None, None)).unwrap();
            certificate.append_extension(alternative).unwrap();
            certificate.sign(&key, MessageDigest::sha256()).unwrap();
            let certificate = certificate.build();
            let folder = tempfile::tempdir().unwrap();
            let write = |name: &str, bytes: &[u8]| {
                let path = folder.path().join(name);
                std::fs::write(&path, bytes).unwrap();
                path.to_str().unwrap().to_owned()
            };
            write(&format!("{:08x}.0", certificate.subject_name_hash()), &certificate.to_pem().unwrap());
            Papers {
                pem: write("certificate.pem", &certificate.to_pem().unwrap()),
                key_pem: write("key.pem", &key.private_key_to_pem_pkcs8().unwrap()),
                authorities: folder.path().to_str().unwrap().to_owned(),
                certificate,
                key,
                _folder: folder,
            }
        }

        fn text(&self) -> String {
            String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
        }

        fn key_text(&self) -> String {
            String::from_utf8(self.key.private_key_to_pem_pkcs8().unwrap()).unwrap()
        }
    }

    /// A broker with TLS. Whoever comes has to have the papers of `client`, if there is one.
    fn with_tls(answers: Answers, papers: &Papers, client: Option<&Papers>) -> String {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_private_key(&papers.key).unwrap();
        acceptor.set_certificate(&papers.certificate).unwrap();
        if let Some(client) = client {
            acceptor.cert_store_mut().add_cert(client.certificate.clone()).unwrap();
            acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        let acceptor = acceptor.build();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that does not trust us goes away in the middle.
                if let Ok(stream) = acceptor.accept(stream.unwrap()) {
                    answer(stream, answers);
                }
            }
        });
        address
    }

    /// Why what the broker can do is only taken for granted; none: it was asked over TLS with these properties.
    fn doubt(broker: &str, properties: &[(&str, &str)]) -> Option<String> {
        let found = ask(&[broker.to_owned()], Some(&TlsProperties::only(properties)), LONG).unwrap();
        assert_eq!(found.abilities.version, if found.doubt.is_some() { "unknown" } else { "0.11" });
        found.doubt
    }

    /// Has closed, and said something before.
    struct Closed(&'static [u8]);

    impl Read for Closed {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_peer_said_before_it_closed_is_heard() {
        let heard = exchange(Closed(b"\0\0\0\x03why"), API_VERSIONS, ANSWER_MAX).unwrap();
        assert_eq!(heard.as_deref(), Some(&b"why"[..]));
        assert!(exchange(Closed(b""), API_VERSIONS, ANSWER_MAX).unwrap().is_none());
    }

    #[test]
    fn a_broker_is_asked_over_tls() {
        let papers = Papers::of("127.0.0.1");
        let broker = with_tls(|_| Some(captured("0.11.0.3")), &papers, None);
        let trusting = [("ssl.ca.location", papers.pem.as_str())];
        assert_eq!(doubt(&broker, &trusting), None);
        let old = with_tls(|number| (number == METADATA).then(metadata), &papers, None);
        let found = ask(&[old], Some(&TlsProperties::only(&trusting)), LONG).unwrap();
        assert_eq!(found.abilities, Abilities::old());
        // Without TLS it answers nothing.
        assert!(ask_one(broker, SHORT).is_err());
    }

    #[test]
    fn every_form_of_an_authority_is_the_producers() {
        let (papers, elsewhere) = (Papers::of("127.0.0.1"), Papers::of("elsewhere.example"));
        let broker = with_tls(|_| Some(captured("0.11.0.3")), &papers, None);
        let (text, stranger) = (papers.text(), elsewhere.text());
        for properties in [
            &[("ssl.ca.location", papers.pem.as_str())][..],
            &[("ssl.ca.location", &papers.authorities)],
            &[("ssl.ca.pem", &text)],
            &[("ssl.ca.location", &elsewhere.pem), ("ssl.ca.pem", &text)],
            &[("enable.ssl.certificate.verification", "false")],
            &[("ssl.ca.pem", &stranger), ("enable.ssl.certificate.verification", "false")],
        ] {
            assert_eq!(doubt(&broker, properties), None, "{properties:?}");
        }
        let other = with_tls(|_| Some(captured("0.11.0.3")), &elsewhere, None);
        let trusting = ("ssl.ca.location", elsewhere.pem.as_str());
        assert!(doubt(&other, &[trusting]).unwrap().contains("certificate verify failed"));
        assert_eq!(doubt(&other, &[trusting, ("ssl.endpoint.identification.algorithm", "none")]), None);
    }

    #[test]
    fn every_form_of_our_own_papers_is_the_producers() {
        let (papers, client) = (Papers::of("127.0.0.1"), Papers::of("collector"));
        let broker = with_tls(|_| Some(captured("0.11.0.3")), &papers, Some(&client));
        let trusting = ("ssl.ca.location", papers.pem.as_str());
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let locked = client.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"open").unwrap();
        let locked = write("locked.pem", &locked);
        let mut store = Pkcs12::builder();
        store.pkey(&client.key).cert(&client.certificate);
        let store = write("store.p12", &store.build2("sesame").unwrap().to_der().unwrap());
        let (text, key_text) = (client.text(), client.key_text());
        let file = ("ssl.certificate.location", client.pem.as_str());
        for ours in [
            &[file, ("ssl.key.location", &client.key_pem)][..],
            &[file, ("ssl.key.location", &locked), ("ssl.key.password", "open")],
            &[("ssl.certificate.pem", &text), ("ssl.key.pem", &key_text)],
            &[("ssl.keystore.location", &store), ("ssl.keystore.password", "sesame")],
        ] {
            assert_eq!(doubt(&broker, &[&[trusting], ours].concat()), None, "{ours:?}");
        }
        assert!(doubt(&broker, &[trusting]).unwrap().contains("TLS failed"), "nobody comes in without");
    }

    #[test]
    fn tls_that_fails_or_that_only_the_producer_can_do_stops_nothing() {
        let (papers, other) = (Papers::of("127.0.0.1"), Papers::of("127.0.0.1"));
        let broker = with_tls(|_| Some(captured("0.11.0.3")), &papers, None);
        let trusting = ("ssl.ca.location", papers.pem.as_str());
        for (properties, reason) in [
            (&[("ssl.ca.location", other.pem.as_str())][..], "certificate verify failed"),
            (&[("ssl.ca.location", "/nowhere/ca.pem")], "cannot read"),
            (&[trusting, ("ssl.key.location", "/nowhere/key.pem")], "cannot read"),
            (&[trusting, ("ssl.key.pem", "nothing")], "TLS failed"),
            (&[trusting, ("ssl.cipher.suites", "none-such")], "no cipher match"),
            (&[trusting, ("ssl.curves.list", "none-such")], "TLS failed"),
            (&[trusting, ("ssl.sigalgs.list", "none-such")], "TLS failed"),
            (&[trusting, ("ssl.crl.location", "crl.pem")], "with kafka-property ssl.crl.location"),
            (&[trusting, ("ssl.engine.id", "dynamic")], "with kafka-property ssl.engine.id"),
        ] {
            let doubt = doubt(&broker, properties).unwrap_or_default();
            assert!(doubt.contains(reason), "{reason}: {doubt}");
        }
    }
}
