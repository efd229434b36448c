//! Where clients come in. It can be shut, as when a broker goes down: who is in is thrown out, and nobody is let in until it
//! is opened again, at the same address.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use socket2::SockRef;

/// What is done with each client, on a thread of its own.
type Serve = Arc<dyn Fn(TcpStream) + Send + Sync>;

pub(super) struct Door {
    address: SocketAddr,
    serve: Serve,
    inside: Arc<Mutex<Vec<TcpStream>>>,
    open: Option<Open>,
}

struct Open {
    listener: Arc<TcpListener>,
    doorman: JoinHandle<()>,
}

impl Door {
    /// An open door at any free address; what is done with clients is made of it.
    pub(super) fn open_at_any<S: Fn(TcpStream) + Send + Sync + 'static>(
        make: impl FnOnce(SocketAddr) -> S,
    ) -> io::Result<Door> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let mut door = Door { address, serve: Arc::new(make(address)), inside: Arc::default(), open: None };
        door.let_in(listener);
        Ok(door)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn shut(&mut self) -> io::Result<()> {
        let Some(Open { listener, doorman }) = self.open.take() else { return Ok(()) };
        // This ends the doorman's wait; the address is free when nobody has the listener any more.
        SockRef::from(&*listener).shutdown(Shutdown::Both)?;
        doorman.join().expect("the doorman does not panic");
        drop(listener);
        for client in self.inside.lock().expect("no code panics under this lock").drain(..) {
            // Fails where it has left.
            _ = client.shutdown(Shutdown::Both);
        }
        Ok(())
    }

    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            self.let_in(TcpListener::bind(self.address)?);
        }
        Ok(())
    }

    fn let_in(&mut self, listener: TcpListener) {
        let listener = Arc::new(listener);
        let (serve, inside) = (Arc::clone(&self.serve), Arc::clone(&self.inside));
        let theirs = Arc::clone(&listener);
        let doorman = thread::spawn(move || {
            while let Ok((client, _)) = theirs.accept() {
                if let Ok(handle) = client.try_clone() {
                    inside.lock().expect("no code panics under this lock").push(handle);
                }
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(client));
            }
        });
        self.open = Some(Open { listener, doorman });
    }
}
