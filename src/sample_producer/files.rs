//! `chunk-N.avro` files in a directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes files one after the other: N from 0, or behind the highest that is there. A file appears whole or not at
/// all, and none is ever overwritten, even with several programs writing into one directory.
#[derive(Debug)]
pub struct ChunkFiles {
    directory: PathBuf,
    next: u64,
}

impl ChunkFiles {
    /// Files in `directory`.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn new(directory: &Path) -> io::Result<ChunkFiles> {
        let mut next = 0;
        for entry in fs::read_dir(directory)? {
            if let Some(n) = entry?.file_name().to_str().and_then(number) {
                next = next.max(n.saturating_add(1));
            }
        }
        Ok(ChunkFiles { directory: directory.to_owned(), next })
    }

    /// Writes `bytes` to the next file and gives its path.
    ///
    /// # Errors
    /// The file could not be written; nothing of it is left.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<PathBuf> {
        loop {
            let path = self.directory.join(format!("chunk-{}.avro", self.next));
            let part = self.directory.join(format!(".chunk-{}.avro.part", self.next));
            // Whoever makes the part has the number. It is free only if there is no whole file of it by then.
            match OpenOptions::new().write(true).create_new(true).open(&part) {
                Ok(file) if path.try_exists()? => {
                    drop(file);
                    fs::remove_file(&part)?;
                }
                Ok(file) => {
                    if let Err(error) = fill(file, bytes).and_then(|()| fs::rename(&part, &path)) {
                        let _ = fs::remove_file(&part);
                        return Err(error);
                    }
                    self.next += 1;
                    return Ok(path);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            self.next += 1;
        }
    }
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// The N of a chunk's file name, or of its part's.
fn number(name: &str) -> Option<u64> {
    let name = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part")).unwrap_or(name);
    name.strip_prefix("chunk-")?.strip_suffix(".avro")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn numbers_go_from_0_and_on_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut files = ChunkFiles::new(directory.path()).expect("files");
        assert_eq!(files.write(b"a").expect("a file"), directory.path().join("chunk-0.avro"));
        files.write(b"b").expect("a file");
        let mut files = ChunkFiles::new(directory.path()).expect("files");
        let path = files.write(b"c").expect("a file");
        assert_eq!(fs::read(path).expect("bytes"), b"c");
        assert_eq!(names(directory.path()), ["chunk-0.avro", "chunk-1.avro", "chunk-2.avro"]);
        assert_eq!(fs::read(directory.path().join("chunk-0.avro")).expect("bytes"), b"a");
    }

    #[test]
    fn two_writers_in_one_directory_never_overwrite() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut one = ChunkFiles::new(directory.path()).expect("files");
        let mut two = ChunkFiles::new(directory.path()).expect("files");
        for i in 0..3u8 {
            one.write(&[i]).expect("a file");
            two.write(&[i + 10]).expect("a file");
        }
        let mut bytes: Vec<Vec<u8>> = names(directory.path())
            .iter()
            .map(|name| fs::read(directory.path().join(name)).expect("bytes"))
            .collect();
        bytes.sort();
        assert_eq!(bytes.concat(), [0, 1, 2, 10, 11, 12]);
    }

    #[test]
    fn another_writers_part_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut files = ChunkFiles::new(directory.path()).expect("files");
        fs::write(directory.path().join(".chunk-0.avro.part"), b"x").expect("a file");
        files.write(b"a").expect("a file");
        assert_eq!(names(directory.path()), [".chunk-0.avro.part", "chunk-1.avro"]);
    }

    #[test]
    fn a_failure_leaves_nothing_and_the_next_try_works() {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("gone");
        fs::create_dir(&inner).expect("a directory");
        let mut files = ChunkFiles::new(&inner).expect("files");
        fs::remove_dir(&inner).expect("removed");
        assert_eq!(files.write(b"a").expect_err("no directory").kind(), io::ErrorKind::NotFound);
        fs::create_dir(&inner).expect("a directory");
        assert_eq!(files.write(b"a").expect("a file"), inner.join("chunk-0.avro"));
        assert!(ChunkFiles::new(&directory.path().join("never")).is_err());
    }
}
