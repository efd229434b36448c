//! Codecs against their own compressors, bombs and random bytes.

use super::*;
use proptest::prelude::*;
use std::io::Write;

const CAP: usize = 4 << 20;
const PACKED: [Codec; 5] = [Codec::Deflate, Codec::Snappy, Codec::Zstandard, Codec::Bzip2, Codec::Xz];

fn compress(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Null => bytes.to_vec(),
        Codec::Deflate => {
            let mut encoder = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
            let mut out = vec![0; encoder.deflate_compress_bound(bytes.len())];
            let length = encoder.deflate_compress(bytes, &mut out).unwrap();
            out.truncate(length);
            out
        }
        Codec::Snappy => {
            let mut out = snap::raw::Encoder::new().compress_vec(bytes).unwrap();
            out.extend(crc32fast::hash(bytes).to_be_bytes());
            out
        }
        Codec::Zstandard => zstd::bulk::compress(bytes, 3).unwrap(),
        Codec::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Xz => xz_with_preset(bytes, 6),
    }
}

fn xz_with_preset(bytes: &[u8], preset: u32) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), preset);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that compress about as well as metrics do.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    (0..length)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if i % 8 < 6 { b"cpu.use"[i % 7] } else { (state >> 24) as u8 }
        })
        .collect()
}

fn decompress(codec: Codec, block: &[u8], cap: usize) -> Result<Vec<u8>, CodecFault> {
    let mut out = Vec::new();
    let result = Decompressor::default().decompress(codec, block, cap, &mut out);
    assert!(
        out.capacity() <= cap + 1,
        "{}: {} bytes taken under a cap of {cap}",
        codec.name(),
        out.capacity()
    );
    result.map(|()| out)
}

#[test]
fn it_can_move_between_threads() {
    fn check<T: Send>(_: T) {}
    check(Decompressor::default());
}

#[test]
fn names_are_those_of_the_specification() {
    for (name, codec) in [
        ("null", Some(Codec::Null)),
        ("deflate", Some(Codec::Deflate)),
        ("snappy", Some(Codec::Snappy)),
        ("zstandard", Some(Codec::Zstandard)),
        ("bzip2", Some(Codec::Bzip2)),
        ("xz", Some(Codec::Xz)),
        ("zstd", None),
        ("Deflate", None),
        ("", None),
    ] {
        assert_eq!(Codec::from_name(name.as_bytes()), codec, "{name}");
    }
}

#[test]
fn every_size_comes_back_under_a_cap_that_just_holds_it() {
    let mut decompressor = Decompressor::default();
    let mut out = Vec::new();
    for codec in Codec::ALL {
        for length in [0, 1, 15, 4095, 4096, 4097, 65_536, 1 << 20] {
            for bytes in [sample(length), vec![0; length]] {
                let block = compress(codec, &bytes);
                decompressor.decompress(codec, &block, length, &mut out).unwrap();
                assert!(out == bytes, "{} of {length}", codec.name());
                if length > 0 {
                    assert_eq!(
                        decompressor.decompress(codec, &block, length - 1, &mut out),
                        Err(CodecFault::TooLarge),
                        "{} of {length}",
                        codec.name()
                    );
                }
            }
        }
    }
}

#[test]
fn a_bomb_is_too_large_and_takes_no_more_than_the_cap() {
    let zeros = vec![0; 256 << 20];
    for codec in PACKED {
        let mut block = compress(codec, &zeros[..64 << 20]);
        if matches!(codec, Codec::Deflate | Codec::Zstandard) {
            block = compress(codec, &zeros);
        }
        assert_eq!(decompress(codec, &block, CAP), Err(CodecFault::TooLarge), "{}", codec.name());
    }
}

#[test]
fn a_length_that_snappy_only_claims_takes_nothing() {
    let four_gigabytes = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let mut block = four_gigabytes.to_vec();
    block.extend([0; 20]);
    assert_eq!(decompress(Codec::Snappy, &block, CAP), Err(CodecFault::TooLarge));

    let under_the_cap = [0x80, 0x80, 0x80, 0x01];
    let mut block = under_the_cap.to_vec();
    block.extend([0; 20]);
    let mut out = Vec::new();
    let result = Decompressor::default().decompress(Codec::Snappy, &block, CAP, &mut out);
    assert_eq!((result, out.capacity()), (Err(CodecFault::Corrupt), 0));
}

#[test]
fn snappy_with_another_checksum_is_corrupt() {
    let mut block = compress(Codec::Snappy, b"cpu.user");
    *block.last_mut().unwrap() ^= 1;
    assert_eq!(decompress(Codec::Snappy, &block, CAP), Err(CodecFault::Corrupt));
}

