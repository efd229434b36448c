//! The sample producer, run as a process, and agents for it to poll.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::{eventually, once};

/// A running sample producer. Killed when dropped.
pub(crate) struct Producer {
    child: Child,
    readers: Option<[JoinHandle<String>; 2]>,
}

/// What is left of a sample producer that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) screen: String,
    /// Its standard error.
    pub(crate) log: String,
}

impl Producer {
    /// Starts one with these arguments and this environment, and nothing of the developer's.
    pub(crate) fn start(args: &[&str], environment: &[(&str, &str)]) -> Producer {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sample-producer"))
            .env_clear()
            .envs(environment.iter().copied())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let readers = [
            read_to_end(child.stdout.take().expect("stdout is piped")),
            read_to_end(child.stderr.take().expect("stderr is piped")),
        ];
        Producer { child, readers: Some(readers) }
    }

    /// Asks it to end with SIGTERM, and waits for that.
    pub(crate) fn terminate(self) -> Ended {
        let pid = libc::pid_t::try_from(self.child.id()).expect("process ids fit");
        // SAFETY: no memory is involved, and the child is ours and not yet waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0, "the program has not been waited for");
        self.wait()
    }

    /// Waits until it ends of itself.
    pub(crate) fn wait(mut self) -> Ended {
        let status = eventually("the sample producer ends", || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(e) => panic!("wait for the sample producer: {e}"),
        });
        let readers = self.readers.take().expect("taken once, here");
        let [screen, log] = readers.map(|reader| reader.join().expect("readers do not panic"));
        Ended { code: status.code(), screen, log }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_to_end(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe is readable");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A Mesos agent that knows its statistics alone, or does not answer at all.
pub(crate) struct Agent {
    address: SocketAddr,
    n_asked: Arc<AtomicUsize>,
}

impl Agent {
    /// Answers every request with `body`, or keeps it waiting where there is none.
    pub(crate) fn start(body: Option<&'static str>) -> Agent {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let n_asked = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&n_asked);
        thread::spawn(move || {
            let mut waiting = Vec::new();
            for socket in listener.incoming().map_while(Result::ok) {
                read_request(&socket);
                asked.fetch_add(1, Ordering::Relaxed);
                match body {
                    Some(body) => answer(socket, body),
                    None => waiting.push(socket),
                }
            }
        });
        Agent { address, n_asked }
    }

    /// Arguments that lead the sample producer to it.
    pub(crate) fn args(&self) -> [String; 4] {
        ["-ipcmd", "echo 127.0.0.1", "-agent-port", &self.address.port().to_string()].map(str::to_owned)
    }

    /// Waits until it was asked so many times.
    pub(crate) fn wait_asked(&self, n_times: usize) {
        eventually("the agent is asked", || {
            let n_asked = self.n_asked.load(Ordering::Relaxed);
            once(n_asked >= n_times, || format!("{n_asked} of {n_times} times"))
        });
    }
}

fn read_request(socket: &TcpStream) {
    let lines = BufReader::new(socket).lines().map_while(Result::ok);
    // The request has no body: it ends with an empty line.
    lines.take_while(|line| !line.is_empty()).for_each(drop);
}

fn answer(mut socket: TcpStream, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // One that has gone away, because it was told to end, misses nothing.
    let _ = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes()));
}
