//! Who may ask what: decided from the request and the peer's address alone.
//!
//! The rule is by peer, not by listener. The server may have to listen on all addresses (a health check comes to
//! loopback, a scraper to the host's own address), so the address that a request came *to* says nothing.
//!
//! | the request | from this machine | from elsewhere |
//! |---|---|---|
//! | read of an open route | if its `Host` cannot be forged, or with the token | yes |
//! | any other read | if its `Host` cannot be forged, or with the token | with the token |
//! | a write, `http-writes` = `loopback` | if its `Host` cannot be forged, or with the token | with the token |
//! | a write, `http-writes` = `token` | with the token | with the token |
//! | a write, `http-writes` = `off` | no | no |
//! | for another site's page | no | no |
//!
//! Two things stand behind the columns. A web page that somebody on this machine looks at can send requests to
//! loopback; browsers mark those (`Origin`, `Sec-Fetch-Site`), and marked ones are refused. And a page can have its
//! own name resolve to 127.0.0.1 (DNS rebinding), which browsers do not mark; so from this machine the `Host` must be an
//! address or `localhost`, whatever is asked for. A token admits under any name: no page knows it. From elsewhere open
//! routes answer under any name, as scrapers know us by one.
//!
//! This machine is its loopback addresses. What comes from its other addresses cannot be told from what comes from
//! elsewhere, and is treated so.
//!
//! A write is anything but a read, and held to more: it is refused from pages of the same site too, no link may lead to it,
//! open routes are open to reads alone, and a body has to be JSON, which no form sends. Any task with the host's network is
//! on this machine, which is what `token` is for.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Version, header, uri};

use super::host::Authority;
use super::reason::Reason;
use super::settings::Writes;
use super::token;
use crate::record::Secret;

/// Longest request target, in bytes.
const URI_BYTES_MAX: usize = 2048;

/// Largest body that a request may announce, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Media types of a body.
const JSON: [&str; 2] = ["application/json", "application/merge-patch+json"];

/// With any of these a proxy on this machine speaks for somebody else, who may be anywhere.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// The address at the other end, put into each request by the connection. A request without it comes from elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Peer {
    /// Whether the peer is on this machine.
    pub(super) fn is_local(self) -> bool {
        is_loopback(self.0.ip())
    }
}

/// Whether `address` is loopback, also where IPv6 carries IPv4 (`::ffff:127.0.0.1`).
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Who may read a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anyone.
    Open,
    /// This machine, and whoever has the token.
    Closed,
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Read,
    /// Anything else, preflights and unknown methods too.
    Write,
}

impl Intent {
    fn of(method: &Method) -> Intent {
        if *method == Method::GET || *method == Method::HEAD { Intent::Read } else { Intent::Write }
    }
}

/// Says whether `request` may go on to its route.
///
/// # Errors
/// The reason why not.
pub(super) fn check(
    request: &Request,
    access: Access,
    secret: Option<&Secret>,
    writes: Writes,
) -> Result<(), Reason> {
    bounds(request)?;
    let hosts = Hosts::of(request)?;
    let intent = Intent::of(request.method());
    if is_cross_site(request.headers(), &hosts, intent) {
        return Err(Reason::CrossSite);
    }
    if intent == Intent::Write {
        if writes == Writes::Off {
            return Err(Reason::WritesOff);
        }
        if has_body(request.headers()) && !is_json(request.headers()) {
            return Err(Reason::NotJson);
        }
    }
    if secret.is_some_and(|secret| token::carried(request.headers(), secret)) {
        return Ok(());
    }
    let is_loopback = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_local());
    if access == Access::Open && intent == Intent::Read {
        // Not even what says that it was forwarded is excepted: a page can say so too.
        return if is_loopback { local(&hosts) } else { Ok(()) };
    }
    let counts = intent == Intent::Read || writes == Writes::Loopback;
    let here = counts && is_loopback && !FORWARDED.iter().any(|name| request.headers().contains_key(*name));
    match (here, secret) {
        (true, _) => local(&hosts),
        (false, Some(_)) => Err(Reason::Unauthorized),
        (false, None) => Err(Reason::NoTokenConfigured),
    }
}

