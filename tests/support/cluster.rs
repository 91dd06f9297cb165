//! PostgreSQL clusters that the tests create with the installed programs, in temporary directories and on free ports.
//! They are stopped and deleted after the tests, also if the test program is killed.

use super::optional::print_skipped;
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

/// The superuser of every cluster.
pub const USER: &str = "postgres";
/// The password of [`USER`] over TCP.
pub const PASSWORD: &str = "the-password-MARKER7d1f-of-the-tests";

/// The PostgreSQL programs of this machine.
pub struct PostgresPrograms {
    directory: PathBuf,
    user: Option<OsUser>,
}

/// The operating system user of a server that refuses to run as root.
#[derive(Clone, Copy)]
pub struct OsUser {
    pub uid: u32,
    pub gid: u32,
}

impl OsUser {
    /// Returns an unprivileged user if this program runs as root. Returns none if it does not: none is needed then.
    pub fn unprivileged() -> Option<Self> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let users = is_root.then(|| fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read"))?;
        let find = |name: &str| users.lines().find(|line| line.split(':').next() == Some(name));
        let line = find("postgres").or_else(|| find("nobody")).expect("an unprivileged user");
        let mut ids = line.split(':').skip(2).map(|id| id.parse().expect("a number"));
        Some(Self { uid: ids.next()?, gid: ids.next()? })
    }

    /// Makes the command run as this user.
    pub fn apply_to(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Makes this user the owner of a file or directory.
    pub fn chown(self, path: &Path) {
        chown(path, Some(self.uid), Some(self.gid)).expect("the owner can be changed");
    }
}

/// Returns the PostgreSQL programs. If they are missing, prints one line with what is skipped.
///
/// # Panics
/// If they are missing and `CI` is set.
pub fn find_postgres(skipped: &str) -> Option<&'static PostgresPrograms> {
    static FOUND: OnceLock<Option<PostgresPrograms>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
        // Debian's directories, one for each version.
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        directories.extend(versions.map(|version| version.path().join("bin")));
        let directory = directories.into_iter().find(|directory| {
            ["initdb", "postgres", "pg_basebackup"].iter().all(|program| directory.join(program).is_file())
        })?;
        Some(PostgresPrograms { directory, user: OsUser::unprivileged() })
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "PostgreSQL is missing, and CI must not skip tests");
        print_skipped(&format!("skipped, because PostgreSQL is missing: {skipped}"));
    }
    found.as_ref()
}

/// A server process that stops with the test program.
///
/// A shell waits for the end of its standard input, which comes when this value is dropped and when the test program is
/// killed. Then the shell stops the server and deletes its directory.
pub struct ServerProcess {
    shell: Child,
    directory: PathBuf,
}

