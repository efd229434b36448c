//! The line, drawn from left to right: what comes in, the spool, what goes out.

use std::fmt::{self, Write};

use super::html::{Cell, Escaped, Tone, facts, section};
use super::human::{age, bytes, bytes_rate, count, rate};
use crate::control::{AgentStatus, AskedStatus, KafkaStatus};
use crate::http::live::{Output, View};

/// Kafka's name in the books.
const KAFKA: &str = "kafka";

/// A box of the line.
struct Stage {
    name: &'static str,
    tone: Tone,
    word: String,
    facts: Vec<(&'static str, Cell)>,
    /// Bytes that are there, and that may be.
    fill: Option<(usize, usize)>,
}

pub(super) fn write(html: &mut String, view: &View) -> fmt::Result {
    section(html, "line", "The line", |html| {
        let over = view.rates.over_seconds.round();
        writeln!(html, "<p class=\"quiet\">Rates are over the last {over} s.</p>")?;
        writeln!(html, "<div class=\"line\">")?;
        column(html, [Some(input(view)), view.status.agent.as_ref().map(agent)])?;
        arrow(html)?;
        column(html, [Some(spool(view)), None])?;
        arrow(html)?;
        column(html, [Some(kafka(view)), Some(partners(view))])?;
        writeln!(html, "</div>")
    })
}

fn arrow(html: &mut String) -> fmt::Result {
    writeln!(html, "<div class=\"arrow\" aria-hidden=\"true\">→</div>")
}

fn column(html: &mut String, stages: [Option<Stage>; 2]) -> fmt::Result {
    writeln!(html, "<div class=\"column\">")?;
    for Stage { name, tone, word, facts: list, fill } in stages.into_iter().flatten() {
        let (class, sign) = (tone.class(), tone.sign());
        writeln!(html, "<article class=\"stage {class}\">\n<h3>{name}</h3>")?;
        writeln!(html, "<p class=\"{class}\">{sign} {}</p>", Escaped(word))?;
        if let Some((is, max)) = fill {
            writeln!(
                html,
                "<meter aria-label=\"fill\" max=\"{max}\" high=\"{}\" value=\"{is}\"></meter>",
                max / 4 * 3
            )?;
        }
        facts(html, list)?;
        writeln!(html, "</article>")?;
    }
    writeln!(html, "</div>")
}

fn is_ready(view: &View, part: &str) -> bool {
    view.readiness.parts.iter().find(|found| found.name == part).is_none_or(|found| found.ready)
}

fn input(view: &View) -> Stage {
    let (input, rates) = (&view.status.input, &view.rates);
    let (tone, word) = match (input.held, is_ready(view, "input")) {
        (true, _) => (Tone::Warn, "held: the spool is full"),
        (false, true) => (Tone::Good, "reading"),
        (false, false) => (Tone::Warn, "closed: the collector stops"),
    };
    let facts = vec![
        ("Records", rate(rates.records, "records")),
        ("Datapoints", rate(rates.datapoints, "datapoints")),
        ("Received", bytes_rate(rates.received_bytes)),
        ("Connections", count(input.connections as u64)),
    ];
    Stage { name: "Input", tone, word: word.to_owned(), facts, fill: None }
}

fn agent(agent: &AgentStatus) -> Stage {
    let needed = || agent.asked.iter().filter(|asked| asked.what != "nested");
    let failed = needed().find(|asked| asked.error.is_some());
    let (tone, word) = match failed {
        Some(AskedStatus { route, .. }) => (Tone::Bad, format!("no answer to use at {route}")),
        None if needed().any(|asked| asked.result.is_none()) => {
            (Tone::Quiet, "asked for the first time".to_owned())
        }
        None => (Tone::Good, "answers".to_owned()),
    };
    let facts =
        vec![("Containers", count(agent.containers as u64)), ("Frameworks", count(agent.frameworks as u64))];
    Stage { name: "Mesos agent", tone, word, facts, fill: None }
}

fn spool(view: &View) -> Stage {
    let spool = &view.status.spool;
    let (tone, word) = match (is_ready(view, "spool"), view.status.input.held) {
        (false, _) => (Tone::Bad, "was full within the last minute: the oldest records are lost"),
        (true, true) => (Tone::Warn, "full: the input waits"),
        (true, false) => (Tone::Good, "takes records in"),
    };
    let facts = vec![
        ("Waiting", bytes(spool.bytes as u64)),
        ("Room for", bytes(spool.bytes_max as u64)),
        ("Oldest", age(spool.oldest_ms, view.at_ms)),
        ("Accepted", count(spool.accepted_records)),
    ];
    Stage { name: "Spool", tone, word: word.to_owned(), facts, fill: Some((spool.bytes, spool.bytes_max)) }
}

fn kafka(view: &View) -> Stage {
    let Some(status) = &view.status.kafka else {
        return Stage {
            name: "Kafka",
            tone: Tone::Quiet,
            word: "switched off (kafka=false)".to_owned(),
            facts: Vec::new(),
            fill: None,
        };
    };
    let (tone, word) = kafka_word(status, is_ready(view, KAFKA));
    let mut facts = match view.outputs.iter().find(|output| output.name == KAFKA) {
        Some(output) => passing(output, view.at_ms),
        None => Vec::new(),
    };
    facts.insert(1, ("Sent", bytes_rate(view.rates.kafka_bytes)));
    Stage { name: "Kafka", tone, word, facts, fill: None }
}

fn kafka_word(status: &KafkaStatus, is_ready: bool) -> (Tone, String) {
    let held = status.topics_held + status.topics_stalled;
    let topics = if held == 1 { "topic does" } else { "topics do" };
    match (is_ready, status.state) {
        (true, _) if held > 0 => (Tone::Warn, format!("delivering, but {held} {topics} not flow")),
        (true, _) => (Tone::Good, "delivering".to_owned()),
        (false, "connecting") => (Tone::Warn, "no answer yet; records wait".to_owned()),
        (false, "up") => (Tone::Bad, "acknowledges nothing; records wait".to_owned()),
        (false, _) => (Tone::Bad, "cannot be reached; records wait".to_owned()),
    }
}

/// Whether nothing of a topic in this state arrives.
pub(super) fn is_held(state: &str) -> bool {
    !matches!(state, "flowing" | "message_too_large")
}

fn partners(view: &View) -> Stage {
    let connected = view.partners.iter().filter(|partner| partner.connected).count();
    let (tone, word) = match connected {
        0 => (Tone::Quiet, "none connected".to_owned()),
        1 => (Tone::Good, "1 connected".to_owned()),
        n => (Tone::Good, format!("{n} connected")),
    };
    let rows = || view.outputs.iter().filter(|output| output.name != KAFKA);
    let waiting = rows().map(|output| output.books.ledger.waiting).sum();
    let facts = vec![
        ("Records", rate(rows().map(|output| output.records_rate).sum(), "records")),
        ("Sent", bytes_rate(view.rates.partner_bytes)),
        ("Waiting", count(waiting)),
        ("Oldest", age(rows().filter_map(|output| output.books.ledger.oldest_ms).min(), view.at_ms)),
    ];
    Stage { name: "Partners", tone, word, facts, fill: None }
}

fn passing(output: &Output, now_ms: u64) -> Vec<(&'static str, Cell)> {
    vec![
        ("Records", rate(output.records_rate, "records")),
        ("Waiting", count(output.books.ledger.waiting)),
        ("Oldest", age(output.books.ledger.oldest_ms, now_ms)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_that_do_not_flow_count_beyond_those_that_are_listed() {
        let word = |topics_held, topics_stalled| {
            kafka_word(&KafkaStatus { topics_held, topics_stalled, ..KafkaStatus::default() }, true).1
        };
        assert_eq!(word(0, 0), "delivering");
        assert_eq!(word(1, 0), "delivering, but 1 topic does not flow");
        assert_eq!(word(68, 2), "delivering, but 70 topics do not flow");
    }
}
