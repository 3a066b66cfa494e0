//! What was heard on a connection. By that one knows of a request that met the end of its connection whether it came just as
//! the other side let go of what it had kept for long enough.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

use super::connect::Connect;

/// What was heard on a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    /// Whether a request was answered over it.
    answered: AtomicBool,
    /// Whether a byte came since something was said last.
    since_said: AtomicBool,
}

impl Heard {
    /// A request was answered over the connection.
    pub(super) fn answer(&self) {
        self.0.answered.store(true, Ordering::Relaxed);
    }

    /// Whether a request was answered before, and nothing came to what was said since.
    pub(super) fn only_silence(&self) -> bool {
        self.0.answered.load(Ordering::Relaxed) && !self.0.since_said.load(Ordering::Relaxed)
    }
}

/// Connects, and listens to what is heard.
#[derive(Clone, Debug)]
pub(super) struct Listen(pub(super) HttpsConnector<Connect>);

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Failed>> + Send>>;

type Failed = <HttpsConnector<Connect> as Service<Uri>>::Error;

impl Service<Uri> for Listen {
    type Response = TokioIo<Listening>;
    type Error = Failed;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let stream = TokioIo::new(connecting.await?);
            Ok(TokioIo::new(Listening { stream, heard: Heard::default() }))
        })
    }
}

/// A connection that is listened to, behind its encryption.
pub(super) struct Listening {
    stream: TokioIo<Stream>,
    heard: Heard,
}

impl Connection for Listening {
    fn connected(&self) -> Connected {
        self.stream.inner().connected().extra(self.heard.clone())
    }
}

impl AsyncRead for Listening {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            self.heard.0.since_said.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.heard.0.since_said.store(false, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.heard.0.since_said.store(false, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
