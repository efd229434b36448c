//! Codecs of a block: from the bytes as sent to the bytes of the records, never more than a given cap
//! (Avro specification 1.12, "Required Codecs" and "Optional Codecs").
//!
//! No codec is asked for more memory than the cap, plus what is named here: deflate a table of 12 KiB, zstandard one of
//! 160 KiB (it decodes into the output itself, so that a sender's window costs nothing), bzip2 the 3.7 MiB of its largest
//! block, xz a dictionary under [`XZ_MEMORY_MAX`]. The last two are given back at the end of each block.

use thiserror::Error;

/// Memory that an xz dictionary may ask for, in bytes. Presets up to 7 need less than 18 MiB; 9 would take 65 MiB.
pub const XZ_MEMORY_MAX: u64 = 32 << 20;

/// Streams that a bzip2 block may consist of. An empty stream has 14 bytes and costs a decoder, so they are counted.
const BZIP2_STREAMS_MAX: usize = 64;

/// A snappy element of three bytes makes at most 64: no honest length is above 22 times the compressed bytes.
const SNAPPY_RATIO_MAX: usize = 22;

/// First guess of a block's decompressed size, in compressed sizes. Metrics compress to between a third and a tenth.
const FIRST_GUESS: usize = 4;

/// Smallest output buffer that is tried.
const OUTPUT_BYTES_MIN: usize = 4096;

/// How the blocks of a stream are compressed (`avro.codec` of its header).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    Null,
    /// RFC 1951, without the wrapping of zlib.
    Deflate,
    /// Snappy without its framing, then the CRC-32 of the uncompressed bytes, big-endian.
    Snappy,
    /// RFC 8878, one frame or several.
    Zstandard,
    /// One bzip2 stream or several.
    Bzip2,
    /// One xz stream or several.
    Xz,
}

impl Codec {
    /// All codecs that are read.
    pub const ALL: [Codec; 6] =
        [Codec::Null, Codec::Deflate, Codec::Snappy, Codec::Zstandard, Codec::Bzip2, Codec::Xz];

    /// The codec of this name; names are exact. A header without a name means [`Codec::Null`], which is the caller's to know.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name().as_bytes() == name)
    }

    /// Its name in a header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Codec::Null => "null",
            Codec::Deflate => "deflate",
            Codec::Snappy => "snappy",
            Codec::Zstandard => "zstandard",
            Codec::Bzip2 => "bzip2",
            Codec::Xz => "xz",
        }
    }
}

/// Why a block could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodecFault {
    /// The cap does not hold the block, or its decoder wants more memory than it may have.
    #[error("decompressed block too large")]
    TooLarge,
    /// Not this codec's bytes, cut short, followed by others, or with a wrong checksum.
    #[error("block is not what its codec says")]
    Corrupt,
}

/// Decoders and their tables, made when first needed. One a thread or task is enough; it keeps nothing of a block.
#[derive(Default)]
pub struct Decompressor {
    deflate: Option<libdeflater::Decompressor>,
    zstandard: Option<zstd::zstd_safe::DCtx<'static>>,
}

