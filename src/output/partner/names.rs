//! The places of named partners: where each is in the feed, also while it is not connected, and over a restart.
//!
//! A name is either that of partners that connect or that of one that is dialled. The latter has its place from the moment
//! on in which it is wanted until it is not any more, and nobody who connects gets it.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::end::End;
use super::hello::{Start, is_name};
use super::kept::{Content, Kept, Past};
use super::target::Target;
use crate::control::PartnerStatus;
use crate::spool::{Follower, From, Spool};
use crate::telemetry::unix_ms;

/// Names at once, those of dialled partners not counted: each has a row in the ledger and series in the metrics.
pub(super) const NAMES_MAX: usize = 64;

/// A place that nobody has used for so long ends.
const UNUSED_MAX: Duration = Duration::from_secs(24 * 3600);

/// The places.
#[derive(Debug)]
pub(super) struct Names {
    spool: Spool,
    incarnation: Arc<str>,
    places: Mutex<HashMap<String, Place>>,
    /// Numbers places.
    next_id: AtomicU64,
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
    /// Tells it from an earlier place of the name.
    id: u64,
    /// It is that of a dialled partner.
    dialled: bool,
    /// None while a connection has it.
    follower: Option<Follower>,
    /// Tells the connection that has it to go.
    send_away: Option<oneshot::Sender<End>>,
    /// Unix time in milliseconds.
    unused_since_ms: u64,
    /// How it ended in the last run of the process, until it is told.
    past: Option<Past>,
}

/// A name's place, in the hands of a connection.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) id: u64,
    pub(super) follower: Follower,
    pub(super) sent_away: oneshot::Receiver<End>,
    pub(super) past: Option<Past>,
}

/// Who wants a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimant {
    /// Somebody who has connected.
    Caller,
    /// Whoever dials.
    Dialler,
}

/// Why somebody gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// As many names have one as may.
    TooMany,
    /// The name is a dialled partner's.
    Dialled,
    /// Nobody wants it dialled any more.
    NotDialled,
}

impl Names {
    /// The places that are in `content`, to be kept in `folder`. Each of them gets all that is accepted from now on. Those
    /// of `dialled` partners are there however long ago they were used, and new if need be.
    pub(super) fn new(
        spool: Spool,
        incarnation: Arc<str>,
        folder: Option<PathBuf>,
        content: Option<&Content>,
        now_ms: u64,
        dialled: &[Target],
    ) -> Names {
        let names = Names {
            spool,
            incarnation,
            places: Mutex::default(),
            next_id: AtomicU64::new(0),
            freed: Notify::new(),
            changed: Notify::new(),
            folder,
            writing: Mutex::default(),
        };
        for Kept { name, unused_since_ms, lost } in content.into_iter().flat_map(|content| &content.places) {
            let past = content.map(|content| Past { incarnation: content.incarnation.clone(), lost: *lost });
            // A clock that was wrong must not keep it for ever.
            let unused_since_ms = *unused_since_ms.min(&now_ms);
            let is_dialled = dialled.iter().any(|target| target.name == *name);
            let is_full = callers(&names.lock()) >= NAMES_MAX;
            if is_dialled || (!is_full && is_name(name) && !is_over(unused_since_ms, now_ms)) {
                let place =
                    Place { dialled: is_dialled, unused_since_ms, past, ..names.new_place(name, From::Now) };
                names.lock().insert(name.clone(), place);
            }
        }
        names.dial(dialled);
        names
    }

    fn new_place(&self, name: &str, from: From) -> Place {
        Place {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            dialled: false,
            follower: Some(self.spool.follow(&row(name), from)),
            send_away: None,
            unused_since_ms: unix_ms(),
            past: None,
        }
    }

