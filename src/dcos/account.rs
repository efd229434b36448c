//! A service account: what its secret says, and the proof of it that a login shows.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use reqwest::Url;
use serde_json::{Map, Value, json};

use super::jwt;
use crate::record::Secret;

/// How long a proof is good. DC/OS refuses more than ten minutes; half of that leaves room for clocks that differ.
const PROOF_LIFETIME: Duration = Duration::from_secs(300);

/// Several times what a secret with the largest usual key has.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Where the account's secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the configuration itself.
    Text(Secret),
    /// In a file, which is read again when a login is refused: secrets are rotated.
    File(PathBuf),
}

/// An account that a login can be tried with.
#[derive(Clone)]
pub struct Account {
    uid: String,
    key: PKey<Private>,
    endpoint: Url,
    text: Secret,
}

/// Why a secret is none of a service account. No text has anything of the secret in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAccount {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// No JSON, from this place on.
    #[error("it is no JSON, see line {line}, column {column}")]
    NoJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON, but no object with members.
    #[error("it is no JSON object")]
    NoObject,
    /// A member is not there, or is no text.
    #[error("its member \"{0}\" is missing or no text")]
    Missing(&'static str),
    /// Another scheme.
    #[error("its member \"scheme\" is not RS256, and nothing else is spoken here")]
    Scheme,
    /// No key, or one that we cannot use.
    #[error("its member \"private_key\" is no RSA key in PEM without pass phrase (PKCS #8 or PKCS #1)")]
    Key,
    /// Nothing to log in at.
    #[error("its member \"login_endpoint\" is no http or https address")]
    Endpoint,
}

impl Source {
    /// Tells JSON from a path; the path may be written as `file:`.
    #[must_use]
    pub fn of(text: &str) -> Source {
        if text.trim_start().starts_with('{') {
            return Source::Text(Secret::new(text.to_owned()));
        }
        let path = text.strip_prefix("file://").or_else(|| text.strip_prefix("file:"));
        Source::File(path.unwrap_or(text).into())
    }

    /// Reads the account.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self) -> Result<Account, BadAccount> {
        match self {
            Source::Text(text) => Account::parse(text),
            Source::File(path) => Account::parse(&read(path).map_err(BadAccount::Unreadable)?),
        }
    }
}

/// Anything but a regular file is refused before it is opened: opening a pipe could wait for ever.
fn read(path: &Path) -> Result<Secret, String> {
    if !std::fs::metadata(path).map_err(|e| e.to_string())?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|e| e.to_string())?;
    file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("it has more than {SECRET_BYTES_MAX} bytes"));
    }
    Ok(Secret::new(text))
}

impl Account {
    fn parse(text: &Secret) -> Result<Account, BadAccount> {
        // Of the parser's own words only the place is used: they quote what they stumble over.
        let parsed: Value = serde_json::from_str(text.expose())
            .map_err(|e| BadAccount::NoJson { line: e.line(), column: e.column() })?;
        let Value::Object(members) = parsed else { return Err(BadAccount::NoObject) };
        if member(&members, "scheme")? != "RS256" {
            return Err(BadAccount::Scheme);
        }
        let uid = member(&members, "uid")?.to_owned();
        // With a pass phrase given OpenSSL never asks for one at the terminal.
        let key = PKey::private_key_from_pem_passphrase(member(&members, "private_key")?.as_bytes(), b"");
        let key = key.ok().filter(|key| key.rsa().is_ok()).ok_or(BadAccount::Key)?;
        let endpoint = Url::parse(member(&members, "login_endpoint")?).map_err(|_| BadAccount::Endpoint)?;
        let has_login = !endpoint.username().is_empty() || endpoint.password().is_some();
        if !["http", "https"].contains(&endpoint.scheme()) || has_login {
            return Err(BadAccount::Endpoint);
        }
        Ok(Account { uid, key, endpoint, text: text.clone() })
    }

    /// The account's name.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Where to log in.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// Whether the login and its answer cross the network in clear text.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.endpoint.scheme() == "http"
    }

    /// The body of a login.
    ///
    /// # Errors
    /// OpenSSL cannot sign with this key.
    pub fn login(&self, now: SystemTime) -> Result<Vec<u8>, ErrorStack> {
        let expires = now.duration_since(UNIX_EPOCH).unwrap_or_default() + PROOF_LIFETIME;
        let claims = json!({ "uid": self.uid, "exp": expires.as_secs() });
        let mut token = jwt::unsigned(&json!({ "alg": "RS256", "typ": "JWT" }), &claims);
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key)?;
        let signature = signer.sign_oneshot_to_vec(token.as_bytes())?;
        token.push('.');
        token.push_str(&jwt::encode(&signature));
        Ok(json!({ "uid": self.uid, "token": token }).to_string().into_bytes())
    }
}

