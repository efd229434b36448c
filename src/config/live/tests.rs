//! Changes in, the next configuration or faults out.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::output::kafka::{Compression, Naming};

/// A configuration with a file, which may be written anew.
struct Bench {
    live: Live,
    path: PathBuf,
    _dir: TempDir,
}

impl Bench {
    fn new(file: &str, flags: &[(&'static str, &str)]) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mc.toml");
        std::fs::write(&path, file).unwrap();
        let live = load(&path, flags).unwrap();
        Bench { live, path, _dir: dir }
    }

    fn write(&self, file: &str) {
        std::fs::write(&self.path, file).unwrap();
    }

    /// Changes it and goes on with what it is then.
    fn change(&mut self, values: Json) -> Next {
        let next = change(&self.live, values).unwrap();
        self.live = next.live.clone();
        next
    }

    fn reload(&mut self) -> Next {
        let next = self.live.reload(&|_| Vec::new()).unwrap();
        self.live = next.live.clone();
        next
    }

    fn shown(&self, key: &str) -> (Json, String) {
        let entry = self.live.view().remove(key).unwrap();
        (entry["value"].clone(), entry["place"].as_str().unwrap().to_owned())
    }
}

fn load(path: &std::path::Path, flags: &[(&'static str, &str)]) -> Result<Live, Faults> {
    let mut all: Vec<(&'static str, OsString)> =
        vec![("config", path.into()), ("agent-polling", "false".into())];
    all.extend(flags.iter().map(|(name, value)| (*name, OsString::from(value))));
    let sources = Sources { flags: all, environment: Vec::new() };
    Live::load(sources, &|_| Vec::new()).map(|loaded| loaded.live)
}

#[expect(clippy::needless_pass_by_value, reason = "values are written where they are used")]
fn change(live: &Live, values: Json) -> Result<Next, Faults> {
    live.change(values.as_object().unwrap(), &|_| Vec::new())
}

fn lines(faults: &Faults) -> Vec<String> {
    faults.0.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_set_at_runtime_wins_and_is_shown_with_its_origin() {
    let mut bench = Bench::new("kafka-topic-prefix = \"f-\"", &[("kafka-produce-count", "7")]);
    let next = bench.change(json!({
        "kafka-produce-count": 9, "kafka-topic-prefix": "r-", "kafka-compression": "LZ4",
        "kafka-produce-period-ms": "2s", "kafka-brokers": ["a:1", "b:2"], "kafka-verbose": true,
    }));
    let kafka = next.config.kafka.unwrap();
    assert_eq!(kafka.batch.records.get(), 9);
    assert_eq!(kafka.naming, Naming::prefix("r-"));
    assert_eq!(kafka.compression, Compression::Lz4);
    assert_eq!(kafka.batch.age.as_secs(), 2);
    assert_eq!(kafka.brokers, ["a:1", "b:2"]);
    assert!(kafka.verbose);
    assert_eq!(bench.shown("kafka-produce-count"), (json!(9), "runtime".into()));
    assert_eq!(bench.shown("kafka-brokers"), (json!("a:1,b:2"), "runtime".into()));
    assert_eq!(bench.shown("kafka-key"), (json!("agent"), "default".into()));
    let count = next.changed.iter().find(|changed| changed.key == "kafka-produce-count").unwrap();
    assert_eq!((&count.before, &count.after, &count.origin), (&json!(7), &json!(9), &Origin::Runtime));
    assert_eq!(next.changed.len(), 6);
}

#[test]
fn a_removed_value_makes_way_for_what_was_said_before() {
    let mut bench = Bench::new("", &[("kafka-produce-count", "7")]);
    bench.change(json!({ "kafka-produce-count": 9, "kafka-key": "none" }));
    bench.change(json!({ "kafka-key": null, "kafka-verbose": null }));
    assert_eq!(bench.shown("kafka-key").1, "default");
    let next = bench.live.remove("kafka-produce-count", &|_| Vec::new()).unwrap().unwrap();
    assert_eq!(next.config.kafka.unwrap().batch.records.get(), 7);
    let remove = |live: &Live, name| live.remove(name, &|_| Vec::new()).err();
    assert_eq!(remove(&next.live, "kafka-produce-count"), Some(NotRemoved::NotSet));
    assert_eq!(remove(&next.live, "kafka-count"), Some(NotRemoved::NoKey));
}

#[test]
fn all_that_is_wrong_with_a_change_is_told_and_nothing_is_changed() {
    let bench = Bench::new("", &[]);
    let faults = change(
        &bench.live,
        json!({
            "kafka-produce-count": 0, "kafka-compresion": "lz4", "kafka-compression": "snapy",
            "listen-endpoint": "127.0.0.1:1", "kafka-verbose": "true", "kafka-sasl-username": "me",
            "kafka-produce-period-ms": null, "kafka-property": ["plugin.library.paths=x"],
        }),
    )
    .unwrap_err();
    let expected = [
        "runtime: kafka-produce-count = \"0\": expected a whole number from 1 to 2147483647",
        "runtime: kafka-compresion: there is no such key; did you mean \"kafka-compression\"?",
        "runtime: kafka-compression = \"snapy\": expected none, snappy, lz4, zstd or gzip; did you mean \"snappy\"?",
        "runtime: listen-endpoint: counts from the next start on; set it as a flag, in the environment or in the \
         file, and restart",
        "runtime: kafka-verbose: expected true or false, without quotes, but it is a text",
        "runtime: kafka-property: counts from the next start on; set it as a flag, in the environment or in the file, \
         and restart",
        "runtime: kafka-sasl-username = \"me\": has no effect while kafka-security-protocol is plaintext; set that to \
         sasl_ssl or sasl_plaintext",
    ];
    assert_eq!(lines(&faults), expected);
    assert_eq!(bench.shown("kafka-compression"), (json!("snappy"), "default".into()));
}

#[test]
fn the_client_is_asked_about_a_change_as_about_a_start() {
    let bench = Bench::new("", &[]);
    let said = |kafka: &crate::output::kafka::Config| {
        if kafka.verbose { vec!["no".to_owned()] } else { Vec::new() }
    };
    let values = json!({ "kafka-verbose": true });
    let faults = bench.live.change(values.as_object().unwrap(), &said).unwrap_err();
    assert_eq!(lines(&faults), ["no"]);
}

#[test]
fn a_secret_is_shown_nowhere() {
    let mut bench = Bench::new("", &[]);
    let next = bench.change(json!({
        "kafka-security-protocol": "sasl_ssl", "kafka-sasl-mechanism": "PLAIN", "kafka-sasl-username": "me",
        "kafka-sasl-password": "sesame",
    }));
    assert_eq!(next.config.kafka.unwrap().security.sasl.unwrap().password.expose(), "sesame");
    let shown = format!("{:?} {:?} {:?}", bench.live.view(), next.changed, next.live);
    assert!(!shown.contains("sesame"), "{shown}");
    let faults = change(&bench.live, json!({ "kafka-sasl-password": 7, "kafka-security-protocol": "ssl" }));
    let shown = lines(&faults.unwrap_err()).join(" ");
    assert!(shown.contains("kafka-sasl-password = \"<hidden>\""), "{shown}");
    let hidden = change(&bench.live, json!({ "kafka-sasl-password": "<hidden>" })).unwrap_err();
    assert!(lines(&hidden)[0].contains("expected the secret itself"), "{hidden}");
}

#[test]
fn the_old_switch_of_compression_does_not_stand_in_the_way() {
    let mut bench = Bench::new("", &[("kafka-compress-snappy", "true")]);
    let next = bench.change(json!({ "kafka-compression": "zstd" }));
    assert_eq!(next.config.kafka.unwrap().compression, Compression::Zstd);
    let faults = change(&bench.live, json!({ "kafka-compress-snappy": true })).unwrap_err();
    assert!(lines(&faults)[0].contains("contradicts kafka-compression"), "{faults}");
    let next = bench.change(json!({ "kafka-compression": null, "kafka-compress-snappy": "" }));
    assert_eq!(next.config.kafka.unwrap().compression, Compression::Snappy);
    assert_eq!(bench.shown("kafka-compress-snappy"), (Json::Null, "runtime".into()));
}

#[test]
fn a_reload_takes_what_is_live_and_shows_what_is_not() {
    let mut bench = Bench::new("kafka-produce-count = 1\npartner-socket = \"/a\"", &[]);
    bench.write("kafka-produce-count = 2\npartner-socket = \"/b\"");
    let next = bench.reload();
    assert_eq!(next.config.kafka.unwrap().batch.records.get(), 2);
    assert_eq!(next.config.partner.socket, Some("/a".into()));
    assert_eq!(next.pending, ["partner-socket"]);
    let entry = bench.live.view().remove("partner-socket").unwrap();
    assert_eq!((&entry["value"], &entry["pending"]), (&json!("/a"), &json!("/b")));
    // A change in between does not touch it, and a line that moved is none.
    assert_eq!(bench.change(json!({ "kafka-key": "none" })).pending, ["partner-socket"]);
    bench.write("\n\nkafka-produce-count = 2\npartner-socket = \"/a\"");
    let next = bench.reload();
    assert_eq!((next.changed, next.pending), (Vec::new(), Vec::new()));
}

#[test]
fn what_decides_about_rights_is_changed_by_the_file_and_by_nothing_else() {
    let keys: Vec<_> = Key::all().filter(|key| key.by_reload).map(|key| key.name).collect();
    let mut bench = Bench::new("", &[]);
    for key in &keys {
        let faults = change(&bench.live, json!({ *key: "x" })).unwrap_err();
        assert!(lines(&faults)[0].contains("is not changed over HTTP"), "{key}: {faults}");
    }
    // What is in a file would be shown to all who ask for the brokers.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "of-no-business:9092").unwrap();
    let at = format!("@{}", file.display());
    let faults = change(&bench.live, json!({ "kafka-brokers": at })).unwrap_err();
    assert!(lines(&faults)[0].contains("is not changed over HTTP"), "{faults}");
    std::fs::write(&file, "no brokers at all: of-no-business").unwrap();
    let faults = change(&bench.live, json!({ "kafka-brokers": at })).unwrap_err().to_string();
    assert!(!faults.contains("of-no-business"), "{faults}");
    // Credentials go where these say, or they are credentials of ours; or it is run.
    for key in [
        "agent-ip-command",
        "agent-ip",
        "dcos-auth-hosts",
        "auth-credential",
        "http-token",
        "http-writes",
        "kafka-sasl-password-file",
    ] {
        assert!(keys.contains(&key), "{key}");
    }
    bench.write("agent-ip-command = \"/bin/other\"\nhttp-writes = \"off\"");
    let next = bench.reload();
    assert_eq!(
        next.changed.iter().map(|changed| changed.key).collect::<Vec<_>>(),
        ["agent-ip-command", "http-writes"]
    );
    assert_eq!(next.config.http.writes, crate::http::Writes::Off);
}

const SASL: [(&str, &str); 3] = [
    ("kafka-security-protocol", "sasl_ssl"),
    ("kafka-sasl-mechanism", "SCRAM-SHA-256"),
    ("kafka-sasl-username", "me"),
];

/// Keys that decide where secrets go, or how, each with another value.
fn deciding(ca: &str) -> Vec<(&'static str, Json)> {
    let elsewhere = "http://127.0.0.1:9999";
    vec![
        ("kafka-brokers", json!("127.0.0.1:9999")),
        ("kafka-brokers", json!("")),
        ("kafka-security-protocol", json!("sasl_plaintext")),
        ("kafka-sasl-mechanism", json!("PLAIN")),
        ("kafka-ssl-ca", json!(ca)),
        ("kafka-framework", json!("another")),
        ("kafka-scheduler-url", json!(elsewhere)),
        ("dns-server", json!("127.0.0.1:9999")),
        ("admin-router-url", json!(elsewhere)),
        ("marathon-url", json!(elsewhere)),
        ("mesos-dns-url", json!(elsewhere)),
        ("kafka-discovery", json!("marathon")),
        ("kafka-broker-address", json!("vip")),
    ]
}

/// The keys of [`deciding`] that are refused since they are; with `more` beside them. All others are taken, but for those
/// of SASL and TLS where there is none.
fn withheld(live: &Live, ca: &str, more: &Json) -> Vec<&'static str> {
    let has_sasl = live.settings().word("kafka-security-protocol").starts_with("sasl");
    let is_withheld = |(key, value): (&'static str, Json)| {
        let mut values = more.as_object().unwrap().clone();
        values.insert(key.to_owned(), value);
        let Err(faults) = live.change(&values, &|_| Vec::new()) else { return None };
        let told = lines(&faults);
        let says = |line: &String| {
            line.starts_with(&format!("runtime: {key}"))
                && line.contains("goes, or how, so it is not changed over HTTP")
        };
        let is_of_security =
            ["kafka-security-protocol", "kafka-sasl-mechanism", "kafka-ssl-ca"].contains(&key);
        assert!(told.iter().any(says) || is_of_security && !has_sasl, "{key}: {told:?}");
        has_sasl.then_some(key).or_else(|| told.iter().any(says).then_some(key))
    };
    deciding(ca).into_iter().filter_map(is_withheld).collect()
}

#[test]
fn whoever_points_a_secret_elsewhere_must_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (ca, password) = (file("ca.pem", ""), file("password", "sesame"));
    let account = file("account", &crate::dcos::testing::secret("https://master.mesos/login"));
    let all: Vec<_> = deciding(&ca).into_iter().map(|(key, _)| key).collect();
    let (of_kafka, asked) = (&all[..5], &all[5..11]);
    let with = |more: &[(&'static str, &'static str)]| [&SASL[..], more].concat();
    let (named, nothing) = (("kafka-brokers", "a:1"), &all[..0]);
    let (flag, in_file) = (("kafka-sasl-password", "sesame"), "kafka-sasl-password = \"sesame\"\n");
    let of_password_file = format!("kafka-sasl-password-file = {password:?}\n");
    let of_property = format!("{in_file}kafka-property = [\"sasl.password=other\"]");
    let [of_account, of_iam] =
        ["dcos-service-account", "iam-config-path"].map(|key| format!("{key} = {account:?}\n"));
    let known = json!({ "kafka-sasl-password": "known" });
    let no_more = json!({});
    for (flags, text, more, expected) in [
        // How brokers are looked for decides nothing while they are named.
        (with(&[flag, named]), "", &no_more, of_kafka),
        (with(&[named]), in_file, &no_more, of_kafka),
        (with(&[named]), &*of_password_file, &no_more, of_kafka),
        (with(&[]), &*of_password_file, &no_more, &*all),
        // Whoever knows it may send it anywhere; but what is a property wins.
        (with(&[flag, named]), "", &known, nothing),
        (with(&[]), in_file, &known, nothing),
        (with(&[named]), &*of_property, &known, of_kafka),
        (vec![], &*of_account, &no_more, asked),
        (vec![], &*of_iam, &no_more, asked),
        // Nothing is sent.
        (vec![named], &*of_account, &no_more, nothing),
        (vec![], "auth-credential = \"x\"", &no_more, nothing),
        (with(&[flag, ("kafka", "false")]), "", &no_more, nothing),
        (vec![], "", &no_more, nothing),
    ] {
        let bench = Bench::new(text, &flags);
        assert_eq!(withheld(&bench.live, &ca, more), expected, "{flags:?} {text} {more}");
    }
}

#[test]
fn the_fault_of_a_secret_that_would_go_elsewhere_says_what_to_do() {
    let brokers = json!({ "kafka-brokers": "127.0.0.1:9999" });
    let told = |file: &str, flags: &[(&'static str, &str)]| {
        let bench = Bench::new(file, &[&SASL[..], flags].concat());
        let told = lines(&change(&bench.live, brokers.clone()).unwrap_err());
        (told[0].replace(&bench.path.display().to_string(), "mc.toml"), told.len())
    };
    let (line, n) = told("", &[("kafka-sasl-password", "sesame")]);
    let expected = "runtime: kafka-brokers = \"127.0.0.1:9999\": decides where the password of kafka-sasl-password (flag \
                    --kafka-sasl-password) goes, or how, so it is not changed over HTTP; set it in the file, and have \
                    that read again, or set kafka-sasl-password with it";
    assert_eq!((&*line, n), (expected, 1));
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "sesame").unwrap();
    let (line, _) = told(&format!("kafka-sasl-password-file = {:?}", password.path()), &[]);
    let expected = "decides where the password of kafka-sasl-password-file (mc.toml:1) goes, or how, so it is not changed \
                    over HTTP; set it in the file, and have that read again";
    assert!(line.ends_with(expected), "{line}");
    // A start would drop the protocol, but that others have no effect without it is not what is wrong.
    let bench = Bench::new("kafka-property = [\"sasl.password=sesame\"]", &[]);
    let mut with_password = Map::from_iter(SASL.map(|(key, value)| (key.to_owned(), json!(value))));
    with_password.insert("kafka-sasl-password".to_owned(), json!("known"));
    let told = lines(&change(&bench.live, with_password.into()).unwrap_err());
    assert!(told.iter().all(|line| line.contains("decides where sasl.password of")), "{told:#?}");
}

#[test]
fn a_runtime_value_goes_when_it_would_have_a_secret_sent_elsewhere() {
    let mut bench = Bench::new("kafka-brokers = \"a:1\"", &[]);
    let set = json!({
        "kafka-brokers": "b:1", "kafka-framework": "another", "kafka-key": "none", "kafka-security-protocol": "sasl_ssl",
        "kafka-sasl-mechanism": "PLAIN", "kafka-sasl-username": "me", "kafka-sasl-password": "known",
    });
    bench.change(set);
    let text = bench.live.text().unwrap();
    let sasl = "kafka-security-protocol = \"sasl_ssl\"\nkafka-sasl-mechanism = \"SCRAM-SHA-256\"\n\
                kafka-sasl-username = \"file\"\nkafka-sasl-password = \"of-the-file\"\nkafka-brokers = \"a:1\"\n";
    let counts = |live: &Live, config: &Config| {
        let (kafka, sasl) =
            (config.kafka.clone().unwrap(), config.kafka.clone().unwrap().security.sasl.unwrap());
        assert_eq!((&*kafka.brokers, sasl.password.expose()), (&["a:1".to_owned()][..], "of-the-file"));
        assert_eq!(kafka.key, crate::output::kafka::Key::None);
        assert_eq!(live.view()["kafka-framework"]["origin"], "runtime", "nobody looks for brokers");
    };
    // The file has a password where it had none.
    bench.write(sasl);
    let next = bench.live.reload(&|_| Vec::new()).unwrap();
    let sasl_keys =
        ["kafka-sasl-mechanism", "kafka-sasl-password", "kafka-sasl-username", "kafka-security-protocol"];
    assert_eq!(next.dropped, [&sasl_keys[..], &["kafka-brokers"]].concat());
    counts(&next.live, &next.config);
    let told = next.config.warnings.iter().filter(|line| line.contains("kafka-brokers is dropped")).count();
    assert_eq!(told, 1, "{:?}", next.config.warnings);
    let (next, told) = load(&bench.path, &[]).unwrap().recall(&text, &|_| Vec::new()).unwrap();
    let next = next.unwrap();
    counts(&next.live, &next.config);
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(
        told[4].starts_with("the runtime value of kafka-brokers is dropped: it decides where"),
        "{told:?}"
    );
    assert!(!told.join("").contains("of-the-file"), "{told:?}");

    // Without the brokers that were named, they are looked for.
    let mut bench = Bench::new("", &[]);
    bench.change(json!({ "kafka-brokers": "b:1", "kafka-framework": "another" }));
    let text = bench.live.text().unwrap();
    bench.write(&sasl.replace("kafka-brokers = \"a:1\"", ""));
    assert_eq!(bench.live.reload(&|_| Vec::new()).unwrap().dropped, ["kafka-brokers", "kafka-framework"]);
    let (next, told) = load(&bench.path, &[]).unwrap().recall(&text, &|_| Vec::new()).unwrap();
    assert_eq!((next.is_none(), told.len()), (true, 2), "{told:?}");

    // What a start would drop keeps nobody from reading the file, and stays until then.
    let known = json!({ "kafka-sasl-password": "known", "kafka-brokers": "b:1" });
    let with_property = format!("{sasl}kafka-property = [\"sasl.password=another\"]");
    for (before, set, after, key) in [
        ("kafka = false\nkafka-brokers = \"a:1\"", json!({ "kafka-brokers": "b:1" }), sasl, "kafka"),
        (sasl, known, &*with_property, "kafka-property"),
    ] {
        let mut bench = Bench::new(before, &[]);
        bench.change(set);
        let text = bench.live.text().unwrap();
        bench.write(after);
        let next = bench.reload();
        assert_eq!(next.dropped, [""; 0], "{key}");
        assert!([key, "kafka-brokers"].iter().all(|key| next.pending.contains(key)), "{:?}", next.pending);
        assert_eq!(bench.shown("kafka-brokers"), (json!("b:1"), "runtime".into()), "{key}");
        assert_eq!(bench.live.view()["kafka-brokers"]["pending"], "a:1", "{key}");
        // And a start drops it.
        let (next, told) = load(&bench.path, &[]).unwrap().recall(&text, &|_| Vec::new()).unwrap();
        assert!(told[0].starts_with("the runtime value of kafka-brokers is dropped: it decides"), "{told:?}");
        assert!(next.is_none_or(|next| next.config.kafka.unwrap().brokers == ["a:1"]), "{key}");
    }
}

#[test]
fn a_password_that_is_removed_does_not_leave_brokers_to_the_one_below() {
    let file = SASL.map(|(key, value)| format!("{key} = {value:?}\n")).concat();
    let mut bench =
        Bench::new(&format!("{file}kafka-sasl-password = \"of-the-file\"\nkafka-brokers = \"a:1\""), &[]);
    bench.change(json!({ "kafka-brokers": "b:1", "kafka-sasl-password": "known" }));
    let faults = bench.live.remove("kafka-sasl-password", &|_| Vec::new()).unwrap().unwrap_err();
    assert!(lines(&faults)[0].starts_with("runtime: kafka-brokers = \"b:1\": decides where"), "{faults}");
    assert!(change(&bench.live, json!({ "kafka-sasl-password": null })).is_err());
    // With the brokers it goes, and with it they go.
    let next = bench.change(json!({ "kafka-sasl-password": null, "kafka-brokers": null }));
    assert_eq!(next.config.kafka.unwrap().brokers, ["a:1"]);
}

#[test]
fn a_file_that_was_renewed_under_its_name_is_another_setting() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "sesame-sesame-sesame").unwrap();
    let line = format!("http-token-file = {token:?}\nkafka-produce-count = 1");
    let mut bench = Bench::new(&line, &[]);
    let renew = |bench: &Bench| bench.live.renew(&|_| Vec::new());
    assert_eq!(renew(&bench).unwrap().renewed, []);
    std::fs::write(&token, "another-sesame-sesame").unwrap();
    // The file of the configuration is not read with it.
    bench.write("kafka-produce-count = 2");
    let next = renew(&bench).unwrap();
    let renewed: Vec<_> = next.renewed.iter().map(|file| (file.key, file.path.clone())).collect();
    assert_eq!((renewed, next.changed), (vec![("http-token-file", token.clone())], Vec::new()));
    assert_eq!(next.config.http.token.as_ref().unwrap().expose(), "another-sesame-sesame");
    assert_eq!(next.config.kafka.unwrap().batch.records.get(), 1);
    bench.live = next.live;
    assert_eq!(renew(&bench).unwrap().renewed, []);
    std::fs::write(&token, "").unwrap();
    let faults = renew(&bench).unwrap_err();
    assert!(lines(&faults)[0].contains("it is empty"), "{faults}");
    // A change by name notices it as well.
    std::fs::write(&token, "sesame-sesame-sesame").unwrap();
    assert_eq!(bench.change(json!({ "kafka-key": "none" })).renewed.len(), 1);
    let shown = format!("{:?} {:?}", bench.live, bench.live.files());
    assert!(!shown.contains("sesame"), "{shown}");
}

#[test]
fn a_bad_file_changes_nothing_even_where_it_is_bad_for_a_start_alone() {
    let mut bench = Bench::new("kafka-produce-count = 1", &[]);
    for (file, fault) in [
        ("kafka-produce-count = 2\nkafka-produce-kbytes = 0", "kafka-produce-kbytes"),
        ("kafka-produce-count = 2\nno-such-key = 0", "no-such-key"),
        ("kafka-produce-count = 2\n=", "no valid TOML"),
        ("kafka-produce-count = 2\nspool-memory = \"512MiB\"", "memory-limit"),
    ] {
        bench.write(file);
        let faults = bench.live.reload(&|_| Vec::new()).unwrap_err();
        assert!(lines(&faults).iter().any(|line| line.contains(fault)), "{file}: {faults}");
    }
    std::fs::remove_file(&bench.path).unwrap();
    assert!(bench.live.reload(&|_| Vec::new()).is_err());
    bench.write("kafka-produce-count = 2");
    assert_eq!(bench.reload().config.kafka.unwrap().batch.records.get(), 2);
}

#[test]
fn whoever_edits_the_file_meant_it_to_count() {
    let mut bench = Bench::new("kafka-produce-count = 1\nkafka-key = \"none\"", &[]);
    bench.change(json!({ "kafka-produce-count": 9, "kafka-key": "agent", "kafka-verbose": true }));
    bench.write("kafka-produce-count = 2\nkafka-key = \"none\"");
    let next = bench.reload();
    assert_eq!(next.dropped, ["kafka-produce-count"]);
    assert_eq!(next.config.kafka.unwrap().batch.records.get(), 2);
    assert_eq!(bench.shown("kafka-key").1, "runtime");
    assert_eq!(bench.shown("kafka-verbose").1, "runtime");
}

#[test]
fn values_outlive_the_process_as_far_as_they_fit() {
    let mut bench = Bench::new("kafka-topic-prefix = \"f-\"", &[("kafka-produce-count", "7")]);
    bench.change(json!({ "kafka-produce-count": 9, "kafka-topic-prefix": "r-", "kafka-verbose": true }));
    let text = bench.live.text().unwrap();
    let recalled = |flags: &[(&'static str, &str)]| {
        let live = load(&bench.path, flags).unwrap();
        live.recall(&text, &|_| Vec::new()).unwrap()
    };
    let (next, told) = recalled(&[("kafka-produce-count", "7")]);
    let kafka = next.unwrap().config.kafka.unwrap();
    assert_eq!((kafka.batch.records.get(), kafka.naming), (9, Naming::prefix("r-")));
    assert_eq!(told, [""; 0]);

    let (next, told) = recalled(&[("kafka-produce-count", "8")]);
    let kafka = next.unwrap().config.kafka.unwrap();
    assert_eq!((kafka.batch.records.get(), kafka.naming), (8, Naming::prefix("r-")));
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("kafka-produce-count is dropped"), "{told:?}");

    // Without its flag, too.
    let (next, told) = recalled(&[]);
    assert_eq!(next.unwrap().config.kafka.unwrap().batch.records.get(), 1024);
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn values_that_make_no_configuration_any_more_are_dropped_together() {
    let mut bench = Bench::new("", &[]);
    bench.change(json!({ "input-decompressed-bytes-max": "12MiB", "kafka-key": "none" }));
    let text = bench.live.text().unwrap();
    let live = load(&bench.path, &[("spool-memory", "40MiB")]).unwrap();
    let (next, told) = live.recall(&text, &|_| Vec::new()).unwrap();
    assert!(next.is_none());
    assert!(told[0].starts_with("all runtime values are dropped"), "{told:?}");
}

#[test]
fn the_kept_text_has_no_secret_but_those_that_were_set() {
    let flags = [
        ("kafka-security-protocol", "sasl_ssl"),
        ("kafka-sasl-mechanism", "PLAIN"),
        ("kafka-sasl-username", "me"),
        ("kafka-sasl-password", "of-the-flag"),
    ];
    let mut bench = Bench::new("", &flags);
    bench.change(json!({ "kafka-sasl-password": "of-runtime" }));
    let text = String::from_utf8(bench.live.text().unwrap()).unwrap();
    assert!(text.contains("of-runtime") && !text.contains("of-the-flag"), "{text}");
    let again = String::from_utf8(bench.live.text().unwrap()).unwrap();
    assert_ne!(text, again, "fingerprints cannot be compared");
}

#[test]
fn what_is_no_text_of_ours_is_none() {
    let bench = Bench::new("", &[]);
    for text in ["", "{", "[]", "{\"version\": 2, \"salt\": \"\", \"values\": {}}", "{\"version\": 1}"] {
        assert!(bench.live.recall(text.as_bytes(), &|_| Vec::new()).is_none(), "{text}");
    }
    let strange = r#"{"version": 1, "salt": "", "values": {"no-key": {"value": 1, "over": ""},
        "listen-endpoint": {"value": ":1", "over": ""}, "kafka-key": {"value": [], "over": ""}}}"#;
    let (next, told) = bench.live.recall(strange.as_bytes(), &|_| Vec::new()).unwrap();
    assert!(next.is_none());
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn the_schema_has_every_live_key_and_no_other() {
    let schema = crate::config::schema();
    let properties = schema["properties"].as_object().unwrap();
    let live: Vec<_> = Key::all().filter(|key| key.change() == "live").map(|key| key.name).collect();
    assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), live);
    assert_eq!(schema["additionalProperties"], json!(false));
    let count = &properties["kafka-produce-count"];
    assert_eq!(count["anyOf"][0], json!({ "type": "integer", "minimum": 1, "maximum": i32::MAX }));
    assert_eq!(count["default"], json!(1024));
    assert_eq!(properties["kafka-sasl-password"]["writeOnly"], json!(true));
}

