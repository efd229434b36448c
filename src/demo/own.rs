//! The one shell line with which a visitor sends data of their own.

use std::net::SocketAddr;

use libdeflater::{CompressionLvl, Compressor};

use super::cast::VISITOR_TOPIC;
use crate::ocf::Marker;
use crate::ocf::encode::file;
use crate::record::{Datapoint, MetricList, Tag};

/// A line for a shell that sends one record to the collector at `collector`. It needs bash, base64 and gunzip, which
/// are everywhere, and no client library: the bytes are a whole OCF file, packed only so that the line stays short.
#[must_use]
pub fn shell_line(collector: SocketAddr, now_ms: i64, marker: &Marker) -> String {
    let packed = base64(&gzip(&file(&[record(now_ms)], marker)));
    let (host, port) = (collector.ip(), collector.port());
    format!("echo {packed} | base64 -d | gunzip | bash -c 'cat > /dev/tcp/{host}/{port}'")
}

fn record(now_ms: i64) -> MetricList {
    MetricList {
        topic: VISITOR_TOPIC.into(),
        tags: vec![Tag::new("from", "my shell")],
        datapoints: vec![Datapoint { name: b"answer".to_vec(), time_ms: now_ms, value: 42.0 }],
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut packed = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let n = compressor.gzip_compress(bytes, &mut packed).expect("the room is what the bound asks for");
    packed.truncate(n);
    packed
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;
    use crate::ocf::decode::decode_file;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn a_shell_sends_the_record() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = shell_line(listener.local_addr().unwrap(), 1_466_000_000_000, b"0123456789abcdef");
        assert!(line.len() < 600, "{} characters to copy", line.len());
        let mut shell = Command::new("sh").arg("-c").arg(&line).spawn().unwrap();
        // A line that does not connect would leave us waiting here for ever.
        assert!(shell.wait().unwrap().success());
        let mut stream = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut stream).unwrap();
        assert_eq!(decode_file(&stream), Ok(vec![record(1_466_000_000_000)]));
    }
}
