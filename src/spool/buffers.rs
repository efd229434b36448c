//! Large buffers that are used again: fresh memory costs a page fault every four kilobytes, more than the copying.

/// Smaller ones are not worth keeping.
pub(super) const LARGE: usize = 64 << 10;

/// How many of the free buffers are looked at for one that fits.
const LOOKED_AT: usize = 8;

/// Free buffers.
#[derive(Debug)]
pub(super) struct Buffers {
    free: Vec<Vec<u8>>,
    bytes: usize,
    bytes_max: usize,
}

impl Buffers {
    /// Keeps up to `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Buffers {
        Buffers { free: Vec::new(), bytes: 0, bytes_max }
    }

    /// A buffer with room for `bytes` bytes, and not for twice as much.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<u8> {
        let fits = |buffer: &Vec<u8>| (bytes..2 * bytes).contains(&buffer.capacity());
        match self.free.iter().rev().take(LOOKED_AT).position(fits) {
            Some(from_end) => {
                let buffer = self.free.swap_remove(self.free.len() - 1 - from_end);
                self.bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(bytes),
        }
    }

    /// Keeps a buffer for later, if it is large and there is room for it.
    pub(super) fn give(&mut self, buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if bytes >= LARGE && self.bytes + bytes <= self.bytes_max {
            self.bytes += bytes;
            self.free.push(buffer);
        }
    }

    /// Keeps up to `bytes_max` bytes from now on.
    pub(super) fn set_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        if self.bytes > bytes_max {
            self.clear();
        }
    }

    /// Lets go of all of them.
    pub(super) fn clear(&mut self) {
        self.free = Vec::new();
        self.bytes = 0;
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_taken_again_where_it_fits() {
        let mut buffers = Buffers::new(3 * LARGE);
        buffers.give(Vec::with_capacity(LARGE));
        buffers.give(Vec::with_capacity(2 * LARGE));
        assert_eq!(buffers.take(3 * LARGE).capacity(), 3 * LARGE, "too small ones are left");
        assert_eq!(buffers.take(LARGE).capacity(), LARGE, "twice as large is left");
        assert_eq!(buffers.bytes, 2 * LARGE);
    }

    #[test]
    fn small_buffers_and_those_over_the_limit_are_let_go() {
        let mut buffers = Buffers::new(LARGE);
        buffers.give(Vec::with_capacity(LARGE - 1));
        assert!(buffers.is_empty());
        buffers.give(Vec::with_capacity(LARGE));
        buffers.give(Vec::with_capacity(LARGE));
        assert_eq!(buffers.bytes, LARGE);
        buffers.clear();
        assert!(buffers.is_empty());
    }
}
