//! An error of a start names what, where, and what to do.

use super::{MINIMAL, serve};
use crate::support::server::Setup;
use std::fs;
use std::net::TcpListener;
use tempfile::TempDir;

#[test]
fn address_that_is_taken_is_reported_with_its_key() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let directory = TempDir::new().expect("a directory");
    let file = MINIMAL.replace("127.0.0.1:0", &address).replace("main.db\"", "main.db\"\ncreate = true");
    let in_file = serve(directory.path(), Some(&file), &[], &[]);
    let expected = format!("server.listen = {address} (server.toml:1): Address");
    assert!(in_file.code == Some(1) && in_file.stderr.contains(&expected), "{}", in_file.stderr);
    assert!(in_file.stderr.contains("set another port"), "{}", in_file.stderr);
    let in_variable = serve(directory.path(), Some(&file), &[("DELETE_LEARNING_SERVER__LISTEN", "192.0.2.1:1")], &[]);
    let expected = "server.listen = 192.0.2.1:1 (environment variable DELETE_LEARNING_SERVER__LISTEN): ";
    assert!(in_variable.code == Some(1) && in_variable.stderr.contains(expected), "{}", in_variable.stderr);
    assert!(in_variable.stderr.contains("an address of this machine"), "{}", in_variable.stderr);
}

#[test]
fn database_that_cannot_be_opened_is_reported_with_id_and_place() {
    let directory = TempDir::new().expect("a directory");
    let missing = serve(directory.path(), Some(MINIMAL), &[], &[]);
    let expected = "server.toml: databases[0].url (line 4): database \"main\" (sqlite): main.db does not exist";
    assert!(missing.code == Some(1) && missing.stderr.contains(expected), "{}", missing.stderr);
    fs::write(directory.path().join("main.db"), "this is not a database, but long enough to be one").expect("a file");
    let unreadable = serve(directory.path(), Some(MINIMAL), &[], &[]);
    assert!(
        unreadable.code == Some(1) && unreadable.stderr.contains("name the SQLite file of the AgentOS"),
        "{}",
        unreadable.stderr
    );
    fs::remove_file(directory.path().join("main.db")).expect("the file can be removed");
    fs::create_dir(directory.path().join("main.db")).expect("a directory");
    let no_file = serve(directory.path(), Some(MINIMAL), &[], &[]);
    assert!(no_file.code == Some(1) && no_file.stderr.contains("must be able to write"), "{}", no_file.stderr);
}

#[test]
fn database_that_cannot_be_reached_is_logged_with_id_and_host() {
    // A port that nothing listens on.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let database = format!("[[databases]]\nid = \"main\"\nurl = \"postgresql://u:hunter2@127.0.0.1:{port}/d\"\n");
    let server = Setup { databases: vec![], further_databases: database, ..Setup::without_auth() }.start();
    let line = server.wait_for_log(&["database unavailable"]);
    assert_eq!(line["span"]["id"], "main", "{line}");
    assert_eq!(line["span"]["hosts"], format!("127.0.0.1:{port}"), "{line}");
    assert!(!server.log().contains("hunter2"));
}
