//! `GET /`: the status page, for a person.
//!
//! # What it promises
//! * It is complete as it is sent, so that it can be read without scripts and in a text browser.
//! * There is one maker of it: with scripts the same text comes again each second by [`events`](super::events), and what
//!   is other in it takes the place of what was there. Scripts reckon nothing and know no number.
//! * Nothing comes from elsewhere, and nothing but its own style and script, by their hashes, is let do anything.

mod html;
mod human;
mod line;
mod lists;
mod problems;

use std::fmt::{self, Write};
use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};

use super::live::View;
use super::routes::{Shared, Signpost};
use html::{Escaped, Tone};
use human::{clock, span, utc};

/// Its media type.
pub(super) const HTML: &str = "text/html; charset=utf-8";

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("live.js");

/// What the browser may do for the page: its own style and script, and ask us for more.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| openssl::base64::encode_block(&openssl::sha::sha256(text.as_bytes()));
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a policy is printable ASCII")
});

/// `GET /`.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Response {
    let page = document(&shared.live.view(), &shared.signposts);
    ([(header::CONTENT_SECURITY_POLICY, POLICY.clone())], Html(page)).into_response()
}

fn document(look: &View, signposts: &[Signpost]) -> String {
    let mut html = String::with_capacity(32 * 1024);
    write_document(&mut html, look, signposts).expect("a String takes all");
    html
}

fn write_document(html: &mut String, look: &View, signposts: &[Signpost]) -> fmt::Result {
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>metrics-collector</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <p id=\"live\" role=\"status\"><noscript>This is how it was when the page was asked for. Load it again to see how \
         it is.</noscript></p>\n"
    )?;
    html.push_str(&view(look));
    writeln!(html, "<footer>\n<h2>Routes</h2>\n<ul>")?;
    for Signpost { path, about, .. } in signposts {
        let to = Escaped(path.trim_start_matches('/'));
        let to = if *path == "/" { "./".to_owned() } else { to.to_string() };
        writeln!(html, "<li><a href=\"{to}\">{}</a> {}</li>", Escaped(path), Escaped(about))?;
    }
    writeln!(html, "</ul>\n</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>")
}

/// What of the page changes.
pub(super) fn view(look: &View) -> String {
    let mut html = String::with_capacity(24 * 1024);
    write_view(&mut html, look).expect("a String takes all");
    html
}

fn write_view(html: &mut String, look: &View) -> fmt::Result {
    let (tone, verdict) = verdict(look);
    writeln!(html, "<div id=\"view\" data-title=\"{} metrics-collector\">", tone.sign())?;
    header_of(html, look, tone, &verdict)?;
    writeln!(html, "<main>")?;
    problems::write(html, look)?;
    line::write(html, look)?;
    lists::outputs(html, look)?;
    lists::senders(html, look)?;
    lists::partners(html, look)?;
    lists::topics(html, look)?;
    lists::records(html, look)?;
    lists::parts(html, look)?;
    writeln!(html, "</main>\n</div>")
}

/// How it is as a whole.
fn verdict(look: &View) -> (Tone, String) {
    let missing: Vec<_> =
        look.readiness.parts.iter().filter(|part| !part.ready).map(|part| part.name).collect();
    if !missing.is_empty() {
        (Tone::Bad, format!("Not ready: {}.", missing.join(", ")))
    } else if look.status.problems.iter().any(|problem| problem.now) {
        (Tone::Warn, "Ready, but something is wrong.".to_owned())
    } else {
        (Tone::Good, "Ready: every part does its work.".to_owned())
    }
}

fn header_of(html: &mut String, look: &View, tone: Tone, verdict: &str) -> fmt::Result {
    let status = &look.status;
    let (class, sign) = (tone.class(), tone.sign());
    writeln!(html, "<header>\n<h1>metrics-collector</h1>")?;
    writeln!(html, "<p class=\"verdict {class}\" role=\"status\">{sign} {}</p>", Escaped(verdict))?;
    write!(
        html,
        "<p class=\"quiet\"><time id=\"at\" title=\"{}\">{} UTC</time>",
        utc(look.at_ms),
        clock(look.at_ms)
    )?;
    if let Some(agent) = status.agent.as_ref().and_then(|agent| agent.agent_id.as_deref()) {
        write!(html, ", agent {}", Escaped(agent))?;
    }
    let up = span(look.at_ms.saturating_sub(status.started_seconds * 1000));
    let (version, revision) = (Escaped(status.version), Escaped(status.revision));
    writeln!(html, ", up for {up}, version {version}, revision {revision}</p>\n</header>")
}
