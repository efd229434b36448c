//! Datapoints that carry their own number, so that the far end can tell exactly which of them arrived.
//!
//! Every third value is the number itself, as a counter would be. The others have the number spread over all bits
//! of the fraction, because values as even as a sequence would compress better than any real ones.

/// Odd, so multiplying by it modulo 2^52 can be undone.
const SPREAD: u64 = 0x9_e377_9b97_f4a7 | 1;

/// What undoes [`SPREAD`] modulo 2^52.
const GATHER: u64 = inverse(SPREAD);

const FRACTION: u64 = (1 << 52) - 1;

/// Exponent of the values from 1 up to 2.
const ONE: u64 = 0x3ff << 52;

/// The value of the datapoint with this number; below 2^52.
#[inline]
pub(crate) fn value(number: u64) -> f64 {
    if number.is_multiple_of(3) {
        number as f64
    } else {
        f64::from_bits(ONE | (number.wrapping_mul(SPREAD) & FRACTION))
    }
}

/// The number that gave this value. `None`: no number did.
#[inline]
pub(crate) fn number(value: f64) -> Option<u64> {
    let bits = value.to_bits();
    if bits & !FRACTION == ONE {
        return Some((bits & FRACTION).wrapping_mul(GATHER) & FRACTION);
    }
    let number = value as u64;
    ((number as f64).to_bits() == bits).then_some(number)
}

/// The inverse of an odd number modulo 2^64: each round of Newton's method doubles the bits that are right.
const fn inverse(odd: u64) -> u64 {
    let mut guess = odd;
    let mut round = 0;
    while round < 6 {
        guess = guess.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(guess)));
        round += 1;
    }
    guess
}
