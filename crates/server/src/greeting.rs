//! The first bytes of a connection, which have to come in time.
//!
//! Whether HTTP/1 or HTTP/2 is spoken is told by the first bytes, and each bounds on its own how long a client may take.
//! Before that nothing would: who connects and says nothing, or only the start of HTTP/2's preface, would hold a
//! connection for ever.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What a connection of HTTP/2 starts with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose reads fail if it does not tell in time which protocol it speaks.
pub(crate) struct Greeting<S> {
    stream: S,
    /// How many bytes of the preface came so far, and when it is too late for more; `None` once the protocol is told.
    awaited: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<S> Greeting<S> {
    pub(crate) fn new(stream: S, timeout: Duration) -> Self {
        Self { stream, awaited: Some((0, Box::pin(sleep(timeout)))) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeting<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, awaited } = &mut *self;
        let Some((came, deadline)) = awaited else { return Pin::new(stream).poll_read(cx, buffer) };
        let before = buffer.filled().len();
        match Pin::new(stream).poll_read(cx, buffer) {
            Poll::Pending if deadline.as_mut().poll(cx).is_ready() => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Ready(Ok(())) => {
                let read = buffer.filled().get(before..).unwrap_or_default();
                let rest = PREFACE.get(*came..).unwrap_or_default();
                *came += read.len();
                // Whatever is no start of the preface is HTTP/1.
                if read.len() >= rest.len() || !rest.starts_with(read) {
                    *awaited = None;
                }
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What reading ends with, an hour after a client sent `bytes` and nothing else.
    async fn read(bytes: &[u8]) -> io::Result<usize> {
        let (mut client, server) = duplex(64);
        client.write_all(bytes).await.unwrap();
        let mut greeting = Greeting::new(server, Duration::from_secs(1));
        let mut buffer = [0; 64];
        if !bytes.is_empty() {
            assert_eq!(greeting.read(&mut buffer).await.unwrap(), bytes.len());
        }
        let hour = Duration::from_hours(1);
        tokio::time::timeout(hour, greeting.read(&mut buffer)).await.unwrap_or(Ok(0))
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_half_a_preface_is_too_late() {
        for bytes in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            assert_eq!(read(bytes).await.unwrap_err().kind(), io::ErrorKind::TimedOut, "{bytes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_told_the_protocol_is_left_to_it() {
        for bytes in [&b"G"[..], b"PO", PREFACE, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore"] {
            assert_eq!(read(bytes).await.unwrap(), 0, "{bytes:?}");
        }
    }
}
