//! Files that keys name: are they there, and what secret or list do they hold.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::record::Secret;

/// Far more than a password or a token has.
const SECRET_BYTES_MAX: u64 = 4096;

/// Looks whether the file can be read, so that the fault comes now and not with the first connection.
///
/// # Errors
/// Why not.
pub(super) fn check_readable(path: &Path) -> Result<(), String> {
    open(path).map(drop)
}

/// Reads a text of one line.
///
/// # Errors
/// Why there is none. The text is not in it.
pub(super) fn read_secret(path: &Path) -> Result<Secret, String> {
    let mut text = String::new();
    let read = open(path)?.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text);
    // The error of a file that is no UTF-8 has no bytes of it in its text.
    read.map_err(|e| e.to_string())?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("it has more than {SECRET_BYTES_MAX} bytes"));
    }
    let text = text.trim_end();
    match text {
        "" => Err("it is empty".to_owned()),
        _ if text.chars().any(char::is_control) => Err("it has more than one line".to_owned()),
        _ => Ok(Secret::new(text.to_owned())),
    }
}

/// Longest file with a list.
const LIST_BYTES_MAX: u64 = 64 << 10;

/// Reads a list of one entry a line, or of several between commas. Empty lines and commas at the end of a line do not
/// count.
///
/// # Errors
/// Why there is none.
pub(super) fn read_lines(path: &Path) -> Result<Vec<String>, String> {
    let mut text = String::new();
    open(path)?.take(LIST_BYTES_MAX + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > LIST_BYTES_MAX {
        return Err(format!("it has more than {LIST_BYTES_MAX} bytes"));
    }
    let lines = text.lines().map(|line| line.trim().trim_end_matches(',').to_owned());
    Ok(lines.filter(|line| !line.is_empty()).collect())
}

/// Anything but a regular file is refused before it is opened: opening a pipe could wait for ever.
pub(super) fn open(path: &Path) -> Result<File, String> {
    let kind = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !kind.is_file() {
        return Err("it is no regular file".to_owned());
    }
    File::open(path).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_without_the_white_space_at_their_end() {
        let dir = tempfile::tempdir().unwrap();
        for (content, expected) in [
            ("sesame", Ok("sesame")),
            ("open sesame \r\n", Ok("open sesame")),
            ("", Err("empty")),
            ("\n\n", Err("empty")),
            ("a\nb", Err("more than one line")),
            (&"x".repeat(5000), Err("more than 4096")),
        ] {
            let path = dir.path().join("secret");
            std::fs::write(&path, content).unwrap();
            let got = read_secret(&path);
            match expected {
                Ok(text) => assert_eq!(got.unwrap().expose(), text),
                Err(why) => assert!(got.as_ref().is_err_and(|e| e.contains(why)), "{got:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check_readable(dir.path()), Err("it is no regular file".to_owned()));
        assert!(check_readable(&dir.path().join("none")).is_err_and(|e| e.contains("No such file")));
    }
}
