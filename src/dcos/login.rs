//! Logs in with a service account: one login at a time for all who ask, again before the token ends and when it is
//! refused.
//!
//! A login runs in a task of its own, so that whoever gives up waiting does not end it for the others. One whose account
//! was replaced in the meantime tells nothing to anybody but those who wait for it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use openssl::error::ErrorStack;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::account::{Account, Source};
use super::client::{Client, Error, with_causes};
use super::tokens::{self, Advice, Token, Tokens};
use crate::record::Secret;
use crate::telemetry::Problems;
use crate::telemetry::problems::Kind;

/// Far more than any token has; it has to fit into a header.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// No answer, or a refusal.
    #[error("cannot log in")]
    Request(#[source] Error),
    /// OpenSSL does not sign with the account's key.
    #[error("cannot sign with the service account's key")]
    Signature(#[source] ErrorStack),
    /// An answer, but no token in it.
    #[error("the login at {0} was answered without a token; check the account's login_endpoint")]
    NoToken(String),
}

/// Logs in for whoever asks. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Login {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Has no authority itself: a login is made with nothing but the account.
    http: Client,
    source: Source,
    account: Mutex<Account>,
    tokens: watch::Sender<Tokens<Failed>>,
    notices: Mutex<Notices>,
}

/// Who hears what comes of it.
#[derive(Debug, Default)]
struct Notices {
    problems: Option<Problems>,
    /// Another login has taken its place, or none.
    is_over: bool,
}

impl Login {
    pub(super) fn new(http: Client, source: Source, account: Account) -> Login {
        let (account, tokens) = (Mutex::new(account), watch::Sender::new(Tokens::default()));
        let notices = Mutex::default();
        Login { shared: Arc::new(Shared { http, source, account, tokens, notices }) }
    }

    /// From now on `problems` is told of log-ins that fail.
    pub(super) fn tell(&self, problems: &Problems) {
        self.shared.notices().problems = Some(problems.clone());
    }

    /// Another login takes its place, or none: from now on nobody is told what comes of it.
    pub(super) fn end(&self) {
        self.shared.notices().is_over = true;
    }

    /// The account as it was read last.
    pub(super) fn account(&self) -> Account {
        self.shared.account()
    }

    /// A token, as soon as there is one.
    ///
    /// # Errors
    /// Why the login failed. For a while after that it is not tried again.
    pub(super) async fn token(&self) -> Result<Token, Arc<Failed>> {
        let mut changes = self.shared.tokens.subscribe();
        loop {
            match self.advice() {
                Advice::Use(token) => return Ok(token),
                Advice::UseAndLogIn(token) => {
                    self.spawn();
                    return Ok(token);
                }
                Advice::LogIn => self.spawn(),
                Advice::Wait => {}
                Advice::NotNow(error) => return Err(error),
            }
            // The sender is in `self`, so that it cannot be gone.
            _ = changes.wait_for(|tokens| !tokens.is_busy()).await;
        }
    }

    /// Somebody did not accept `token`. Whether it is worth asking for another one.
    pub(super) fn refused(&self, token: &Token) -> bool {
        let mut again = false;
        self.shared.tokens.send_modify(|tokens| again = tokens.refused(token, Instant::now()));
        again
    }

    /// Whether there is a token, and if not, why.
    pub(super) fn state(&self) -> (bool, Option<Arc<Failed>>) {
        let tokens = self.shared.tokens.borrow();
        (tokens.has_token(Instant::now()), tokens.failure().cloned())
    }

    fn advice(&self) -> Advice<Failed> {
        let mut advice = None;
        self.shared.tokens.send_if_modified(|tokens| {
            advice = Some(tokens.ask(Instant::now()));
            // Nobody waits for the begin of a login.
            false
        });
        advice.expect("the closure is always called")
    }

    fn spawn(&self) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let outcome = shared.log_in().await;
            shared.tell(&outcome);
            shared.tokens.send_modify(|tokens| tokens.finish(outcome, Instant::now()));
        });
    }
}

impl Shared {
    fn account(&self) -> Account {
        self.account.lock().expect("no code panics under this lock").clone()
    }

