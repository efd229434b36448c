//! A stand-in for DC/OS's identity service, and things that ask for its tokens: an Admin Router is among them.
//!
//! It listens on all of loopback, so that `127.0.0.1` and `127.0.0.2` are two hosts with the same answers.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use openssl::base64;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Verifier;
use serde_json::{Value, json};

use super::http;

/// The name of its one account.
pub(crate) const UID: &str = "metrics-collector-sa";

const LOGIN: &str = "/acs/api/v1/auth/login";

/// A running one; it ends with the tests.
pub(crate) struct Iam {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    key: Mutex<PKey<Private>>,
    /// Seconds that a token is good.
    lifetime: AtomicU64,
    refuses: AtomicBool,
    logins: AtomicU64,
    /// Tokens and when they end.
    issued: Mutex<Vec<(String, u64)>>,
    /// Where the service `kafka` is, for Admin Router.
    kafka: Mutex<Option<SocketAddr>>,
    /// Paths that were asked for and what stood in `Authorization`.
    seen: Mutex<Vec<(String, Option<String>)>>,
}

impl Iam {
    pub(crate) fn start() -> Iam {
        let shared = Arc::new(Shared {
            key: Mutex::new(new_key()),
            lifetime: AtomicU64::new(3600),
            refuses: AtomicBool::new(false),
            logins: AtomicU64::new(0),
            issued: Mutex::default(),
            kafka: Mutex::default(),
            seen: Mutex::default(),
        });
        let router = Router::new()
            .route(LOGIN, post(log_in))
            .route("/strict", get(strict).post(strict))
            .route("/permissive", get(permissive))
            .route("/never", any(never))
            .route("/away", get(away))
            .route("/service/kafka/{*path}", get(admin_router))
            .with_state(shared.clone());
        let (told, port) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let all = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
                let listener = tokio::net::TcpListener::bind(all).await.unwrap();
                told.send(listener.local_addr().unwrap().port()).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        Iam { port: port.recv().unwrap(), shared }
    }

    /// The address of `path`, at its usual host.
    pub(crate) fn url(&self, path: &str) -> String {
        self.url_at("127.0.0.1", path)
    }

    /// The same at another host.
    pub(crate) fn url_at(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The secret of the account as it is now.
    pub(crate) fn secret(&self) -> String {
        let pem = self.shared.key.lock().unwrap().private_key_to_pem_pkcs8().unwrap();
        let private_key = String::from_utf8(pem).unwrap();
        let login_endpoint = self.url(LOGIN);
        json!({ "scheme": "RS256", "uid": UID, "private_key": private_key, "login_endpoint": login_endpoint })
            .to_string()
    }

    /// The account has another key from now on.
    pub(crate) fn rotate(&self) {
        *self.shared.key.lock().unwrap() = new_key();
    }

    /// Writes the secret into a file.
    pub(crate) fn write_secret(&self, path: &Path) {
        std::fs::write(path, self.secret()).unwrap();
    }

    pub(crate) fn set_lifetime(&self, seconds: u64) {
        self.shared.lifetime.store(seconds, Ordering::SeqCst);
    }

    /// Whether each login is refused.
    pub(crate) fn set_refuses(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }

    /// No token that was given is good any more.
    pub(crate) fn revoke(&self) {
        self.shared.issued.lock().unwrap().clear();
    }

    /// From now on Admin Router leads to this service `kafka`, with a token that is good.
    pub(crate) fn stand_before(&self, kafka: SocketAddr) {
        *self.shared.kafka.lock().unwrap() = Some(kafka);
    }

    /// How many logins were good.
    pub(crate) fn logins(&self) -> u64 {
        self.shared.logins.load(Ordering::SeqCst)
    }

    /// What stood in `Authorization` of each request for `path`.
    pub(crate) fn seen(&self, path: &str) -> Vec<Option<String>> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|(known, _)| known == path).map(|(_, header)| header.clone()).collect()
    }
}

