//! For tests: stand-ins for whoever is asked, on ports of their own.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use proptest::prelude::*;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};

/// Any JSON, whose objects have members of these names, and whose texts are among these too.
pub(crate) fn json(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let word = prop::sample::select(words.to_vec()).prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

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

/// A DNS server on UDP that knows a few names, and says of others as Mesos-DNS does: no error, and no records.
pub(crate) struct DnsServer;

impl DnsServer {
    /// Knows these SRV records (name, target, port) and these addresses.
    pub(crate) async fn start(services: &[(&str, &str, u16)], addresses: &[(&str, [u8; 4])]) -> SocketAddr {
        let name = |text: &str| Name::from_ascii(text).expect("a name");
        let services = services.iter().map(|(of, target, port)| {
            let srv = SRV::new(0, 0, *port, name(target));
            Record::from_rdata(name(of), 60, RData::SRV(srv))
        });
        let addresses = addresses
            .iter()
            .map(|(of, ip)| Record::from_rdata(name(of), 60, RData::A(A(Ipv4Addr::from(*ip)))));
        let records: Vec<Record> = services.chain(addresses).collect();
        DnsServer::answering(move |question| {
            let asked = Message::from_vec(question).ok()?;
            let query = asked.queries.first()?.clone();
            let mut answer = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
            answer.metadata.response_code = ResponseCode::NoError;
            let fits =
                |record: &&Record| record.name == query.name && record.record_type() == query.query_type;
            answer.answers = records.iter().filter(fits).cloned().collect();
            answer.queries.push(query);
            answer.to_vec().ok()
        })
        .await
    }

    /// Answers with bytes that are no DNS.
    pub(crate) async fn nonsense() -> SocketAddr {
        DnsServer::answering(|question| Some(vec![0xff; question.len().max(12)])).await
    }

    async fn answering(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut question = [0; 1500];
            while let Ok((n, peer)) = socket.recv_from(&mut question).await {
                if let Some(answer) = answer(&question[..n]) {
                    _ = socket.send_to(&answer, peer).await;
                }
            }
        });
        address
    }
}
