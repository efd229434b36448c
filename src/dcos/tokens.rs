//! Which token is used, when there is to be a new one, and who asks for it. No clock and no socket.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::jwt;
use crate::record::Secret;

/// A token that does not say when it ends is used this long.
const LIFETIME_UNKNOWN: Duration = Duration::from_secs(3600);

/// However long a token says that it is good.
const LIFETIME_MAX: Duration = Duration::from_secs(86_400);

/// A token that has ended by our clock already: the clocks differ, and whoever gave it believes in it.
const LIFETIME_ENDED: Duration = Duration::from_secs(30);

/// A new token is fetched this long before the old one ends, or a tenth of its life.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// Pause after a login that failed; twice as long each time, up to the second.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A refused token is replaced at most once in this time: who refuses a new one too has another reason.
const REPLACE_PAUSE: Duration = Duration::from_secs(60);

/// The tokens of one account. `E` is why a login failed.
#[derive(Debug)]
pub(super) struct Tokens<E> {
    held: Option<Held>,
    /// Somebody logs in at present.
    busy: bool,
    failure: Option<Failure<E>>,
    /// When a refused token was given up last.
    replaced: Option<Instant>,
    logins: u64,
}

#[derive(Debug)]
struct Held {
    token: Token,
    renew_at: Instant,
    ends_at: Instant,
}

/// A token, and which login it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: Secret,
    login: u64,
}

#[derive(Debug)]
struct Failure<E> {
    error: Arc<E>,
    pause: Duration,
    until: Instant,
}

/// What whoever wants a token is to do.
#[derive(Debug)]
pub(super) enum Advice<E> {
    /// Use this one.
    Use(Token),
    /// Use this one, and log in beside that.
    UseAndLogIn(Token),
    /// Log in, and say what came of it with [`Tokens::finish`].
    LogIn,
    /// Wait for whoever logs in, and ask again.
    Wait,
    /// The last login failed, and it is too early for another one.
    NotNow(Arc<E>),
}

impl<E> Default for Tokens<E> {
    fn default() -> Tokens<E> {
        Tokens { held: None, busy: false, failure: None, replaced: None, logins: 0 }
    }
}

impl<E> Tokens<E> {
    pub(super) fn ask(&mut self, now: Instant) -> Advice<E> {
        let held = self.held.as_ref().filter(|held| now < held.ends_at);
        let due = held.is_none_or(|held| now >= held.renew_at);
        let pausing = self.failure.as_ref().filter(|failure| now < failure.until);
        match (held, pausing) {
            (Some(held), _) if !due || self.busy || pausing.is_some() => Advice::Use(held.token.clone()),
            (None, _) if self.busy => Advice::Wait,
            (None, Some(failure)) => Advice::NotNow(failure.error.clone()),
            (held, _) => {
                let token = held.map(|held| held.token.clone());
                self.busy = true;
                token.map_or(Advice::LogIn, Advice::UseAndLogIn)
            }
        }
    }

    /// The login that [`Tokens::ask`] advised has ended, and if it was good, with this token for so long.
    pub(super) fn finish(&mut self, outcome: Result<(Secret, Duration), E>, now: Instant) {
        self.busy = false;
        match outcome {
            Ok((text, lifetime)) => {
                self.logins += 1;
                let ahead = (lifetime / 10).min(AHEAD_MAX);
                let token = Token { text, login: self.logins };
                self.held = Some(Held { token, renew_at: now + lifetime - ahead, ends_at: now + lifetime });
                self.failure = None;
            }
            Err(error) => {
                let pause = self.failure.as_ref().map_or(PAUSE, |before| PAUSE_MAX.min(before.pause * 2));
                self.failure = Some(Failure { error: Arc::new(error), pause, until: now + pause });
            }
        }
    }

