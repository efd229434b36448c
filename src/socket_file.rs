//! A unix socket to listen at, and its file: taken over where a process left it behind, never where it may be in use.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// The unix socket and its file, which is removed in the end.
#[derive(Debug)]
pub struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
}

impl SocketFile {
    /// Listens at `path`. A file that an earlier process left is replaced; one that somebody listens at is not.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(path: &Path) -> io::Result<SocketFile> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if !is_left_behind(path).await {
                    return Err(error);
                }
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => UnixListener::bind(path)?,
                }
            }
            result => result?,
        };
        // As open to local processes as the TCP port is.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(SocketFile { listener, path: path.to_owned() })
    }

    /// The next connection. Cancel safe.
    ///
    /// # Errors
    /// What the system says.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the file is a socket that nobody listens at, or is gone by now. Never a file of somebody's; and a socket that
/// cannot be reached, such as one whose queue is full or that we may not use, may well be listened at.
async fn is_left_behind(path: &Path) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => return false,
        _ => {}
    }
    let connected = UnixStream::connect(path).await;
    connected.is_err_and(|error| matches!(error.kind(), ConnectionRefused | NotFound))
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, SockAddr, Type};

    use super::*;

    async fn bind(path: &Path) -> Result<SocketFile, io::ErrorKind> {
        SocketFile::bind(path).await.map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_at_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let file = bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_may_be_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.sock");
        let socket = || socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let address = SockAddr::unix(&path).unwrap();
        let listener = socket();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        let check = async || assert_eq!(bind(&path).await.err(), Some(io::ErrorKind::AddrInUse));
        check().await;

        let mut waiting = Vec::new();
        let full = loop {
            let sender = socket();
            sender.set_nonblocking(true).unwrap();
            match sender.connect(&address) {
                Ok(()) => waiting.push(sender),
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(full, io::ErrorKind::WouldBlock);
        check().await;

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        check().await;
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