/// What being on this machine admits.
fn local(hosts: &Hosts<'_>) -> Result<(), Reason> {
    if hosts.are_unforgeable() { Ok(()) } else { Err(Reason::HostNotAllowed) }
}

/// Sizes that are known before anything of the body is read. That of a read is let pass unread if it is small, as RFC 9110
/// §9.3.1 would have it.
fn bounds(request: &Request) -> Result<(), Reason> {
    let uri = request.uri();
    let target =
        uri.path().len() + uri.query().map_or(0, str::len) + uri.authority().map_or(0, |a| a.as_str().len());
    if target > URI_BYTES_MAX {
        return Err(Reason::UriTooLong);
    }
    let headers = request.headers();
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Reason::LengthRequired);
    }
    match length(headers) {
        Some(0..=BODY_BYTES_MAX) => Ok(()),
        _ => Err(Reason::BodyTooLarge),
    }
}

/// Bytes of the body that are announced; none where they are no number, or too many to count.
fn length(headers: &HeaderMap) -> Option<usize> {
    match headers.get(header::CONTENT_LENGTH) {
        None => Some(0),
        Some(length) => length.to_str().ok()?.parse().ok(),
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    length(headers) != Some(0)
}

/// Whether the body says that it is JSON, once.
fn is_json(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let kind = field.to_str().ok().and_then(|field| field.split(';').next()).map_or("", str::trim);
    JSON.iter().any(|json| json.eq_ignore_ascii_case(kind))
}

/// The names under which the client knows us: the `Host` field, and the target if it is a whole URL (which then
/// counts before `Host`, RFC 9112 §3.2.2; we hold both to the rule).
struct Hosts<'a> {
    field: Option<&'a str>,
    target: Option<&'a str>,
}

