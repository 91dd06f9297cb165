//! An HTTP client for many requests over few connections, also while the server is killed.

use super::server::TestServer;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A client that reuses its connection and reconnects after losing it.
pub struct HttpClient {
    address: SocketAddr,
    token: String,
    timeout: Duration,
    connection: Option<BufReader<TcpStream>>,
}

/// A response and how long it took.
#[derive(Debug)]
pub struct TimedResponse {
    pub status: u16,
    /// The status line and the header lines, as received.
    pub head: String,
    pub body: String,
    pub elapsed: Duration,
}

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// No connection could be opened.
    NotSent,
    /// The connection ended or timed out before the response was complete.
    OutcomeUnknown,
}

impl HttpClient {
    /// Creates a client that sends this bearer token, with a timeout of one minute.
    pub fn new(server: &TestServer, token: &str) -> Self {
        Self::with_timeout(server.address, token, Duration::from_secs(60))
    }

    pub fn with_timeout(address: SocketAddr, token: &str, timeout: Duration) -> Self {
        Self { address, token: token.to_owned(), timeout, connection: None }
    }

    /// Sends a `DELETE` of this path and query.
    pub fn delete(&mut self, target: &str) -> Result<TimedResponse, RequestError> {
        self.request("DELETE", target)
    }

    pub fn request(&mut self, method: &str, target: &str) -> Result<TimedResponse, RequestError> {
        let start = Instant::now();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().ok_or(RequestError::NotSent)?,
        };
        let request =
            format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", self.token);
        let response = connection.get_mut().write_all(request.as_bytes()).ok().and_then(|()| read(&mut connection));
        let (status, head, body) = response.ok_or(RequestError::OutcomeUnknown)?;
        self.connection = Some(connection).filter(|_| !head.to_lowercase().contains("\nconnection: close"));
        Ok(TimedResponse { status, head, body, elapsed: start.elapsed() })
    }

    fn connect(&self) -> Option<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address, self.timeout).ok()?;
        stream.set_read_timeout(Some(self.timeout)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(BufReader::new(stream))
    }
}

/// Reads the status, the head and the body of a response. Returns none if the response is incomplete.
///
/// Supports only `content-length`, not chunked bodies.
fn read(connection: &mut BufReader<TcpStream>) -> Option<(u16, String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(Some(0), |length| length.parse().ok())?];
    connection.read_exact(&mut body).ok()?;
    Some((status, head, String::from_utf8(body).ok()?))
}

/// Returns the median and the maximum of these durations.
pub fn median_and_max(mut durations: Vec<Duration>) -> (Duration, Duration) {
    durations.sort_unstable();
    (durations.get(durations.len() / 2).copied().unwrap_or_default(), durations.last().copied().unwrap_or_default())
}
