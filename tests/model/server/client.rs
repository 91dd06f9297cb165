//! The HTTP client of the model: it writes a path as it likes, and can come from many addresses.

use crate::model::rules::Target;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client {
    host: SocketAddr,
    agent: ureq::Agent,
    runtime: Runtime,
}

/// An answer's status and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    body: String,
}

impl Client {
    pub fn of(host: SocketAddr) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { host, agent: agent.build().into(), runtime }
    }

    /// Asks to delete what this path names, with these values of the header `Authorization`.
    pub fn ask(&self, path: &str, authorization: &[String]) -> Answer {
        let mut request = ureq::http::Request::delete(format!("http://{}{path}", self.host));
        for value in authorization {
            request = request.header("authorization", value);
        }
        let mut response = self.agent.run(request.body(()).expect("a request")).expect("an answer");
        let body = response.body_mut().read_to_string().expect("a body");
        Answer { status: response.status().as_u16(), body }
    }

    /// The same from an address of its own: that many after the first of the network that a machine has to itself.
    pub fn ask_from(&self, address: u32, path: &str, authorization: &[String]) -> Answer {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + address);
        let connected = self.runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((address, 0).into())?;
            socket.connect(self.host).await?.into_std()
        });
        let mut stream = connected.unwrap_or_else(|error| panic!("a connection from {address}: {error}"));
        stream.set_nonblocking(false).expect("a stream that waits");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut head = format!("DELETE {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.host);
        for value in authorization {
            write!(head, "authorization: {value}\r\n").expect("text can be written");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).expect("it can be sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, body: body.to_owned() }
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
