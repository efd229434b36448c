//! Avro's numbers: zig-zag variable-length integers of at most ten bytes
//! (Avro specification 1.12, "Binary Encoding", "Primitive Types").

/// Longest encoding of a long.
pub const LONG_BYTES_MAX: usize = 10;

/// A number that is no Avro long: longer than ten bytes, or more than 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLong;

/// Reads a long at `*at` and moves `*at` behind it. `Ok(None)`, and `*at` unmoved: the bytes end before it does.
///
/// # Errors
/// [`BadLong`] where no further byte could make a long of it.
#[inline]
pub fn read_long(bytes: &[u8], at: &mut usize) -> Result<Option<i64>, BadLong> {
    if let Some(&first) = bytes.get(*at)
        && first < 0x80
    {
        *at += 1;
        return Ok(Some(unzigzag(u64::from(first))));
    }
    read_long_slow(bytes, at)
}

fn read_long_slow(bytes: &[u8], at: &mut usize) -> Result<Option<i64>, BadLong> {
    let mut value = 0u64;
    for (i, &byte) in bytes[*at..].iter().take(LONG_BYTES_MAX).enumerate() {
        // The tenth byte has room for one more bit.
        if i == LONG_BYTES_MAX - 1 && byte > 1 {
            return Err(BadLong);
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *at += i + 1;
            return Ok(Some(unzigzag(value)));
        }
    }
    Ok(None)
}

/// Appends `value`.
pub fn write_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest as u8 & 0x7f) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends `bytes` with its length in front: an Avro string or bytes.
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(length(bytes.len()), out);
    out.extend_from_slice(bytes);
}

/// A length as a long.
///
/// # Panics
/// Never: no allocation is larger than `isize::MAX`.
#[must_use]
pub fn length(n: usize) -> i64 {
    i64::try_from(n).expect("no allocation is larger than isize::MAX")
}

#[inline]
fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_specifications_examples() {
        for (value, expected) in [
            (0, &[0u8][..]),
            (-1, &[1]),
            (1, &[2]),
            (-2, &[3]),
            (2, &[4]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
        ] {
            let mut out = Vec::new();
            write_long(value, &mut out);
            assert_eq!(out, expected, "{value}");
        }
    }

    #[test]
    fn eleven_bytes_or_65_bits_are_refused() {
        assert_eq!(read_long(&[0xff; 11], &mut 0), Err(BadLong));
        let mut bits = [0xff; 10];
        bits[9] = 0x02;
        assert_eq!(read_long(&bits, &mut 0), Err(BadLong));
        bits[9] = 0x01;
        assert_eq!(read_long(&bits, &mut 0), Ok(Some(i64::MIN)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: i64, before in 0usize..3) {
            let mut bytes = vec![0x80; before];
            write_long(value, &mut bytes);
            for cut in before..bytes.len() {
                let mut at = before;
                prop_assert_eq!(read_long(&bytes[..cut], &mut at), Ok(None));
                prop_assert_eq!(at, before);
            }
            let mut at = before;
            prop_assert_eq!(read_long(&bytes, &mut at), Ok(Some(value)));
            prop_assert_eq!(at, bytes.len());
        }
    }
}
