//! JSON Web Tokens: as much of them as a login needs.

use openssl::base64;
use serde_json::Value;

/// `header.claims`, to be signed.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

/// Base64 in the alphabet for addresses, without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    base64::encode_block(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// What [`encode`] made of.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let is_ours = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !text.bytes().all(is_ours) || text.len() % 4 == 1 {
        return None;
    }
    let mut text = text.replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    base64::decode_block(&text).ok()
}

/// The claims of a token, as it says them itself: nothing is verified.
pub(super) fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&decode(claims)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back() {
        for n in 0..70u8 {
            let bytes: Vec<u8> = (0..n).map(|i| i.wrapping_mul(37) ^ n | 0xC0).collect();
            let text = encode(&bytes);
            assert!(!text.contains(['=', '+', '/']), "{text}");
            assert_eq!(decode(&text), Some(bytes));
        }
    }

    #[test]
    fn what_is_no_token_has_no_claims() {
        for text in ["", ".", "..", "a.b", "a.b.c", "a.e30=.c", "a.%%%%.c", "a.ZZ.c", "a.AAAAA.c"] {
            assert_eq!(claims(text), None, "{text}");
        }
        assert_eq!(claims("x.e30.x"), Some(serde_json::json!({})));
    }
}
