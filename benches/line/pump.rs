//! The bare pump: the least that could stand between the senders and Kafka, and so the floor to measure against.
//!
//! One thread reads all connections straight into the message that is being filled, 256 KiB at most at a time, and
//! lends it to librdkafka when it has 512 KiB or is one second old. It looks at nothing, keeps nothing apart by
//! connection, and writes one topic. What it does not do, nobody could do for less.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time;

use crate::lend::{BUFFER_BYTES, Buffer, Lender};
use crate::sink::RAW_TOPIC;

const READ_BYTES: usize = 256 * 1024;

/// Age at which a message goes out though it is not full.
const AGE: Duration = Duration::from_secs(1);

struct Pump {
    lender: RefCell<Lender>,
    /// The message that is being filled, and how far.
    filling: RefCell<Option<(Buffer, usize)>>,
    /// Messages sent: tells the one that is being filled from the next.
    n_sent: Cell<u64>,
    /// A message has got its first bytes.
    begun: Notify,
    /// Buffers have come back.
    freed: Notify,
}

/// Runs the pump until it is killed.
pub(crate) fn run(brokers: &str, compression: &str) -> io::Result<()> {
    let lender = Lender::new(brokers, compression, RAW_TOPIC).map_err(io::Error::other)?;
    let bell = lender.bell();
    let pump = Rc::new(Pump {
        lender: RefCell::new(lender),
        filling: RefCell::default(),
        n_sent: Cell::default(),
        begun: Notify::new(),
        freed: Notify::new(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", json!({ "input": listener.local_addr()?.to_string() }));
        tokio::task::spawn_local(Rc::clone(&pump).close_the_old());
        let reports = Rc::clone(&pump);
        tokio::task::spawn_local(async move {
            loop {
                bell.notified().await;
                reports.lender.borrow_mut().serve();
                reports.freed.notify_waiters();
            }
        });
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(Rc::clone(&pump).read(stream));
        }
    })
}

/// What one read came to.
enum Read {
    Some,
    End,
    NoBuffer,
}

impl Pump {
    /// One connection, to its end.
    async fn read(self: Rc<Self>, mut stream: TcpStream) {
        loop {
            // The buffer is looked for in each poll anew: it belongs to nobody while this waits.
            let read = std::future::poll_fn(|context| {
                let mut filling = self.filling.borrow_mut();
                if filling.is_none() {
                    *filling = self.lender.borrow().buffer().map(|buffer| (buffer, 0));
                }
                let Some((buffer, filled)) = &mut *filling else { return Poll::Ready(Read::NoBuffer) };
                let end = (*filled + READ_BYTES).min(BUFFER_BYTES);
                let mut room = ReadBuf::new(&mut buffer[*filled..end]);
                match Pin::new(&mut stream).poll_read(context, &mut room) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(_)) => Poll::Ready(Read::End),
                    Poll::Ready(Ok(())) if room.filled().is_empty() => Poll::Ready(Read::End),
                    Poll::Ready(Ok(())) => {
                        if *filled == 0 {
                            self.begun.notify_one();
                        }
                        *filled += room.filled().len();
                        Poll::Ready(Read::Some)
                    }
                }
            });
            match read.await {
                Read::Some => self.send_if(|filled| filled == BUFFER_BYTES),
                Read::End => return,
                Read::NoBuffer => self.freed.notified().await,
            }
        }
    }

    fn send_if(&self, ripe: impl FnOnce(usize) -> bool) {
        let mut filling = self.filling.borrow_mut();
        if let Some((buffer, filled)) = filling.take_if(|(_, filled)| ripe(*filled)) {
            self.lender.borrow_mut().lend(buffer, filled);
            self.n_sent.set(self.n_sent.get() + 1);
        }
    }

    /// Sends what is one second old. Asleep while there is nothing; else it wakes once a second.
    async fn close_the_old(self: Rc<Self>) {
        loop {
            self.begun.notified().await;
            let mut which = self.n_sent.get();
            loop {
                time::sleep(AGE).await;
                if self.n_sent.get() == which {
                    self.send_if(|filled| filled > 0);
                    break;
                }
                which = self.n_sent.get();
                if self.filling.borrow().as_ref().is_none_or(|(_, filled)| *filled == 0) {
                    break;
                }
            }
        }
    }
}
