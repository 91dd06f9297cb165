//! Many requests over few connections, also to a host that is killed meanwhile.

use super::server::Host;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A client that keeps its connection, and makes a new one when it has lost it.
pub struct Client {
    address: SocketAddr,
    token: String,
    patience: Duration,
    connection: Option<BufReader<TcpStream>>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Header lines as they came.
    pub head: String,
    pub body: String,
    /// How long it took.
    pub after: Duration,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// There is nobody to send the request to.
    NotSent,
    /// The connection ended, or time ran out, before the answer came: what became of the request is not known.
    OutcomeUnknown,
}

impl Client {
    /// A client that asks with this bearer token and gives up after a minute.
    pub fn of(host: &Host, token: &str) -> Self {
        Self::with_patience(host.address, token, Duration::from_secs(60))
    }

    pub fn with_patience(address: SocketAddr, token: &str, patience: Duration) -> Self {
        Self { address, token: token.to_owned(), patience, connection: None }
    }

    /// `DELETE` of this path and query.
    pub fn delete(&mut self, target: &str) -> Result<Reply, Unanswered> {
        self.request("DELETE", target)
    }

    pub fn request(&mut self, method: &str, target: &str) -> Result<Reply, Unanswered> {
        let sent = Instant::now();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().ok_or(Unanswered::NotSent)?,
        };
        let request =
            format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", self.token);
        let answer = connection.get_mut().write_all(request.as_bytes()).ok().and_then(|()| read(&mut connection));
        let (status, head, body) = answer.ok_or(Unanswered::OutcomeUnknown)?;
        self.connection = Some(connection);
        Ok(Reply { status, head, body, after: sent.elapsed() })
    }

    fn connect(&self) -> Option<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address, self.patience).ok()?;
        stream.set_read_timeout(Some(self.patience)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(BufReader::new(stream))
    }
}

/// Reads an answer whose length is told; none where it does not come whole.
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

/// The middle one of these times, and the longest.
pub fn middle_and_longest(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times.get(times.len() / 2).copied().unwrap_or_default(), times.last().copied().unwrap_or_default())
}
