//! What is wrong, and what to do about it: what is so now first.

use std::fmt::{self, Write};

use super::html::{Escaped, Tone, section};
use super::human::{clock, span, thousands, utc};
use crate::control::{Part, Problem};
use crate::http::live::View;

/// Problems that are shown at once; the others when they are asked for.
const SHOWN: usize = 5;

/// A problem of so long ago says why a part is not ready now.
const EXPLAINS_MS: u64 = 60_000;

pub(super) fn write(html: &mut String, view: &View) -> fmt::Result {
    let all = &view.status.problems;
    section(html, "problems", "Problems", |html| {
        if all.is_empty() && view.readiness.ready {
            return writeln!(html, "<p><span class=\"good\">✔ None</span> in the last hour.</p>");
        }
        for part in unexplained(view) {
            let (name, detail) = (Escaped(part.name), Escaped(&part.detail));
            begin(html, Tone::Bad, "Now", format_args!("{name} is not ready"))?;
            writeln!(html, "<p>{detail}</p>\n</article>")?;
        }
        let (shown, others) = all.split_at(all.len().min(SHOWN));
        list(html, shown, view.at_ms)?;
        if others.is_empty() {
            return Ok(());
        }
        writeln!(html, "<details>\n<summary>{} more of the last hour</summary>", others.len())?;
        list(html, others, view.at_ms)?;
        writeln!(html, "</details>")
    })
}

/// Parts that are not ready, and of which no problem says why.
fn unexplained(view: &View) -> impl Iterator<Item = &Part> {
    let is_news = |problem: &Problem| problem.now || view.at_ms.saturating_sub(problem.last_ms) < EXPLAINS_MS;
    let is_explained = move |part: &Part| {
        view.status.problems.iter().any(|problem| problem.part == part.name && is_news(problem))
    };
    view.readiness.parts.iter().filter(move |part| !part.ready && !is_explained(part))
}

fn list(html: &mut String, problems: &[Problem], now_ms: u64) -> fmt::Result {
    for problem in problems {
        let Problem { what, detail, advice, .. } = problem;
        let (tone, when) = match problem.over_ms {
            _ if problem.now => (Tone::Bad, "Now"),
            Some(_) => (Tone::Quiet, "Over"),
            None => (Tone::Warn, "Lately"),
        };
        begin(html, tone, when, Escaped(what))?;
        writeln!(html, "<p class=\"quiet\">{}</p>", times(problem, now_ms))?;
        writeln!(html, "<p class=\"detail\">{}</p>", Escaped(detail))?;
        writeln!(html, "<p><strong>What to do:</strong> {}</p>\n</article>", Escaped(advice))?;
    }
    Ok(())
}

/// `what` is HTML.
fn begin(html: &mut String, tone: Tone, when: &str, what: impl fmt::Display) -> fmt::Result {
    let (class, sign) = (tone.class(), tone.sign());
    writeln!(
        html,
        "<article class=\"problem {class}\">\n<h3><span class=\"{class}\">{sign} {when}:</span> {what}</h3>"
    )
}

/// When and how often it was.
fn times(problem: &Problem, now_ms: u64) -> String {
    let Problem { times, first_ms, last_ms, .. } = *problem;
    let time = |ms: u64| format!("<time title=\"{}\">{}</time>", utc(ms), clock(ms));
    let ago = |ms: u64| span(now_ms.saturating_sub(ms));
    match problem.over_ms {
        _ if problem.now => format!("since {} UTC, for {}", time(first_ms), ago(first_ms)),
        Some(over) => format!("from {} to {} UTC, over for {}", time(first_ms), time(over), ago(over)),
        None if times == 1 => format!("at {} UTC, {} ago", time(last_ms), ago(last_ms)),
        None => {
            let times = thousands(times);
            format!("{times} times since {} UTC, the last time {} ago", time(first_ms), ago(last_ms))
        }
    }
}
