//! The service manager: the socket that it passes (sd_listen_fds(3)), and notifications of readiness, reloads, the end, and the
//! watchdog (sd_notify(3)).
//!
//! Notifications are own code, because the protocol is one line of text in a datagram. The crate `sd-notify` (0.5) cannot connect
//! to abstract sockets, which `NOTIFY_SOCKET` can name, blocks the runtime if the service manager does not read, and is not free
//! of unsafe code.

use std::ffi::OsStr;
use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdUnixDatagram};
use std::process;
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long a service manager that does not read its socket can delay the server.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The socket that the service manager has bound and passes to this process, if it does. Connections wait in it while the server
/// is restarted.
pub(super) fn inherited_socket() -> io::Result<Option<TcpListener>> {
    listenfd::ListenFd::from_env().take_tcp_listener(0)
}

/// A state that the service manager is notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Connections are accepted, or a reload has ended.
    Ready,
    /// A reload has begun.
    Reloading,
    /// The requests in flight are drained.
    Stopping,
    /// The runtime works.
    Alive,
}

impl State {
    const fn message(self) -> &'static [u8] {
        match self {
            Self::Ready => b"READY=1",
            Self::Reloading => b"RELOADING=1",
            Self::Stopping => b"STOPPING=1",
            Self::Alive => b"WATCHDOG=1",
        }
    }
}

/// The service manager that started this process, if one did.
pub(super) struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// Half of the time after which the service manager regards the process as hung.
    watchdog_interval: Option<Duration>,
}

impl ServiceManager {
    /// Connects to the service manager that the environment names. A service manager that cannot be reached is a warning.
    pub(super) fn from_environment() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let socket = variable("NOTIFY_SOCKET").and_then(|address| {
            let warn = |error: &io::Error| tracing::warn!(?address, %error, "cannot connect to the service manager");
            connect(&address).inspect_err(warn).ok()
        });
        // The variables of another process can have been inherited.
        let is_own = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|microseconds| *microseconds > 1 && is_own);
        Self { socket, watchdog_interval: watchdog.map(|microseconds| Duration::from_micros(microseconds / 2)) }
    }

    /// Sends a state. A failure is only logged: the service manager acts on what it does not receive.
    pub(super) async fn notify(&self, state: State) {
        let Some(socket) = &self.socket else { return };
        let error = match timeout(SEND_TIMEOUT, socket.send(state.message())).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        tracing::warn!(?state, %error, "cannot notify the service manager");
    }

    /// Reports that the process works, as often as the watchdog of the service manager needs it. Never returns.
    ///
    /// Runs in the task that accepts connections, and reports only after a worker thread of the runtime has run another
    /// task. So a hang of either is noticed.
    pub(super) async fn feed_watchdog(&self) {
        let Some(period) = self.watchdog_interval else { return pending().await };
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if tokio::spawn(async {}).await.is_ok() {
                self.notify(State::Alive).await;
            }
        }
    }
}

/// Connects to an address in the form of `NOTIFY_SOCKET`: a path, or `@` and the name of an abstract socket.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = StdUnixDatagram::unbound()?;
    socket.connect_addr(&socket_address(address)?)?;
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

#[cfg(target_os = "linux")]
fn socket_address(address: &OsStr) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    match address.as_encoded_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(address),
    }
}

#[cfg(not(target_os = "linux"))]
fn socket_address(address: &OsStr) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(address)
}

#[cfg(test)]
mod tests {
    use super::{ServiceManager, State, StdUnixDatagram, UnixDatagram};
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::{Duration, Instant};
    use tokio::runtime::Builder;

    #[test]
    fn watchdog_is_not_fed_while_the_worker_threads_hang() {
        let (ours, theirs) = StdUnixDatagram::pair().expect("sockets");
        ours.set_nonblocking(true).expect("a mode");
        theirs.set_read_timeout(Some(Duration::from_millis(400))).expect("a timeout");
        let received = || {
            let mut buffer = [0; 64];
            theirs.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == State::Alive.message())
        };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let workers = runtime.handle().clone();
        // Ends with the test program.
        thread::spawn(move || {
            runtime.block_on(async {
                let socket = Some(UnixDatagram::from_std(ours).expect("a socket"));
                let watchdog_interval = Some(Duration::from_millis(20));
                ServiceManager { socket, watchdog_interval }.feed_watchdog().await;
            });
        });
        assert!(received(), "everything works");
        let (end, wait) = channel::<()>();
        workers.spawn(async move { wait.recv() });
        let deadline = Instant::now() + Duration::from_secs(20);
        while received() {
            assert!(Instant::now() < deadline, "the watchdog is fed although the only worker thread hangs");
        }
        end.send(()).expect("the worker thread waits");
        assert!(received(), "everything works again");
    }

    #[test]
    fn service_manager_is_reached_at_a_path_and_at_an_abstract_name() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let name = format!("delete-learning-{}", std::process::id());
        let at_path = StdUnixDatagram::bind(&path).expect("a socket");
        let abstract_name = SocketAddr::from_abstract_name(&name).expect("an address");
        let at_name = StdUnixDatagram::bind_addr(&abstract_name).expect("a socket");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            for (address, theirs) in [(path.into_os_string(), at_path), (format!("@{name}").into(), at_name)] {
                theirs.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
                let socket = Some(super::connect(&address).expect("a connection"));
                ServiceManager { socket, watchdog_interval: None }.notify(State::Ready).await;
                let mut buffer = [0; 64];
                let length = theirs.recv(&mut buffer).expect("a message");
                assert_eq!(&buffer[..length], b"READY=1", "{address:?}");
            }
        });
    }
}
