//! Bytes for people to look at.

use std::fmt::Write;

/// Bytes of a line.
const LINE: usize = 16;

/// `bytes` as lines of offset, sixteen hexadecimal numbers, and what of them is printable ASCII.
#[must_use]
pub fn hexdump(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(LINE) * 78);
    for (n, line) in bytes.chunks(LINE).enumerate() {
        let mut hex = String::new();
        for byte in line {
            // Writing to a string cannot fail.
            _ = write!(hex, "{byte:02x} ");
        }
        let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
        let ascii: String = line.iter().map(printable).collect();
        _ = writeln!(text, "{:08x}  {hex:<48} |{ascii}|", n * LINE);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_offset_numbers_and_text() {
        let dump = hexdump(b"Obj\x01 and sixteen");
        let expected = "00000000  4f 62 6a 01 20 61 6e 64 20 73 69 78 74 65 65 6e  |Obj. and sixteen|\n";
        assert_eq!(dump, expected);
        assert_eq!(hexdump(&[0; 17]).lines().count(), 2);
    }
}
