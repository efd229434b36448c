//! `SIOCOUTQ` (tcp(7)): what a socket has taken that the other side has not. No safe interface to it is known.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Bytes that were written to `socket` and are still on its side: of TCP those that are not acknowledged, of a unix socket what
/// the system keeps for those that are not read.
///
/// # Errors
/// What the system says.
pub(super) fn bytes(socket: &impl AsFd) -> io::Result<usize> {
    let mut queued: c_int = 0;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the socket is open for as long as it is borrowed, and the answer is an int, whose address it is given. The
    // number of SIOCOUTQ is that of TIOCOUTQ.
    let result = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut queued) };
    if result == 0 { Ok(usize::try_from(queued).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}
