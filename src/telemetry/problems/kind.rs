//! The kinds of problems: one table of what is wrong and what to do.

/// What can be wrong. The name is in `/v1/status`, and does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No broker can be reached.
    KafkaUnreachable,
    /// The brokers do not let us in.
    KafkaAccess,
    /// One broker cannot be reached.
    KafkaBroker,
    /// Brokers answer, and acknowledge nothing.
    KafkaStuck,
    /// A broker did not take messages, which are sent again.
    KafkaRetry,
    /// The producer was of no more use.
    KafkaProducer,
    /// Topics that Kafka does not have.
    TopicUnknown,
    /// Topics that we may not write to.
    TopicNotAuthorized,
    /// Topics of which nothing is acknowledged.
    TopicStalled,
    /// Records whose topic has a name that no Kafka topic can have.
    TopicIllegal,
    /// Records of more topics than there may be.
    TopicLimit,
    /// Records that Kafka takes in no message.
    RecordTooLarge,
    /// Records that the broker refuses for what is in them.
    RecordRefused,
    /// Nobody says where the brokers of the framework are.
    Discovery,
    /// Records that were accepted had to go.
    SpoolFull,
    /// The Mesos agent gives no answer to use.
    Agent,
    /// There is no token of the service account.
    Login,
    /// The data directory cannot be written to.
    DataDirectory,
    /// The configuration that was read again has faults.
    Configuration,
    /// What a sender sends is no Avro stream.
    InputNotAvro,
    /// A sender's schema is none of records.
    InputSchema,
    /// A sender's codec is not known.
    InputCodec,
    /// A sender's stream is torn.
    InputTorn,
    /// A sender's blocks or records make no sense.
    InputDamaged,
    /// A sender's blocks or records are larger than they may be.
    InputTooLarge,
    /// The rest of a sender's header or block did not come.
    InputTimeout,
    /// Senders were turned away, or their connections ended for others.
    InputLimit,
    /// Connections cannot be accepted.
    InputAccept,
    /// A partner lost records.
    PartnerSlow,
    /// A partner took nothing for long.
    PartnerStalled,
    /// A partner was turned away for what it said.
    PartnerRefused,
    /// There are more partners than may be.
    PartnerLimit,
}

/// A kind's row of the table.
pub struct Row {
    /// Whose it is.
    pub kind: Kind,
    /// The part of the collector that it concerns, as `/-/ready` has it; `partners` and `collector` besides.
    pub part: &'static str,
    /// For programs.
    pub name: &'static str,
    /// What is wrong, in a few words.
    pub what: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// Whether it lasts until it is over; else it happens.
    pub lasts: bool,
}

