//! `GET /`: the essentials for a person, as plain HTML without scripts or outside assets.
//!
//! Everything that is not literally in this file goes through [`Escaped`]: topics, errors and addresses come from
//! others.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;

use super::answers::Readiness;
use super::routes::{Shared, Signpost};
use crate::control::{
    AgentStatus, AskedStatus, DiscoveryStatus, InputStatus, KafkaStatus, Ledger, MemoryStatus, SpoolStatus,
    Status,
};

/// Its media type.
pub(super) const HTML: &str = "text/html; charset=utf-8";

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>metrics-collector</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .1rem 1.5rem .1rem 0; overflow-wrap: anywhere }
th { font-weight: 600; white-space: nowrap }
</style>
</head>
<body>
";

/// `GET /`.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Html<String> {
    let control = &shared.control;
    let readiness = Readiness::of(control.readiness());
    let mut html = String::with_capacity(8 * 1024);
    html.push_str(HEAD);
    render(&mut html, &control.status(), &readiness, &control.ledger(), &shared.signposts)
        .expect("a String takes all");
    html.push_str("</body>\n</html>\n");
    Html(html)
}

/// The body of the page.
fn render(
    html: &mut String,
    status: &Status,
    readiness: &Readiness,
    ledger: &Ledger,
    signposts: &[Signpost],
) -> fmt::Result {
    let (version, revision) = (Escaped(status.version), Escaped(status.revision));
    writeln!(html, "<h1>metrics-collector</h1>\n<p>Version {version}, revision {revision}.</p>")?;
    let whole = if readiness.ready { "Ready" } else { "Not ready" };
    table(html, whole, |html| {
        readiness.parts.iter().try_for_each(|part| {
            let word = if part.ready { "ready" } else { "not ready" };
            row(html, part.name, format_args!("{word}: {}", part.detail))
        })
    })?;
    table(html, "Input", |html| input(html, &status.input))?;
    table(html, "Spool", |html| spool(html, &status.spool))?;
    if let Some(status) = &status.kafka {
        table(html, "Kafka", |html| kafka(html, status))?;
    }
    if let Some(status) = &status.discovery {
        table(html, "Look for brokers", |html| discovery(html, status))?;
    }
    if let Some(status) = &status.agent {
        table(html, "Mesos agent", |html| agent(html, status))?;
    }
    table(html, "Memory", |html| memory(html, &status.memory))?;
    books(html, ledger)?;
    writeln!(html, "<h2>Routes</h2>\n<table>")?;
    for Signpost { path, about, .. } in signposts {
        let (path, about) = (Escaped(path), Escaped(about));
        writeln!(html, "<tr><th><a href=\"{path}\">{path}</a></th><td>{about}</td></tr>")?;
    }
    writeln!(html, "</table>")
}

fn input(html: &mut String, input: &InputStatus) -> fmt::Result {
    if let Some(listen) = input.listen {
        row(html, "TCP", listen)?;
    }
    if let Some(socket) = &input.socket {
        row(html, "Unix socket", socket.display())?;
    }
    row(html, "Connections", format_args!("{} of {}", input.connections, input.connections_max))?;
    row(
        html,
        "Accepted",
        format_args!("{} records, {} datapoints", input.accepted_records, input.accepted_datapoints),
    )?;
    row(html, "Refused", format_args!("{} records, {} blocks", input.refused_records, input.refused_blocks))?;
    row(html, "Reading", if input.held { "held back, because the spool is full" } else { "going on" })?;
    let named = &input.enrichment;
    let named = format_args!("{} full, {} partial, {} none", named.full, named.partial, named.none);
    row(html, "Agent, framework and application known", named)?;
    let apart = format_args!("{} records, {} bytes", input.apart_records, input.apart_bytes);
    row(html, "Set apart until it is known whose they are", apart)
}

fn spool(html: &mut String, spool: &SpoolStatus) -> fmt::Result {
    row(html, "Kind", spool.kind)?;
    row(
        html,
        "Waiting",
        format_args!("{} chunks, {} of {} bytes", spool.chunks, spool.bytes, spool.bytes_max),
    )
}

