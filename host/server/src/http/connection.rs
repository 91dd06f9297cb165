//! A connection that closes only after the client could read its last response.

use super::fragment::FragmentScanner;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Bytes that are read and discarded before a connection is closed.
const MAX_LINGER_BYTES: usize = 64 * 1024 * 1024;

/// What a connection knows about the requests that it receives.
#[derive(Clone, Default)]
pub(super) struct RequestState(Arc<Flags>);

#[derive(Default)]
struct Flags {
    is_incomplete: AtomicBool,
    has_fragment: AtomicBool,
}

impl RequestState {
    /// Records that the request has been received completely.
    pub(super) fn set_complete(&self) {
        self.0.is_incomplete.store(false, Ordering::Relaxed);
    }

    /// Whether the connection received a request with a raw `#` in its target. Then no further request is served.
    pub(super) fn has_fragment(&self) -> bool {
        self.0.has_fragment.load(Ordering::Relaxed)
    }

    /// Whether the client may still be sending a request.
    fn is_incomplete(&self) -> bool {
        self.0.is_incomplete.load(Ordering::Relaxed)
    }
}

/// A TCP connection with a lingering close (RFC 9112, section 9.6).
///
/// If a socket with unread bytes is closed, the operating system resets the connection, and the client can lose the
/// response. So if the client may still be sending a request, `shutdown` closes only the sending side, and then discards
/// what arrives: until the client closes the connection, for at most `linger_timeout` and [`MAX_LINGER_BYTES`].
pub(super) struct Connection {
    stream: TcpStream,
    request_state: RequestState,
    fragment_scanner: FragmentScanner,
    linger_timeout: Duration,
    linger: Option<Linger>,
}

struct Linger {
    deadline: Pin<Box<Sleep>>,
    remaining_bytes: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, request_state: RequestState, linger_timeout: Duration) -> Self {
        let fragment_scanner = FragmentScanner::default();
        Self { stream, request_state, fragment_scanner, linger_timeout, linger: None }
    }
}

impl Linger {
    fn poll(&mut self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 16 * 1024];
        while self.deadline.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            let result = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
            let length = buffer.filled().len();
            if result.is_err() || length == 0 || length > self.remaining_bytes {
                break;
            }
            self.remaining_bytes -= length;
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let length = buffer.filled().len();
        let result = ready!(Pin::new(&mut this.stream).poll_read(context, buffer));
        if let Some(received @ [_, ..]) = buffer.filled().get(length..) {
            let flags = &this.request_state.0;
            flags.is_incomplete.store(true, Ordering::Relaxed);
            if this.fragment_scanner.scan(received) {
                flags.has_fragment.store(true, Ordering::Relaxed);
            }
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        if !this.request_state.is_incomplete() {
            return Poll::Ready(Ok(()));
        }
        let timeout = this.linger_timeout;
        let linger = this.linger.get_or_insert_with(|| Linger {
            deadline: Box::pin(tokio::time::sleep(timeout)),
            remaining_bytes: MAX_LINGER_BYTES,
        });
        linger.poll(&mut this.stream, context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::{Connection, Linger, RequestState};
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::net::{TcpListener, TcpStream};

    /// The two ends of a connection: that of the client and that of the server.
    async fn connect() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        (client, listener.accept().await.expect("a connection").0)
    }

    /// Sends bytes, and returns whether a connection that may discard this many has ended its lingering close then.
    async fn ends(sent: &[&[u8]], remaining_bytes: usize) -> bool {
        let (client, mut stream) = connect().await;
        let mut linger = Linger { deadline: Box::pin(tokio::time::sleep(Duration::from_secs(60))), remaining_bytes };
        let mut has_ended = false;
        for bytes in sent {
            assert_eq!(client.try_write(bytes).expect("sent"), bytes.len());
            stream.readable().await.expect("bytes");
            has_ended = poll_fn(|context| Poll::Ready(linger.poll(&mut stream, context).is_ready())).await;
        }
        has_ended
    }

    #[tokio::test]
    async fn lingering_close_discards_as_many_bytes_as_it_may() {
        assert!(!ends(&[b"abc"], 3).await);
        assert!(ends(&[b"abcde"], 3).await);
        assert!(!ends(&[b"ab", b"c"], 3).await);
        assert!(ends(&[b"ab", b"cd"], 3).await);
    }

    #[tokio::test]
    async fn lingering_close_ends_when_the_client_closes_the_connection() {
        let (client, stream) = connect().await;
        client.try_write(b"DELETE /learnings/a HTTP/1.1").expect("sent");
        let mut connection = Box::pin(Connection::new(stream, RequestState::default(), Duration::from_secs(60)));
        let mut bytes = [0; 64];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|context| connection.as_mut().poll_read(context, &mut buffer)).await.expect("bytes");
        let is_pending = poll_fn(|context| Poll::Ready(connection.as_mut().poll_shutdown(context).is_pending())).await;
        assert!(is_pending, "the client may still be sending");
        drop(client);
        let closed = poll_fn(|context| connection.as_mut().poll_shutdown(context));
        tokio::time::timeout(Duration::from_secs(20), closed).await.expect("it ends at once").expect("closed");
    }

    #[tokio::test]
    async fn bytes_pass_unchanged_in_both_directions() {
        let (client, stream) = connect().await;
        let mut connection = Box::pin(Connection::new(stream, RequestState::default(), Duration::from_secs(1)));
        let write = |context: &mut std::task::Context<'_>| connection.as_mut().poll_write(context, b"abc");
        assert_eq!(poll_fn(write).await.expect("written"), 3);
        client.readable().await.expect("bytes");
        let mut bytes = [0; 8];
        assert_eq!(client.try_read(&mut bytes).expect("bytes"), 3);
        assert_eq!(&bytes[..3], b"abc");
        client.try_write(b"xy").expect("written");
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|context| connection.as_mut().poll_read(context, &mut buffer)).await.expect("bytes");
        assert_eq!(buffer.filled(), b"xy");
    }
}
