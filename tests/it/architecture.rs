//! The house stays as it was drawn: which room may know which, and how large a file may be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::repository;

/// For each room of `src`, the rooms that it may name as `crate::room`. A room that is not here is not in the house:
/// draw it here first. An edge more is a decision, and a commit of its own.
const EDGES: &[(&str, &[&str])] = &[
    // Nouns: they know nobody.
    ("record", &[]),
    ("ocf", &["record"]),
    // What errors of a listener mean.
    ("accept", &[]),
    // What several rooms need of the file system.
    ("disk", &[]),
    ("socket_file", &[]),
    // When to do something: who waits knows nobody.
    ("pause", &[]),
    // The one HTTP client, and who asks again and again, which is logged within a budget.
    ("dcos", &["record", "disk", "pause", "telemetry"]),
    ("telemetry", &["record", "pause"]),
    // The line, left to right. Stages may register metrics.
    ("enrich", &["record", "ocf", "dcos", "telemetry"]),
    ("spool", &["record", "ocf", "telemetry"]),
    (
        "input",
        &[
            "record",
            "ocf",
            "enrich",
            "spool",
            "dcos",
            "control",
            "telemetry",
            "accept",
            "socket_file",
            "pause",
        ],
    ),
    ("output", &["record", "ocf", "spool", "dcos", "control", "telemetry", "disk", "socket_file", "pause"]),
    // What an operator may ask: plain snapshots, which the stages fill.
    ("control", &["record", "spool"]),
    ("http", &["accept", "control", "record", "telemetry"]),
    // The key table makes each stage's settings.
    ("config", &["dcos", "enrich", "http", "input", "ocf", "output", "record", "spool", "telemetry"]),
];

/// Rooms that put the others together; they may name any, but for those listed.
const ANY_BUT: &[(&str, &[&str])] =
    &[("app", &[]), ("cli", &["http"]), ("demo", &[]), ("sample_producer", &["http"])];

/// Most lines of a file, its tests not counted.
const LINES_MAX: usize = 400;

/// A source file: its path below `src`, and its text before the tests.
struct Source {
    path: PathBuf,
    text: String,
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Every file of `src` but those that are tests as a whole.
fn sources() -> Vec<Source> {
    let src = repository("src");
    let is_test =
        |path: &Path| path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "tests.rs");
    let found: Vec<Source> = rust_files(&src)
        .into_iter()
        .map(|file| Source {
            text: before_tests(&read(&file)),
            path: file.strip_prefix(&src).unwrap().to_owned(),
        })
        .filter(|source| !is_test(&source.path))
        .collect();
    assert!(found.iter().any(|s| s.path == Path::new("lib.rs")), "src is not where it was");
    found
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Up to the `#[cfg(test)]` of an inline test module; one that stands before something else does not end the text.
fn before_tests(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_test_module = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].trim() == "mod tests {";
    let end = lines.windows(2).position(is_test_module).unwrap_or(lines.len());
    lines[..end].join("\n")
}

/// `text` without its comments.
fn code_of(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect()
}

/// The rooms that `text` names as `crate::room`, also in `use crate::{a, b::c}`.
fn named_rooms(text: &str) -> BTreeSet<String> {
    let code = code_of(text);
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            Some(group) => rooms.extend(first_level(group).into_iter().map(|path| head(&path))),
            None => _ = rooms.insert(head(after)),
        }
    }
    rooms
}

/// The paths between the commas of a `use` group, up to its closing brace.
fn first_level(group: &str) -> Vec<String> {
    let (mut paths, mut depth) = (vec![String::new()], 0);
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            '{' => depth += 1,
            ',' if depth == 0 => paths.push(String::new()),
            _ if depth == 0 => paths.last_mut().expect("never empty").push(c),
            _ => {}
        }
    }
    paths.retain(|path| !path.trim().is_empty());
    paths
}

/// The first name of a path.
fn head(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The room that a file is part of; none for `lib.rs` and the programs' own files.
fn room(path: &Path) -> Option<String> {
    let first = path.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main", "bin"].contains(&name)).then(|| name.to_owned())
}

/// Why `room` may not name `other`, if so.
fn objection(room: &str, other: &str) -> Option<String> {
    let row = |table: &'static [(&str, &[&'static str])]| {
        table.iter().find(|(name, _)| *name == room).map(|(_, others)| others.contains(&other))
    };
    let allowed = match (row(EDGES), row(ANY_BUT)) {
        (Some(listed), _) => listed,
        (None, Some(listed)) => !listed,
        (None, None) => return Some(format!("{room} is not in the table of rooms")),
    };
    (room != other && !allowed).then(|| format!("{room} may not know {other}"))
}

