//! A TCP proxy that can stop forwarding without closing a connection, like a network that drops packets.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Forwards connections to a port of this machine until [`hang`](Self::hang) is called.
pub struct Proxy {
    pub port: u16,
    /// The gate of the connections that it accepts now.
    gate: Arc<Mutex<Arc<Gate>>>,
    /// The connections of clients.
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

#[derive(Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// Blocks while the gate is closed.
    fn wait_until_open(&self) {
        let mut is_closed = self.is_closed.lock().expect("no panic while locked");
        while *is_closed {
            is_closed = self.opened.wait(is_closed).expect("no panic while locked");
        }
    }

    fn set_closed(&self, is_closed: bool) {
        *self.is_closed.lock().expect("no panic while locked") = is_closed;
        self.opened.notify_all();
    }
}

impl Proxy {
    /// Starts a proxy to this port. Its thread runs until the test program ends.
    pub fn new(target_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let gate = Arc::new(Mutex::new(Arc::new(Gate::default())));
        let accept_gate = Arc::clone(&gate);
        let streams = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::clone(&streams);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let gate = Arc::clone(&accept_gate.lock().expect("no panic while locked"));
                accepted.lock().expect("no panic while locked").extend(client.try_clone());
                thread::spawn(move || {
                    // While the gate is closed, the kernel still accepts connections, but they are not forwarded.
                    gate.wait_until_open();
                    let Ok(server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], target_port))) else {
                        return;
                    };
                    let (Ok(client_clone), Ok(server_clone)) = (client.try_clone(), server.try_clone()) else { return };
                    let upstream_gate = Arc::clone(&gate);
                    thread::spawn(move || copy(client_clone, server_clone, &upstream_gate));
                    copy(server, client, &gate);
                });
            }
        });
        Self { port, gate, streams }
    }

    /// Sends these bytes to every client, as a pooler does that answers in place of the database.
    pub fn answer(&self, bytes: &[u8]) {
        for mut stream in self.streams.lock().expect("no panic while locked").iter() {
            let _ = stream.write_all(bytes);
        }
    }

    /// Closes every connection. Bytes in flight are lost.
    pub fn disconnect(&self) {
        for stream in self.streams.lock().expect("no panic while locked").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops forwarding in both directions, on every existing and new connection.
    pub fn hang(&self) {
        self.gate().set_closed(true);
    }

    /// Drops what existing connections send from now on. New connections are forwarded.
    pub fn forget(&self) {
        self.hang();
        *self.gate.lock().expect("no panic while locked") = Arc::default();
    }

    /// Forwards again, starting with the delayed bytes.
    pub fn resume(&self) {
        self.gate().set_closed(false);
    }

    fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate.lock().expect("no panic while locked"))
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, gate: &Gate) {
    let mut bytes = [0; 16 * 1024];
    let _ = to.set_nodelay(true);
    let _ = to.set_write_timeout(Some(Duration::from_secs(60)));
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        gate.wait_until_open();
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    // The end of a connection is delayed too.
    gate.wait_until_open();
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
