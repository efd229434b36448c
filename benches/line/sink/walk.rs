//! A walk over one message's OCF that counts. It is written apart from the collector's own walk on purpose: what it
//! counts is the proof. It shares the cores with what is measured, so it is quick about the common forms: a length
//! of one byte, a time of six, and one of up to eight that is seen whole in one load.

const MAGIC: &[u8] = b"Obj\x01";

/// The bit of each byte that says that a number goes on.
const GOES_ON: u64 = 0x8080_8080_8080_8080;

/// Bytes of today's times in milliseconds.
const USUAL_TIME: usize = 6;

/// Walks a whole object container file without compression and gives each datapoint to `datapoint`: where its time
/// begins, and its value. Returns its records. `None`: it is no whole OCF of ours.
pub(crate) fn ocf(bytes: &[u8], datapoint: &mut impl FnMut(usize, f64)) -> Option<u64> {
    let (marker, mut at) = header(bytes)?;
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

/// The marker, and where the first block begins.
pub(crate) fn header(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut at = MAGIC.len();
    if bytes.get(..at)? != MAGIC {
        return None;
    }
    metadata(bytes, &mut at)?;
    Some((bytes.get(at..at + 16)?, at + 16))
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

/// Walks one record, and gives each datapoint as [`ocf`] does.
#[inline]
pub(crate) fn record(bytes: &[u8], at: &mut usize, datapoint: &mut impl FnMut(usize, f64)) -> Option<()> {
    skip_string(bytes, at)?;
    items(bytes, at, |bytes, at| {
        skip_string(bytes, at)?;
        skip_string(bytes, at)
    })?;
    items(bytes, at, |bytes, at| {
        skip_string(bytes, at)?;
        let time = *at;
        datapoint(time, value_behind_time(bytes, at)?);
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
fn value_behind_time(bytes: &[u8], at: &mut usize) -> Option<f64> {
    if let Some(both) = bytes.get(*at..).and_then(<[u8]>::first_chunk::<16>) {
        let both = u128::from_le_bytes(*both);
        let ends = !(both as u64) & GOES_ON;
        // Guessed rather than worked out, so that the next step need not wait for this one.
        if ends.trailing_zeros() as usize == 8 * USUAL_TIME - 1 {
            *at += USUAL_TIME + 8;
            return Some(f64::from_bits((both >> (8 * USUAL_TIME)) as u64));
        }
        if ends != 0 {
            // The bit that ends the time is the last one of its last byte.
            let time_bits = ends.trailing_zeros() + 1;
            *at += time_bits as usize / 8 + 8;
            return Some(f64::from_bits((both >> time_bits) as u64));
        }
    }
    long(bytes, at)?;
    let value = bytes.get(*at..)?.first_chunk::<8>()?;
    *at += 8;
    Some(f64::from_le_bytes(*value))
}

/// Passes over a string. One that ends behind the bytes shows at what is read next, or at the end of the block.
#[inline]
fn skip_string(bytes: &[u8], at: &mut usize) -> Option<()> {
    let first = *bytes.get(*at)?;
    // One byte, and not negative.
    if first & 0x81 == 0 {
        *at += 1 + usize::from(first >> 1);
        return Some(());
    }
    string(bytes, at).map(|_| ())
}

/// A string or bytes.
pub(crate) fn string<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let size = usize::try_from(long(bytes, at)?).ok()?;
    let text = bytes.get(*at..at.checked_add(size)?)?;
    *at += size;
    Some(text)
}

/// A zig-zag number.
#[inline]
pub(crate) fn long(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(unzigzag(u64::from(first)));
    }
    long_of_several(bytes, at)
}

fn long_of_several(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(unzigzag(value));
        }
    }
    None
}

#[inline]
fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
