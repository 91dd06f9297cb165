//! The nginx example, in Debian's nginx as a user without privileges, between clients, the server and an AgentOS.

use crate::support::database::repository_path;
use crate::support::optional::has_tools;
use crate::support::server::{Setup, TestServer};
use crate::support::token::user;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// The user `nobody`, which runs nginx if the tests run as root.
const NOBODY: u32 = 65534;

/// An upstream that answers every request 200, and stores the heads of the requests.
struct AgentOs {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl AgentOs {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let stored = Arc::clone(&heads);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                stored.lock().expect("no panic while locked").push(read_head(&mut stream));
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nagent-os";
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, heads }
    }

    /// The request lines since the last call.
    fn request_lines(&self) -> Vec<String> {
        let heads = std::mem::take(&mut *self.heads.lock().expect("no panic while locked"));
        heads.iter().map(|head| head.lines().next().expect("a request line").to_owned()).collect()
    }
}

/// Reads up to the end of the headers.
fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

/// The real server behind nginx, and an AgentOS beside it.
struct Deployment {
    server: Option<TestServer>,
    agent_os: AgentOs,
    nginx: Child,
    port: u16,
    directory: TempDir,
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-QUIT", &self.nginx.id().to_string()]).status();
        let _ = self.nginx.wait();
    }
}

impl Deployment {
    /// Starts all three. None without nginx.
    fn start() -> Option<Self> {
        if !has_tools(&["nginx"], "the nginx example") {
            return None;
        }
        let settings = "server.trusted_proxies = [\"127.0.0.1\"]".to_owned();
        let server = Setup { settings, ..Setup::jwt() }.start();
        let agent_os = AgentOs::start();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);

        let directory = TempDir::new().expect("a directory");
        let path = directory.path().display();
        let mut example = fs::read_to_string(repository_path("host/server/packaging/nginx.conf")).expect("the example");
        for (original, replacement) in [
            ("server 127.0.0.1:7777;", format!("server {};", server.address)),
            ("server 127.0.0.1:8000;", format!("server {};", agent_os.address)),
            ("listen 80;", format!("listen 127.0.0.1:{port};")),
            ("/var/log/nginx/access.log", format!("{path}/access.log")),
        ] {
            assert_eq!(example.matches(original).count(), 1, "{original}");
            example = example.replace(original, &replacement);
        }
        let mut main =
            format!("daemon off;\npid {path}/nginx.pid;\nerror_log {path}/error.log;\nevents {{}}\nhttp {{\n");
        for module in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(main, "{module}_temp_path {path}/{module};").expect("text can be written");
        }
        fs::write(directory.path().join("nginx.conf"), format!("{main}{example}\n}}\n")).expect("the configuration");
        let mut command = Command::new("nginx");
        command.args(["-e", &format!("{path}/error.log"), "-c", &format!("{path}/nginx.conf")]);
        if fs::metadata(directory.path()).expect("the directory").uid() == 0 {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("root can change the owner");
            command.uid(NOBODY).gid(NOBODY);
        }
        let nginx = command.spawn().expect("nginx starts");
        let deployment = Self { server: Some(server), agent_os, nginx, port, directory };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(deployment.directory.path().join("error.log"));
            assert!(Instant::now() < deadline, "nginx does not listen: {log:?}");
            thread::sleep(Duration::from_millis(20));
        }
        Some(deployment)
    }

    fn server(&self) -> &TestServer {
        self.server.as_ref().expect("the server runs")
    }

    /// Sends a request to nginx from this address, with the token of alice. Returns the status and the whole answer.
    fn send_from(&self, client: Ipv4Addr, method: &str, target: &str, further: &str) -> (u16, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.bind((client, 0).into()).expect("an address of this machine");
            socket.connect((Ipv4Addr::LOCALHOST, self.port).into()).await.expect("a connection")
        });
        let mut stream = stream.into_std().expect("a stream");
        stream.set_nonblocking(false).expect("a mode");
        let token = user("alice");
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: example.com\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{further}\r\n"
        );
        stream.write_all(request.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer)
    }

    fn send(&self, method: &str, target: &str, further: &str) -> (u16, String) {
        self.send_from(Ipv4Addr::LOCALHOST, method, target, further)
    }
}

/// Encodes every byte that is not unreserved (RFC 3986, section 2.3).
fn percent_encode(id: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    id.bytes().fold(String::new(), |mut text, byte| {
        if unreserved(byte) {
            text.push(char::from(byte))
        } else {
            write!(text, "%{byte:02X}").expect("text")
        }
        text
    })
}

