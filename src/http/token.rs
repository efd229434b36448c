//! The bearer token of a request, compared without telling how much of it was right.

use axum::http::{HeaderMap, header};
use openssl::memcmp;
use openssl::sha::sha256;

use crate::record::Secret;

/// Whether `headers` carry `token`, in one `Authorization: Bearer <token>` (RFC 6750 §2.1).
///
/// An empty token is never carried: an empty file must not open the door.
pub(super) fn carried(headers: &HeaderMap, token: &Secret) -> bool {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let Some(given) = bearer(field.as_bytes()) else { return false };
    same(token.expose().as_bytes(), given)
}

/// The credentials after the scheme `Bearer`, whose case does not matter.
fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = field.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") || !rest.starts_with(b" ") {
        return None;
    }
    Some(rest.trim_ascii())
}

/// Whether the texts are the same, in a time that depends on the length of `given` alone.
///
/// A comparison that stops at the first wrong byte lets a patient client find a token byte by byte. Digests are compared
/// here, and all of them by OpenSSL, so that neither a byte nor the length of `expected` shows. The client knows the length
/// of what it sent, so nothing is told.
fn same(expected: &[u8], given: &[u8]) -> bool {
    !expected.is_empty() && memcmp::eq(&sha256(expected), &sha256(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        let cases: &[(&str, &str, bool)] = &[
            ("secret", "secret", true),
            ("secret", "secreT", false),
            ("secret", "Secret", false),
            ("secret", "secre", false),
            ("secret", "secretsecret", false),
            ("secret", "secrets", false),
            ("secret", "", false),
            ("aa", "aaaa", false),
            ("", "", false),
            ("", "x", false),
        ];
        for (expected, given, outcome) in cases {
            assert_eq!(same(expected.as_bytes(), given.as_bytes()), *outcome, "{expected:?} {given:?}");
        }
    }

    #[test]
    fn the_header_field_is_read_as_rfc_6750_has_it() {
        let cases: &[(&[&str], bool)] = &[
            (&["Bearer secret"], true),
            (&["bearer   secret"], true),
            (&["BEARER secret"], true),
            (&[], false),
            (&["Bearer"], false),
            (&["Bearer "], false),
            (&["Bearersecret"], false),
            (&["Basic secret"], false),
            (&["secret"], false),
            (&["Bearer secret", "Bearer secret"], false),
            (&["Bearer wrong", "Bearer secret"], false),
        ];
        let token = Secret::new("secret".to_owned());
        for (fields, outcome) in cases {
            let mut headers = HeaderMap::new();
            for field in *fields {
                headers.append(header::AUTHORIZATION, field.parse().unwrap());
            }
            assert_eq!(carried(&headers, &token), *outcome, "{fields:?}");
        }
    }
}
