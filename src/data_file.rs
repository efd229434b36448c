//! A small file of the data directory, read as a whole and replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Far more than any of them has.
const BYTES_MAX: u64 = 1 << 20;

/// The file. It is replaced by rename, so that a crash leaves the old one or the new one.
#[derive(Clone, Debug)]
pub struct DataFile {
    folder: PathBuf,
    name: &'static str,
}

impl DataFile {
    /// The file of this name in `folder`, neither of which need be there.
    #[must_use]
    pub fn new(folder: &Path, name: &'static str) -> DataFile {
        DataFile { folder: folder.to_owned(), name }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// What stands in it, or its beginning, if it has more than any should; none if it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = File::open(self.path()).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a file that is not what we wrote another name, which is returned. Where it cannot be renamed, the next
    /// [`DataFile::replace`] is its end.
    #[must_use]
    pub fn set_aside(&self) -> PathBuf {
        let aside = self.folder.join(format!("{}.damaged", self.name));
        _ = fs::rename(self.path(), &aside);
        aside
    }

    /// Has `bytes` in it, on the disk, when it returns. Makes the folder where that is missing.
    ///
    /// # Errors
    /// What the system says; the old file stays then.
    pub fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let new = self.folder.join(format!("{}.new", self.name));
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.path())?;
        File::open(&self.folder)?.sync_all()
    }
}
