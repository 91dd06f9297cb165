//! Server processes: the release binary, this program as a server, and the real Agno.

use crate::rows::Order;
use crate::token::SECRET;
use crate::{load, native};
use anyhow::{Context, Result, bail, ensure};
use delete_learning_server::{Config, Environment, app, telemetry};
use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The kind of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The release binary.
    Host,
    /// The server crate in this program, with the component.
    Component,
    /// The server crate in this program, with the natively compiled policy. Nothing else differs.
    Native,
    /// The real Agno.
    Agno,
}

/// A running server, which is stopped when dropped.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
}

/// A database of a server: its id, its URL, and further lines of its configuration.
pub struct Database {
    pub id: String,
    pub url: String,
    pub extra_config: &'static str,
}

impl Database {
    pub fn file(id: &str, file: &Path) -> Self {
        Self { id: id.to_owned(), url: format!("sqlite:{}", file.display()), extra_config: "" }
    }
}

/// The programs of the servers.
pub struct Programs {
    host: PathBuf,
}

impl Programs {
    pub fn new(host: PathBuf) -> Self {
        Self { host }
    }

    /// Starts a server and waits until it accepts connections.
    pub fn start(&self, kind: Kind, folder: &Path, databases: &[Database]) -> Result<Running> {
        let (mut command, address) = self.command(kind, folder, databases)?;
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut running = Running { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(running.child.try_wait()?.is_none(), "{command:?} ended: see {}", folder.display());
            ensure!(begun.elapsed() < Duration::from_secs(120), "{command:?} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    /// Starts a server, and returns the milliseconds until its first 204.
    pub fn time_to_first(&self, kind: Kind, folder: &Path, database: &Path, token: &str, order: Order) -> Result<f64> {
        let (mut command, address) = self.command(kind, folder, &[Database::file("main", database)])?;
        let begun = Instant::now();
        let mut running = Running { child: command.spawn()?, address };
        while !load::delete_one(address, token, 0, order)? {
            ensure!(running.child.try_wait()?.is_none(), "{command:?} ended: see {}", folder.display());
            ensure!(begun.elapsed() < Duration::from_secs(120), "{command:?} does not listen");
            thread::sleep(Duration::from_micros(500));
        }
        let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
        drop(running);
        Ok(milliseconds)
    }

    /// The command that starts a server on these databases, with its log in a file in `folder`.
    fn command(&self, kind: Kind, folder: &Path, databases: &[Database]) -> Result<(Command, SocketAddr)> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let name = match kind {
            Kind::Host => "host",
            Kind::Component => "component",
            Kind::Native => "native",
            Kind::Agno => "agno",
        };
        let mut command = match kind {
            Kind::Agno => {
                let [Database { url, .. }] = databases else { bail!("Agno needs exactly one database") };
                let file = url.strip_prefix("sqlite:").context("Agno needs an SQLite file")?;
                let mut command = Command::new(agno_python());
                command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("agent_os.py"));
                command.args([file, &address.port().to_string(), SECRET]);
                command
            }
            _ => {
                let config = folder.join(format!("{name}.toml"));
                fs::write(&config, configuration(address, databases)?)?;
                let mut command = match kind {
                    Kind::Host => Command::new(&self.host),
                    _ => Command::new(std::env::current_exe()?),
                };
                command.arg("serve");
                if kind == Kind::Native {
                    command.arg("--native");
                }
                command.arg("--config").arg(config);
                command
            }
        };
        let log = fs::File::create(folder.join(format!("{name}.log")))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).env_remove("JWT_JWKS_FILE");
        Ok((command, address))
    }
}

/// The configuration file: tokens, scopes and isolation, and defaults for everything else.
fn configuration(address: SocketAddr, databases: &[Database]) -> Result<String> {
    let mut text = format!("server.listen = \"{address}\"\n");
    for Database { id, url, extra_config } in databases {
        writeln!(text, "[[databases]]\nid = \"{id}\"\nurl = \"{url}\"\n{extra_config}")?;
    }
    writeln!(text, "[auth]\nmode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\nverification_keys = [\"{SECRET}\"]")?;
    Ok(text)
}

impl Running {
    /// Returns the resident memory in MiB.
    pub fn resident(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes / 1024.0)
    }

    /// The processor time of the server until now, in seconds.
    pub fn processor_time(&self) -> Result<f64> {
        // Linux counts in hundredths of a second, whatever the frequency of its clock.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program comes before, and can contain anything.
        let (_, fields) = stat.rsplit_once(") ").context("no name")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python with Agno: `AGNO_PYTHON`, or the environment in target/agno.
pub fn agno_python() -> PathBuf {
    std::env::var_os("AGNO_PYTHON").map_or_else(|| root().join("target/agno/bin/python"), PathBuf::from)
}

/// Creates the Python environment with Agno if it does not exist.
pub fn prepare_agno() -> Result<()> {
    if std::env::var_os("AGNO_PYTHON").is_some() {
        return Ok(());
    }
    let folder = root().join("target/agno");
    if !folder.join("bin/uvicorn").is_file() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let requirements = root().join("tests/agno/requirements.txt");
        run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(requirements))?;
    }
    Ok(())
}

/// Builds the release binary.
pub fn prepare_host() -> Result<PathBuf> {
    run(Command::new("cargo")
        .args(["build", "--release", "--locked", "--bin", "delete-learning"])
        .current_dir(root()))?;
    Ok(root().join("target/release/delete-learning").canonicalize()?)
}

fn run(command: &mut Command) -> Result<()> {
    ensure!(command.status()?.success(), "{command:?} failed");
    Ok(())
}

/// Runs this program as a server, like the command `serve`, with the component or with the natively compiled policy.
pub fn serve(config: &Path, is_native: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = Config::read(config, &Environment::of_process())?;
        drop(telemetry::init(config.log.clone(), None));
        let server =
            if is_native { app::bind_with(config, Arc::new(native::Policy)).await? } else { app::bind(config).await? };
        server.run(std::future::pending()).await;
        Ok(())
    })
}
