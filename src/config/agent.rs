//! From settings to what is asked of the Mesos agent, and the rules of tags.

use std::ffi::OsStr;

use super::Sources;
use super::settings::Settings;
use super::stages::Builder;
use crate::dcos::agent::{Config, Files, Place, is_host};
use crate::enrich::{self, TagClash, UnknownTags};

/// What the environment calls the address of this host: Marathon sets it for its tasks, and it is the agent's.
const HOST: &str = "HOST";

/// The rules of tags.
pub(super) fn enrich(settings: &Settings) -> enrich::Config {
    enrich::Config {
        agent_id: settings.owned("agent-id"),
        framework_name: settings.owned("framework-name"),
        application_name: settings.owned("application-name"),
        tag_clash: match settings.word("tag-clash") {
            "collector" => TagClash::Collector,
            "sender" => TagClash::Sender,
            _ => TagClash::Auto,
        },
        unknown_tags: match settings.word("unknown-tags") {
            "sentinel" => UnknownTags::Sentinel,
            _ => UnknownTags::None,
        },
        wait: settings.time("enrich-wait"),
        remember: settings.time("agent-remember"),
    }
}

/// The agent, which may be one that is not to be asked.
pub(super) fn build(builder: &mut Builder<'_>, sources: &Sources) -> Config {
    let settings = builder.settings;
    let given = settings.owned("agent-ip");
    if given.as_deref().is_some_and(|host| !is_host(host)) {
        builder.fault("agent-ip", &[], "expected an IP address or a host name");
    }
    let command: Vec<String> =
        settings.word("agent-ip-command").split_whitespace().map(str::to_owned).collect();
    if command.is_empty() {
        builder.fault("agent-ip-command", &[], "expected a command that prints the agent's address");
    }
    let files = Files {
        state: builder.file("agent-test-state-file"),
        system: builder.file("agent-test-system-file"),
        containers: builder.file("agent-test-containers-file"),
    };
    Config {
        is_polled: settings.switch("agent-polling"),
        place: match (given, host(sources)) {
            (Some(host), _) => Place::Given(host),
            (None, Some(host)) => Place::Environment(host),
            (None, None) => Place::Command(command),
        },
        port: u16::try_from(settings.number("agent-port")).unwrap_or(u16::MAX),
        scheme: if settings.word("agent-scheme") == "https" { "https" } else { "http" },
        period: settings.time("agent-poll-period"),
        topic: settings.word("agent-metrics-topic").to_owned(),
        files,
    }
}

/// A value that is no host is not meant for us.
fn host(sources: &Sources) -> Option<String> {
    let found = sources.environment.iter().find(|(name, _)| name == OsStr::new(HOST));
    found.and_then(|(_, value)| value.to_str()).filter(|host| is_host(host)).map(str::to_owned)
}
