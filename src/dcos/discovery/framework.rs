//! The name of a framework, and what DC/OS makes of it in each of its registers.

use std::fmt;

/// More folders than Admin Router resolves.
const SEGMENTS_MAX: usize = 10;

/// Longest name: with what is put around it, it still fits into DNS's 253 bytes.
const NAME_BYTES_MAX: usize = 180;

/// Longest label of DNS. The folders' names, joined, are one label.
const LABEL_BYTES_MAX: usize = 62;

/// A framework's name, which is also the id of its scheduler's app in Marathon: `kafka`, or `prod/kafka` in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkName(String);

/// What is wrong with a name, as the end of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing, or only a slash.
    #[error("it is empty")]
    Empty,
    /// Two slashes in a row, or one at the end.
    #[error("it has an empty folder in it")]
    EmptySegment,
    /// Marathon would refuse it.
    #[error(
        "it has something other than a-z A-Z 0-9 . - and / in it, or a part that does not begin and end with a letter or digit"
    )]
    Letters,
    /// DNS would refuse it.
    #[error("it is longer than DNS names can be")]
    Long,
}

impl FrameworkName {
    /// Reads `kafka`, `prod/kafka` or `/prod/kafka`.
    ///
    /// # Errors
    /// [`BadName`].
    pub fn parse(text: &str) -> Result<FrameworkName, BadName> {
        let text = text.trim();
        let name = text.strip_prefix('/').unwrap_or(text);
        if name.is_empty() {
            return Err(BadName::Empty);
        }
        let edge = |c: char| c.is_ascii_alphanumeric();
        for segment in name.split('/') {
            if segment.is_empty() {
                return Err(BadName::EmptySegment);
            }
            let inner = segment.chars().all(|c| edge(c) || matches!(c, '.' | '-'));
            if !inner || !segment.starts_with(edge) || !segment.ends_with(edge) || segment.contains("..") {
                return Err(BadName::Letters);
            }
        }
        let many = name.split('/').count() > SEGMENTS_MAX;
        if many || name.len() > NAME_BYTES_MAX || name.split('.').any(|part| part.len() > LABEL_BYTES_MAX) {
            return Err(BadName::Long);
        }
        let name = FrameworkName(name.to_owned());
        if name.label().len() > LABEL_BYTES_MAX || name.flat().split('.').any(|l| l.len() > LABEL_BYTES_MAX) {
            return Err(BadName::Long);
        }
        Ok(name)
    }

    /// As in paths of Marathon and Admin Router: folders from the outside, no slash in front.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0
    }

    /// The label of the scheduler's task in Mesos-DNS: folders from the inside, joined by dashes, and dots become
    /// dashes.
    fn label(&self) -> String {
        let reversed: Vec<&str> = self.0.split('/').rev().collect();
        reversed.join("-").replace('.', "-")
    }

    /// Without its slashes, as in names of frameworks and virtual addresses.
    fn flat(&self) -> String {
        self.0.replace('/', "")
    }

    /// SRV records of the scheduler's API, best first, fully qualified. The first names the port; the second lists all
    /// ports of the task; the last, for a name in a folder, is the form before Mesos-DNS made one label of it.
    #[must_use]
    pub fn srv_names(&self) -> Vec<String> {
        let label = self.label();
        let mut names =
            vec![format!("_api._{label}._tcp.marathon.mesos."), format!("_{label}._tcp.marathon.mesos.")];
        if self.0.contains(['/', '.']) {
            let reversed: Vec<&str> = self.0.split('/').rev().collect();
            names.push(format!("_{}._tcp.marathon.mesos.", reversed.join(".")));
        }
        names
    }

    /// The scheduler's host, without its port.
    #[must_use]
    pub fn scheduler_host(&self) -> String {
        format!("{}.marathon.mesos", self.label())
    }

    /// The same on DC/OS's overlay of DNS, which also works from a network of its own.
    #[must_use]
    pub fn scheduler_autoip(&self) -> String {
        format!("{}.marathon.autoip.dcos.thisdcos.directory", self.label())
    }

    /// The framework's own name in Mesos-DNS; its tasks are below it.
    #[must_use]
    pub fn framework_host(&self) -> String {
        format!("{}.mesos", self.flat())
    }

    /// Virtual address of the scheduler's API.
    #[must_use]
    pub fn scheduler_vip(&self) -> String {
        format!("api.{}.marathon.l4lb.thisdcos.directory:80", self.flat())
    }

    /// Virtual address of the brokers, with TLS or without.
    #[must_use]
    pub fn broker_vip(&self, tls: bool) -> String {
        let (name, port) = if tls { ("broker-tls", 9093) } else { ("broker", 9092) };
        format!("{name}.{}.l4lb.thisdcos.directory:{port}", self.flat())
    }
}