fn member<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, BadAccount> {
    members.get(name).and_then(Value::as_str).ok_or(BadAccount::Missing(name))
}

impl PartialEq for Account {
    fn eq(&self, other: &Account) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("uid", &self.uid)
            .field("endpoint", &self.endpoint.as_str())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use openssl::rsa::Rsa;
    use openssl::sign::Verifier;

    use super::*;
    use crate::dcos::testing::secret;

    fn with(name: &str, value: Value) -> String {
        let mut members: Value = serde_json::from_str(&secret("https://master.mesos/login")).unwrap();
        members[name] = value;
        members.to_string()
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_of_it_is_shown() {
        let encrypted = Rsa::generate(2048)
            .unwrap()
            .private_key_to_pem_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"hush");
        let encrypted = String::from_utf8(encrypted.unwrap()).unwrap();
        for (text, expected) in [
            ("{\"uid\": hush}".to_owned(), BadAccount::NoJson { line: 1, column: 9 }),
            ("{".to_owned(), BadAccount::NoJson { line: 1, column: 1 }),
            (with("uid", json!(1)), BadAccount::Missing("uid")),
            (with("private_key", Value::Null), BadAccount::Missing("private_key")),
            (with("scheme", json!("HS256")), BadAccount::Scheme),
            (with("private_key", json!("hush")), BadAccount::Key),
            (with("private_key", json!(encrypted)), BadAccount::Key),
            (with("login_endpoint", json!("hush")), BadAccount::Endpoint),
            (with("login_endpoint", json!("ftp://hush/")), BadAccount::Endpoint),
            (with("login_endpoint", json!("https://a:hush@b/")), BadAccount::Endpoint),
            (with("login_endpoint", json!("https://:hush@b/")), BadAccount::Endpoint),
        ] {
            let error = Source::of(&text).read().unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }

    #[test]
    fn json_and_paths_are_told_apart() {
        for path in ["/run/sa.json", "file:/run/sa.json", "file:///run/sa.json"] {
            assert_eq!(Source::of(path), Source::File("/run/sa.json".into()));
        }
        assert!(matches!(Source::of(" \n{\"uid\": 1}"), Source::Text(_)));
        let missing = Source::of("/nonexistent/sa.json").read();
        assert!(matches!(missing, Err(BadAccount::Unreadable(why)) if why.contains("No such file")));
        assert_eq!(
            Source::of("/").read().unwrap_err(),
            BadAccount::Unreadable("it is no regular file".into())
        );
    }

    #[test]
    fn both_forms_of_key_sign_what_the_public_key_verifies() {
        let rsa = Rsa::generate(2048).unwrap();
        let pkcs1 = String::from_utf8(rsa.private_key_to_pem().unwrap()).unwrap();
        let key = PKey::from_rsa(rsa).unwrap();
        let pkcs8 = String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        assert!(pkcs1.starts_with("-----BEGIN RSA PRIVATE") && pkcs8.starts_with("-----BEGIN PRIVATE"));
        for pem in [pkcs1, pkcs8] {
            let account = Source::of(&with("private_key", json!(pem))).read().unwrap();
            let now = UNIX_EPOCH + Duration::from_secs(1000);
            let body: Value = serde_json::from_slice(&account.login(now).unwrap()).unwrap();
            let (signed, signature) = body["token"].as_str().unwrap().rsplit_once('.').unwrap();
            let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
            let signature = jwt::decode(signature).unwrap();
            assert!(verifier.verify_oneshot(&signature, signed.as_bytes()).unwrap());
            let claims = jwt::claims(body["token"].as_str().unwrap()).unwrap();
            assert_eq!(claims, json!({ "uid": "sa", "exp": 1300 }));
            let shown = format!("{account:?} {:?}", Source::of(&with("private_key", json!("hush"))));
            assert!(!shown.contains("PRIVATE") && !shown.contains("hush"), "{shown}");
        }
    }
}
