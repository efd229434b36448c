//! The record topics that the spool tells apart, and the number of the next record of each.

use hashbrown::HashMap;
use std::sync::Arc;

use crate::record::RecordTopic;

/// A record topic known to the spool.
#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its number, from 0 in the order in which topics came.
    pub id: u32,
    /// Its name; none for the one that stands for all topics over the limit, whose records name their own.
    pub name: Option<RecordTopic>,
}

/// Names to topics, with a limit.
#[derive(Debug)]
pub(super) struct Topics {
    by_name: HashMap<RecordTopic, Arc<Topic>>,
    /// By topic id.
    next: Vec<u64>,
    limit: usize,
    over: Option<Arc<Topic>>,
}

impl Topics {
    pub(super) fn new(limit: usize) -> Topics {
        Topics { by_name: HashMap::new(), next: Vec::new(), limit, over: None }
    }

    /// The topic of this name: an old one, a new one, or, at the limit, the one for all others.
    pub(super) fn get(&mut self, name: &[u8]) -> Arc<Topic> {
        let name = RecordTopic::new(name);
        if let Some(topic) = self.by_name.get(&name) {
            return topic.clone();
        }
        if self.by_name.len() < self.limit {
            let topic = self.add(Some(name.clone()));
            self.by_name.insert(name, topic.clone());
            return topic;
        }
        if self.over.is_none() {
            self.over = Some(self.add(None));
        }
        self.over.clone().expect("was just filled")
    }

    /// Numbers `records` records of `topic`, and gives the first of their numbers.
    pub(super) fn number(&mut self, topic: &Topic, records: u32) -> u64 {
        let next = &mut self.next[topic.id as usize];
        let first = *next;
        *next += u64::from(records);
        first
    }

    fn add(&mut self, name: Option<RecordTopic>) -> Arc<Topic> {
        let id = u32::try_from(self.next.len()).expect("the limit is far below");
        self.next.push(0);
        Arc::new(Topic { id, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_counts_for_itself() {
        let mut topics = Topics::new(10);
        let (a, b) = (topics.get(b"a"), topics.get(b"b"));
        assert_eq!(topics.number(&a, 3), 0);
        assert_eq!(topics.number(&b, 1), 0);
        assert_eq!(topics.number(&topics.by_name[&RecordTopic::new(b"a")].clone(), 1), 3);
        assert_eq!(topics.get(b"a"), a);
    }

    #[test]
    fn topics_over_the_limit_are_one() {
        let mut topics = Topics::new(1);
        let a = topics.get(b"a");
        let (b, c) = (topics.get(b"b"), topics.get(b"c"));
        assert_eq!(b, c);
        assert_eq!(b.name, None);
        assert_eq!(topics.get(b"a"), a);
        assert_eq!((topics.number(&b, 2), topics.number(&c, 2)), (0, 2));
    }
}
