//! The server over real sockets: what curl, scrapers and attackers would see.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::metrics::Metrics;
use super::super::reason::Reason;
use super::super::serve;
use super::super::server::refuse;
use super::fixture::{config, stages};

/// A server on a port of its own.
struct Running {
    address: SocketAddr,
    metrics: Metrics,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(listen: &str, connections_max: usize) -> Running {
        let listener = TcpListener::bind(listen).await;
        let listener = listener.unwrap_or_else(|error| panic!("nobody can listen at {listen} here: {error}"));
        let address = listener.local_addr().unwrap();
        let (control, metrics) = stages();
        let settings = watch::channel(config(connections_max)).1;
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, settings, control, metrics.clone(), shutdown));
        Running { address, metrics, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that comes back for `bytes` until the server closes.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may close before it has read all.
        let _ = stream.write_all(bytes).await;
        read_all(&mut stream).await
    }
}

/// What comes until the end, which may be a reset where the server did not read all that was sent.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

/// Reads one answer with a `Content-Length`.
async fn read_one(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "closed after {text:?}");
    }
}

fn get(path: &str, host: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn get_and_head_over_a_socket() {
    let server = Running::start("127.0.0.1:0", 8).await;
    let whole = server.send(&get("/-/healthy", "127.0.0.1:8128")).await;
    assert!(whole.starts_with("HTTP/1.1 200 OK\r\n"), "{whole}");
    assert!(whole.ends_with("\r\n\r\nhealthy\n"), "{whole}");
    let head = server.send(b"HEAD /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(head.contains("content-length: 8\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn hosts_over_a_socket() {
    let server = Running::start("127.0.0.1:0", 8).await;
    for (host, status) in [
        ("127.0.0.1:8128", "200 OK"),
        ("[::1]:8128", "200 OK"),
        ("localhost", "200 OK"),
        ("evil.example", "403 Forbidden"),
        ("127.0.0.1.evil.example:8128", "403 Forbidden"),
        ("", "403 Forbidden"),
    ] {
        let answer = server.send(&get("/v1/status", host)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{host:?} {answer}");
    }
    let without = server.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(without.starts_with("HTTP/1.1 400 ") && without.contains("host_invalid"), "{without}");
    let old = server.send(b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 OK\r\n"), "{old}");
    let two = server
        .send(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        .await;
    assert!(two.starts_with("HTTP/1.1 400 "), "{two}");
    let whole = server
        .send(b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await;
    assert!(whole.starts_with("HTTP/1.1 403 "), "{whole}");
}

#[tokio::test]
async fn ipv4_that_comes_to_an_ipv6_listener_is_still_this_machine() {
    let server = Running::start("[::ffff:127.0.0.1]:0", 8).await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.address.port())).await.unwrap();
    stream.write_all(&get("/v1/status", "127.0.0.1")).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn requests_sent_in_one_go_are_answered_in_order() {
    let server = Running::start("127.0.0.1:0", 8).await;
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
    let all = [one("/-/healthy"), one("/nothing"), get("/-/healthy", "localhost")].concat();
    let answer = server.send(&all).await;
    let statuses: Vec<_> = answer.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    assert_eq!(statuses, ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 200 OK"]);
}

#[tokio::test]
async fn garbage_ends_its_connection_and_nothing_else() {
    let server = Running::start("127.0.0.1:0", 8).await;
    let garbage: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"Obj\x01\x04\x14avro.codec\x08null",
        b"\r\n\r\n\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\nHost: \x01\n\n",
    ];
    for bytes in garbage {
        let answer = server.send(bytes).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{} {answer}", bytes.escape_ascii());
    }
    assert_eq!(server.metrics.refusals(Reason::Malformed), garbage.len() as u64);
    let answer = server.send(&get("/-/healthy", "localhost")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn targets_and_headers_are_bounded_before_they_are_kept() {
    let server = Running::start("127.0.0.1:0", 8).await;
    let long = |bytes| get(&format!("/{}", "x".repeat(bytes)), "localhost");
    let answer = server.send(&long(3000)).await;
    assert!(answer.starts_with("HTTP/1.1 414 ") && answer.contains("uri_too_long"), "{answer}");
    let answer = server.send(&long(100_000)).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let field = |n: usize, bytes| format!("X-{n}: {}\r\n", "y".repeat(bytes));
    let with = |fields: String| format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into_bytes();
    let answer = server.send(&with(field(0, 100_000))).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let answer = server.send(&with((0..80).map(|n| field(n, 1)).collect())).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(server.metrics.refusals(Reason::HeadersTooLarge), 3);
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let server = Running::start("127.0.0.1:0", 8).await;
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n";
    let answer = server.send(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = server.send(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 411 ") && answer.contains("length_required"), "{answer}");
}

/// What the server says of a connection for which there is no seat.
#[tokio::test]
async fn one_connection_too_many_is_told_so_and_does_not_wait() {
    let (_, metrics) = stages();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    refuse(stream, peer, &metrics);
    let answer = read_all(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("connection_limit"), "{answer}");
    assert!(answer.contains("X-Content-Type-Options: nosniff\r\n"), "{answer}");
    assert_eq!(metrics.refusals(Reason::ConnectionLimit), 1);
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_one_that_waits_longest() {
    let server = Running::start("127.0.0.1:0", 2).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for stream in [&mut first, &mut second] {
        stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        read_one(stream).await;
    }
    assert_eq!(server.metrics.connections.get(), 2);
    let answer = server.send(&get("/-/healthy", "localhost")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(read_all(&mut first).await, "");
    assert_eq!(server.metrics.refusals(Reason::ConnectionLimit), 1);
    // The other goes on as before.
    second.write_all(&get("/-/healthy", "localhost")).await.unwrap();
    assert!(read_all(&mut second).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn connections_without_a_request_do_not_keep_the_health_check_out() {
    let server = Running::start("127.0.0.1:0", 4).await;
    let mut crowd = Vec::new();
    for n in 0..20 {
        let mut stream = server.connect().await;
        if n % 2 == 0 {
            stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHo").await.unwrap();
        }
        crowd.push(stream);
        let answer = server.send(&get("/-/healthy", "localhost")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{n} {answer}");
        assert!(server.metrics.connections.get() <= 4);
    }
}

#[tokio::test]
async fn shutdown_closes_the_listener_and_the_connections() {
    // An address of its own: at another's somebody else may listen by the end.
    let Running { address, metrics, stop, task } = Running::start("127.0.0.3:0", 8).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    read_one(&mut idle).await;
    stop.send(()).unwrap();
    // Sooner than the idle connection would end by itself.
    timeout(Duration::from_secs(5), task).await.expect("the server ends its connections").unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(metrics.connections.get(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}