impl Kind {
    /// Its row.
    #[must_use]
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

const fn lasting(
    kind: Kind,
    part: &'static str,
    name: &'static str,
    what: &'static str,
    advice: &'static str,
) -> Row {
    Row { kind, part, name, what, advice, lasts: true }
}

const fn event(
    kind: Kind,
    part: &'static str,
    name: &'static str,
    what: &'static str,
    advice: &'static str,
) -> Row {
    Row { lasts: false, ..lasting(kind, part, name, what, advice) }
}

/// The table, a row for each kind in the order in which they are declared.
pub static TABLE: [Row; 32] = [
    lasting(
        Kind::KafkaUnreachable,
        "kafka",
        "kafka_unreachable",
        "Kafka cannot be reached",
        "See that the brokers run, that this machine reaches their addresses, and that kafka-brokers and \
         kafka-security-protocol are right. Records wait in the spool; delivery goes on by itself.",
    ),
    lasting(
        Kind::KafkaAccess,
        "kafka",
        "kafka_access",
        "Kafka does not let the collector in",
        "Compare kafka-security-protocol, kafka-ssl-ca and kafka-sasl-username with what the brokers expect. It \
         is tried again by itself, so that a password which is corrected at the broker needs nothing here.",
    ),
    event(
        Kind::KafkaBroker,
        "kafka",
        "kafka_broker",
        "A Kafka broker cannot be reached",
        "See that this broker runs and that its advertised address can be reached from here. Others take over \
         its partitions if they have replicas.",
    ),
    lasting(
        Kind::KafkaStuck,
        "kafka",
        "kafka_stuck",
        "Kafka answers, and acknowledges nothing",
        "See the brokers' logs for replicas out of sync (min.insync.replicas), a full disk or a partition without \
         a leader. Records wait in the spool; delivery goes on by itself.",
    ),
    event(
        Kind::KafkaRetry,
        "kafka",
        "kafka_retry",
        "Kafka did not take a message",
        "Nothing, if it ends: the message is sent again. If it goes on see the broker's log for replicas out of \
         sync or a full disk.",
    ),
    event(
        Kind::KafkaProducer,
        "kafka",
        "kafka_producer",
        "The Kafka producer failed and was replaced",
        "Nothing, if it was once: a new producer sends what the old one held. If it comes again see the broker's \
         log; the user may lack the right to write idempotently.",
    ),
    lasting(
        Kind::TopicUnknown,
        "kafka",
        "topic_unknown",
        "Kafka does not have a topic",
        "Create the topic, or set kafka-create-topics. Kafka takes no two names that differ only in dots and \
         underscores. Its records wait, others flow.",
    ),
    lasting(
        Kind::TopicNotAuthorized,
        "kafka",
        "topic_not_authorized",
        "The collector may not write to a topic",
        "Give its user the right to write and describe the topic. It is asked for each minute; its records \
         wait, others flow.",
    ),
    lasting(
        Kind::TopicStalled,
        "kafka",
        "topic_stalled",
        "Kafka acknowledges nothing of a topic",
        "See that the broker which leads the topic's partitions runs and can be reached, and that enough replicas are \
         in sync. Its records wait, others flow.",
    ),
    event(
        Kind::TopicIllegal,
        "kafka",
        "topic_illegal",
        "Records were set aside: no Kafka topic can have their topic's name",
        "Have the sender use letters, digits, dots, dashes and underscores, or set kafka-single-topic.",
    ),
    event(
        Kind::TopicLimit,
        "kafka",
        "topic_limit",
        "Records were set aside: there are too many topics",
        "Find who makes up topics in /metrics (metrics_collector_kafka_topic_records_total), or raise \
         kafka-topics-max.",
    ),
    event(
        Kind::RecordTooLarge,
        "kafka",
        "record_too_large",
        "Records were set aside: no message may be as large",
        "Have the sender make smaller records, or raise max.message.bytes of the topic at the brokers.",
    ),
    event(
        Kind::RecordRefused,
        "kafka",
        "record_refused",
        "Records were set aside: the broker refuses them",
        "See the broker's log and the topic's settings, such as a policy or the type of timestamps.",
    ),
    lasting(
        Kind::Discovery,
        "discovery",
        "discovery",
        "The brokers of the framework are not found",
        "See that the framework runs and is called as kafka-framework says; /v1/status has under discovery what \
         each way said. Or name the brokers with kafka-brokers.",
    ),
    event(
        Kind::SpoolFull,
        "spool",
        "spool_full",
        "Records were lost: the spool is full",
        "Help the output that is behind, first of all Kafka. Raise spool-memory and memory-limit for longer \
         outages; spool-full=hold makes senders wait instead.",
    ),
    lasting(
        Kind::Agent,
        "agent",
        "agent",
        "The Mesos agent gives no answer to use",
        "See that it runs, and that agent-ip, agent-port and agent-scheme are right; where it wants a log-in see \
         dcos-service-account. Tags and metrics of this agent are missing meanwhile.",
    ),
    lasting(
        Kind::Login,
        "login",
        "login",
        "The service account cannot log in",
        "See that dcos-service-account is right, that the account exists with its public key, and that dcos-ca \
         fits the cluster. It is tried again by itself.",
    ),
    event(
        Kind::DataDirectory,
        "collector",
        "data_directory",
        "The data directory cannot be written to",
        "See that data-dir exists, is this user's, and has room. What was set at runtime and the places of \
         partners may be gone after a restart.",
    ),
    lasting(
        Kind::Configuration,
        "collector",
        "configuration",
        "The configuration cannot be read again: it has faults",
        "Mend the file and have it read again; metrics-collector check-config names every fault. The configuration of \
         before stays in use.",
    ),
    event(
        Kind::InputNotAvro,
        "input",
        "input_not_avro",
        "Connections were reset: what came is no Avro stream",
        "See who connects from there: a port scan, an HTTP client and a statsd line are common. Senders are to \
         send an Avro object container stream.",
    ),
    event(
        Kind::InputSchema,
        "input",
        "input_schema",
        "Connections were reset: their schema is none of records",
        "Have the sender use the schema dcos.metrics.MetricList, or one that resolves to it.",
    ),
    event(
        Kind::InputCodec,
        "input",
        "input_codec",
        "Connections were reset: their codec is not known",
        "Have the sender use null, deflate, snappy, zstandard, bzip2 or xz.",
    ),
    event(
        Kind::InputTorn,
        "input",
        "input_torn",
        "Blocks were refused: streams are torn",
        "The Mesos module tears its stream when its socket is full, and senders that end do in the middle of a \
         block. See whether the input was held; then raise spool-memory, or set spool-full=drop-oldest.",
    ),
    event(
        Kind::InputDamaged,
        "input",
        "input_damaged",
        "Blocks or records were refused: they make no sense",
        "Mend the sender: it writes counts, sizes, values or compressed data that contradict its own schema.",
    ),
    event(
        Kind::InputTooLarge,
        "input",
        "input_too_large",
        "Blocks or records were refused: they are too large",
        "Have the sender make smaller ones, or raise input-block-bytes-max, input-decompressed-bytes-max, \
         input-record-bytes-max, input-record-tags-max or input-record-datapoints-max.",
    ),
    event(
        Kind::InputTimeout,
        "input",
        "input_timeout",
        "Connections were reset: the rest of a block did not come",
        "See whether the sender hangs or its network is slow; input-block-timeout says how long it may take.",
    ),
    event(
        Kind::InputLimit,
        "input",
        "input_limit",
        "Connections of senders were reset to make room",
        "See who opens so many connections, or sends so many blocks by halves; raise input-connections-max or \
         memory-limit.",
    ),
    event(
        Kind::InputAccept,
        "input",
        "input_accept",
        "Connections of senders cannot be accepted",
        "Raise the limit of open files for this process: LimitNOFILE in a unit of systemd, ulimit in a shell.",
    ),
    event(
        Kind::PartnerSlow,
        "partners",
        "partner_slow",
        "A partner was too slow and lost records",
        "See what the partner does with what it takes, have it ask for less by a filter, or raise spool-memory.",
    ),
    event(
        Kind::PartnerStalled,
        "partners",
        "partner_stalled",
        "A partner took nothing for a minute and was let go",
        "See whether the partner hangs. With a name and acknowledgements it goes on where it was.",
    ),
    event(
        Kind::PartnerRefused,
        "partners",
        "partner_refused",
        "A partner was let go for what it said",
        "Mend the partner: its hello or its acknowledgements are wrong, and it was told in which way.",
    ),
    event(
        Kind::PartnerLimit,
        "partners",
        "partner_limit",
        "A partner was refused: there are too many",
        "Raise partners-max, or see who connects so often or under so many names.",
    ),
];
