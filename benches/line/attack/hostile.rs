//! The hostile sender: many connections that do what a case says, and come back when they are thrown out.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time;

use super::cases::{Case, Then};

/// Before a connection that was thrown out comes back.
const PAUSE: Duration = Duration::from_millis(20);

/// For the first connection of each; a full queue of the listener's makes the kernel try again after a second.
const CONNECT: Duration = Duration::from_secs(3);

#[derive(Default)]
struct Counts {
    opened: Cell<u64>,
    closed: Cell<u64>,
    bytes: Cell<u64>,
}

fn add(counter: &Cell<u64>, n: u64) {
    counter.set(counter.get() + n);
}

/// Connects, says so, attacks for `lasting`, and prints what it came to.
pub(crate) fn run(to: String, case: Case, connections: u64, lasting: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let counts = Rc::new(Counts::default());
    let (case, to) = (Rc::new(case), Rc::new(to));
    LocalSet::new().block_on(&runtime, async {
        // All are there before the first one begins.
        let mut streams = Vec::new();
        for _ in 0..connections {
            streams.push(
                time::timeout(CONNECT, TcpStream::connect(to.as_str())).await.ok().and_then(Result::ok),
            );
        }
        println!("{}", json!({ "case": case.name, "connected": streams.iter().flatten().count() }));
        for mut stream in streams {
            let (case, to, counts) = (Rc::clone(&case), Rc::clone(&to), Rc::clone(&counts));
            tokio::task::spawn_local(async move {
                loop {
                    if let Some(stream) = stream.take() {
                        add(&counts.opened, 1);
                        // Whatever ends it, it was the other side.
                        let _ = attack(stream, &case, &counts).await;
                        add(&counts.closed, 1);
                    }
                    time::sleep(PAUSE).await;
                    stream = TcpStream::connect(to.as_str()).await.ok();
                }
            });
        }
        time::sleep(lasting).await;
    });
    let counts = json!({
        "opened": counts.opened.get(),
        "closed_by_peer": counts.closed.get(),
        "bytes": counts.bytes.get(),
    });
    println!("{counts}");
    Ok(())
}

/// One connection, until the other side ends it.
async fn attack(mut stream: TcpStream, case: &Case, counts: &Counts) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let first = (case.first)(counts.opened.get());
    stream.write_all(&first).await?;
    add(&counts.bytes, first.len() as u64);
    match &case.then {
        Then::Hold => {}
        Then::Again(make) => loop {
            let bytes = make(counts.bytes.get());
            stream.write_all(&bytes).await?;
            add(&counts.bytes, bytes.len() as u64);
            // Making them may take longer than sending them, and the others are to have their turn.
            tokio::task::yield_now().await;
        },
        Then::Bytewise(make) => loop {
            let bytes = make(counts.bytes.get());
            for byte in bytes.iter() {
                stream.write_all(&[*byte]).await?;
                add(&counts.bytes, 1);
            }
        },
        Then::Drip { bytes, pause, total } => {
            let piece = vec![0; *bytes];
            let mut left = *total;
            while left > 0 {
                let now = left.min(*bytes);
                stream.write_all(&piece[..now]).await?;
                add(&counts.bytes, now as u64);
                left -= now;
                time::sleep(*pause).await;
            }
        }
    }
    // Nothing is ever sent back: this ends when the connection does.
    stream.read_u8().await.map(|_| ())
}
