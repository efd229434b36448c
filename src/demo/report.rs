//! The books at the end: what was sent, accepted, delivered and read back, and whether it is the same.

use super::lines::plural;
use super::screen::Style;
use super::tally::{Tally, TopicTally};
use crate::sample_producer::send::Totals;
use crate::spool::OutputLedger;

/// What an emitter sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Who.
    pub name: &'static str,
    /// Where it went.
    pub topic: String,
    /// How many records, or why it ended before its time.
    pub records: Result<u64, String>,
}

/// Everything that was counted.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the emitters sent.
    pub sent: Vec<Sent>,
    /// Records that the collector made of the agent's answers.
    pub polled: u64,
    /// The collector's books for Kafka.
    pub ledger: OutputLedger,
    /// What the sample producer sent, or why it did not run.
    pub samples: Result<Totals, String>,
    /// Kafka topic of the sample producer.
    pub sample_topic: String,
    /// What the collector puts in front of a record's topic.
    pub prefix: &'static str,
    /// What the consumer read.
    pub tally: Tally,
}

impl Report {
    /// Records that came neither from an emitter nor from the agent: the visitor's.
    fn visitors(&self, all: u64) -> u64 {
        let sent: u64 = self.sent.iter().map(|sent| *sent.records.as_ref().unwrap_or(&0)).sum();
        all.saturating_sub(sent + self.polled)
    }

    /// What is not as it should be, a sentence each.
    #[must_use]
    pub fn disagreements(&self) -> Vec<String> {
        let mut found = Vec::new();
        let OutputLedger { accepted, delivered, waiting, lost, .. } = &self.ledger;
        let mut sum = self.polled;
        for Sent { name, topic, records } in &self.sent {
            let read = self.tally.topic(topic).records;
            match records {
                Ok(sent) if *sent > read => {
                    found.push(format!("{name}: {sent} sent, and only {read} read back from {topic}"));
                }
                Ok(sent) => sum += sent,
                Err(problem) => found.push(format!("{name}: {problem}")),
            }
        }
        if sum > *accepted {
            found.push(format!("{sum} sent, and only {accepted} accepted"));
        }
        if self.ledger.imbalance() != 0 {
            found.push(format!("the ledger is off by {}", self.ledger.imbalance()));
        }
        let lost: u64 = lost.values().sum();
        if *waiting > 0 || lost > 0 {
            found.push(format!("{waiting} still waiting, {lost} lost"));
        }
        let read = self.tally.records(self.prefix);
        if read != *delivered {
            found.push(format!("{delivered} delivered, and {read} read back"));
        }
        let missing: u64 = self.tally.topics.values().map(TopicTally::missing).sum();
        if missing > 0 {
            found.push(format!("{missing} missing by the numbers in the headers"));
        }
        if self.tally.unreadable > 0 {
            found.push(format!("{} unreadable", plural(self.tally.unreadable, "message")));
        }
        let samples_read = self.tally.topic(&self.sample_topic).messages;
        match &self.samples {
            Ok(Totals { messages, acknowledged, .. })
                if acknowledged != messages || *acknowledged as u64 != samples_read =>
            {
                found.push(format!(
                    "sample producer: {messages} messages sent, {acknowledged} acknowledged, {samples_read} read back"
                ));
            }
            Ok(_) => {}
            Err(problem) => found.push(format!("sample producer: {problem}")),
        }
        found
    }

