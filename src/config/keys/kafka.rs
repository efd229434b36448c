//! Rows: the Kafka output.

use std::time::Duration;

use super::{Key, Kind, MIB};
use crate::output::kafka::PINS;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "kafka",
        Kind::Bool,
        "Send to Kafka. false sends nothing there: records are accepted, counted and go to partners alone, who have all of \
         spool-memory then. Of use to try out senders.",
    )
    .or("true")
    .env(&["KAFKA"]),
    Key::new(
        "kafka-brokers",
        Kind::Brokers,
        "Kafka brokers to begin with, host:port between commas. Not set: those of kafka-framework are found. Two or three \
         of a cluster are enough, the others are found through them; the port is 9092 where none is given, and an IPv6 \
         address stands in brackets. @/path/to/file reads them from a file, between commas or on lines of their own, at the \
         start and with each reload. Empty and repeated entries are passed over with a warning.",
    )
    .env(&["KAFKA_BROKERS"])
    .live(),
    Key::new(
        "kafka-broker-version",
        Kind::Choice(&PINS),
        "Version of the Kafka brokers; auto asks them before it connects. What they lack is done without: below 0.11 \
         idempotence and message headers, below 2.1 zstd, in whose place snappy is used, below 0.10 all that is newer. \
         The log says so once, and /v1/status has it. Where brokers cannot be asked, give the highest of the values \
         that is not above any broker's. One above the brokers' makes the client fail, one below costs what they could \
         do, and brokers from 4.0 on take nothing of a client for 0.9. Leave it auto.",
    )
    .or("auto")
    .live(),
    Key::new(
        "kafka-topic-prefix",
        Kind::TopicPrefix,
        "What stands before a record's topic to make the Kafka topic. It may be empty. Consumers of the Go collector \
         look for metrics-.* and stop when nothing matches.",
    )
    .or("metrics-")
    .env(&["KAFKA_TOPIC_PREFIX"])
    .live(),
    Key::new(
        "kafka-single-topic",
        Kind::TopicName,
        "Kafka topic for all records, whatever their own topic. Not set: each record topic has its own. The prefix \
         does not count with it. Set while the collector runs it counts for what comes then, and what waits goes where it \
         was to go.",
    )
    .env(&["KAFKA_SINGLE_TOPIC"])
    .live(),
    Key::new(
        "kafka-topics-max",
        Kind::Integer { min: 1, max: 1_000_000 },
        "Most topics that are told apart. Records of further ones are set aside and counted, so that a sender that \
         makes up topics cannot fill the Kafka cluster with them. Raise it where that many frameworks run. \
         Topics that are known stay where it is lowered.",
    )
    .or("2000")
    .live(),
    Key::new(
        "kafka-produce-count",
        Kind::Integer { min: 1, max: i32::MAX as u64 },
        "Records after which a message is closed. 1 sends each record alone, at a high price. Whichever of count, \
         kafka-produce-kbytes and kafka-produce-period-ms comes first counts.",
    )
    .or("1024")
    .env(&["KAFKA_PRODUCE_COUNT"])
    .live(),
    Key::new(
        "kafka-produce-kbytes",
        Kind::Integer { min: 1, max: i32::MAX as u64 },
        "Size in KiB at which a message is closed. A message never has more than 1,000,000 bytes, header included; a \
         larger value is accepted, cut to that and warned about. Lower it for topics with a small \
         max.message.bytes.",
    )
    .or("512")
    .env(&["KAFKA_PRODUCE_KBYTES"])
    .live(),
    Key::new(
        "kafka-produce-period-ms",
        Kind::Milliseconds { min: Duration::from_millis(1), max: DAY },
        "Age of its oldest record at which a message is closed, in milliseconds. A time with a unit, as 15s, is \
         accepted too. Lower values bring records earlier to Kafka in more and smaller messages.",
    )
    .or("15000")
    .env(&["KAFKA_PRODUCE_PERIOD_MS"])
    .live(),
    Key::new(
        "kafka-compression",
        Kind::Choice(&["none", "snappy", "lz4", "zstd", "gzip"]),
        "Compression of messages. The consumers of the Go collector's time cannot read zstd, and with brokers before \
         2.1 snappy takes its place. none costs the least CPU here and the most network.",
    )
    .or("snappy")
    .live(),
    Key::new(
        "kafka-compress-snappy",
        Kind::Bool,
        "The Go collector's switch between snappy (true) and none (false). Not set: kafka-compression decides. A value \
         that contradicts an explicit kafka-compression is a fault. New set-ups use kafka-compression.",
    )
    .env(&["KAFKA_COMPRESS_SNAPPY"])
    .live(),
    Key::new(
        "kafka-require-all-acks",
        Kind::Bool,
        "Wait until all in-sync replicas have a message, and let the broker remove repeats (acks=all, idempotence). \
         false is satisfied with the leader's word: a broker that fails then loses records that count as delivered. \
         Leave it true.",
    )
    .or("true")
    .env(&["KAFKA_REQUIRE_ALL_ACKS"])
    .live(),
    Key::new(
        "kafka-key",
        Kind::Choice(&["agent", "none"]),
        "Key of each message. agent is the agent's id, which keeps an agent's messages of a topic in order; none \
         spreads them over all partitions.",
    )
    .or("agent")
    .live(),
    Key::new(
        "kafka-queue-max",
        Kind::Size { min: MIB, max: 1 << 31 },
        "Bytes handed to the Kafka client and not yet acknowledged. More waits in the spool. Raise it, and \
         memory-limit by as much, where the way to the brokers is long and fast.",
    )
    .or("16MiB")
    .live(),
    Key::new(
        "global-limit-amount-kbytes",
        Kind::Integer { min: 0, max: i32::MAX as u64 },
        "KiB of messages, before compression, that are sent to Kafka in each global-limit-period. 0: all there are. \
         What is over it waits in the spool (the Go collector dropped it), and a full spool holds the input. The end of \
         the process does not wait for it. Of use where a slow line is shared with others.",
    )
    .or("0")
    .env(&["GLOBAL_LIMIT_AMOUNT_KBYTES"])
    .live(),
    Key::new(
        "global-limit-period",
        Kind::Seconds { min: Duration::from_secs(1), max: DAY },
        "Time of global-limit-amount-kbytes, in seconds. A time with a unit, as 60s, is accepted too. No effect while \
         that is 0.",
    )
    .or("60")
    .env(&["GLOBAL_LIMIT_PERIOD"])
    .live(),
    Key::new(
        "kafka-create-topics",
        Kind::Bool,
        "Create missing topics through Kafka's admin interface. false leaves it to the brokers' automatic creation, \
         and where that is off, records of the missing topic wait. The user needs the right to create topics.",
    )
    .or("false")
    .live(),
    Key::new(
        "kafka-topic-partitions",
        Kind::Integer { min: 1, max: 100_000 },
        "Partitions of topics that the collector creates. Not set: the broker's default (on brokers before 2.4: 1). \
         A fault without kafka-create-topics.",
    )
    .live(),
    Key::new(
        "kafka-topic-replication",
        Kind::Integer { min: 1, max: 32_767 },
        "Replicas of topics that the collector creates. Not set: the broker's default (on brokers before 2.4: 1). A \
         fault without kafka-create-topics.",
    )
    .live(),
    Key::new(
        "kafka-property",
        Kind::Properties,
        "A property of librdkafka as name=value, for what has no key of its own. The flag can be repeated; in the file \
         it is a list of texts, in the environment a list between commas without secrets; those belong into the file. \
         Each is checked at the start and wins over what the other keys say; since some have code loaded, none changes while the \
         collector runs. For those who know librdkafka.",
    ),
    Key::new(
        "kafka-verbose",
        Kind::Bool,
        "Log what the Kafka client does with brokers, topics and messages. Of use when brokers cannot be reached; too \
         much for production. What is under way to brokers that answered before waits for them first.",
    )
    .or("false")
    .env(&["KAFKA_VERBOSE"])
    .live(),
    Key::new(
        "kafka-flush-ms",
        Kind::Integer { min: 0, max: i64::MAX as u64 },
        "Retired: accepted from old set-ups, warned about, and without effect. Messages are sent as soon as they are \
         closed, which kafka-produce-period-ms decides.",
    )
    .env(&["KAFKA_FLUSH_MS"]),
    Key::new(
        "record-output-log",
        Kind::Bool,
        "Log every record that is sent, decoded. For a look at what arrives at Kafka, never for production: it slows \
         the output to the speed of the log.",
    )
    .or("false")
    .env(&["RECORD_OUTPUT_LOG"])
    .live(),
    Key::new(
        "record-output-hexdump",
        Kind::Bool,
        "Log the bytes of every message in hexadecimal. For those who write a consumer, never for production: it slows \
         the output to the speed of the log.",
    )
    .or("false")
    .env(&["RECORD_OUTPUT_HEXDUMP"])
    .live(),
];