impl fmt::Display for FrameworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> FrameworkName {
        FrameworkName::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn a_plain_name_has_plain_registers() {
        let name = name("kafka");
        assert_eq!(name.path(), "kafka");
        let srv = ["_api._kafka._tcp.marathon.mesos.", "_kafka._tcp.marathon.mesos."];
        assert_eq!(name.srv_names(), srv);
        assert_eq!(name.scheduler_host(), "kafka.marathon.mesos");
        assert_eq!(name.scheduler_autoip(), "kafka.marathon.autoip.dcos.thisdcos.directory");
        assert_eq!(name.framework_host(), "kafka.mesos");
        assert_eq!(name.scheduler_vip(), "api.kafka.marathon.l4lb.thisdcos.directory:80");
        assert_eq!(name.broker_vip(false), "broker.kafka.l4lb.thisdcos.directory:9092");
        assert_eq!(name.broker_vip(true), "broker-tls.kafka.l4lb.thisdcos.directory:9093");
    }

    #[test]
    fn a_name_in_a_folder_is_turned_around_joined_or_flattened() {
        for text in ["prod/kafka", "/prod/kafka", " /prod/kafka "] {
            let name = name(text);
            assert_eq!(name.path(), "prod/kafka");
            let srv = [
                "_api._kafka-prod._tcp.marathon.mesos.",
                "_kafka-prod._tcp.marathon.mesos.",
                "_kafka.prod._tcp.marathon.mesos.",
            ];
            assert_eq!(name.srv_names(), srv);
            assert_eq!(name.scheduler_host(), "kafka-prod.marathon.mesos");
            assert_eq!(name.scheduler_autoip(), "kafka-prod.marathon.autoip.dcos.thisdcos.directory");
            assert_eq!(name.framework_host(), "prodkafka.mesos");
            assert_eq!(name.scheduler_vip(), "api.prodkafka.marathon.l4lb.thisdcos.directory:80");
            assert_eq!(name.broker_vip(true), "broker-tls.prodkafka.l4lb.thisdcos.directory:9093");
        }
    }

    #[test]
    fn dots_become_dashes_in_mesos_dns_alone() {
        let name = name("a/b.c");
        assert_eq!(name.scheduler_host(), "b-c-a.marathon.mesos");
        assert_eq!(name.scheduler_vip(), "api.ab.c.marathon.l4lb.thisdcos.directory:80");
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        let long = "x".repeat(63);
        let deep = ["a"; 11].join("/");
        let joined = ["x".repeat(40), "y".repeat(40)].join("/");
        for (text, expected) in [
            ("", BadName::Empty),
            ("/", BadName::Empty),
            ("//kafka", BadName::EmptySegment),
            ("kafka/", BadName::EmptySegment),
            ("a//b", BadName::EmptySegment),
            ("ka fka", BadName::Letters),
            ("kafka?x", BadName::Letters),
            ("../kafka", BadName::Letters),
            ("a..b", BadName::Letters),
            ("-kafka", BadName::Letters),
            ("kafka_1", BadName::Letters),
            ("käfka", BadName::Letters),
            (&long, BadName::Long),
            (&deep, BadName::Long),
            (&joined, BadName::Long),
        ] {
            assert_eq!(FrameworkName::parse(text), Err(expected), "{text}");
        }
    }
}
