//! `SO_RCVLOWAT` (socket(7)): from how many bytes on a socket counts as readable. No safe interface to it is known.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sets it.
///
/// # Errors
/// What the system says.
pub(super) fn set(socket: &impl AsFd, bytes: usize) -> io::Result<()> {
    let value = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    let size = size_of::<c_int>() as libc::socklen_t;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the socket is open for as long as it is borrowed, and the option's value is an int that outlives the call.
    let result = unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, (&raw const value).cast(), size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
