//! Why the server refuses: one closed list for the metric label, the code in the answer, and the tests.

use axum::http::StatusCode;

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
}

impl Reason {
    /// Every reason, for series that start at 0.
    pub(super) const ALL: [Reason; 14] = [
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
        }
    }

    /// The status of the answer, where there is one.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Reason::ConnectionLimit => StatusCode::SERVICE_UNAVAILABLE,
            Reason::HeaderTimeout | Reason::WriteStalled | Reason::ConnectionAge => {
                StatusCode::REQUEST_TIMEOUT
            }
            Reason::Malformed | Reason::HostInvalid => StatusCode::BAD_REQUEST,
            Reason::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Reason::UriTooLong => StatusCode::URI_TOO_LONG,
            Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Reason::HostNotAllowed | Reason::CrossSite | Reason::NoTokenConfigured => StatusCode::FORBIDDEN,
            Reason::Unauthorized => StatusCode::UNAUTHORIZED,
        }
    }

    /// What is wrong and what to do, in one sentence.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Reason::ConnectionLimit => {
                "as many connections are open as http-connections-max allows; try again"
            }
            Reason::HeaderTimeout => "the request's header did not arrive in time",
            Reason::WriteStalled => "the answer was not read in time",
            Reason::ConnectionAge => "the connection has been open for too long",
            Reason::Malformed => "this is not an HTTP/1 request",
            Reason::HeadersTooLarge => "the request has too many header fields, or too large ones",
            Reason::UriTooLong => "the request target is longer than 2048 bytes",
            Reason::BodyTooLarge => "the request's body is larger than 64 KiB",
            Reason::LengthRequired => "a request with a body needs a Content-Length",
            Reason::HostInvalid => "the request needs exactly one Host header field",
            Reason::HostNotAllowed => {
                "from this machine use http://127.0.0.1, [::1] or localhost: any web page can point a name of \
                 its own at this address, so that names are refused"
            }
            Reason::CrossSite => "a browser sent this for the page of another site",
            Reason::Unauthorized => {
                "from another host this needs the header field 'Authorization: Bearer <token>' with the token of \
                 http-token or http-token-file"
            }
            Reason::NoTokenConfigured => {
                "this answers on the collector's own machine only; to ask from another host set http-token or \
                 http-token-file"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_in_the_form_of_labels() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