impl ServerProcess {
    /// Starts a program whose files are in this directory, as this user. Its output goes to the file `log` there.
    pub fn start(user: Option<OsUser>, directory: &TempDir, program: &Path, arguments: &[&OsStr]) -> Self {
        const SCRIPT: &str = r#"
            trap '' INT TERM HUP
            directory=$1
            shift
            "$@" </dev/null >>"$directory/log" 2>&1 &
            echo $! >"$directory/pid"
            read -r _
            # SIGQUIT is the immediate shutdown of PostgreSQL, SIGTERM that of PgBouncer.
            kill -QUIT $! 2>/dev/null
            kill -TERM $! 2>/dev/null
            ( sleep 10; kill -KILL $! 2>/dev/null ) &
            killer=$!
            wait %1
            kill -KILL $killer
            rm -rf "$directory"
        "#;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(directory.path()).arg(program).args(arguments);
        command.current_dir(directory.path());
        // Its own process group: Ctrl-C is for the test program only.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        if let Some(user) = user {
            user.apply_to(&mut command);
        }
        Self { shell: command.spawn().expect("a shell"), directory: directory.path().to_owned() }
    }

    /// Returns the output of the server.
    pub fn log(&self) -> String {
        let mut log = String::new();
        let file = fs::File::open(self.directory.join("log"));
        let _ = file.map(|mut file| file.read_to_string(&mut log));
        log
    }

    /// Returns the process id of the server. Returns none before it has started.
    fn process_id(&self) -> Option<u32> {
        fs::read_to_string(self.directory.join("pid")).ok()?.trim().parse().ok()
    }

    /// Kills the server and its child processes at once, like a power failure.
    pub fn kill(&self) {
        let server = self.process_id().expect("it runs");
        // Stopped first, so that it cannot start further processes.
        signal("STOP", server);
        for child in children(server) {
            signal("KILL", child);
        }
        signal("KILL", server);
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn signal(name: &str, process: u32) {
    // The process can have exited already.
    let _ = Command::new("kill").args([format!("-{name}"), process.to_string()]).stderr(Stdio::null()).status();
}

/// Returns the child processes of a process. Returns none without Linux's `/proc`.
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

/// Returns a free port.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A running cluster.
pub struct Cluster {
    pub port: u16,
    pub server: ServerProcess,
    user: Option<OsUser>,
    directory: TempDir,
}

impl Cluster {
    /// Returns the cluster that tests share. Each test creates its own database in it.
    pub fn shared(skipped: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        let programs = find_postgres(skipped)?;
        Some(SHARED.get_or_init(|| Self::start(programs, &[])))
    }

    /// Creates and starts a cluster with these settings in addition to the usual ones.
    pub fn start(programs: &PostgresPrograms, settings: &[&str]) -> Self {
        let directory = temp_directory(programs.user);
        let password = directory.path().join("password");
        fs::write(&password, PASSWORD).expect("a file can be written");
        let mut initdb = programs.command("initdb", directory.path());
        initdb.args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]);
        // The files of `initdb` need not survive a power failure. The server itself syncs.
        initdb.args(["--no-sync", "--pwfile"]).arg(&password).arg("--pgdata").arg(directory.path().join("data"));
        run(&mut initdb);
        Self::serve(programs, directory, settings)
    }

    /// Creates and starts a standby of this cluster, with this application name.
    pub fn start_standby(&self, programs: &PostgresPrograms, name: &str) -> Self {
        let directory = temp_directory(programs.user);
        let source = format!("{} application_name={name}", self.conninfo());
        let mut copy = programs.command("pg_basebackup", directory.path());
        copy.args(["--write-recovery-conf", "--checkpoint", "fast", "--no-sync", "--wal-method", "stream"]);
        copy.args(["--dbname", &source, "--pgdata"]).arg(directory.path().join("data"));
        run(&mut copy);
        // Replay must not cancel queries.
        Self::serve(programs, directory, &["max_standby_streaming_delay=-1"])
    }

    fn serve(programs: &PostgresPrograms, directory: TempDir, settings: &[&str]) -> Self {
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
        let data = directory.path().join("data");
        let mut arguments = vec![OsStr::new("-D"), data.as_os_str()];
        for setting in usual.iter().chain(settings) {
            arguments.extend([OsStr::new("-c"), OsStr::new(setting)]);
        }
        let server = ServerProcess::start(programs.user, &directory, &programs.directory.join("postgres"), &arguments);
        let cluster = Self { port, server, user: programs.user, directory };
        cluster.wait_until_ready();
        cluster
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Client::connect(&self.conninfo()).is_err() {
            assert!(Instant::now() < deadline, "PostgreSQL accepts no connection:\n{}", self.server.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the connection string for PostgreSQL programs.
    fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user={USER} password={PASSWORD} dbname=postgres", self.port)
    }

    /// Returns the URL of a database for the configuration.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Creates an empty database and returns its name.
    pub fn create_database(&self) -> String {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", LAST.fetch_add(1, Ordering::Relaxed));
        self.connect("postgres").run(&format!("CREATE DATABASE {name}"));
        name
    }

    /// Returns the output of the server.
    pub fn log(&self) -> String {
        self.server.log()
    }

    pub fn connect(&self, database: &str) -> Client {
        Client::connect(&self.url(database)).expect("a connection")
    }

    /// Changes settings that do not need a restart.
    pub fn set(&self, settings: &[(&str, &str)]) {
        let client = self.connect("postgres");
        for (name, value) in settings {
            client.run(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        }
        client.run("SELECT pg_reload_conf()");
    }

    /// Writes a file that only the server can read, and returns its path.
    pub fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its permissions can be set");
        if let Some(user) = self.user {
            user.chown(&path);
        }
        path
    }
}

impl PostgresPrograms {
    fn command(&self, program: &str, directory: &Path) -> Command {
        let mut command = Command::new(self.directory.join(program));
        command.current_dir(directory).stdin(Stdio::null());
        if let Some(user) = self.user {
            user.apply_to(&mut command);
        }
        command
    }
}

/// Creates a temporary directory that this user owns.
pub fn temp_directory(user: Option<OsUser>) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    if let Some(user) = user {
        user.chown(directory.path());
    }
    directory
}

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
