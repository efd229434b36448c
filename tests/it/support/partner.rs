//! A partner: takes what the collector gives, and has apache-avro read it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::collector::{AGENT, Collector};
use super::ocf;
use super::record::{Record, decode_begun};

/// How long nothing may come where something is due.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the partner output.
pub(crate) struct Partner {
    socket: Box<dyn Socket>,
    /// All that came, the header first.
    got: Vec<u8>,
}

pub(crate) trait Socket: Read + Write + Send {
    fn set_time_out(&self, time: Duration);
    fn close(&self, how: Shutdown);
}

impl Socket for TcpStream {
    fn set_time_out(&self, time: Duration) {
        self.set_read_timeout(Some(time)).expect("a time is taken");
    }

    fn close(&self, how: Shutdown) {
        // It may be gone already.
        _ = self.shutdown(how);
    }
}

impl Socket for UnixStream {
    fn set_time_out(&self, time: Duration) {
        self.set_read_timeout(Some(time)).expect("a time is taken");
    }

    fn close(&self, how: Shutdown) {
        _ = self.shutdown(how);
    }
}

impl Partner {
    /// Connects, says `hello` if that is anything, and waits until the stream has begun.
    pub(crate) fn connect(at: SocketAddr, hello: &str) -> Partner {
        let socket = TcpStream::connect(at).unwrap_or_else(|e| panic!("no partner output at {at}: {e}"));
        Partner::of(Box::new(socket), hello)
    }

    /// The same at a unix socket.
    pub(crate) fn connect_unix(path: &Path, hello: &str) -> Partner {
        let socket = UnixStream::connect(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Partner::of(Box::new(socket), hello)
    }

    /// Asks the HTTP server for `/v1/stream` and the query, and takes off the head of its answer.
    pub(crate) fn over_http(at: SocketAddr, query: &str) -> Partner {
        // Of an answer to HTTP/1.0 the body is all that follows.
        let mut partner =
            Partner::connect(at, &format!("GET /v1/stream{query} HTTP/1.0\r\nHost: {at}\r\n\r"));
        loop {
            assert!(partner.take(), "the head ends: {:?}", String::from_utf8_lossy(&partner.got));
            if let Some(end) = partner.got.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&partner.got[..end]).into_owned();
                assert!(head.contains(" 200 "), "{head}");
                partner.got.drain(..end + 4);
                return partner;
            }
        }
    }

    /// A connection that is there. Says `hello` if that is anything.
    pub(crate) fn of(socket: Box<dyn Socket>, hello: &str) -> Partner {
        socket.set_time_out(PATIENCE);
        let mut partner = Partner { socket, got: Vec::new() };
        if !hello.is_empty() {
            partner.say(hello);
        }
        partner
    }

    /// Says a line.
    pub(crate) fn say(&mut self, line: &str) {
        self.socket.write_all(format!("{line}\n").as_bytes()).expect("the collector listens");
    }

    /// Closes its side, and goes on listening.
    pub(crate) fn half_close(&self) {
        self.socket.close(Shutdown::Write);
    }

    /// Takes what comes next; false: the connection is over.
    pub(crate) fn take(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        match self.socket.read(&mut buffer) {
            Ok(0) => false,
            Ok(n) => {
                self.got.extend_from_slice(&buffer[..n]);
                true
            }
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            Err(e) => panic!("nothing comes: {e}; so far {} bytes", self.got.len()),
        }
    }

    /// Waits for the stream's header: whatever is accepted from now on is for this partner.
    pub(crate) fn begun(mut self) -> Partner {
        while self.got.is_empty() {
            assert!(self.take(), "the connection ended before the stream began");
        }
        self
    }

    /// Takes until there are so many records, and gives all of them.
    pub(crate) fn records(&mut self, n: usize) -> Vec<Record> {
        loop {
            let records = self.whole_records();
            if records.len() >= n {
                return records;
            }
            assert!(self.take(), "the connection ended after {} of {n} records", records.len());
        }
    }

    /// The records that have come whole: of a stream that goes on the last block may be half there.
    pub(crate) fn whole_records(&self) -> Vec<Record> {
        decode_begun(&self.got)
    }

    /// Takes until the connection ends, and gives what came.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        while self.take() {}
        self.got.clone()
    }

    /// Takes lines of JSON until there are so many.
    pub(crate) fn lines(&mut self, n: usize) -> Vec<Value> {
        loop {
            let text = String::from_utf8_lossy(&self.got).into_owned();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines: Vec<Value> =
                whole.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
            if lines.len() >= n {
                return lines;
            }
            assert!(self.take(), "the connection ended after {} of {n} lines", lines.len());
        }
    }

    /// A value of the header's metadata.
    pub(crate) fn metadata(&self, key: &str) -> String {
        let reader = apache_avro::Reader::new(&self.got[..]).expect("a header");
        let value = reader.user_metadata().get(key).unwrap_or_else(|| panic!("no {key} in the header"));
        String::from_utf8(value.clone()).expect("text")
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.socket.close(Shutdown::Both);
    }
}

/// A collector without Kafka: partners are all that it has.
pub(crate) fn alone(more: &[&str]) -> Collector {
    Collector::start("127.0.0.1:1", &[&["--kafka=false"], more].concat())
}

/// The records as a partner gets them.
pub(crate) fn tagged(records: &[Record]) -> Vec<Record> {
    records.iter().map(|record| record.clone().with_tag("agent_id", AGENT)).collect()
}

pub(crate) fn numbers(records: &[Record]) -> Vec<u32> {
    records.iter().map(Record::number).collect()
}

/// Sends 4,000 records of topic `t`, together more than is kept for partners, as fast as `fast` takes them; it gets all.
pub(crate) fn send_more_than_fits(collector: &Collector, fast: &mut Partner) {
    let large = "x".repeat(2000);
    let sent: Vec<Record> = (0..4000).map(|n| Record::numbered("t", n).with_tag("large", &large)).collect();
    let mut sender = collector.sender();
    sender.send(&ocf::header(ocf::SCHEMA, None));
    for block in sent.chunks(50) {
        sender.send(&ocf::block(block));
        // As fast as the partner that reads.
        fast.records((block[49].number() + 1) as usize);
    }
    assert_eq!(fast.whole_records(), tagged(&sent));
}