    /// Somebody did not accept `token`. Whether to ask for another one.
    pub(super) fn refused(&mut self, token: &Token, now: Instant) -> bool {
        match &self.held {
            // Somebody else was told so earlier.
            Some(held) if held.token.login != token.login => true,
            None => true,
            Some(_) if self.replaced.is_some_and(|at| now < at + REPLACE_PAUSE) => false,
            Some(_) => {
                self.replaced = Some(now);
                self.held = None;
                true
            }
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Why the last login failed, if it did.
    pub(super) fn failure(&self) -> Option<&Arc<E>> {
        self.failure.as_ref().map(|failure| &failure.error)
    }

    /// Whether there is a token that has not ended.
    pub(super) fn has_token(&self, now: Instant) -> bool {
        self.held.as_ref().is_some_and(|held| now < held.ends_at)
    }
}

/// How long to use a token, by what it says of itself and by what is sensible.
pub(super) fn lifetime(token: &str, now: SystemTime) -> Duration {
    let expires = jwt::claims(token).and_then(|claims| claims.get("exp")?.as_f64());
    let Some(expires) = expires else { return LIFETIME_UNKNOWN };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = expires - now.as_secs_f64();
    if left <= 0.0 {
        return LIFETIME_ENDED;
    }
    Duration::try_from_secs_f64(left).map_or(LIFETIME_MAX, |left| left.min(LIFETIME_MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good(text: &str, seconds: u64) -> (Secret, Duration) {
        (Secret::new(text.to_owned()), Duration::from_secs(seconds))
    }

    /// What asking at each of these seconds advises.
    struct Watch {
        tokens: Tokens<&'static str>,
        start: Instant,
    }

    impl Watch {
        fn new() -> Watch {
            Watch { tokens: Tokens::default(), start: Instant::now() }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn ask(&mut self, seconds: u64) -> String {
            match self.tokens.ask(self.at(seconds)) {
                Advice::Use(token) => token.text.expose().to_owned(),
                Advice::UseAndLogIn(token) => format!("{} and log in", token.text.expose()),
                Advice::LogIn => "log in".to_owned(),
                Advice::Wait => "wait".to_owned(),
                Advice::NotNow(why) => (*why).to_owned(),
            }
        }

        fn finish(&mut self, outcome: Result<(Secret, Duration), &'static str>, seconds: u64) {
            let at = self.at(seconds);
            self.tokens.finish(outcome, at);
        }

        fn token(&mut self, seconds: u64) -> Token {
            match self.tokens.ask(self.at(seconds)) {
                Advice::Use(token) | Advice::UseAndLogIn(token) => token,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn one_logs_in_and_the_others_wait() {
        let mut watch = Watch::new();
        assert_eq!([watch.ask(0), watch.ask(0), watch.ask(1)], ["log in", "wait", "wait"]);
        watch.finish(Ok(good("a", 1000)), 1);
        assert_eq!([watch.ask(1), watch.ask(900)], ["a", "a"]);
    }

    #[test]
    fn a_token_is_renewed_before_its_end_and_used_until_then() {
        let mut watch = Watch::new();
        _ = watch.ask(0);
        watch.finish(Ok(good("a", 1000)), 0);
        assert_eq!([watch.ask(899), watch.ask(900), watch.ask(901)], ["a", "a and log in", "a"]);
        watch.finish(Err("down"), 902);
        assert_eq!([watch.ask(902), watch.ask(904)], ["a", "a and log in"]);
        watch.finish(Err("down"), 990);
        assert_eq!([watch.ask(991), watch.ask(992)], ["a", "a and log in"]);
        assert_eq!(watch.ask(1000), "wait");
        watch.finish(Ok(good("b", 1000)), 1001);
        assert_eq!(watch.ask(1001), "b");
    }

    #[test]
    fn failures_back_off_up_to_a_minute() {
        let mut watch = Watch::new();
        let (mut now, mut tries) = (0, Vec::new());
        while tries.len() < 9 {
            if watch.ask(now) == "log in" {
                tries.push(now);
                watch.finish(Err("down"), now);
            }
            now += 1;
        }
        assert_eq!(tries, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        assert_eq!(watch.ask(184), "down");
    }

    #[test]
    fn a_refused_token_is_replaced_once_for_all_and_not_again_at_once() {
        let mut watch = Watch::new();
        _ = watch.ask(0);
        watch.finish(Ok(good("a", 1000)), 0);
        let first = watch.token(1);
        assert!(watch.tokens.refused(&first, watch.at(1)));
        assert!(watch.tokens.refused(&first, watch.at(1)), "there is none at present");
        assert_eq!([watch.ask(1), watch.ask(1)], ["log in", "wait"]);
        watch.finish(Ok(good("b", 1000)), 2);
        assert!(watch.tokens.refused(&first, watch.at(2)), "there is a newer one");
        let second = watch.token(2);
        assert!(!watch.tokens.refused(&second, watch.at(3)));
        assert_eq!(watch.ask(3), "b");
        assert!(watch.tokens.refused(&second, watch.at(61)));
    }

    #[test]
    fn the_lifetime_is_what_the_token_says_within_reason() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (claims, seconds) in [
            (json!({ "exp": 1_000_600 }), 600),
            (json!({ "exp": 1_000_600.0 }), 600),
            (json!({ "exp": 900 }), 30),
            (json!({ "exp": -1 }), 30),
            (json!({ "exp": 9e300 }), 86_400),
            (json!({ "exp": 99_000_000 }), 86_400),
            (json!({ "exp": "soon" }), 3600),
            (json!({ "uid": "x" }), 3600),
            (Value::Null, 3600),
        ] {
            let token = format!("{}.x", jwt::unsigned(&json!({}), &claims));
            assert_eq!(lifetime(&token, now), Duration::from_secs(seconds), "{claims}");
        }
        assert_eq!(lifetime("opaque", now), Duration::from_secs(3600));
    }
}
