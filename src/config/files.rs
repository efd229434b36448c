//! Files that keys name and whose contents count: certificates, keys, tokens, accounts. They are renewed under the same
//! name, so that what is in them is known again.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::secret_file;
use super::stages::Builder;
use crate::record::Fingerprint;

/// Far more than any bundle of certificates has. What is behind is not looked at.
const BYTES_MAX: u64 = 16 << 20;

/// A file, as it was read last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The key whose value, or whose default, it is.
    pub key: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// What was in it; none where it was not there, or could not be read.
    pub contents: Option<Fingerprint>,
}

impl NamedFile {
    /// Those of `now` that have other contents than they had in `before`.
    pub(super) fn renewed<'a>(before: &[NamedFile], now: &'a [NamedFile]) -> Vec<&'a NamedFile> {
        let is_renewed = |file: &&NamedFile| {
            let known = before.iter().find(|known| known.key == file.key && known.path == file.path);
            known.is_some_and(|known| known.contents != file.contents)
        };
        now.iter().filter(is_renewed).collect()
    }
}

impl Builder<'_> {
    /// Notes what is in the file that is named by `key`.
    pub(super) fn note_file(&mut self, key: &'static str, path: &Path) -> Option<Fingerprint> {
        let contents = read(path);
        self.files.push(NamedFile { key, path: path.to_owned(), contents });
        contents
    }
}

fn read(path: &Path) -> Option<Fingerprint> {
    let mut bytes = Vec::new();
    secret_file::open(path).ok()?.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(Fingerprint::of(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_renewed_by_what_is_in_it_and_not_by_its_name() {
        let file = |key, path: &str, contents: Option<&[u8]>| NamedFile {
            key,
            path: path.into(),
            contents: contents.map(Fingerprint::of),
        };
        let before = [file("a", "/1", Some(b"x")), file("b", "/2", None), file("c", "/3", Some(b"y"))];
        let now = [
            file("a", "/1", Some(b"z")),
            file("b", "/2", Some(b"x")),
            file("c", "/4", Some(b"z")),
            file("d", "/5", Some(b"z")),
        ];
        let renewed = NamedFile::renewed(&before, &now);
        assert_eq!(renewed.iter().map(|file| file.key).collect::<Vec<_>>(), ["a", "b"]);
        assert!(NamedFile::renewed(&now, &now).is_empty());
    }
}
