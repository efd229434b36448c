//! Which token a request carries, if any. Where a token may go is decided here and nowhere else.
//!
//! * The account's token goes with TLS, which proves the host's name, to the host of the account's `login_endpoint`,
//!   to the masters, to the agent, to names of the cluster, and to the hosts that the operator names.
//! * In clear text it goes to the agent, which is this machine; to the host of a `login_endpoint` that is itself in
//!   clear text, since it came from there in the clear; and to hosts that the operator names so.
//! * The agent is a host and a port. Tasks have other ports of the same host, and are not the agent.
//! * `auth-credential` goes to the agent alone, and there before the account's token.
//! * A request with a login in its address has one already.
//!
//! All of it may change while the program runs. Another account, another key of it or other certificates are another
//! login: a token of before goes to nobody any more, and what went wrong with it is over.
//!
//! Redirects are not followed at all, and no proxy is used, so that the host of the address is where the request goes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use reqwest::{Certificate, Url};

use super::client::{Client, Limits, NoTls, with_causes};
use super::login::{Failed, Login};
use super::settings::{Config, host_of, is_under};
use super::tokens;
use crate::record::Secret;
use crate::telemetry::Problems;
use crate::telemetry::problems::Kind;

/// Names under which the masters are known in every cluster.
const MASTERS: [&str; 2] = ["leader.mesos", "master.mesos"];

/// What names of the cluster end with.
const CLUSTER_DOMAINS: [&str; 2] = ["mesos", "thisdcos.directory"];

/// A login's answer is a token and little else.
const LOGIN_BYTES_MAX: usize = 256 << 10;

/// Whom to trust and how to log in. Cheap to clone; all clones share one login.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    terms: Mutex<Arc<Terms>>,
    /// Host and port of the Mesos agent, once they are known.
    agent: Mutex<Option<(String, u16)>>,
    /// Who hears of log-ins that fail.
    problems: OnceLock<Problems>,
}

/// What counts at some time.
struct Terms {
    config: Config,
    login: Option<Login>,
    /// Counts the changes of certificates.
    edition: u64,
}

/// How the log-in goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginStatus {
    /// There is a token, or nobody has asked for one yet.
    pub ready: bool,
    /// In one line.
    pub detail: String,
}

/// What a request goes out with.
#[derive(Clone, Debug)]
pub(super) enum Grant {
    /// There are no tokens.
    Nothing,
    /// There are, but not for this address.
    Withheld,
    /// The agent's own.
    Fixed(Secret),
    /// The account's.
    Login(tokens::Token),
    /// The account's should go there, but there is none.
    Failed(Arc<Failed>),
}

