//! The real binary on a free port with its own database, and an HTTP client for it.

use super::database::AgnoDatabase;
use super::secrets::Secrets;
use super::token::SECRET;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long timeouts for a busy machine. Tests with them check that answers are right, and only print times.
pub const LONG_TIMEOUTS: &str = "sqlite.busy_timeout_ms = 8000\npostgres.connect_timeout_ms = 8000\npostgres.acquire_timeout_ms = 8000\n\
                       postgres.statement_timeout_ms = 8000\nsandbox.execution_timeout_ms = 60000\nsandbox.queue_timeout_ms = 8000\n";

/// The configuration of a server. Call a constructor, change fields, then call [`start`](Self::start).
pub struct Setup {
    /// The text of the sections `auth`, `auth.jwt` and so on.
    pub auth: String,
    /// The text of the section `authorization`.
    pub authorization: String,
    /// The text of other sections.
    pub settings: String,
    /// The ids of the SQLite databases. Each is a copy of Agno's database in a file of this name.
    pub databases: Vec<&'static str>,
    /// The text of further `[[databases]]` sections.
    pub further_databases: String,
    /// The component file. None: the default policy.
    pub policy: Option<String>,
    pub environment: Vec<(&'static str, String)>,
    /// A program that runs the server, with its first arguments. It must replace itself with the server (`exec`).
    pub wrapper: Vec<String>,
    /// The security key, if there is one.
    pub security_key: Option<String>,
    /// A socket that the server inherits, as from systemd (`sd_listen_fds(3)`).
    pub socket: Option<TcpListener>,
}

impl Setup {
    /// HS256 tokens, enforced scopes, user isolation, and one database `main`.
    pub fn jwt() -> Self {
        Self {
            auth: format!("mode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\nverification_keys = [\"{SECRET}\"]\n"),
            ..Self::with_auth("")
        }
    }

    /// Like [`jwt`](Self::jwt), with a database that the server creates.
    pub fn on_created_database() -> Self {
        let database = "[[databases]]\nid = \"main\"\nurl = \"sqlite:main.db\"\ncreate = true\n";
        Self { databases: vec![], further_databases: database.to_owned(), ..Self::jwt() }
    }

    pub fn security_key(key: &str) -> Self {
        let auth = format!("mode = \"security-key\"\nsecurity_key = \"{key}\"\n");
        Self { security_key: Some(key.to_owned()), ..Self::with_auth(&auth) }
    }

    pub fn without_auth() -> Self {
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
            wrapper: Vec::new(),
            security_key: None,
            socket: None,
        }
    }

    /// Returns the text of the configuration file.
    pub fn config_text(&self) -> String {
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

    /// Starts the server in a temporary directory, on new copies of Agno's database.
    pub fn start(self) -> TestServer {
        let directory = TempDir::new().expect("a temporary directory");
        for id in &self.databases {
            AgnoDatabase::copy_to(directory.path(), &format!("{id}.db"));
        }
        self.start_in(directory)
    }

    /// Starts the server on the database files of this directory.
    pub fn start_in(self, directory: TempDir) -> TestServer {
        self.try_start_in(directory).unwrap_or_else(|output| panic!("the server did not start: {output}"))
    }

    /// Like [`start_in`](Self::start_in), but returns the output of a server that does not start.
    pub fn try_start_in(self, directory: TempDir) -> Result<TestServer, String> {
        let config = directory.path().join("delete-learning.toml");
        std::fs::write(&config, self.config_text()).expect("the configuration can be written");
        let is_key = |name: &str| matches!(name, "OS_SECURITY_KEY" | "JWT_VERIFICATION_KEY");
        let keys = self.environment.iter().filter(|(name, _)| is_key(name)).map(|(_, key)| key.clone());
        let secrets = Secrets::new(directory.path(), keys.chain(self.security_key.clone()));
        let mut command = serve_command(&config);
        if let [program, arguments @ ..] = self.wrapper.as_slice() {
            command = wrap(command, program, arguments);
        }
        if let Some(socket) = self.socket {
            let inherit = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
            command = wrap(command, "sh", &["-c", inherit, "sh"].map(str::to_owned));
            command.stdin(OwnedFd::from(socket));
        }
        let mut child = command.envs(self.environment).spawn().expect("the binary starts");

        let log = Arc::new(Mutex::new(String::new()));
        let (sink, stderr) = (Arc::clone(&log), child.stderr.take().expect("a pipe"));
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = sink.lock().expect("no panic while locked");
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
            reader.join().expect("the output can be read");
            let output = format!("{line}{}", log.lock().expect("no panic while locked"));
            secrets.assert_absent("the output", &output);
            return Err(output);
        };
        Ok(TestServer { child, address, directory, log, secrets })
    }
}

/// Returns a command that runs this command through another program.
fn wrap(command: Command, program: &str, arguments: &[String]) -> Command {
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args());
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in command.get_envs() {
        outer.env_remove(name);
    }
    outer
}

/// Returns `delete-learning serve` with this configuration, with piped output and without secrets of the environment.
pub fn serve_command(config: &Path) -> Command {
    let mut command = server_command();
    command.args(["serve", "--config"]).arg(config);
    command
}

