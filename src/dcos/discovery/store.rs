//! The last good answer, in `brokers.json` of the data directory.
//!
//! The file is replaced as a whole, by rename, so that a crash leaves the old one or the new one. It says who was asked for
//! what: a list of another framework, or with the other security, is not used, nor is one that was found by asking others.
//! Whoever named those others need not know the password that is shown to the brokers now.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Config;
use crate::disk;
use crate::record::parse_broker;

const FILE: &str = "brokers.json";

/// Far more than a list has.
const BYTES_MAX: u64 = 1 << 20;

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    #[serde(flatten)]
    question: Question,
    brokers: Vec<String>,
}

/// What was asked for, and who was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Question {
    framework: String,
    tls: bool,
    address: String,
    /// None: not known, so not those that are asked now.
    asked: Option<Asked>,
}

/// All that decides who is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    pinned: Option<String>,
    dns_server: Option<SocketAddr>,
    scheduler: Option<String>,
    admin_router: String,
    marathon: String,
    mesos_dns: String,
}

impl Question {
    fn of(config: &Config) -> Question {
        let Config {
            framework,
            pinned,
            address,
            tls,
            dns_server,
            scheduler,
            admin_router,
            marathon,
            mesos_dns,
        } = config;
        Question {
            framework: framework.to_string(),
            tls: *tls,
            address: address.to_string(),
            asked: Some(Asked {
                pinned: pinned.map(|way| way.to_string()),
                dns_server: *dns_server,
                scheduler: scheduler.as_ref().map(ToString::to_string),
                admin_router: admin_router.to_string(),
                marathon: marathon.to_string(),
                mesos_dns: mesos_dns.to_string(),
            }),
        }
    }
}

/// The file.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
    question: Question,
}

/// Why there is no list to begin with.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoList {
    /// The file cannot be read.
    #[error("cannot read {}; starting without the brokers of the last run", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// It is not what we wrote; it has another name now, if it could be given one.
    #[error("{} is damaged and set aside as {}; starting without the brokers of the last run", path.display(), aside.display())]
    Damaged { path: PathBuf, aside: PathBuf },
}

impl Store {
    pub(super) fn new(folder: &Path, config: &Config) -> Store {
        Store { folder: folder.to_owned(), question: Question::of(config) }
    }

    /// The brokers of the last run with these settings; none where there was no such run.
    pub(super) fn read(&self) -> Result<Option<Vec<String>>, NoList> {
        let path = self.folder.join(FILE);
        let bytes = match disk::read(&path, BYTES_MAX) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(cause) => return Err(NoList::Unreadable { path, cause }),
        };
        let is_good = |content: &Content| {
            !content.brokers.is_empty() && content.brokers.iter().all(|b| parse_broker(b).as_ref() == Ok(b))
        };
        if let Some(content) = serde_json::from_slice::<Content>(&bytes).ok().filter(is_good) {
            return Ok((content.question == self.question).then_some(content.brokers));
        }
        let aside = disk::set_aside(&self.folder, FILE);
        Err(NoList::Damaged { path, aside })
    }

    /// Replaces the list.
    pub(super) fn write(&self, brokers: &[String]) -> io::Result<()> {
        let content = Content { question: self.question.clone(), brokers: brokers.to_owned() };
        let text = serde_json::to_vec(&content)?;
        disk::replace(&self.folder, FILE, &text, 0o644)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::dcos::BaseUrl;
    use crate::dcos::discovery::{BrokerAddress, FrameworkName, Way};

    fn config(framework: &str) -> Config {
        Config::of(FrameworkName::parse(framework).unwrap())
    }

    fn list(brokers: &[&str]) -> Vec<String> {
        brokers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_written_is_read_by_those_with_the_same_settings() {
        let folder = tempfile::tempdir().unwrap();
        // It makes the folder, too.
        let folder = folder.path().join("new");
        let store = Store::new(&folder, &config("kafka"));
        assert_eq!(store.read().unwrap(), None);
        for brokers in [list(&["a:1", "[::1]:2"]), list(&["b:1"])] {
            store.write(&brokers).unwrap();
            assert_eq!(store.read().unwrap(), Some(brokers));
        }
        let url = |text| BaseUrl::parse(text).unwrap();
        let others = [
            config("prod/kafka"),
            Config { tls: true, ..config("kafka") },
            Config { address: BrokerAddress::Vip, ..config("kafka") },
            // Whoever is asked may name brokers of their own.
            Config { pinned: Some(Way::Marathon), ..config("kafka") },
            Config { dns_server: Some(([127, 0, 0, 1], 53).into()), ..config("kafka") },
            Config { scheduler: Some(url("http://a")), ..config("kafka") },
            Config { admin_router: url("http://a"), ..config("kafka") },
            Config { marathon: url("http://a"), ..config("kafka") },
            Config { mesos_dns: url("http://a"), ..config("kafka") },
        ];
        for other in others {
            assert_eq!(Store::new(&folder, &other).read().unwrap(), None, "{other:?}");
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn a_list_that_does_not_say_who_was_asked_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let content = r#"{"framework":"kafka","tls":false,"address":"dns","brokers":["a:1"]}"#;
        fs::write(folder.path().join(FILE), content).unwrap();
        assert_eq!(Store::new(folder.path(), &config("kafka")).read().unwrap(), None);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_a_new_one_can_be_written() {
        let good = r#"{"framework":"kafka","tls":false,"address":"dns","brokers":["a:1"]}"#;
        let cases = [
            "",
            "{",
            "[]",
            "null",
            &good[..20],
            &good.replace("\"a:1\"", ""),
            &good.replace("a:1", "http://a"),
        ];
        for content in cases {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(FILE);
            fs::write(&path, content).unwrap();
            let store = Store::new(folder.path(), &config("kafka"));
            let error = store.read().expect_err(content);
            assert!(matches!(&error, NoList::Damaged { aside, .. } if aside.exists()), "{content}: {error}");
            assert!(store.read().unwrap().is_none(), "it is said once");
            store.write(&list(&["b:2"])).unwrap();
            assert_eq!(store.read().unwrap(), Some(list(&["b:2"])));
        }
    }

    proptest! {
        #[test]
        fn any_content_gives_a_good_list_or_none(content in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            "[a-z0-9:,\\[\\]\" ]{0,40}".prop_map(|brokers| format!(
                r#"{{"framework":"kafka","tls":false,"address":"dns","brokers":[{brokers}]}}"#
            ).into_bytes()),
        ]) {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(FILE), content).unwrap();
            if let Ok(Some(brokers)) = Store::new(folder.path(), &config("kafka")).read() {
                prop_assert!(!brokers.is_empty());
                for broker in brokers {
                    prop_assert_eq!(parse_broker(&broker), Ok(broker));
                }
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FILE)).unwrap();
        let error = Store::new(folder.path(), &config("kafka")).read().expect_err("a folder");
        assert!(matches!(error, NoList::Unreadable { .. }), "{error}");
    }
}
