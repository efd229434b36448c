//! Stand-ins for what speaks HTTP in a cluster: axum routers on threads of their own.

use std::net::SocketAddr;
use std::thread;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A server. It ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Serves `router` on a free port of loopback.
    pub(crate) fn start(router: Router) -> Server {
        Server::on(std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"), router)
    }

    /// Serves `router` on this socket.
    pub(crate) fn on(socket: std::net::TcpListener, router: Router) -> Server {
        let address = socket.local_addr().expect("a bound socket has an address");
        socket.set_nonblocking(true).expect("sockets can be made not to block");
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(socket).expect("tokio takes the socket");
                tokio::select! {
                    served = axum::serve(listener, router) => served.expect("axum serves until it is dropped"),
                    _ = stopped => {}
                }
            });
        });
        Server { address, _stop: stop }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
