//! The table of keys as a page of Markdown, which is `docs/configuration.md`.

use std::fmt::Write;

use super::keys::{Group, Key, Kind};

const INTRODUCTION: &str = "\
# Configuration

Every key can be given as a flag, in the environment and in a TOML file (`--config FILE`). A flag wins over the
environment, the environment over the file, the file over the default. `metrics-collector check-config` names every
fault there is, `metrics-collector print-config` shows every value and where it comes from. A bad value ends the
program with exit code 78, an unknown flag with 2.

- **Flags** have two dashes or, as Go programs have them, one: `--kafka-brokers a:9092`, `-kafka-brokers=a:9092`.
  A switch alone means true; else its value follows `=`, as in `--kafka=false`. Of a flag that is given twice the last
  one counts.
- **Environment**: every key is `METRICS_COLLECTOR_` and its name in capitals, as in
  `METRICS_COLLECTOR_KAFKA_BROKERS`. The shorter names in the tables are those of the Go collector of 2016. An empty
  variable counts as not set; two names of one key must agree; an unknown name that begins with `METRICS_COLLECTOR_` is
  a fault.
- **File**: the flags' names at the top level, as in `kafka-brokers = \"a:9092,b:9092\"`. Unknown keys are faults.
- **Sizes** are bytes, or have `KiB`, `MiB`, `GiB` (or `k`, `M`, `G`, powers of 1024 too). **Times** have their unit:
  `250ms`, `15s`, `1m`, `2h`. An empty text unsets a key that has no default.
- **Change**: what is `live` can be changed while the collector runs, and what is `reload` too, but by its file alone,
  see [operating.md](operating.md); anything else counts from the next start on.

This page is the output of `metrics-collector config-reference`.
";

/// The page.
#[must_use]
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in &Group::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n| Key | Value | Default | Change | What it does |\n|---|---|---|---|---|\n",
            group.title
        );
        for key in group.keys {
            let (name, values, default) = (name(key), values(key), default(key));
            let change = key.change();
            let _ = writeln!(page, "| {name} | {values} | {default} | {change} | {} |", key.doc);
        }
    }
    page
}

fn name(key: &Key) -> String {
    let mut cell = format!("`{}`", key.name);
    for other in key.aliases.iter().chain(key.bare_environment) {
        let _ = write!(cell, "<br>`{other}`");
    }
    cell
}

fn default(key: &Key) -> String {
    match key.default {
        None => "not set".to_owned(),
        Some(text) => format!("`{text}`"),
    }
}

fn values(key: &Key) -> String {
    let values = match key.kind {
        Kind::Bool => "`true`, `false`".to_owned(),
        Kind::Integer { .. } => "number".to_owned(),
        Kind::Size { .. } => "size".to_owned(),
        Kind::Time { .. } => "time".to_owned(),
        Kind::Milliseconds { .. } => "milliseconds".to_owned(),
        Kind::Seconds { .. } => "seconds".to_owned(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Text | Kind::Token => "text".to_owned(),
        Kind::Account => "JSON or path".to_owned(),
        Kind::LogFilter => "filter".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::File => "file".to_owned(),
        Kind::Endpoint => "address:port".to_owned(),
        Kind::DnsServer => "ip, ip:port".to_owned(),
        Kind::Url => "http or https address".to_owned(),
        Kind::Framework => "name".to_owned(),
        Kind::Brokers => "host:port,... or @file".to_owned(),
        Kind::TopicName => "topic".to_owned(),
        Kind::TopicPrefix => "prefix".to_owned(),
        Kind::Properties => "name=value, repeatable".to_owned(),
        Kind::Partners => "tables, or JSON".to_owned(),
    };
    if key.secret { format!("{values}, secret") } else { values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_the_one_the_table_makes() {
        let committed = include_str!("../../docs/configuration.md");
        assert!(
            committed == markdown(),
            "docs/configuration.md is out of date; write it anew with `metrics-collector config-reference`"
        );
    }

    #[test]
    fn no_cell_breaks_the_table() {
        for key in Key::all() {
            assert!(!key.doc.contains('|'), "{}", key.name);
        }
    }
}
