//! The one HTTP client. Whoever answers is not trusted with our time or our memory.
//!
//! It connects to the host that it is told and to no other: no proxy from the environment, no redirect is followed.
//! No connection is kept between requests: they are seldom, and a kept one is often found closed by the other side.

use std::fmt;
use std::time::Duration;

use axum::body::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode, Url};

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
    #[error("it answered {status}{}{}", advice(*.status), in_brackets(.said))]
    Status {
        /// The status.
        status: StatusCode,
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
        matches!(self.problem, Problem::Status { status: StatusCode::NOT_FOUND, .. })
    }
}

/// The client could not be set up: OpenSSL refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS for HTTP requests; check the system's certificates")]
pub struct NoTls(#[source] reqwest::Error);

/// The HTTP client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    limits: Limits,
}

impl Client {
    /// A client with these limits.
    ///
    /// # Errors
    /// [`NoTls`] where OpenSSL cannot be set up.
    pub fn new(limits: Limits) -> Result<Client, NoTls> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("metrics-collector/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .timeout(limits.total)
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(NoTls)?;
        Ok(Client { http, limits })
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
        self.send(Method::GET, url, Vec::new()).await
    }

    /// The body of a 2xx answer to `POST url` with a body of JSON.
    ///
    /// # Errors
    /// [`Error`] where there is no such answer within the limits.
    pub async fn post_json(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, Error> {
        self.send(Method::POST, url, body).await?.whole().await
    }

    async fn send(&self, method: Method, url: &str, body: Vec<u8>) -> Result<Body, Error> {
        let failed = |url, problem| Error { method: method.clone(), url, problem };
        let Ok(parsed) = Url::parse(url) else { return Err(failed(url.to_owned(), Problem::Address)) };
        let shown = without_login(parsed.clone());
        let mut request = self.http.request(method.clone(), parsed);
        if method != Method::GET {
            request = request.header(CONTENT_TYPE, JSON).header(ACCEPT, JSON).body(body);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Err(failed(shown, self.limits.problem(error))),
        };
        let status = response.status();
        if !status.is_success() {
            let said = first_words(&mut response).await;
            return Err(failed(shown, Problem::Status { status, said }));
        }
        Ok(Body { method, url: shown, response, limits: self.limits.clone(), read: 0 })
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

    async fn whole(mut self) -> Result<Vec<u8>, Error> {
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
        assert_eq!(answer.expect("an answer"), b"application/json {}");
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
