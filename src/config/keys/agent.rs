//! Rows: the Mesos agent, and whose tags count.

use std::time::Duration;

use super::{Key, Kind};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "agent-polling",
        Kind::Bool,
        "Ask the Mesos agent of this host: for names of frameworks and applications, its id, and its metrics. false asks \
         for nothing, and records get only the tags that are set here. Set it to false where there is no agent, or \
         /-/ready says that it is missing.",
    )
    .or("true")
    .env(&["AGENT_POLLING"])
    .live(),
    Key::new(
        "agent-ip",
        Kind::Text,
        "Address of the Mesos agent, an IP address or a name. Not set: the environment variable HOST, which Marathon sets \
         for its tasks, and else what agent-ip-command prints.",
    )
    .by_reload(),
    Key::new(
        "agent-ip-command",
        Kind::Text,
        "Command that prints the agent's address, split at blanks. Used where neither agent-ip nor the environment variable \
         HOST is set. It has ten seconds and is run again at the next poll if it fails.",
    )
    .or("/opt/mesosphere/bin/detect_ip")
    .env(&["AGENT_IP_COMMAND"])
    .by_reload(),
    Key::new(
        "agent-port",
        Kind::Integer { min: 1, max: 65_535 },
        "Port of the Mesos agent. DC/OS has 5051 on all agents, with http and with https.",
    )
    .or("5051")
    .env(&["AGENT_PORT"])
    .by_reload(),
    Key::new(
        "agent-scheme",
        Kind::Choice(&["http", "https"]),
        "How the Mesos agent is spoken to. https in DC/OS's strict security mode, where agents answer nothing else.",
    )
    .or("http")
    .by_reload(),
    Key::new(
        "agent-poll-period",
        Kind::Seconds { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
        "Between two polls of the agent. A bare number is seconds. Each poll is four requests; an agent with thousands of \
         containers is glad of a longer one.",
    )
    .or("15")
    .env(&["AGENT_POLL_PERIOD"])
    .live(),
    Key::new(
        "agent-metrics-topic",
        Kind::TopicName,
        "Record topic of the agent's own metrics. kafka-topic-prefix comes before it, as before any other. Metrics of \
         containers have their framework's id as topic.",
    )
    .or("agent")
    .env(&["AGENT_METRICS_TOPIC"])
    .live(),
    Key::new(
        "agent-remember",
        Kind::Time { min: Duration::ZERO, max: Duration::from_secs(7 * 86_400) },
        "How long a container that has ended keeps its tags. Metrics may come after the end of the task that they are of. \
         No reason to touch it is known.",
    )
    .or("15m")
    .live(),
    Key::new(
        "enrich-wait",
        Kind::Time { min: Duration::ZERO, max: Duration::from_secs(60) },
        "How long records of a container that the agent has not named yet may wait for it. Only those wait, once for each \
         container, in bounded memory, while the agent is asked. 0s lets them go on at once without tags.",
    )
    .or("2s")
    .live(),
    Key::new(
        "tag-clash",
        Kind::Choice(&["auto", "collector", "sender"]),
        "Whose agent_id, framework_name and application_name count where both have one. auto: the collector's for a \
         container that the agent knows, as a container can write any tag, else the sender's. collector and sender: \
         always theirs.",
    )
    .or("auto")
    .live(),
    Key::new(
        "unknown-tags",
        Kind::Choice(&["none", "sentinel"]),
        "What stands for a framework or agent that is not known. none: no tag. sentinel: UNKNOWN_FRAMEWORK_ID and \
         UNKNOWN_AGENT_STATE, as the Go collector had them, for consumers that look for these.",
    )
    .or("none")
    .live(),
    Key::new(
        "agent-test-state-file",
        Kind::File,
        "File that is read in place of the agent's /state. For tests of a set-up without an agent.",
    )
    .env(&["AGENT_TEST_STATE_FILE"]),
    Key::new(
        "agent-test-system-file",
        Kind::File,
        "File that is read in place of the agent's /metrics/snapshot. For tests of a set-up without an agent.",
    )
    .env(&["AGENT_TEST_SYSTEM_FILE"]),
    Key::new(
        "agent-test-containers-file",
        Kind::File,
        "File that is read in place of the agent's /containers. For tests of a set-up without an agent.",
    )
    .env(&["AGENT_TEST_CONTAINERS_FILE"]),
];
