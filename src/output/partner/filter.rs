//! Which records a partner wants: globs over topic, framework and tags. Decides, does nothing.
//!
//! What others write, on both sides, costs little: a comparison takes time in proportion to the text, whatever the glob is,
//! and a text that is longer than any name should be is only what `*` stands for.

use memchr::memmem;

pub use crate::control::{GLOB_BYTES_MAX, GLOBS_MAX};
use crate::ocf;

/// A topic or a value of a tag that is longer matches no glob but `*`.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Most stars of a glob, and longest stretch between two of them that may have a `?`: what is kept for a partner is bounded,
/// however many there are.
const STARS_MAX: usize = 8;
/// As above.
const MASKED_BYTES_MAX: usize = u16::BITS as usize;

/// A pattern over bytes: `*` stands for any number of them, `?` for one, all else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// What stands before the first star, and behind the last one. Without a star the first is all.
    begin: Vec<u8>,
    end: Option<Vec<u8>>,
    /// What stands between stars.
    middle: Vec<Stretch>,
}

/// Bytes between two stars.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stretch {
    Plain(Vec<u8>),
    Masked(Masked),
}

/// A stretch with a `?`. For each byte of the text one bit for each place of the stretch says whether the text so far ends
/// with the stretch up to there (the shift-and method).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Masked {
    /// The bytes that stand in it, and their places.
    places: Vec<(u8, u16)>,
    /// The places of `?`.
    any: u16,
    len: usize,
}

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
    /// One glob.
    #[error("\"{0}\" has more than {STARS_MAX} stars")]
    TooManyStars(String),
    /// One glob.
    #[error("\"{0}\" has more than {MASKED_BYTES_MAX} bytes between two stars, with a ? among them")]
    TooManyMasked(String),
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
        let shown = || text.chars().take(32).collect::<String>() + "...";
        if text.len() > GLOB_BYTES_MAX {
            return Err(BadFilter::TooLong(shown()));
        }
        let mut stretches: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b'*').collect();
        if stretches.len() > STARS_MAX + 1 {
            return Err(BadFilter::TooManyStars(shown()));
        }
        let begin = stretches.remove(0).to_vec();
        let end = stretches.pop().map(<[u8]>::to_vec);
        let middle = stretches.into_iter().filter(|stretch| !stretch.is_empty()).map(|stretch| {
            Ok(match memchr::memchr(b'?', stretch) {
                None => Stretch::Plain(stretch.to_vec()),
                Some(_) if stretch.len() > MASKED_BYTES_MAX => return Err(BadFilter::TooManyMasked(shown())),
                Some(_) => Stretch::Masked(Masked::new(stretch)),
            })
        });
        Ok(Glob { begin, end, middle: middle.collect::<Result<_, _>>()? })
    }

    /// Whether all of `text` is what the pattern stands for.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let Some(end) = &self.end else {
            return text.len() == self.begin.len() && fits(&self.begin, text);
        };
        let is_any = self.begin.is_empty() && end.is_empty() && self.middle.is_empty();
        if is_any || text.len() > TEXT_BYTES_MAX {
            return is_any;
        }
        let Some(left) = text.len().checked_sub(self.begin.len() + end.len()) else { return false };
        let (begin, rest) = text.split_at(self.begin.len());
        let (mut rest, tail) = rest.split_at(left);
        if !fits(&self.begin, begin) || !fits(end, tail) {
            return false;
        }
        // The first place that fits leaves most for those behind it.
        self.middle.iter().all(|stretch| {
            let behind = stretch.behind_first(rest);
            rest = behind.map_or(rest, |at| &rest[at..]);
            behind.is_some()
        })
    }
}

/// Whether a text of the same length fits to a stretch.
fn fits(stretch: &[u8], text: &[u8]) -> bool {
    stretch.iter().zip(text).all(|(wanted, byte)| wanted == byte || *wanted == b'?')
}

impl Stretch {
    /// Where the first place ends at which `text` has it.
    fn behind_first(&self, text: &[u8]) -> Option<usize> {
        match self {
            Stretch::Plain(bytes) => memmem::find(text, bytes).map(|at| at + bytes.len()),
            Stretch::Masked(masked) => masked.behind_first(text),
        }
    }
}

impl Masked {
    fn new(stretch: &[u8]) -> Masked {
        let mut masked = Masked { places: Vec::new(), any: 0, len: stretch.len() };
        for (at, byte) in stretch.iter().enumerate() {
            let place = 1 << at;
            if *byte == b'?' {
                masked.any |= place;
            } else {
                match masked.places.binary_search_by_key(byte, |(known, _)| *known) {
                    Ok(index) => masked.places[index].1 |= place,
                    Err(index) => masked.places.insert(index, (*byte, place)),
                }
            }
        }
        masked
    }

    fn behind_first(&self, text: &[u8]) -> Option<usize> {
        let (last, mut ends) = (1 << (self.len - 1), 0);
        text.iter()
            .position(|byte| {
                let known = self.places.binary_search_by_key(byte, |(known, _)| *known);
                let places = self.any | known.map_or(0, |index| self.places[index].1);
                ends = (ends << 1 | 1) & places;
                ends & last != 0
            })
            .map(|at| at + 1)
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
    use proptest::prelude::*;

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
            ("a*a", "a", false),
            ("*?b*", "b", false),
        ] {
            assert_eq!(Glob::new(glob).unwrap().matches(text.as_bytes()), expected, "{glob} {text}");
        }
    }

    /// What a glob means, without a thought of time.
    fn means(glob: &[u8], text: &[u8]) -> bool {
        match (glob.split_first(), text.split_first()) {
            (None, _) => text.is_empty(),
            (Some((b'*', rest)), _) => (0..=text.len()).any(|at| means(rest, &text[at..])),
            (Some((wanted, glob)), Some((byte, text))) => {
                (wanted == byte || *wanted == b'?') && means(glob, text)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_what_it_means(glob in "[ab?*]{0,8}", text in "[abc]{0,12}") {
            let matches = Glob::new(&glob).unwrap().matches(text.as_bytes());
            prop_assert_eq!(matches, means(glob.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn a_text_that_is_no_name_is_only_what_a_star_stands_for() {
        let matches = |glob: &str, bytes| Glob::new(glob).unwrap().matches(&vec![b'a'; bytes]);
        assert!(matches("a*", TEXT_BYTES_MAX) && !matches("a*", TEXT_BYTES_MAX + 1));
        assert!(matches("*", TEXT_BYTES_MAX + 1) && matches("**", TEXT_BYTES_MAX + 1));
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
        check(&["a=".to_owned() + &"*x".repeat(9)], "more than 8 stars");
        check(&[format!("a=*{}?*", "x".repeat(16))], "more than 16 bytes between");
        check(&vec!["a=b".to_owned(); 17], "more than 16");
    }
}