/// Which token may go to an address.
enum Right<'a> {
    Nothing,
    Withheld,
    Fixed(&'a Secret),
    Login(&'a Login),
}

impl Authority {
    /// Takes the settings; nothing is asked for yet.
    ///
    /// # Errors
    /// [`NoTls`] where OpenSSL cannot be set up.
    pub fn new(config: &Config) -> Result<Authority, NoTls> {
        let terms = Terms { config: config.clone(), login: log_in(config)?, edition: 0 };
        Ok(Authority(Arc::new(Inner {
            terms: Mutex::new(Arc::new(terms)),
            agent: Mutex::default(),
            problems: OnceLock::new(),
        })))
    }

    /// Takes other settings, which count from the next request on.
    ///
    /// # Errors
    /// [`NoTls`] where OpenSSL cannot be set up; all is as before then.
    pub fn set(&self, config: &Config) -> Result<(), NoTls> {
        let old = self.terms();
        if *config == old.config {
            return Ok(());
        }
        let has_other_certificates = config.authorities != old.config.authorities;
        let login = if has_other_certificates || config.account != old.config.account {
            let login = log_in(config)?;
            if let Some(old) = &old.login {
                old.end();
            }
            if let Some(problems) = self.0.problems.get() {
                problems.over(Kind::Login);
                if let Some(login) = &login {
                    login.tell(problems);
                }
            }
            login
        } else {
            old.login.clone()
        };
        let edition = old.edition + u64::from(has_other_certificates);
        *self.0.terms() = Arc::new(Terms { config: config.clone(), login, edition });
        Ok(())
    }

    /// The same, telling `problems` of log-ins that fail.
    #[must_use]
    pub fn telling(self, problems: &Problems) -> Authority {
        if let Some(login) = &self.terms().login {
            login.tell(problems);
        }
        _ = self.0.problems.set(problems.clone());
        self
    }

    /// Says where the Mesos agent of this machine is. Its token goes there in clear text too.
    pub fn name_agent(&self, host: &str, port: u16) {
        // In the spelling that an address has, as for IPv6 in brackets.
        let bracketed =
            if host.contains(':') && !host.starts_with('[') { &format!("[{host}]") } else { host };
        let url = Url::parse(&format!("http://{bracketed}/")).ok();
        let agent = url.as_ref().and_then(host_of).map(|host| (host, port));
        *self.0.agent() = agent;
    }

    /// How the log-in goes; none where there is no account.
    #[must_use]
    pub fn status(&self) -> Option<LoginStatus> {
        let terms = self.terms();
        let login = terms.login.as_ref()?;
        let account = login.account();
        let uid = account.uid();
        Some(match login.state() {
            (true, _) => LoginStatus { ready: true, detail: format!("logged in as {uid:?}") },
            (false, None) => {
                LoginStatus { ready: true, detail: format!("nobody has asked for a token of {uid:?}") }
            }
            (false, Some(failed)) => {
                let detail = format!("no token of {uid:?}, tried again: {}", with_causes(&*failed));
                LoginStatus { ready: false, detail }
            }
        })
    }

    /// The cluster's certificates, and which edition of them that is.
    pub(super) fn certificates(&self) -> (Vec<Certificate>, u64) {
        let terms = self.terms();
        (terms.config.authorities.certificates.clone(), terms.edition)
    }

    /// Which edition of the certificates counts.
    pub(super) fn edition(&self) -> u64 {
        self.0.terms().edition
    }

    fn terms(&self) -> Arc<Terms> {
        self.0.terms().clone()
    }

    /// What to ask `url` with. Waits for a login, if one is needed.
    pub(super) async fn grant(&self, url: &Url) -> Grant {
        let terms = self.terms();
        match self.right(&terms, url) {
            Right::Nothing => Grant::Nothing,
            Right::Withheld => Grant::Withheld,
            Right::Fixed(token) => Grant::Fixed(token.clone()),
            Right::Login(login) => match login.token().await {
                Ok(token) => Grant::Login(token),
                Err(failed) => Grant::Failed(failed),
            },
        }
    }

    /// Something else to ask `url` with, since `refused` was not accepted there.
    pub(super) async fn replace(&self, url: &Url, refused: &Grant) -> Option<Grant> {
        let terms = self.terms();
        let (Right::Login(login), Grant::Login(token)) = (self.right(&terms, url), refused) else {
            return None;
        };
        if !login.refused(token) {
            return None;
        }
        login.token().await.ok().filter(|new| new != token).map(Grant::Login)
    }

    fn right<'a>(&self, terms: &'a Terms, url: &Url) -> Right<'a> {
        let Terms { login, config: Config { agent_token, .. }, .. } = terms;
        if login.is_none() && agent_token.is_none() {
            return Right::Nothing;
        }
        let Some(host) = host_of(url).filter(|_| url.username().is_empty() && url.password().is_none())
        else {
            return Right::Withheld;
        };
        let is_agent = self.0.is_agent(&host, url.port_or_known_default());
        match (agent_token, login) {
            (Some(token), _) if is_agent => Right::Fixed(token),
            (_, Some(login)) if is_agent || terms.may_have(login, &host, url.scheme() == "https") => {
                Right::Login(login)
            }
            _ => Right::Withheld,
        }
    }
}

/// Whoever logs in, where there is an account.
fn log_in(config: &Config) -> Result<Option<Login>, NoTls> {
    let Some((source, account)) = &config.account else { return Ok(None) };
    let limits = Limits { body_bytes: LOGIN_BYTES_MAX, ..Limits::default() };
    let http = Client::build(limits, &config.authorities.certificates)?;
    Ok(Some(Login::new(http, source.clone(), account.clone())))
}

