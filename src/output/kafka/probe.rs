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
//! The probe must never stop what would work without it. Where TLS fails or an answer cannot be read, the broker is taken
//! for one of this year, and what is wrong, if anything, comes out when the producer connects.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{ErrorCode, HandshakeError, SslConnector, SslMethod, SslStream};
use openssl::x509::X509;

use super::abilities::{ANSWER_MAX, API_VERSIONS, Abilities, METADATA, Unreadable, parse};
use super::settings::Tls;

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
pub fn ask(brokers: &[String], tls: Option<&Tls>, patience: Patience) -> Result<Found, NoAnswer> {
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

fn ask_broker(broker: &str, tls: Option<&Tls>, patience: Patience) -> Result<Abilities, Trouble> {
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
    tls: Option<&'a Tls>,
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
            Some(tls) => match handshake(stream, self.host, tls)? {
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
        stream.write_all(&question)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        let mut answer = vec![0; length.min(most)];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    match answer() {
        Ok(answer) => Ok(Some(answer)),
        // How OpenSSL says what is wrong between the two, after the handshake.
        Err(error) if is_tls(&error) => Err(Trouble::Tls(error.to_string())),
        Err(_) => Ok(None),
    }
}

fn is_tls(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<openssl::ssl::Error>());
    inner.is_some_and(|error| error.code() == ErrorCode::SSL)
}

/// A connection with TLS. None: the peer hung up or was silent.
fn handshake(stream: TcpStream, host: &str, tls: &Tls) -> Result<Option<SslStream<TcpStream>>, Trouble> {
    let connector = connector(tls).map_err(Trouble::Tls)?;
    match connector.connect(host, stream) {
        Ok(stream) => Ok(Some(stream)),
        Err(HandshakeError::Failure(failure)) if failure.error().code() == ErrorCode::SSL => {
            Err(Trouble::Tls(failure.error().to_string()))
        }
        Err(HandshakeError::Failure(_) | HandshakeError::WouldBlock(_)) => Ok(None),
        Err(HandshakeError::SetupFailure(error)) => Err(Trouble::Tls(error.to_string())),
    }
}

/// With the producer's authorities and certificate. Files are read here: OpenSSL's own way panics at paths that are no
/// text.
fn connector(tls: &Tls) -> Result<SslConnector, String> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    let refused = |error: ErrorStack| error.to_string();
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(refused)?;
    let systems = || openssl_probe::probe().cert_file.ok_or("the system has no file of authorities");
    let ca = tls.ca.clone().map_or_else(systems, Ok)?;
    for authority in X509::stack_from_pem(&read(&ca)?).map_err(refused)? {
        builder.cert_store_mut().add_cert(authority).map_err(refused)?;
    }
    if let Some(certificate) = &tls.certificate {
        let mut chain = X509::stack_from_pem(&read(certificate)?).map_err(refused)?.into_iter();
        if let Some(own) = chain.next() {
            builder.set_certificate(&own).map_err(refused)?;
        }
        for other in chain {
            builder.add_extra_chain_cert(other).map_err(refused)?;
        }
    }
    if let Some(key) = &tls.key {
        // A pass phrase is always given, if an empty one: or OpenSSL would ask for it at the terminal.
        let password = tls.key_password.as_ref().map_or("", |password| password.expose());
        let key = PKey::private_key_from_pem_passphrase(&read(key)?, password.as_bytes()).map_err(refused)?;
        builder.set_private_key(&key).map_err(refused)?;
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::rsa::Rsa;
    use openssl::ssl::SslAcceptor;
    use openssl::x509::extension::SubjectAlternativeName;
    use proptest::prelude::*;

    use super::*;

    /// What a stand-in broker does with the request of this number. None: it hangs up.
    type Answers = fn(i16) -> Option<Vec<u8>>;

    const SHORT: Patience = Patience { connect: Duration::from_secs(10), answer: Duration::from_millis(100) };
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
        assert_eq!(abilities(silent, SHORT), Abilities::old());
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
        let gone = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().to_string()
        };
        let mut brokers = vec![gone(), gone()];
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

    /// A broker with TLS, and the file of its certificate, which is its own authority.
    fn with_tls(answers: Answers, folder: &Path) -> (String, Tls) {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut certificate = X509::builder().unwrap();
        certificate.set_version(2).unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        let name =
            SubjectAlternativeName::new().ip("127.0.0.1").build(&certificate.x509v3_context(None, None));
        certificate.append_extension(name.unwrap()).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = certificate.build();
        let ca = folder.join("ca.pem");
        std::fs::write(&ca, certificate.to_pem().unwrap()).unwrap();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_private_key(&key).unwrap();
        acceptor.set_certificate(&certificate).unwrap();
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
        (address, Tls { ca: Some(ca), ..Tls::default() })
    }

    #[test]
    fn a_broker_is_asked_over_tls() {
        let folder = tempfile::tempdir().unwrap();
        let (broker, tls) = with_tls(|_| Some(captured("0.11.0.3")), folder.path());
        let found = ask(std::slice::from_ref(&broker), Some(&tls), LONG).unwrap();
        assert_eq!((found.abilities.version, found.doubt), ("0.11", None));
        let (old, old_tls) = with_tls(|number| (number == METADATA).then(metadata), folder.path());
        assert_eq!(ask(&[old], Some(&old_tls), LONG).unwrap().abilities, Abilities::old());
        // Without TLS it answers nothing.
        assert!(ask_one(broker, SHORT).is_err());
    }

    #[test]
    fn tls_that_fails_stops_nothing() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (broker, _) = with_tls(|_| None, folder.path());
        let (_, stranger) = with_tls(|_| None, other.path());
        let missing = Tls { ca: Some(folder.path().join("nothing")), ..Tls::default() };
        for (tls, reason) in [(stranger, "certificate verify failed"), (missing, "cannot read")] {
            let found = ask(std::slice::from_ref(&broker), Some(&tls), LONG).unwrap();
            let doubt = found.doubt.unwrap();
            assert!(found.abilities == Abilities::CURRENT && doubt.contains(reason), "{doubt}");
        }
    }
}
