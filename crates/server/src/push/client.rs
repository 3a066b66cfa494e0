//! Calling a target over HTTP, within its bounds on time and length.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use weir_push::settings::Protocol;
use weir_push::{Egress, Invalid, Target};

use super::connect::{Connect, TimedOut};
use super::outgoing::Outgoing;

/// How long a connection is kept that nothing is sent over: less than what servers keep one for (Node.js 5 s), since a
/// request that meets the end of its connection is a failed attempt.
const IDLE: Duration = Duration::from_secs(4);
/// Names that are looked up at once.
const LOOKUPS_MAX: usize = 64;

/// What the clients of all targets share.
pub(crate) struct Shared {
    /// What the operator's configuration allows.
    allowed: Vec<weir_push::network::Network>,
    lookups: Arc<Semaphore>,
    /// Read when the first target needs it.
    trusted: std::sync::OnceLock<Arc<ClientConfig>>,
}

impl Shared {
    pub(crate) fn new(allowed: Vec<weir_push::network::Network>) -> Self {
        Self { allowed, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)), trusted: std::sync::OnceLock::new() }
    }

    fn tls(&self, target: &Target) -> Result<ClientConfig, Invalid> {
        let Some(pem) = &target.settings.ca else {
            if !target.url.secure {
                return Ok(config(RootCertStore::empty()));
            }
            let trusted = self.trusted.get_or_init(|| {
                let mut roots = RootCertStore::empty();
                let found = rustls_native_certs::load_native_certs();
                for error in &found.errors {
                    tracing::warn!(%error, "a certificate that the system trusts cannot be read");
                }
                let (added, _) = roots.add_parsable_certificates(found.certs);
                if added == 0 {
                    tracing::warn!("the system trusts no certificates: push targets over https need a `ca`");
                }
                Arc::new(config(roots))
            });
            return Ok((**trusted).clone());
        };
        let mut roots = RootCertStore::empty();
        let bad = |text: String| Invalid { field: "ca".to_owned(), text };
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| bad(format!("must be certificates in PEM: {error}")))?;
            roots.add(certificate).map_err(|error| bad(format!("has a certificate that cannot be used: {error}")))?;
        }
        if roots.is_empty() {
            return Err(bad("must be certificates in PEM, and there is none in it".to_owned()));
        }
        Ok(config(roots))
    }
}

fn config(roots: RootCertStore) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("the provider has what TLS 1.2 and 1.3 need");
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// A client of one target, with its connections.
pub(crate) struct Client {
    http: legacy::Client<HttpsConnector<Connect>, Outgoing>,
    uri: Uri,
    /// Until the answer begins.
    first_byte: Duration,
    total: Duration,
    response_bytes_max: usize,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Nothing where it is longer than is read.
    pub(super) body: Option<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) text: String,
    /// Whether time ran out.
    pub(super) timed_out: bool,
}

impl Client {
    /// A client without connections.
    ///
    /// # Errors
    /// When the certificates of the target cannot be used.
    pub(crate) fn new(target: &Target, shared: &Shared) -> Result<Self, Invalid> {
        let timeouts = target.settings.timeouts;
        let connect = Connect {
            egress: Arc::new(Egress { allowed: shared.allowed.clone(), only: target.networks.clone() }),
            timeout: Duration::from_millis(timeouts.connect_ms),
            lookups: Arc::clone(&shared.lookups),
        };
        let builder = HttpsConnectorBuilder::new().with_tls_config(shared.tls(target)?).https_or_http();
        let connector = match target.settings.protocol {
            Protocol::Auto => builder.enable_http1().enable_http2().wrap_connector(connect),
            Protocol::Http1 => builder.enable_http1().wrap_connector(connect),
            Protocol::Http2 => builder.enable_http2().wrap_connector(connect),
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(target.settings.concurrency.max as usize)
            .http2_only(target.settings.protocol == Protocol::Http2)
            .build(connector);
        Ok(Self {
            http,
            uri: target.url.uri.clone(),
            first_byte: Duration::from_millis(timeouts.connect_ms.saturating_add(timeouts.first_byte_ms)),
            total: Duration::from_millis(timeouts.total_ms),
            response_bytes_max: usize::try_from(target.settings.response_bytes_max).unwrap_or(usize::MAX),
        })
    }

    /// Sends a request and reads its answer.
    pub(super) async fn call(&self, headers: HeaderMap, body: Outgoing) -> Result<Answer, NoAnswer> {
        match tokio::time::timeout(self.total, self.exchange(headers, body)).await {
            Ok(answered) => answered,
            Err(_) => Err(late(format!("no whole answer within {} ms", self.total.as_millis()))),
        }
    }

    async fn exchange(&self, headers: HeaderMap, body: Outgoing) -> Result<Answer, NoAnswer> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let response = match tokio::time::timeout(self.first_byte, self.http.request(request)).await {
            Ok(response) => response.map_err(|error| no_answer(&error))?,
            Err(_) => return Err(late(format!("no answer within {} ms", self.first_byte.as_millis()))),
        };
        let (head, body) = response.into_parts();
        let body = self.read(body).await?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Reads a body, as long as it may be. What is longer is dropped, and its connection with it.
    async fn read(&self, mut body: Incoming) -> Result<Option<Vec<u8>>, NoAnswer> {
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| no_answer(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            if read.len() + data.len() > self.response_bytes_max {
                return Ok(None);
            }
            read.extend_from_slice(&data);
        }
        Ok(Some(read))
    }
}

/// What went wrong, with its causes.
fn no_answer(error: &(dyn Error + 'static)) -> NoAnswer {
    let mut text = String::new();
    let mut timed_out = false;
    let mut cause = Some(error);
    while let Some(error) = cause {
        timed_out |= error.is::<TimedOut>();
        let told = error.to_string();
        // Several layers of the library say the same.
        if !text.contains(&told) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&told);
        }
        cause = error.source();
    }
    NoAnswer { text, timed_out }
}

fn late(text: String) -> NoAnswer {
    NoAnswer { text, timed_out: true }
}
