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
