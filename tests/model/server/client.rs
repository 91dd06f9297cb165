//! The HTTP client of the model: it writes a path as it likes, and can come from many addresses. So many requests are made
//! that what a client for everything does beside that would take most of the time.

use crate::model::rules::Target;
use serde_json::Value;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client {
    host: SocketAddr,
    runtime: Runtime,
    /// The connection of all requests that need none of their own.
    kept: RefCell<Option<BufReader<TcpStream>>>,
}

/// An answer's status and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    body: String,
}

impl Client {
    pub fn of(host: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { host, runtime, kept: RefCell::default() }
    }

    /// Asks to delete what this path names, with these values of the header `Authorization`.
    pub fn ask(&self, path: &str, authorization: &[String]) -> Answer {
        let mut kept = self.kept.borrow_mut();
        if let Some(connection) = kept.as_mut()
            && let Ok(answer) = self.exchange(connection, path, authorization)
        {
            return answer;
        }
        // There is none yet, or it was idle for so long that the host has closed it.
        let mut connection = self.connect(Ipv4Addr::LOCALHOST);
        let answer = self.exchange(&mut connection, path, authorization).expect("an answer");
        *kept = Some(connection);
        answer
    }

    /// The same from an address of its own: that many after the first of the network that a machine has to itself.
    pub fn ask_from(&self, address: u32, path: &str, authorization: &[String]) -> Answer {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + address);
        self.exchange(&mut self.connect(address), path, authorization).expect("an answer")
    }

    fn connect(&self, from: Ipv4Addr) -> BufReader<TcpStream> {
        let connected = self.runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((from, 0).into())?;
            socket.connect(self.host).await?.into_std()
        });
        let stream = connected.unwrap_or_else(|error| panic!("a connection from {from}: {error}"));
        stream.set_nonblocking(false).expect("a stream that waits");
        stream.set_nodelay(true).expect("a stream that sends at once");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        BufReader::new(stream)
    }

    fn exchange(
        &self,
        connection: &mut BufReader<TcpStream>,
        path: &str,
        authorization: &[String],
    ) -> io::Result<Answer> {
        let mut head = format!("DELETE {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
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
        Ok(Answer { status, body: String::from_utf8(body).map_err(io::Error::other)? })
    }
}

impl Answer {
    /// What the answer says, as the model has it.
    pub fn error(&self) -> Option<(u16, String, &'static str)> {
        if self.status == 204 {
            assert!(self.body.is_empty(), "{self:?}");
            return None;
        }
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"));
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("two texts: {self:?}")).to_owned();
        Some((self.status, text("detail"), code(&text("error_code"))))
    }
}

/// One of the ways to write a path and query that mean the same.
#[derive(Clone, Copy, Debug)]
pub struct Spelling(pub u64);

impl Spelling {
    /// Everything but letters and digits percent-encoded, and nothing beside what is meant.
    pub const PLAIN: Self = Self(0);

    /// The next of many small decisions (by the constants of Knuth's MMIX).
    fn decides(&mut self) -> bool {
        if self.0 != 0 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) | 1;
        }
        self.0 >> 63 == 1
    }

    fn encoded(&mut self, text: &str, is_query: bool) -> String {
        let mut encoded = String::new();
        for byte in text.bytes() {
            let is_plain = byte.is_ascii_alphanumeric() || self.0 != 0 && b"-._~!*'()".contains(&byte);
            match (is_plain, self.decides()) {
                (true, false) => encoded.push(char::from(byte)),
                (false, true) if byte == b' ' && is_query => encoded.push('+'),
                (_, true) => write!(encoded, "%{byte:02x}").expect("text can be written"),
                (false, false) => write!(encoded, "%{byte:02X}").expect("text can be written"),
            }
        }
        encoded
    }
}

/// The path and query of a target. An id that is no text is one byte that no text has.
pub fn path(target: &Target, mut spelling: Spelling) -> String {
    let id = target.id.as_deref().map_or("%FF".to_owned(), |id| spelling.encoded(id, false));
    let mut parameters = Vec::new();
    for (name, values) in [("db_id", &target.db_id), ("table", &target.table)] {
        for value in values {
            let name = if spelling.decides() { name.replace('_', "%5f") } else { name.to_owned() };
            parameters.push(format!("{name}={}", spelling.encoded(value, true)));
            if spelling.decides() {
                // Names that mean nothing, and nothing.
                parameters.push(if spelling.decides() { "DB_ID=nowhere&table%00=x" } else { "" }.to_owned());
            }
        }
    }
    if parameters.is_empty() && !spelling.decides() {
        return format!("/learnings/{id}");
    }
    format!("/learnings/{id}?{}", parameters.join("&"))
}

/// The same text for the life of the program.
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
