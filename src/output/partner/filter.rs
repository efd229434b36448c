//! Which records a partner wants: globs over topic, framework and tags. Decides, does nothing.

use crate::ocf;

/// Longest glob, and most of them in a list: what a partner may have us compare for each record.
pub const GLOB_BYTES_MAX: usize = 256;
/// As above.
pub const GLOBS_MAX: usize = 16;

/// A pattern over bytes: `*` stands for any number of them, `?` for one, all else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<u8>);

/// What a partner wants. An empty list wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    topics: Vec<Glob>,
    frameworks: Vec<Glob>,
    tags: Vec<(Vec<u8>, Glob)>,
}

/// Why a filter is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// One glob.
    #[error("\"{0}\" has more than {GLOB_BYTES_MAX} bytes")]
    TooLong(String),
    /// One list.
    #[error("there are more than {GLOBS_MAX} globs in a list")]
    TooMany,
    /// One of the tags.
    #[error("\"{0}\" is not of the form key=glob")]
    NoTag(String),
}

impl Glob {
    /// A glob of this text.
    fn new(text: &str) -> Result<Glob, BadFilter> {
        if text.len() > GLOB_BYTES_MAX {
            let shown = text.chars().take(32).collect::<String>() + "...";
            return Err(BadFilter::TooLong(shown));
        }
        Ok(Glob(text.as_bytes().to_vec()))
    }

    /// Whether all of `text` is what the pattern stands for. Takes at most pattern times text steps.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let pattern = &self.0;
        let (mut p, mut t) = (0, 0);
        // Where to go on if what follows the last star does not fit: the star takes one byte more.
        let mut star = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(b'?') => (p, t) = (p + 1, t + 1),
                Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
                _ => {
                    let Some((at, taken)) = star else { return false };
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

impl Filter {
    /// A filter of these globs; those of tags are `key=glob`.
    ///
    /// # Errors
    /// [`BadFilter`]
    pub fn new(topics: &[String], frameworks: &[String], tags: &[String]) -> Result<Filter, BadFilter> {
        if [topics, frameworks, tags].iter().any(|list| list.len() > GLOBS_MAX) {
            return Err(BadFilter::TooMany);
        }
        let globs = |list: &[String]| list.iter().map(|text| Glob::new(text)).collect::<Result<_, _>>();
        let tag = |text: &String| match text.split_once('=') {
            Some((key, glob)) => Ok((key.as_bytes().to_vec(), Glob::new(glob)?)),
            None => Err(BadFilter::NoTag(text.chars().take(32).collect())),
        };
        Ok(Filter {
            topics: globs(topics)?,
            frameworks: globs(frameworks)?,
            tags: tags.iter().map(tag).collect::<Result<_, _>>()?,
        })
    }

    /// Whether it wants everything.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        self.topics.is_empty() && self.frameworks.is_empty() && self.tags.is_empty()
    }

    /// Whether it may want records of this topic.
    #[must_use]
    pub fn wants_topic(&self, topic: &[u8]) -> bool {
        self.topics.is_empty() || self.topics.iter().any(|glob| glob.matches(topic))
    }

    /// Whether it wants a record, `shape` of `bytes`: its topic is one of those, a value of its `framework_name` or
    /// `framework_id` is one of those, and for each tag of the filter the record has one that matches.
    #[must_use]
    pub fn wants(&self, bytes: &[u8], shape: &ocf::Shape<'_>) -> bool {
        if !self.wants_topic(shape.topic) {
            return false;
        }
        if self.frameworks.is_empty() && self.tags.is_empty() {
            return true;
        }
        let mut framework = self.frameworks.is_empty();
        let mut found = [false; GLOBS_MAX];
        ocf::each_tag(bytes, shape, |key, value| {
            if matches!(key, b"framework_name" | b"framework_id") {
                framework = framework || self.frameworks.iter().any(|glob| glob.matches(value));
            }
            for (found, (wanted, glob)) in found.iter_mut().zip(&self.tags) {
                *found = *found || (wanted == key && glob.matches(value));
            }
        });
        framework && found[..self.tags.len()].iter().all(|found| *found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocf::encode::encode_record;
    use crate::record::{MetricList, Tag};

    #[test]
    fn globs() {
        for (glob, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("a*", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*b*b*", "abab", true),
            ("*b*b*", "ab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a]", "a", false),
            ("*aab", "aaaaab", true),
        ] {
            assert_eq!(Glob::new(glob).unwrap().matches(text.as_bytes()), expected, "{glob} {text}");
        }
        // Many stars over many bytes end soon.
        let many = Glob::new(&"*a".repeat(100)).unwrap();
        assert!(!many.matches(&[vec![b'a'; 99], vec![b'b'; 100_000]].concat()));
    }

    #[test]
    fn a_record_is_wanted_if_topic_framework_and_each_tag_fit() {
        let tag = |key: &str, value: &str| Tag::new(key, value);
        let record = MetricList {
            topic: b"agent".into(),
            tags: vec![tag("framework_id", "id-7"), tag("host", "n1"), tag("host", "n2"), tag("a=b", "c")],
            datapoints: Vec::new(),
        };
        let mut bytes = Vec::new();
        encode_record(&record, &mut bytes);
        let shape = ocf::walk(&bytes, 0).unwrap();
        let check = |topics: &[&str], frameworks: &[&str], tags: &[&str], expected: bool| {
            let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let filter = Filter::new(&owned(topics), &owned(frameworks), &owned(tags)).unwrap();
            assert_eq!(filter.wants(&bytes, &shape), expected, "{topics:?} {frameworks:?} {tags:?}");
        };
        check(&[], &[], &[], true);
        check(&["x", "ag*"], &[], &[], true);
        check(&["x"], &[], &[], false);
        check(&[], &["id-*"], &[], true);
        check(&[], &["n1"], &[], false);
        check(&[], &[], &["host=n2"], true);
        check(&[], &[], &["host=n2", "host=n1"], true);
        check(&[], &[], &["host=n2", "rack=*"], false);
        check(&["agent"], &["other"], &["host=*"], false);
    }

    #[test]
    fn what_is_no_filter_is_named() {
        let check = |tags: &[String], expected: &str| {
            let error = Filter::new(&[], &[], tags).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&["host".to_owned()], "key=glob");
        check(&[format!("a={}", "x".repeat(257))], "more than 256 bytes");
        check(&vec!["a=b".to_owned(); 17], "more than 16");
    }
}
