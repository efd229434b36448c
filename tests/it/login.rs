//! Logging in: tokens are fetched, kept, renewed, and go to nobody that they are not meant for.

use std::path::Path;
use std::time::{Duration, Instant};

use metrics_collector::dcos::client::{Error, Problem};
use metrics_collector::dcos::{Authorities, Authority, Client, Config, Limits, Source, TokenHost};
use metrics_collector::record::Secret;
use tokio::runtime::Runtime;

use crate::support::collector::program;
use crate::support::iam::{Iam, UID};
use crate::support::tls::TlsServer;
use crate::support::{eventually, once};

/// A client that logs in at a stand-in.
struct Asker {
    runtime: Runtime,
    authority: Authority,
    client: Client,
}

impl Asker {
    fn new(config: &Config) -> Asker {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let authority = Authority::new(config).unwrap();
        let client = Client::for_cluster(Limits::default(), &authority).unwrap();
        Asker { runtime, authority, client }
    }

    fn at(iam: &Iam) -> Asker {
        Asker::new(&config(Source::of(&iam.secret())))
    }

    fn get(&self, url: &str) -> Result<String, Error> {
        self.runtime.block_on(self.client.get(url)).map(|body| String::from_utf8(body).unwrap())
    }
}

fn config(source: Source) -> Config {
    let account = source.read().unwrap();
    Config { account: Some((source, account)), ..Config::default() }
}

/// Nothing secret is in what an error says and shows.
fn check_silent(error: &Error, iam: &Iam) {
    let shown = format!("{error} {error:?}");
    for header in iam.seen("/strict").into_iter().chain(iam.seen("/never")).flatten() {
        let token = header.strip_prefix("token=").unwrap();
        assert!(!shown.contains(&token[..20]), "{shown}");
    }
    assert!(!shown.contains("PRIVATE") && !shown.contains("eyJ"), "{shown}");
}

#[test]
fn a_login_opens_what_is_strict_and_is_made_once() {
    let iam = Iam::start();
    let asker = Asker::at(&iam);
    assert_eq!(asker.authority.status().unwrap().detail, format!("nobody has asked for a token of {UID:?}"));
    for _ in 0..3 {
        assert_eq!(asker.get(&iam.url("/strict")).unwrap(), "strict ");
        assert_eq!(asker.get(&iam.url("/permissive")).unwrap(), "permissive");
    }
    let answer = asker.runtime.block_on(async {
        asker.client.post_json(&iam.url("/strict"), b"{}".to_vec()).await.unwrap().whole().await
    });
    assert_eq!(answer.unwrap(), b"strict {}");
    assert_eq!(iam.logins(), 1);
    assert_eq!(asker.authority.status().unwrap().detail, format!("logged in as {UID:?}"));
    assert_eq!(iam.seen("/acs/api/v1/auth/login"), [None], "a login carries no token");
}

#[test]
fn many_who_ask_at_once_log_in_once() {
    let iam = Iam::start();
    let asker = Asker::at(&iam);
    let all_ask = || {
        let answers = asker.runtime.block_on(async {
            let mut asking = tokio::task::JoinSet::new();
            for _ in 0..50 {
                let (client, url) = (asker.client.clone(), iam.url("/strict"));
                asking.spawn(async move { client.get(&url).await });
            }
            asking.join_all().await
        });
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    };
    all_ask();
    assert_eq!(iam.logins(), 1);
    iam.revoke();
    all_ask();
    assert_eq!(iam.logins(), 2);
}

#[test]
fn whoever_gives_up_waiting_does_not_end_the_login_of_the_others() {
    let iam = Iam::start();
    let asker = Asker::at(&iam);
    let url = iam.url("/strict");
    asker.runtime.block_on(async {
        let first = asker.client.get(&url);
        // Polled once: it has begun to log in, and is dropped.
        tokio::select! {
            biased;
            _ = first => panic!("nothing is that fast"),
            () = tokio::task::yield_now() => {}
        }
        assert!(asker.client.get(&url).await.is_ok());
    });
    assert_eq!(iam.logins(), 1);
}

#[test]
fn a_token_that_ends_is_renewed_before_anybody_refuses_it() {
    let iam = Iam::start();
    iam.set_lifetime(2);
    let asker = Asker::at(&iam);
    eventually("a third login", || {
        // A token that ends in this very second may be refused once; then there is a new one, too.
        asker.get(&iam.url("/strict")).unwrap();
        once(iam.logins() >= 3, || format!("{} logins", iam.logins()))
    });
}