    fn notices(&self) -> MutexGuard<'_, Notices> {
        self.notices.lock().expect("no code panics under this lock")
    }

    fn tell(&self, outcome: &Result<(Secret, Duration), Failed>) {
        let uid = self.account().uid().to_owned();
        // Held to the end: what ends this login is over before the next one begins.
        let notices = self.notices();
        if notices.is_over {
            return;
        }
        let problems = notices.problems.as_ref();
        match outcome {
            Ok((_, lifetime)) => {
                problems.inspect(|problems| problems.over(Kind::Login));
                info!(uid, "logged in; the token is used for at most {lifetime:?}");
            }
            Err(failed) => {
                let why = with_causes(failed);
                problems.inspect(|problems| problems.note(Kind::Login, &why));
                warn!(uid, "no token: {why}; tried again");
            }
        }
    }

    async fn log_in(&self) -> Result<(Secret, Duration), Failed> {
        let account = self.account();
        let refused = match self.post(&account).await {
            Err(Failed::Request(error)) if error.is_refusal() => error,
            other => return other,
        };
        match self.read_again(&account).await {
            Some(fresh) => self.post(&fresh).await,
            None => Err(Failed::Request(refused)),
        }
    }

    async fn post(&self, account: &Account) -> Result<(Secret, Duration), Failed> {
        let body = account.login(SystemTime::now()).map_err(Failed::Signature)?;
        let url = account.endpoint().as_str();
        let answer = self.http.post_secret(url, body).await.map_err(Failed::Request)?;
        let token = token(&answer).ok_or_else(|| Failed::NoToken(url.to_owned()))?;
        let lifetime = tokens::lifetime(&token, SystemTime::now());
        Ok((Secret::new(token), lifetime))
    }

    /// The account that the file has now, if that is another one.
    async fn read_again(&self, old: &Account) -> Option<Account> {
        let Source::File(path) = self.source.clone() else { return None };
        let source = self.source.clone();
        match tokio::task::spawn_blocking(move || source.read()).await.ok()? {
            Ok(fresh) if fresh == *old => None,
            Ok(fresh) => {
                info!(path = %path.display(), "the service account was changed and is tried");
                *self.account.lock().expect("no code panics under this lock") = fresh.clone();
                Some(fresh)
            }
            Err(error) => {
                warn!(path = %path.display(), "the service account is of no use: {error}; the old one is kept");
                None
            }
        }
    }
}

/// The token in a login's answer, if there is one that can be sent.
fn token(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let token = answer.get("token")?.as_str()?;
    let is_good = (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
    is_good.then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dcos::jwt;
    use crate::dcos::testing::json;

    #[test]
    fn a_token_is_a_text_that_can_be_sent() {
        let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(TOKEN_BYTES_MAX + 1));
        for (answer, expected) in [
            (r#"{"token":"a.b.c"}"#, Some("a.b.c")),
            (r#"{"token":""}"#, None),
            (r#"{"token":"a b"}"#, None),
            (r#"{"token":"a\nb"}"#, None),
            (r#"{"token":"é"}"#, None),
            (r#"{"token":7}"#, None),
            (r#"["token"]"#, None),
            ("{}", None),
            ("<html>", None),
            ("", None),
            (&long, None),
        ] {
            assert_eq!(token(answer.as_bytes()).as_deref(), expected, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn any_json_in_place_of_the_logins_answer_is_a_token_or_none(answer in json(&["token", "exp", "a.b.c"])) {
            if let Some(token) = token(answer.to_string().as_bytes()) {
                prop_assert!(!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
            }
        }

        #[test]
        fn any_json_in_place_of_a_tokens_claims_gives_a_time_to_use_it(claims in json(&["exp", "uid"])) {
            let token = format!("{}.x", jwt::unsigned(&claims, &claims));
            let lifetime = tokens::lifetime(&token, SystemTime::now());
            prop_assert!(lifetime <= Duration::from_secs(86_400), "{lifetime:?}");
        }

        #[test]
        fn any_text_in_place_of_a_token_gives_a_time_to_use_it(token in "[a-zA-Z0-9_.=-]{0,60}") {
            prop_assert!(tokens::lifetime(&token, SystemTime::now()).as_secs() > 0);
        }
    }
}
