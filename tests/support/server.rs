//! The real binary, started on a free port with a database of its own, and a real HTTP client to ask it.

use super::database::AgnoDatabase;
use super::token::SECRET;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a host is started with. Begin with one of the functions, change fields, then [`start`](Self::start).
pub struct Setup {
    /// The text of the tables `auth`, `auth.jwt` and so on.
    pub auth: String,
    pub authorization: String,
    pub settings: String,
    /// Ids of the databases; each is a file of this name that Agno filled.
    pub databases: Vec<&'static str>,
    /// Text of further `[[databases]]`.
    pub further_databases: String,
    /// The component to run, where not the embedded one.
    pub policy: Option<String>,
    pub environment: Vec<(&'static str, String)>,
    /// A program that runs the host, with its first arguments; it must become the host's process (`exec`).
    pub through: Vec<String>,
}

impl Setup {
    /// HS256 tokens, scopes enforced, users isolated, one database `main`.
    pub fn jwt() -> Self {
        Self {
            auth: format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\nverification_keys = [\"{SECRET}\"]\n"),
            ..Self::with_auth("")
        }
    }

    pub fn security_key(key: &str) -> Self {
        Self::with_auth(&format!("mode = \"security-key\"\nsecurity_key = \"{key}\"\n"))
    }

    pub fn open() -> Self {
        Self::with_auth("mode = \"none\"\n")
    }

    pub fn with_auth(auth: &str) -> Self {
        Self {
            auth: auth.to_owned(),
            authorization: String::new(),
            settings: String::new(),
            databases: vec!["main"],
            further_databases: String::new(),
            policy: None,
            environment: Vec::new(),
            through: Vec::new(),
        }
    }

    /// The configuration file's text.
    pub fn text(&self) -> String {
        let mut text = "server.listen = \"127.0.0.1:0\"\n".to_owned();
        if let Some(policy) = &self.policy {
            writeln!(text, "policy.component = {}", Value::from(policy.as_str())).expect("text can be written");
        }
        text += &self.settings;
        text.push('\n');
        for id in &self.databases {
            writeln!(text, "[[databases]]\nid = \"{id}\"\nurl = \"sqlite:{id}.db\"").expect("text can be written");
        }
        text += &self.further_databases;
        text + &format!("[auth]\n{}\n[authorization]\n{}\n[log]\nformat = \"json\"\n", self.auth, self.authorization)
    }

    pub fn start(self) -> Host {
        let folder = TempDir::new().expect("a temporary folder");
        for id in &self.databases {
            AgnoDatabase::in_folder(folder.path(), &format!("{id}.db"));
        }
        self.start_in(folder)
    }

    /// Starts on whatever database files are in the folder.
    pub fn start_in(self, folder: TempDir) -> Host {
        self.try_start_in(folder).unwrap_or_else(|said| panic!("the host did not start: {said}"))
    }

    /// As [`start_in`](Self::start_in). Where the host does not start, what it said.
    pub fn try_start_in(self, folder: TempDir) -> Result<Host, String> {
        let config = folder.path().join("delete-learning.toml");
        std::fs::write(&config, self.text()).expect("the configuration can be written");
        let mut command = command(&config);
        if let [program, arguments @ ..] = self.through.as_slice() {
            command = through(command, program, arguments);
        }
        let mut child = command.envs(self.environment).spawn().expect("the binary starts");

        let log = Arc::new(Mutex::new(String::new()));
        let (sink, stderr) = (Arc::clone(&log), child.stderr.take().expect("a pipe"));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("no panic while writing");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its output can be read");
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            thread::sleep(Duration::from_millis(100));
            return Err(format!("{line}{}", log.lock().expect("no panic while writing")));
        };
        Ok(Host { child, address, folder, log })
    }
}

/// The command, run by another program.
fn through(command: Command, program: &str, arguments: &[String]) -> Command {
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args());
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in command.get_envs() {
        outer.env_remove(name);
    }
    outer
}

/// The command that serves this configuration, its output in pipes, without this environment's secrets.
pub fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.args(["serve", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["OS_SECURITY_KEY", "JWT_VERIFICATION_KEY", "JWT_JWKS_FILE"] {
        command.env_remove(name);
    }
    // What is compiled is kept among what is built, and not where the user has such things.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Bytes of memory that a process holds, by its id or `self`; none where the system does not say it as Linux does.
pub fn resident_bytes(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// A running host; stopped when dropped.
pub struct Host {
    child: Child,
    pub address: SocketAddr,
    pub folder: TempDir,
    log: Arc<Mutex<String>>,
}

impl Host {
    pub fn database(&self, id: &str) -> AgnoDatabase {
        AgnoDatabase::open(self.folder.path().join(format!("{id}.db")))
    }

    /// `DELETE` of this path and query, with a bearer token or without.
    pub fn delete(&self, target: &str, token: Option<&str>) -> Answer {
        let authorization = token.map(|token| format!("Bearer {token}"));
        self.request(
            "DELETE",
            target,
            &authorization.iter().map(|value| ("authorization", value.as_str())).collect::<Vec<_>>(),
        )
    }

    /// A request through the HTTP client.
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{target}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut response = agent.run(request.body(()).expect("a request")).expect("an answer");
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect();
        let body = response.body_mut().read_to_string().expect("a body");
        Answer { status: response.status().as_u16(), headers, body }
    }

    /// Sends bytes as they are, for what no client would send, and returns what comes back until the connection closes.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
        // The host may answer and close before everything is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What has been logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic while writing").clone()
    }

    /// Waits for a line of the log that has all of these, and returns it.
    pub fn logged(&self, parts: &[&str]) -> Value {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                return serde_json::from_str(line).expect("a line of the log is JSON");
            }
            assert!(Instant::now() < end, "no line of the log has {parts:?}:\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Bytes of memory that the process holds; none where the system does not say it as Linux does.
    pub fn resident_bytes(&self) -> Option<u64> {
        resident_bytes(&self.child.id().to_string())
    }

    /// Waits for the process to end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the process can be waited for")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// Status, detail and error code of an error body that has these two members and no other.
    pub fn error(&self) -> (u16, String, String) {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("a JSON body: {self:?}"));
        let members = body.as_object().expect("an object");
        let text = |name: &str| members.get(name).and_then(Value::as_str).expect("two texts").to_owned();
        assert_eq!(members.len(), 2, "exactly two members: {self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        (self.status, text("detail"), text("error_code"))
    }

    pub fn is_error(&self, status: u16, detail: &str, code: &str) {
        assert_eq!(self.error(), (status, detail.to_owned(), code.to_owned()));
    }

    pub fn is_deleted(&self) {
        assert_eq!((self.status, self.body.as_str()), (204, ""), "{self:?}");
    }
}
