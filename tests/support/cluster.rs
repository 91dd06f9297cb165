//! PostgreSQL clusters that the tests make from the installed programs: in a temporary folder, on a free port, gone
//! afterwards, also when the test program is killed.

use super::postgres::Client;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The owner of every cluster, who needs this password over TCP.
pub const USER: &str = "postgres";
pub const PASSWORD: &str = "the-password-of-the-tests";

/// The programs of PostgreSQL on this machine.
pub struct Installed {
    programs: PathBuf,
    account: Option<Account>,
}

/// Whom servers run as that refuse to run as root.
#[derive(Clone, Copy)]
pub struct Account {
    pub user: u32,
    pub group: u32,
}

impl Account {
    /// An account without rights, where this program runs as root; otherwise none is needed.
    pub fn without_rights() -> Option<Self> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let accounts = is_root.then(|| fs::read_to_string("/etc/passwd").expect("accounts can be read"))?;
        let find = |name: &str| accounts.lines().find(|line| line.split(':').next() == Some(name));
        let line = find("postgres").or_else(|| find("nobody")).expect("an account without rights");
        let mut numbers = line.split(':').skip(2).map(|number| number.parse().expect("a number"));
        Some(Self { user: numbers.next()?, group: numbers.next()? })
    }

    /// Makes the command run as this account.
    pub fn run(self, command: &mut Command) {
        command.uid(self.user).gid(self.group);
    }

    /// Gives a file or folder to this account.
    pub fn own(self, path: &Path) {
        chown(path, Some(self.user), Some(self.group)).expect("a file can be given away");
    }
}

/// The programs of PostgreSQL; where there are none, one line says what is left out.
///
/// # Panics
/// Where there are none and `CI` is set: there a skip is a failure.
pub fn installed(left_out: &str) -> Option<&'static Installed> {
    static FOUND: OnceLock<Option<Installed>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        // Where Debian keeps them, by version.
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        folders.extend(versions.map(|version| version.path().join("bin")));
        let programs = folders.into_iter().find(|folder| {
            ["initdb", "postgres", "pg_basebackup"].iter().all(|program| folder.join(program).is_file())
        })?;
        Some(Installed { programs, account: Account::without_rights() })
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "PostgreSQL is missing, and CI leaves nothing out");
        eprintln!("left out, as the programs of PostgreSQL are missing: {left_out}");
    }
    found.as_ref()
}

