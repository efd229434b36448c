//! The page as it is sent.

use std::sync::atomic::Ordering;

use super::super::routes::table;
use super::fixture::{HERE, Server, get};

/// What stands between `begin` and `end`, once.
fn between<'a>(page: &'a str, begin: &str, end: &str) -> &'a str {
    assert_eq!(page.matches(begin).count(), 1, "{begin} in {page}");
    page.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).unwrap().0
}

/// What a reader without scripts sees, its blanks made one each.
fn text(page: &str) -> String {
    let mut text = String::new();
    let body = page.split_once("<body>").unwrap().1.split_once("<script>").unwrap().0;
    for piece in body.split('<') {
        text.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
        text.push(' ');
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_page_links_every_route_from_where_it_is() {
    let page = Server::new(None).ask(HERE, get("/")).await.text;
    for route in table().into_iter().filter(|route| route.is_linked() && route.path != "/") {
        let link = format!("<a href=\"{}\">{}</a>", &route.path[1..], route.path);
        assert!(page.contains(&link), "{link} in {page}");
    }
}

#[tokio::test]
async fn what_others_wrote_is_text_and_nothing_is_fetched() {
    let page = Server::new(None).ask(HERE, get("/")).await.text;
    // Its own.
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    let escaped = "&lt;/td&gt;&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;";
    // The agent's id at the top; the problem; the sender; the topic; the part's words; the broker and its error; what was
    // found, who said so, and what went wrong with it; the agent's address, its id, and what went wrong with it.
    assert_eq!(page.matches(escaped).count(), 13, "{page}");
    for outside in ["http://", "https://", "<img", "url(", "@import", " src=", "style=", "onclick"] {
        assert!(!page.contains(outside), "{outside} in {page}");
    }
}

#[tokio::test]
async fn the_browser_is_let_do_what_the_page_has_and_nothing_else() {
    let answer = Server::new(None).ask(HERE, get("/")).await;
    let hash = |text: &str| openssl::base64::encode_block(&openssl::sha::sha256(text.as_bytes()));
    let style = hash(between(&answer.text, "<style>", "</style>"));
    let script = hash(between(&answer.text, "<script>", "</script>"));
    let expected = format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(answer.header("content-security-policy"), expected);
    let other = Server::new(None).ask(HERE, get("/v1/status")).await;
    let policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    assert_eq!(other.header("content-security-policy"), policy);
}

#[tokio::test]
async fn without_scripts_everything_is_there() {
    let server = Server::new(None);
    server.stages.ready.store(false, Ordering::Relaxed);
    let page = server.ask(HERE, get("/")).await.text;
    let text = text(&page);
    for expected in [
        "Load it again to see how it is.",
        "✖ Not ready: kafka.",
        "✖ Now: Kafka cannot be reached since 00:00:01 UTC",
        "What to do: See that the brokers run.",
        "Input ✔ reading Records",
        "Mesos agent ✖ no answer to use at /state Containers 12",
        "Spool ✔ takes records in",
        "Kafka ✖ cannot be reached; records wait",
        "Partners · none connected",
        "Waiting 2 Oldest",
        "2 4.00 kB",
        "12.3 kB",
        "p · away, has a place",
        "✖ held: may not be written",
        "state (/state) ✖ denied: &lt;/td&gt;",
        "nested (/api/v1) ✔ answered 2 s ago",
        "system (/metrics/snapshot) · not asked yet never",
        "1 min 1 s ago",
        "Off, for want of it headers, zstd",
        "✖ The books of kafka do not balance by 1 records",
        "Agent, framework and application known 70",
        "Set apart until it is known whose they are 5",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[tokio::test]
async fn numbers_have_the_exact_ones_behind_them() {
    let page = Server::new(None).ask(HERE, get("/")).await.text;
    assert!(page.contains("<span title=\"12,345 bytes\">12.3 kB</span>"), "{page}");
}

#[tokio::test]
async fn a_part_that_is_not_ready_is_among_the_problems_where_none_says_why() {
    let server = Server::new(None);
    server.stages.ready.store(false, Ordering::Relaxed);
    server.stages.has_problem.store(false, Ordering::Relaxed);
    let text = text(&server.ask(HERE, get("/")).await.text);
    assert!(text.contains("✖ Now: kafka is not ready broker says"), "{text}");
    let server = Server::new(None);
    server.stages.has_problem.store(false, Ordering::Relaxed);
    let page = server.ask(HERE, get("/")).await.text;
    assert!(page.contains("✔ None</span> in the last hour."), "{page}");
}
