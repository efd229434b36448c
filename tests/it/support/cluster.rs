//! A cluster on one machine: network namespaces for its agents and for its masters, which nobody outside can see.
//!
//! A test runs itself again in namespaces of its own ([`Inside::enter`]). There it is the masters: Kafka, a scheduler, a
//! Marathon and a web server are at [`MASTER`]. Each [`Host`] is an agent with a loopback and an address of its own, so
//! that all have the same ports. What was made is gone when the test ends, however it ends.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// The masters' address.
pub(crate) const MASTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Where an agent finds its own address in DC/OS.
const DETECT_IP: &str = "/opt/mesosphere/bin/detect_ip";

/// Name of the variable that says so.
const INSIDE: &str = "REHEARSAL_INSIDE";

/// A test that runs in namespaces of its own. Its folders are nobody else's.
pub(crate) struct Inside {
    folder: PathBuf,
}

impl Inside {
    /// Inside, what is to be known of the cluster. Outside, makes the namespaces, runs the test of this name in them, and
    /// gives none when it has passed; `folder` is handed to it.
    pub(crate) fn enter(test: &str, folder: &Path) -> Option<Inside> {
        if std::env::var_os(INSIDE).is_some() {
            let folder = PathBuf::from(std::env::var_os(INSIDE).expect("it is set"));
            let inside = Inside { folder };
            inside.furnish();
            return Some(inside);
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        // A shell is the first process there, since that has to see all orphans off.
        let output = command
            .args(["--", "sh", "-c", "\"$0\" \"$@\"; exit $?"])
            .arg(std::env::current_exe().expect("this program has a path"))
            .args([test, "--exact", "--nocapture"])
            .env(INSIDE, folder)
            .stdin(Stdio::null())
            .output()
            .expect("unshare, from util-linux, can be started");
        print!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        None
    }

    /// The folder that was handed in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes what every machine of the cluster has: the masters' network, names, and the command that tells an agent's
    /// address.
    fn furnish(&self) {
        let file = |name: &str, text: &str| {
            let path = self.folder.join(name);
            std::fs::write(&path, text).expect("the folder can be written to");
            path.to_str().expect("its path is text").to_owned()
        };
        let hosts = format!("127.0.0.1 localhost\n{MASTER} api.kafka.marathon.l4lb.thisdcos.directory\n");
        shell(&format!(
            "ip link set lo up
             ip link add agents type bridge
             ip address add {MASTER}/24 dev agents
             ip link set agents up
             mount -t tmpfs tmpfs /run
             mkdir -p /opt && mount -t tmpfs tmpfs /opt
             mount --bind {} /etc/hosts
             mount --bind {} /etc/resolv.conf
             mkdir -p {} && cp {} {DETECT_IP} && chmod 755 {DETECT_IP}",
            file("hosts", &hosts),
            // Nobody answers there, as in a cluster whose names do not come by DNS.
            file("resolv.conf", &format!("nameserver {MASTER}\noptions attempts:1 timeout:1\n")),
            Path::new(DETECT_IP).parent().expect("it is in a folder").display(),
            file(
                "detect_ip",
                "#!/bin/sh\nip -4 -o address show scope global | sed 's/.*inet \\([0-9.]*\\).*/\\1/'\n"
            ),
        ));
    }
}

/// Runs lines of shell, all of which must succeed.
fn shell(lines: &str) {
    let output = Command::new("sh").args(["-e", "-c", lines]).output().expect("sh can be started");
    assert!(output.status.success(), "{lines}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An agent's machine.
pub(crate) struct Host {
    name: String,
    address: Ipv4Addr,
}

impl Host {
    /// The `n`th.
    pub(crate) fn new(n: u8) -> Host {
        let host = Host { name: format!("agent-{n}"), address: Ipv4Addr::new(10, 77, 0, 10 + n) };
        let (name, address) = (&host.name, host.address);
        shell(&format!(
            "ip netns add {name}
             ip link add to-{name} type veth peer name eth0 netns {name}
             ip link set to-{name} master agents up
             ip -n {name} link set lo up
             ip -n {name} address add {address}/24 dev eth0
             ip -n {name} link set eth0 up"
        ));
        host
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its address in the cluster, which is `HOST` for its tasks.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A connection from this machine to itself.
    pub(crate) fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        self.connect_to(Ipv4Addr::LOCALHOST, port)
    }

    /// A connection from this machine.
    pub(crate) fn connect_to(&self, address: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
        self.within(move || TcpStream::connect(SocketAddrV4::new(address, port)))
    }

    /// A listener on this machine's address.
    pub(crate) fn listen(&self, port: u16) -> TcpListener {
        let address = SocketAddr::from((self.address, port));
        self.within(move || TcpListener::bind(address)).expect("nobody else is on this machine")
    }

    /// The start of a command line that runs what follows on this machine.
    pub(crate) fn entrance(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={}", self.namespace())]
    }

    fn namespace(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// Runs `work` in this machine's network. Sockets stay in the network where they were made.
    fn within<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = File::open(self.namespace()).expect("the machine has a network");
        let work = move || {
            // SAFETY: no memory is involved; the descriptor is open, and the thread ends with `work`.
            let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
            work()
        };
        thread::spawn(work).join().expect("what runs on a machine does not panic")
    }
}
