//! The times of a connection, on a paused clock and a pipe instead of a socket.

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::super::connection::{Context, Times, run};
use super::super::reason::Reason;
use super::super::seats::Seats;
use super::fixture::{ENDLESS, HERE, Server};

const REQUEST: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A connection to a server of its own.
struct Pipe {
    server: Server,
    client: DuplexStream,
    connection: JoinHandle<()>,
    end: watch::Sender<()>,
    seats: Seats,
}

/// Our end of a connection that holds `bytes` under way.
fn connect(bytes: usize) -> Pipe {
    let server = Server::new(None);
    let (client, ours) = duplex(bytes);
    let (end, ending) = watch::channel(());
    let context = Context {
        router: server.router.clone(),
        metrics: server.metrics.clone(),
        times: Times::default(),
        ending,
    };
    let seats = Seats::new(NonZeroUsize::MIN, server.metrics.connections.clone());
    let seat = seats.take(true, Instant::now()).unwrap().seat;
    let connection = tokio::spawn(run(ours, HERE.parse().unwrap(), context, seat));
    Pipe { server, client, connection, end, seats }
}

/// Seconds until the server has ended the connection.
async fn seconds_until_end(connection: JoinHandle<()>, start: Instant) -> u64 {
    connection.await.unwrap();
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_header_sent_byte_by_byte_ends_with_the_time_for_it() {
    let Pipe { server, mut client, connection, end: _end, .. } = connect(1024);
    let start = Instant::now();
    let trickle = tokio::spawn(async move {
        for byte in REQUEST {
            if client.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    assert_eq!(seconds_until_end(connection, start).await, 12);
    trickle.await.unwrap();
    assert_eq!(server.metrics.refusals(Reason::HeaderTimeout), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_ends_too_and_is_no_refusal() {
    let Pipe { server, client, connection, end: _end, .. } = connect(1024);
    assert_eq!(seconds_until_end(connection, Instant::now()).await, 12);
    assert_eq!(server.metrics.refusals(Reason::HeaderTimeout), 0);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_for_the_next_request_and_then_ended() {
    let Pipe { server, mut client, connection, end: _end, .. } = connect(1024);
    for _ in 0..3 {
        client.write_all(REQUEST).await.unwrap();
        let read = client.read(&mut [0; 1024]).await.unwrap();
        assert!(read > 0);
        sleep(Duration::from_secs(10)).await;
    }
    let start = Instant::now();
    assert_eq!(seconds_until_end(connection, start).await, 2);
    assert_eq!(server.metrics.answers("/-/healthy", "200"), 3);
    assert_eq!(server.metrics.refusals(Reason::HeaderTimeout), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_ends_its_connection() {
    let Pipe { server, mut client, connection, end: _end, .. } = connect(100);
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(seconds_until_end(connection, Instant::now()).await, 10);
    assert_eq!(server.metrics.refusals(Reason::WriteStalled), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_for_ever_is_sent_away_one_day() {
    let Pipe { server, mut client, connection, end: _end, .. } = connect(1024);
    let start = Instant::now();
    let asking = tokio::spawn(async move {
        let mut asked = 0;
        while client.write_all(REQUEST).await.is_ok()
            && client.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0)
        {
            asked += 1;
            sleep(Duration::from_secs(5)).await;
        }
        asked
    });
    assert_eq!(seconds_until_end(connection, start).await, 600);
    assert!(asking.await.unwrap() > 100);
    assert_eq!(server.metrics.refusals(Reason::ConnectionAge), 0, "it went when it was asked to");
}

#[tokio::test(start_paused = true)]
async fn one_that_reads_a_drop_at_a_time_is_sent_away_one_day() {
    let Pipe { server, mut client, connection, end: _end, .. } = connect(2);
    let start = Instant::now();
    let mut request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".as_slice();
    while !request.is_empty() {
        let written = client.write(request).await.unwrap();
        request = &request[written..];
    }
    let dripping = tokio::spawn(async move {
        while client.read(&mut [0; 1]).await.is_ok_and(|n| n > 0) {
            sleep(Duration::from_secs(5)).await;
        }
    });
    assert_eq!(seconds_until_end(connection, start).await, 602);
    dripping.await.unwrap();
    assert_eq!(server.metrics.refusals(Reason::ConnectionAge), 1);
}

#[tokio::test(start_paused = true)]
async fn the_servers_end_ends_an_idle_connection_at_once() {
    let Pipe { server, mut client, connection, end, .. } = connect(1024);
    client.write_all(REQUEST).await.unwrap();
    assert!(client.read(&mut [0; 1024]).await.unwrap() > 0);
    let start = Instant::now();
    drop(end);
    assert_eq!(seconds_until_end(connection, start).await, 0);
    assert_eq!(server.metrics.refusals(Reason::ConnectionAge), 0);
}

#[tokio::test(start_paused = true)]
async fn the_servers_end_does_not_wait_for_a_half_sent_request() {
    let Pipe { server, mut client, connection, end, .. } = connect(1024);
    client.write_all(b"GET / HT").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    drop(end);
    assert_eq!(seconds_until_end(connection, start).await, 2);
    assert_eq!(server.metrics.refusals(Reason::ConnectionAge), 0);
}

const WATCH: &[u8] = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The end of an answer in chunks.
const LAST_CHUNK: &str = "\r\n0\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn the_servers_end_ends_a_stream_of_events_politely_and_at_once() {
    let Pipe { server, mut client, connection, end, .. } = connect(100_000);
    client.write_all(WATCH).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    let start = Instant::now();
    drop(end);
    assert_eq!(seconds_until_end(connection, start).await, 0);
    assert_ends_politely(&server, client, "").await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_is_stuck_does_not_hold_the_servers_end_longer_than_others() {
    let Pipe { mut client, connection, end, .. } = connect(100);
    client.write_all(WATCH).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    let start = Instant::now();
    drop(end);
    assert_eq!(seconds_until_end(connection, start).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_takes_nothing_loses_its_connection() {
    let Pipe { server, mut client, connection, end: _end, .. } = connect(100);
    client.write_all(WATCH).await.unwrap();
    assert_eq!(seconds_until_end(connection, Instant::now()).await, 10);
    assert_eq!(server.metrics.refusals(Reason::WriteStalled), 1);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_is_asked_to_come_again_when_its_connection_is_old() {
    let Pipe { server, mut client, connection, end: _end, .. } = connect(100_000);
    let start = Instant::now();
    client.write_all(WATCH).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.map(|_| answer)
    });
    assert_eq!(seconds_until_end(connection, start).await, 600);
    assert!(reading.await.unwrap().unwrap().ends_with(LAST_CHUNK));
    assert_eq!(server.metrics.refusals(Reason::ConnectionAge), 0);
}

/// An answer has come to its end, behind `last`, and nothing was cut off.
async fn assert_ends_politely(server: &Server, mut client: DuplexStream, last: &str) {
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&format!("{last}{LAST_CHUNK}")), "{answer}");
    assert_eq!(server.metrics.refusals(Reason::ConnectionAge), 0);
}

/// Asks for a stream without an end.
async fn follow(client: &mut DuplexStream) {
    let request = format!("GET /v1/stream?topic={ENDLESS} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_servers_end_ends_a_stream_of_records_politely_behind_what_is_whole() {
    for (seconds, rest) in [(2.5, 0), (3.5, 1)] {
        let Pipe { server, mut client, connection, end, .. } = connect(100_000);
        follow(&mut client).await;
        sleep(Duration::from_secs_f64(seconds)).await;
        let start = Instant::now();
        drop(end);
        connection.await.unwrap();
        assert_eq!(start.elapsed().as_millis().div_ceil(1000), rest, "after {seconds} s");
        assert_ends_politely(&server, client, "d\n").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_records_ends_politely_when_its_connection_is_old() {
    let Pipe { server, mut client, connection, end: _end, .. } = connect(100_000);
    let start = Instant::now();
    follow(&mut client).await;
    assert_eq!(seconds_until_end(connection, start).await, 600);
    assert_ends_politely(&server, client, "d\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_keeps_no_seat_between_two_events() {
    let Pipe { mut client, connection, end: _end, seats, .. } = connect(100_000);
    client.write_all(WATCH).await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    let start = Instant::now();
    assert!(seat_is_to_be_had(&seats));
    assert_eq!(seconds_until_end(connection, start).await, 0);
}

/// Whether a new connection would get the one seat.
fn seat_is_to_be_had(seats: &Seats) -> bool {
    seats.take(true, Instant::now()).is_some()
}

/// Lets the server read and write all that it can.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_goes_when_its_seat_is_needed() {
    let Pipe { server, client, connection, end: _end, seats } = connect(1024);
    let start = Instant::now();
    settle().await;
    assert!(seat_is_to_be_had(&seats));
    assert_eq!(seconds_until_end(connection, start).await, 0);
    assert_eq!(server.metrics.refusals(Reason::ConnectionLimit), 1);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_half_sent_request_keeps_no_seat() {
    let Pipe { mut client, connection, end: _end, seats, .. } = connect(1024);
    client.write_all(b"GET / HT").await.unwrap();
    settle().await;
    let start = Instant::now();
    assert!(seat_is_to_be_had(&seats));
    assert_eq!(seconds_until_end(connection, start).await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_answered_connection_keeps_no_seat() {
    let Pipe { mut client, connection, end: _end, seats, .. } = connect(1024);
    client.write_all(REQUEST).await.unwrap();
    assert!(client.read(&mut [0; 1024]).await.unwrap() > 0);
    let start = Instant::now();
    assert!(seat_is_to_be_had(&seats));
    assert_eq!(seconds_until_end(connection, start).await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_keeps_its_seat_for_a_second() {
    let Pipe { mut client, connection, end: _end, seats, .. } = connect(100);
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    settle().await;
    assert!(!seat_is_to_be_had(&seats));
    sleep(Duration::from_millis(900)).await;
    // The reader is only slow.
    assert!(client.read(&mut [0; 50]).await.unwrap() > 0);
    sleep(Duration::from_millis(900)).await;
    assert!(!seat_is_to_be_had(&seats));
    sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    assert!(seat_is_to_be_had(&seats));
    assert_eq!(seconds_until_end(connection, start).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_asked_to_end_keeps_no_seat_for_its_grace() {
    let Pipe { mut client, connection, end: _end, seats, .. } = connect(2);
    let start = Instant::now();
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let dripping = tokio::spawn(async move {
        while client.read(&mut [0; 1]).await.is_ok_and(|n| n > 0) {
            sleep(Duration::from_secs(7)).await;
        }
    });
    // Its age is 600 s, and its grace lasts 2 s.
    sleep_until(start + Duration::from_millis(600_500)).await;
    assert!(!connection.is_finished());
    let start = Instant::now();
    assert!(seat_is_to_be_had(&seats));
    assert_eq!(seconds_until_end(connection, start).await, 0);
    dripping.await.unwrap();
}
