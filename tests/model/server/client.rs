//! The HTTP client of the model: it encodes paths in several ways and sends from several addresses.
//!
//! A general client would take most of the time of the test, because there are so many requests.

use crate::model::rules::Target;
use serde_json::Value;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

const READ_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Client {
    server: SocketAddr,
    runtime: Runtime,
    /// The connection that [`delete`](Self::delete) reuses.
    connection: RefCell<Option<BufReader<TcpStream>>>,
}

/// The status and body of an answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    body: String,
}

impl Client {
    pub fn new(server: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { server, runtime, connection: RefCell::default() }
    }

    /// Sends `DELETE` for this path and query, with these values of the header `Authorization`.
    pub fn delete(&self, path: &str, authorization: &[String]) -> Response {
        let mut reused = self.connection.borrow_mut();
        if let Some(connection) = reused.as_mut()
            && let Ok(answer) = self.exchange(connection, path, authorization)
        {
            return answer;
        }
        // There is no connection yet, or the server closed it because it was idle.
        let mut connection = self.connect(Ipv4Addr::LOCALHOST);
        let answer = self.exchange(&mut connection, path, authorization).expect("an answer");
        *reused = Some(connection);
        answer
    }

    /// As [`delete`](Self::delete), from the loopback address 127.1.0.0 plus this number, on a new connection.
    pub fn delete_from(&self, address: u32, path: &str, authorization: &[String]) -> Response {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + address);
        self.exchange(&mut self.connect(address), path, authorization).expect("an answer")
    }

    fn connect(&self, from: Ipv4Addr) -> BufReader<TcpStream> {
        let connected = self.runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((from, 0).into())?;
            socket.connect(self.server).await?.into_std()
        });
        let stream = connected.unwrap_or_else(|error| panic!("a connection from {from}: {error}"));
        stream.set_nonblocking(false).expect("the stream is blocking");
        stream.set_nodelay(true).expect("TCP_NODELAY is set");
        stream.set_read_timeout(Some(READ_TIMEOUT)).expect("the read timeout is set");
        BufReader::new(stream)
    }

    fn exchange(
        &self,
        connection: &mut BufReader<TcpStream>,
        path: &str,
        authorization: &[String],
    ) -> io::Result<Response> {
        let mut head = format!("DELETE {path} HTTP/1.1\r\nhost: {}\r\n", self.server);
        for value in authorization {
            write!(head, "authorization: {value}\r\n").expect("text can be written");
        }
        head.push_str("\r\n");
        connection.get_mut().write_all(head.as_bytes())?;
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            if connection.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body)?;
        Ok(Response { status, body: String::from_utf8(body).map_err(io::Error::other)? })
    }
}

impl Response {
    /// Returns status, detail and error code as the model represents them.
    pub fn error(&self) -> Option<(u16, String, &'static str)> {
        if self.status == 204 {
            assert!(self.body.is_empty(), "{self:?}");
            return None;
        }
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"));
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("two strings: {self:?}")).to_owned();
        Some((self.status, text("detail"), code(&text("error_code"))))
    }
}

/// One of the equivalent encodings of a path and query, selected by a seed.
#[derive(Clone, Copy, Debug)]
pub struct Encoding(pub u64);

impl Encoding {
    /// Percent-encodes everything except letters and digits, and adds nothing.
    pub const PLAIN: Self = Self(0);

    /// Returns the next pseudorandom bit, from a linear congruential generator with the constants of Knuth's MMIX.
    fn next_bit(&mut self) -> bool {
        if self.0 != 0 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) | 1;
        }
        self.0 >> 63 == 1
    }

    fn encode(&mut self, text: &str, is_query: bool) -> String {
        let mut encoded = String::new();
        for byte in text.bytes() {
            let is_plain = byte.is_ascii_alphanumeric() || self.0 != 0 && b"-._~!*'()".contains(&byte);
            match (is_plain, self.next_bit()) {
                (true, false) => encoded.push(char::from(byte)),
                (false, true) if byte == b' ' && is_query => encoded.push('+'),
                (_, true) => write!(encoded, "%{byte:02x}").expect("text can be written"),
                (false, false) => write!(encoded, "%{byte:02X}").expect("text can be written"),
            }
        }
        encoded
    }
}

/// Encodes the path and query of a target. An id that is not UTF-8 is the byte 0xFF.
pub fn path(target: &Target, mut encoding: Encoding) -> String {
    let id = target.id.as_deref().map_or("%FF".to_owned(), |id| encoding.encode(id, false));
    let mut parameters = Vec::new();
    for (name, values) in [("db_id", &target.db_id), ("table", &target.table)] {
        for value in values {
            let name = if encoding.next_bit() { name.replace('_', "%5f") } else { name.to_owned() };
            parameters.push(format!("{name}={}", encoding.encode(value, true)));
            if encoding.next_bit() {
                // Unknown parameters, or an empty one.
                parameters.push(if encoding.next_bit() { "DB_ID=unknown&table%00=x" } else { "" }.to_owned());
            }
        }
    }
    if parameters.is_empty() && !encoding.next_bit() {
        return format!("/learnings/{id}");
    }
    format!("/learnings/{id}?{}", parameters.join("&"))
}

/// Returns the error code as a static string.
fn code(code: &str) -> &'static str {
    let codes = [
        "BAD_REQUEST",
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "NOT_FOUND",
        "TOO_MANY_REQUESTS",
        "INTERNAL_SERVER_ERROR",
        "SERVICE_UNAVAILABLE",
    ];
    codes.into_iter().find(|known| *known == code).expect("a code of the model")
}
