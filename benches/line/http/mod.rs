//! What the HTTP server costs, and how fast it is while records come at full rate: its pages, a scrape of very many topics,
//! the viewers of the status page, and changes of the configuration.

mod changes;
mod client;
mod pages;
mod viewers;

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::child::Part;
use crate::data::Shape;
use crate::systems::{Running, Setup};

pub(crate) use changes::Changed;
pub(crate) use pages::{ECHO, Page, Scrape};
pub(crate) use viewers::{ROUTE as EVENTS, Viewed};

/// More datapoints than any machine sends in this time.
const ENDLESS: &str = "1000000000";

/// How long the collector may take to deliver what came.
const SETTLE: Duration = Duration::from_secs(30);

/// All of it.
pub(crate) struct Outcome {
    pub(crate) pages: Vec<Page>,
    pub(crate) scrape: Scrape,
    pub(crate) viewed: Viewed,
    pub(crate) changed: Vec<Changed>,
}

impl Outcome {
    /// Nothing was lost, refused, or missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.pages.iter().all(|page| page.whole)
            && self.scrape.whole
            && self.viewed.is_whole()
            && self.changed.iter().all(Changed::is_whole)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "pages": self.pages.iter().map(Page::json).collect::<Vec<_>>(),
            "scrape": self.scrape.json(),
            "viewers": self.viewed.json(),
            "changes": self.changed.iter().map(Changed::json).collect::<Vec<_>>(),
        })
    }
}

/// Each for `lasting`.
pub(crate) fn run(setup: &Setup, lasting: Duration) -> io::Result<Outcome> {
    Ok(Outcome {
        pages: pages::under_load(setup, lasting)?,
        scrape: pages::scrape(setup)?,
        viewed: viewers::run(setup, lasting)?,
        changed: changes::run(setup, lasting)?,
    })
}

/// A sender at full rate for `lasting`, waiting to be told, and what it is going to send.
fn full_rate(running: &Running, lasting: Duration) -> io::Result<(Part, Value)> {
    let ms = lasting.as_millis().to_string();
    let to = ["--to", &running.input, "--shape", Shape::WIDE.name(), "--connections", "4"];
    let how_much = ["--datapoints", ENDLESS, "--ms", &ms];
    let sender = Part::role("send", &[&to[..], &how_much].concat(), true)?;
    let plan = sender.ready()?;
    Ok((sender, plan))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// The value of which so much are smaller, in ms.
fn at_share(sorted: &[Duration], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
}
