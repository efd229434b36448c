//! Values that are read from JSON whatever it is: what does not fit is as good as not there.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text; none where the JSON is anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Option<Cow<'a, str>>);

/// The items that fit; none where the JSON is no array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

/// What an object holds; none where the JSON is no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maybe<T>(pub Option<T>);

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List(Vec::new())
    }
}

impl<T> Default for Maybe<T> {
    fn default() -> Maybe<T> {
        Maybe(None)
    }
}

/// A piece of an answer as text. It is not always UTF-8: the agent cuts an executor's name in the middle of a character.
#[must_use]
pub fn text_of(piece: &[u8]) -> Cow<'_, str> {
    // Many times as fast as the search for what is wrong, and nearly always enough.
    std::str::from_utf8(piece).map_or_else(|_| String::from_utf8_lossy(piece), Cow::Borrowed)
}

/// Longest id or name; Mesos makes folders of most of them, whose names are no longer than a quarter of this.
const NAME_BYTES_MAX: usize = 1024;

impl<'a> Text<'a> {
    /// The text, if there is one that can be an id or a name: it is neither empty nor endless.
    pub fn some(self) -> Option<Cow<'a, str>> {
        self.0.filter(|text| !text.is_empty() && text.len() <= NAME_BYTES_MAX)
    }
}

/// A value of one shape of JSON. Of all others it is the default.
trait Shape<'de>: Default {
    fn of_text(_: Cow<'de, str>) -> Self {
        Self::default()
    }

    fn of_array<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn of_object<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

impl<'de: 'a, 'a> Shape<'de> for Text<'a> {
    fn of_text(text: Cow<'de, str>) -> Text<'a> {
        Text(Some(text))
    }
}

impl<'de, T: Deserialize<'de>> Shape<'de> for List<T> {
    fn of_array<A: SeqAccess<'de>>(mut items: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(List(list))
    }
}

impl<'de, T: Deserialize<'de>> Shape<'de> for Maybe<T> {
    fn of_object<A: MapAccess<'de>>(members: A) -> Result<Maybe<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(|value| Maybe(Some(value)))
    }
}

/// Takes any JSON.
struct Any<S>(PhantomData<S>);

impl<'de, S: Shape<'de>> Visitor<'de> for Any<S> {
    type Value = S;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<S, E> {
        Ok(S::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<S, E> {
        Ok(S::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<S, E> {
        Ok(S::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<S, E> {
        Ok(S::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<S, E> {
        Ok(S::default())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<S, E> {
        Ok(S::of_text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<S, E> {
        Ok(S::of_text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<S, A::Error> {
        S::of_array(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<S, A::Error> {
        S::of_object(members)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Maybe<T>, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}