#[test]
fn nginx_passes_ids_of_every_shape_unchanged() {
    let Some(deployment) = Deployment::start() else { return };
    let database = deployment.server().database("main");
    let long = "é".repeat(2048);
    let ids = [
        "user_memory_7",
        "a/b",
        "/",
        "a//b",
        "a%2Fb",
        "100%",
        "%",
        "%25",
        "a%252Fb",
        "..",
        ".",
        "a/../b",
        "ü日本𝄞",
        "a?b",
        "a#b",
        "a b",
        "a+b",
        "a;b=c",
        "a\"b\\c",
        "a\tb\n",
        "DELETE /learnings/x",
        &long,
    ];
    for id in ids {
        database.insert(id, Some("alice"));
    }
    for (index, id) in ids.iter().enumerate() {
        let (status, answer) = deployment.send("DELETE", &format!("/learnings/{}?db_id=main", percent_encode(id)), "");
        assert_eq!(status, 204, "{id:?}: {answer}");
        for (other, id) in ids.iter().enumerate() {
            assert_eq!(database.contains(id), other > index, "{id:?}");
        }
    }
    // Bytes that need no encoding, as a client can send them.
    for (id, encoded) in
        [("a:b@c", "a:b@c"), ("a&b=c", "a&b=c"), ("a'(b)*!,$", "a'(b)*!,$"), ("é", "%c3%A9"), ("x", "%78")]
    {
        database.insert(id, Some("alice"));
        assert_eq!(deployment.send("DELETE", &format!("/learnings/{encoded}"), "").0, 204, "{encoded}");
    }
    // A body has no meaning, and is not passed.
    database.insert("a", Some("alice"));
    assert_eq!(deployment.send("DELETE", "/learnings/a", "Content-Length: 5\r\n\r\nhello").0, 204);
    assert_eq!(deployment.agent_os.request_lines(), [""; 0]);
}

#[test]
fn nginx_routes_everything_else_to_the_agent_os_unchanged() {
    let Some(deployment) = Deployment::start() else { return };
    deployment.server().database("main").insert("x", Some("alice"));
    for (method, target, further) in [
        ("GET", "/learnings/x", ""),
        ("PATCH", "/learnings/x", ""),
        ("POST", "/learnings/x", "Access-Control-Request-Method: DELETE\r\n"),
        ("HEAD", "/learnings/x", ""),
        ("OPTIONS", "/learnings/x", "Origin: https://os.agno.com\r\nAccess-Control-Request-Method: PATCH\r\n"),
        ("OPTIONS", "/learnings/x", ""),
        ("DELETE", "/learnings", ""),
        ("DELETE", "/learnings/", ""),
        ("DELETE", "/learnings/x/", ""),
        ("DELETE", "/learnings/x/y", ""),
        ("DELETE", "//learnings/x", ""),
        ("DELETE", "/Learnings/x", ""),
        ("DELETE", "/v1/learnings/x", ""),
        ("DELETE", "/memories/a%2Fb?c=%2F", ""),
        ("DELETE", "/memories?next=/learnings/x", ""),
        ("GET", "/health", ""),
        ("GET", "/a/%2e%2e//b%20c?d=%C3%BC", ""),
    ] {
        let (status, answer) = deployment.send(method, target, further);
        assert_eq!(status, 200, "{method} {target}: {answer}");
        assert_eq!(deployment.agent_os.request_lines(), [format!("{method} {target} HTTP/1.1")]);
    }
    assert!(deployment.server().database("main").contains("x"));
    assert!(!deployment.server().log().contains("\"target\":\"audit\""), "no request reached the server");
}

#[test]
fn nginx_does_not_route_encoded_deletes_to_the_agent_os() {
    let Some(deployment) = Deployment::start() else { return };
    // An AgentOS decodes each of these paths to that of a learning.
    for target in ["/%6Cearnings/x", "/learnings%2Fx", "/learning%73/x?a", "/%6cearnings/%2e", "/%2Flearnings/x"] {
        let (status, answer) = deployment.send("DELETE", target, "Access-Control-Request-Method: x /memories\r\n");
        assert_eq!(status, 404, "{target}: {answer}");
    }
    // It ignores what follows a `#`.
    for target in ["/learnings/x#y", "/learnings/x#/y", "/learnings/x#?y"] {
        assert_eq!(deployment.send("DELETE", target, "").0, 400, "{target}");
    }
    // A server that does not run is not replaced by the AgentOS.
    let mut deployment = deployment;
    deployment.server = None;
    assert_eq!(deployment.send("DELETE", "/learnings/x", "").0, 502);
    assert_eq!(deployment.agent_os.request_lines(), [""; 0]);
}

#[test]
fn nginx_routes_the_preflight_of_a_delete_to_the_server() {
    let Some(deployment) = Deployment::start() else { return };
    let headers = "Origin: https://os.agno.com\r\nAccess-Control-Request-Method: DELETE\r\n";
    let (status, answer) = deployment.send("OPTIONS", "/learnings/a%2Fb", headers);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.to_lowercase().contains("access-control-allow-origin: https://os.agno.com"), "{answer}");
    assert_eq!(deployment.agent_os.request_lines(), [""; 0]);
}

#[test]
fn audit_event_behind_nginx_has_the_address_of_the_client() {
    let Some(deployment) = Deployment::start() else { return };
    let client = Ipv4Addr::new(127, 0, 0, 2);
    let forged = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\nX-Request-Id: forged\r\n";
    let (status, answer) = deployment.send_from(client, "DELETE", "/learnings/absent", forged);
    assert_eq!(status, 404, "{answer}");
    let id = answer.lines().find_map(|line| line.to_lowercase().strip_prefix("x-request-id: ").map(str::to_owned));
    let id = id.expect("the id of the request");
    assert!(id.len() == 32 && id != "forged", "the id is nginx's: {id}");
    let id = format!("\"request_id\":\"{id}\"");
    let event = deployment.server().wait_for_log(&["\"target\":\"audit\"", &id]);
    assert_eq!(event["client"], "127.0.0.2");
}
