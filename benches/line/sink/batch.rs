//! Kafka's record batches (message format 2): the values inside, decompressed where they must be.
//! Layout: Kafka's documentation, "Record Batch". The checksum is not checked: loopback does not flip bits.

use super::wire::Input;

const MAGIC: i8 = 2;
const NONE: i16 = 0;
const SNAPPY: i16 = 2;

/// How snappy-java begins a stream of framed chunks; librdkafka writes one bare snappy block instead.
const FRAMED: &[u8; 8] = b"\x82SNAPPY\0";

/// Gives every record's value to `value`. `None`: a batch that makes no sense, or a codec that is not ours.
pub(crate) fn values(batches: &[u8], plain: &mut Vec<u8>, mut value: impl FnMut(&[u8])) -> Option<()> {
    let mut input = Input::new(batches, false);
    while !input.rest().is_empty() {
        input.i64()?; // base offset
        let size = input.i32()?;
        let mut batch = Input::new(input.take(usize::try_from(size).ok()?)?, false);
        batch.i32()?; // leader epoch
        if batch.i8()? != MAGIC {
            return None;
        }
        batch.i32()?; // checksum
        let codec = batch.i16()? & 7;
        // Last offset, first and last time, producer, epoch, first sequence number.
        batch.take(4 + 8 + 8 + 8 + 2 + 4)?;
        let records = batch.i32()?;
        match codec {
            NONE => each(batch, records, &mut value)?,
            SNAPPY => {
                unsnap(batch.rest(), plain)?;
                each(Input::new(plain, false), records, &mut value)?;
            }
            _ => return None,
        }
    }
    Some(())
}

fn each(mut input: Input<'_>, records: i32, value: &mut impl FnMut(&[u8])) -> Option<()> {
    for _ in 0..records {
        let size = input.varint()?;
        let mut record = Input::new(input.take(usize::try_from(size).ok()?)?, false);
        record.i8()?; // attributes
        record.varint()?; // time
        record.varint()?; // offset
        let key = record.varint()?;
        record.take(usize::try_from(key.max(0)).ok()?)?;
        let size = record.varint()?;
        value(record.take(usize::try_from(size.max(0)).ok()?)?);
    }
    Some(())
}

fn unsnap(compressed: &[u8], plain: &mut Vec<u8>) -> Option<()> {
    plain.clear();
    if !compressed.starts_with(FRAMED) {
        return unsnap_chunk(compressed, plain);
    }
    let mut input = Input::new(compressed, false);
    input.take(16)?; // magic and two versions
    while !input.rest().is_empty() {
        let size = input.i32()?;
        unsnap_chunk(input.take(usize::try_from(size).ok()?)?, plain)?;
    }
    Some(())
}

fn unsnap_chunk(chunk: &[u8], plain: &mut Vec<u8>) -> Option<()> {
    let size = snap::raw::decompress_len(chunk).ok()?;
    let start = plain.len();
    plain.resize(start + size, 0);
    snap::raw::Decoder::new().decompress(chunk, &mut plain[start..]).ok()?;
    Some(())
}
