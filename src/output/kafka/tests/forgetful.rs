//! A broker that, for a moment, knows topics and no brokers: a mock behind a pipe that changes answers for metadata.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::super::abilities::METADATA;
use super::*;

/// Of requests for metadata, so that the answer has a fixed form.
const METADATA_VERSION: i16 = 1;

/// Request number of each request under way, and whether it names topics.
type Asked = (i16, bool);

struct Pipe {
    address: SocketAddr,
    /// Whether answers for metadata of topics name no brokers, and how many such answers there were.
    forgets: AtomicBool,
    forgotten: AtomicUsize,
    connections: Mutex<Vec<TcpStream>>,
    /// Clients that have not hung up.
    open: AtomicUsize,
}

impl Pipe {
    /// In front of the only broker at `to`. Its threads end with the tests.
    fn to(to: String) -> Arc<Pipe> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pipe = Arc::new(Pipe {
            address: listener.local_addr().unwrap(),
            forgets: AtomicBool::new(false),
            forgotten: AtomicUsize::new(0),
            connections: Mutex::new(Vec::new()),
            open: AtomicUsize::new(0),
        });
        let shared = pipe.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(broker) = TcpStream::connect(&to) else { continue };
                let client = client.unwrap();
                shared.connections.lock().unwrap().push(client.try_clone().unwrap());
                let (asked, under_way) = channel();
                let (from, into) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
                shared.open.fetch_add(1, Ordering::SeqCst);
                let pipe = shared.clone();
                thread::spawn(move || {
                    requests(from, into, &asked);
                    pipe.open.fetch_sub(1, Ordering::SeqCst);
                });
                let pipe = shared.clone();
                thread::spawn(move || pipe.answers(broker, client, &under_way));
            }
        });
        pipe
    }

    /// Hangs up on everybody.
    fn hang_up(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            _ = connection.shutdown(Shutdown::Both);
        }
    }

    fn answers(&self, mut from: TcpStream, mut into: TcpStream, under_way: &Receiver<Asked>) -> Option<()> {
        loop {
            let mut answer = frame(&mut from).ok()?;
            if let (METADATA, names_topics) = under_way.recv().ok()? {
                self.change(&mut answer, names_topics);
            }
            into.write_all(&u32::try_from(answer.len()).unwrap().to_be_bytes()).ok()?;
            into.write_all(&answer).ok()?;
        }
    }

    /// Leads the client to us instead of to the broker, or to nobody.
    fn change(&self, answer: &mut Vec<u8>, names_topics: bool) {
        // Correlation id, count of brokers, and of the only one: id, host with its length, port, no rack.
        let host = usize::from(u16::from_be_bytes([answer[12], answer[13]]));
        let port = 14 + host;
        answer[port..port + 4].copy_from_slice(&u32::from(self.address.port()).to_be_bytes());
        if names_topics && self.forgets.load(Ordering::SeqCst) {
            self.forgotten.fetch_add(1, Ordering::SeqCst);
            answer[4..8].copy_from_slice(&0u32.to_be_bytes());
            answer.drain(8..port + 4 + 2);
        }
    }
}

fn requests(mut from: TcpStream, mut into: TcpStream, asked: &Sender<Asked>) -> Option<()> {
    loop {
        let Ok(request) = frame(&mut from) else {
            _ = into.shutdown(Shutdown::Both);
            return None;
        };
        let number = i16::from_be_bytes([request[0], request[1]]);
        // Number, version, correlation id, client id with its length, count of topics.
        let client = usize::from(u16::from_be_bytes([request[8], request[9]]));
        let names_topics = number == METADATA && request[10 + client..14 + client] > [0; 4][..];
        asked.send((number, names_topics)).ok()?;
        into.write_all(&u32::try_from(request.len()).unwrap().to_be_bytes()).ok()?;
        into.write_all(&request).ok()?;
    }
}

fn frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

#[tokio::test]
async fn a_producer_that_has_lost_all_brokers_is_replaced() {
    let mock = lend::OldMock::with(&[(METADATA, 0, METADATA_VERSION)], &[c"metrics-a"]);
    let pipe = Pipe::to(mock.brokers());
    let mut config = config(&pipe.address.to_string());
    // As a rule librdkafka then begins again with the bootstrap brokers, unless two of its threads meet badly.
    config.properties = vec![("metadata.recovery.strategy".into(), "none".into())];
    let framing = config.framing(&Envelope::new([7; 16]));
    let mut rig = rig_with(MockCluster::new(1).unwrap(), config, framing);
    rig.accept("a", 5);
    rig.delivered(5).await;
    assert_eq!(rig.producers.get(), 1);

    pipe.forgets.store(true, Ordering::SeqCst);
    pipe.hang_up();
    // One that was told of brokers by another of its connections would go on.
    rig.until("it is told of no brokers and has left", |_| {
        pipe.forgotten.load(Ordering::SeqCst) > 0 && pipe.open.load(Ordering::SeqCst) == 0
    })
    .await;
    pipe.forgets.store(false, Ordering::SeqCst);
    rig.accept("a", 5);
    rig.delivered(10).await;
    assert_eq!(read(&mock.brokers(), "metrics-a").values, (0..10).collect::<Vec<_>>());
    assert!(rig.producers.get() > 1);
}