/// A server of a test, stopped with the test program: a shell beside it waits for the end of its own input, which comes
/// when the test drops this and when the test program is killed; then it ends the server and removes its folder.
pub struct Server {
    shell: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts a program whose files are in this folder, as this account. Its output goes to the file `log` there.
    pub fn start(account: Option<Account>, folder: &TempDir, program: &Path, arguments: &[&OsStr]) -> Self {
        const SCRIPT: &str = r#"
            trap '' INT TERM HUP
            folder=$1
            shift
            "$@" </dev/null >>"$folder/log" 2>&1 &
            echo $! >"$folder/pid"
            read -r _
            # PostgreSQL ends at once by the first, PgBouncer by the second.
            kill -QUIT $! 2>/dev/null
            kill -TERM $! 2>/dev/null
            ( sleep 10; kill -KILL $! 2>/dev/null ) &
            slow=$!
            wait %1
            kill -KILL $slow
            rm -rf "$folder"
        "#;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(folder.path()).arg(program).args(arguments).current_dir(folder.path());
        // A group of its own: Ctrl-C is for the test program.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        if let Some(account) = account {
            account.run(&mut command);
        }
        Self { shell: command.spawn().expect("a shell"), folder: folder.path().to_owned() }
    }

    /// What the server said.
    pub fn log(&self) -> String {
        let mut log = String::new();
        let file = fs::File::open(self.folder.join("log"));
        let _ = file.map(|mut file| file.read_to_string(&mut log));
        log
    }

    /// The server's process, once it is there.
    fn process(&self) -> Option<u32> {
        fs::read_to_string(self.folder.join("pid")).ok()?.trim().parse().ok()
    }

    /// Ends the server and its processes at once, as a machine does that loses its power.
    pub fn kill(&self) {
        let server = self.process().expect("it runs");
        // Stopped first, so that it starts no further ones.
        signal("STOP", server);
        for child in children(server) {
            signal("KILL", child);
        }
        signal("KILL", server);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn signal(name: &str, process: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill").args([format!("-{name}"), process.to_string()]).stderr(Stdio::null()).status();
}

/// The processes that this one started, on a system that shows them as Linux does.
fn children(process: u32) -> Vec<u32> {
    let parent = |id: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(1)?.parse().ok()
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent(*id) == Some(process)).collect()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A running cluster.
pub struct Cluster {
    pub port: u16,
    pub server: Server,
    account: Option<Account>,
    folder: TempDir,
}

impl Cluster {
    /// The one that tests share which need none of their own. Each makes a database of its own in it.
    pub fn shared(left_out: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        let installed = installed(left_out)?;
        Some(SHARED.get_or_init(|| Self::start(installed, &[])))
    }

    /// Makes a cluster with these settings beyond the usual ones and starts it.
    pub fn start(installed: &Installed, settings: &[&str]) -> Self {
        let folder = folder(installed.account);
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("a file can be written");
        let mut initdb = installed.command("initdb", folder.path());
        initdb.args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]);
        // What `initdb` writes need not outlive this machine; what the server writes is synced.
        initdb.args(["--no-sync", "--pwfile"]).arg(&password).arg("--pgdata").arg(folder.path().join("data"));
        run(&mut initdb);
        Self::serve(installed, folder, settings)
    }

    /// Makes a standby of this cluster under this name and starts it.
    pub fn standby(&self, installed: &Installed, name: &str) -> Self {
        let folder = folder(installed.account);
        let source = format!("{} application_name={name}", self.conninfo());
        let mut copy = installed.command("pg_basebackup", folder.path());
        copy.args(["--write-recovery-conf", "--checkpoint", "fast", "--no-sync", "--wal-method", "stream"]);
        copy.args(["--dbname", &source, "--pgdata"]).arg(folder.path().join("data"));
        run(&mut copy);
        // Nobody's question is broken off for what is replayed.
        Self::serve(installed, folder, &["max_standby_streaming_delay=-1"])
    }

    fn serve(installed: &Installed, folder: TempDir, settings: &[&str]) -> Self {
        let port = free_port();
        let port_setting = format!("port={port}");
        let usual = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=on",
            "synchronous_commit=on",
            "max_connections=120",
            "shared_buffers=32MB",
            "max_wal_size=256MB",
            &port_setting,
        ];
        let data = folder.path().join("data");
        let mut arguments = vec![OsStr::new("-D"), data.as_os_str()];
        for setting in usual.iter().chain(settings) {
            arguments.extend([OsStr::new("-c"), OsStr::new(setting)]);
        }
        let server = Server::start(installed.account, &folder, &installed.programs.join("postgres"), &arguments);
        let cluster = Self { port, server, account: installed.account, folder };
        cluster.wait();
        cluster
    }

    fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while Client::connect(&self.conninfo()).is_err() {
            assert!(Instant::now() < end, "PostgreSQL does not answer:\n{}", self.server.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// How programs of PostgreSQL are told of it.
    fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user={USER} password={PASSWORD} dbname=postgres", self.port)
    }

    /// The address of one of its databases, as a configuration has it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Makes an empty database; its name.
    pub fn make_database(&self) -> String {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", LAST.fetch_add(1, Ordering::Relaxed));
        self.connect("postgres").run(&format!("CREATE DATABASE {name}"));
        name
    }

    pub fn connect(&self, database: &str) -> Client {
        Client::connect(&self.url(database)).expect("a connection")
    }

    /// Changes settings that need no new start.
    pub fn set(&self, settings: &[(&str, &str)]) {
        let client = self.connect("postgres");
        for (name, value) in settings {
            client.run(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        }
        client.run("SELECT pg_reload_conf()");
    }

    /// Writes a file that the server may read, and which others may not; its path.
    pub fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its permissions can be set");
        if let Some(account) = self.account {
            account.own(&path);
        }
        path
    }
}

impl Installed {
    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(folder).stdin(Stdio::null());
        if let Some(account) = self.account {
            account.run(&mut command);
        }
        command
    }
}

/// A folder that this account owns.
pub fn folder(account: Option<Account>) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    if let Some(account) = account {
        account.own(folder.path());
    }
    folder
}

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
