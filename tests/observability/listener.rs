//! The second address, on which the metrics are served.

use super::{Monitored, request};
use crate::support::server::{Setup, serve_command};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn second_address_serves_reads_of_known_paths() {
    let monitored = Monitored::start(Setup::jwt());
    for path in ["/metrics", "/health", "/livez", "/readyz"] {
        assert_eq!(monitored.request("GET", path).0, 200, "{path}");
        let (status, _, body) = monitored.request("HEAD", path);
        assert_eq!((status, body.as_str()), (200, ""), "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            assert_eq!(monitored.request(method, path).0, 405, "{method} {path}");
        }
    }
    for path in ["/", "/learnings/a", "/openapi.json", "/metrics/"] {
        assert_eq!(monitored.request("GET", path).0, 404, "{path}");
    }
    // The address of the server has no metrics.
    assert_eq!(request(monitored.server.address, "GET", "/metrics").0, 404);
}

#[test]
fn silent_connections_do_not_delay_a_scrape_for_long() {
    let monitored = Monitored::start(Setup::jwt());
    let silent: Vec<_> = (0..16).map(|_| TcpStream::connect(monitored.address).expect("a connection")).collect();
    let start = Instant::now();
    monitored.scrape();
    println!("a scrape behind {} silent connections took {:?}", silent.len(), start.elapsed());
    // They are closed after 5 seconds.
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn address_in_use_is_reported_with_its_key() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address");
    let directory = TempDir::new().expect("a directory");
    let start = |settings: String| {
        let setup = Setup { settings, ..Setup::on_created_database() };
        let file = directory.path().join("delete-learning.toml");
        std::fs::write(&file, setup.config_text()).expect("the configuration");
        let output = serve_command(&file).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("text")
    };
    let error = start(format!("metrics.listen = \"{address}\"\n"));
    assert!(error.contains(&format!("metrics.listen = {address} (")), "{error}");
    let error = start("metrics.port = 1\n".to_owned());
    assert!(error.contains("metrics.port"), "{error}");
}
