//! Cuts a JSON answer into the pieces that are wanted, while it comes.
//!
//! An agent with thousands of containers answers with tens of megabytes, of which little is wanted. Here no answer is
//! held whole: a [`Sink`] says of each value that it meets whether to enter it, take it or pass over it, and gets what
//! it takes as bytes. What is passed over costs a look at each byte.
//!
//! The bytes of a piece need not be good JSON or UTF-8 inside; whoever reads it finds that out, so that an odd piece
//! costs itself alone. What can be wrong here is the frame around the pieces: then the rest of the answer is lost.

use std::mem;

/// Largest piece. A larger value is passed over, and its sink hears of it.
pub const PIECE_BYTES_MAX: usize = 1 << 20;

/// Longest key that is told apart; no key that anybody wants is as long.
const KEY_BYTES_MAX: usize = 256;

/// One step on the way from the whole answer to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into an object's member of this name, as it is written.
    Member(Vec<u8>),
    /// Into an item of an array.
    Item,
}

/// What to do with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Look at what is in it, if it is an object or array; else pass over it.
    Enter,
    /// Hand it over whole.
    Take,
    /// Pass over it.
    Skip,
}

/// What wants the pieces.
pub trait Sink {
    /// What to do with the value at `path`.
    fn want(&mut self, path: &[Step]) -> Want;
    /// The value at `path`; none where it is larger than [`PIECE_BYTES_MAX`].
    fn take(&mut self, path: &[Step], piece: Option<&[u8]>);
    /// What was entered at `path` has ended.
    fn left(&mut self, _path: &[Step]) {}
}

/// The answer is no JSON. The text says where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// A byte that cannot stand where it does.
    #[error("the answer is no JSON, it begins with \"{begins}\"; check that this is a Mesos agent")]
    Byte {
        /// The first bytes of what was pushed with it.
        begins: String,
    },
    /// It ended too early.
    #[error("the answer ends in the middle; see the agent's own log for the cause")]
    Torn,
}

/// Cuts one answer.
#[derive(Debug)]
pub struct Cutter {
    path: Vec<Step>,
    /// Whether what was entered is an object, from the outermost on.
    objects: Vec<bool>,
    at: At,
    piece: Vec<u8>,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Value,
    /// A value, or the end of an empty array.
    FirstItem,
    /// A key, or the end of an empty object.
    FirstKey,
    Key,
    InKey {
        escaped: bool,
    },
    Colon,
    /// A comma or the end of what was entered.
    Behind,
    Inside(Inside),
    /// Nothing but blanks.
    End,
}

/// In the middle of a value that is not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own of the one that reads")]
struct Inside {
    takes: bool,
    too_large: bool,
    /// Objects and arrays that are open.
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// A number or a word: it ends before what follows.
    bare: bool,
}

impl Default for Cutter {
    fn default() -> Cutter {
        Cutter { path: Vec::new(), objects: Vec::new(), at: At::Value, piece: Vec::new() }
    }
}

