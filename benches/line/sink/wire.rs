//! Kafka's primitive types, read and written. A flexible version writes lengths as variable-length numbers, counted
//! from one, and ends each structure with tagged fields (KIP-482); the older ones write fixed-width lengths.

/// Reads from a request. Every method gives `None` where the bytes end too early.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    pub(crate) flexible: bool,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8], flexible: bool) -> Input<'a> {
        Input { bytes, flexible }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(n)?;
        self.bytes = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn i8(&mut self) -> Option<i8> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A zig-zag number, as inside records.
    pub(crate) fn varint(&mut self) -> Option<i64> {
        self.uvarint().map(|value| (value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Length of an array or of records; null counts as none.
    pub(crate) fn length(&mut self) -> Option<usize> {
        let length = if self.flexible { self.uvarint()?.cast_signed() - 1 } else { i64::from(self.i32()?) };
        usize::try_from(length.max(0)).ok()
    }

    /// A string, nullable or not; null counts as empty.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = if self.flexible { self.uvarint()?.cast_signed() - 1 } else { i64::from(self.i16()?) };
        self.take(usize::try_from(length.max(0)).ok()?)
    }

    /// Leaves out the tagged fields at the end of a structure, where the version has them.
    pub(crate) fn tagged(&mut self) -> Option<()> {
        if self.flexible {
            for _ in 0..self.uvarint()? {
                self.uvarint()?;
                let size = self.uvarint()?;
                self.take(usize::try_from(size).ok()?)?;
            }
        }
        Some(())
    }
}

/// Writes an answer.
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    pub(crate) flexible: bool,
}

impl Output {
    pub(crate) fn i8(&mut self, value: i8) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(crate) fn length(&mut self, n: usize) {
        if self.flexible {
            self.uvarint(n as u64 + 1);
        } else {
            self.i32(i32::try_from(n).expect("our arrays are short"));
        }
    }

    pub(crate) fn string(&mut self, text: &[u8]) {
        if self.flexible {
            self.uvarint(text.len() as u64 + 1);
        } else {
            self.i16(i16::try_from(text.len()).expect("our strings are short"));
        }
        self.bytes.extend_from_slice(text);
    }

    /// Null instead of a string.
    pub(crate) fn null_string(&mut self) {
        if self.flexible { self.uvarint(0) } else { self.i16(-1) }
    }

    /// No tagged fields, where the version has them.
    pub(crate) fn tagged(&mut self) {
        if self.flexible {
            self.uvarint(0);
        }
    }
}
