//! A man in the middle: a proxy that ends TLS with its own certificate.

use super::certificates::Certificates;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io;
use std::sync::Arc;
use std::thread;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The message with which a client of PostgreSQL asks for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Forwards connections to PostgreSQL, decrypted.
pub struct TlsProxy {
    pub port: u16,
}

impl TlsProxy {
    /// Starts a proxy with the certificate `name` to this port. It encrypts the connection to PostgreSQL too if there is
    /// an authority that it trusts. Its thread runs until the test program ends.
    pub fn new(certificates: &Certificates, name: &str, target_port: u16, authority: Option<&str>) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(certificates, name)));
        let connector = authority.map(|name| TlsConnector::from(Arc::new(client_config(certificates, name))));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        thread::spawn(move || {
            runtime.block_on(async {
                while let Ok((client, _)) = listener.accept().await {
                    let (acceptor, connector) = (acceptor.clone(), connector.clone());
                    // A client can give up at any time.
                    tokio::spawn(
                        async move { drop(forward(client, &acceptor, connector.as_ref(), target_port).await) },
                    );
                }
            });
        });
        Self { port }
    }
}

async fn forward(
    mut client: TcpStream,
    acceptor: &TlsAcceptor,
    connector: Option<&TlsConnector>,
    target_port: u16,
) -> io::Result<()> {
    let mut request = SSL_REQUEST;
    client.read_exact(&mut request).await?;
    if request != SSL_REQUEST {
        return Ok(());
    }
    client.write_all(b"S").await?;
    let client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(("127.0.0.1", target_port)).await?;
    let Some(connector) = connector else { return join(client, server).await };
    server.write_all(&SSL_REQUEST).await?;
    assert_eq!(server.read_u8().await?, b'S', "PostgreSQL has TLS");
    join(client, connector.connect(ServerName::try_from("localhost").expect("a name"), server).await?).await
}

async fn join(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

fn server_config(certificates: &Certificates, name: &str) -> ServerConfig {
    let chain = chain(certificates, name);
    let key = PrivateKeyDer::from_pem_slice(&certificates.read(&format!("{name}.key"))).expect("a key");
    let provider = aws_lc_rs::default_provider();
    // The key can be that of another certificate.
    let key = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).expect("a supported key"));
    let builder = ServerConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_safe_default_protocol_versions().expect("the versions of TLS");
    builder.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
}

fn client_config(certificates: &Certificates, authority: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in chain(certificates, authority) {
        roots.add(certificate).expect("a root certificate");
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("the versions of TLS");
    builder.with_root_certificates(roots).with_no_client_auth()
}

fn chain(certificates: &Certificates, name: &str) -> Vec<CertificateDer<'static>> {
    let pem = certificates.read(&format!("{name}.pem"));
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().expect("certificates")
}
