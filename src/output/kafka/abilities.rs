//! What a broker can do, from its own answer. Pure: the question is put by `probe`.
//!
//! Brokers are asked because librdkafka does not tell what it left out. Below Kafka 0.11 it drops headers, and below 2.1
//! it stores zstd uncompressed, both without a word; with a broker before 0.11 an idempotent producer fails for good; and
//! with one before 0.10, which does not know the question that librdkafka opens each connection with, it asks for ever.
//! So the producer is made to fit: what the broker lacks is switched off, and said.
//!
//! # The answer
//! To the first version of the request `ApiVersions`, which all brokers since 0.10 answer: a correlation id, an error code,
//! and of each request that the broker takes a triple of its number, its lowest and its highest version. Nothing of it is
//! believed before it is bounded: an answer has at most [`ANSWER_MAX`] bytes, and the count of triples has to fit into
//! the bytes that are there.

use super::settings::{Compression, Config};

/// Largest answer that is read. The longest of a real broker, with a hundred requests, has less than 1 KiB.
pub(super) const ANSWER_MAX: usize = 16 * 1024;

/// Numbers of requests.
pub(super) const PRODUCE: i16 = 0;
pub(super) const METADATA: i16 = 3;
pub(super) const API_VERSIONS: i16 = 18;
const INIT_PRODUCER_ID: i16 = 22;

/// Which highest version of Produce came with which version of Kafka.
const RELEASES: [(i16, &str); 11] = [
    (13, "4.1"),
    (12, "4.0"),
    (11, "3.8"),
    (10, "3.7"),
    (9, "2.8"),
    (8, "2.4"),
    (7, "2.1"),
    (6, "2.0"),
    (5, "1.0"),
    (3, "0.11"),
    (i16::MIN, "0.10"),
];

/// What a broker can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an ability")]
pub struct Abilities {
    /// The oldest Kafka that can do as much.
    pub(super) version: &'static str,
    /// It tells what it can do. Before 0.10 none did.
    pub(super) answers: bool,
    /// Its cluster has an id, which is little to ask for (0.10.1).
    pub(super) cluster_id: bool,
    /// It removes what a producer sends twice (0.11).
    pub(super) idempotence: bool,
    /// It keeps the headers of messages (0.11).
    pub(super) headers: bool,
    /// It takes messages that zstd compressed (2.1).
    pub(super) zstd: bool,
}

/// The Kafka before 0.10.
const OLD: Abilities = Abilities {
    version: "0.9",
    answers: false,
    cluster_id: false,
    idempotence: false,
    headers: false,
    zstd: false,
};

/// What makes librdkafka speak to brokers before 0.10. Both are needed, and with younger brokers harm. It warns that they
/// will go one day; nobody but us can do something about that.
pub(super) const FOR_OLD: [(&str, &str); 2] =
    [("api.version.request", "false"), ("broker.version.fallback", "0.9.0.1")];

/// What the operator may say that brokers are (`kafka-broker-version`). The first leaves it to them.
pub const PINS: [&str; 11] = ["auto", "0.9", "0.10", "0.11", "1.0", "1.1", "2.0", "2.1", "2.4", "2.8", "4.0"];

/// A thing that a producer does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Negotiation,
    Idempotence,
    Headers,
    Zstd,
}

impl Lack {
    /// Its name in the status.
    pub(super) fn name(self) -> &'static str {
        match self {
            Lack::Negotiation => "version_negotiation",
            Lack::Idempotence => "idempotence",
            Lack::Headers => "headers",
            Lack::Zstd => "zstd",
        }
    }

    /// What that means, for the log.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Lack::Negotiation => {
                "does not say what it can do: messages go out as Kafka 0.9 takes them; when the brokers are upgraded, \
                 restart the collector"
            }
            Lack::Idempotence => {
                "does not remove repeats: idempotence is off; a message that is sent again may be there twice"
            }
            Lack::Headers => {
                "does not keep headers: messages go without them; consumers cannot tell gaps and repeats by them"
            }
            Lack::Zstd => "does not take zstd: messages are compressed with snappy",
        }
    }
}

