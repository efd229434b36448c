//! Random choices that can be had again: the seed is printed, and `TEST_SEED` sets it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A xorshift64* generator.
pub(crate) struct Random(u64);

impl Random {
    /// From `TEST_SEED`, else from the clock; tells the seed, which libtest shows when the test fails.
    pub(crate) fn new() -> Random {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
        let seed = match std::env::var("TEST_SEED") {
            Ok(text) => text.parse().expect("TEST_SEED is a number"),
            Err(_) => clock(),
        };
        println!("random choices of TEST_SEED={seed}");
        Random(seed | 1)
    }

    /// Always the same sequence; for data, not for choices.
    pub(crate) fn fixed() -> Random {
        Random(0x9E37_79B9_7F4A_7C15)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 1 to `max`.
    pub(crate) fn up_to(&mut self, max: usize) -> usize {
        (self.next() >> 16) as usize % max + 1
    }

    /// Text of `length` characters that no compression makes much smaller.
    pub(crate) fn text(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
        (0..length).map(|_| char::from(LETTERS[self.up_to(64) - 1])).collect()
    }
}
