//! The one HTTP client. Whoever answers is not trusted with our time or our memory.
//!
//! It connects to the host that it is told and to no other: no proxy from the environment, no redirect is followed.
//! With an [`Authority`] a request carries a token where that may go; answered 401, it is made once more with another.
//! No connection is kept between requests: they are seldom, and a kept one is often found closed by the other side.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Method, Response, StatusCode, Url};

use super::authority::{Authority, Grant};
use super::library::Library;
use crate::record::Secret;

/// The media type of what is posted and of what is wanted back.
const JSON: &str = "application/json";

/// What an answer may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time until there is a connection.
    pub connect: Duration,
    /// Time from the request to the answer's last byte.
    pub total: Duration,
    /// Bytes of the answer's body. They are counted as they come, whatever `Content-Length` says.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { connect: Duration::from_secs(5), total: Duration::from_secs(10), body_bytes: 64 << 20 }
    }
}

/// Why there is no answer. The text says what to do next; the cause below it is the `source`.
#[derive(Debug)]
pub struct Error {
    /// How it was asked for.
    pub method: Method,
    /// What was asked for, without a user name or password.
    pub url: String,
    /// What went wrong.
    pub problem: Problem,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.url, self.problem)
    }
}

impl std::error::Error for Error {
    /// The problem's own source: the problem itself stands in the text already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.problem)
    }
}

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The address cannot be asked at all.
    #[error("this is no http or https address; check host and port")]
    Address,
    /// TCP or TLS did not come about.
    #[error("no connection; check that it runs there and that this host may reach it")]
    Connection(#[source] reqwest::Error),
    /// [`Limits::connect`] or [`Limits::total`] is over.
    #[error("no whole answer within {}s; check its load and the network", .0.as_secs_f64())]
    TimedOut(Duration),
    /// An answer other than 2xx.
    #[error("it answered {status}{}{note}{}", advice(*.status), in_brackets(.said))]
    Status {
        /// The status.
        status: StatusCode,
        /// Of a 401: what became of the token.
        note: String,
        /// The first bytes of the body, as text.
        said: String,
    },
    /// The body is larger than [`Limits::body_bytes`].
    #[error(
        "the answer is larger than {0} bytes and was not read further; check that this is the right port"
    )]
    TooLarge(usize),
    /// The other side ended the answer early, or it is no HTTP.
    #[error("the answer broke off or is no HTTP; check that this is the right port")]
    Broken(#[source] reqwest::Error),
}

impl Error {
    /// Whether there is nothing of that name where we asked.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// The status, if that is what is wrong with the answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.problem {
            Problem::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// Whether a login is wanted, or one that may do more.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        matches!(self.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }

    /// Whether it was understood and refused.
    pub(super) fn is_refusal(&self) -> bool {
        self.status().is_some_and(|status| status.is_client_error())
    }
}

/// The client could not be set up: OpenSSL refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS for HTTP requests; check the system's certificates")]
pub struct NoTls(#[source] pub(super) reqwest::Error);

/// The HTTP client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    library: Arc<Library>,
    limits: Limits,
    authority: Option<Authority>,
}

/// What is asked.
struct Request {
    method: Method,
    url: Url,
    json: Option<Vec<u8>>,
    /// An answer that quotes the question is not to be shown.
    is_secret: bool,
}

impl Client {
    /// A client with these limits, which trusts the system's authorities and has no token.
    ///
    /// # Errors
    /// [`NoTls`] where OpenSSL cannot be set up.
    pub fn new(limits: Limits) -> Result<Client, NoTls> {
        Client::build(limits, &[])
    }

    /// A client for the cluster's own APIs: it trusts the cluster's authorities as well, and has tokens for its hosts.
    ///
    /// # Errors
    /// [`NoTls`] where OpenSSL cannot be set up.
    pub fn for_cluster(limits: Limits, authority: &Authority) -> Result<Client, NoTls> {
        let library = Library::of(&limits, authority)?.into();
        Ok(Client { library, limits, authority: Some(authority.clone()) })
    }

    /// A client that trusts these authorities beside the system's, and has no token.
    pub(super) fn build(limits: Limits, certificates: &[Certificate]) -> Result<Client, NoTls> {
        let library = Library::fixed(&limits, certificates)?.into();
        Ok(Client { library, limits, authority: None })
    }

    /// The same client with less time for a whole answer, or more.
    #[must_use]
    pub fn within(&self, total: Duration) -> Client {
        Client { limits: Limits { total, ..self.limits.clone() }, ..self.clone() }
    }

