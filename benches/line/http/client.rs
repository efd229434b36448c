//! A client of the collector's HTTP server: one connection, as a scraper keeps it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::systems::Running;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub(super) struct Client {
    host: String,
    stream: BufReader<TcpStream>,
}

/// What was answered, and how long it took from the first byte asked to the last byte answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) took: Duration,
}

impl Client {
    pub(super) fn connect(running: &Running) -> io::Result<Client> {
        let host = running.http.clone().ok_or_else(|| io::Error::other("nobody answers HTTP"))?;
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { host, stream: BufReader::with_capacity(256 << 10, stream) })
    }

    pub(super) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send("GET", path, "")
    }

    pub(super) fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let began = Instant::now();
        let (status, length) = self.begin(method, path, body)?;
        let mut bytes = vec![0; length.ok_or_else(|| io::Error::other("an answer without a length"))?];
        self.stream.read_exact(&mut bytes)?;
        let took = began.elapsed();
        Ok(Answer { status, body: String::from_utf8_lossy(&bytes).into_owned(), took })
    }

    /// Asks, and reads the head of the answer: its status and the length of its body, if that is known. Then the body is
    /// what [`Client::into_body`] reads.
    pub(super) fn begin(&mut self, method: &str, path: &str, body: &str) -> io::Result<(u16, Option<usize>)> {
        let host = &self.host;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                let status = status.ok_or_else(|| io::Error::other("that is no HTTP"))?;
                return Ok((status, length));
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
    }

    pub(super) fn into_body(self) -> BufReader<TcpStream> {
        self.stream
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::Error::other("the connection ended before the answer did")),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}
