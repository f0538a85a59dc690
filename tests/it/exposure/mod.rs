//! The server on a network where not everybody means well or has a good line.

mod connections;
mod disk;
mod heads;
mod http10;
mod quota;
mod refused_uploads;
mod shutdown;
mod slow;
mod smuggling;
mod tls;
mod uploads;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::wait::PATIENCE;

/// A connection on which a test says what it wants, byte by byte.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        // Small, so that a client that does not read holds the server up.
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(16 * 1024)?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Opens a connection and says something.
    pub(crate) async fn say_to(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let mut raw = Self::connect(address).await.unwrap();
        raw.say(bytes).await.unwrap();
        raw
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref()).await
    }

    /// Some bytes, none at the end of the connection.
    pub(crate) async fn hear(&mut self, at_most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; at_most];
        let n = timeout(PATIENCE, self.0.read(&mut bytes)).await.expect("an answer in time")?;
        bytes.truncate(n);
        Ok(bytes)
    }

    /// Whatever comes until the server closes; also what came before it cut the connection.
    pub(crate) async fn hear_all(&mut self) -> String {
        let mut all = Vec::new();
        // A reset ends it too.
        while let Ok(bytes) = self.hear(64 * 1024).await
            && !bytes.is_empty()
        {
            all.extend(bytes);
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// What comes up to and with a text.
    pub(crate) async fn hear_until(&mut self, text: &str) -> String {
        let mut all = String::new();
        while !all.contains(text) {
            let bytes = self.hear(64 * 1024).await.unwrap();
            assert!(!bytes.is_empty(), "the server closed after: {all}");
            all.push_str(&String::from_utf8_lossy(&bytes));
        }
        all
    }

    /// Whether nothing comes for a while; the connection stays open.
    pub(crate) async fn is_quiet(&mut self, time: Duration) -> bool {
        timeout(time, self.0.read(&mut [0; 1])).await.is_err()
    }
}

/// Statuses of the answers in what a connection said.
fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.").skip(1).filter_map(|answer| answer.split(' ').nth(1)).collect()
}

const MS: fn(u64) -> Duration = Duration::from_millis;