    /// The body of a 2xx answer to `GET url`.
    ///
    /// # Errors
    /// [`Error`] where there is no such answer within the limits.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, Error> {
        self.open(url).await?.whole().await
    }

    /// A 2xx answer to `GET url`, whose body is read as it comes.
    ///
    /// # Errors
    /// [`Error`] where there is no such answer within the limits.
    pub async fn open(&self, url: &str) -> Result<Body, Error> {
        self.ask(Method::GET, url, None, false).await
    }

    /// A 2xx answer to `POST url` with this JSON, whose body is read as it comes. Refused with 401 it may be sent twice.
    ///
    /// # Errors
    /// [`Error`] where there is no such answer within the limits.
    pub async fn post_json(&self, url: &str, body: Vec<u8>) -> Result<Body, Error> {
        self.ask(Method::POST, url, Some(body), false).await
    }

    /// The whole answer to a body with a secret in it: what an error's answer says is not shown.
    pub(super) async fn post_secret(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, Error> {
        self.ask(Method::POST, url, Some(body), true).await?.whole().await
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        json: Option<Vec<u8>>,
        is_secret: bool,
    ) -> Result<Body, Error> {
        let Ok(parsed) = Url::parse(url) else {
            return Err(Error { method, url: url.to_owned(), problem: Problem::Address });
        };
        let request = Request { method, url: parsed, json, is_secret };
        let asked = self.with_token(&request).await;
        let (method, url) = (request.method, without_login(request.url));
        match asked {
            Ok(response) => Ok(Body { method, url, response, limits: self.limits.clone(), read: 0 }),
            Err(problem) => Err(Error { method, url, problem }),
        }
    }

    /// Asks with the token that may go there; if that is refused, once more with another.
    async fn with_token(&self, request: &Request) -> Result<Response, Problem> {
        let Some(authority) = &self.authority else { return self.exchange(request, &Grant::Nothing).await };
        let grant = authority.grant(&request.url).await;
        let answer = self.exchange(request, &grant).await;
        if !matches!(answer, Err(Problem::Status { status: StatusCode::UNAUTHORIZED, .. })) {
            return answer;
        }
        match authority.replace(&request.url, &grant).await {
            Some(other) => self.exchange(request, &other).await,
            None => answer,
        }
    }

    /// Asks once. The answer has a good status, and its body is still to come.
    async fn exchange(&self, request: &Request, grant: &Grant) -> Result<Response, Problem> {
        let http = self.library.http(&self.limits, self.authority.as_ref());
        let mut builder = http.request(request.method.clone(), request.url.clone());
        if let Some(json) = &request.json {
            builder = builder.header(CONTENT_TYPE, JSON).header(ACCEPT, JSON).body(json.clone());
        }
        if let Some(header) = grant.token().and_then(header) {
            builder = builder.header(AUTHORIZATION, header);
        }
        let mut response =
            builder.timeout(self.limits.total).send().await.map_err(|error| self.limits.problem(error))?;
        let status = response.status();
        if !status.is_success() {
            let said = without(grant.token(), first_words(&mut response).await);
            let said = if request.is_secret { String::new() } else { said };
            let note = if status == StatusCode::UNAUTHORIZED { grant.note() } else { String::new() };
            return Err(Problem::Status { status, note, said });
        }
        Ok(response)
    }
}

/// The body of an answer, while it comes. [`Limits`] hold for it: also the time that whoever reads it takes.
#[derive(Debug)]
pub struct Body {
    method: Method,
    url: String,
    response: Response,
    limits: Limits,
    read: usize,
}

impl Body {
    /// The next bytes; `None` at its end.
    ///
    /// # Errors
    /// [`Error`] where it breaks off or goes over the limits.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self.response.chunk().await {
            Ok(Some(chunk)) if chunk.len() > self.limits.body_bytes - self.read => {
                Err(self.failed(Problem::TooLarge(self.limits.body_bytes)))
            }
            Ok(Some(chunk)) => {
                self.read += chunk.len();
                Ok(Some(chunk))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(self.failed(self.limits.problem(error))),
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`Body::chunk`].
    pub async fn whole(mut self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, problem: Problem) -> Error {
        Error { method: self.method.clone(), url: self.url.clone(), problem }
    }
}

impl Limits {
    fn problem(&self, error: reqwest::Error) -> Problem {
        let error = error.without_url();
        if error.is_builder() {
            Problem::Address
        } else if error.is_timeout() {
            Problem::TimedOut(if error.is_connect() { self.connect } else { self.total })
        } else if error.is_connect() {
            Problem::Connection(error)
        } else {
            Problem::Broken(error)
        }
    }
}

/// The header that DC/OS wants. Marked, so that nobody shows it.
fn header(token: &Secret) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("token={}", token.expose())).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// `text`, unless it gives the beginning of the token back, as those do that show a request which they refuse.
fn without(token: Option<&Secret>, text: String) -> String {
    const TELLING_CHARS: usize = 12;
    let shows = |token: &Secret| {
        let token = token.expose();
        text.contains(token.get(..TELLING_CHARS).unwrap_or(token))
    };
    if token.is_some_and(shows) { String::new() } else { text }
}

/// `error` and what stands behind it, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn without_login(mut url: Url) -> String {
    // Both fail only for addresses without a host, which have no login either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// The beginning of an error's body: it is often one sentence that says all.
async fn first_words(response: &mut Response) -> String {
    const SHOWN_CHARS: usize = 200;
    match response.chunk().await {
        Ok(Some(chunk)) => {
            let text = String::from_utf8_lossy(&chunk);
            text.trim().chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect()
        }
        Ok(None) | Err(_) => String::new(),
    }
}

