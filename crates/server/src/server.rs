//! Listening, and ending in good order.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use weir_shard::Refused;

use crate::access::Access;
use crate::app::App;
use crate::config::Config;
use crate::engine::{Engine, Fate, Granted};
use crate::event_sources::{self, Pollers};
use crate::greeting::Greeting;
use crate::http;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::native;
use crate::push::{self, Pushers};
use crate::sns::{Ended, Signer};
use crate::sqs::{Recently, Throttle};
use crate::tls::Tls;
use crate::topics::{Matchers, carry_on_all};

/// A server that listens. It is compiled once for all engines, here: in each program that has one it would take minutes.
pub struct Server {
    app: Arc<App<Box<dyn Engine>>>,
    listener: TcpListener,
    stop: watch::Sender<bool>,
    returned: mpsc::UnboundedReceiver<(Granted, Fate)>,
    targets: push::Changes,
    /// Tells of queues that are mapped to functions.
    mapped: event_sources::Changes,
}

/// Tells a server to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// Stops accepting, answers long polls as empty, and lets [`Server::run`] return once open requests are answered.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Listens at the configured address. Connections are accepted by the system from now on, and served by
    /// [`Server::run`].
    ///
    /// # Errors
    /// When the address cannot be listened on, or may not without keys ([`crate::Unsafe`]); when the certificate cannot be
    /// used ([`crate::TlsError`]).
    pub async fn bind(config: Config, engine: impl Engine) -> io::Result<Self> {
        Self::bind_boxed(config, Box::new(engine)).await
    }

    async fn bind_boxed(config: Config, engine: Box<dyn Engine>) -> io::Result<Self> {
        let runs_commands = config.commands.is_some();
        config.check_listen(runs_commands).map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
        let tls = config.tls.clone().map(Tls::open).transpose();
        let tls = tls.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let listener = TcpListener::bind(config.listen).await?;
        let (stop, stopping) = watch::channel(false);
        let (undelivered, returned) = mpsc::unbounded_channel();
        let access = Access::new(&config.keys, config.namespace);
        let signer = Signer::new(config.signing_directory.clone());
        let hub = Arc::new(Hub::new(rand::random()));
        let (pushers, targets) = Pushers::new(config.push_allow_networks.clone());
        let pushers = Arc::new(pushers);
        let (pollers, mapped) = Pollers::new();
        let pollers = Arc::new(pollers);
        let (events, pushed, polled) = (Arc::clone(&hub), Arc::clone(&pushers), Arc::clone(&pollers));
        engine.listen(Box::new(move |event| {
            events.take(event);
            pushed.take(event);
            polled.take(event);
        }));
        let app = Arc::new(App {
            config,
            access,
            tls,
            engine,
            metrics: Metrics::default(),
            hub,
            pushers,
            pollers,
            native: native::Table::new(),
            matchers: Matchers::default(),
            signer,
            ended: Ended::default(),
            waiting: AtomicU64::new(0),
            bodies_bytes: AtomicUsize::new(0),
            purged: Recently::default(),
            deleted: Recently::default(),
            throttle: Throttle::new(std::time::Instant::now()),
            undelivered,
            stopping,
        });
        Ok(Self { app, listener, stop, returned, targets, mapped })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What stops it.
    pub fn stopper(&self) -> Stop {
        Stop(self.stop.clone())
    }

    /// Serves until it is told to stop and what it had begun is answered. The engine runs on.
    pub async fn run(self) {
        let Self { app, listener, stop: _stop, returned, targets, mapped } = self;
        let (all_gone, ended) = oneshot::channel();
        carry_on_all(&app);
        let returning = tokio::spawn(give_back(Arc::clone(&app), returned, ended));
        let pushing = tokio::spawn(Pushers::run(Arc::clone(&app), targets));
        let polling = tokio::spawn(Pollers::run(Arc::clone(&app), mapped));
        let permits = Arc::new(Semaphore::new(app.config.connections_max));
        let mut connections = JoinSet::new();
        let mut stopping = app.stopping.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopping.wait_for(|stopping| *stopping) => break,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => match Arc::clone(&permits).try_acquire_owned() {
                    Ok(permit) => drop(connections.spawn(serve(Arc::clone(&app), stream, permit))),
                    Err(_) => refuse(&stream),
                },
                Err(error) => {
                    // Out of file descriptors, as a rule: wait for connections to end instead of spinning.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        let answered = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(app.config.stop_timeout, answered).await.is_err() {
            tracing::warn!("connections were cut off that did not end in time");
        }
        connections.shutdown().await;
        let _ = pushing.await;
        let _ = polling.await;
        // What the connections left behind has been sent to the task by now; it ends once that is returned.
        let _ = all_gone.send(());
        let _ = returning.await;
    }
}

/// Tells a connection beyond the bound to come back later, if it can be told without waiting.
fn refuse(stream: &TcpStream) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = stream.try_write(ANSWER);
}

async fn serve<E: Engine>(app: Arc<App<E>>, stream: TcpStream, _permit: OwnedSemaphorePermit) {
    // Answers are written whole, and the next request waits for them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = &app.tls else { return converse(&app, stream).await };
    let mut stopping = app.stopping.clone();
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(app.config.header_timeout, tls.acceptor().accept(stream)) => accepted,
        _ = stopping.wait_for(|stopping| *stopping) => return,
    };
    match accepted {
        Ok(Ok(stream)) => converse(&app, stream).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection did not come to speak TLS"),
        Err(_) => tracing::debug!("a connection took too long to come to speak TLS"),
    }
}

/// Answers the requests of a connection until it ends.
async fn converse<E: Engine>(app: &Arc<App<E>>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(|request| {
        let app = Arc::clone(app);
        async move { Ok::<_, Infallible>(http::respond(&app, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(app.config.header_timeout)
        .max_buf_size(app.config.header_bytes_max.max(8_192))
        .max_headers(app.config.headers_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(app.config.header_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .keep_alive_interval(app.config.header_timeout)
        .keep_alive_timeout(app.config.header_timeout);
    let mut stopping = app.stopping.clone();
    let stream = Greeting::new(stream, app.config.header_timeout);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = served.as_mut() => Some(result),
        _ = stopping.wait_for(|stopping| *stopping) => None,
    };
    let result = if let Some(result) = result {
        result
    } else {
        served.as_mut().graceful_shutdown();
        served.await
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Gives back what reached nobody, messages to their queues and permits, and tells limiters of what left, until all
/// connections have ended and none is left.
async fn give_back<E: Engine>(
    app: Arc<App<E>>,
    mut returned: mpsc::UnboundedReceiver<(Granted, Fate)>,
    mut ended: oneshot::Receiver<()>,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = returned.recv() => next,
            _ = &mut ended => None,
        };
        let Some((granted, fate)) = next else { return };
        match (&granted, fate) {
            (Granted::Messages(queue, handles), Fate::Lost) => {
                tracing::debug!(queue = queue.0, messages = handles.len(), "messages reached nobody and are returned");
            }
            (Granted::Permit(limiter, _), Fate::Lost) => {
                tracing::debug!(limiter = limiter.0, "a permit reached nobody and is taken back");
            }
            (_, Fate::Left) => {}
        }
        let command = granted.told(fate);
        while let Err(Refused::Overloaded { retry_after }) = app.engine.tell(command.clone()) {
            tokio::time::sleep(retry_after).await;
        }
    }
}
