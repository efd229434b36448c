//! The places of named partners: where each is in the feed, also while it is not connected, and over a restart.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};
use tracing::warn;

use super::hello::{Start, is_name};
use crate::control::PartnerStatus;
use crate::disk;
use crate::spool::{Follower, From, Spool};
use crate::telemetry::unix_ms;

const FILE: &str = "partners.json";

/// Far more than all names need.
const BYTES_MAX: u64 = 1 << 20;

const MODE: u32 = 0o644;

/// Names at once: each has a row in the ledger and series in the metrics.
pub(super) const NAMES_MAX: usize = 64;

/// A place that nobody has used for so long ends.
const UNUSED_MAX: Duration = Duration::from_secs(24 * 3600);

/// The places.
#[derive(Debug)]
pub(super) struct Names {
    spool: Spool,
    incarnation: Arc<str>,
    places: Mutex<HashMap<String, Place>>,
    /// A place was given back.
    freed: Notify,
    /// What stands in the file is not so any more.
    changed: Notify,
    /// The data directory, if there is one.
    folder: Option<PathBuf>,
    /// Whoever has it writes the file.
    writing: Mutex<()>,
}

/// One name's.
#[derive(Debug)]
struct Place {
    /// None while a connection has it.
    follower: Option<Follower>,
    /// Tells the connection that has it that another one has come.
    replace: Option<oneshot::Sender<()>>,
    /// Unix time in milliseconds.
    unused_since_ms: u64,
    /// How it ended in the last run of the process, until it is told.
    past: Option<Past>,
}

/// What became of a place when the process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Past {
    /// The run of the process.
    pub(super) incarnation: String,
    /// Records that were lost with it; none: nobody knows, since it did not end in order.
    pub(super) lost: Option<u64>,
}

/// A name's place, in the hands of a connection.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) follower: Follower,
    pub(super) replaced: oneshot::Receiver<()>,
    pub(super) past: Option<Past>,
}

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Content {
    incarnation: String,
    places: Vec<Kept>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    name: String,
    unused_since_ms: u64,
    /// Records that were lost with the process, once it has ended in order.
    lost: Option<u64>,
}

impl Names {
    /// The places that are in `content`, to be kept in `folder`. Each of them gets all that is accepted from now on.
    pub(super) fn new(
        spool: Spool,
        incarnation: Arc<str>,
        folder: Option<PathBuf>,
        content: Option<&Content>,
        now_ms: u64,
    ) -> Names {
        let mut places = HashMap::new();
        for Kept { name, unused_since_ms, lost } in content.into_iter().flat_map(|content| &content.places) {
            let past = content.map(|content| Past { incarnation: content.incarnation.clone(), lost: *lost });
            // A clock that was wrong must not keep it for ever.
            let unused_since_ms = *unused_since_ms.min(&now_ms);
            if places.len() < NAMES_MAX && is_name(name) && !is_over(unused_since_ms, now_ms) {
                let follower = Some(spool.follow(&row(name), From::Now));
                places.insert(name.clone(), Place { follower, replace: None, unused_since_ms, past });
            }
        }
        Names {
            spool,
            incarnation,
            places: Mutex::new(places),
            freed: Notify::new(),
            changed: Notify::new(),
            folder,
            writing: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.places.lock().expect("no code panics under this lock")
    }

    /// Takes the place of `name`, from another connection if need be. None: as many names have a place as may.
    pub(super) async fn claim(&self, name: &str, start: Start) -> Option<Claimed> {
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(claimed) = self.try_claim(name, start)? {
                self.changed.notify_one();
                return Some(claimed);
            }
            freed.await;
        }
    }

    /// `Some(None)`: another connection has it, and has been told to go.
    #[expect(clippy::option_option, reason = "no place at all, not yet, and here it is")]
    fn try_claim(&self, name: &str, start: Start) -> Option<Option<Claimed>> {
        let mut places = self.lock();
        if !places.contains_key(name) && places.len() >= NAMES_MAX {
            return None;
        }
        let is_new = !places.contains_key(name);
        let place = places.entry(name.to_owned()).or_insert_with(|| Place {
            follower: None,
            replace: None,
            unused_since_ms: 0,
            past: None,
        });
        let known = place.follower.take();
        if known.is_none() && !is_new {
            if let Some(replace) = place.replace.take() {
                // It may have gone of itself.
                _ = replace.send(());
            }
            return Some(None);
        }
        let follower = match known.filter(|_| start == Start::Resume) {
            Some(follower) => follower,
            None => self.spool.follow(&row(name), start.without_place()),
        };
        let (replace, replaced) = oneshot::channel();
        place.replace = Some(replace);
        let past = place.past.take().filter(|_| start == Start::Resume);
        Some(Some(Claimed { follower, replaced, past }))
    }

