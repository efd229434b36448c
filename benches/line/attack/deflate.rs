//! Deflate (RFC 1951) for attacks: what any library makes, and a bomb that no library makes in reasonable time.

use libdeflater::{CompressionLvl, Compressor, Decompressor};

/// Zeros that one repetition stands for: the longest there is.
const REPEATED: usize = 258;

/// How many times as large as its bytes a bomb's zeros are: four repetitions, of two bits each, a byte.
const RATIO: usize = 4 * REPEATED;

/// `bytes`, as small as they get.
pub(super) fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut out = vec![0; compressor.deflate_compress_bound(bytes.len())];
    let size = compressor.deflate_compress(bytes, &mut out).expect("the bound is enough");
    out.truncate(size);
    out
}

/// At least `n` zeros, written down without ever having been there: the densest stream that deflate knows.
pub(super) fn zeros(n: usize) -> Vec<u8> {
    let (small, large) = (bomb(10), bomb(n.div_ceil(RATIO)));
    // The large one is the small one with more of the same, so the small one's word is good for both.
    let mut plain = vec![1; 1 + 10 * RATIO];
    let size = Decompressor::new().deflate_decompress(&small, &mut plain);
    assert!(size == Ok(plain.len()) && plain.iter().all(|byte| *byte == 0), "the bomb is none: {size:?}");
    large
}

/// One zero and `n` times [`RATIO`] more. The block's own code has three symbols: the longest repetition is `0`, a zero
/// `10`, the end of the block `11`; the distance, always one, is `0` too. So zero bytes stand for zeros.
fn bomb(n: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.number(1, 1); // the last block
    bits.number(2, 2); // a code of its own
    bits.number(286 - 257, 5); // literals and lengths, up to 285: 258 bytes
    bits.number(0, 5); // one distance
    bits.number(18 - 4, 4); // lengths of the code for lengths: 18, in the format's own order
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1] {
        bits.number(
            match symbol {
                18 => 1,
                1 | 2 => 2,
                _ => 0,
            },
            3,
        );
    }
    // That code: many absent symbols (18) are `0`, a length of one `10`, of two `11`.
    bits.code("11"); // a zero
    bits.absent(255);
    bits.code("11"); // the end
    bits.absent(28);
    bits.code("10"); // the repetition
    bits.code("10"); // the distance
    bits.code("10"); // here the data begins: the first zero
    for _ in 0..n * 4 {
        bits.code("00");
    }
    bits.code("11");
    bits.bytes
}

/// Bits, lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// How many there are.
    n: usize,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        if self.n.is_multiple_of(8) {
            self.bytes.push(0);
        }
        self.bytes[self.n / 8] |= u8::from(bit) << (self.n % 8);
        self.n += 1;
    }

    /// A number, lowest bit first.
    fn number(&mut self, value: u32, bits: u32) {
        (0..bits).for_each(|i| self.bit(value >> i & 1 == 1));
    }

    /// A word of a code, first bit first.
    fn code(&mut self, word: &str) {
        word.bytes().for_each(|bit| self.bit(bit == b'1'));
    }

    /// So many symbols in a row, at least 11, that do not occur.
    fn absent(&mut self, mut n: u32) {
        while n > 0 {
            let run = if n > 138 { n.min(138 + 11) - 11 } else { n };
            self.code("0");
            self.number(run - 11, 7);
            n -= run;
        }
    }
}