/// Why an answer says nothing of what a broker can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Shorter than it says, or than any answer.
    #[error("it is cut short")]
    Short,
    /// To another question.
    #[error("it belongs to no question of ours")]
    Stray,
    /// The broker's own word.
    #[error("it is the error {0}")]
    Error(i16),
    /// A part of Kafka that keeps no messages.
    #[error("whoever answers takes no messages")]
    NoBroker,
}

impl Default for Abilities {
    fn default() -> Abilities {
        Abilities::CURRENT
    }
}

impl Abilities {
    /// A broker of this year: what is taken for granted where nothing is known.
    pub(super) const CURRENT: Abilities = Abilities {
        version: "unknown",
        answers: true,
        cluster_id: true,
        idempotence: true,
        headers: true,
        zstd: true,
    };

    /// Those of a broker that knows Produce and Metadata up to these versions.
    fn of_versions(produce: i16, metadata: i16, idempotence: bool) -> Abilities {
        let release = RELEASES.iter().find(|(since, _)| produce >= *since);
        Abilities {
            version: release.map_or("0.10", |(_, version)| version),
            answers: true,
            cluster_id: metadata >= 2,
            idempotence,
            headers: produce >= 3,
            zstd: produce >= 7,
        }
    }

    /// Those of the brokers before 0.10.
    pub(super) fn old() -> Abilities {
        OLD
    }

    /// Those of one of [`PINS`]; none for `auto`.
    ///
    /// # Panics
    /// If it is none of them.
    #[must_use]
    pub fn pinned(pin: &str) -> Option<Abilities> {
        let pin = PINS.iter().find(|known| **known == pin).expect("the word is one of the pins");
        let (produce, metadata) = match *pin {
            "auto" => return None,
            "0.9" => return Some(OLD),
            "0.10" => (2, 1),
            "0.11" => (3, 4),
            "1.0" | "1.1" => (5, 5),
            "2.0" => (6, 6),
            "2.1" => (7, 7),
            "2.4" => (8, 9),
            "2.8" => (9, 11),
            "4.0" => (12, 13),
            other => unreachable!("{other} is no pin"),
        };
        Some(Abilities { version: pin, ..Abilities::of_versions(produce, metadata, produce >= 3) })
    }

    /// What a producer of these settings has to do without.
    pub(super) fn lacks(&self, config: &Config) -> Vec<Lack> {
        let mut lacks = Vec::new();
        let mut note = |lacking: bool, lack: Lack| {
            if lacking {
                lacks.push(lack);
            }
        };
        note(!self.answers, Lack::Negotiation);
        note(!self.idempotence && config.require_all_acks, Lack::Idempotence);
        note(!self.headers, Lack::Headers);
        note(!self.zstd && config.compression == Compression::Zstd, Lack::Zstd);
        lacks
    }

    /// The properties of librdkafka without which it does not speak to them.
    #[must_use]
    pub fn protocol(&self) -> &'static [(&'static str, &'static str)] {
        if self.answers { &[] } else { &FOR_OLD }
    }

    /// The compression to use.
    pub(super) fn compression(&self, wanted: Compression) -> Compression {
        if wanted == Compression::Zstd && !self.zstd { Compression::Snappy } else { wanted }
    }
}

