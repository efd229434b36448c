//! What stands under the line: what there is of each kind.

use std::fmt::{self, Write};

use super::html::{Cell, Escaped, Tone, facts, section, table};
use super::human::{age, bare_rate, bytes, bytes_rate, count, nothing, span, thousands, utc};
use super::line::is_held;
use crate::control::{
    AgentStatus, AskedStatus, DialStatus, DiscoveryStatus, KafkaStatus, MemoryStatus, PartnerStatus,
};
use crate::http::live::View;

/// Topics that are shown.
const TOPICS_SHOWN: usize = 20;

pub(super) fn outputs(html: &mut String, view: &View) -> fmt::Result {
    section(html, "outputs", "Outputs", |html| {
        let columns = [
            "Output",
            "Records/s",
            "Waiting",
            "Bytes",
            "Oldest",
            "Delivered",
            "Lost",
            "Set aside",
            "Not wanted",
        ];
        let loss = |records: u64| {
            if records == 0 { count(0) } else { Cell::tone(Tone::Warn, thousands(records)) }
        };
        let rows = view.outputs.iter().map(|output| {
            let books = &output.books.ledger;
            vec![
                Cell::text(&output.name),
                bare_rate(output.records_rate),
                count(books.waiting),
                bytes(output.waiting_bytes as u64),
                age(books.oldest_ms, view.at_ms),
                count(books.delivered),
                loss(books.lost.values().sum()),
                loss(books.set_aside.values().sum()),
                count(books.not_wanted),
            ]
        });
        table(html, &columns, rows)?;
        let off = view.outputs.iter().filter(|output| output.books.imbalance != 0);
        for output in off {
            let (name, imbalance) = (Escaped(&output.name), output.books.imbalance);
            writeln!(
                html,
                "<p class=\"bad\">✖ The books of {name} do not balance by {imbalance} records: a fault of the \
                 collector, please report it.</p>"
            )?;
        }
        Ok(())
    })
}

pub(super) fn senders(html: &mut String, view: &View) -> fmt::Result {
    let input = &view.status.input;
    section(html, "senders", "Senders", |html| {
        let (open, max) = (thousands(input.connections as u64), thousands(input.connections_max as u64));
        write!(html, "<p>{open} of {max} connections")?;
        if let Some(listen) = input.listen {
            write!(html, " at {listen}")?;
        }
        if let Some(socket) = &input.socket {
            write!(html, ", {}", Escaped(socket.display()))?;
        }
        writeln!(html, ".</p>")?;
        if view.senders.is_empty() {
            return Ok(());
        }
        if view.senders.len() < input.connections {
            writeln!(html, "<p class=\"quiet\">Those that have sent most:</p>")?;
        }
        let rows = view.senders.iter().map(|sender| {
            vec![
                Cell::text(&sender.status.peer),
                sender.bytes_rate.map_or_else(nothing, bytes_rate),
                bytes(sender.status.bytes),
                count(sender.status.records),
                age(Some(sender.status.since_ms), view.at_ms),
            ]
        });
        table(html, &["Sender", "Rate", "Received", "Records", "Connected for"], rows)
    })
}

/// What came in, and what of it did not.
pub(super) fn records(html: &mut String, view: &View) -> fmt::Result {
    let (input, named) = (&view.status.input, &view.status.input.enrichment);
    let list = [
        ("Accepted", count(input.accepted_records)),
        ("Refused one by one", count(input.refused_records)),
        ("Blocks refused", count(input.refused_blocks)),
        ("Connections reset", count(input.closed_connections)),
        ("Agent, framework and application known", count(named.full)),
        ("Some of them known", count(named.partial)),
        ("None of them known", count(named.none)),
        ("Set apart until it is known whose they are", count(input.apart_records as u64)),
    ];
    section(html, "records", "Records", |html| facts(html, list))
}

