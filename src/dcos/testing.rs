//! For tests: stand-ins for whoever is asked, on ports of their own.

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, format!("http://{address}"))
}

/// Serves `router` until the test's runtime ends; gives the address.
pub(crate) async fn serve(router: Router) -> String {
    let (listener, base) = listener().await;
    tokio::spawn(async move {
        axum::serve(listener, router).await.expect("axum serves until it is dropped");
    });
    base
}

/// Answers whatever comes with `head`, and then with `tail` again and again until the other side has gone. An empty
/// `tail`: it says no more.
pub(crate) async fn raw_server(head: Vec<u8>, tail: Vec<u8>) -> String {
    let (listener, base) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&head).await;
            while !tail.is_empty() && stream.write_all(&tail).await.is_ok() {}
            let _ = stream.read(&mut [0; 1]).await;
        }
    });
    base
}

/// An address where nobody listens, and nobody else can while the socket lives.
pub(crate) fn closed_port() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("an address");
    (socket, format!("http://{address}"))
}

/// The secret of a service account with a key of its own, as DC/OS writes it.
pub(crate) fn secret(login_endpoint: &str) -> String {
    let key = openssl::rsa::Rsa::generate(2048).and_then(openssl::pkey::PKey::from_rsa).expect("a key");
    let pem = key.private_key_to_pem_pkcs8().expect("a PEM file");
    let private_key = String::from_utf8(pem).expect("PEM is text");
    serde_json::json!({
        "scheme": "RS256", "uid": "sa", "private_key": private_key, "login_endpoint": login_endpoint,
    })
    .to_string()
}
