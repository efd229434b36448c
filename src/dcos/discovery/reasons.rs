//! Why no brokers were found, and what an operator does about it. Pure.

use std::fmt;

use super::{FrameworkName, Way};

/// Longest reason of one way that is shown.
const SHOWN_CHARS: usize = 300;

/// What kept a way from giving brokers. The order is how much it tells: the last one known decides what is advised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Nobody answered, or not with an answer.
    Failed,
    /// Whoever was asked wants a login, or one that may do more.
    Denied,
    /// There is an answer, and it knows no such framework.
    Unknown,
    /// The scheduler is there and does not tell.
    Silent,
    /// The scheduler lists no brokers.
    Empty,
    /// The scheduler has brokers, but not for the security that is set.
    OtherSecurity,
}

impl Cause {
    /// Every cause, in the order of how much it tells.
    pub const ALL: [Cause; 6] =
        [Cause::Failed, Cause::Denied, Cause::Unknown, Cause::Silent, Cause::Empty, Cause::OtherSecurity];

    /// The word for it, which is also the metric label and the key of its share of the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::Failed => "failed",
            Cause::Denied => "denied",
            Cause::Unknown => "unknown",
            Cause::Silent => "silent",
            Cause::Empty => "empty",
            Cause::OtherSecurity => "other_security",
        }
    }
}

/// Why one way gave no brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The kind.
    pub cause: Cause,
    /// In one line: who was asked, and what came of it.
    pub text: String,
}

impl Miss {
    pub(super) fn new(cause: Cause, text: impl Into<String>) -> Miss {
        let text: String = text.into();
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut shown: String = text.chars().take(SHOWN_CHARS).map(plain).collect();
        if shown.len() < text.len() {
            shown.push_str("...");
        }
        Miss { cause, text: shown }
    }

    pub(super) fn failed(text: impl Into<String>) -> Miss {
        Miss::new(Cause::Failed, text)
    }

    pub(super) fn unknown(text: impl Into<String>) -> Miss {
        Miss::new(Cause::Unknown, text)
    }
}

/// No way gave brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// Whose brokers were looked for.
    pub framework: FrameworkName,
    /// Whether it was those with TLS.
    pub tls: bool,
    /// Each way and what it said, in order.
    pub tried: Vec<(Way, Miss)>,
}

impl NotFound {
    /// What tells the most.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.tried.iter().map(|(_, miss)| miss.cause).max().unwrap_or(Cause::Failed)
    }

    /// In one sentence what is so and what to do.
    #[must_use]
    pub fn advice(&self) -> String {
        let framework = &self.framework;
        match self.cause() {
            Cause::Failed => format!(
                "nobody tells the brokers of the framework \"{framework}\"; check this host's DNS and network, or name \
                 the brokers with kafka-brokers"
            ),
            Cause::Denied => format!(
                "whoever knows the brokers of the framework \"{framework}\" wants a login that may ask; set \
                 dcos-service-account, or name the brokers with kafka-brokers"
            ),
            Cause::Unknown => format!(
                "the cluster knows no framework \"{framework}\"; install Kafka, or set kafka-framework to the name of \
                 its service, or, outside DC/OS, kafka-brokers"
            ),
            Cause::Silent => format!(
                "the scheduler of the framework \"{framework}\" does not tell its brokers; see its log, or set \
                 kafka-brokers"
            ),
            Cause::Empty => format!(
                "the scheduler of the framework \"{framework}\" lists no brokers; see its deploy plan, they may be \
                 starting"
            ),
            Cause::OtherSecurity if self.tls => format!(
                "the framework \"{framework}\" has no brokers with TLS; set kafka-security-protocol to plaintext or \
                 sasl_plaintext, or turn TLS on there"
            ),
            Cause::OtherSecurity => format!(
                "the framework \"{framework}\" has brokers with TLS alone; set kafka-security-protocol to ssl or \
                 sasl_ssl"
            ),
        }
    }
}

impl NotFound {
    /// The advice, and why, where there was only one way to go.
    pub(super) fn short(&self) -> String {
        match &self.tried[..] {
            [_] => self.to_string(),
            _ => self.advice(),
        }
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.advice())?;
        for (i, (way, miss)) in self.tried.iter().enumerate() {
            write!(f, "{}{way}: {}", if i == 0 { " (" } else { "; " }, miss.text)?;
        }
        if self.tried.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl std::error::Error for NotFound {}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_found(tls: bool, causes: &[Cause]) -> NotFound {
        let framework = FrameworkName::parse("prod/kafka").unwrap();
        let tried = Way::ALL.into_iter().zip(causes.iter().map(|cause| Miss::new(*cause, cause.name())));
        NotFound { framework, tls, tried: tried.collect() }
    }

    #[test]
    fn what_tells_the_most_decides_what_is_advised() {
        use Cause::{Denied, Empty, Failed, OtherSecurity, Silent, Unknown};
        for (tls, causes, expected) in [
            (false, &[][..], "check this host's DNS"),
            (false, &[Failed, Failed], "check this host's DNS"),
            (false, &[Failed, Denied], "wants a login that may ask; set dcos-service-account"),
            (false, &[Unknown, Denied], "knows no framework"),
            (
                false,
                &[Unknown, Failed],
                "knows no framework \"prod/kafka\"; install Kafka, or set kafka-framework",
            ),
            (false, &[Unknown, Silent, Failed], "does not tell its brokers; see its log"),
            (false, &[Silent, Empty], "lists no brokers; see its deploy plan"),
            (false, &[OtherSecurity, Empty], "with TLS alone; set kafka-security-protocol to ssl"),
            (true, &[OtherSecurity], "no brokers with TLS; set kafka-security-protocol to plaintext"),
        ] {
            let advice = not_found(tls, causes).advice();
            assert!(advice.contains(expected), "{causes:?}: {advice}");
        }
    }

    #[test]
    fn each_way_is_named_with_its_reason_in_one_line() {
        let text = not_found(false, &[Cause::Unknown, Cause::Failed]).to_string();
        assert!(
            text.ends_with("outside DC/OS, kafka-brokers (dns-srv: unknown; scheduler-vip: failed)"),
            "{text}"
        );
        let long = Miss::failed(format!("a\nb{}", "x".repeat(1000)));
        assert!(long.text.starts_with("a bx") && long.text.len() == SHOWN_CHARS + 3, "{long:?}");
    }
}
