//! Passing over values that are not ours.

use super::{NoRecord, Skip, SkipId, VALUE_DEPTH_MAX};
use crate::ocf::cursor::Cursor;

/// Moves `cursor` behind a value of type `id`.
pub(super) fn skip(skips: &[Skip], id: SkipId, cursor: &mut Cursor) -> Result<(), NoRecord> {
    value(skips, id, cursor, 0)
}

fn value(skips: &[Skip], id: SkipId, cursor: &mut Cursor, depth: usize) -> Result<(), NoRecord> {
    if depth >= VALUE_DEPTH_MAX {
        return Err(NoRecord);
    }
    match &skips[id as usize] {
        Skip::Bytes(n) => cursor.take(*n).map(drop),
        Skip::Long => cursor.long().map(drop),
        Skip::Enum(symbols) => cursor.index(*symbols as usize).map(drop),
        Skip::Counted => cursor.counted().map(drop),
        Skip::Array(item) => blocks(cursor, |cursor, count| match skips[*item as usize] {
            // Also items of no bytes, of which there may be any number.
            Skip::Bytes(n) => cursor.take(n.checked_mul(count).ok_or(NoRecord)?).map(drop),
            _ => (0..count).try_for_each(|_| value(skips, *item, cursor, depth + 1)),
        }),
        Skip::Map(item) => blocks(cursor, |cursor, count| {
            (0..count).try_for_each(|_| {
                cursor.counted()?;
                value(skips, *item, cursor, depth + 1)
            })
        }),
        Skip::Union(branches) => {
            let branch = cursor.index(branches.len())?;
            value(skips, branches[branch], cursor, depth + 1)
        }
        Skip::Record(fields) => fields.iter().try_for_each(|field| value(skips, *field, cursor, depth + 1)),
    }
}

/// Passes over the blocks of an array or map: by their size where they say it, else item by item. The items of a block
/// end with the input at the latest, whatever its count says.
fn blocks(
    cursor: &mut Cursor,
    mut items: impl FnMut(&mut Cursor, u64) -> Result<(), NoRecord>,
) -> Result<(), NoRecord> {
    loop {
        let count = cursor.long()?;
        match count.signum() {
            0 => return Ok(()),
            1 => items(cursor, count.unsigned_abs())?,
            _ => {
                let size = cursor.length()?;
                cursor.take(size)?;
            }
        }
    }
}
