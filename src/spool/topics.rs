//! The record topics that the spool tells apart, and the number of the next record of each.

use hashbrown::HashMap;
use std::sync::Arc;

use crate::record::{RecordTopic, TOPIC_LENGTH_MAX};

/// A record topic known to the spool.
#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its number, from 0 in the order in which topics came.
    pub id: u32,
    /// Its name; none for one that stands for several, whose records name their own.
    pub name: Option<RecordTopic>,
    /// It stands for all topics, and not only for those over the limit.
    pub is_all: bool,
}

impl Topic {
    /// Whether all its records have this very name: that of the topics over the limit is none, and names that are too
    /// long share the beginning of one of them.
    #[must_use]
    pub fn is_told_apart(&self) -> bool {
        self.name.as_ref().is_some_and(|name| name.as_bytes().len() <= TOPIC_LENGTH_MAX)
    }
}

/// Names to topics, with a limit.
///
/// A name of any length would be memory for whoever sends it. Those that are too long for Kafka even without a prefix are
/// not told apart: they are known by the beginning of the first of them, which is too long as well.
#[derive(Debug)]
pub(super) struct Topics {
    by_name: HashMap<RecordTopic, u32>,
    /// By topic id: the topic, and the number of its next record.
    list: Vec<(Arc<Topic>, u64)>,
    limit: usize,
    over: Option<u32>,
    long: Option<u32>,
    all: Option<u32>,
    /// How many topics there were when the current block began.
    mark: usize,
}

/// So much of a name is looked at.
const NAME_BYTES_MAX: usize = TOPIC_LENGTH_MAX + 1;

impl Topics {
    pub(super) fn new(limit: usize) -> Topics {
        Topics {
            by_name: HashMap::new(),
            list: Vec::new(),
            limit,
            over: None,
            long: None,
            all: None,
            mark: 0,
        }
    }

    /// So many are told apart from now on, beside those that are already; with 0 none. Not within a block.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Begins a block.
    pub(super) fn begin(&mut self) {
        self.mark = self.list.len();
    }

    /// The current block is bad: it takes the topics back that came with it.
    pub(super) fn roll_back(&mut self) {
        for (topic, _) in self.list.drain(self.mark..) {
            if let Some(name) = &topic.name {
                self.by_name.remove(name);
            }
            for shared in [&mut self.over, &mut self.long, &mut self.all] {
                shared.take_if(|id| *id == topic.id);
            }
        }
    }

    /// The id of the topic of this name: an old one, a new one, or, at the limit, the one for all others.
    pub(super) fn id(&mut self, name: &[u8]) -> u32 {
        if self.limit == 0 {
            return *self.all.get_or_insert_with(|| add(&mut self.list, None, true));
        }
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        if name.len() > TOPIC_LENGTH_MAX {
            let name = || RecordTopic::new(&name[..NAME_BYTES_MAX]);
            return *self.long.get_or_insert_with(|| add(&mut self.list, Some(name()), false));
        }
        if self.by_name.len() < self.limit {
            let name = RecordTopic::new(name);
            let id = add(&mut self.list, Some(name.clone()), false);
            self.by_name.insert(name, id);
            return id;
        }
        *self.over.get_or_insert_with(|| add(&mut self.list, None, false))
    }

    /// The topic of this id.
    pub(super) fn topic(&self, id: u32) -> &Arc<Topic> {
        &self.list[id as usize].0
    }

    /// Every topic, by its id, and how many of its records have a number.
    pub(super) fn counted(&self) -> Vec<(Arc<Topic>, u64)> {
        self.list.clone()
    }

    /// Numbers `records` records of the topic of this id, and gives the first of their numbers.
    pub(super) fn number(&mut self, id: u32, records: u32) -> u64 {
        let next = &mut self.list[id as usize].1;
        let first = *next;
        *next += u64::from(records);
        first
    }
}

fn add(list: &mut Vec<(Arc<Topic>, u64)>, name: Option<RecordTopic>, is_all: bool) -> u32 {
    let id = u32::try_from(list.len()).expect("the limit is far below");
    list.push((Arc::new(Topic { id, name, is_all }), 0));
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_counts_for_itself() {
        let mut topics = Topics::new(10);
        let (a, b) = (topics.id(b"a"), topics.id(b"b"));
        assert_eq!(topics.number(a, 3), 0);
        assert_eq!(topics.number(b, 1), 0);
        assert_eq!(topics.number(a, 1), 3);
        assert_eq!(topics.id(b"a"), a);
        assert_eq!(topics.topic(a).name, Some(RecordTopic::new(b"a")));
    }

    #[test]
    fn topics_over_the_limit_are_one() {
        let mut topics = Topics::new(1);
        let a = topics.id(b"a");
        let (b, c) = (topics.id(b"b"), topics.id(b"c"));
        assert_eq!(b, c);
        assert_eq!(topics.topic(b).name, None);
        assert_eq!(topics.id(b"a"), a);
        assert_eq!((topics.number(b, 2), topics.number(c, 2)), (0, 2));
    }

    #[test]
    fn a_bad_block_leaves_no_topics_behind() {
        let mut topics = Topics::new(2);
        let a = topics.id(b"a");
        topics.begin();
        assert_eq!((topics.id(b"a"), topics.id(b"b"), topics.id(b"c")), (a, 1, 2));
        topics.roll_back();
        assert_eq!(topics.list.len(), 1);
        let d = topics.id(b"d");
        assert_eq!(topics.topic(d).name, Some(RecordTopic::new(b"d")));
        assert_eq!(topics.topic(topics.by_name[&b"a"[..]]).id, a);
    }

    #[test]
    fn long_names_share_one_place_that_shows_that_they_are_long() {
        let mut topics = Topics::new(2);
        let long = |first: u8| [vec![first], vec![b'x'; 5000]].concat();
        assert_eq!(topics.id(&long(1)), topics.id(&long(2)));
        let name = topics.topic(0).name.as_ref().unwrap();
        assert_eq!(name.as_bytes().len(), TOPIC_LENGTH_MAX + 1);
        let good = [topics.id(b"a"), topics.id(b"b")];
        assert!(good.iter().all(|id| topics.topic(*id).name.is_some()), "they take no good name's place");
    }

    #[test]
    fn with_a_limit_of_none_all_topics_are_one() {
        let mut topics = Topics::new(0);
        assert_eq!((topics.id(b"a"), topics.id(b"b")), (0, 0));
        assert!(topics.topic(0).is_all);
    }

    #[test]
    fn topics_are_told_apart_by_the_limit_of_the_time_and_count_on() {
        let mut topics = Topics::new(1);
        let (a, over) = (topics.id(b"a"), topics.id(b"b"));
        assert_eq!((topics.number(a, 3), topics.number(over, 2)), (0, 0));
        topics.set_limit(0);
        let all = topics.id(b"a");
        assert_eq!((all, topics.id(b"b")), (all, all));
        assert!(all != a && all != over && topics.topic(all).is_all && !topics.topic(over).is_all);
        assert_eq!(topics.number(all, 5), 0);
        topics.set_limit(2);
        let b = topics.id(b"b");
        assert_eq!((topics.id(b"a"), topics.topic(b).name.clone()), (a, Some(RecordTopic::new(b"b"))));
        assert_eq!((topics.number(a, 1), topics.number(b, 1)), (3, 0));
        topics.set_limit(1);
        assert_eq!(
            (topics.id(b"a"), topics.id(b"b"), topics.id(b"c")),
            (a, b, over),
            "those that are known stay"
        );
        topics.set_limit(0);
        assert_eq!((topics.id(b"c"), topics.number(all, 1)), (all, 5));
    }
}