pub(super) fn partners(html: &mut String, view: &View) -> fmt::Result {
    section(html, "partners", "Partners", |html| {
        if view.partners.is_empty() {
            return writeln!(html, "<p>None is connected, and none has a place.</p>");
        }
        let rows = view.partners.iter().map(|partner| {
            let name = partner.name.as_deref().or(partner.peer.as_deref()).unwrap_or("without a name");
            let (tone, word) = partner_word(partner);
            let lost = partner.lost_records;
            vec![
                Cell::text(name),
                Cell::tone(tone, word),
                age(Some(partner.since_ms), view.at_ms),
                count(partner.behind_records),
                count(partner.done_records),
                if lost == 0 { count(0) } else { Cell::tone(Tone::Warn, thousands(lost)) },
            ]
        });
        table(html, &["Partner", "State", "For", "Behind", "Done", "Lost"], rows)
    })
}

fn partner_word(partner: &PartnerStatus) -> (Tone, String) {
    match &partner.dialled {
        _ if partner.connected => {
            (Tone::Good, format!("connected by {}", partner.protocol.unwrap_or("unknown")))
        }
        None => (Tone::Quiet, "away, has a place".to_owned()),
        Some(DialStatus { address, last_error: Some((_, error)), .. }) => {
            (Tone::Bad, format!("{address} is not connected: {error}"))
        }
        Some(DialStatus { address, .. }) => (Tone::Warn, format!("{address} is being connected to")),
    }
}

pub(super) fn topics(html: &mut String, view: &View) -> fmt::Result {
    let Some(kafka) = &view.status.kafka else { return Ok(()) };
    section(html, "topics", "Kafka topics", |html| {
        let total = thousands(kafka.topics_total as u64);
        let shown = kafka.topics.len().min(TOPICS_SHOWN);
        writeln!(
            html,
            "<p>{total} in all, {shown} shown: those that do not flow, then those whose records wait longest.</p>"
        )?;
        if shown == 0 {
            return Ok(());
        }
        let rows = kafka.topics.iter().take(TOPICS_SHOWN).map(|topic| {
            let tone = match topic.state {
                "flowing" => Tone::Good,
                state if is_held(state) => Tone::Bad,
                _ => Tone::Warn,
            };
            vec![
                Cell::text(&topic.topic),
                Cell::tone(tone, topic_word(topic.state)),
                count(topic.waiting_records),
                count(topic.in_flight_records),
                age(topic.oldest_ms, view.at_ms),
            ]
        });
        table(html, &["Topic", "State", "Waiting", "Under way", "Oldest"], rows)
    })
}

fn topic_word(state: &str) -> &str {
    match state {
        "unknown_topic" => "held: Kafka does not have it",
        "not_authorized" => "held: may not be written",
        "creating" => "held: being created",
        "retrying" => "held: tried again",
        "stalled" => "stalled: nothing is acknowledged",
        "message_too_large" => "flowing in smaller messages",
        state => state,
    }
}

/// Every part, and what it is connected to.
pub(super) fn parts(html: &mut String, view: &View) -> fmt::Result {
    section(html, "parts", "Parts", |html| {
        let rows = view.readiness.parts.iter().map(|part| {
            let (tone, word) = if part.ready { (Tone::Good, "ready") } else { (Tone::Bad, "not ready") };
            vec![Cell::text(part.name), Cell::tone(tone, word), Cell::text(&part.detail)]
        });
        table(html, &["Part", "State", "In words"], rows)
    })?;
    if let Some(status) = &view.status.kafka {
        section(html, "kafka", "Kafka", |html| facts(html, kafka(status, view.at_ms)))?;
    }
    if let Some(status) = &view.status.discovery {
        section(html, "discovery", "Look for brokers", |html| facts(html, discovery(status)))?;
    }
    if let Some(status) = &view.status.agent {
        section(html, "agent", "Mesos agent", |html| agent(html, status))?;
    }
    section(html, "memory", "Memory", |html| facts(html, memory(&view.status.memory)))
}

