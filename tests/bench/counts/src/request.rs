//! One request: the server, as it is built and run, on SQLite. The requests come one after the other on one connection.

use crate::valgrind::Tool;
use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// The secret of the token, which nothing else has.
const SECRET: &str = "a secret that only this program shares with the server";

/// A token of alice@example.com with the scope `learnings:delete`, signed with the secret. Expires in 2100.
const TOKEN: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZUBleGFtcGxlLmNvbSIsInNjb3BlcyI6WyJsZWFybmluZ3M",
    "6ZGVsZXRlIl0sImV4cCI6NDEwMjQ0NDgwMH0.Ti-uw0kjwu_MGttW5mt0cArnIZjHLzxU9Jvoab6nwZc",
);

/// How long the server may take to start. It compiles the policy the first time, which takes a minute under valgrind.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The configuration of a guard.
const LEGAL_HOLD: &str = concat!(
    "[[guards]]\nname = \"legal-hold\"\ncomponent = \"",
    env!("CARGO_MANIFEST_DIR"),
    "/../../../guest/examples/legal-hold/component/legal-hold.wasm\"\n",
);

/// The configuration of an audit log, whose key is created beside it.
const AUDIT_LOG: &str = "[audit]\ndirectory = \"audit\"\nsigning_key_file = \"audit.key\"\n";

/// Counts what the server does with this many requests, including the start.
pub fn count(directory: &Path, tool: &Tool, requests: u32) -> Result<Vec<u64>> {
    count_with(directory, tool, requests, "")
}

/// The same with an audit log.
pub fn count_audited(directory: &Path, tool: &Tool, requests: u32) -> Result<Vec<u64>> {
    let (key, log) = (directory.join("audit.key"), directory.join("audit"));
    if !key.exists() {
        let keygen = ["audit", "keygen", "--origin", "example.com/counts"];
        ensure!(Command::new(server()?).args(keygen).arg(&key).output()?.status.success(), "audit keygen failed");
    }
    if log.exists() {
        fs::remove_dir_all(&log)?;
    }
    count_with(directory, tool, requests, AUDIT_LOG)
}

/// The same with the guard legal-hold.
pub fn count_guarded(directory: &Path, tool: &Tool, requests: u32) -> Result<Vec<u64>> {
    count_with(directory, tool, requests, LEGAL_HOLD)
}

fn count_with(directory: &Path, tool: &Tool, requests: u32, settings: &str) -> Result<Vec<u64>> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let (config, database) = (directory.join("server.toml"), directory.join("learnings.db"));
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(directory.join(format!("learnings.db{end}")));
    }
    let text = format!(
        "server.listen = \"{address}\"\ncache.directory = \"cache\"\n\
         [[databases]]\nid = \"main\"\nurl = \"sqlite:learnings.db\"\ncreate = true\n\
         [auth]\nmode = \"jwt\"\n[auth.jwt]\nalgorithm = \"HS256\"\nverification_keys = [\"{SECRET}\"]\n\
         [sandbox]\nmax_concurrent_instances = 2\n{settings}",
    );
    fs::write(&config, text)?;
    let arguments = ["serve".as_ref(), "--config".as_ref(), config.as_os_str()];
    let mut child = tool.start(directory, &server()?, &arguments)?;
    let sent = send(&mut child, address, &database, requests);
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    let counts = tool.finish(directory, child);
    sent.and(counts)
}

/// The program of the server, which is built beside this one.
fn server() -> Result<PathBuf> {
    let server = env::current_exe()?.with_file_name("delete-learning");
    ensure!(server.is_file(), "{} does not exist; tests/bench/build builds it", server.display());
    Ok(server)
}

/// Sends the requests, each for a record of its own.
fn send(server: &mut Child, address: SocketAddr, database: &Path, requests: u32) -> Result<()> {
    let begun = Instant::now();
    let mut connection = loop {
        match TcpStream::connect(address) {
            Ok(connection) => break connection,
            Err(error) if begun.elapsed() > START_TIMEOUT => return Err(error).context("the server does not listen"),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
        ensure!(server.try_wait()?.is_none(), "the server ended");
    };
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let records = Connection::open(database)?;
    records.execute_batch(&format!(
        "INSERT INTO agno_learnings (learning_id, learning_type, user_id, content, created_at)
         WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {requests})
         SELECT printf('user_memory_%08d', n), 'user_memory', 'alice@example.com', '{{}}', 1700000000 FROM numbers"
    ))?;
    let mut answer = [0; 4096];
    for number in 0..requests {
        let request = format!(
            "DELETE /learnings/user_memory_{number:08} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        );
        connection.write_all(request.as_bytes())?;
        let mut length = 0;
        while !answer[..length].ends_with(b"\r\n\r\n") {
            let read = connection.read(&mut answer[length..])?;
            ensure!(read > 0, "the server closed the connection");
            length += read;
        }
        let answer = String::from_utf8_lossy(&answer[..length]);
        ensure!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }
    let left: i64 = records.query_row("SELECT count(*) FROM agno_learnings", [], |row| row.get(0))?;
    ensure!(left == 0, "{left} records are left");
    Ok(())
}