impl Decompressor {
    /// Replaces what `out` holds by `block` decompressed, at most `cap` bytes. The capacity of `out` never grows
    /// above `cap` + 1 bytes. After a fault its content means nothing.
    ///
    /// # Errors
    /// [`CodecFault`]; the next block is read as if nothing had happened.
    pub fn decompress(
        &mut self,
        codec: Codec,
        block: &[u8],
        cap: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecFault> {
        match codec {
            Codec::Null => copy(block, cap, out),
            Codec::Deflate => self.deflate(block, cap, out),
            Codec::Snappy => snappy(block, cap, out),
            Codec::Zstandard => self.zstandard(block, cap, out),
            Codec::Bzip2 => bzip2(block, cap, out),
            Codec::Xz => xz(block, cap, out),
        }
    }

    /// Bytes behind the end of the deflate stream are not looked at: Avro's Python writers leave three bytes of
    /// zlib's checksum there.
    fn deflate(&mut self, block: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<(), CodecFault> {
        let decoder = self.deflate.get_or_insert_with(libdeflater::Decompressor::new);
        at_once(block, cap, out, |out| match decoder.deflate_decompress(block, out) {
            Ok(length) => Ok(Some(length)),
            Err(libdeflater::DecompressionError::InsufficientSpace) => Ok(None),
            Err(libdeflater::DecompressionError::BadData) => Err(CodecFault::Corrupt),
        })
    }

    fn zstandard(&mut self, block: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<(), CodecFault> {
        use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall;
        use zstd::zstd_safe::{DCtx, is_error_kind};
        if block.is_empty() {
            // Zero frames are a valid input to the library, but no block that a writer makes.
            return Err(CodecFault::Corrupt);
        }
        let decoder = self.zstandard.get_or_insert_with(DCtx::create);
        at_once(block, cap, out, |out| match decoder.decompress(out, block) {
            Ok(length) => Ok(Some(length)),
            Err(code) if is_error_kind(code, ZSTD_error_dstSize_tooSmall) => Ok(None),
            Err(_) => Err(CodecFault::Corrupt),
        })
    }
}

fn copy(block: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<(), CodecFault> {
    if block.len() > cap {
        return Err(CodecFault::TooLarge);
    }
    set_length(out, block.len());
    out.copy_from_slice(block);
    Ok(())
}

fn snappy(block: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<(), CodecFault> {
    let (body, checksum) = block.split_last_chunk::<4>().ok_or(CodecFault::Corrupt)?;
    let length = snap::raw::decompress_len(body).map_err(|_| CodecFault::Corrupt)?;
    if length > cap {
        return Err(CodecFault::TooLarge);
    }
    if length / SNAPPY_RATIO_MAX > body.len() {
        return Err(CodecFault::Corrupt);
    }
    set_length(out, length);
    snap::raw::Decoder::new().decompress(body, out).map_err(|_| CodecFault::Corrupt)?;
    if crc32fast::hash(out) != u32::from_be_bytes(*checksum) {
        return Err(CodecFault::Corrupt);
    }
    Ok(())
}

fn bzip2(block: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<(), CodecFault> {
    use bzip2::{Decompress, Status};
    let mut decoder = Decompress::new(false);
    let mut rest = block;
    let mut n_streams = 1;
    piecewise(block, cap, out, |out| {
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(rest, out).map_err(|_| CodecFault::Corrupt)?;
        let step = Step {
            read: (decoder.total_in() - read) as usize,
            written: (decoder.total_out() - written) as usize,
            end: status == Status::StreamEnd,
        };
        if status == Status::MemNeeded {
            return Err(CodecFault::TooLarge);
        }
        rest = &rest[step.read..];
        if step.end && !rest.is_empty() {
            if n_streams == BZIP2_STREAMS_MAX {
                return Err(CodecFault::Corrupt);
            }
            n_streams += 1;
            decoder = Decompress::new(false);
            return Ok(Step { end: false, ..step });
        }
        Ok(step)
    })
}

fn xz(block: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<(), CodecFault> {
    use liblzma::stream::{Action, CONCATENATED, Error, Status, Stream};
    let fault = |error| match error {
        Error::MemLimit | Error::Mem => CodecFault::TooLarge,
        _ => CodecFault::Corrupt,
    };
    let mut decoder = Stream::new_stream_decoder(XZ_MEMORY_MAX, CONCATENATED).map_err(fault)?;
    let mut rest = block;
    piecewise(block, cap, out, |out| {
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let status = decoder.process(rest, out, Action::Finish).map_err(fault)?;
        let step = Step {
            read: (decoder.total_in() - read) as usize,
            written: (decoder.total_out() - written) as usize,
            end: status == Status::StreamEnd,
        };
        rest = &rest[step.read..];
        Ok(step)
    })
}

/// For a decoder that wants the whole output at once: tries ever larger buffers until one holds the block.
/// `decode` tells how many bytes it wrote, or `None` when they were too few.
fn at_once(
    block: &[u8],
    cap: usize,
    out: &mut Vec<u8>,
    mut decode: impl FnMut(&mut [u8]) -> Result<Option<usize>, CodecFault>,
) -> Result<(), CodecFault> {
    // The block before this one was probably of the same size.
    let mut length = first_length(block, cap).max(out.len()).min(cap);
    loop {
        set_length(out, length);
        if let Some(written) = decode(out)? {
            out.truncate(written);
            return Ok(());
        }
        if length == cap {
            return Err(CodecFault::TooLarge);
        }
        length = length.saturating_mul(4).min(cap);
    }
}

/// What a decoder did with the input that was left and the buffer it was given.
struct Step {
    read: usize,
    written: usize,
    end: bool,
}

/// For a decoder that goes on where it stopped: gives it more room as long as it fills what it has.
fn piecewise(
    block: &[u8],
    cap: usize,
    out: &mut Vec<u8>,
    mut decode: impl FnMut(&mut [u8]) -> Result<Step, CodecFault>,
) -> Result<(), CodecFault> {
    // One byte more than allowed, to tell a block that just fits from one that does not.
    let limit = cap.saturating_add(1);
    set_length(out, first_length(block, limit));
    let mut filled = 0;
    loop {
        let step = decode(&mut out[filled..])?;
        filled += step.written;
        if filled > cap {
            return Err(CodecFault::TooLarge);
        }
        if step.end {
            out.truncate(filled);
            return Ok(());
        }
        if filled == out.len() {
            set_length(out, out.len().saturating_mul(2).min(limit));
        } else if step.read == 0 && step.written == 0 {
            // Room to write and nothing more to read: the block was cut.
            return Err(CodecFault::Corrupt);
        }
    }
}

fn first_length(block: &[u8], limit: usize) -> usize {
    block.len().saturating_mul(FIRST_GUESS).max(OUTPUT_BYTES_MIN).min(limit)
}

/// Makes `out` this long without the doubling of `resize`, which would go past the cap.
fn set_length(out: &mut Vec<u8>, length: usize) {
    out.reserve_exact(length.saturating_sub(out.len()));
    out.resize(length, 0);
}

#[cfg(test)]
mod tests;