/// How far up the longest chain of `super::` in `text` goes.
fn steps_up(text: &str) -> usize {
    let chain =
        |at: usize| text[at..].split("super::").skip(1).take_while(|after| after.is_empty()).count() + 1;
    text.match_indices("super::").map(|(at, _)| chain(at)).max().unwrap_or(0)
}

fn check(fault: impl Fn(&Source) -> Vec<String>) {
    let faults: Vec<String> = sources()
        .iter()
        .flat_map(|source| fault(source).into_iter().map(|f| format!("src/{}: {f}", source.path.display())))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn rooms_know_only_whom_they_may() {
    check(|source| {
        let Some(room) = room(&source.path) else { return Vec::new() };
        // The room itself among them, so that one without edges has to be in the table, too.
        let mut named = named_rooms(&source.text);
        named.insert(room.clone());
        named.iter().filter_map(|other| objection(&room, other)).collect()
    });
}

#[test]
fn nobody_leaves_a_room_by_the_window() {
    check(|source| {
        if room(&source.path).is_none() {
            return Vec::new();
        }
        // `super::` of a room's own file is the crate: such an edge has to be written as `crate::`.
        let is_module_file = source.path.ends_with("mod.rs");
        let depth = source.path.components().count() - 1 - usize::from(is_module_file);
        if steps_up(&code_of(&source.text)) > depth {
            vec!["`super::` leads out of the room".to_owned()]
        } else {
            Vec::new()
        }
    });
}

#[test]
fn the_map_holds_no_code() {
    let map = code_of(&read(&repository("src/lib.rs")));
    let is_map =
        |line: &&str| line.trim().is_empty() || line.starts_with("pub mod ") || line.starts_with("mod ");
    let code: Vec<&str> = map.lines().filter(|line| !is_map(line)).collect();
    assert_eq!(code, Vec::<&str>::new());
}

#[test]
fn unsafe_code_is_where_the_map_says() {
    const PLACES: [&str; 4] =
        ["output/kafka/lend.rs", "output/partner/queued.rs", "input/low_water.rs", "app/pages.rs"];
    check(|source| {
        let code = code_of(&source.text);
        let is_unsafe = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern"]
            .iter()
            .any(|form| code.contains(form));
        let may_be = PLACES.iter().any(|place| source.path.ends_with(place));
        if is_unsafe == may_be {
            Vec::new()
        } else {
            vec![format!("unsafe code: {is_unsafe}, on the map: {may_be}")]
        }
    });
}

#[test]
fn files_stay_small() {
    check(|source| {
        let n = source.text.lines().count();
        (n > LINES_MAX)
            .then(|| format!("{n} lines before its tests; {LINES_MAX} are the most"))
            .into_iter()
            .collect()
    });
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let silent: Vec<PathBuf> = ["src", "tests", "benches"]
        .iter()
        .map(|folder| repository(folder))
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| rust_files(&folder))
        .filter(|file| !read(file).starts_with("//! "))
        .collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}

#[test]
fn the_reader_of_edges_reads_every_spelling() {
    for (text, expected) in [
        ("use crate::spool;", &["spool"][..]),
        ("use crate::{enrich, ocf::{self, Walk}, spool::Spool};", &["enrich", "ocf", "spool"]),
        ("use crate::{\n    input,\n    http::Config,\n};", &["http", "input"]),
        ("fn f(x: crate::http::Config) {}", &["http"]),
        ("pub(in crate::output) fn f() {}", &["output"]),
        ("//! See [`crate::http`].", &[]),
        ("pub(crate) fn f() {} // use crate::http;", &[]),
    ] {
        let named = named_rooms(text);
        assert_eq!(named.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{text}");
    }
    for (text, expected) in [("a::b", 0), ("super::a", 1), ("use super::super::a; super::b", 2)] {
        assert_eq!(steps_up(text), expected, "{text}");
    }
    assert_eq!(
        before_tests("a\n#[cfg(test)]\nmod testing;\nb\n#[cfg(test)]\nmod tests {\nc"),
        "a\n#[cfg(test)]\nmod testing;\nb"
    );
    assert_eq!(objection("http", "input").as_deref(), Some("http may not know input"));
    assert_eq!(objection("cli", "http").as_deref(), Some("cli may not know http"));
    assert_eq!(objection("attic", "attic").as_deref(), Some("attic is not in the table of rooms"));
    assert_eq!(objection("http", "control"), None);
}