impl<'a> Hosts<'a> {
    fn of(request: &'a Request) -> Result<Hosts<'a>, Reason> {
        let mut fields = request.headers().get_all(header::HOST).iter();
        let field = match (fields.next(), fields.next()) {
            (None, _) if request.version() <= Version::HTTP_10 => None,
            (Some(field), None) => Some(field.to_str().map_err(|_| Reason::HostInvalid)?),
            _ => return Err(Reason::HostInvalid),
        };
        Ok(Hosts { field, target: request.uri().authority().map(uri::Authority::as_str) })
    }

    fn each(&self) -> impl Iterator<Item = Option<Authority<'a>>> + use<'a> {
        self.field.into_iter().chain(self.target).map(Authority::parse)
    }

    /// An HTTP/1.0 client that names no host is no browser of this century.
    fn are_unforgeable(&self) -> bool {
        self.each().all(|host| host.is_some_and(|host| host.is_unforgeable()))
    }

    fn are_origin(&self, origin: &str) -> bool {
        self.field.is_some() && self.each().all(|host| host.is_some_and(|host| host.is_origin(origin)))
    }
}

/// Whether a browser says that it asks for a page that is not ours.
fn is_cross_site(headers: &HeaderMap, hosts: &Hosts<'_>, intent: Intent) -> bool {
    let foreign = |origin: &str| !hosts.are_origin(origin);
    if headers.get_all(header::ORIGIN).iter().any(|origin| origin.to_str().map_or(true, foreign)) {
        return true;
    }
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|field| field == value);
    match intent {
        // A link that a person follows from a wiki or a chat is fine: it opens a page of ours that the other
        // cannot see into. (Not in a frame: that is another destination.)
        Intent::Read => {
            let followed = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
            says("sec-fetch-site", "cross-site") && !followed
        }
        Intent::Write => match headers.get("sec-fetch-site") {
            Some(site) => site != "same-origin" && site != "none",
            None => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const HERE: &str = "127.0.0.1:40000";
    const ELSEWHERE: &str = "10.0.0.9:40000";

    /// Decides over a request of `method` from `peer` with the `fields`, where the token is `secret`.
    fn decide(method: &str, peer: &str, access: Access, fields: &[(&str, &str)]) -> Result<(), Reason> {
        decide_with(method, peer, access, fields, Some("secret"))
    }

    fn decide_with(
        method: &str,
        peer: &str,
        access: Access,
        fields: &[(&str, &str)],
        secret: Option<&str>,
    ) -> Result<(), Reason> {
        let mut request = Request::builder().method(method).uri("/x");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        let secret = secret.map(|text| Secret::new(text.to_owned()));
        check(&request, access, secret.as_ref(), Writes::Loopback)
    }

    #[test]
    fn loopback_is_every_form_of_it_and_nothing_else() {
        let cases = [
            ("127.0.0.1:1", true),
            ("127.255.255.254:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("[::ffff:127.9.9.9]:1", true),
            ("128.0.0.1:1", false),
            ("0.0.0.0:1", false),
            ("10.0.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false),
            ("[::]:1", false),
            ("[::2]:1", false),
            ("[::127.0.0.1]:1", false),
            ("[fe80::1]:1", false),
        ];
        for (peer, expected) in cases {
            assert_eq!(Peer(peer.parse().unwrap()).is_local(), expected, "{peer}");
        }
    }

    #[test]
    fn closed_routes_are_for_this_machine_and_for_the_token() {
        use Access::{Closed, Open};
        let host = ("host", "10.0.0.1:8128");
        let right = ("authorization", "Bearer secret");
        let wrong = ("authorization", "Bearer guess");
        assert_eq!(decide("GET", HERE, Closed, &[host]), Ok(()));
        assert_eq!(decide("GET", "[::ffff:127.0.0.1]:1", Closed, &[host]), Ok(()));
        assert_eq!(decide("GET", ELSEWHERE, Open, &[host]), Ok(()));
        assert_eq!(decide("HEAD", ELSEWHERE, Open, &[host]), Ok(()));
        assert_eq!(decide("GET", ELSEWHERE, Closed, &[host]), Err(Reason::Unauthorized));
        assert_eq!(decide("GET", ELSEWHERE, Closed, &[host, wrong]), Err(Reason::Unauthorized));
        assert_eq!(decide("GET", ELSEWHERE, Closed, &[host, right]), Ok(()));
        assert_eq!(
            decide_with("GET", ELSEWHERE, Closed, &[host, right], None),
            Err(Reason::NoTokenConfigured)
        );
    }

    #[test]
    fn a_proxy_on_this_machine_makes_nobody_local() {
        for name in ["forwarded", "x-forwarded-for", "x-real-ip"] {
            let fields = [("host", "localhost"), (name, "127.0.0.1")];
            assert_eq!(decide("GET", HERE, Access::Closed, &fields), Err(Reason::Unauthorized), "{name}");
        }
    }

    #[test]
    fn a_request_without_a_peer_comes_from_elsewhere() {
        let request = Request::builder().uri("/x").header("host", "localhost").body(Body::empty()).unwrap();
        assert_eq!(check(&request, Access::Closed, None, Writes::Loopback), Err(Reason::NoTokenConfigured));
    }

    #[test]
    fn a_name_as_host_admits_nobody_for_being_here() {
        use Access::{Closed, Open};
        let cases: &[(&str, bool)] = &[
            ("evil.example", false),
            ("evil.example:8128", false),
            ("127.0.0.1:8128", true),
            ("[::1]:8128", true),
            ("localhost:8128", true),
            ("", false),
        ];
        for (host, good) in cases {
            let expected = if *good { Ok(()) } else { Err(Reason::HostNotAllowed) };
            for access in [Open, Closed] {
                assert_eq!(decide("GET", HERE, access, &[("host", host)]), expected, "{host} {access:?}");
            }
            // No page of this machine's browsers stands behind these.
            assert_eq!(decide("GET", ELSEWHERE, Open, &[("host", host)]), Ok(()), "{host}");
            // A page could say that it was forwarded.
            let forwarded = [("host", *host), ("x-forwarded-for", "10.0.0.9")];
            assert_eq!(decide("GET", HERE, Open, &forwarded), expected, "{host}");
        }
        let with_token = [("host", "agent-7.example"), ("authorization", "Bearer secret")];
        assert_eq!(decide("GET", HERE, Closed, &with_token), Ok(()));
        assert_eq!(decide("GET", HERE, Open, &with_token), Ok(()));
        assert_eq!(decide("GET", ELSEWHERE, Closed, &with_token), Ok(()));
    }

    #[test]
    fn only_http_1_0_may_leave_the_host_away_and_nobody_sends_two() {
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(decide("GET", HERE, Access::Open, &two), Err(Reason::HostInvalid));
        assert_eq!(decide("GET", HERE, Access::Open, &[]), Err(Reason::HostInvalid));
        let mut old = Request::builder().version(Version::HTTP_10).body(Body::empty()).unwrap();
        old.extensions_mut().insert(Peer(HERE.parse().unwrap()));
        assert_eq!(check(&old, Access::Closed, None, Writes::Loopback), Ok(()));
        assert_eq!(check(&old, Access::Open, None, Writes::Loopback), Ok(()));
    }

    #[test]
    fn a_whole_url_as_target_is_held_to_the_same_rule() {
        for (uri, expected) in
            [("http://evil.example/x", Err(Reason::HostNotAllowed)), ("http://localhost:8128/x", Ok(()))]
        {
            let request = Request::builder().uri(uri).header("host", "localhost:8128");
            let mut request = request.body(Body::empty()).unwrap();
            request.extensions_mut().insert(Peer(HERE.parse().unwrap()));
            assert_eq!(check(&request, Access::Closed, None, Writes::Loopback), expected, "{uri}");
        }
    }

    #[test]
    fn pages_of_other_sites_get_nothing_not_even_open_routes() {
        let host = ("host", "127.0.0.1:8128");
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[("origin", "http://127.0.0.1:8128")], true),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("origin", "http://127.0.0.1:8128"), ("origin", "http://evil.example")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
        ];
        for (fields, good) in cases {
            let fields = [&[host, ("authorization", "Bearer secret")], *fields].concat();
            let expected = if *good { Ok(()) } else { Err(Reason::CrossSite) };
            for (peer, access) in [(HERE, Access::Closed), (HERE, Access::Open), (ELSEWHERE, Access::Open)] {
                assert_eq!(decide("GET", peer, access, &fields), expected, "{fields:?} {peer} {access:?}");
            }
        }
    }

    #[test]
    fn a_link_may_be_followed_but_not_into_a_frame() {
        let link = |dest| {
            let fields = [
                ("host", "localhost:8128"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", dest),
            ];
            (decide("GET", HERE, Access::Closed, &fields), decide("POST", HERE, Access::Closed, &fields))
        };
        assert_eq!(link("document"), (Ok(()), Err(Reason::CrossSite)));
        assert_eq!(link("iframe"), (Err(Reason::CrossSite), Err(Reason::CrossSite)));
    }

    #[test]
    fn what_is_no_read_is_held_to_more() {
        use Access::{Closed, Open};
        let host = ("host", "127.0.0.1:8128");
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            // Open routes are open to reads alone.
            assert_eq!(decide(method, ELSEWHERE, Open, &[host]), Err(Reason::Unauthorized), "{method}");
            assert_eq!(
                decide(method, HERE, Open, &[("host", "evil.example")]),
                Err(Reason::HostNotAllowed),
                "{method}"
            );
            // A page of another port of this machine is of the same site.
            let page = [host, ("sec-fetch-site", "same-site")];
            assert_eq!(decide(method, HERE, Closed, &page), Err(Reason::CrossSite), "{method}");
            assert_eq!(decide("GET", HERE, Closed, &page), Ok(()));
            assert_eq!(decide(method, HERE, Closed, &[host]), Ok(()), "{method}");
        }
    }

    #[test]
    fn writes_are_for_whom_the_operator_says() {
        use Writes::{Loopback, Off, Token};
        let decide = |writes, peer: &str, token: Option<&str>, secret: Option<&str>| {
            let mut request = Request::builder().method("DELETE").uri("/x").header("host", "127.0.0.1:8128");
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let mut request = request.body(Body::empty()).unwrap();
            request.extensions_mut().insert(Peer(peer.parse().unwrap()));
            let secret = secret.map(|text| Secret::new(text.to_owned()));
            check(&request, Access::Closed, secret.as_ref(), writes)
        };
        let (right, set) = (Some("secret"), Some("secret"));
        for (writes, peer, token, secret, expected) in [
            (Loopback, HERE, None, set, Ok(())),
            (Loopback, HERE, None, None, Ok(())),
            (Loopback, ELSEWHERE, None, set, Err(Reason::Unauthorized)),
            (Loopback, ELSEWHERE, None, None, Err(Reason::NoTokenConfigured)),
            (Loopback, ELSEWHERE, right, set, Ok(())),
            (Token, HERE, None, set, Err(Reason::Unauthorized)),
            (Token, HERE, Some("guess"), set, Err(Reason::Unauthorized)),
            (Token, HERE, None, None, Err(Reason::NoTokenConfigured)),
            (Token, HERE, right, set, Ok(())),
            (Token, ELSEWHERE, right, set, Ok(())),
            (Off, HERE, None, None, Err(Reason::WritesOff)),
            (Off, HERE, right, set, Err(Reason::WritesOff)),
            (Off, ELSEWHERE, right, set, Err(Reason::WritesOff)),
        ] {
            assert_eq!(
                decide(writes, peer, token, secret),
                expected,
                "{writes:?} {peer} {token:?} {secret:?}"
            );
        }
    }

    #[test]
    fn a_body_has_to_be_json() {
        let decide = |fields: &[(&str, &str)]| {
            let fields = [&[("host", "localhost"), ("content-length", "2")], fields].concat();
            decide("PATCH", HERE, Access::Closed, &fields)
        };
        let kind = |kind| decide(&[("content-type", kind)]);
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert_eq!(kind(good), Ok(()), "{good}");
        }
        for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            assert_eq!(kind(bad), Err(Reason::NotJson), "{bad}");
        }
        assert_eq!(decide(&[]), Err(Reason::NotJson));
        let two = [("content-type", "application/json"), ("content-type", "text/plain")];
        assert_eq!(decide(&two), Err(Reason::NotJson));
    }

    #[test]
    fn targets_and_bodies_are_bounded() {
        let request = |uri: &str, field: Option<(&str, &str)>| {
            let mut request = Request::builder().uri(uri).header("host", "localhost");
            if let Some((name, value)) = field {
                request = request.header(name, value);
            }
            check(&request.body(Body::empty()).unwrap(), Access::Open, None, Writes::Loopback)
        };
        assert_eq!(request(&format!("/{}", "x".repeat(2047)), None), Ok(()));
        assert_eq!(request(&format!("/{}", "x".repeat(2048)), None), Err(Reason::UriTooLong));
        assert_eq!(request(&format!("/?{}", "x".repeat(2048)), None), Err(Reason::UriTooLong));
        assert_eq!(request("/", Some(("content-length", "65536"))), Ok(()));
        assert_eq!(request("/", Some(("content-length", "65537"))), Err(Reason::BodyTooLarge));
        assert_eq!(request("/", Some(("content-length", "99999999999999999999"))), Err(Reason::BodyTooLarge));
        assert_eq!(request("/", Some(("transfer-encoding", "chunked"))), Err(Reason::LengthRequired));
    }
}