#[test]
fn after_401_there_is_one_new_login_and_the_request_is_made_once_more() {
    let iam = Iam::start();
    let asker = Asker::at(&iam);
    asker.get(&iam.url("/strict")).unwrap();
    iam.revoke();
    assert_eq!(asker.get(&iam.url("/strict")).unwrap(), "strict ");
    let seen = iam.seen("/strict");
    assert_eq!((iam.logins(), seen.len()), (2, 3));
    assert!(seen[0] == seen[1] && seen[1] != seen[2], "{seen:?}");
}

#[test]
fn whoever_refuses_every_token_does_not_make_us_log_in_each_time() {
    let iam = Iam::start();
    let asker = Asker::at(&iam);
    for _ in 0..5 {
        let error = asker.get(&iam.url("/never")).unwrap_err();
        assert!(error.to_string().contains("the service account's token was refused"), "{error}");
        check_silent(&error, &iam);
    }
    assert_eq!(iam.logins(), 2);
    assert_eq!(iam.seen("/never").len(), 6);
}

#[test]
fn a_host_that_the_token_is_not_for_gets_none() {
    let iam = Iam::start();
    let asker = Asker::at(&iam);
    let url = iam.url_at("127.0.0.2", "/strict");
    let error = asker.get(&url).unwrap_err();
    assert!(error.to_string().contains("not for this address, see dcos-auth-hosts"), "{error}");
    assert_eq!(asker.get(&iam.url_at("127.0.0.2", "/permissive")).unwrap(), "permissive");
    assert_eq!((iam.seen("/strict"), iam.seen("/permissive"), iam.logins()), (vec![None], vec![None], 0));
    // The agent is another matter, and so is a host that the operator names.
    asker.authority.name_agent("127.0.0.2", iam.port());
    assert_eq!(asker.get(&url).unwrap(), "strict ");
    let hosts = vec![TokenHost::parse("http://127.0.0.2").unwrap()];
    let named = Asker::new(&Config { hosts, ..config(Source::of(&iam.secret())) });
    assert_eq!(named.get(&url).unwrap(), "strict ");
}

#[test]
fn a_redirect_is_not_followed_so_that_nothing_goes_with_it() {
    let iam = Iam::start();
    let asker = Asker::at(&iam);
    let error = asker.get(&iam.url("/away")).unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(307));
    assert_eq!(iam.seen("/permissive"), []);
}

#[test]
fn a_rotated_secret_is_read_again_when_the_old_one_is_refused() {
    let iam = Iam::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sa.json");
    iam.write_secret(&path);
    let asker = Asker::new(&config(Source::File(path.clone())));
    asker.get(&iam.url("/strict")).unwrap();
    iam.rotate();
    iam.write_secret(&path);
    iam.revoke();
    assert_eq!(asker.get(&iam.url("/strict")).unwrap(), "strict ");
    assert_eq!(iam.logins(), 2);
}

#[test]
fn without_a_login_what_is_permissive_answers_and_what_is_strict_says_why_not() {
    let iam = Iam::start();
    iam.set_refuses(true);
    let asker = Asker::at(&iam);
    let begun = Instant::now();
    assert_eq!(asker.get(&iam.url("/permissive")).unwrap(), "permissive");
    let error = asker.get(&iam.url("/strict")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("there is no token: cannot log in: POST http://127.0.0.1"), "{text}");
    assert!(matches!(error.problem, Problem::Status { .. }));
    check_silent(&error, &iam);
    let status = asker.authority.status().unwrap();
    assert!(!status.ready && status.detail.contains("it answered 401"), "{status:?}");
    // Logins are not tried with each request: the second is a second behind the first, the third two behind that ...
    for _ in 0..10 {
        asker.get(&iam.url("/strict")).unwrap_err();
    }
    let tried = iam.seen("/acs/api/v1/auth/login").len();
    let pauses = Duration::from_secs((1 << (tried - 1)) - 1);
    assert!(begun.elapsed() >= pauses, "{tried} logins in {:?}", begun.elapsed());
    // When one is good again all is well.
    iam.set_refuses(false);
    eventually("a token after the pause", || {
        asker.get(&iam.url("/strict")).map_err(|error| error.to_string())
    });
    assert!(asker.authority.status().unwrap().ready);
}

