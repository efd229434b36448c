//! The header of an object container file: magic, metadata map, sync marker
//! (Avro specification 1.12, "Object Container Files").

use super::fault::StreamFault;
use super::limits::Limits;
use super::schema::{MAGIC, MARKER_BYTES, Marker};
use super::varint::read_long;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// `avro.schema`.
    pub schema: &'a [u8],
    /// `avro.codec`, if it is there.
    pub codec: Option<&'a [u8]>,
    /// Stands behind every block.
    pub marker: Marker,
    /// Bytes of the header.
    pub len: usize,
}

/// Reads the header at the start of `bytes`. `Ok(None)`: it does not end within them yet.
///
/// # Errors
/// [`StreamFault`] where no further bytes could make a header of it, or it is over a limit.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Option<Header<'a>>, StreamFault> {
    let magic = bytes.len().min(MAGIC.len());
    if bytes[..magic] != MAGIC[..magic] {
        return Err(StreamFault::NotOcf);
    }
    let cut = bytes.len().min(limits.header_bytes);
    match read_within(&bytes[..cut], limits)? {
        Some(header) => Ok(Some(header)),
        None if bytes.len() > limits.header_bytes => {
            Err(StreamFault::HeaderTooLarge { max: limits.header_bytes })
        }
        None => Ok(None),
    }
}

fn read_within<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Option<Header<'a>>, StreamFault> {
    let mut at = MAGIC.len();
    let mut entries = 0usize;
    let (mut schema, mut codec) = (None, None);
    loop {
        let Some(count) = long(bytes, &mut at)? else { return Ok(None) };
        if count == 0 {
            break;
        }
        if count < 0 && long(bytes, &mut at)?.is_none() {
            return Ok(None);
        }
        let count = usize::try_from(count.unsigned_abs()).map_err(|_| StreamFault::BadHeader)?;
        entries = entries.saturating_add(count);
        if entries > limits.header_entries {
            return Err(StreamFault::HeaderEntries { max: limits.header_entries });
        }
        for _ in 0..count {
            let Some(key) = text(bytes, &mut at, limits)? else { return Ok(None) };
            let Some(value) = text(bytes, &mut at, limits)? else { return Ok(None) };
            match key {
                b"avro.schema" => schema = Some(value),
                b"avro.codec" => codec = Some(value),
                _ => {}
            }
        }
    }
    let Some(marker) = bytes.get(at..).and_then(|rest| rest.first_chunk::<MARKER_BYTES>()) else {
        return Ok(None);
    };
    let schema = schema.ok_or(StreamFault::NoSchema)?;
    Ok(Some(Header { schema, codec, marker: *marker, len: at + MARKER_BYTES }))
}

fn long(bytes: &[u8], at: &mut usize) -> Result<Option<i64>, StreamFault> {
    if *at >= bytes.len() {
        return Ok(None);
    }
    read_long(bytes, at).map_err(|_| StreamFault::BadHeader)
}

fn text<'a>(bytes: &'a [u8], at: &mut usize, limits: &Limits) -> Result<Option<&'a [u8]>, StreamFault> {
    let Some(len) = long(bytes, at)? else { return Ok(None) };
    let len = usize::try_from(len).map_err(|_| StreamFault::BadHeader)?;
    if len > limits.header_bytes {
        return Err(StreamFault::HeaderTooLarge { max: limits.header_bytes });
    }
    let Some(text) = bytes.get(*at..*at + len) else { return Ok(None) };
    *at += len;
    Ok(Some(text))
}