    /// From now on these partners are dialled, and no others. Each has a place; whoever has connected by its name goes.
    /// Places of those that are no more are over, and their connections end.
    pub(super) fn dial(&self, wanted: &[Target]) {
        let mut places = self.lock();
        let is_over =
            |name: &str, place: &Place| place.dialled && !wanted.iter().any(|target| target.name == name);
        let over: Vec<Place> =
            places.extract_if(|name, place| is_over(name, place)).map(|(_, place)| place).collect();
        for Target { name, .. } in wanted {
            let place = places.entry(name.clone()).or_insert_with(|| self.new_place(name, From::Now));
            if !place.dialled {
                place.dialled = true;
                place.send_away(End::Replaced);
            }
        }
        drop(places);
        over.into_iter().for_each(Place::end);
        self.freed.notify_waiters();
        self.changed.notify_one();
    }

    /// Ends the place of partners that connect by `name`, and the connection that has it. False: there is none.
    pub(super) fn remove(&self, name: &str) -> bool {
        let mut places = self.lock();
        if places.get(name).is_none_or(|place| place.dialled) {
            return false;
        }
        let over = places.remove(name);
        drop(places);
        over.into_iter().for_each(Place::end);
        self.freed.notify_waiters();
        self.changed.notify_one();
        true
    }

    /// Ends the connection that has the place of `name`, if one has it.
    pub(super) fn send_away(&self, name: &str, end: End) {
        if let Some(place) = self.lock().get_mut(name) {
            place.send_away(end);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.places.lock().expect("no code panics under this lock")
    }

    /// Takes the place of `name`, from another connection if need be.
    pub(super) async fn claim(
        &self,
        name: &str,
        start: Start,
        claimant: Claimant,
    ) -> Result<Claimed, NoPlace> {
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(claimed) = self.try_claim(name, start, claimant)? {
                self.changed.notify_one();
                return Ok(claimed);
            }
            freed.await;
        }
    }

    /// `None`: another connection has it, and has been told to go.
    fn try_claim(&self, name: &str, start: Start, claimant: Claimant) -> Result<Option<Claimed>, NoPlace> {
        let mut places = self.lock();
        let is_dialled = places.get(name).map(|place| place.dialled);
        match (is_dialled, claimant) {
            (Some(true), Claimant::Caller) => return Err(NoPlace::Dialled),
            (None | Some(false), Claimant::Dialler) => return Err(NoPlace::NotDialled),
            (None, Claimant::Caller) if callers(&places) >= NAMES_MAX => {
                return Err(NoPlace::TooMany);
            }
            _ => {}
        }
        let place =
            places.entry(name.to_owned()).or_insert_with(|| self.new_place(name, start.without_place()));
        let Some(known) = place.follower.take() else {
            place.send_away(End::Replaced);
            return Ok(None);
        };
        let follower = if start == Start::Resume || is_dialled.is_none() {
            known
        } else {
            self.spool.follow(&row(name), start.without_place())
        };
        let (sender, sent_away) = oneshot::channel();
        place.send_away = Some(sender);
        let past = place.past.take().filter(|_| start == Start::Resume);
        Ok(Some(Claimed { id: place.id, follower, sent_away, past }))
    }

    /// Gives the place with this number back; the connection is over. So may the place be. `untold` is what the other side
    /// does not know yet.
    pub(super) fn give_back(&self, name: &str, id: u64, mut follower: Follower, untold: Option<Past>) {
        follower.rewind();
        let mut places = self.lock();
        if let Some(place) = places.get_mut(name).filter(|place| place.id == id) {
            (place.follower, place.unused_since_ms) = (Some(follower), unix_ms());
            place.past = untold;
        } else {
            drop(places);
            follower.forget();
        }
        self.freed.notify_waiters();
        self.changed.notify_one();
    }

