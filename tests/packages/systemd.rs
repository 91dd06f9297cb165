//! Notifications to the service manager, on a real socket, and the socket that it passes to the server.

use crate::support::server::{Setup, TestServer};
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a notification can take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The socket of a service manager in this test.
struct Manager {
    socket: UnixDatagram,
    _directory: TempDir,
}

impl Manager {
    /// Starts a server that notifies this service manager, with further variables of its environment.
    fn start(setup: Setup, variables: &[(&'static str, &str)]) -> (Self, TestServer) {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("notify");
        let manager = Self { socket: UnixDatagram::bind(&path).expect("a socket"), _directory: directory };
        let mut environment = vec![("NOTIFY_SOCKET", path.display().to_string())];
        environment.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let server = Setup { environment, ..setup }.start();
        (manager, server)
    }

    /// Returns the next notification.
    fn next(&self, wait: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(wait)).expect("a timeout");
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).expect("text"))
    }

    #[track_caller]
    fn expect(&self, message: &str) {
        assert_eq!(self.next(TIMEOUT).as_deref(), Some(message));
    }
}

#[test]
fn readiness_reload_and_end_are_notified_in_order() {
    let (manager, mut server) = Manager::start(Setup::jwt(), &[]);
    manager.expect("READY=1");
    assert_eq!(server.request("GET", "/health", &[]).status, 200, "it accepts connections");

    server.signal("HUP");
    manager.expect("RELOADING=1");
    manager.expect("READY=1");
    server.wait_for_log(&["reloaded the policy"]);

    fs::write(server.directory.path().join("delete-learning.toml"), "nonsense").expect("the configuration");
    server.signal("HUP");
    manager.expect("RELOADING=1");
    manager.expect("READY=1");
    let health = server.request("GET", "/health", &[]).body;
    assert!(health.contains("\"reload\":\"failed\""), "it is ready when the reload has ended: {health}");

    server.signal("TERM");
    manager.expect("STOPPING=1");
    assert!(server.wait().success());
    assert_eq!(manager.next(Duration::from_millis(10)), None, "no watchdog was requested");
}

#[test]
fn watchdog_is_fed_twice_in_its_time_while_the_process_runs() {
    let (manager, server) = Manager::start(Setup::jwt(), &[("WATCHDOG_USEC", "2000000")]);
    manager.expect("READY=1");
    // The first one is sent at once.
    manager.expect("WATCHDOG=1");
    let start = Instant::now();
    for _ in 0..2 {
        manager.expect("WATCHDOG=1");
    }
    assert!((1900..4000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    server.signal("STOP");
    while manager.next(Duration::from_secs(2)).is_some() {}
    server.signal("CONT");
    manager.expect("WATCHDOG=1");
}

#[test]
fn watchdog_time_without_a_half_is_ignored() {
    let (manager, server) = Manager::start(Setup::jwt(), &[("WATCHDOG_USEC", "1")]);
    manager.expect("READY=1");
    assert_eq!(manager.next(Duration::from_millis(200)), None);
    assert_eq!(server.request("GET", "/health", &[]).status, 200);
}

#[test]
fn watchdog_of_another_process_is_not_fed() {
    let (manager, _server) = Manager::start(Setup::jwt(), &[("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "1")]);
    manager.expect("READY=1");
    assert_eq!(manager.next(Duration::from_millis(200)), None);
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_socket_is_notified() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    let name = format!("delete-learning-test-{}", std::process::id());
    let socket =
        UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).expect("an address")).expect("a socket");
    let manager = Manager { socket, _directory: TempDir::new().expect("a directory") };
    let _server = Setup { environment: vec![("NOTIFY_SOCKET", format!("@{name}"))], ..Setup::jwt() }.start();
    manager.expect("READY=1");
}

#[test]
fn server_runs_if_the_service_manager_cannot_be_reached() {
    let environment = vec![("NOTIFY_SOCKET", "/nonexistent/notify".to_owned())];
    let server = Setup { environment, ..Setup::jwt() }.start();
    server.wait_for_log(&["cannot connect to the service manager"]);
    assert_eq!(server.request("GET", "/health", &[]).status, 200);
}

#[test]
fn inherited_socket_replaces_the_configured_address_with_a_warning_if_it_differs() {
    const WARNING: &str = "replaces server.listen";
    let start = |is_configured: bool| {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        // It overrides `server.listen` of the file, which is port 0.
        let environment = vec![("DELETE_LEARNING_SERVER__LISTEN", address.to_string())];
        let environment = if is_configured { environment } else { vec![] };
        let server = Setup { socket: Some(socket), environment, ..Setup::jwt() }.start();
        assert_eq!(server.address, address);
        assert_eq!(server.request("GET", "/health", &[]).status, 200);
        server.wait_for_log(&["\"listening\""]);
        server
    };
    assert!(start(false).log().contains(WARNING));
    assert!(!start(true).log().contains(WARNING));
    let without_socket = Setup::jwt().start();
    without_socket.wait_for_log(&["\"listening\""]);
    assert!(!without_socket.log().contains(WARNING));
}