#[test]
fn the_view_has_every_key_with_all_that_is_to_be_known() {
    let bench = Bench::new("", &[]);
    let view = bench.live.view();
    assert_eq!(view.len(), Key::all().count());
    for key in Key::all() {
        let entry = &view[key.name];
        for member in ["value", "default", "origin", "place", "change", "secret", "doc"] {
            assert!(entry.get(member).is_some(), "{member} of {}", key.name);
        }
        assert_eq!(entry["change"], key.change(), "{}", key.name);
    }
}

/// A partner as it is put.
fn at(address: &str) -> Map<String, Json> {
    Map::from_iter([("address".to_owned(), json!(address))])
}

/// The partners that are dialled, and whence they are.
fn dialled(live: &Live) -> (Vec<String>, String) {
    let entry = live.view().remove("partners").unwrap();
    let partners = entry["value"].as_array().cloned().unwrap_or_default();
    let shown = |partner: &Json| format!("{} {}", partner["name"], partner["address"]).replace('"', "");
    (partners.iter().map(shown).collect(), entry["origin"].as_str().unwrap().to_owned())
}

#[test]
fn partners_are_put_and_removed_one_by_one() {
    let bench = Bench::new("[[partners]]\nname = \"f\"\naddress = \"f:1\"\n", &[]);
    assert_eq!(dialled(&bench.live), (vec!["f f:1".to_owned()], "file".to_owned()));
    let put = |live: &Live, name: &str, address: &str| {
        let (next, is_new) = live.put_partner(name, &at(address), &|_| Vec::new()).unwrap();
        assert_eq!(next.config.partner.dialled.len(), dialled(&next.live).0.len());
        (next.live, is_new)
    };
    let remove = |live: &Live, name| Some(live.remove_partner(name, &|_| Vec::new())?.unwrap().live);
    let (live, is_new) = put(&bench.live, "r", "r:1");
    assert!(is_new);
    assert_eq!(dialled(&live), (vec!["f f:1".to_owned(), "r r:1".to_owned()], "runtime".to_owned()));
    let (live, is_new) = put(&live, "f", "f:2");
    assert!(!is_new);
    assert_eq!(dialled(&live).0, ["f f:2", "r r:1"]);
    let (live, _) = put(&live, "f", "f:1");
    let live = remove(&live, "r").unwrap();
    assert_eq!(dialled(&live), (vec!["f f:1".to_owned()], "file".to_owned()), "nothing is left that was set");
    assert!(remove(&live, "r").is_none());
    let live = remove(&live, "f").unwrap();
    assert_eq!(dialled(&live), (Vec::new(), "runtime".to_owned()), "also one of the file");
}

