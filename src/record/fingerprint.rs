//! How something is known again that is not kept.

use std::fmt;

/// A digest of some bytes. It is never shown: the bytes may be a secret that can be guessed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint(openssl::sha::sha256(bytes))
    }

    /// Of several things, some of which may be missing, in this order.
    #[must_use]
    pub fn of_all(parts: &[Option<Fingerprint>]) -> Fingerprint {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.map_or([0; 32], |part| part.0)).collect();
        Fingerprint::of(&bytes)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(hidden)")
    }
}