fn in_brackets(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" (\"{text}\")") }
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => ", which is not followed; give the address that it redirects to",
        401 | 403 => "; it wants a login or permissions that this program does not have",
        404 => "; check that this is the right host, port and version",
        429 | 503 => "; it is busy, ask less often",
        _ => "; see its own log for the cause",
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;

    use super::*;
    use crate::dcos::testing::{closed_port, raw_server, serve};

    const SHORT: Duration = Duration::from_millis(50);

    fn client(limits: Limits) -> Client {
        Client::new(limits).expect("TLS")
    }

    async fn failure(client: &Client, url: &str) -> (String, Problem) {
        let error = client.get(url).await.expect_err("a failure");
        (error.to_string(), error.problem)
    }

    #[tokio::test]
    async fn a_body_of_just_the_limit_is_read_and_one_byte_more_is_not() {
        let base = serve(Router::new().route("/", get(|| async { vec![b'x'; 1000] }))).await;
        let body = client(Limits { body_bytes: 1000, ..Limits::default() }).get(&base).await;
        assert_eq!(body.expect("a body").len(), 1000);
        let (_, problem) = failure(&client(Limits { body_bytes: 999, ..Limits::default() }), &base).await;
        assert!(matches!(problem, Problem::TooLarge(999)), "{problem}");
    }

    #[tokio::test]
    async fn an_endless_body_without_length_is_cut_at_the_limit() {
        let chunk = format!("{:x}\r\n{}\r\n", 4096, "x".repeat(4096));
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let base = raw_server(head.into(), chunk.into()).await;
        let (_, problem) = failure(&client(Limits { body_bytes: 1 << 20, ..Limits::default() }), &base).await;
        assert!(matches!(problem, Problem::TooLarge(_)), "{problem}");
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_is_given_up() {
        let base = serve(Router::new().route("/", get(std::future::pending::<&str>))).await;
        let (text, problem) = failure(&client(Limits { total: SHORT, ..Limits::default() }), &base).await;
        assert!(matches!(problem, Problem::TimedOut(SHORT)), "{problem}");
        assert!(text.contains("within 0.05s"), "{text}");
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_given_up() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc";
        let base = raw_server(head.into(), Vec::new()).await;
        let (_, problem) = failure(&client(Limits { total: SHORT, ..Limits::default() }), &base).await;
        assert!(matches!(problem, Problem::TimedOut(SHORT)), "{problem}");
    }

    #[tokio::test]
    async fn json_is_posted_as_such() {
        let echo = axum::routing::post(|headers: axum::http::HeaderMap, body: String| async move {
            format!("{} {body}", headers["content-type"].to_str().unwrap())
        });
        let base = serve(Router::new().route("/api/v1", echo)).await;
        let answer = client(Limits::default()).post_json(&format!("{base}/api/v1"), b"{}".to_vec()).await;
        assert_eq!(answer.expect("an answer").whole().await.expect("a body"), b"application/json {}");
        let error = client(Limits::default()).post_json(&base, Vec::new()).await.expect_err("no route");
        assert!(error.is_not_found() && error.to_string().starts_with("POST http://"), "{error}");
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let elsewhere = serve(Router::new().route("/", get(|| async { "elsewhere" }))).await;
        let redirect = Router::new().route("/", get(|| async move { Redirect::temporary(&elsewhere) }));
        let base = serve(redirect).await;
        let (text, problem) = failure(&client(Limits::default()), &base).await;
        assert!(matches!(problem, Problem::Status { status: StatusCode::TEMPORARY_REDIRECT, .. }), "{text}");
        assert!(text.contains("give the address that it redirects to"), "{text}");
    }

    #[tokio::test]
    async fn what_an_error_says_is_shown_on_one_line_without_the_login() {
        let failing = get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "first\nsecond") });
        let base = serve(Router::new().route("/", failing)).await;
        let url = base.replace("http://", "http://user:secret@");
        let (text, _) = failure(&client(Limits::default()), &url).await;
        let expected =
            "it answered 500 Internal Server Error; see its own log for the cause (\"first\\nsecond\")";
        assert_eq!(text, format!("GET {base}/: {expected}"));
    }

    #[tokio::test]
    async fn nobody_there_is_no_connection_with_its_cause() {
        let (_socket, base) = closed_port();
        let (text, problem) = failure(&client(Limits::default()), &base).await;
        assert!(matches!(problem, Problem::Connection(_)), "{text}");
        assert!(problem.source().is_some() && text.contains("check that it runs there"), "{text}");
    }

    #[tokio::test]
    async fn what_is_no_http_is_named_so() {
        let base = raw_server(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), Vec::new()).await;
        let (text, problem) = failure(&client(Limits::default()), &base).await;
        assert!(matches!(problem, Problem::Broken(_)), "{text}");
        for url in ["nonsense", "ftp://host/", "http://"] {
            let (text, problem) = failure(&client(Limits::default()), url).await;
            assert!(matches!(problem, Problem::Address), "{text}");
        }
    }
}