#[test]
fn all_that_is_wrong_with_a_partner_is_told_by_its_name() {
    let bench = Bench::new("", &[("listen-endpoint", ":8124")]);
    let faults = |name, fields: Json| {
        lines(&bench.live.put_partner(name, fields.as_object().unwrap(), &|_| Vec::new()).unwrap_err())
    };
    let told = faults("a", json!({ "adress": "x:1", "topics": 1, "tags": ["k"] }));
    let expected = [
        "runtime: partners.a.adress = \"x:1\": a partner has no such field; did you mean \"address\"?",
        "runtime: partners.a.address: expected a text, but it is missing",
        "runtime: partners.a.topics: expected a list of texts",
        "runtime: partners.a.tags: expected key=glob each, but \"k\" is not",
    ];
    assert_eq!(told, expected);
    let told = faults("a b", json!({ "address": "x:1" }));
    assert_eq!(
        told,
        ["runtime: partners[0].name = \"a b\": expected 1 to 64 of a-z A-Z 0-9 . _ -, neither . nor .."]
    );
    let told = faults("a", json!({ "address": "x:1", "name": "b" }));
    assert_eq!(told, ["runtime: partners.a.name: expected the name that the path has, or none"]);
    for address in ["127.0.0.1:8124", "localhost:8124"] {
        let told = faults("a", json!({ "address": address }));
        assert!(told.len() == 1 && told[0].ends_with("but listen-endpoint has the same"), "{told:?}");
    }
}