    /// The table, and the verdict under it.
    #[must_use]
    pub fn lines(&self, style: Style) -> Vec<String> {
        let OutputLedger { accepted, delivered, waiting, lost, set_aside, .. } = &self.ledger;
        let read = self.tally.records(self.prefix);
        let row = |name: &str, cells: [Option<u64>; 4]| {
            let cells = cells.map(|cell| cell.map_or_else(String::new, |cell| cell.to_string()));
            let [sent, accepted, delivered, read] = cells;
            format!("  {name:<24}{sent:>10}{accepted:>10}{delivered:>11}{read:>11}")
        };
        let head = format!(
            "  {:<24}{:>10}{:>10}{:>11}{:>11}",
            "records", "sent", "accepted", "delivered", "read back"
        );
        let mut lines = vec![style.strong(head)];
        let mut known = 0;
        for Sent { name, topic, records } in &self.sent {
            let sent = *records.as_ref().unwrap_or(&0);
            // What is over in a topic is the visitor's.
            let back = self.tally.topic(topic).records.min(sent);
            known += back;
            lines.push(row(name, [Some(sent), None, None, Some(back)]));
        }
        if self.polled > 0 {
            // In the agent's topic and in that of the framework, beside what the module sent.
            let back = read.saturating_sub(known).min(self.polled);
            known += back;
            lines.push(row("agent, polled", [Some(self.polled), None, None, Some(back)]));
        }
        let visitors = self.visitors(*accepted);
        if visitors > 0 {
            lines.push(row("you", [Some(visitors), None, None, Some(read.saturating_sub(known))]));
        }
        let total: u64 = self.sent.iter().map(|sent| *sent.records.as_ref().unwrap_or(&0)).sum();
        lines.push(row(
            "all",
            [Some(total + self.polled + visitors), Some(*accepted), Some(*delivered), Some(read)],
        ));
        let (lost, aside): (u64, u64) = (lost.values().sum(), set_aside.values().sum());
        let imbalance = self.ledger.imbalance();
        lines.push(format!("  waiting {waiting}, lost {lost}, set aside {aside}, imbalance {imbalance}"));
        for (reason, records) in set_aside {
            lines.push(format!("  set aside as {}: {records}", reason.name()));
        }
        if let Ok(totals) = &self.samples {
            let back = self.tally.topic(&self.sample_topic).messages;
            let (messages, acknowledged) = (totals.messages, totals.acknowledged);
            lines.push(format!(
                "  sample producer, past the collector: {} sent, {acknowledged} acknowledged, {back} read back",
                plural(messages as u64, "message")
            ));
        }
        let repeats: u64 = self.tally.topics.values().map(|topic| topic.repeats).sum();
        if repeats > 0 {
            lines.push(format!("  {} came twice and counted once", plural(repeats, "message")));
        }
        lines.push(String::new());
        let disagreements = self.disagreements();
        if disagreements.is_empty() {
            lines.push(style.good("The books balance: every record that was accepted is in Kafka."));
        } else {
            lines.push(style.bad("The books do not agree:"));
            lines.extend(disagreements.into_iter().map(|what| format!("  {what}")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tally::Span;
    use crate::spool::{AsideReason, LossReason};

    fn report() -> Report {
        let mut tally = Tally::default();
        tally.note("m-a", Some(Span { first: 0, records: 8 }), 8);
        tally.note("m-b", Some(Span { first: 0, records: 3 }), 3);
        tally.note("m-agent", Some(Span { first: 0, records: 4 }), 4);
        tally.note("m-hello", Some(Span { first: 0, records: 1 }), 1);
        tally.note("samples", None, 3);
        let sent = |name, topic: &str, records| Sent { name, topic: topic.to_owned(), records: Ok(records) };
        Report {
            sent: vec![sent("module", "m-a", 8), sent("service", "m-b", 3)],
            polled: 4,
            ledger: OutputLedger { accepted: 16, delivered: 16, ..OutputLedger::default() },
            samples: Ok(Totals { messages: 1, acknowledged: 1, failed: 0 }),
            sample_topic: "samples".to_owned(),
            prefix: "m-",
            tally,
        }
    }

    #[test]
    fn when_all_agrees_the_table_says_so() {
        assert_eq!(
            report().lines(Style { colours: false }),
            [
                "  records                       sent  accepted  delivered  read back",
                "  module                           8                               8",
                "  service                          3                               3",
                "  agent, polled                    4                               4",
                "  you                              1                               1",
                "  all                             16        16         16         16",
                "  waiting 0, lost 0, set aside 0, imbalance 0",
                "  sample producer, past the collector: 1 message sent, 1 acknowledged, 1 read back",
                "",
                "The books balance: every record that was accepted is in Kafka.",
            ]
        );
    }

    #[test]
    fn every_disagreement_is_named() {
        type Change = fn(&mut Report);
        let cases: [(Change, &[&str]); 8] = [
            (|_| {}, &[]),
            (|report| report.sent[0].records = Ok(9), &["module: 9 sent, and only 8 read back from m-a"]),
            (|report| report.sent[1].records = Err("reset".into()), &["service: reset"]),
            (
                |report| report.ledger.delivered = 17,
                &["the ledger is off by -1", "17 delivered, and 16 read back"],
            ),
            (
                |report| {
                    report.ledger.accepted = 18;
                    report.ledger.waiting = 1;
                    report.ledger.lost = [(LossReason::Shutdown, 1)].into();
                },
                &["1 still waiting, 1 lost"],
            ),
            (
                |report| report.tally.note("m-b", Some(Span { first: 5, records: 1 }), 1),
                &["16 delivered, and 17 read back", "2 missing by the numbers in the headers"],
            ),
            (|report| report.tally.unreadable = 1, &["1 message unreadable"]),
            (
                |report| report.samples = Ok(Totals { messages: 2, acknowledged: 1, failed: 1 }),
                &["sample producer: 2 messages sent, 1 acknowledged, 1 read back"],
            ),
        ];
        for (change, expected) in cases {
            let mut report = report();
            change(&mut report);
            assert_eq!(report.disagreements(), expected);
        }
    }

    #[test]
    fn what_a_visitor_sends_under_an_illegal_topic_is_shown_and_no_disagreement() {
        let mut report = report();
        report.ledger.accepted = 17;
        report.ledger.set_aside = [(AsideReason::IllegalTopic, 1)].into();
        assert_eq!(report.disagreements(), [""; 0]);
        let lines = report.lines(Style { colours: false });
        assert!(lines.contains(&"  set aside as illegal_topic: 1".to_owned()), "{lines:#?}");
    }
}