impl Cutter {
    /// Takes the next bytes in.
    ///
    /// # Errors
    /// [`NotJson`]; nothing may be pushed then.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), NotJson> {
        let mut at = 0;
        while at < bytes.len() {
            if let At::Inside(inside) = self.at {
                at += self.inside(inside, &bytes[at..], sink);
                continue;
            }
            if let At::InKey { escaped } = self.at {
                at += self.in_key(escaped, &bytes[at..]);
                continue;
            }
            let byte = bytes[at];
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') && !self.between(byte, sink) {
                let begins = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
                return Err(NotJson::Byte { begins: begins.escape_debug().to_string() });
            }
            // A value that is taken or passed over begins with this byte.
            if !matches!(self.at, At::Inside(_)) {
                at += 1;
            }
        }
        Ok(())
    }

    /// The answer has ended.
    ///
    /// # Errors
    /// [`NotJson::Torn`] where it should not have.
    pub fn finish(mut self, sink: &mut impl Sink) -> Result<(), NotJson> {
        // A bare number as the whole answer has no end of its own.
        if let At::Inside(inside @ Inside { bare: true, .. }) = self.at
            && self.path.is_empty()
        {
            self.ended(inside, sink);
        }
        if self.at == At::End { Ok(()) } else { Err(NotJson::Torn) }
    }

    /// A byte between values. Says whether it may stand here.
    fn between(&mut self, byte: u8, sink: &mut impl Sink) -> bool {
        match (self.at, byte) {
            (At::FirstItem, b']') | (At::FirstKey, b'}') => self.leave(sink),
            (At::FirstKey | At::Key, b'"') => {
                self.path.push(Step::Member(Vec::new()));
                self.at = At::InKey { escaped: false };
            }
            (At::Behind, b',') if self.objects.last() == Some(&true) => {
                self.path.pop();
                self.at = At::Key;
            }
            (At::Colon, b':') | (At::Behind, b',') => self.at = At::Value,
            (At::Behind, b'}') if self.objects.last() == Some(&true) => {
                self.path.pop();
                self.leave(sink);
            }
            (At::Behind, b']') if self.objects.last() == Some(&false) => {
                self.leave(sink);
            }
            (At::Value | At::FirstItem, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.begin(byte, sink);
            }
            _ => return false,
        }
        true
    }

    fn begin(&mut self, byte: u8, sink: &mut impl Sink) {
        if self.objects.last() == Some(&false) {
            self.path.push(Step::Item);
        }
        let want = sink.want(&self.path);
        if want == Want::Enter && matches!(byte, b'{' | b'[') {
            self.objects.push(byte == b'{');
            self.at = if byte == b'{' { At::FirstKey } else { At::FirstItem };
            return;
        }
        self.piece.clear();
        self.at = At::Inside(Inside {
            takes: want == Want::Take,
            too_large: false,
            depth: 0,
            in_text: false,
            escaped: false,
            bare: !matches!(byte, b'{' | b'[' | b'"'),
        });
    }

    fn leave(&mut self, sink: &mut impl Sink) {
        self.objects.pop();
        sink.left(&self.path);
        self.behind();
    }

    /// Behind a value.
    fn behind(&mut self) {
        match self.objects.last() {
            None => self.at = At::End,
            Some(true) => self.at = At::Behind,
            Some(false) => {
                self.path.pop();
                self.at = At::Behind;
            }
        }
    }

    /// Goes on in a key. Says how many bytes that took.
    fn in_key(&mut self, escaped: bool, bytes: &[u8]) -> usize {
        let Some(Step::Member(key)) = self.path.last_mut() else { return 0 };
        let mut escaped = escaped;
        for (place, &byte) in bytes.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = At::Colon;
                    return place + 1;
                }
                _ => {}
            }
            if key.len() < KEY_BYTES_MAX {
                key.push(byte);
            }
        }
        self.at = At::InKey { escaped };
        bytes.len()
    }

    /// Goes on in a value that is not entered. Says how many bytes that took.
    fn inside(&mut self, mut inside: Inside, bytes: &[u8], sink: &mut impl Sink) -> usize {
        let (length, ended) = inside.scan(bytes);
        if inside.takes && !inside.too_large {
            inside.too_large = length > PIECE_BYTES_MAX - self.piece.len();
            if inside.too_large {
                self.piece = Vec::new();
            } else {
                self.piece.extend_from_slice(&bytes[..length]);
            }
        }
        if ended {
            self.ended(inside, sink);
        } else {
            self.at = At::Inside(inside);
        }
        length
    }

    fn ended(&mut self, inside: Inside, sink: &mut impl Sink) {
        if inside.takes {
            let piece = mem::take(&mut self.piece);
            sink.take(&self.path, (!inside.too_large).then_some(&piece));
            // The next piece is made in the same room.
            self.piece = piece;
        }
        self.behind();
    }
}

