//! An HTTPS server for `localhost` whose answers a test chooses.

use super::certificates::{Certificates, EC_256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the server does with a request.
#[derive(Clone)]
pub enum Answer {
    /// Responds 200 with these headers and this body.
    Body(String, String),
    /// Responds with this status line and these headers.
    Status(String),
    /// Responds with a body that does not end.
    Endless,
    /// Never responds.
    Silence,
    /// Closes the connection.
    Disconnect,
}

/// A running server. Its thread runs until the test program ends.
pub struct HttpsServer {
    pub port: u16,
    /// The certificate authority that signed its certificate.
    pub authority: PathBuf,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<AtomicUsize>,
    _certificates: Certificates,
}

impl HttpsServer {
    /// Starts a server. Needs `openssl`.
    pub fn start(answer: Answer) -> Self {
        let certificates = Certificates::new();
        certificates.create_authority("authority", EC_256, "sha256");
        certificates.issue("server", "localhost", "authority", EC_256, "sha256");
        let certificate = CertificateDer::from_pem_file(certificates.path("server.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(certificates.path("server.key")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate with its key");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (answer, requests) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let shared = (Arc::clone(&answer), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let ((answer, requests), config) = (shared.clone(), Arc::clone(&config));
                // A client that refuses the certificate ends the connection.
                thread::spawn(move || serve(stream, config, &answer, &requests));
            }
        });
        Self { port, authority: certificates.path("authority.pem"), answer, requests, _certificates: certificates }
    }

    pub fn set_answer(&self, answer: Answer) {
        *self.answer.lock().expect("no panic while locked") = answer;
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    answer: &Mutex<Answer>,
    requests: &AtomicUsize,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let answer = answer.lock().expect("no panic while locked").clone();
    match answer {
        Answer::Body(headers, body) => write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            body.len()
        )?,
        Answer::Status(head) => write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?,
        Answer::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{{\"keys\": [")?;
            loop {
                stream.write_all(&[b' '; 16 * 1024])?;
            }
        }
        Answer::Silence => thread::sleep(Duration::from_secs(60)),
        Answer::Disconnect => return Ok(()),
    }
    stream.conn.send_close_notify();
    stream.flush()
}
