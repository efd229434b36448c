//! Small files that outlive the process: read whole, and replaced whole.
//!
//! A file is replaced by rename, so that a crash leaves the old one or the new one. One that is not what we wrote is set
//! aside and told of, never a reason not to start. A disk that does not answer costs its patience and no more.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a disk may take. What is on it is never worth standing still for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is said of a disk that takes longer.
pub const NO_ANSWER: &str = "it does not answer";

/// The bytes of a file, at most `bytes_max` and one more; none where there is no such file.
///
/// # Errors
/// What the system says.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the file `name` in `folder`, which is made where it is missing. `mode` is what the file's owner, group and
/// others may do.
///
/// # Errors
/// What the system says; the old file is there then.
pub fn replace(folder: &Path, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let new = folder.join(format!("{name}.new"));
    // One that a crash left may have another mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Tries whether files can be kept in `folder`, which is made where it is missing.
///
/// # Errors
/// What the system says.
pub fn try_out(folder: &Path) -> io::Result<()> {
    const FILE: &str = "try";
    replace(folder, FILE, b"", 0o600)?;
    fs::remove_file(folder.join(FILE))
}

/// Gives a file that is not what we wrote another name, so that it is told of once and can be looked at. Where that cannot
/// be done, the next [`replace`] puts an end to it.
#[must_use]
pub fn set_aside(folder: &Path, name: &str) -> PathBuf {
    let aside = folder.join(format!("{name}.damaged"));
    _ = fs::rename(folder.join(name), &aside);
    aside
}

/// Does `work` on a thread that may wait; none where it takes too long, or fails. It may then still be done some time.
pub async fn patiently<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    within(PATIENCE, work).await
}

/// Does `work` on a thread that may wait, however long it takes; none where it fails. `slow` is called once it takes too long.
/// Whoever does one thing after the other this way never has two threads that wait for a disk.
pub async fn to_the_end<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    slow: impl FnOnce(),
) -> Option<T> {
    to_its_end(PATIENCE, work, slow).await
}

async fn to_its_end<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
    slow: impl FnOnce(),
) -> Option<T> {
    let mut working = tokio::task::spawn_blocking(work);
    let done = if let Ok(done) = tokio::time::timeout(patience, &mut working).await {
        done
    } else {
        slow();
        working.await
    };
    done.ok()
}

async fn within<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    tokio::time::timeout(patience, tokio::task::spawn_blocking(work)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_lying_about() {
        let folder = tempfile::tempdir().unwrap();
        // It makes the folder, too.
        let folder = folder.path().join("new");
        let path = folder.join("x");
        assert_eq!(read(&path, 10).unwrap(), None);
        for (text, mode) in [("one", 0o644), ("two", 0o600)] {
            replace(&folder, "x", text.as_bytes(), mode).unwrap();
            assert_eq!(read(&path, 10).unwrap().unwrap(), text.as_bytes());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(read(&path, 1).unwrap().unwrap().len(), 2, "one more than it may be");
    }

    #[test]
    fn what_a_crash_left_does_not_decide_who_may_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.new"), "half").unwrap();
        replace(folder.path(), "x", b"whole", 0o600).unwrap();
        let mode = fs::metadata(folder.path().join("x")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn whether_files_can_be_kept_is_tried_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new");
        try_out(&new).unwrap();
        assert_eq!(fs::read_dir(&new).unwrap().count(), 0);
        fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(try_out(&folder.path().join("file")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_damaged_file_has_another_name_then() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), "?").unwrap();
        let aside = set_aside(folder.path(), "x");
        assert_eq!((fs::read(&aside).unwrap(), folder.path().join("x").exists()), (b"?".to_vec(), false));
    }

    #[tokio::test]
    async fn a_disk_that_does_not_answer_is_left_alone() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(10), move || ended.recv().is_ok()).await, None);
        drop(end);
        assert_eq!(patiently(|| 1).await, Some(1));
    }

    #[tokio::test]
    async fn what_takes_long_is_told_once_and_waited_for() {
        let (end, ended) = std::sync::mpsc::channel::<u8>();
        let slow = || end.send(1).unwrap();
        assert_eq!(to_its_end(Duration::from_millis(10), move || ended.recv().unwrap(), slow).await, Some(1));
        assert_eq!(to_the_end(|| 2, || panic!("it is quick")).await, Some(2));
    }
}