impl Inside {
    /// How many of the bytes belong to the value, and whether it ends with them.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_text {
                if self.escaped {
                    self.escaped = false;
                    at += 1;
                    continue;
                }
                let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else { break };
                at += found + 1;
                if bytes[at - 1] == b'\\' {
                    self.escaped = true;
                    continue;
                }
                self.in_text = false;
                if self.depth == 0 {
                    return (at, true);
                }
                continue;
            }
            match bytes[at] {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r' if self.bare => return (at, true),
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        (bytes.len(), false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Takes the items of `items` and the member `id`, as the readers of an agent's answers do.
    #[derive(Default, Debug, PartialEq)]
    struct Items(Vec<String>);

    impl Sink for Items {
        fn want(&mut self, path: &[Step]) -> Want {
            match path {
                [] => Want::Enter,
                [Step::Member(name)] if name == b"items" => Want::Enter,
                [Step::Member(name)] if name == b"id" => Want::Take,
                [Step::Member(name), Step::Item] if name == b"items" => Want::Take,
                _ => Want::Skip,
            }
        }

        fn take(&mut self, path: &[Step], piece: Option<&[u8]>) {
            let piece = piece.map_or("too large".into(), String::from_utf8_lossy);
            self.0.push(format!("{}:{piece}", path.len()));
        }

        fn left(&mut self, path: &[Step]) {
            self.0.push(format!("{} left", path.len()));
        }
    }

    fn cut(bytes: &[u8], step: usize) -> (Items, Result<(), NotJson>) {
        let (mut cutter, mut items) = (Cutter::default(), Items::default());
        for chunk in bytes.chunks(step) {
            if let Err(error) = cutter.push(chunk, &mut items) {
                return (items, Err(error));
            }
        }
        let result = cutter.finish(&mut items);
        (items, result)
    }

    fn check(text: &str, expected: &[&str]) {
        for step in [1, 2, 3, 1000] {
            let (items, result) = cut(text.as_bytes(), step);
            assert_eq!(
                (items.0.as_slice(), result),
                (&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..], Ok(())),
                "{text} by {step}"
            );
        }
    }

    #[test]
    fn what_is_wanted_is_handed_over_and_the_rest_is_not() {
        check(
            r#" {"a": {"items": [1]}, "items": [ {"b": "]}\"", "c": []}, 7 ,"x,y", null], "id": "i", "z": -1.5e3} "#,
            &[r#"2:{"b": "]}\"", "c": []}"#, "2:7", r#"2:"x,y""#, "2:null", "1 left", r#"1:"i""#, "0 left"],
        );
        check(r#"{"items":[]}"#, &["1 left", "0 left"]);
        check(r#"{"items":{"id":"other"}}"#, &["1 left", "0 left"]);
        check(r#"{"items":5,"id":[{}]}"#, &["1:[{}]", "0 left"]);
        check("{}", &["0 left"]);
        for other in ["[]", "[1,[2],{\"items\":[3]}]"] {
            check(other, &["0 left"]);
        }
        for bare in ["1", "null", "\"items\""] {
            check(bare, &[]);
        }
    }

    #[test]
    fn what_is_no_json_is_named_and_what_came_before_counts() {
        for (text, expected) in [
            ("<html>", "begins with \"<html>\""),
            ("", "in the middle"),
            ("{", "in the middle"),
            (r#"{"items":[1,"#, "in the middle"),
            (r#"{"items":[1}"#, "no JSON"),
            (r#"{"items":[1]]"#, "no JSON"),
            (r#"{"items" 1}"#, "no JSON"),
            ("{} {}", "no JSON"),
            ("{,}", "no JSON"),
        ] {
            let error = cut(text.as_bytes(), 1000).1.expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert_eq!(cut(br#"{"items":[1,2,"#, 5).0.0, ["2:1", "2:2"]);
    }

    #[test]
    fn a_piece_over_the_limit_costs_itself_alone() {
        let text = format!(r#"{{"items":["{}",1]}}"#, "x".repeat(PIECE_BYTES_MAX));
        for step in [1000, 1 << 22] {
            assert_eq!(cut(text.as_bytes(), step).0.0[..2], ["2:too large", "2:1"]);
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],:]{0,6}".prop_map(Value::from),
        ];
        let key = prop_oneof![Just("items".to_owned()), Just("id".to_owned()), "[a-z\"\\\\]{0,3}"];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn pieces_are_what_a_reader_of_the_whole_finds(value in json(), step in 1usize..20) {
            let text = value.to_string();
            let (items, result) = cut(text.as_bytes(), step);
            prop_assert_eq!(result, Ok(()));
            let found: Vec<Value> =
                items.0.iter().filter_map(|line| serde_json::from_str(line.strip_prefix("2:")?).ok()).collect();
            let expected = value["items"].as_array().cloned().unwrap_or_default();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..100), step in 1usize..20) {
            let _ = cut(&bytes, step);
        }

        #[test]
        fn any_text_of_brackets_is_borne(text in "[\\[\\]{}\",:0a\\\\ ]{0,60}", step in 1usize..20) {
            let _ = cut(text.as_bytes(), step);
        }
    }
}
