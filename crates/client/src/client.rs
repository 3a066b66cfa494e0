//! A server, and what concerns all of it.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use rand::RngExt as _;
use serde::de::DeserializeOwned;

use crate::credentials::Credentials;
use crate::error::Error;
use crate::queue::Queue;
use crate::transport::{Call, Transport};

/// How long a request may take that does not wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long is tried again what can be.
const RETRY_FOR: Duration = Duration::from_secs(30);
/// The first pause between two tries, twice as long each time.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest one.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A Weir server. Cheap to clone; all clones share their connections.
///
/// Requests that a lost connection or a busy server stopped are tried again for a while, with growing pauses, where that
/// is safe: reading is, and so is adding, since each adding carries a key of its own by which the server knows it again.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    transport: Transport,
    patience: Duration,
    retry_for: Duration,
}

/// How a [`Client`] is to be.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    url: String,
    credentials: Option<Credentials>,
    trusted: Option<Vec<u8>>,
    patience: Duration,
    retry_for: Duration,
}

impl ClientBuilder {
    /// The access key that requests are signed with, or none.
    #[must_use]
    pub fn credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Trusts these certificates, in PEM, in place of those that the system trusts.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn trust_pem(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.trusted = Some(certificates.into());
        self
    }

    /// How long one request may take, beside what it is asked to wait. Default 30 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.patience = timeout;
        self
    }

    /// For how long a request is tried again where that is safe. Default 30 seconds; zero for never.
    #[must_use]
    pub fn retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// The client. Nothing is sent yet. Errors: `Address`.
    pub fn build(self) -> Result<Client, Error> {
        let transport = Transport::new(&self.url, self.credentials, self.trusted.as_deref())?;
        let inner = Inner { transport, patience: self.patience, retry_for: self.retry_for };
        Ok(Client { inner: Arc::new(inner) })
    }
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:9324`. Nothing is sent yet.
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::builder(url).build()
    }

    /// A client of the server that the environment names: `WEIR_URL`, by default this machine's, with the access key of
    /// `WEIR_ACCESS_KEY_ID` and `WEIR_SECRET_ACCESS_KEY`, or of `AWS_…`, if there is one.
    pub fn from_env() -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = variable("WEIR_URL").unwrap_or_else(|| "http://127.0.0.1:9324".to_owned());
        Self::builder(&url).credentials(Credentials::find(variable)?).build()
    }

    /// A client that is to be more than [`Client::new`] makes it.
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder {
            url: url.to_owned(),
            credentials: None,
            trusted: None,
            patience: PATIENCE,
            retry_for: RETRY_FOR,
        }
    }

    /// A queue by its name, whose jobs carry a `T`. Nothing is sent: the queue need not exist yet.
    pub fn queue<T>(&self, name: impl Into<String>) -> Queue<T> {
        Queue::new(self.clone(), name.into())
    }

    pub(crate) fn url(&self) -> &str {
        self.inner.transport.url()
    }

    pub(crate) fn call_to(&self, method: Method, segments: &[&str]) -> Call {
        Call::new(method, segments, self.inner.patience)
    }

    /// A call that waits for so long at the server.
    pub(crate) fn call_that_waits(&self, method: Method, segments: &[&str], wait: Duration) -> Call {
        Call::new(method, segments, self.inner.patience + wait)
    }

    /// Asks once.
    pub(crate) async fn once<R: DeserializeOwned>(&self, call: &Call) -> Result<R, Error> {
        self.inner.transport.call(call).await
    }

    /// Asks, and asks again where that is safe.
    pub(crate) async fn send<R: DeserializeOwned>(&self, call: &Call) -> Result<R, Error> {
        let started = tokio::time::Instant::now();
        let mut backoff = Backoff::default();
        loop {
            let error = match self.once(call).await {
                Err(error) if error.is_transient() && (error.is_undone() || call.is_repeatable()) => error,
                done => return done,
            };
            let pause = backoff.next(&error);
            if started.elapsed() + pause > self.inner.retry_for {
                return Err(error);
            }
            tracing::debug!(%error, pause_ms = pause.as_millis() as u64, "trying again");
            tokio::time::sleep(pause).await;
        }
    }
}

/// Pauses between tries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self, error: &Error) -> Duration {
        let pause = PAUSE.saturating_mul(1 << self.tries.min(10)).min(PAUSE_MAX);
        self.tries += 1;
        // Clients that lost the same server do not come back all at once.
        let drawn = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        error.retry_after().map_or(drawn, |asked| asked.max(drawn))
    }

    /// Something succeeded.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

/// A key by which a server knows a request again.
pub(crate) fn idempotency_key() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}
