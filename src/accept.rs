//! What it means where a connection cannot be accepted: that one connection is lost, or that none can be had for now.

use std::io;

/// Whether the next connection may well fare better: the errors that accept(2) passes on from the one at hand. EPERM is none
/// of them: who forbids a connection may do so before it is taken from the queue, and it would come again at once.
#[must_use]
pub fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EINTR
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
                | libc::ETIMEDOUT
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_one_connection_are_passed_over_at_once() {
        let cases = [
            (libc::ECONNABORTED, true),
            (libc::ENETDOWN, true),
            (libc::EPROTO, true),
            (libc::EPERM, false),
            (libc::EINTR, true),
            (libc::EMFILE, false),
            (libc::ENFILE, false),
            (libc::ENOBUFS, false),
            (libc::ENOMEM, false),
            (libc::EBADF, false),
            (libc::EINVAL, false),
        ];
        for (code, expected) in cases {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(is_about_one_connection(&error), expected, "{error}");
        }
        assert!(!is_about_one_connection(&io::Error::other("no code")));
    }
}
