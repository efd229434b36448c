//! A local process that sends its metrics to the collector: one TCP connection, one OCF stream.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::metrics::Metrics;
use crate::ocf::encode::{file, header};
use crate::ocf::{METRIC_LIST, Marker};
use crate::telemetry::unix_ms;

/// How long the collector may take to read the last block and close.
const GOODBYE: Duration = Duration::from_secs(5);

/// An emitter, not connected yet.
#[derive(Clone, Debug)]
pub struct Emitter {
    /// What it says.
    pub metrics: Metrics,
    /// Between two blocks.
    pub period: Duration,
    /// Its stream's sync marker.
    pub marker: Marker,
}

impl Emitter {
    /// Sends a block each period until `stop` is true, and waits until the collector has read all. Gives the number of
    /// records that it sent.
    ///
    /// # Errors
    /// The collector cannot be reached, ends the connection, or does not read to the end.
    pub async fn run(mut self, collector: SocketAddr, mut stop: watch::Receiver<bool>) -> io::Result<u64> {
        let mut stream = TcpStream::connect(collector).await?;
        let mut bytes = Vec::new();
        header(METRIC_LIST, &self.marker, &mut bytes);
        let header_bytes = bytes.len();
        let mut sent = 0;
        loop {
            let records = self.metrics.records(unix_ms().cast_signed());
            // The header stands before the first block alone.
            bytes.extend_from_slice(&file(&records, &self.marker)[header_bytes..]);
            stream.write_all(&bytes).await?;
            bytes.clear();
            sent += records.len() as u64;
            tokio::select! {
                // A sender that is gone is as good as the signal.
                _ = stop.wait_for(|stop| *stop) => break,
                () = tokio::time::sleep(self.period) => {}
            }
        }
        stream.shutdown().await?;
        match tokio::time::timeout(GOODBYE, stream.read(&mut [0; 1])).await {
            Ok(Ok(0)) => Ok(sent),
            Ok(Ok(_)) => Err(io::Error::other("it answered, and should only read")),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Now, in milliseconds since the Unix epoch.
#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::demo::cast::Cast;
    use crate::demo::metrics::Module;
    use crate::ocf::decode::decode_file;

    fn emitter() -> Emitter {
        let metrics = Metrics::Module(Module::new(&Cast::new(1, false), 1));
        Emitter { metrics, period: Duration::from_millis(1), marker: [7; 16] }
    }

    #[tokio::test]
    async fn what_it_says_it_sent_is_one_stream_of_as_many_records() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(emitter().run(listener.local_addr().unwrap(), stopped));
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut stream = vec![0; 5000];
        peer.read_exact(&mut stream).await.unwrap();
        stop.send(true).unwrap();
        peer.read_to_end(&mut stream).await.unwrap();
        drop(peer);
        let sent = running.await.unwrap().unwrap();
        assert_eq!(decode_file(&stream).unwrap().len() as u64, sent);
        assert!(sent >= 8, "several blocks in {} bytes", stream.len());
    }

    #[tokio::test]
    async fn a_collector_that_ends_the_connection_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_stop, stopped) = watch::channel(false);
        let running = tokio::spawn(emitter().run(listener.local_addr().unwrap(), stopped));
        drop(listener.accept().await.unwrap());
        assert!(running.await.unwrap().is_err());
    }
}
