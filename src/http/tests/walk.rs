//! Every refusal at every method of every route, so that a new route cannot be left open by mistake.

use axum::body::Body;
use axum::http::Request;

use super::super::guard::Access;
use super::super::operation::{Operation, Route};
use super::super::reason::Reason;
use super::super::routes::table;
use super::super::settings::Writes;
use super::fixture::{ELSEWHERE, HERE, Server, TOKEN, path_of};

/// A way to be refused.
struct Refusal {
    reason: Reason,
    status: u16,
    /// Of the server.
    writes: Writes,
    has_token: bool,
    peer: &'static str,
    /// What the request says besides the `Host`, or of it.
    fields: Vec<(&'static str, &'static str)>,
    /// Which methods are refused so.
    whom: Whom,
}

#[derive(Clone, Copy)]
enum Whom {
    All,
    Writes,
    /// Writes, and reads of closed routes.
    Closed,
}

impl Whom {
    fn has(self, access: Access, operation: &Operation) -> bool {
        match self {
            Whom::All => true,
            Whom::Writes => !operation.is_read(),
            Whom::Closed => !operation.is_read() || access == Access::Closed,
        }
    }
}

const HOST: (&str, &str) = ("host", "127.0.0.1:8128");
const RIGHT: (&str, &str) = ("authorization", "Bearer a-token-for-tests");

fn refusals() -> Vec<Refusal> {
    use Whom::{All, Closed};
    let refusal = |reason, status, peer, fields: &[(&'static str, &'static str)], whom| Refusal {
        reason,
        status,
        writes: Writes::Loopback,
        has_token: true,
        peer,
        fields: fields.to_vec(),
        whom,
    };
    let of = |writes, refusal: Refusal| Refusal { writes, ..refusal };
    let without_token = |refusal: Refusal| Refusal { has_token: false, ..refusal };
    let mut all = vec![
        // Sizes, before anybody is asked who they are.
        refusal(Reason::BodyTooLarge, 413, HERE, &[HOST, ("content-length", "65537")], All),
        refusal(Reason::BodyTooLarge, 413, HERE, &[HOST, ("content-length", "99999999999999999999")], All),
        refusal(Reason::LengthRequired, 411, HERE, &[HOST, ("transfer-encoding", "chunked")], All),
        // Names of the server.
        refusal(Reason::HostInvalid, 400, HERE, &[], All),
        refusal(Reason::HostInvalid, 400, HERE, &[HOST, HOST], All),
        refusal(Reason::HostNotAllowed, 403, HERE, &[("host", "rebound.example:8128")], All),
        refusal(Reason::HostNotAllowed, 403, HERE, &[("host", "127.0.0.1.rebound.example")], All),
        // Pages of other sites, also with the token and from wherever.
        refusal(Reason::CrossSite, 403, HERE, &[HOST, ("origin", "http://evil.example")], All),
        refusal(Reason::CrossSite, 403, HERE, &[HOST, RIGHT, ("origin", "null")], All),
        refusal(Reason::CrossSite, 403, HERE, &[HOST, ("sec-fetch-site", "cross-site")], All),
        refusal(Reason::CrossSite, 403, ELSEWHERE, &[HOST, RIGHT, ("origin", "http://evil.example")], All),
        refusal(Reason::CrossSite, 403, HERE, &[HOST, RIGHT, ("sec-fetch-site", "same-site")], Whom::Writes),
        // Tokens.
        refusal(Reason::Unauthorized, 401, ELSEWHERE, &[HOST], Closed),
        refusal(Reason::Unauthorized, 401, ELSEWHERE, &[HOST, ("authorization", "Bearer guess")], Closed),
        refusal(Reason::Unauthorized, 401, ELSEWHERE, &[HOST, ("authorization", "Bearer ")], Closed),
        refusal(Reason::Unauthorized, 401, ELSEWHERE, &[HOST, RIGHT, RIGHT], Closed),
        refusal(Reason::Unauthorized, 401, HERE, &[HOST, ("x-forwarded-for", "10.0.0.9")], Closed),
        refusal(Reason::Unauthorized, 401, HERE, &[HOST, ("forwarded", "for=10.0.0.9")], Closed),
        refusal(Reason::Unauthorized, 401, HERE, &[HOST, ("x-real-ip", "10.0.0.9")], Closed),
        without_token(refusal(Reason::NoTokenConfigured, 403, ELSEWHERE, &[HOST], Closed)),
        without_token(refusal(Reason::NoTokenConfigured, 403, ELSEWHERE, &[HOST, RIGHT], Closed)),
    ];
    // What only writes are refused for.
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = [HOST, RIGHT, form, ("content-length", "2")];
    all.extend([
        of(Writes::Token, refusal(Reason::Unauthorized, 401, HERE, &[HOST], Whom::Writes)),
        of(Writes::Off, refusal(Reason::WritesOff, 403, HERE, &[HOST, RIGHT], Whom::Writes)),
        of(Writes::Off, refusal(Reason::WritesOff, 403, ELSEWHERE, &[HOST, RIGHT], Whom::Writes)),
        refusal(Reason::NotJson, 415, HERE, &body, Whom::Writes),
        refusal(Reason::NotJson, 415, HERE, &[HOST, RIGHT, ("content-length", "2")], Whom::Writes),
    ]);
    all
}