impl Inner {
    fn terms(&self) -> MutexGuard<'_, Arc<Terms>> {
        self.terms.lock().expect("no code panics under this lock")
    }

    fn agent(&self) -> MutexGuard<'_, Option<(String, u16)>> {
        self.agent.lock().expect("no code panics under this lock")
    }

    fn is_agent(&self, host: &str, port: Option<u16>) -> bool {
        self.agent().as_ref().is_some_and(|(known, known_port)| known == host && Some(*known_port) == port)
    }
}

impl Terms {
    fn may_have(&self, login: &Login, host: &str, is_tls: bool) -> bool {
        let account = login.account();
        let is_login_host = host_of(account.endpoint()).is_some_and(|known| known == host);
        let of_cluster =
            MASTERS.contains(&host) || CLUSTER_DOMAINS.iter().any(|domain| is_under(host, domain));
        is_login_host && (is_tls || account.is_plain())
            || of_cluster && is_tls
            || self.config.hosts.iter().any(|known| known.fits(host, is_tls))
    }
}

impl Grant {
    /// The token, if there is one.
    pub(super) fn token(&self) -> Option<&Secret> {
        match self {
            Grant::Fixed(token) => Some(token),
            Grant::Login(token) => Some(&token.text),
            Grant::Nothing | Grant::Withheld | Grant::Failed(_) => None,
        }
    }

