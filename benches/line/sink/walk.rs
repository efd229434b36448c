//! A walk over one message's OCF that counts. It is written apart from the collector's own walk on purpose: what it
//! counts is the proof.

const MAGIC: &[u8] = b"Obj\x01";

/// Walks a whole object container file without compression and gives each datapoint's value to `datapoint`.
/// Returns its records. `None`: it is no whole OCF of ours.
pub(crate) fn ocf(bytes: &[u8], datapoint: &mut impl FnMut(f64)) -> Option<u64> {
    let mut at = MAGIC.len();
    if bytes.get(..at)? != MAGIC {
        return None;
    }
    metadata(bytes, &mut at)?;
    let marker = bytes.get(at..at + 16)?;
    at += 16;
    let mut records = 0;
    while at < bytes.len() {
        let count = u64::try_from(long(bytes, &mut at)?).ok()?;
        let size = usize::try_from(long(bytes, &mut at)?).ok()?;
        let end = at.checked_add(size)?;
        let block = bytes.get(..end)?;
        for _ in 0..count {
            record(block, &mut at, datapoint)?;
        }
        if at != end || bytes.get(end..end + 16)? != marker {
            return None;
        }
        at += 16;
        records += count;
    }
    Some(records)
}

fn metadata(bytes: &[u8], at: &mut usize) -> Option<()> {
    loop {
        match long(bytes, at)? {
            0 => return Some(()),
            count => {
                if count < 0 {
                    long(bytes, at)?;
                }
                for _ in 0..count.unsigned_abs() {
                    let key = string(bytes, at)?;
                    let value = string(bytes, at)?;
                    if key == b"avro.codec" && value != b"null" {
                        return None;
                    }
                }
            }
        }
    }
}

#[inline]
fn record(bytes: &[u8], at: &mut usize, datapoint: &mut impl FnMut(f64)) -> Option<()> {
    skip_string(bytes, at)?;
    items(bytes, at, |bytes, at| {
        skip_string(bytes, at)?;
        skip_string(bytes, at)
    })?;
    items(bytes, at, |bytes, at| {
        skip_string(bytes, at)?;
        long(bytes, at)?;
        let value = bytes.get(*at..*at + 8)?;
        *at += 8;
        datapoint(f64::from_le_bytes(value.try_into().ok()?));
        Some(())
    })
}

/// Walks an array, in as many blocks as it has.
#[inline]
fn items(bytes: &[u8], at: &mut usize, mut item: impl FnMut(&[u8], &mut usize) -> Option<()>) -> Option<()> {
    loop {
        let count = long(bytes, at)?;
        if count == 0 {
            return Some(());
        }
        if count < 0 {
            long(bytes, at)?;
        }
        for _ in 0..count.unsigned_abs() {
            item(bytes, at)?;
        }
    }
}

#[inline]
fn skip_string(bytes: &[u8], at: &mut usize) -> Option<()> {
    string(bytes, at).map(|_| ())
}

#[inline]
fn string<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let size = usize::try_from(long(bytes, at)?).ok()?;
    let text = bytes.get(*at..at.checked_add(size)?)?;
    *at += size;
    Some(text)
}

#[inline]
fn long(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}