fn operations(routes: &[Route]) -> impl Iterator<Item = (&Route, &Operation)> {
    routes.iter().flat_map(|route| route.operations.iter().map(move |operation| (route, operation)))
}

/// All that strangers may read. One more is a decision.
#[test]
fn strangers_read_health_and_metrics_alone() {
    let open = table().into_iter().filter(|route| route.access == Access::Open);
    assert_eq!(open.map(|route| route.path).collect::<Vec<_>>(), ["/-/healthy", "/-/ready", "/metrics"]);
}

/// What ends a connection, or needs one, is tried in `socket`, `times` and `config`.
#[test]
fn every_reason_is_tried() {
    let of_connections = [
        Reason::ConnectionLimit,
        Reason::HeaderTimeout,
        Reason::WriteStalled,
        Reason::ConnectionAge,
        Reason::Malformed,
        Reason::HeadersTooLarge,
        Reason::BodyTimeout,
    ];
    let walked: Vec<Reason> = refusals().iter().map(|refusal| refusal.reason).collect();
    for reason in Reason::ALL {
        let is_tried = walked.contains(&reason) || reason == Reason::UriTooLong;
        assert_ne!(is_tried, of_connections.contains(&reason), "{reason:?}");
    }
}

#[tokio::test]
async fn each_refusal_at_each_route() {
    let routes = table();
    for refusal in refusals() {
        let token = refusal.has_token.then_some(TOKEN);
        let server = Server::with(token, refusal.writes);
        let mut refused = 0;
        for (route, operation) in operations(&routes) {
            if !refusal.whom.has(route.access, operation) {
                continue;
            }
            let mut request = Request::builder().method(operation.method).uri(path_of(route));
            for (name, value) in &refusal.fields {
                request = request.header(*name, *value);
            }
            let asked = format!("{request:?} from {}", refusal.peer);
            let answer = server.send(refusal.peer, request, Body::from("{}")).await;
            assert_eq!(answer.problem(), (refusal.status, refusal.reason.name().to_owned()), "{asked}");
            refused += 1;
        }
        assert_eq!(server.metrics.refusals(refusal.reason), refused, "{:?}", refusal.reason);
        assert!(server.wheel.orders.lock().unwrap().is_empty(), "{:?} changed something", refusal.reason);
    }
}

#[tokio::test]
async fn a_target_that_is_too_long_at_each_route() {
    let server = Server::new(None);
    for (route, operation) in operations(&table()) {
        let path = format!("{}?{}", path_of(route), "x".repeat(2048));
        let request = Request::builder().method(operation.method).uri(path).header(HOST.0, HOST.1);
        let answer = server.ask(HERE, request).await;
        assert_eq!(answer.problem(), (414, "uri_too_long".to_owned()), "{}", route.path);
    }
}

/// Where a row of the table of the guard says yes, it is the route that answers.
#[tokio::test]
async fn each_route_answers_those_who_may() {
    let foreign = ("host", "agent-7.example:8128");
    // Writes, peer, fields, whether closed routes answer, whether writes do.
    let rows = [
        (Writes::Loopback, HERE, vec![HOST], true, true),
        (Writes::Loopback, ELSEWHERE, vec![foreign], false, false),
        (Writes::Loopback, ELSEWHERE, vec![foreign, RIGHT], true, true),
        (Writes::Token, HERE, vec![HOST], true, false),
        (Writes::Off, HERE, vec![HOST], true, false),
    ];
    for (writes, peer, fields, closed, written) in rows {
        for (route, operation) in operations(&table()) {
            let server = Server::with(Some(TOKEN), writes);
            let mut request = Request::builder().method(operation.method).uri(path_of(route));
            for (name, value) in &fields {
                request = request.header(*name, *value);
            }
            request = request.header("content-type", "application/json").header("content-length", "2");
            let asked = format!("{request:?} from {peer}, {writes:?}");
            let answer = server.send(peer, request, Body::from("{}")).await;
            let read = closed || route.access == Access::Open;
            let expected = if operation.is_read() { read } else { written };
            assert_eq!(answer.status == 200, expected, "{asked}: {}", answer.text);
        }
    }
}
