//! `GET_CONTAINERS` of the operator API: containers inside of containers, as those of pods.

use serde::Deserialize;

use super::answer::{Maybe, Text};
use super::state::CONTAINERS_MAX;
use crate::dcos::cut::{Sink, Step, Want};

/// What is posted.
pub(super) const REQUEST: &str =
    r#"{"type":"GET_CONTAINERS","get_containers":{"show_nested":true,"show_standalone":false}}"#;

/// One container inside of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// Its own id.
    pub id: Box<str>,
    /// Ids of those that it is in, from the outermost on; never empty.
    pub parents: Vec<Box<str>>,
}

impl Nested {
    /// All its ids with dots between, as some write it.
    #[must_use]
    pub fn dotted(&self) -> String {
        let mut text = self.parents.join(".");
        text.push('.');
        text.push_str(&self.id);
        text
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    container_id: Maybe<Id<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Id<'a> {
    #[serde(borrow)]
    value: Text<'a>,
    #[serde(borrow)]
    parent: Maybe<Box<Id<'a>>>,
}

/// Reads the nested ones among the containers.
#[derive(Debug, Default)]
pub struct NestedSink {
    /// Those that were read.
    pub nested: Vec<Nested>,
}

impl Sink for NestedSink {
    fn want(&mut self, path: &[Step]) -> Want {
        let names: [&[u8]; 2] = [b"get_containers", b"containers"];
        match path {
            [] => Want::Enter,
            [Step::Member(name)] if name == names[0] => Want::Enter,
            [Step::Member(_), Step::Member(name)] if name == names[1] => Want::Enter,
            [_, _, Step::Item] => Want::Take,
            _ => Want::Skip,
        }
    }

    fn take(&mut self, _: &[Step], piece: Option<&[u8]>) {
        let text = String::from_utf8_lossy(piece.unwrap_or_default());
        let Ok(Maybe(Some(Fields { container_id: Maybe(Some(id)) }))) = serde_json::from_str(&text) else {
            return;
        };
        let Some(own) = id.value.some() else { return };
        let mut parents = Vec::new();
        let mut above = id.parent.0;
        while let Some(parent) = above {
            parents.extend(parent.value.some().map(Box::from));
            above = parent.parent.0;
        }
        if !parents.is_empty() && self.nested.len() < CONTAINERS_MAX {
            parents.reverse();
            self.nested.push(Nested { id: own.into(), parents });
        }
    }
}