fn kafka(html: &mut String, kafka: &KafkaStatus) -> fmt::Result {
    row(html, "State", kafka.state)?;
    row(html, "Brokers", kafka.brokers.join(", "))?;
    if let Some(broker) = kafka.broker.as_ref().filter(|broker| !broker.off.is_empty()) {
        row(html, "Off, for Kafka", format_args!("{}: {}", broker.version, broker.off.join(", ")))?;
    }
    let (messages, bytes) = (kafka.in_flight_messages, kafka.in_flight_bytes);
    row(
        html,
        "In flight",
        format_args!("{messages} messages, {bytes} of {} bytes", kafka.in_flight_bytes_max),
    )?;
    if let Some((seconds, error)) = &kafka.last_error {
        row(html, "Last error", format_args!("{error} (Unix time {seconds})"))?;
    }
    row(html, "Topics", kafka.topics_total)?;
    let troubled = kafka.topics.iter().filter(|topic| topic.state != "flowing");
    troubled.into_iter().try_for_each(|topic| row(html, &topic.topic, topic.state))
}

fn discovery(html: &mut String, discovery: &DiscoveryStatus) -> fmt::Result {
    row(html, "Framework", &discovery.framework)?;
    row(html, "Brokers", discovery.brokers.join(", "))?;
    if let Some(way) = discovery.way {
        let said = discovery.said.as_deref().unwrap_or("of the last run");
        row(html, "Found by", format_args!("{way}: {said}"))?;
    }
    match &discovery.last_error {
        Some((seconds, error)) if !discovery.answered => {
            row(html, "Last error", format_args!("{error} (Unix time {seconds})"))
        }
        _ => Ok(()),
    }
}

fn agent(html: &mut String, agent: &AgentStatus) -> fmt::Result {
    let address = agent.address.as_deref().unwrap_or("not known yet");
    row(html, "Address", format_args!("{address}, by {}", agent.found_by))?;
    row(html, "Agent id", agent.agent_id.as_deref().unwrap_or("not known yet"))?;
    row(
        html,
        "Known",
        format_args!("{} containers, {} frameworks by name", agent.containers, agent.frameworks),
    )?;
    agent.asked.iter().try_for_each(|asked| row(html, asked.route, Said(asked)))
}

/// What came of asking, in words.
struct Said<'a>(&'a AskedStatus);

impl Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.result, &self.0.error) {
            (None, _) => return f.write_str("not asked yet"),
            (Some(_), None) => {}
            (Some(result), Some(error)) => write!(f, "failed ({result}): {error}; ")?,
        }
        match self.0.age_seconds {
            Some(seconds) => write!(f, "answered {seconds} s ago"),
            None => f.write_str("never answered"),
        }
    }
}

fn memory(html: &mut String, memory: &MemoryStatus) -> fmt::Result {
    row(html, "Buffers", format_args!("{} of {} bytes", memory.buffers_bytes, memory.limit_bytes))?;
    match memory.resident_bytes {
        Some(bytes) => row(html, "Resident", format_args!("{bytes} bytes")),
        None => Ok(()),
    }
}

fn books(html: &mut String, ledger: &Ledger) -> fmt::Result {
    writeln!(html, "<h2>Ledger, in records</h2>\n<table>")?;
    writeln!(
        html,
        "<tr><th>Output</th><th>Accepted</th><th>Delivered</th><th>Waiting</th><th>Lost</th><th>Set aside</th>\
         <th>Not wanted</th><th>Imbalance</th></tr>"
    )?;
    for (name, output) in &ledger.outputs {
        let lost: u64 = output.lost.values().sum();
        let set_aside: u64 = output.set_aside.values().sum();
        writeln!(
            html,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{lost}</td><td>{set_aside}</td><td>{}</td>\
             <td>{}</td></tr>",
            Escaped(name),
            output.accepted,
            output.delivered,
            output.waiting,
            output.not_wanted,
            output.imbalance(),
        )?;
    }
    writeln!(html, "</table>")
}

/// A heading and the rows that `fill` writes under it.
fn table(html: &mut String, heading: &str, fill: impl FnOnce(&mut String) -> fmt::Result) -> fmt::Result {
    writeln!(html, "<h2>{}</h2>\n<table>", Escaped(heading))?;
    fill(html)?;
    writeln!(html, "</table>")
}

fn row(html: &mut String, name: &str, value: impl Display) -> fmt::Result {
    writeln!(html, "<tr><th>{}</th><td>{}</td></tr>", Escaped(name), Escaped(value))
}

/// Shows a value so that it means itself in HTML, between tags and in quoted attributes.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            c => self.0.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_html_is_escaped() {
        assert_eq!(Escaped("a<b>&\"c'").to_string(), "a&lt;b&gt;&amp;&quot;c&#39;");
        assert_eq!(Escaped(format_args!("{}<{}", "x", 5)).to_string(), "x&lt;5");
    }
}