fn kafka(kafka: &KafkaStatus, now_ms: u64) -> Vec<(&'static str, Cell)> {
    let mut facts = vec![
        ("Brokers", Cell::text(kafka.brokers.join(", "))),
        ("Under way", bytes(kafka.in_flight_bytes as u64)),
        ("May be under way", bytes(kafka.in_flight_bytes_max as u64)),
        ("Messages under way", count(kafka.in_flight_messages as u64)),
        ("Last acknowledgement", age(kafka.last_ack_ms, now_ms)),
    ];
    if let Some(broker) = &kafka.broker {
        facts.push(("Broker version", Cell::text(broker.version)));
        if !broker.off.is_empty() {
            facts.push(("Off, for want of it", Cell::text(broker.off.join(", "))));
        }
    }
    if let Some((seconds, error)) = &kafka.last_error {
        facts.push(("Last error", Cell::text(format_args!("{error} ({})", utc(seconds * 1000)))));
    }
    facts
}

fn discovery(discovery: &DiscoveryStatus) -> Vec<(&'static str, Cell)> {
    let mut facts = vec![
        ("Framework", Cell::text(&discovery.framework)),
        ("Brokers", Cell::text(discovery.brokers.join(", "))),
    ];
    if let Some(way) = discovery.way {
        let said = discovery.said.as_deref().unwrap_or("of the last run");
        facts.push(("Found by", Cell::text(format_args!("{way}: {said}"))));
    }
    if let Some((seconds, error)) = discovery.last_error.as_ref().filter(|_| !discovery.answered) {
        facts.push(("Last error", Cell::text(format_args!("{error} ({})", utc(seconds * 1000)))));
    }
    facts
}

fn agent(html: &mut String, agent: &AgentStatus) -> fmt::Result {
    let address = agent.address.as_deref().unwrap_or("not known yet");
    facts(
        html,
        [
            ("Address", Cell::text(format_args!("{address}, by {}", agent.found_by))),
            ("Agent id", Cell::text(agent.agent_id.as_deref().unwrap_or("not known yet"))),
            ("Containers", count(agent.containers as u64)),
            ("Frameworks by name", count(agent.frameworks as u64)),
        ],
    )?;
    let rows = agent.asked.iter().map(|asked| {
        let (tone, word) = said(asked);
        let answered =
            asked.age_seconds.map_or("never".to_owned(), |seconds| format!("{} ago", span(seconds * 1000)));
        vec![
            Cell::text(format_args!("{} ({})", asked.what, asked.route)),
            Cell::tone(tone, word),
            Cell::text(answered),
        ]
    });
    table(html, &["Asked for", "Answer", "Last answered"], rows)
}

/// What came of asking, in words.
fn said(asked: &AskedStatus) -> (Tone, String) {
    match (asked.result, &asked.error) {
        (None, _) => (Tone::Quiet, "not asked yet".to_owned()),
        (Some(_), None) => (Tone::Good, "answered".to_owned()),
        // The operator API is not always there, which is no trouble.
        (Some(result), Some(error)) if asked.what == "nested" => (Tone::Quiet, format!("{result}: {error}")),
        (Some(result), Some(error)) => (Tone::Bad, format!("{result}: {error}")),
    }
}

fn memory(memory: &MemoryStatus) -> Vec<(&'static str, Cell)> {
    let mut facts = vec![
        ("Buffers", bytes(memory.buffers_bytes as u64)),
        ("Budget (memory-limit)", bytes(memory.limit_bytes as u64)),
    ];
    facts.extend(memory.resident_bytes.map(|resident| ("Resident", bytes(resident))));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partner_whose_connection_has_ended_is_not_said_to_be_out_of_reach() {
        let ended = DialStatus {
            address: "a:1".to_owned(),
            state: "waiting",
            last_error: Some((1, "it has closed the connection".to_owned())),
            ..DialStatus::default()
        };
        let partner = PartnerStatus { dialled: Some(ended), ..PartnerStatus::default() };
        let (tone, word) = partner_word(&partner);
        assert_eq!(word, "a:1 is not connected: it has closed the connection");
        assert_eq!(tone, Tone::Bad);
    }
}
