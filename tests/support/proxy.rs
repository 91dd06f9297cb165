//! A proxy before a database, which can stop forwarding without closing anything: what a network does that drops packets.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Forwards connections to one port of this machine until it is told to hang.
pub struct Proxy {
    pub port: u16,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// Returns when bytes may go on.
    fn pass(&self) {
        let mut is_shut = self.is_shut.lock().expect("no panic while held");
        while *is_shut {
            is_shut = self.opened.wait(is_shut).expect("no panic while held");
        }
    }

    fn set(&self, shut: bool) {
        *self.is_shut.lock().expect("no panic while held") = shut;
        self.opened.notify_all();
    }
}

impl Proxy {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let gate = Arc::new(Gate::default());
        let its = Arc::clone(&gate);
        // Ends with the test program; every test has a proxy of its own.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let gate = Arc::clone(&its);
                thread::spawn(move || {
                    // A new connection is accepted (the system does that) and nothing more comes of it while it hangs.
                    gate.pass();
                    let Ok(server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))) else { return };
                    let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else { return };
                    let gate_too = Arc::clone(&gate);
                    thread::spawn(move || copy(client_too, server_too, &gate_too));
                    copy(server, client, &gate);
                });
            }
        });
        Self { port: own, gate }
    }

    /// Stops forwarding, in both directions and on every connection, new ones too.
    pub fn hang(&self) {
        self.gate.set(true);
    }

    /// Forwards again, what has been held back first.
    pub fn forward(&self) {
        self.gate.set(false);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, gate: &Gate) {
    let mut bytes = [0; 16 * 1024];
    let _ = to.set_nodelay(true);
    let _ = to.set_write_timeout(Some(Duration::from_secs(60)));
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        gate.pass();
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    // The end of a connection is held back as well.
    gate.pass();
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
