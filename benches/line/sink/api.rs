//! The four requests a producer makes, each answered at once: versions, metadata, a producer id, produce.
//! Layouts: Kafka's protocol guide, <https://kafka.apache.org/protocol>.

use std::net::SocketAddr;

use super::wire::{Input, Output};

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const INIT_PRODUCER_ID: i16 = 22;

/// Kafka's error `UNSUPPORTED_VERSION`.
const UNSUPPORTED_VERSION: i16 = 35;

/// What we name to clients: key, lowest and highest version. Fetch is never answered, but librdkafka writes the
/// message format of 2016 to a broker that does not name it. Metadata goes up to topic ids, as brokers since 2.8.
const VERSIONS: [(i16, i16, i16); 5] =
    [(PRODUCE, 3, 9), (FETCH, 4, 11), (METADATA, 4, 12), (API_VERSIONS, 0, 3), (INIT_PRODUCER_ID, 0, 4)];

/// Our only node.
const NODE: i32 = 1;

/// What this broker says of itself.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    /// Partitions of every topic; any topic exists.
    pub(crate) partitions: i32,
}

impl Broker {
    /// Answers a request (without the size in front), with the size in front. What is produced goes to `produced`,
    /// topic and record batches. An empty answer means that none is wanted; `None`, that it makes no sense to us.
    pub(crate) fn answer(&self, request: &[u8], mut produced: impl FnMut(&[u8], &[u8])) -> Option<Vec<u8>> {
        let mut input = Input::new(request, false);
        let (key, version, correlation) = (input.i16()?, input.i16()?, input.i32()?);
        input.string()?;
        let &(_, lowest, highest) = VERSIONS.iter().find(|entry| entry.0 == key)?;
        input.flexible = match key {
            PRODUCE | METADATA => version >= 9,
            API_VERSIONS => version >= 3,
            _ => version >= 2,
        };
        let mut out = Output { bytes: vec![0; 4], flexible: input.flexible };
        out.i32(correlation);
        if key == API_VERSIONS {
            api_versions(version, (lowest..=highest).contains(&version), &mut out);
        } else {
            input.tagged()?;
            out.tagged();
            match key {
                METADATA => self.metadata(version, &mut input, &mut out)?,
                INIT_PRODUCER_ID => init_producer_id(&mut out),
                PRODUCE => {
                    if !produce(version, &mut input, &mut out, &mut produced)? {
                        return Some(Vec::new());
                    }
                }
                _ => return None,
            }
        }
        let size = u32::try_from(out.bytes.len() - 4).expect("answers are short");
        out.bytes[..4].copy_from_slice(&size.to_be_bytes());
        Some(out.bytes)
    }

    fn metadata(&self, version: i16, input: &mut Input<'_>, out: &mut Output) -> Option<()> {
        let mut topics = Vec::new();
        for _ in 0..input.length()? {
            if version >= 10 {
                input.take(16)?;
            }
            topics.push(input.string()?);
            input.tagged()?;
        }
        out.i32(0); // throttle
        out.length(1);
        out.i32(NODE);
        out.string(self.address.ip().to_string().as_bytes());
        out.i32(i32::from(self.address.port()));
        out.null_string(); // rack
        out.tagged();
        out.string(b"bench");
        out.i32(NODE); // controller
        out.length(topics.len());
        for topic in topics {
            self.topic(version, topic, out);
        }
        if (8..=10).contains(&version) {
            out.i32(i32::MIN);
        }
        out.tagged();
        Some(())
    }

    fn topic(&self, version: i16, name: &[u8], out: &mut Output) {
        out.i16(0);
        out.string(name);
        if version >= 10 {
            out.bytes.extend_from_slice(&topic_id(name));
        }
        out.i8(0); // not internal
        out.length(usize::try_from(self.partitions).expect("checked at start"));
        for partition in 0..self.partitions {
            out.i16(0);
            out.i32(partition);
            out.i32(NODE);
            if version >= 7 {
                out.i32(0); // leader epoch
            }
            for nodes in [&[NODE][..], &[NODE]] {
                out.length(nodes.len()); // replicas, in-sync replicas
                for &node in nodes {
                    out.i32(node);
                }
            }
            if version >= 5 {
                out.length(0); // off line
            }
            out.tagged();
        }
        if version >= 8 {
            out.i32(i32::MIN); // operations not asked for
        }
        out.tagged();
    }
}

fn api_versions(version: i16, supported: bool, out: &mut Output) {
    // The form of version 0 answers a version that is too high, and a client then asks again.
    out.flexible &= supported;
    out.i16(if supported { 0 } else { UNSUPPORTED_VERSION });
    out.length(VERSIONS.len());
    for (key, lowest, highest) in VERSIONS {
        out.i16(key);
        out.i16(lowest);
        out.i16(highest);
        out.tagged();
    }
    if supported && version >= 1 {
        out.i32(0); // throttle
    }
    out.tagged();
}

fn init_producer_id(out: &mut Output) {
    out.i32(0); // throttle
    out.i16(0);
    out.i64(1);
    out.i16(0); // epoch
    out.tagged();
}

/// Whether the client wants an answer.
fn produce(
    version: i16,
    input: &mut Input<'_>,
    out: &mut Output,
    produced: &mut impl FnMut(&[u8], &[u8]),
) -> Option<bool> {
    input.string()?; // transactional id
    let acks = input.i16()?;
    input.i32()?; // time-out
    let topics = input.length()?;
    out.length(topics);
    for _ in 0..topics {
        let topic = input.string()?;
        out.string(topic);
        let partitions = input.length()?;
        out.length(partitions);
        for _ in 0..partitions {
            let partition = input.i32()?;
            let size = input.length()?;
            produced(topic, input.take(size)?);
            input.tagged()?;
            out.i32(partition);
            out.i16(0);
            out.i64(0); // base offset
            out.i64(-1); // append time
            if version >= 5 {
                out.i64(0); // log start
            }
            if version >= 8 {
                out.length(0); // record errors
                out.null_string();
            }
            out.tagged();
        }
        input.tagged()?;
        out.tagged();
    }
    out.i32(0); // throttle
    out.tagged();
    Some(acks != 0)
}

/// An id that is always the same for a name, and never zero.
fn topic_id(name: &[u8]) -> [u8; 16] {
    let hash = |seed: u64| {
        name.iter().fold(seed, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let id = u128::from(hash(0xcbf2_9ce4_8422_2325)) << 64 | u128::from(hash(0x1234_5678_9abc_def1) | 1);
    id.to_be_bytes()
}