impl Shared {
    fn note(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let header = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        self.seen.lock().unwrap().push((uri.path().to_owned(), header.clone()));
        header
    }

    fn is_good(&self, header: Option<&String>) -> bool {
        let token = header.and_then(|header| header.strip_prefix("token="));
        self.issued.lock().unwrap().iter().any(|(known, end)| Some(&**known) == token && now() < *end)
    }

    /// Whether this is a proof of the account's key, by DC/OS's rules.
    fn is_proof(&self, uid: &str, token: &str) -> bool {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { return false };
        let (Some(head), Some(body), Some(signature)) = (decode(header), decode(claims), decode(signature))
        else {
            return false;
        };
        let (Ok(head), Ok(body)) =
            (serde_json::from_slice::<Value>(&head), serde_json::from_slice::<Value>(&body))
        else {
            return false;
        };
        let key = self.key.lock().unwrap();
        let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        let signed = format!("{header}.{claims}");
        let end = body["exp"].as_u64().unwrap_or(0);
        verifier.verify_oneshot(&signature, signed.as_bytes()).unwrap_or(false)
            && head == json!({ "alg": "RS256", "typ": "JWT" })
            && (uid, body["uid"].as_str()) == (UID, Some(UID))
            && (now() + 1..=now() + 600).contains(&end)
    }
}

async fn log_in(
    State(iam): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    iam.note(&uri, &headers);
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    if iam.refuses.load(Ordering::SeqCst) || !iam.is_proof(text("uid"), text("token")) {
        // It quotes what it was sent, as helpful services do.
        let said = json!({ "code": "ERR_INVALID_CREDENTIALS", "description": body });
        return (StatusCode::UNAUTHORIZED, Json(said)).into_response();
    }
    let n = iam.logins.fetch_add(1, Ordering::SeqCst);
    let end = now() + iam.lifetime.load(Ordering::SeqCst);
    let part = |value: Value| encode(value.to_string().as_bytes());
    let token = format!(
        "{}.{}.{}",
        part(json!({ "alg": "RS256" })),
        part(json!({ "uid": UID, "exp": end })),
        part(json!(n))
    );
    iam.issued.lock().unwrap().push((token.clone(), end));
    Json(json!({ "token": token })).into_response()
}

/// Answers those who have a token, and others not; and shows them what they sent.
async fn strict(State(iam): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let header = iam.note(&uri, &headers);
    if iam.is_good(header.as_ref()) {
        return format!("strict {body}").into_response();
    }
    (StatusCode::UNAUTHORIZED, shown(&headers)).into_response()
}

/// Hands on to the service what comes with a token.
async fn admin_router(State(iam): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    let header = iam.note(&uri, &headers);
    if !iam.is_good(header.as_ref()) {
        return (StatusCode::UNAUTHORIZED, shown(&headers)).into_response();
    }
    let path = uri.path().strip_prefix("/service/kafka").unwrap().to_owned();
    let Some(kafka) = *iam.kafka.lock().unwrap() else { return StatusCode::NOT_FOUND.into_response() };
    // It blocks, and whoever else asks waits for it.
    match http::try_get(kafka, &path) {
        Ok(answer) => (StatusCode::from_u16(answer.status).unwrap(), answer.body).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error).into_response(),
    }
}

async fn permissive(State(iam): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> &'static str {
    iam.note(&uri, &headers);
    "permissive"
}

/// Likes no token.
async fn never(State(iam): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    iam.note(&uri, &headers);
    (StatusCode::UNAUTHORIZED, shown(&headers)).into_response()
}

async fn away(State(iam): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Redirect {
    iam.note(&uri, &headers);
    Redirect::temporary("/permissive")
}

fn shown(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        let _ = writeln!(text, "{name}: {}", value.to_str().unwrap());
    }
    text
}

fn new_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn encode(bytes: &[u8]) -> String {
    base64::encode_block(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.replace('-', "+").replace('_', "/");
    base64::decode_block(&format!("{text}{}", &"==="[..(4 - text.len() % 4) % 4])).ok()
}