    /// Ends places that nobody has used for long. Gives the time in which the next one may end, if any.
    pub(super) fn expire(&self, now_ms: u64) -> Option<Duration> {
        let mut places = self.lock();
        let ended = places.extract_if(|_, place| place.may_end() && is_over(place.unused_since_ms, now_ms));
        let ended: Vec<Place> = ended.map(|(_, place)| place).collect();
        let since = places.values().filter(|place| place.may_end()).map(|place| place.unused_since_ms);
        let next = since
            .min()
            .map(|since| UNUSED_MAX.saturating_sub(Duration::from_millis(now_ms.saturating_sub(since))));
        drop(places);
        if !ended.is_empty() {
            self.changed.notify_one();
        }
        ended.into_iter().for_each(Place::end);
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

    /// Nothing is written while this is there, as on a disk that does not answer.
    #[cfg(test)]
    pub(super) fn hold_writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap()
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
                // What it lost before, in this run or an earlier one, and nobody could tell it, is still to be told.
                let before = place.past.take().map_or(Some(0), |past| past.lost);
                let all = before.map(|before| before + follower.lost() + records);
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
        Content { incarnation: self.incarnation.to_string(), places: kept }.write(folder)
    }
}

impl Place {
    /// Whether it ends when nobody uses it for long.
    fn may_end(&self) -> bool {
        self.follower.is_some() && !self.dialled
    }

    fn send_away(&mut self, end: End) {
        if let Some(send_away) = self.send_away.take() {
            // It may have gone of itself.
            _ = send_away.send(end);
        }
    }

    /// Ends it and its books; a connection that has it does so when it gives it back.
    fn end(mut self) {
        self.send_away(End::Removed);
        self.follower.into_iter().for_each(Follower::forget);
    }
}

/// Names of partners that connect.
fn callers(places: &HashMap<String, Place>) -> usize {
    places.values().filter(|place| !place.dialled).count()
}

/// The row of the ledger.
fn row(name: &str) -> String {
    format!("partner:{name}")
}

