//! Which numbered datapoints arrived: one bit for each.
//!
//! Neighbours come together, so bits are gathered in a word of their own, and the table is written when another
//! word's turn comes.

use crate::number;

/// The counts, and a bit for each number that is waited for.
#[derive(Default)]
pub(crate) struct Numbers {
    seen: Vec<u64>,
    pub(crate) datapoints: u64,
    /// Numbers seen, each counted once.
    pub(crate) distinct: u64,
    /// Datapoints whose number had been seen before.
    pub(crate) repeated: u64,
    /// Datapoints without a number that is waited for.
    pub(crate) unnumbered: u64,
}

/// Counts one message's datapoints. It has to be ended, or the last of them are not counted.
#[must_use]
pub(crate) struct Run<'a> {
    numbers: &'a mut Numbers,
    datapoints: u64,
    /// The word of the table that `bits` belong to.
    word: u64,
    /// Numbers of this word seen since it is its turn, and how many came more than once.
    bits: u64,
    again: u64,
}

impl Numbers {
    /// From zero, waiting for the numbers below `n`.
    pub(crate) fn expect(n: u64) -> Numbers {
        Numbers { seen: vec![0; n.div_ceil(64) as usize], ..Numbers::default() }
    }

    pub(crate) fn run(&mut self) -> Run<'_> {
        Run { numbers: self, datapoints: 0, word: 0, bits: 0, again: 0 }
    }

    /// Takes gathered bits in, and how many numbers came more than once while they were gathered.
    fn mark(&mut self, word: u64, bits: u64, again: u64) {
        let n = u64::from(bits.count_ones());
        let Some(seen) = self.seen.get_mut(word as usize) else {
            self.unnumbered += n + again;
            return;
        };
        let new = u64::from((bits & !*seen).count_ones());
        *seen |= bits;
        self.distinct += new;
        self.repeated += n - new + again;
    }
}

impl Run<'_> {
    #[inline]
    pub(crate) fn count(&mut self, value: f64) {
        self.datapoints += 1;
        // No table has the last word, so what has no number is counted as such.
        let number = number::number(value).unwrap_or(u64::MAX);
        if number / 64 != self.word {
            self.numbers.mark(self.word, self.bits, self.again);
            (self.word, self.bits, self.again) = (number / 64, 0, 0);
        }
        let bit = 1 << (number % 64);
        self.again += u64::from(self.bits & bit != 0);
        self.bits |= bit;
    }

    pub(crate) fn end(self) {
        self.numbers.mark(self.word, self.bits, self.again);
        self.numbers.datapoints += self.datapoints;
    }
}
