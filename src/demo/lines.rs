//! How a message that was read from Kafka looks on the screen, and how many of them a person can follow.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::screen::Style;
use super::tally::Span;
use crate::record::{MetricList, Tag};

/// Records that are shown of a message.
const RECORDS: usize = 2;
/// Datapoints that are shown of a record.
const DATAPOINTS: usize = 2;
/// Characters that are shown of a text.
const CHARS: usize = 52;
/// Longest value of a tag that is shown whole, in characters, and what is shown of a longer one: enough to know an id
/// by.
const VALUE_CHARS: usize = 12;
const VALUE_BEGINS: usize = 8;

/// A message, read.
#[derive(Clone, Debug)]
pub struct Arrived<'a> {
    /// Kafka topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Place in the partition.
    pub offset: i64,
    /// From its headers.
    pub span: Option<Span>,
    /// Bytes of its value.
    pub bytes: usize,
    /// From its value.
    pub records: &'a [MetricList],
    /// Whether the visitor sent it.
    pub visitors: bool,
}

/// The lines for one message.
#[must_use]
pub fn lines(arrived: &Arrived<'_>, style: Style) -> Vec<String> {
    let Arrived { topic, partition, offset, span, bytes, records, visitors } = arrived;
    let numbers = span.map_or_else(String::new, |Span { first, .. }| format!(", first={first}"));
    let about = format!("partition {partition}, offset {offset}{numbers}");
    let size = format!("{}, {bytes} bytes", plural(records.len() as u64, "record"));
    let (name, mark) =
        (text(topic.as_bytes()), if *visitors { style.good("   <- yours") } else { String::new() });
    let mut lines = vec![format!("{}  {about}: {size}{mark}", style.name(name))];
    lines.extend(records.iter().take(RECORDS).map(|record| format!("    {}", line(record, style))));
    if records.len() > RECORDS {
        let more = (records.len() - RECORDS) as u64;
        lines.push(style.faint(format_args!("    and {more} more")));
    }
    lines
}

/// A record: its first datapoints, and the tags that tell the most.
fn line(record: &MetricList, style: Style) -> String {
    let mut values: Vec<String> = Vec::new();
    for datapoint in record.datapoints.iter().take(DATAPOINTS) {
        values.push(format!("{} {}", text(&datapoint.name), datapoint.value));
    }
    let more = record.datapoints.len().saturating_sub(DATAPOINTS);
    if more > 0 {
        values.push(format!("+{more}"));
    }
    let tags = tags(record);
    let tags =
        tags.iter().map(|tag| format!("{}={}", text(&tag.key), cut(&tag.value, VALUE_CHARS, VALUE_BEGINS)));
    let tags: Vec<String> = tags.collect();
    format!("{:<48} {}", values.join(", "), style.faint(tags.join(" ")))
}

/// The first tag and the last two, of which the very last is one that the collector has added. An id that is the topic
/// too, or that stands there already, tells nothing new.
fn tags(record: &MetricList) -> Vec<&Tag> {
    let mut seen = HashSet::from([record.topic.as_slice()]);
    let new: Vec<&Tag> = record.tags.iter().filter(|tag| seen.insert(&tag.value)).collect();
    match new.as_slice() {
        [first, _, .., before, last] => vec![first, before, last],
        few => few.to_vec(),
    }
}

/// Bytes of strangers as a short text of one line.
fn text(bytes: &[u8]) -> String {
    cut(bytes, CHARS, CHARS)
}

/// All of it, or its first `begins` characters where it has more than `max`.
fn cut(bytes: &[u8], max: usize, begins: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (shown, more) = if text.chars().nth(max).is_some() { (begins, "…") } else { (max, "") };
    text.chars().take(shown).flat_map(char::escape_debug).collect::<String>() + more
}

/// `1 record`, `2 records`.
#[must_use]
pub fn plural(n: u64, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// Lets through what a person can read, and counts the rest.
#[derive(Clone, Debug)]
pub struct Pace {
    begun: Option<Instant>,
    shown: u32,
    hidden: u64,
}

impl Pace {
    /// Messages that are shown in each window.
    const SHOWN: u32 = 4;
    const WINDOW: Duration = Duration::from_secs(1);

    /// Nothing was shown yet.
    #[must_use]
    pub fn new() -> Pace {
        Pace { begun: None, shown: 0, hidden: 0 }
    }

    /// Whether to show a message that came at `now`. If so: how many were hidden since the last that was shown.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.begun.is_none_or(|begun| now.saturating_duration_since(begun) >= Pace::WINDOW) {
            (self.begun, self.shown) = (Some(now), 0);
        }
        if self.shown == Pace::SHOWN {
            self.hidden += 1;
            return None;
        }
        self.shown += 1;
        Some(std::mem::take(&mut self.hidden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Datapoint;

    const PLAIN: Style = Style { colours: false };

    fn record(datapoints: usize) -> MetricList {
        let datapoint = |i: usize| Datapoint { name: format!("d{i}").into(), time_ms: 1, value: 0.5 };
        MetricList {
            topic: b"topic".to_vec(),
            tags: vec![Tag::new("same", "topic"), Tag::new("k", "v"), Tag::new("x", "y"), Tag::new("a", "z")],
            datapoints: (0..datapoints).map(datapoint).collect(),
        }
    }

    fn shown(records: &[MetricList], span: Option<Span>) -> Vec<String> {
        let arrived =
            Arrived { topic: "t", partition: 1, offset: 7, span, bytes: 99, records, visitors: false };
        lines(&arrived, PLAIN)
    }

    #[test]
    fn a_message_is_a_head_and_a_line_a_record() {
        let span = Some(Span { first: 40, records: 4 });
        let tags = "k=v x=y a=z";
        assert_eq!(
            shown(&[record(1), record(5), record(1), record(1)], span),
            [
                "t  partition 1, offset 7, first=40: 4 records, 99 bytes".to_owned(),
                format!("    {:<48} {tags}", "d0 0.5"),
                format!("    {:<48} {tags}", "d0 0.5, d1 0.5, +3"),
                "    and 2 more".to_owned(),
            ]
        );
        assert_eq!(shown(&[], None), ["t  partition 1, offset 7: 0 records, 99 bytes"]);
    }

    #[test]
    fn of_many_tags_the_first_and_the_last_are_shown() {
        let mut record = record(0);
        record.tags = ["topic", "1", "2", "1", "3", "4"].map(|value| Tag::new("k", value)).into();
        let values: Vec<&[u8]> = tags(&record).iter().map(|tag| tag.value.as_slice()).collect();
        assert_eq!(values, [b"1", b"3", b"4"]);
    }

    #[test]
    fn hostile_texts_are_escaped_and_cut() {
        let mut hostile = MetricList { tags: vec![Tag::new("\x1b[2J\n", "x".repeat(99))], ..record(1) };
        hostile.datapoints[0].name = "\x07".repeat(99).into();
        let lines = shown(&[hostile], None);
        assert!(lines[1].ends_with(r"\u{1b}[2J\n=xxxxxxxx…"), "{}", lines[1]);
        assert!(lines[1].starts_with(r"    \u{7}\u{7}") && lines[1].len() < 400, "{}", lines[1]);
    }

    #[test]
    fn a_flood_is_counted_and_not_shown() {
        let mut pace = Pace::new();
        let start = Instant::now();
        let admitted = (0..10).filter_map(|_| pace.admit(start)).collect::<Vec<_>>();
        assert_eq!(admitted, [0; 4]);
        assert_eq!(pace.admit(start + Pace::WINDOW), Some(6));
        assert_eq!(pace.admit(start + Pace::WINDOW), Some(0));
    }
}