    /// Gives a place back; the connection is over.
    pub(super) fn give_back(&self, name: &str, mut follower: Follower) {
        follower.rewind();
        if let Some(place) = self.lock().get_mut(name) {
            (place.follower, place.unused_since_ms) = (Some(follower), unix_ms());
        }
        self.freed.notify_waiters();
        self.changed.notify_one();
    }

    /// Ends places that nobody has used for long. Gives the time in which the next one may end, if any.
    pub(super) fn expire(&self, now_ms: u64) -> Option<Duration> {
        let mut places = self.lock();
        let ended =
            places.extract_if(|_, place| place.follower.is_some() && is_over(place.unused_since_ms, now_ms));
        let ended: Vec<Place> = ended.map(|(_, place)| place).collect();
        let since =
            places.values().filter(|place| place.follower.is_some()).map(|place| place.unused_since_ms);
        let next = since
            .min()
            .map(|since| UNUSED_MAX.saturating_sub(Duration::from_millis(now_ms.saturating_sub(since))));
        drop(places);
        if !ended.is_empty() {
            self.changed.notify_one();
        }
        ended.into_iter().filter_map(|place| place.follower).for_each(Follower::forget);
        next
    }

    /// Names that have a place and no connection.
    pub(super) fn absent(&self, accepted: u64) -> Vec<PartnerStatus> {
        let places = self.lock();
        let absent = places.iter().filter_map(|(name, place)| Some((name, place, place.follower.as_ref()?)));
        let mut absent: Vec<_> = absent
            .map(|(name, place, follower)| PartnerStatus {
                name: Some(name.clone()),
                since_ms: place.unused_since_ms,
                behind_records: accepted.saturating_sub(follower.next().0),
                ..PartnerStatus::default()
            })
            .collect();
        absent.sort_by(|a, b| a.name.cmp(&b.name));
        absent
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Returns when the file is to be written. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The process ends: what is left for those with a place is lost. Gives the number of records.
    pub(super) fn abandon(&self) -> u64 {
        let mut lost = 0;
        for place in self.lock().values_mut() {
            if let Some(follower) = &mut place.follower {
                let records = follower.abandon();
                // What an earlier run cost it, and nobody could tell it, is still to be told.
                let before = place.past.take().map_or(Some(0), |past| past.lost);
                let all = before.map(|before| before + records);
                place.past = Some(Past { incarnation: self.incarnation.to_string(), lost: all });
                lost += records;
            }
        }
        lost
    }

    /// Writes the file, if there is to be one. Blocks.
    pub(super) fn save(&self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let _turn = self.writing.lock().expect("no code panics under this lock");
        let now_ms = unix_ms();
        let places = self.lock();
        let mut kept: Vec<Kept> = places
            .iter()
            .map(|(name, place)| Kept {
                name: name.clone(),
                unused_since_ms: if place.follower.is_some() { place.unused_since_ms } else { now_ms },
                lost: place
                    .past
                    .as_ref()
                    .filter(|past| *past.incarnation == *self.incarnation)
                    .and_then(|past| past.lost),
            })
            .collect();
        drop(places);
        kept.sort_by(|a, b| a.name.cmp(&b.name));
        let content = Content { incarnation: self.incarnation.to_string(), places: kept };
        disk::replace(folder, FILE, &serde_json::to_vec(&content)?, MODE)
    }
}

/// The row of the ledger.
fn row(name: &str) -> String {
    format!("partner:{name}")
}

fn is_over(unused_since_ms: u64, now_ms: u64) -> bool {
    u128::from(now_ms.saturating_sub(unused_since_ms)) >= UNUSED_MAX.as_millis()
}

/// What the file in `folder` has, where it can be read; if not, that is said. Blocks.
pub(super) fn read(folder: &Path) -> Option<Content> {
    let path = folder.join(FILE);
    match disk::read(&path, BYTES_MAX) {
        Ok(bytes) => {
            let content = serde_json::from_slice(&bytes?);
            if let Err(error) = &content {
                let aside = disk::set_aside(folder, FILE);
                warn!(path = %path.display(), aside = %aside.display(), "the places of partners cannot be read: {error}");
            }
            content.ok()
        }
        Err(error) => {
            warn!(path = %path.display(), "the places of partners cannot be read: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Config, Framing, Outcome, WhenFull};

    fn spool() -> Spool {
        let config = Config { memory_bytes: 1 << 20, when_full: WhenFull::Auto, topics_max: 1 };
        Spool::in_memory(config, Framing::default())
    }

    fn append(spool: &Spool, records: u32) {
        let written: Result<_, ()> = spool.append(0, |append| {
            (0..records).for_each(|_| append.record(b"t", 1, 1, |out| out.push(0)));
            Ok(())
        });
        assert_eq!(written.unwrap().records, u64::from(records));
    }

    fn names(spool: &Spool, incarnation: &str, folder: Option<&Path>, now_ms: u64) -> Names {
        let content = folder.and_then(read);
        let folder = folder.map(Path::to_owned);
        Names::new(spool.clone(), incarnation.into(), folder, content.as_ref(), now_ms)
    }

    #[tokio::test]
    async fn a_place_goes_on_where_it_was() {
        let spool = spool();
        let names = names(&spool, "i", None, 0);
        let mut claimed = names.claim("a", Start::Resume).await.unwrap();
        append(&spool, 5);
        claimed.follower.read().unwrap();
        claimed.follower.take(5);
        claimed.follower.finish(2, Outcome::Delivered);
        names.give_back("a", claimed.follower);
        append(&spool, 1);
        assert_eq!(names.absent(6)[0].behind_records, 4);
        let claimed = names.claim("a", Start::Resume).await.unwrap();
        assert_eq!(claimed.follower.next().0, 2);
        names.give_back("a", claimed.follower);
        let claimed = names.claim("a", Start::Now).await.unwrap();
        assert_eq!(claimed.follower.next().0, 6, "now is now");
        let books = spool.ledger().outputs["partner:a"].clone();
        assert_eq!((books.delivered, books.not_wanted, books.imbalance()), (2, 4, 0));
    }

    #[tokio::test]
    async fn a_second_connection_takes_the_place_when_the_first_has_gone() {
        let spool = spool();
        let names = Arc::new(names(&spool, "i", None, 0));
        let first = names.claim("a", Start::Now).await.unwrap();
        let second = tokio::spawn({
            let names = names.clone();
            async move { names.claim("a", Start::Resume).await }
        });
        first.replaced.await.unwrap();
        assert!(!second.is_finished());
        names.give_back("a", first.follower);
        assert!(second.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn there_is_an_end_to_names_and_to_those_that_nobody_uses() {
        let spool = spool();
        let names = names(&spool, "i", None, 0);
        for n in 0..NAMES_MAX {
            let claimed = names.claim(&n.to_string(), Start::Now).await.unwrap();
            names.give_back(&n.to_string(), claimed.follower);
        }
        assert!(names.claim("more", Start::Now).await.is_none());
        let now_ms = unix_ms();
        assert!(names.expire(now_ms).is_some_and(|left| left <= UNUSED_MAX));
        assert_eq!(spool.ledger().outputs.len(), NAMES_MAX);
        assert_eq!(names.expire(now_ms + UNUSED_MAX.as_millis() as u64 + 1), None);
        assert_eq!(spool.ledger().outputs.len(), 0, "and their books end");
        assert!(names.claim("more", Start::Now).await.is_some());
    }

    #[tokio::test]
    async fn places_outlive_the_process_and_know_what_was_lost_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        for in_order in [true, false] {
            let first = spool();
            let names_1 = names(&first, "one", Some(&folder), unix_ms());
            let claimed = names_1.claim("a", Start::Now).await.unwrap();
            append(&first, 3);
            names_1.give_back("a", claimed.follower);
            if in_order {
                assert_eq!(names_1.abandon(), 3);
            }
            names_1.save().unwrap();

            let second = spool();
            let names_2 = names(&second, "two", Some(&folder), unix_ms());
            append(&second, 2);
            let claimed = names_2.claim("a", Start::Resume).await.unwrap();
            assert_eq!(claimed.follower.next().0, 0, "all of the new run");
            let lost = in_order.then_some(3);
            assert_eq!(claimed.past, Some(Past { incarnation: "one".to_owned(), lost }));
        }
        let late = unix_ms() + UNUSED_MAX.as_millis() as u64 + 1000;
        assert!(names(&spool(), "three", Some(&folder), late).lock().is_empty(), "unless it is too long ago");
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(names(&spool(), "i", Some(folder.path()), 0).lock().is_empty());
        assert!(folder.path().join("partners.json.damaged").exists());
    }
}