#[test]
fn a_window_of_two_gigabytes_costs_nothing() {
    let bytes = sample(100_000);
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&bytes).unwrap();
    let mut block = encoder.finish().unwrap();
    // The window descriptor stands behind the magic number and the frame header descriptor (RFC 8878, 3.1.1.1.2).
    assert_eq!(block[4] & 0x20, 0, "the frame says its window");
    block[5] = 21 << 3;

    let mut decompressor = Decompressor::default();
    let mut out = Vec::new();
    decompressor.decompress(Codec::Zstandard, &block, CAP, &mut out).unwrap();
    assert!(out == bytes);
    assert!(decompressor.zstandard.unwrap().sizeof() < 256 << 10);
}

#[test]
fn an_xz_dictionary_above_the_limit_is_too_large() {
    assert_eq!(decompress(Codec::Xz, &xz_with_preset(b"cpu.user", 7), CAP), Ok(b"cpu.user".to_vec()));
    assert_eq!(decompress(Codec::Xz, &xz_with_preset(b"cpu.user", 9), CAP), Err(CodecFault::TooLarge));
}

#[test]
fn several_frames_are_one_block() {
    let bytes = sample(70_000);
    for codec in [Codec::Zstandard, Codec::Bzip2, Codec::Xz] {
        let block =
            [compress(codec, &bytes[..3]), compress(codec, b""), compress(codec, &bytes[3..])].concat();
        assert!(decompress(codec, &block, CAP) == Ok(bytes.clone()), "{}", codec.name());
    }
}

#[test]
fn very_many_bzip2_streams_are_refused() {
    let empty = compress(Codec::Bzip2, b"");
    assert_eq!(decompress(Codec::Bzip2, &empty.repeat(BZIP2_STREAMS_MAX), CAP), Ok(Vec::new()));
    assert_eq!(decompress(Codec::Bzip2, &empty.repeat(BZIP2_STREAMS_MAX + 1), CAP), Err(CodecFault::Corrupt));
}

#[test]
fn every_cut_and_every_tail_is_corrupt() {
    let bytes = sample(300);
    for codec in PACKED {
        let block = compress(codec, &bytes);
        for cut in 0..block.len() {
            assert_eq!(
                decompress(codec, &block[..cut], CAP),
                Err(CodecFault::Corrupt),
                "{} to {cut}",
                codec.name()
            );
        }
        if codec != Codec::Deflate {
            let longer = [&block[..], b"tail"].concat();
            assert_eq!(decompress(codec, &longer, CAP), Err(CodecFault::Corrupt), "{}", codec.name());
        }
    }
}

#[test]
fn what_python_leaves_behind_deflate_is_not_looked_at() {
    let mut block = compress(Codec::Deflate, b"cpu.user");
    block.extend([0x12, 0x34, 0x56]);
    assert_eq!(decompress(Codec::Deflate, &block, CAP), Ok(b"cpu.user".to_vec()));
}

#[test]
fn a_fault_leaves_no_trace_in_the_next_block() {
    let bytes = sample(5000);
    let mut decompressor = Decompressor::default();
    let mut out = Vec::new();
    for codec in PACKED {
        let block = compress(codec, &bytes);
        for bad in [&block[..block.len() / 2], &[0xff; 40], &[]] {
            assert!(decompressor.decompress(codec, bad, CAP, &mut out).is_err(), "{}", codec.name());
            decompressor.decompress(codec, &block, CAP, &mut out).unwrap();
            assert!(out == bytes, "{}", codec.name());
        }
    }
}

proptest! {
    #[test]
    fn flipped_bits_neither_panic_nor_take_more_than_the_cap(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8u32), 1..4),
        codec in prop::sample::select(&PACKED[..]),
        cap in 0..100_000usize,
    ) {
        let mut block = compress(codec, &sample(20_000));
        for (index, bit) in flips {
            let at = index.index(block.len());
            block[at] ^= 1 << bit;
        }
        let _ = decompress(codec, &block, cap);
    }

    #[test]
    fn any_bytes_neither_panic_nor_take_more_than_the_cap(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        magic in any::<bool>(),
        codec in prop::sample::select(&PACKED[..]),
        cap in 0..100_000usize,
    ) {
        let mut block = Vec::new();
        if magic {
            let start = compress(codec, &sample(300));
            block.extend(&start[..start.len().min(14)]);
        }
        block.extend(bytes);
        let _ = decompress(codec, &block, cap);
    }
}