fn is_over(unused_since_ms: u64, now_ms: u64) -> bool {
    u128::from(now_ms.saturating_sub(unused_since_ms)) >= UNUSED_MAX.as_millis()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::hello::Hello;
    use super::super::kept::{FILE, read};
    use super::super::target::Address;
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
        Names::new(spool.clone(), incarnation.into(), folder, content.as_ref(), now_ms, &[])
    }

    #[tokio::test]
    async fn a_place_goes_on_where_it_was() {
        let spool = spool();
        let names = names(&spool, "i", None, 0);
        let mut claimed = names.claim("a", Start::Resume, Claimant::Caller).await.unwrap();
        append(&spool, 5);
        claimed.follower.read().unwrap();
        claimed.follower.take(5);
        claimed.follower.finish(2, Outcome::Delivered);
        names.give_back("a", claimed.id, claimed.follower, None);
        append(&spool, 1);
        assert_eq!(names.absent(6)[0].behind_records, 4);
        let claimed = names.claim("a", Start::Resume, Claimant::Caller).await.unwrap();
        assert_eq!(claimed.follower.next().0, 2);
        names.give_back("a", claimed.id, claimed.follower, None);
        let claimed = names.claim("a", Start::Now, Claimant::Caller).await.unwrap();
        assert_eq!(claimed.follower.next().0, 6, "now is now");
        let books = spool.ledger().outputs["partner:a"].clone();
        assert_eq!((books.delivered, books.not_wanted, books.imbalance()), (2, 4, 0));
    }

    #[tokio::test]
    async fn what_became_of_a_place_is_told_again_to_whom_it_was_not_told() {
        let names = names(&spool(), "i", None, 0);
        let past = Past { incarnation: "before".to_owned(), lost: Some(7) };
        let claimed = names.claim("a", Start::Resume, Claimant::Caller).await.unwrap();
        names.give_back("a", claimed.id, claimed.follower, Some(past.clone()));
        let claimed = names.claim("a", Start::Resume, Claimant::Caller).await.unwrap();
        assert_eq!(claimed.past, Some(past));
        names.give_back("a", claimed.id, claimed.follower, None);
        assert_eq!(names.claim("a", Start::Resume, Claimant::Caller).await.unwrap().past, None);
    }

    #[tokio::test]
    async fn a_second_connection_takes_the_place_when_the_first_has_gone() {
        let spool = spool();
        let names = Arc::new(names(&spool, "i", None, 0));
        let first = names.claim("a", Start::Now, Claimant::Caller).await.unwrap();
        let second = tokio::spawn({
            let names = names.clone();
            async move { names.claim("a", Start::Resume, Claimant::Caller).await }
        });
        assert_eq!(first.sent_away.await, Ok(End::Replaced));
        assert!(!second.is_finished());
        names.give_back("a", first.id, first.follower, None);
        assert!(second.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn there_is_an_end_to_names_and_to_those_that_nobody_uses() {
        let spool = spool();
        let names = names(&spool, "i", None, 0);
        for n in 0..NAMES_MAX {
            let claimed = names.claim(&n.to_string(), Start::Now, Claimant::Caller).await.unwrap();
            names.give_back(&n.to_string(), claimed.id, claimed.follower, None);
        }
        assert!(names.claim("more", Start::Now, Claimant::Caller).await.is_err());
        let now_ms = unix_ms();
        assert!(names.expire(now_ms).is_some_and(|left| left <= UNUSED_MAX));
        assert_eq!(spool.ledger().outputs.len(), NAMES_MAX);
        assert_eq!(names.expire(now_ms + UNUSED_MAX.as_millis() as u64 + 1), None);
        assert_eq!(spool.ledger().outputs.len(), 0, "and their books end");
        assert!(names.claim("more", Start::Now, Claimant::Caller).await.is_ok());
    }

    #[tokio::test]
    async fn dialled_partners_take_no_place_of_callers_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        // Their names stand before those of the others in the file.
        let dialled = targets(&["00", "01", "02"]);
        let names = || {
            let kept = Some(folder.path().to_owned());
            Names::new(spool(), "i".into(), kept, read(folder.path()).as_ref(), unix_ms(), &dialled)
        };
        let first = names();
        for n in 0..NAMES_MAX {
            let name = format!("caller-{n}");
            let claimed = first.claim(&name, Start::Now, Claimant::Caller).await.unwrap();
            first.give_back(&name, claimed.id, claimed.follower, None);
        }
        first.save().unwrap();
        assert_eq!(names().lock().len(), 3 + NAMES_MAX);
    }

    #[tokio::test]
    async fn places_outlive_the_process_and_know_what_was_lost_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        for in_order in [true, false] {
            let first = spool();
            let names_1 = names(&first, "one", Some(&folder), unix_ms());
            let claimed = names_1.claim("a", Start::Now, Claimant::Caller).await.unwrap();
            append(&first, 3);
            names_1.give_back("a", claimed.id, claimed.follower, None);
            if in_order {
                assert_eq!(names_1.abandon(), 3);
            }
            names_1.save().unwrap();

            let second = spool();
            let names_2 = names(&second, "two", Some(&folder), unix_ms());
            append(&second, 2);
            let claimed = names_2.claim("a", Start::Resume, Claimant::Caller).await.unwrap();
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

    fn targets(names: &[&str]) -> Vec<Target> {
        let address = Address::parse("a.example:1").unwrap();
        let target = |name: &&str| Target {
            name: (*name).to_owned(),
            address: address.clone(),
            hello: Hello::default(),
        };
        names.iter().map(target).collect()
    }

    #[tokio::test]
    async fn a_dialled_partner_has_its_place_as_long_as_it_is_wanted() {
        let spool = spool();
        let names = names(&spool, "i", None, 0);
        names.dial(&targets(&["a"]));
        append(&spool, 3);
        let claim = async |claimant| {
            names.claim("a", Start::Resume, claimant).await.map_err(|why| format!("{why:?}"))
        };
        assert_eq!(claim(Claimant::Caller).await.err().as_deref(), Some("Dialled"));
        let claimed = claim(Claimant::Dialler).await.unwrap();
        assert_eq!(claimed.follower.next().0, 0, "from the moment on in which it was wanted");
        names.give_back("a", claimed.id, claimed.follower, None);
        assert_eq!(
            names.expire(unix_ms() + 2 * UNUSED_MAX.as_millis() as u64),
            None,
            "it may be away for long"
        );
        assert!(!names.remove("a"), "who steers removes it otherwise");

        // Removed while it is connected, and wanted again at once: another place.
        let first = claim(Claimant::Dialler).await.unwrap();
        names.dial(&[]);
        assert_eq!(first.sent_away.await, Ok(End::Removed));
        assert_eq!(claim(Claimant::Dialler).await.err().as_deref(), Some("NotDialled"));
        names.dial(&targets(&["a"]));
        append(&spool, 1);
        names.give_back("a", first.id, first.follower, None);
        let second = claim(Claimant::Dialler).await.unwrap();
        assert_eq!(second.follower.next().0, 3);
        let books = spool.ledger().outputs["partner:a"].clone();
        assert_eq!((books.accepted, books.waiting, books.imbalance()), (1, 1, 0));
        names.dial(&[]);
        names.give_back("a", second.id, second.follower, None);
        assert!(!spool.ledger().outputs.contains_key("partner:a"), "its books end with it");
        assert!(claim(Claimant::Caller).await.is_ok());
    }

    #[tokio::test]
    async fn a_partner_that_is_dialled_from_now_on_goes_on_where_the_caller_was() {
        let spool = spool();
        let names = names(&spool, "i", None, 0);
        let mut caller = names.claim("a", Start::Now, Claimant::Caller).await.unwrap();
        append(&spool, 5);
        caller.follower.read().unwrap();
        caller.follower.take(5);
        caller.follower.finish(2, Outcome::Delivered);
        names.dial(&targets(&["a"]));
        assert_eq!(caller.sent_away.await, Ok(End::Replaced));
        names.give_back("a", caller.id, caller.follower, None);
        let dialled = names.claim("a", Start::Resume, Claimant::Dialler).await.unwrap();
        assert_eq!(dialled.follower.next().0, 2);
    }

    #[tokio::test]
    async fn dialled_partners_take_no_name_from_those_that_connect() {
        let spool = spool();
        let names = names(&spool, "i", None, 0);
        names.dial(&targets(&["a", "b"]));
        for n in 0..NAMES_MAX {
            let claimed = names.claim(&n.to_string(), Start::Now, Claimant::Caller).await.unwrap();
            names.give_back(&n.to_string(), claimed.id, claimed.follower, None);
        }
        let more = names.claim("more", Start::Now, Claimant::Caller).await;
        assert_eq!(more.err(), Some(NoPlace::TooMany));
        assert!(names.remove("0") && !names.remove("0"));
        assert!(names.claim("more", Start::Now, Claimant::Caller).await.is_ok());
        names.dial(&targets(&["c"]));
        assert!(names.claim("c", Start::Now, Claimant::Dialler).await.is_ok());
    }

    #[tokio::test]
    async fn the_place_of_a_dialled_partner_outlives_a_long_stop() {
        let folder = tempfile::tempdir().unwrap();
        let first = names(&spool(), "one", Some(folder.path()), unix_ms());
        first.dial(&targets(&["a"]));
        append(&first.spool, 3);
        first.abandon();
        first.save().unwrap();
        let late = unix_ms() + 2 * UNUSED_MAX.as_millis() as u64;
        let content = read(folder.path());
        let second = Names::new(spool(), "two".into(), None, content.as_ref(), late, &targets(&["a", "new"]));
        let claim = async |name| second.claim(name, Start::Resume, Claimant::Dialler).await.unwrap().past;
        assert_eq!(claim("a").await, Some(Past { incarnation: "one".to_owned(), lost: Some(3) }));
        assert_eq!(claim("new").await, None);
    }
}
