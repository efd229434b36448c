//! Why the server refuses: one closed list for the metric label, the code in the answer, and the tests.

use axum::http::StatusCode;

use super::code::{Code, code};
use super::guard::Access;

/// Why a connection or a request was refused. The name is the metric label and the problem's `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// As many connections are open as may be.
    ConnectionLimit,
    /// A request's header did not arrive in time.
    HeaderTimeout,
    /// The peer does not read its answer.
    WriteStalled,
    /// The connection has been open for long enough and did not end when asked to.
    ConnectionAge,
    /// What arrived is not HTTP/1.
    Malformed,
    /// Too many header fields, or too large ones.
    HeadersTooLarge,
    /// The request target is too long.
    UriTooLong,
    /// The request carries a body larger than any request may.
    BodyTooLarge,
    /// The request carries a body without saying how long it is.
    LengthRequired,
    /// An HTTP/1.1 request without a `Host`, or any with two.
    HostInvalid,
    /// The `Host` is a name, which a web page of anybody's could have pointed at this address.
    HostNotAllowed,
    /// A browser sent the request for the page of another site.
    CrossSite,
    /// The request needs the token, and has none or a wrong one.
    Unauthorized,
    /// The request needs a token, and none is configured.
    NoTokenConfigured,
    /// Nobody may write.
    WritesOff,
    /// The body of a write does not say that it is JSON.
    NotJson,
    /// The body did not arrive in time.
    BodyTimeout,
}

impl Reason {
    /// Every reason, for series that start at 0.
    pub(super) const ALL: [Reason; 17] = [
        Reason::ConnectionLimit,
        Reason::HeaderTimeout,
        Reason::WriteStalled,
        Reason::ConnectionAge,
        Reason::Malformed,
        Reason::HeadersTooLarge,
        Reason::UriTooLong,
        Reason::BodyTooLarge,
        Reason::LengthRequired,
        Reason::HostInvalid,
        Reason::HostNotAllowed,
        Reason::CrossSite,
        Reason::Unauthorized,
        Reason::NoTokenConfigured,
        Reason::WritesOff,
        Reason::NotJson,
        Reason::BodyTimeout,
    ];

    /// The metric label and the problem's `code`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Reason::ConnectionLimit => "connection_limit",
            Reason::HeaderTimeout => "header_timeout",
            Reason::WriteStalled => "write_stalled",
            Reason::ConnectionAge => "connection_age",
            Reason::Malformed => "malformed",
            Reason::HeadersTooLarge => "headers_too_large",
            Reason::UriTooLong => "uri_too_long",
            Reason::BodyTooLarge => "body_too_large",
            Reason::LengthRequired => "length_required",
            Reason::HostInvalid => "host_invalid",
            Reason::HostNotAllowed => "host_not_allowed",
            Reason::CrossSite => "cross_site",
            Reason::Unauthorized => "unauthorized",
            Reason::NoTokenConfigured => "no_token_configured",
            Reason::WritesOff => "writes_off",
            Reason::NotJson => "not_json",
            Reason::BodyTimeout => "body_timeout",
        }
    }

    /// The answer's status and code, if there is an answer.
    pub(super) fn code(self) -> Option<Code> {
        self.answer().map(|(status, _)| code(status, self.name()))
    }

    /// Whether a request that is a read or not, of a route with this access, may be refused for it with an answer.
    pub(super) fn may_refuse(self, is_read: bool, access: Access, has_body: bool) -> bool {
        match self {
            Reason::HeaderTimeout
            | Reason::WriteStalled
            | Reason::ConnectionAge
            | Reason::Malformed
            | Reason::HeadersTooLarge => false,
            Reason::ConnectionLimit
            | Reason::UriTooLong
            | Reason::BodyTooLarge
            | Reason::LengthRequired
            | Reason::HostInvalid
            | Reason::HostNotAllowed
            | Reason::CrossSite => true,
            Reason::Unauthorized | Reason::NoTokenConfigured => !is_read || access == Access::Closed,
            Reason::WritesOff | Reason::NotJson => !is_read,
            Reason::BodyTimeout => has_body,
        }
    }

    /// Status of the answer, and in one sentence what is wrong and what to do. None where we give no answer: the
    /// connection ends, some after a bare status line of hyper's, and nobody may be there to read.
    pub(super) fn answer(self) -> Option<(StatusCode, &'static str)> {
        let answer = match self {
            Reason::HeaderTimeout
            | Reason::WriteStalled
            | Reason::ConnectionAge
            | Reason::Malformed
            | Reason::HeadersTooLarge => return None,
            Reason::ConnectionLimit => (
                StatusCode::SERVICE_UNAVAILABLE,
                "as many connections are open as http-connections-max allows, and none is idle; try again",
            ),
            Reason::UriTooLong => (StatusCode::URI_TOO_LONG, "the request target is longer than 2048 bytes"),
            Reason::BodyTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "the request's body is larger than 64 KiB")
            }
            Reason::LengthRequired => {
                (StatusCode::LENGTH_REQUIRED, "a request with a body needs a Content-Length")
            }
            Reason::HostInvalid => {
                (StatusCode::BAD_REQUEST, "the request needs exactly one Host header field")
            }
            Reason::HostNotAllowed => (
                StatusCode::FORBIDDEN,
                "from this machine use http://127.0.0.1, [::1] or localhost: any web page can point a name of its \
                 own at this address, so that names are refused",
            ),
            Reason::CrossSite => (StatusCode::FORBIDDEN, "a browser sent this for the page of another site"),
            Reason::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "this needs the header field 'Authorization: Bearer <token>' with the token of http-token or \
                 http-token-file; reads at 127.0.0.1 and [::1] do not, and writes there only with \
                 http-writes = token",
            ),
            Reason::NoTokenConfigured => (
                StatusCode::FORBIDDEN,
                "this answers on the collector's machine at 127.0.0.1 and [::1] only, and with http-writes = token \
                 no write there either; to ask from another host, or at another address of this one, set \
                 http-token-file or http-token",
            ),
            Reason::WritesOff => (
                StatusCode::FORBIDDEN,
                "nothing is changed over HTTP, since http-writes is off; use the file and SIGHUP",
            ),
            Reason::NotJson => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body has to be JSON, and the field Content-Type has to say so: application/json",
            ),
            Reason::BodyTimeout => {
                (StatusCode::REQUEST_TIMEOUT, "the body did not arrive within 5 s; send it in one go")
            }
        };
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_ends_a_connection_has_no_answer_and_all_else_has_one() {
        let silent = ["header_timeout", "write_stalled", "connection_age", "malformed", "headers_too_large"];
        for reason in Reason::ALL {
            match reason.answer() {
                None => assert!(silent.contains(&reason.name()), "{reason:?}"),
                Some((status, detail)) => {
                    assert!(!silent.contains(&reason.name()), "{reason:?}");
                    assert!(status.is_client_error() || status.is_server_error(), "{reason:?}");
                    assert!(detail.len() > 10, "{reason:?}");
                }
            }
        }
    }

    #[test]
    fn names_are_unique_and_in_the_form_of_labels() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