/// Returns `delete-learning` with piped output and without the variables of the environment that it reads.
pub fn server_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delete-learning"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["OS_SECURITY_KEY", "JWT_VERIFICATION_KEY", "JWT_JWKS_FILE", "JWT_JWKS", "RUST_LOG"] {
        command.env_remove(name);
    }
    // libpq's variables would be defaults of a URL, and so would its files in the home directory.
    let is_read =
        |name: &[u8]| [b"PG".as_slice(), b"DELETE_LEARNING_", b"OTEL_"].iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_read(name.as_encoded_bytes())) {
        command.env_remove(name);
    }
    command.env_remove("HOME");
    // Compiled policies are cached in the target directory, not in the user's cache.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// The processor time that a process has used, from `/proc/PID/stat` (proc_pid_stat(5), `utime` and `stime`), in hundredths of
/// a second, as Linux reports it everywhere. Zero without Linux's `/proc`.
fn processor_time(process_id: u32) -> u64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process_id}/stat")) else { return 0 };
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

/// Returns the resident memory of a process in bytes, by its id or `self`. Returns none without Linux's `/proc`.
pub fn resident_bytes(process_id: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// Asserts that a body of `/health` has this status and these numbers of databases.
pub fn assert_health(body: &str, status: &str, ok: usize, failing: usize) {
    let health: Value = serde_json::from_str(body).expect("JSON");
    let databases = serde_json::json!({ "ok": ok, "failing": failing });
    assert_eq!((&health["status"], &health["databases"]), (&status.into(), &databases), "{body}");
}

/// A running server. It is killed when dropped.
pub struct TestServer {
    child: Child,
    pub address: SocketAddr,
    pub directory: TempDir,
    log: Arc<Mutex<String>>,
    secrets: Secrets,
}

impl TestServer {
    pub fn database(&self, id: &str) -> AgnoDatabase {
        AgnoDatabase::open(self.directory.path().join(format!("{id}.db")))
    }

    /// Sends a `DELETE` of this path and query, with or without a bearer token.
    pub fn delete(&self, target: &str, token: Option<&str>) -> Response {
        let authorization = token.map(|token| format!("Bearer {token}"));
        self.request(
            "DELETE",
            target,
            &authorization.iter().map(|value| ("authorization", value.as_str())).collect::<Vec<_>>(),
        )
    }

    /// Sends a request with an HTTP client.
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{target}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
            if name.eq_ignore_ascii_case("authorization") {
                self.secrets.add_authorization(value);
            }
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut response = agent.run(request.body(()).expect("a request")).expect("a response");
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect();
        let body = response.body_mut().read_to_string().expect("a body");
        let response = Response { status: response.status().as_u16(), headers, body };
        self.secrets.assert_absent("the response", &format!("{response:?}"));
        response
    }

    /// Sends bytes that an HTTP client would not send, and returns everything received until the connection closes.
    pub fn send_raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
        // The server can respond and close before all bytes are sent.
        let _ = stream.write_all(bytes);
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response);
        let response = String::from_utf8_lossy(&response).into_owned();
        self.secrets.assert_absent("the response", &response);
        response
    }

    /// The secrets of this server, which nothing that it puts out contains.
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic while locked").clone()
    }

    /// Waits for a log line that contains all of these parts, and returns it.
    pub fn wait_for_log(&self, parts: &[&str]) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                return serde_json::from_str(line).expect("a log line is JSON");
            }
            assert!(Instant::now() < deadline, "no log line contains {parts:?}:\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Asserts that the server uses no processor time for two seconds. Only on Linux.
    pub fn assert_idle(&self) {
        let before = processor_time(self.process_id());
        thread::sleep(Duration::from_secs(2));
        let used = processor_time(self.process_id()) - before;
        assert!(used < 30, "{used} hundredths of a second in two seconds");
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Returns the resident memory of the server in bytes. Returns none without Linux's `/proc`.
    pub fn resident_bytes(&self) -> Option<u64> {
        resident_bytes(&self.child.id().to_string())
    }

    /// Waits for the process to exit.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the process can be waited for")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            self.secrets.assert_absent("the log", &self.log());
            self.secrets.assert_absent_in_files(self.directory.path());
        }
    }
}

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Returns status, detail and error code, and asserts that the body has exactly these two members.
    pub fn error(&self) -> (u16, String, String) {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("a JSON body: {self:?}"));
        let members = body.as_object().expect("an object");
        let text = |name: &str| members.get(name).and_then(Value::as_str).expect("a string").to_owned();
        assert_eq!(members.len(), 2, "exactly two members: {self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        (self.status, text("detail"), text("error_code"))
    }

    pub fn assert_error(&self, status: u16, detail: &str, code: &str) {
        assert_eq!(self.error(), (status, detail.to_owned(), code.to_owned()));
    }

    pub fn assert_deleted(&self) {
        assert_eq!((self.status, self.body.as_str()), (204, ""), "{self:?}");
    }
}