#[test]
fn the_agents_token_goes_to_the_agent_alone() {
    let iam = Iam::start();
    let agent_token = Some(Secret::new("fixed-token".to_owned()));
    let asker = Asker::new(&Config { agent_token, ..Config::default() });
    asker.authority.name_agent("127.0.0.2", iam.port());
    asker.get(&iam.url_at("127.0.0.2", "/permissive")).unwrap();
    asker.get(&iam.url("/permissive")).unwrap();
    assert_eq!(iam.seen("/permissive"), [Some("token=fixed-token".to_owned()), None]);
    let error = asker.get(&iam.url_at("127.0.0.2", "/strict")).unwrap_err();
    assert!(error.to_string().contains("the token of auth-credential was refused"), "{error}");
    assert!(!format!("{error} {error:?}").contains("fixed-token"), "{error}");
}

#[test]
fn a_clusters_own_authority_is_trusted_beside_the_systems_and_gets_the_token() {
    let (iam, server) = (Iam::start(), TlsServer::start());
    let url = format!("https://{}/", server.address);
    let stranger = Asker::at(&iam);
    let error = stranger.get(&url).unwrap_err();
    assert!(matches!(error.problem, Problem::Connection(_)), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca-bundle.crt");
    std::fs::write(&path, &server.ca).unwrap();
    let authorities = Authorities::read(&path).unwrap();
    let asker = Asker::new(&Config { authorities, ..config(Source::of(&iam.secret())) });
    assert_eq!(asker.get(&url).unwrap(), "ok");
    assert!(server.seen.recv().unwrap().is_some_and(|header| header.starts_with("token=")));
}

fn check_not_started(name: &str, value: &str, expected: &str) {
    let output = program().args(["check-config", "--kafka=false"]).env(name, value).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains(name) && said.contains(expected), "{said}");
}

#[test]
fn a_bad_account_ends_the_start_with_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sa.json");
    std::fs::write(&path, "{\"uid\": \"x\",\n\"scheme\" \"RS256\"}").unwrap();
    let shown = path.to_str().unwrap();
    check_not_started(
        "METRICS_COLLECTOR_IAM_CONFIG_PATH",
        shown,
        &format!("{shown}: it is no JSON, see line 2, column 10"),
    );
    check_not_started("DCOS_SERVICE_ACCOUNT_CREDENTIAL", shown, "it is no JSON");
    check_not_started("DCOS_SERVICE_ACCOUNT_CREDENTIAL", "{}", "\"scheme\" is missing");
    assert!(Path::new(shown).exists());
}

#[test]
fn print_config_hides_the_account_and_the_agents_token() {
    let iam = Iam::start();
    let output = program()
        .args(["print-config", "--kafka=false"])
        .env("DCOS_SERVICE_ACCOUNT_CREDENTIAL", iam.secret())
        .env("AUTH_CREDENTIAL", "hush-hush-hush")
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("dcos-service-account = \"<hidden>\""), "{said}");
    assert!(!said.contains("hush-hush") && !said.contains("PRIVATE"), "{said}");
}

#[test]
fn another_account_logs_in_anew_and_other_authorities_are_trusted_from_the_next_request_on() {
    let (first, second, tls) = (Iam::start(), Iam::start(), TlsServer::start());
    let asker = Asker::at(&first);
    assert_eq!(asker.get(&first.url("/strict")).unwrap(), "strict ");
    let url = format!("https://{}/", tls.address);
    assert!(asker.get(&url).is_err(), "nobody we know has signed for it");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &tls.ca).unwrap();
    let other =
        Config { authorities: Authorities::read(&ca).unwrap(), ..config(Source::of(&second.secret())) };
    asker.authority.set(&other).unwrap();
    assert_eq!(asker.get(&url).unwrap(), "ok");
    assert_eq!(asker.get(&second.url("/strict")).unwrap(), "strict ");
    assert_eq!((first.logins(), second.logins()), (1, 1));
    // What is the same is no reason to log in again.
    asker.authority.set(&other.clone()).unwrap();
    assert_eq!(asker.get(&second.url("/strict")).unwrap(), "strict ");
    assert_eq!(second.logins(), 1);
    asker.authority.set(&Config::default()).unwrap();
    assert!(asker.get(&url).is_err(), "they are trusted no more");
    assert!(asker.authority.status().is_none() && asker.get(&second.url("/strict")).is_err());
}