    /// What to say when the answer was that a login is needed.
    pub(super) fn note(&self) -> String {
        match self {
            Grant::Nothing => String::new(),
            Grant::Withheld => "; the token is not for this address, see dcos-auth-hosts".to_owned(),
            Grant::Fixed(_) => "; the token of auth-credential was refused".to_owned(),
            Grant::Login(_) => "; the service account's token was refused".to_owned(),
            Grant::Failed(failed) => format!("; there is no token: {}", with_causes(&**failed)),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use tokio::sync::Notify;

    use super::*;
    use crate::dcos::TokenHost;
    use crate::dcos::account::Source;
    use crate::dcos::testing::{secret, serve};

    fn authority(endpoint: &str, hosts: &[&str], agent_token: Option<&str>) -> Authority {
        let source = Source::of(&secret(endpoint));
        let account = source.read().unwrap();
        let authority = Authority::new(&Config {
            account: Some((source, account)),
            agent_token: agent_token.map(|token| Secret::new(token.to_owned())),
            hosts: hosts.iter().map(|host| TokenHost::parse(host).unwrap()).collect(),
            ..Config::default()
        });
        let authority = authority.unwrap();
        authority.name_agent("10.0.0.5", 5051);
        authority
    }

    fn check(authority: &Authority, allowed: &[&str], withheld: &[&str]) {
        for (urls, expected) in [(allowed, true), (withheld, false)] {
            for url in urls {
                let terms = authority.terms();
                let right = authority.right(&terms, &Url::parse(url).unwrap());
                assert_eq!(matches!(right, Right::Login(_)), expected, "{url}");
            }
        }
    }

    #[test]
    fn the_token_goes_to_the_cluster_over_tls_and_to_nobody_else() {
        check(
            &authority("https://iam.example.com/acs/api/v1/auth/login", &[], None),
            &[
                "https://iam.example.com/x",
                "https://IAM.example.com.:8443/x",
                "https://leader.mesos:5050/state",
                "https://master.mesos/service/kafka",
                "https://api.kafka.marathon.l4lb.thisdcos.directory/v1/connection",
                "https://kafka.marathon.mesos/",
                "https://10.0.0.5:5051/state",
                "http://10.0.0.5:5051/state",
            ],
            &[
                "http://iam.example.com/x",
                "http://leader.mesos/x",
                "http://master.mesos:5050/x",
                "http://kafka.marathon.mesos/",
                "http://10.0.0.5:31000/v1/connection",
                "https://10.0.0.5:31000/v1/connection",
                "http://10.0.0.6:5051/state",
                "https://example.com/",
                "https://leader.mesos.example.com/",
                "https://leader.mesos@example.com/",
                "https://example.com/leader.mesos",
                "https://evilmesos/",
                "https://thisdcos.directory.example.com/",
                "https://me:pass@leader.mesos/",
                "https://me@leader.mesos/",
            ],
        );
    }

    #[test]
    fn clear_text_goes_where_the_login_was_in_clear_text_or_the_operator_says() {
        check(
            &authority(
                "http://master.mesos/acs/api/v1/auth/login",
                &["http://*.marathon.mesos", "proxy"],
                None,
            ),
            &["http://master.mesos:8080/x", "http://kafka.marathon.mesos/", "https://proxy/"],
            &["http://leader.mesos/x", "http://kafka.mesos/", "http://proxy/", "http://marathon.mesos/"],
        );
    }

    #[test]
    fn the_agents_own_token_goes_to_the_agent_alone() {
        let authority = authority("https://master.mesos/login", &[], Some("fixed"));
        let terms = authority.terms();
        let right = |url: &str| match authority.right(&terms, &Url::parse(url).unwrap()) {
            Right::Fixed(token) => token.expose().to_owned(),
            Right::Login(_) => "login".to_owned(),
            Right::Withheld => "withheld".to_owned(),
            Right::Nothing => "nothing".to_owned(),
        };
        assert_eq!(right("http://10.0.0.5:5051/state"), "fixed");
        assert_eq!(right("http://10.0.0.5:5052/state"), "withheld");
        assert_eq!(right("https://master.mesos/"), "login");
        authority.name_agent("fd00::1", 5051);
        assert_eq!(right("http://[fd00::1]:5051/state"), "fixed");
        assert_eq!(right("http://10.0.0.5:5051/state"), "withheld");
        assert!(!format!("{authority:?}").contains("fixed"));
    }

    /// Settings with an account that logs in at this address.
    fn with_account(endpoint: &str) -> Config {
        let source = Source::of(&secret(endpoint));
        let account = source.read().unwrap();
        Config { account: Some((source, account)), ..Config::default() }
    }

    /// Whether log-ins fail, and how often they were told to.
    fn failures(problems: &Problems) -> (bool, u64) {
        let login = problems.lately().into_iter().find(|seen| seen.kind == Kind::Login);
        login.map_or((false, 0), |seen| (seen.is_now(), seen.times))
    }

    async fn refusing() -> String {
        serve(Router::new().fallback(|| async { (StatusCode::UNAUTHORIZED, "") })).await
    }

    #[tokio::test]
    async fn a_login_that_is_taken_away_fails_no_more() {
        let base = refusing().await;
        let url = Url::parse(&base).unwrap();
        let problems = Problems::default();
        let authority = Authority::new(&with_account(&base)).unwrap().telling(&problems);
        for next in [Config::default(), with_account("http://127.0.0.1:1/")] {
            authority.set(&with_account(&base)).unwrap();
            assert!(matches!(authority.grant(&url).await, Grant::Failed(_)));
            assert!(failures(&problems).0);
            authority.set(&next).unwrap();
            assert!(!failures(&problems).0, "nobody logs in there any more");
        }
    }

    #[tokio::test]
    async fn a_login_that_is_replaced_while_it_is_under_way_tells_nothing() {
        let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (comes, waits) = (asked.clone(), go_on.clone());
        let slow = Router::new().fallback(move || {
            comes.notify_one();
            let waits = waits.clone();
            async move {
                waits.notified().await;
                (StatusCode::UNAUTHORIZED, "")
            }
        });
        let slow = serve(slow).await;
        let good = serve(Router::new().fallback(|| async { r#"{"token":"a.b.c"}"# })).await;
        let problems = Problems::default();
        let authority = Authority::new(&with_account(&slow)).unwrap().telling(&problems);
        let (url, clone) = (Url::parse(&slow).unwrap(), authority.clone());
        let first = tokio::spawn(async move { clone.grant(&url).await });
        asked.notified().await;
        authority.set(&with_account(&good)).unwrap();
        assert!(matches!(authority.grant(&Url::parse(&good).unwrap()).await, Grant::Login(_)));
        go_on.notify_one();
        assert!(matches!(first.await.unwrap(), Grant::Failed(_)), "whoever waits for it hears of it");
        assert_eq!(failures(&problems), (false, 0));
    }
}