/// Reads the body of an answer to `ApiVersions`, without the length in front of it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(answer: &[u8], correlation: i32) -> Result<Abilities, Unreadable> {
    let mut rest = answer;
    if i32::from_be_bytes(take(&mut rest)?) != correlation {
        return Err(Unreadable::Stray);
    }
    match i16::from_be_bytes(take(&mut rest)?) {
        0 => {}
        error => return Err(Unreadable::Error(error)),
    }
    let count = usize::try_from(i32::from_be_bytes(take(&mut rest)?)).map_err(|_| Unreadable::Short)?;
    let triples = rest.chunks_exact(6);
    if triples.len() < count {
        return Err(Unreadable::Short);
    }
    let number = |triple: &[u8], at: usize| i16::from_be_bytes([triple[at], triple[at + 1]]);
    let (mut produce, mut metadata, mut idempotence) = (None, 0, false);
    for triple in triples.take(count) {
        match number(triple, 0) {
            PRODUCE => produce = Some(number(triple, 4)),
            METADATA => metadata = number(triple, 4),
            INIT_PRODUCER_ID => idempotence = number(triple, 4) >= 0,
            _ => {}
        }
    }
    Ok(Abilities::of_versions(produce.ok_or(Unreadable::NoBroker)?, metadata, idempotence))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Unreadable> {
    let (head, tail) = rest.split_first_chunk().ok_or(Unreadable::Short)?;
    *rest = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn captured(version: &str) -> Vec<u8> {
        let file = format!("{}/tests/data/kafka/api-versions-{version}", env!("CARGO_MANIFEST_DIR"));
        // The length in front is the probe's to read.
        std::fs::read(&file).unwrap_or_else(|e| panic!("{file}: {e}")).split_off(4)
    }

    #[test]
    fn real_brokers_are_known_by_their_answers() {
        for (version, like, idempotence, headers, zstd) in [
            ("0.10.0.1", "0.10", false, false, false),
            ("0.10.2.2", "0.10", false, false, false),
            ("0.11.0.3", "0.11", true, true, false),
            ("1.1.1", "1.0", true, true, false),
            ("2.4.1", "2.4", true, true, true),
            ("2.8.2", "2.8", true, true, true),
            ("3.9.2", "3.8", true, true, true),
            ("4.3.1", "4.1", true, true, true),
        ] {
            let cluster_id = version != "0.10.0.1";
            let expected = Abilities { version: like, answers: true, cluster_id, idempotence, headers, zstd };
            assert_eq!(parse(&captured(version), 7), Ok(expected), "{version}");
        }
    }

    #[test]
    fn an_answer_that_says_nothing_is_told_apart() {
        let whole = captured("4.3.1");
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut], 7), Err(Unreadable::Short), "{cut} bytes");
        }
        assert_eq!(parse(&whole, 8), Err(Unreadable::Stray));
        assert_eq!(parse(&[0, 0, 0, 7, 0, 35, 0, 0, 0, 0], 7), Err(Unreadable::Error(35)));
        assert_eq!(parse(&[0, 0, 0, 7, 0, 0, 0xff, 0xff, 0xff, 0xff], 7), Err(Unreadable::Short));
        assert_eq!(parse(&[0, 0, 0, 7, 0, 0, 0x7f, 0xff, 0xff, 0xff], 7), Err(Unreadable::Short));
        let controller = [0, 0, 0, 7, 0, 0, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4];
        assert_eq!(parse(&controller, 7), Err(Unreadable::NoBroker));
    }

    #[test]
    fn each_pin_is_a_broker() {
        assert_eq!(Abilities::pinned("auto"), None);
        for (pin, answers, idempotence, headers, zstd) in [
            ("0.9", false, false, false, false),
            ("0.10", true, false, false, false),
            ("0.11", true, true, true, false),
            ("1.1", true, true, true, false),
            ("2.0", true, true, true, false),
            ("2.1", true, true, true, true),
            ("4.0", true, true, true, true),
        ] {
            let cluster_id = headers;
            let expected = Abilities { version: pin, answers, cluster_id, idempotence, headers, zstd };
            assert_eq!(Abilities::pinned(pin), Some(expected));
        }
        for pin in &PINS[1..] {
            assert_eq!(Abilities::pinned(pin).map(|abilities| abilities.version), Some(*pin));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            _ = parse(&bytes, 7);
            let mut told = vec![0, 0, 0, 7, 0, 0];
            told.extend(bytes);
            _ = parse(&told, 7);
        }
    }
}
