//! The smallest HTTP client that reads the collector's answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Header lines, names in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }
}

/// `GET path`.
pub(crate) fn get(server: SocketAddr, path: &str) -> Answer {
    request(server, "GET", path, &[])
}

/// `GET path`, or why there is no answer.
pub(crate) fn try_get(server: SocketAddr, path: &str) -> Result<Answer, String> {
    exchange(server, &format!("GET {path} HTTP/1.1\r\nConnection: close\r\nHost: {server}\r\n\r\n"))
}

/// Any request without a body. `Host` names the server unless `headers` has another one.
pub(crate) fn request(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.extend(["Host: ", &server.to_string(), "\r\n"]);
    }
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    exchange(server, &text).unwrap_or_else(|e| panic!("{method} http://{server}{path}: {e}"))
}

/// `GET path` over a connection that is there, or why there is no answer.
pub(crate) fn get_over(socket: TcpStream, path: &str) -> Result<Answer, String> {
    get_within(socket, path, PATIENCE)
}

/// The same with an answer that may be silent for so long.
pub(crate) fn get_within(socket: TcpStream, path: &str, patience: Duration) -> Result<Answer, String> {
    let server = socket.peer_addr().map_err(|e| e.to_string())?;
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\nHost: {server}\r\n\r\n");
    exchange_over(socket, &request, patience)
}

/// A request with this JSON. `Host` names the server.
pub(crate) fn send(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let socket = TcpStream::connect(server).unwrap_or_else(|e| panic!("{method} http://{server}{path}: {e}"));
    send_over(socket, method, path, headers, body)
}

/// The same over a connection that is there.
pub(crate) fn send_over(
    socket: TcpStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let server = socket.peer_addr().expect("the connection is there");
    let body = body.to_string();
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nHost: {server}\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    let length = body.len().to_string();
    text.extend(["Content-Type: application/json\r\nContent-Length: ", &length, "\r\n\r\n", &body]);
    exchange_over(socket, &text, PATIENCE).unwrap_or_else(|e| panic!("{method} http://{server}{path}: {e}"))
}

fn exchange(server: SocketAddr, request: &str) -> Result<Answer, String> {
    exchange_over(TcpStream::connect(server).map_err(|e| e.to_string())?, request, PATIENCE)
}

fn exchange_over(mut socket: TcpStream, request: &str, patience: Duration) -> Result<Answer, String> {
    let text = (|| {
        socket.set_read_timeout(Some(patience))?;
        socket.write_all(request.as_bytes())?;
        let mut text = String::new();
        socket.read_to_string(&mut text)?;
        std::io::Result::Ok(text)
    })()
    .map_err(|e| e.to_string())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no end of the head: {text:?}"))?;
    let (first, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| format!("no status: {first:?}"))?;
    let head: String = head.lines().map(|line| lower_name(line) + "\n").collect();
    if head.contains("transfer-encoding:") {
        return Err(format!("an answer of unknown length: {head}"));
    }
    Ok(Answer { status, head, body: body.to_owned() })
}

fn lower_name(line: &str) -> String {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    format!("{}:{value}", name.to_ascii_lowercase())
}
